package corrupt_test

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/janpfeifer/must"

	"latent/pkg/backend"
	"latent/pkg/corrupt"
	"latent/pkg/random"
)

// A chain is applied where a graph is built. Its strengths are inputs of the program, and the key decides its draws: here the
// same rectangle is erased from a white image each time.
func Example() {
	b := must.M1(backend.OpenInstalled("go", backend.Options{}))
	defer b.Close()
	chain := corrupt.Chain{&corrupt.Erase{Count: 1, Side: corrupt.Fixed(0.5), Value: -1}}

	damaged := must.M1(ExecOnce(b.Compute, func(nodes []*Node) *Node {
		white := Ones(nodes[0].Graph(), shapes.Make(dtypes.Float32, 1, 6, 16, 1)) // [batch, height, width, channels], pixels in [-1, 1]
		return chain.Apply(white, nodes[1:], random.KeyFromNode(nodes[0]))
	}, inputs(chain, random.NewSeed(42))...))

	fmt.Println(chain.Caption())
	for i, pixel := range tensors.MustCopyFlatData[float32](damaged) {
		fmt.Print(map[float32]string{1: "#", -1: "."}[pixel])
		if i%16 == 15 {
			fmt.Println()
		}
	}
	// Output:
	// erase 1 × 0.5
	// #####........###
	// #####........###
	// #####........###
	// ################
	// ################
	// ################
}

// inputs are those of the program: the seed, then the strengths.
func inputs(chain corrupt.Chain, seed random.Seed) []any {
	all := []any{seed[:]}
	for _, strength := range chain.Strengths() {
		all = append(all, strength)
	}
	return all
}
