package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
	"latent/pkg/study"
	"latent/pkg/sweep"
)

// base is an experiment of a part of a second in pure Go.
const base = `
data: {dataset: glyphs, train: 96, test: 32, validation: 32}
corrupt: {kind: gaussian, noise_factor: 0.3}
model: {kind: dense, encoder: [12, 6], decoder: [12]}
train: {batch_size: 32, epochs: 3}
backend: go
`

// searched is a space with a choice, and a key that is there with one of its values alone.
const searched = `
base: base.yaml
objective: {metric: val_loss}
space:
  train.learning_rate: {loguniform: [1e-4, 0.1]}
  corrupt.noise_factor: {uniform: [0.1, 0.6]}
  train.optimizer:
    choice:
      - adam
      - {value: sgd, space: {train.momentum: {uniform: [0, 0.9]}}}
strategy: {kind: tpe, startup: 3}
`

func load(t testing.TB, text string, overrides ...string) *config.Sweep {
	t.Helper()
	t.Setenv("GOMLX_BACKEND", "")
	dir := t.TempDir()
	for name, text := range map[string]string{"base.yaml": base, "s.yaml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.LoadSweep(filepath.Join(dir, "s.yaml"), append([]string{"dir=" + dir}, overrides...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func create(t testing.TB, text string, overrides ...string) *sweep.Sweep {
	t.Helper()
	s, err := sweep.Create(t.Context(), load(t, text, overrides...), "test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func reopen(t testing.TB, s *sweep.Sweep, overrides ...string) *sweep.Sweep {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := sweep.Open(t.Context(), s.Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	if err := again.Change(t.Context(), overrides); err != nil {
		t.Fatal(err)
	}
	return again
}

func work(t testing.TB, s *sweep.Sweep) {
	t.Helper()
	if err := s.Work(t.Context(), sweep.WorkerOptions{}); err != nil {
		t.Fatal(err)
	}
}

// outcomes are what came out: parameters, state, values and curve of each trial, to the bit.
func outcomes(t testing.TB, s *sweep.Sweep) []string {
	t.Helper()
	all, err := s.Study.Trials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, trial := range all {
		line := fmt.Sprintf("%d %s %s", trial.Number, trial.State, trial.Params)
		for _, v := range trial.Values {
			line += fmt.Sprintf(" %x", math.Float64bits(v))
		}
		for _, r := range trial.Curve {
			line += fmt.Sprintf(" %d:%x", r.Step, math.Float64bits(r.Value))
		}
		lines = append(lines, line)
	}
	return lines
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d trials, want %d", what, len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s: trial\n%s, want\n%s", what, got[i], want[i])
		}
	}
}

// A sweep in one go, one that is given its budget in two parts, and one that is stopped in the middle of trials and gone on with
// try the same and find the same; so does one that trains its trials in stacks, and stops some early.
func TestSameHoweverItIsCut(t *testing.T) {
	for name, overrides := range map[string][]string{
		"alone":   {"budget.trials=10"},
		"stacked": {"budget.trials=10", "stack=4", "seeds=2", "early_stopping={kind: median, startup_trials: 1}"},
	} {
		t.Run(name, func(t *testing.T) {
			whole := create(t, searched, overrides...)
			work(t, whole)
			want := outcomes(t, whole)
			if len(want) != 10 {
				t.Fatalf("%d trials, want 10", len(want))
			}
			pruned := slices.ContainsFunc(want, func(line string) bool { return strings.Contains(line, string(study.Pruned)) })
			if pruned != (name == "stacked") {
				t.Errorf("stopped early: %v\n%s", pruned, strings.Join(want, "\n"))
			}

			parts := create(t, searched, append(slices.Clone(overrides), "budget.trials=6")...)
			work(t, parts)
			parts = reopen(t, parts, "budget.trials=10")
			work(t, parts)
			same(t, "6 + 4", outcomes(t, parts), want)

			cut := create(t, searched, overrides...)
			for stops := 1; ; stops++ {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(stops*150)*time.Millisecond)
				err := cut.Work(ctx, sweep.WorkerOptions{})
				cancel()
				if err == nil {
					if stops < 3 {
						t.Errorf("stopped %d times only", stops-1)
					}
					break
				}
				if !errors.Is(err, experiment.ErrInterrupted) {
					t.Fatal(err)
				}
				cut = reopen(t, cut)
			}
			same(t, "stopped and resumed", outcomes(t, cut), want)
		})
	}
}

// Two workers at once, whichever of them is faster, try and find the same in each generation.
func TestWorkersInGenerations(t *testing.T) {
	var want []string
	for i := range 2 {
		s := create(t, searched, "budget.trials=8", "workers=2", "deterministic=true")
		if s.Config.Generation != 2 {
			t.Fatalf("generation of %d, want 2", s.Config.Generation)
		}
		ended := make(chan error, 2)
		for range 2 {
			other, err := sweep.Open(t.Context(), s.Path)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			go func() { ended <- other.Work(t.Context(), sweep.WorkerOptions{}) }()
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			want = outcomes(t, s)
			continue
		}
		same(t, "a second time", outcomes(t, s), want)
	}
}

// A trial whose worker died goes on in the same folder, from its checkpoint; what the first worker still tells is refused.
func TestDeadWorker(t *testing.T) {
	s := create(t, searched, "budget.trials=1", "set.train.epochs=40")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		// The first epochs are on the disk.
		for {
			if all, err := s.Study.Trials(t.Context()); err != nil || len(all) > 0 && len(all[0].Curve) >= 3 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if err := s.Work(ctx, sweep.WorkerOptions{Name: "first"}); !errors.Is(err, experiment.ErrInterrupted) {
		t.Fatalf("work: %v, want ErrInterrupted", err)
	}
	before, err := s.Study.Trials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	work(t, s)
	after, err := s.Study.Trials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after[0].Attempt != 2 || after[0].Run != before[0].Run {
		t.Errorf("attempt %d in %s, want 2 in %s", after[0].Attempt, after[0].Run, before[0].Run)
	}
	run, err := rundir.Open(filepath.Join(s.Path, filepath.FromSlash(after[0].Run)))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := run.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Resumed) != 1 || manifest.State != rundir.Done {
		t.Errorf("run resumed %d times and is %s, want once and done", len(manifest.Resumed), manifest.State)
	}
	err = s.Study.Finish(t.Context(), before[0].Claim(), study.Result{State: study.Done, Values: []float64{0}})
	if lost := (*study.LostError)(nil); !errors.As(err, &lost) {
		t.Errorf("a late result: %v, want a LostError", err)
	}
}

// A trial that is run again has a new folder, and its result is the same bits.
func TestRerun(t *testing.T) {
	s := create(t, searched, "budget.trials=4", "stack=2")
	work(t, s)
	want := outcomes(t, s)
	before, err := s.Study.Trials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []int{2, 3, 2} {
		if err := s.Rerun(t.Context(), number); err != nil {
			t.Fatal(err)
		}
		work(t, s)
	}
	same(t, "run again", outcomes(t, s), want)
	after, err := s.Study.Trials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if before[2].Run == after[2].Run || after[0].Run != before[0].Run {
		t.Errorf("trial 2 in %s, then %s; trial 0 in %s, then %s", before[2].Run, after[2].Run, before[0].Run, after[0].Run)
	}
	if err := s.Rerun(t.Context(), 99); err == nil {
		t.Error("trial 99 was run again")
	}
}

// A trial that cannot run has failed, with the reason, and the others go on; where nothing can run, the sweep ends.
func TestFailures(t *testing.T) {
	s := create(t, searched, "budget.trials=4", "space.train.devices={choice: [1, 2]}", "strategy={kind: grid, points: 1}")
	work(t, s)
	status, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.Counts["failed"] != 2 || status.Counts["done"] != 2 {
		t.Errorf("counts %v, want 2 failed and 2 done", status.Counts)
	}
	for _, trial := range status.Trials {
		if trial.State == "failed" && !strings.Contains(trial.Error, "2 devices, but go has 1") {
			t.Errorf("trial %d failed with %q", trial.Number, trial.Error)
		}
	}
	s = create(t, searched, "budget.trials=9", "set.train.devices=2")
	err = s.Work(t.Context(), sweep.WorkerOptions{})
	if err == nil || !strings.Contains(err.Error(), "the first 3 trials failed") {
		t.Errorf("error %v, want that the first 3 trials failed", err)
	}
}

// A missing figure names those that there are.
func TestUnknownFigure(t *testing.T) {
	s := create(t, searched, "budget.trials=5", "objective={metric: val_terms.kl}")
	err := s.Work(t.Context(), sweep.WorkerOptions{})
	if input := (experiment.InputError{}); !errors.As(err, &input) {
		t.Errorf("work: %v, want that the input is wrong: no other trial has the figure", err)
	}
	status, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := "objective val_terms.kl: the run has no such figure; it has train_loss, val_gain, val_loss, val_psnr, val_ssim"
	if got := status.Trials[0].Error; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

// Objectives: test figures are measured where they are asked for, and only then; several make a front.
func TestObjectives(t *testing.T) {
	s := create(t, searched, "budget.trials=5", "objective=[{metric: test.psnr}, {metric: parameters}, {metric: train_seconds}]",
		"space.model.encoder={choice: [[12, 6], [4]]}")
	work(t, s)
	status, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, trial := range status.Trials {
		if len(trial.Values) != 3 || trial.Values[0] == nil {
			t.Fatalf("trial %d: values %v, error %q", trial.Number, trial.Values, trial.Error)
		}
		run, err := rundir.Open(trial.Run)
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := run.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		if psnr := float64(manifest.Result.Test["psnr"]); psnr != *trial.Values[0] {
			t.Errorf("trial %d: value %g, the run's figure is %g", trial.Number, *trial.Values[0], psnr)
		}
	}
	if len(status.Front) == 0 || status.Best != nil {
		t.Errorf("front %v, best %v; want a front and no best", status.Front, status.Best)
	}

	plain := create(t, searched, "budget.trials=1")
	work(t, plain)
	status, err = plain.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run, err := rundir.Open(status.Trials[0].Run)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := run.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.Result.Test != nil {
		t.Error("the test images were looked at, and the objective is not of them")
	}
}

// The best trial's config runs, and comes to the trial's value.
func TestBestRuns(t *testing.T) {
	s := create(t, searched, "budget.trials=4")
	work(t, s)
	status, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path, err := s.WriteBest(t.Context(), -1)
	if err != nil {
		t.Fatal(err)
	}
	e, err := config.Load(path, "output.dir="+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run, err := experiment.Run(t.Context(), e, experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := run.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if got := float64(manifest.Result.BestValidationLoss); got != *status.Best.Value {
		t.Errorf("best.yaml comes to a validation loss of %g, trial %d had %g", got, status.Best.Number, *status.Best.Value)
	}
}
