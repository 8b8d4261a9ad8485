package corrupt

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Quantise rounds every value to the nearest of a few levels, evenly spaced from black to white, each channel separately.
type Quantise struct {
	// Levels is the number of levels.
	Levels int `yaml:"levels" min:"2" max:"256" strength:"yes"`
}

// Strengths returns the levels.
func (c *Quantise) Strengths() []float32 { return []float32{float32(c.Levels)} }

// Pictorial says that vectors have nothing for it.
func (*Quantise) Pictorial() {}

// Caption returns for example "4 levels".
func (c *Quantise) Caption() string { return fmt.Sprintf("%d levels", c.Levels) }

// Apply rounds; values beyond [-1, 1] become the nearest level too. x: [batch, height, width, channels].
func (c *Quantise) Apply(x *Node, strengths []*Node, _ random.Key) *Node {
	steps := AddScalar(strengths[0], -1)
	unit := MulScalar(AddScalar(ClipScalar(x, -1, 1), 1), 0.5)
	level := Floor(AddScalar(Mul(unit, steps), 0.5)) // 0 … steps
	return AddScalar(MulScalar(Div(level, steps), 2), -1)
}
