package corrupt

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Gaussian adds white noise to every pixel: clamp(x + noise_factor · ε, -1, 1), with ε standard
// normal, drawn anew for every batch.
type Gaussian struct {
	// NoiseFactor is the standard deviation of the noise, on pixels scaled to [-1, 1]: 0.3 is visible, 1 hides most
	// of a digit.
	NoiseFactor float64 `yaml:"noise_factor" min:"0" max:"100" strength:"yes"`

	// Clip keeps the damaged pixels within [-1, 1], as a picture file would.
	Clip bool `yaml:"clip"`
}

// Strengths returns the noise factor.
func (c *Gaussian) Strengths() []float32 { return []float32{float32(c.NoiseFactor)} }

// Caption returns for example "gaussian 0.3".
func (c *Gaussian) Caption() string { return fmt.Sprintf("gaussian %g", c.NoiseFactor) }

// Apply adds the noise. x: [batch, height, width, channels].
func (c *Gaussian) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	damaged := Add(x, Mul(strengths[0], key.Normal(x.Shape().Dimensions...)))
	if c.Clip {
		damaged = ClipScalar(damaged, -1, 1)
	}
	return damaged
}
