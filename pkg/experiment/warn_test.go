package experiment

import (
	"strings"
	"testing"

	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/rundir"
)

// Where the test images cannot be measured, the run is done, says so, and has all else; afterwards its figures are made up for.
func TestUntested(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "")
	e, err := config.Parse("end.yaml", []byte(`
data: {dataset: glyphs, train: 120, test: 40, validation: 20}
model: {kind: ae, encoder: [16], latent: 2, decoder: [16]}
train: {batch_size: 50, epochs: 2}
output: {grid: {rows: 2, columns: 2}, show: [map, manifold]}
`), "backend=go", "output.dir="+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	lab := NewLab(Options{})
	defer lab.Close()
	s, err := lab.Start(t.Context(), []*config.Experiment{e}, nil)
	if err != nil {
		t.Fatal(err)
	}
	others, err := (&dataset.Shapes{Train: 30, Test: 40, Side: 32, Colour: "grey"}).Load(t.Context(), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	broken := *s.split
	broken.Test = others.Test // of a size that no program was compiled for
	s.split = &broken
	runs, err := s.finished(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "test figures missing: ") || !strings.Contains(err.Error(), "latent eval "+runs[0].Path) {
		t.Fatalf("the run ends with %v", err)
	}
	check := func(whole bool, missing ...string) {
		t.Helper()
		m, err := runs[0].Manifest()
		if err != nil {
			t.Fatal(err)
		}
		if m.State != rundir.Done || (m.Result.Test != nil) != whole || m.Result.BestEpoch == 0 {
			t.Errorf("%s, with the figures %v, best epoch %d", m.State, m.Result.Test, m.Result.BestEpoch)
		}
		for _, part := range missing {
			if !m.IsMissing(part) {
				t.Errorf("%s is not missing: %v", part, m.Warnings)
			}
		}
		found := 0
		for _, w := range m.Warnings {
			if w.IsMissing() {
				found++
			}
		}
		if found != len(missing) {
			t.Errorf("warnings %v, want %d of what is missing", m.Warnings, len(missing))
		}
	}
	check(false, partTest, "picture final", "picture map", "picture manifold")

	trained, err := Open(t.Context(), runs[0].Path, []string{"evaluate.seed=2"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := trained.Evaluate(t.Context(), "", Options{}); err != nil {
		t.Fatal(err)
	}
	check(false, partTest, "picture final", "picture map", "picture manifold") // measured in another way
	if trained, err = Open(t.Context(), runs[0].Path, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := trained.Evaluate(t.Context(), "", Options{}); err != nil {
		t.Fatal(err)
	}
	check(true)
	if samples, err := runs[0].Samples(); err != nil || len(samples) == 0 {
		t.Errorf("samples %v, %v", samples, err)
	}
}
