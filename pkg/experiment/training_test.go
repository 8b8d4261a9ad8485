package experiment

import (
	"context"
	"os"
	"strings"
	"testing"

	"latent/pkg/config"
)

// A model with room for 32 images learns them by heart in 40 epochs, and the figures of training samples show it; a trial of a sweep has none.
func TestTrainingFigures(t *testing.T) {
	e, err := config.Parse("tiny.yaml", []byte(`
data: {dataset: glyphs, train: 32, test: 48, validation: 0}
model: {encoder: [64], decoder: [64]}
train: {batch_size: 8, epochs: 40, learning_rate: 0.005}
output: {grid: {every: 0}}
backend: go
`), "output.dir="+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, brief := range []bool{false, true} {
		run, err := Run(context.Background(), e, Options{Brief: brief})
		if err != nil {
			t.Fatal(err)
		}
		m, err := run.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		r := m.Result
		if brief {
			if r.Training != nil || r.TrainingSamples != 0 {
				t.Errorf("a brief run has figures of %d training samples: %v", r.TrainingSamples, r.Training)
			}
			continue
		}
		if r.TrainingSamples != 32 || len(r.Training) != len(r.Test) || !(r.Training["psnr"] > r.Test["psnr"]+3) {
			t.Errorf("figures of %d training samples %v beside those of the test %v, want those of 32, with a PSNR of 3 dB more", r.TrainingSamples, r.Training, r.Test)
		}
		page, err := os.ReadFile(run.ReportPath())
		if err != nil || !strings.Contains(string(page), "the same of 32 training images") {
			t.Errorf("the report does not tell of training samples: %v", err)
		}
	}
}
