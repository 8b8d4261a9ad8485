package experiment

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"latent/pkg/config"
	"latent/pkg/rundir"
)

// A run on pictures of 16 bits ends with all its pictures of codes, which show test images beside what was decoded, and its manifest
// keeps type and scale.
func TestDeepRun(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		p := image.NewGray16(image.Rect(0, 0, 12, 12))
		for k := range 144 {
			p.SetGray16(k%12, k/12, color.Gray16{Y: uint16(30000 + (k*(i+1))%400)})
		}
		file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%02d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(file, p); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "deep.yaml")
	text := fmt.Sprintf(`
backend: go
data: {dataset: folder, dir: %q, height: 12, width: 12, validation: 5, test_fraction: 0.4, scale: {kind: percentile}}
model: {kind: rae, encoder: [16], latent: 2, decoder: [16]}
train: {batch_size: 8, epochs: 2}
output: {dir: %q, show: [samples, interpolation, traversal, manifold]}
`, dir, t.TempDir())
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	e, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	run, err := Run(t.Context(), e, Options{})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := run.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.State != rundir.Done || manifest.Data.Type != "uint16" || manifest.Data.Scale == nil {
		t.Errorf("state %s, values of %q, scale %v", manifest.State, manifest.Data.Type, manifest.Data.Scale)
	}
	for _, picture := range e.Output.Show {
		if found, err := filepath.Glob(filepath.Join(run.Path, "pictures", picture+"*.png")); err != nil || len(found) == 0 {
			t.Errorf("no picture %s", picture)
		}
	}
}
