package corrupt_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/random"
)

// loop returns the sum of what steps of a training loop would damage: in one call, with another key for each step.
func loop(chain corrupt.Chain, steps int) func(nodes []*Node) *Node {
	return func(nodes []*Node) *Node { // seed, x, strengths
		// The loop's state is the step, the sum, and all inputs; no constant is made out here, see train.Program.build.
		g := nodes[0].Graph()
		start := append([]*Node{ConvertDType(Reshape(Slice(nodes[0], AxisElem(0))), dtypes.Int32), nodes[1]}, nodes...)
		parameters := func(g *Graph) []*Node {
			inside := make([]*Node, len(start))
			for i, node := range start {
				inside[i] = Parameter(g, "", node.Shape())
			}
			return inside
		}
		more := NewClosure(g, func(g *Graph) []*Node {
			return []*Node{LessThan(parameters(g)[0], Scalar(g, dtypes.Int32, steps))}
		})
		body := NewClosure(g, func(g *Graph) []*Node {
			s := parameters(g)
			key := random.KeyFromNode(s[2]).At(ConvertDType(s[0], dtypes.Uint32))
			sum := Add(s[1], chain.Apply(s[3], s[4:], key))
			return append([]*Node{AddScalar(s[0], 1), sum}, s[2:]...)
		})
		return While(more, body, start...)[1]
	}
}

// BenchmarkApply is the time that each corruption takes of a training step, on a batch of 128 images of 28×28.
func BenchmarkApply(b *testing.B) {
	const steps = 50
	xla := backendtest.XLA(b)
	x := tensors.FromFlatDataAndDimensions(make([]float32, 128*28*28), 128, 28, 28, 1)
	for _, name := range slices.Sorted(maps.Keys(corrupt.Kinds)) {
		b.Run(name, func(b *testing.B) {
			chain := corrupt.Chain{corrupt.Kinds[name]()}
			inputs := []any{[]uint32{0, 1}, x}
			for _, strength := range chain.Strengths() {
				inputs = append(inputs, strength)
			}
			exec, err := NewExec(xla.Compute, loop(chain, steps))
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
