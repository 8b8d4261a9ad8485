package corrupt

import (
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Masking sets random pixels to one value, all channels of a pixel together.
type Masking struct {
	// Probability is that of each pixel to be set.
	Probability Range `yaml:"probability" min:"0" max:"1" strength:"yes"`

	// Value is what the pixels are set to, from -1, black, to 1, white.
	Value float64 `yaml:"value" min:"-1" max:"1" strength:"yes"`
}

// Strengths returns the probability and the value.
func (c *Masking) Strengths() []float32 { return append(strengthsOf(c.Probability), float32(c.Value)) }

// Caption returns for example "masking 0.5".
func (c *Masking) Caption() string { return "masking " + c.Probability.String() }

// Local says that other pixels stay as they are.
func (*Masking) Local() {}

// Apply sets the pixels. x: [batch, height, width, channels].
func (c *Masking) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	batch, height, width := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	probability := between(strengths, 0, key.Child(0).Uniform(batch, 1, 1, 1)) // [batch, 1, 1, 1]
	chosen := LessThan(key.Child(1).Uniform(batch, height, width, 1), probability)
	return replace(x, chosen, strengths[2])
}
