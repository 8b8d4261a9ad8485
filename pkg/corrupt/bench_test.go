package corrupt_test

import (
	"maps"
	"slices"
	"testing"

	"latent/pkg/corrupt"
	"latent/pkg/corrupt/corrupttest"
)

// BenchmarkApply is the time that each corruption takes of a training step.
func BenchmarkApply(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(corrupt.Kinds)) {
		b.Run(name, func(b *testing.B) { corrupttest.Benchmark(b, corrupt.Chain{corrupt.Kinds[name]()}) })
	}
}
