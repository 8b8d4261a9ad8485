package experiment_test

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

// What is wrong with the input before the first step leaves no folder, whenever it is found; what was there before stays.
func TestInputErrorsLeaveNothing(t *testing.T) {
	const tooLarge = "model: {kind: dense, encoder: [5000], decoder: [4]}\nevaluate: {probe: true}"
	const glyphs = "data: {dataset: glyphs, train: 40, test: 20, validation: 8}\ntrain: {batch_size: 8, epochs: 1}\n"
	for name, test := range map[string]struct{ text, before string }{
		"classes":  {text: glyphs + "model: {kind: vae, encoder: [8], latent: 2, decoder: [8], classes: 3}"},
		"missing":  {text: "data: {dataset: folder, dir: nowhere, height: 8, width: 8}\ntrain: {batch_size: 8, epochs: 1}"},
		"file":     {text: glyphs + "corrupt: {kind: watermark, image: stamp.png}"}, // which goes after the config was read
		"late":     {text: glyphs + tooLarge},                                       // which only the compiled model says
		"existing": {text: glyphs + tooLarge, before: "other"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			out := filepath.Join(dir, "some", "runs")
			if test.before != "" {
				if err := os.MkdirAll(filepath.Join(out, "tiny", test.before), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			stamp := filepath.Join(dir, "stamp.png")
			var picture bytes.Buffer
			if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(stamp, picture.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			e, err := config.Parse("tiny.yaml", []byte(strings.ReplaceAll(test.text, "stamp.png", stamp)), "backend=go", "name=tiny", "output.dir="+out)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(stamp); err != nil {
				t.Fatal(err)
			}
			run, err := experiment.Run(t.Context(), e, experiment.Options{})
			var input experiment.InputError
			if run != nil || !errors.As(err, &input) {
				t.Fatalf("%v, %v; want an error of the input and no run", run, err)
			}
			_, err = os.Stat(filepath.Join(dir, "some"))
			if (test.before == "") != errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what is left: %v", err)
			}
			if test.before != "" {
				children, err := os.ReadDir(filepath.Join(out, "tiny"))
				if err != nil || len(children) != 1 {
					t.Errorf("beside what was there: %v, %v", children, err)
				}
			}
		})
	}
}

// A run that was there, and cannot go on, stays.
func TestResumeRemovesNothing(t *testing.T) {
	run, err := rundir.Create(t.TempDir(), "tiny", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := experiment.Resume(t.Context(), run.Path, experiment.Options{}); err == nil {
		t.Error("a folder without a config went on")
	}
	if _, err := os.Stat(run.Path); err != nil {
		t.Error(err)
	}
}
