package experiment

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"latent/pkg/config"
	"latent/pkg/rundir"
)

// Values of each sample are those that the run's own figures are the means of, the same each time; runs of one structure share a program,
// and whether their test samples and their damage are the same is told truly.
func TestMeasureEach(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	file := filepath.Join(dir, "small.yaml")
	err := os.WriteFile(file, []byte(`
data: {dataset: glyphs, train: 64, validation: 16, test: 40}
corrupt: {kind: gaussian, noise_factor: 0.3}
model: {encoder: [8], decoder: []}
train: {epochs: 1, batch_size: 32}
backend: go
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	lab := NewLab(Options{})
	defer lab.Close()
	measure := func(run *rundir.Run) *Measured {
		m, err := lab.Measure(ctx, run.Path, 3)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	var all []*Measured
	for _, overrides := range [][]string{
		{"seed=1"}, {"seed=2", "train.epochs=2"}, {"train.loss=mae"}, {"data.test=30"}, {"corrupt.noise_factor=0.4"}, {"evaluate.seed=9"}, {"data.validation=8"}, {"model.encoder=[12]"},
	} {
		e, err := config.Load(file, append(overrides, "output.dir="+dir)...)
		if err != nil {
			t.Fatal(err)
		}
		run, err := Run(ctx, e, Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := measure(run)
		manifest, err := run.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range m.Each {
			mean := 0.0
			for _, value := range values {
				mean += value / float64(len(values))
			}
			if want := float64(manifest.Result.Test[name]); math.Abs(mean-want) > 1e-6*math.Abs(want) {
				t.Errorf("%v: the mean of %s is %g, and that of the run %g", overrides, name, mean, want)
			}
		}
		if len(m.Each) != 5 || m.First.Clean.Len() != 3 || m.First.Reconstructed.Len() != 3 || m.Changed {
			t.Errorf("%v: %d figures, %d samples, changed %t", overrides, len(m.Each), m.First.Clean.Len(), m.Changed)
		}
		again := measure(run)
		for name, values := range m.Each {
			if !slices.Equal(again.Each[name], values) {
				t.Errorf("%v: %s is another when it is measured again", overrides, name)
			}
		}
		all = append(all, m)
		if len(all) == 2 && len(lab.evaluators) != 1 {
			t.Errorf("%d programs for two runs of one structure", len(lab.evaluators))
		}
	}
	for i, want := range [][3]bool{{true, true, true}, {true, true, true}, {true, true, false}, {false, true, true}, {true, false, true}, {true, false, true}, {true, true, true}, {true, true, true}} {
		got := [3]bool{all[i].Samples == all[0].Samples, all[i].Damage == all[0].Damage, all[i].Loss == all[0].Loss}
		if got != want {
			t.Errorf("run %d has the same samples, damage, loss: %v, want %v", i, got, want)
		}
		// What a model is given tells whether that is true.
		if got, want := all[i].First.Damaged.Values.Compare(all[0].First.Damaged.Values) == 0, want[1]; got != want {
			t.Errorf("run %d is given the same damaged samples as the first: %t, want %t", i, got, want)
		}
	}
	if _, err := lab.Measure(ctx, dir, 1); err == nil {
		t.Error("a folder that is no run was measured")
	}
}
