package trace_test

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/janpfeifer/must"

	"latent/pkg/trace"
)

// The operations of a gradient: what GoMLX makes of a function, without what no output needs.
func Example() {
	t := must.M1(trace.Record([]shapes.Shape{shapes.Make(dtypes.Float32, 3)}, func(inputs []*Node) []*Node {
		length := ReduceAllSum(Square(inputs[0]))
		Exp(length) // nobody asks for it
		return Gradient(length, inputs[0])
	}))
	for _, op := range t.Ops {
		fmt.Println(op.Type, op.Shape)
	}
	// Output:
	// Parameter (Float32)[3]
	// Constant (Float32)
	// Reshape (Float32)[1]
	// BroadcastInDim (Float32)[3]
	// Mul (Float32)[3]
	// Mul (Float32)[3]
	// Add (Float32)[3]
}
