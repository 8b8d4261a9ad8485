package config

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"latent/pkg/model"
	"latent/pkg/search"
)

// TestBadSweeps holds the words of every error of a sweep: testdata/badsweep has a file for each subject.
func TestBadSweeps(t *testing.T) {
	paths, err := filepath.Glob("testdata/badsweep/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			dir, want := t.TempDir(), ""
			for _, file := range archive.Files {
				if file.Name == "problems" {
					want = string(file.Data)
				} else if err := os.WriteFile(filepath.Join(dir, file.Name), file.Data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, err = LoadSweep(filepath.Join(dir, "sweep.yaml"))
			if problems := Problems(nil); !errors.As(err, &problems) {
				t.Fatalf("error is a %T, want Problems", err)
			}
			got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "") + "\n"
			if *update {
				archive.Files[len(archive.Files)-1].Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

const conditional = `
base: base.yaml
set: {train: {epochs: 3}, corrupt: {kind: none}}
objective: {metric: val_psnr}
space:
  train.learning_rate: {loguniform: [1e-4, 1e-2]}
  model:
    encoder:
      choice:
        - [8]
        - {value: [64, 16], space: {model.encoder.0: {logint: [32, 256]}}}
        - value: [128, 64, 16]
          space: {model.encoder.0: {logint: [64, 512]}, model.encoder.1: {int: [32, 64]}}
`

func loadSweep(t *testing.T, text string, overrides ...string) *Sweep {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"base.yaml": "data: {dataset: glyphs}\nseed: 7\n", "s.yaml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := LoadSweep(filepath.Join(dir, "s.yaml"), overrides...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A point is an experiment: what is set, then the space's values, those under a choice after it.
func TestSweepExperiment(t *testing.T) {
	s := loadSweep(t, conditional)
	space := s.SearchSpace()
	var names []string
	for _, p := range space {
		names = append(names, p.Name)
	}
	// Two keys of one name are two parameters.
	want := []string{"train.learning_rate", "model.encoder", "model.encoder.0", "model.encoder.0@[128, 64, 16]", "model.encoder.1"}
	if !slices.Equal(names, want) {
		t.Fatalf("parameters %q, want %q", names, want)
	}
	nan := math.NaN()
	for name, test := range map[string]struct {
		point   search.Point
		encoder []int
	}{
		"none":  {search.Point{0.001, 0, nan, nan, nan}, []int{8}},
		"one":   {search.Point{0.001, 1, 100, nan, nan}, []int{100, 16}},
		"other": {search.Point{0.001, 2, nan, 65, 33}, []int{65, 33, 16}},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := s.Experiment(test.point, 2)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.Model.(*model.Dense).Encoder; !slices.Equal(got, test.encoder) || e.Seed != 9 || e.Train.Epochs != 3 {
				t.Errorf("encoder %v, seed %d, %d epochs; want %v, 9, 3", got, e.Seed, e.Train.Epochs, test.encoder)
			}
		})
	}
}

// A resolved sweep reads as what it was resolved from, and tries the same.
func TestSweepYAML(t *testing.T) {
	s := loadSweep(t, conditional, "workers=3", "strategy={kind: cma-es}", "early_stopping={kind: halving}")
	text, err := s.YAML("base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	base, err := s.BaseYAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseSweep("sweep.yaml", text, base)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	second, err := again.YAML("base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != string(second) {
		t.Errorf("resolved twice:\n%s", cmp.Diff(string(text), string(second)))
	}
	if again.Deterministic || again.Generation != 3 {
		t.Errorf("three workers: deterministic %v, generation %d; want false and 3", again.Deterministic, again.Generation)
	}
	if err := compileSchema(t, "sweep", SweepSchema()).Validate(asEditor(t, string(text))); err != nil {
		t.Error(err)
	}
	p := search.Point{0.001, 2, math.NaN(), 65, 33}
	if a, b := s.Overrides(p), again.Overrides(p); !slices.Equal(a, b) {
		t.Errorf("overrides %q, resolved %q", a, b)
	}
}

// What is searched in a list that is itself searched is put into the list that was chosen, wherever the two are written.
func TestSectionsFirst(t *testing.T) {
	s, err := ParseSweep("s.yaml", []byte(`
base: base.yaml
objective: {metric: val_psnr}
space: {model.encoder.0: {int: [33, 64]}, model.encoder: {choice: [[64, 32], [128, 32]]}}
`), []byte("data: {dataset: glyphs}"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Experiment(search.Point{40, 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Model.(*model.Dense).Encoder; !slices.Equal(got, []int{40, 32}) {
		t.Errorf("the encoder is %v, want 40 and 32", got)
	}
}
