package train

import (
	"fmt"
	"testing"

	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
)

// bytes are n images of 28×28 random bytes: the time of a step does not depend on what is in them.
func bytes(n int) *dataset.Images {
	images := &dataset.Images{Height: 28, Width: 28, Channels: 1, Pixels: make([]uint8, n*784)}
	for i := range images.Pixels {
		images.Pixels[i] = uint8(random.NewSeed(4).Block(uint32(i), 0)[0])
	}
	return images
}

// seedSpec is the seed's experiment, without end.
func seedSpec(encoder, decoder []int, batch int) Spec {
	s := spec()
	s.Model = &model.Dense{Encoder: encoder, Decoder: decoder, Activation: "relu", LatentActivation: "relu", Output: "tanh", Init: "pytorch"}
	s.BatchSize, s.Epochs = batch, 1_000_000
	return s
}

// advance measures calls of 50 steps.
func advance(b *testing.B, group *Group) {
	steps := 0
	for b.Loop() {
		windows, err := group.Advance(50)
		if err != nil {
			b.Fatal(err)
		}
		steps += len(windows[0].Losses)
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(steps*len(group.Runs)), "ms/step/run")
	b.ReportMetric(group.program.CompileTime.Seconds(), "s-compile")
}

// BenchmarkNoise is a step of the seed's model without noise and with it: what the random numbers cost.
func BenchmarkNoise(b *testing.B) {
	xla, images := backendtest.XLA(b), bytes(12800)
	for _, noise := range []corrupt.Corruption{&corrupt.None{}, &corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.3), Clip: true}} {
		b.Run(corrupt.Chain{noise}.Caption(), func(b *testing.B) {
			s := seedSpec([]int{256, 128, 64}, []int{128, 256}, 128)
			s.Corrupt = corrupt.Chain{noise}
			advance(b, start(b, xla, images, s))
		})
	}
}

// BenchmarkGroup is the time of a step for each run of a group: it falls with their number where one run alone leaves the
// device idle.
func BenchmarkGroup(b *testing.B) {
	xla, images := backendtest.XLA(b), bytes(12800)
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
					specs[i] = seedSpec(m.encoder, m.decoder, m.batch)
					specs[i].Seed = int64(i)
				}
				advance(b, start(b, xla, images, specs...))
			})
		}
	}
}
