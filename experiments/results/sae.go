package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/experiment"
	"latent/pkg/model"
	"latent/pkg/rundir"
	tablefile "latent/pkg/table"
	"latent/pkg/train"
)

var (
	//go:embed peers/sae_side.py
	saeScript string
	//go:embed peers/sae_requirements.txt
	saePackages string
)

// saePath is where the document of sparse dictionaries goes.
const saePath = "docs/results-sae.md"

// dictionaries are the experiments on sparse dictionaries, all on the same data.
var dictionaries = []trial{
	{"topk", "configs/sae/topk.yaml", nil},
	{"batchtopk", "configs/sae/batchtopk.yaml", nil},
	{"matryoshka", "configs/sae/matryoshka.yaml", nil},
	{"jumprelu", "configs/sae/jumprelu.yaml", nil},
	{"relu", "configs/sae/relu.yaml", nil},
}

// saeBars are the figures that are compared, each of which may be so much less than SAELens's, and how much faster Latent is to be.
var saeBars = []string{"f1", "mcc", "explained_variance"}

const (
	saeShare = 0.98
	saeSpeed = 1.3
)

// trained is what one of both programs came to.
type saeResult struct {
	Version          string  `json:"version,omitempty"`
	Steps            int     `json:"steps"`
	Seconds          float64 `json:"seconds"`           // of training
	ProcessorSeconds float64 `json:"processor_seconds"` // of training, over all cores
	EV               float64 `json:"explained_variance"`
	L0               float64 `json:"l0"`
	Dead             float64 `json:"dead_share"`
	MCC              float64 `json:"mcc"`
	F1               float64 `json:"f1"`
	Precision        float64 `json:"latent_precision"`
	Recall           float64 `json:"latent_recall"`
}

// figure returns one by its name in a run's result.
func (r saeResult) figure(name string) float64 {
	return map[string]float64{"f1": r.F1, "mcc": r.MCC, "explained_variance": r.EV}[name]
}

// saeOf takes the figures of a run.
func saeOf(r rundir.Result) saeResult {
	of := func(name string) float64 { return float64(r.Test[name]) }
	return saeResult{EV: of("explained_variance"), L0: of("l0"), Dead: of("dead_share"), MCC: of("mcc"), F1: of("f1"),
		Precision: of("latent_precision"), Recall: of("latent_recall")}
}

// makeDictionaries trains the chosen experiments with both programs, and writes the document.
func makeDictionaries(ctx context.Context, chosen []trial, runs string, seeds int, fresh bool, options experiment.Options, out *bytes.Buffer) error {
	folder, err := filepath.Abs(filepath.Join(runs, "sae-data"))
	if err != nil {
		return err
	}
	var lines []saeLine
	var manifest *rundir.Manifest
	for i, t := range chosen {
		for n := range seeds {
			seed := int64(firstSeed + n)
			fmt.Fprintf(options.Log, "\n%s, %d of %d, seed %d\n", t.name, i+1, len(chosen), seed)
			o, err := obtain(ctx, t, seed, runs, fresh, options)
			if err != nil || o == nil {
				return errors.Join(err, fmt.Errorf("%s: no run with seed %d", t.name, seed))
			}
			manifest = o.manifest
			e, err := config.Load(t.config, t.overrides...)
			if err != nil {
				return err
			}
			if err := writeVectors(ctx, e, folder); err != nil {
				return err
			}
			line := saeLine{name: t.name, ours: saeOf(o.result)}
			if line.theirs, err = saeLens(ctx, t.name, e, seed, runs, folder); err != nil {
				return fmt.Errorf("%s: SAELens: %w", t.name, err)
			}
			if err := pace(ctx, e, runs, t.name, seed, &line.ours); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			lines = append(lines, line)
		}
	}
	writeDictionaries(out, lines, manifest)
	return nil
}

// writeVectors writes an experiment's vectors for Python, once.
func writeVectors(ctx context.Context, e *config.Experiment, folder string) error {
	done := filepath.Join(folder, "fires.npy")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	split, err := e.Data.Load(ctx, dataset.Options{})
	if err != nil {
		return err
	}
	known := split.Known
	fires := array.Make(dtypes.Uint8, split.Test.Len()*known.Len())
	for i := range split.Test.Len() {
		for j := range known.Len() {
			if known.Fires.Has(i, j) {
				fires.Uint8[i*known.Len()+j] = 1
			}
		}
	}
	write := func(path string, values array.Values, size int) error {
		return tablefile.Write(path, nil, values, values.Len()/size, size)
	}
	return errors.Join(
		write(filepath.Join(folder, "train.npy"), split.Train.Packed().Values, split.Train.Size()),
		write(filepath.Join(folder, "test.npy"), split.Test.Packed().Values, split.Test.Size()),
		write(filepath.Join(folder, "features.npy"), array.Values{Float32: known.Features}, known.Size),
		write(done, fires, known.Len()))
}

// saeLens trains the same with SAELens, or takes what it came to before.
func saeLens(ctx context.Context, name string, e *config.Experiment, seed int64, runs, folder string) (r saeResult, err error) {
	m := e.Model.(*model.SAE)
	kind := m.Activation
	if len(m.Prefixes) > 0 {
		kind = "matryoshka"
	}
	asked, err := json.Marshal(map[string]any{"kind": kind, "width": m.Width, "k": m.K, "prefixes": m.Prefixes, "sparsity": m.Sparsity,
		"warmup": m.SparsityWarmup,
		"lr":     e.Train.LearningRate, "batch": e.Train.BatchSize, "epochs": e.Train.Epochs, "seed": seed})
	if err != nil {
		return r, err
	}
	err = kept(filepath.Join(runs, fmt.Sprintf("saelens-%s-%d.json", name, seed)), &r, func() ([]byte, error) {
		return askPython(ctx, "sae", saePackages, saeScript, folder, string(asked))
	})
	return r, err
}

// pace measures the training of an experiment alone: all its steps but those of the first epoch, or takes what was measured before.
func pace(ctx context.Context, e *config.Experiment, runs, name string, seed int64, into *saeResult) error {
	kept := filepath.Join(runs, fmt.Sprintf("pace-%s-%d.json", name, seed))
	var measured saeResult
	if text, err := os.ReadFile(kept); err == nil {
		err = json.Unmarshal(text, &measured)
		into.Steps, into.Seconds, into.ProcessorSeconds = measured.Steps, measured.Seconds, measured.ProcessorSeconds
		return err
	}
	b, err := backend.Open(ctx, e.Backend, backend.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	split, err := e.Data.Load(ctx, dataset.Options{})
	if err != nil {
		return err
	}
	spec := train.Spec{Model: e.Model, Corrupt: e.Corrupt, Options: e.Train, Seed: seed}
	program, err := train.Compile(b, spec, split.Train, 1)
	if err != nil {
		return err
	}
	defer program.Close()
	group, err := program.Start(spec)
	if err != nil {
		return err
	}
	var wall time.Time
	var processor float64
	first := 0
	for windows, err := range group.Windows(ctx) {
		if err != nil {
			return err
		}
		if first == 0 && windows[0].EndsEpoch {
			first, wall, processor = windows[0].Step, time.Now(), processorSeconds()
		}
	}
	into.Steps = group.Runs[0].Step() - first
	into.Seconds, into.ProcessorSeconds = time.Since(wall).Seconds(), processorSeconds()-processor
	measured.Steps, measured.Seconds, measured.ProcessorSeconds = into.Steps, into.Seconds, into.ProcessorSeconds
	text, err := json.Marshal(measured)
	if err != nil {
		return err
	}
	return os.WriteFile(kept, text, 0o644)
}

// saeLine is what both programs came to with a seed.
type saeLine struct {
	name         string
	ours, theirs saeResult
}

// mean averages the lines of an experiment.
func (l saeLine) plus(other saeLine, share float64) saeLine {
	add := func(a, b saeResult) saeResult {
		return saeResult{b.Version, b.Steps, a.Seconds + share*b.Seconds, a.ProcessorSeconds + share*b.ProcessorSeconds, a.EV + share*b.EV,
			a.L0 + share*b.L0, a.Dead + share*b.Dead, a.MCC + share*b.MCC, a.F1 + share*b.F1, a.Precision + share*b.Precision, a.Recall + share*b.Recall}
	}
	return saeLine{other.name, add(l.ours, other.ours), add(l.theirs, other.theirs)}
}

// writeDictionaries writes the document.
func writeDictionaries(out *bytes.Buffer, lines []saeLine, m *rundir.Manifest) {
	seeds := map[string]int{}
	for _, l := range lines {
		seeds[l.name]++
	}
	var names []string
	means := map[string]saeLine{}
	for _, l := range lines {
		if _, seen := means[l.name]; !seen {
			names = append(names, l.name)
		}
		means[l.name] = means[l.name].plus(l, 1/float64(seeds[l.name]))
	}
	fmt.Fprintf(out, `# Results of sparse autoencoders

Made by `+"`go run ./experiments/results --sae`"+`; all values are measured by it. Latent and the trainer of SAELens %s train dictionaries
of the same width on the same vectors, sums of known features (`+"`data.dataset: synthsae`"+`), with the same number of steps, batch size,
learning rate, k and penalty weight. Everything else, such as initial weights, thresholds and the loss for dead latents, is each
program's own. Metrics are means over
%d test vectors and over seeds; F1 and MCC as defined by SAELens.

`, means[names[0]].theirs.Version, m.Data.Test)
	fmt.Fprintf(out, "- processor: %s, %d cores\n- backend: %s\n- gomlx %s, go-xla %s, %s\n\n", m.Host.CPU, m.Host.Cores, m.Backend.Name,
		m.Versions["gomlx"], m.Versions["go-xla"], m.Versions["go"])
	fmt.Fprint(out, "|  | program | seeds | F1 | MCC | explained variance | precision | recall | L0 | dead |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	row := func(name, program string, n int, r saeResult) {
		fmt.Fprintf(out, "| %s | %s | %d | %.3f | %.3f | %.4f | %.3f | %.3f | %.2f | %.1f %% |\n", name, program, n, r.F1, r.MCC, r.EV, r.Precision, r.Recall, r.L0, 100*r.Dead)
	}
	for _, name := range names {
		row(name, "Latent", seeds[name], means[name].ours)
		row("", "SAELens", seeds[name], means[name].theirs)
	}
	fmt.Fprintf(out, "\n## Bars\n\nF1, MCC and explained variance at least %g times SAELens's, and steps at least %g times as fast. Milliseconds per step are wall time and processor\ntime over all cores. If other programs run at the same time, processor time is more reliable.\n\n", saeShare, saeSpeed)
	fmt.Fprint(out, "|  | F1 | MCC | explained variance | ms a step, Latent | SAELens | processor ms, Latent | SAELens | faster, wall | processor |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, name := range names {
		l := means[name]
		fmt.Fprintf(out, "| %s |", name)
		for _, bar := range saeBars {
			fmt.Fprintf(out, " %s |", judged(l.ours.figure(bar)/l.theirs.figure(bar), saeShare, "%.3f"))
		}
		per := func(seconds float64, r saeResult) float64 { return 1000 * seconds / float64(r.Steps) }
		wall, theirWall := per(l.ours.Seconds, l.ours), per(l.theirs.Seconds, l.theirs)
		own, their := per(l.ours.ProcessorSeconds, l.ours), per(l.theirs.ProcessorSeconds, l.theirs)
		fmt.Fprintf(out, " %.1f | %.1f | %.1f | %.1f | %s | %s |\n", wall, theirWall, own, their,
			judged(theirWall/wall, saeSpeed, "%.2f"), judged(their/own, saeSpeed, "%.2f"))
	}
}

// judged writes a ratio, and whether it meets its bar.
func judged(ratio, bar float64, format string) string {
	return fmt.Sprintf(format, ratio) + ", " + verdict(ratio >= bar && !math.IsInf(ratio, 0))
}
