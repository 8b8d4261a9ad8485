package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func written(differences []Difference) string {
	var lines []string
	for _, d := range differences {
		line := d.Key
		for _, value := range d.Values {
			line += fmt.Sprintf(" | %v", value)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func parse(t *testing.T, text string) *Experiment {
	t.Helper()
	e, err := Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestDifferences(t *testing.T) {
	a := parse(t, "{name: a, seed: 1, corrupt: {kind: gaussian, noise_factor: 0.3}, model: {kind: dense, encoder: [256, 64]}}")
	b := parse(t, "{name: a, seed: 1, corrupt: {kind: gaussian, noise_factor: [0.1, 0.5]}, model: {kind: dense, encoder: [256, 64]}, output: {dir: x}}")
	c := parse(t, "{name: a, seed: 1, corrupt: [{kind: gaussian, noise_factor: 0.3}, {kind: masking}], model: {kind: dense, encoder: [128, 64]}}")
	got, err := Differences(a, b, c)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"corrupt | <nil> | <nil> | [{kind: gaussian, noise_factor: 0.3, sigma: 0, clip: true}, {kind: masking, probability: 0.5, patch: 1, value: -1}]",
		"corrupt.kind | gaussian | gaussian | <nil>",
		"corrupt.noise_factor | 0.3 | [0.1, 0.5] | <nil>",
		"corrupt.sigma | 0 | 0 | <nil>",
		"corrupt.clip | true | true | <nil>",
		"model.encoder | [256, 64] | [256, 64] | [128, 64]",
		"output.dir | runs | x | runs",
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), written(got)); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if same, err := Differences(a, a); err != nil || len(same) > 0 {
		t.Errorf("an experiment and itself: %v, %v", same, err)
	}
}

func TestChanges(t *testing.T) {
	for text, want := range map[string][]string{
		"{name: experiment, seed: 42}": nil,
		// The kind's own keys are beside its own defaults, not dense's.
		"{name: experiment, model: {kind: vae, beta: 4}, data: {dataset: glyphs}}": {
			"data.dataset | mnist | glyphs", "model.kind | dense | vae", "model.beta | 1 | 4",
		},
		"{name: n, corrupt: {kind: gaussian, noise_factor: 0.5}, train: {epochs: 3}}": {
			"name | experiment | n", "corrupt.kind | <nil> | gaussian", "corrupt.noise_factor | 0.3 | 0.5", "train.epochs | 10 | 3",
		},
	} {
		got, err := parse(t, text).Changes()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Join(want, "\n"), written(got)); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", text, diff)
		}
	}
}

// Sweeps differ in their own keys, and in those of the experiments that they vary with what they set.
func TestSweepDifferences(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("base.yaml", "{seed: 1, train: {epochs: 2}}")
	write("other.yaml", "{seed: 1, train: {epochs: 3}}")
	var sweeps []*Sweep
	for i, text := range []string{
		"{name: a, base: base.yaml, objective: {metric: val_loss}, space: {train.learning_rate: {loguniform: [1e-4, 0.1]}}, strategy: {kind: random}, budget: {trials: 9}}",
		"{name: a, base: other.yaml, set: {train: {batch_size: 32}}, objective: {metric: val_loss}, space: {train.learning_rate: {loguniform: [1e-3, 0.1]}}, strategy: {kind: quasi-random}, budget: {trials: 9}}",
	} {
		s, err := LoadSweep(write(fmt.Sprintf("s%d.yaml", i), text))
		if err != nil {
			t.Fatal(err)
		}
		sweeps = append(sweeps, s)
	}
	got, err := SweepDifferences(sweeps...)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"base.name | base | other",
		"base.train.batch_size | 128 | 32",
		"base.train.epochs | 2 | 3",
		"space.train.learning_rate.loguniform | [1e-4, 0.1] | [1e-3, 0.1]",
		"strategy.kind | random | quasi-random",
		"strategy.sequence | <nil> | sobol",
	}, "\n")
	if written(got) != want {
		t.Errorf("found\n%s\nwant\n%s", written(got), want)
	}
}
