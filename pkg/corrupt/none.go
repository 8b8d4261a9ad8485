package corrupt

import (
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// None leaves the image unchanged; name it to switch corruption off.
type None struct{}

// Strengths returns nothing.
func (*None) Strengths() []float32 { return nil }

// Caption returns "none".
func (*None) Caption() string { return "none" }

// Apply returns x.
func (*None) Apply(x *Node, _ []*Node, _ random.Key) *Node { return x }
