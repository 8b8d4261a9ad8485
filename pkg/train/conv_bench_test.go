package train

import (
	"testing"

	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/model"
)

// BenchmarkConv is a step of the convolutional models of configs/mnist.
func BenchmarkConv(b *testing.B) {
	xla, images := backendtest.XLA(b), bytes(12800)
	for _, kind := range []string{"conv", "unet"} {
		b.Run(kind, func(b *testing.B) {
			s := seedSpec(nil, nil, 128)
			s.Model = model.Kinds[kind]()
			s.Corrupt = corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.5), Clip: true}}
			group := start(b, xla, images, s)
			steps := 0
			for b.Loop() {
				windows, err := group.Advance(10)
				if err != nil {
					b.Fatal(err)
				}
				steps += len(windows[0].Losses)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(steps), "ms/step")
			b.ReportMetric(group.program.CompileTime.Seconds(), "s-compile")
		})
	}
}
