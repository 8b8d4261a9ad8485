package random_test

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/janpfeifer/must"

	"latent/pkg/backend"
	"latent/pkg/random"
)

// A draw is a function of its key: there is no state, and what is drawn in a graph is what the host draws.
func Example() {
	seed := random.NewSeed(42)
	fmt.Println(seed.Permutation(8), seed.Child(1).Permutation(8))

	b := must.M1(backend.OpenInstalled("go", backend.Options{}))
	defer b.Close()
	words := must.M1(ExecOnce(b.Compute, func(key *Node) *Node { return random.KeyFromNode(key).Bits(1, 2) }, seed[:]))
	host := seed.Block(0, 0)
	fmt.Println("the same words:", slices.Equal(tensors.MustCopyFlatData[uint32](words), host[:]))
	// Output:
	// [3 5 0 4 7 2 6 1] [2 4 7 1 3 5 6 0]
	// the same words: true
}
