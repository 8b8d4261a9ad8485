package backend_test

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/janpfeifer/must"

	"latent/pkg/backend"
)

// A backend is what graphs are compiled for. OpenInstalled takes the one that is named; Open looks for the best, and may
// install it.
func Example() {
	b := must.M1(backend.OpenInstalled("go", backend.Options{}))
	defer b.Close()
	must.M(backend.Check(b)) // a small computation comes out right

	length := must.M1(ExecOnce(b.Compute, func(x *Node) *Node { return Sqrt(ReduceAllSum(Square(x))) }, []float32{3, 4}))
	fmt.Println(b.Name, length.Value())
	// Output: go 5
}
