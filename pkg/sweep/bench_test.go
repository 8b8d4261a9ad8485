package sweep

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"latent/pkg/config"
	"latent/pkg/study"
)

// fiveKeys is a sweep over five keys: logarithmic, plain, whole numbers and a choice.
const fiveKeys = `
base: base.yaml
objective: {metric: val_loss}
space:
  train.learning_rate: {loguniform: [1e-4, 0.1]}
  corrupt.noise_factor: {uniform: [0.1, 0.6]}
  train.clip_norm: {uniform: [0.5, 5]}
  train.epochs: {logint: [1, 64]}
  train.optimizer: {choice: [adam, sgd, rmsprop]}
strategy: {kind: tpe}
budget: {trials: 0, time: 1000h}
`

// BenchmarkTrial is what a trial costs beside its run where 10,000 are done, in SQLite on the disk: the proposal with its claim,
// and the result; "reported" has the place of the run and the report of an epoch too. The bar is 1 ms. On two cores of a virtual
// AMD EPYC, ms of the processor's time; the clock adds what the disk takes for a checkpoint of SQLite each hundred trials:
//
//	alone 0.8, several workers 0.8, stacked 1.7, random 0.5, multivariate 1.0, reported 1.2
//
// and on a slower one, where each of these takes a third more, alone 1.0 to 1.3: the bar is missed there. A stack is dearer because
// whether trials can train together is asked of their whole experiments.
func BenchmarkTrial(b *testing.B) {
	for _, c := range []struct {
		name      string
		reported  bool
		overrides []string
	}{
		{name: "alone"},
		{name: "several", overrides: []string{"deterministic=false", "workers=4"}},
		{name: "stacked", overrides: []string{"stack=8"}},
		{name: "random", overrides: []string{"strategy={kind: random}"}},
		{name: "multivariate", overrides: []string{"strategy.multivariate=true"}},
		{name: "reported", reported: true},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := filled(b, 10_000, c.overrides...)
			p := newProposer(s, time.Now)
			values := rand.New(rand.NewPCG(3, 4))
			trials := 0
			step := func() {
				claimed, err := s.Study.Claim(b.Context(), "host-1", p.propose)
				if err != nil {
					b.Fatal(err)
				}
				for _, t := range claimed {
					if c.reported {
						tell(b, s, t.Claim())
					}
					result := study.Result{State: study.Done, Values: []float64{values.Float64()}}
					if err := s.Study.Finish(b.Context(), t.Claim(), result); err != nil {
						b.Fatal(err)
					}
				}
				trials += len(claimed)
			}
			step() // reads the 10,000, once for each process
			trials = 0
			before := processorTime(b)
			for b.Loop() {
				step()
			}
			b.ReportMetric(0, "ns/op") // of a stack
			b.ReportMetric(b.Elapsed().Seconds()*1000/float64(trials), "ms/trial")
			b.ReportMetric((processorTime(b)-before).Seconds()*1000/float64(trials), "cpu-ms/trial")
		})
	}
}

// tell tells where a trial's run is, and of an epoch.
func tell(b *testing.B, s *Sweep, claim study.Claim) {
	if err := s.Study.SetRun(b.Context(), claim, fmt.Sprint("trials/", claim.Number)); err != nil {
		b.Fatal(err)
	}
	if err := s.Study.Report(b.Context(), claim, 1, 0.5); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Study.Trials(b.Context()); err != nil { // for the pruner
		b.Fatal(err)
	}
}

// processorTime is what this process has used, which is the same on a machine that has other work.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// filled is a sweep with so many trials done.
func filled(b *testing.B, n int, overrides ...string) *Sweep {
	b.Helper()
	b.Setenv("GOMLX_BACKEND", "")
	dir := b.TempDir()
	base := `
data: {dataset: glyphs, train: 96, test: 32, validation: 32}
corrupt: {kind: gaussian, noise_factor: 0.3}
model: {kind: dense, encoder: [12, 6], decoder: [12]}
train: {batch_size: 32}
backend: go
`
	for name, text := range map[string]string{"base.yaml": base, "s.yaml": fiveKeys} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	c, err := config.LoadSweep(filepath.Join(dir, "s.yaml"), append([]string{"dir=" + dir}, overrides...)...)
	if err != nil {
		b.Fatal(err)
	}
	s, err := Create(b.Context(), c, "bench", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	r := rand.New(rand.NewPCG(1, 2))
	propose := func([]*study.Trial) (proposals []study.Proposal, err error) {
		for i := range n {
			encoded, err := s.encodePoint(c.SearchSpace().Random(r))
			if err != nil {
				return nil, err
			}
			proposals = append(proposals, study.Proposal{Params: encoded, Stack: i})
		}
		return proposals, nil
	}
	for i := range n {
		claimed, err := s.Study.Claim(b.Context(), "host-1", propose)
		if err != nil {
			b.Fatal(err)
		}
		result := study.Result{State: study.Done, Values: []float64{math.Sin(float64(i))}}
		if err := s.Study.Finish(b.Context(), claimed[0].Claim(), result); err != nil {
			b.Fatal(err)
		}
	}
	return s
}
