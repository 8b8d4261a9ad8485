package corrupt_test

import (
	"maps"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/random"
)

// BenchmarkApply is the time that each corruption takes of a training step, on a batch of 128 images of 28×28.
func BenchmarkApply(b *testing.B) {
	const steps = 50
	xla := backendtest.XLA(b)
	x := make([]float32, 128*28*28)
	for _, name := range slices.Sorted(maps.Keys(corrupt.Kinds)) {
		b.Run(name, func(b *testing.B) {
			chain := corrupt.Chain{corrupt.Kinds[name]()}
			inputs := inputsOf(chain, x, random.Seed{0, steps}, 128, 28, 28, 1)
			exec, err := NewExec(xla.Compute, loop(chain))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				output, err := exec.Call(inputs...)
				if err != nil {
					b.Fatal(err)
				}
				tensors.MustCopyFlatData[float32](output[0])
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N*steps), "ms/step")
		})
	}
}
