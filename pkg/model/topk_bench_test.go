package model

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
)

// BenchmarkTopK keeps the 32 largest values of each of 1,024 rows, by counts as here and by GoMLX's sort; none only makes negative ones 0.
// cpu-ms is processor time, over all cores: it says more than the time on a busy machine.
func BenchmarkTopK(b *testing.B) {
	const batch, k = 1024, 32
	xla := backendtest.XLA(b)
	for _, width := range []int{256, 1024, 4096} {
		x := tensors.FromFlatDataAndDimensions(random.NewSeed(1).Normal(batch*width, 1), batch, width)
		for _, c := range []struct {
			who  string
			keep func(x *Node) *Node
		}{
			{"none", func(x *Node) *Node { return x }},
			{"rows", func(x *Node) *Node { return largest(x, Scalar(x.Graph(), dtypes.Float32, k), false) }},
			{"together", func(x *Node) *Node { return largest(x, Scalar(x.Graph(), dtypes.Float32, k*batch), true) }},
			{"sort", func(x *Node) *Node { return Where(TopKMask(x, k, -1), x, ZerosLike(x)) }},
		} {
			b.Run(fmt.Sprintf("%d/%s", width, c.who), func(b *testing.B) {
				exec, err := NewExec(xla.Compute, func(x *Node) *Node { return ReduceAllSum(c.keep(MaxScalar(x, 0))) })
				if err != nil {
					b.Fatal(err)
				}
				defer exec.Finalize()
				call := func() {
					outputs, err := exec.Call(x)
					if err != nil {
						b.Fatal(err)
					}
					tensors.MustCopyFlatData[float32](outputs[0]) // Waits for the device.
				}
				call()
				start, calls := processorTime(), 0
				for b.Loop() {
					call()
					calls++
				}
				b.ReportMetric((processorTime()-start)/float64(calls), "cpu-ms")
			})
		}
	}
}
