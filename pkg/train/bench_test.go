package train

import (
	"fmt"
	"testing"

	"latent/pkg/backend/backendtest"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
)

// BenchmarkGroup is the time of a step for each run of a group: it falls with their number where one run alone leaves the
// device idle.
func BenchmarkGroup(b *testing.B) {
	xla := backendtest.XLA(b)
	images := &dataset.Images{Height: 28, Width: 28, Channels: 1, Pixels: make([]uint8, 12800*784)}
	for i := range images.Pixels {
		images.Pixels[i] = uint8(random.NewSeed(4).Block(uint32(i), 0)[0])
	}
	for _, m := range []struct {
		name             string
		encoder, decoder []int
		batch            int
	}{
		{"seed", []int{256, 128, 64}, []int{128, 256}, 128},
		{"small", []int{32}, nil, 32},
	} {
		for _, runs := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("%s/runs=%d", m.name, runs), func(b *testing.B) {
				specs := make([]Spec, runs)
				for i := range specs {
					specs[i] = spec()
					specs[i].Model = &model.Dense{Encoder: m.encoder, Decoder: m.decoder, Activation: "relu",
						LatentActivation: "relu", Output: "tanh", Init: "pytorch"}
					specs[i].BatchSize, specs[i].Epochs, specs[i].Seed = m.batch, 1_000_000, int64(i)
				}
				group := start(b, xla, images, specs...)
				steps := 0
				for b.Loop() {
					windows, err := group.Advance(50)
					if err != nil {
						b.Fatal(err)
					}
					steps += len(windows[0].Losses)
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(steps*runs), "ms/step/run")
				b.ReportMetric(group.program.CompileTime.Seconds(), "s-compile")
			})
		}
	}
}
