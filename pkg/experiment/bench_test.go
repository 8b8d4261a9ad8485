package experiment

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"latent/pkg/config"
)

// BenchmarkTrial is what a trial of a sweep costs beside training and validation, where its shape is compiled already: of the
// seed's model, an epoch long. The bar is 10 ms. On two cores of a virtual AMD EPYC it is 8 ms where the trial's folder is in
// memory (TMPDIR=/dev/shm), and 9 to 20 on a disk, whose file system takes up to a millisecond and a half for a new file.
func BenchmarkTrial(b *testing.B) {
	b.Setenv("GOMLX_BACKEND", "")
	dir := b.TempDir()
	lab := NewLab(Options{Brief: true, Untested: true})
	defer lab.Close()
	trials := 0
	run := func() map[string]float64 {
		trials++
		e, err := config.Parse("bench.yaml", []byte(`
data: {dataset: glyphs, train: 1280, test: 64, validation: 128}
corrupt: {kind: gaussian, noise_factor: 0.3}
model: {kind: dense, encoder: [256, 128, 64], decoder: [128, 256], activation: relu, latent_activation: relu, output: tanh}
train: {optimizer: adam, batch_size: 128, epochs: 1, loss: mse}
`), fmt.Sprintf("train.learning_rate=%g", 0.001/float64(trials)))
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		session, err := lab.Start(b.Context(), []*config.Experiment{e}, []string{filepath.Join(dir, fmt.Sprint(trials))})
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range session.Epochs(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
		}
		session.Close()
		took := time.Since(start).Seconds()
		m, err := session.Folders()[0].Manifest()
		if err != nil {
			b.Fatal(err)
		}
		m.Timings["all"] = took
		return m.Timings
	}
	run() // compiles
	sums, n := map[string]float64{}, 0
	for b.Loop() {
		n++
		for what, seconds := range run() {
			sums[what] += seconds
		}
	}
	for what, seconds := range sums {
		if what != "all" {
			b.ReportMetric(1000*seconds/float64(n), what+"-ms")
		}
	}
	b.ReportMetric(1000*(sums["all"]-sums["train"]-sums["evaluate"])/float64(n), "overhead-ms")
}
