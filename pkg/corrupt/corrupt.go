// Package corrupt damages clean images, as graph functions.
//
// A [Corruption] is a value with a few documented fields, the same fields that
// a config names under `corrupt:`. A [Chain] applies several in order:
//
//	chain := corrupt.Chain{&corrupt.Gaussian{NoiseFactor: 0.3, Clip: true}}
//	damaged := chain.Apply(x, strengths, draw) // in a graph; x: [batch, height, width, channels]
//
// Every random number comes from the [random.Key] that the caller hands in, so
// that the same (seed, step) damages a batch in the same way on every backend.
//
// What is not here: reading images (pkg/dataset) and learning to undo the
// damage (pkg/model, pkg/train).
package corrupt

import (
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Corruption is one kind of damage. A chain calls Strengths once on the host,
// and Apply where the graph is built.
type Corruption interface {
	// Strengths lists the numbers that enter the compiled program as inputs, so
	// that another value compiles nothing anew. May be empty. The fields that it
	// reads carry the tag strength:"yes"; see [Chain.Structure].
	Strengths() []float32

	// Apply damages x.
	//
	//   - x: [batch, height, width, channels], float, pixels in [-1, 1]
	//   - strengths: scalars, as many as Strengths returns, in its order
	//   - key: the source of every draw
	//
	// It returns the shape of x.
	Apply(x *Node, strengths []*Node, key random.Key) *Node

	// Caption describes the damage in a few words, for pictures and tables:
	// "gaussian 0.3".
	Caption() string
}

// Kinds holds every corruption that a config can name, with its defaults.
var Kinds = map[string]func() Corruption{
	"none":     func() Corruption { return &None{} },
	"gaussian": func() Corruption { return &Gaussian{NoiseFactor: Fixed(0.3), Clip: true} },
}
