package vmap_test

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/janpfeifer/must"

	"latent/pkg/backend"
	"latent/pkg/vmap"
)

// A linear layer and its gradient, with two weight matrices at once on the same images.
func Example() {
	b := must.M1(backend.OpenInstalled("go", backend.Options{}))
	defer b.Close()
	layer := func(inputs []*Node) []*Node {
		x, w := inputs[0], inputs[1]
		loss := ReduceAllSum(Square(MatMul(x, w)))
		return []*Node{loss, Gradient(loss, w)[0]}
	}
	outputs := must.M1(ExecOnceN(b.Compute, func(inputs []*Node) []*Node {
		return vmap.Map(layer, []vmap.Input{{Node: inputs[0]}, {Node: inputs[1], Mapped: true}})
	}, [][]float32{{1, 2}}, [][][]float32{{{1}, {1}}, {{0}, {2}}}))
	fmt.Println("losses", outputs[0].Value())
	fmt.Println("gradients", outputs[1].Value())
	// Output:
	// losses [9 16]
	// gradients [[[6] [12]] [[8] [16]]]
}
