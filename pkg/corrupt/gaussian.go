package corrupt

import (
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Gaussian adds white noise to every pixel: clamp(x + noise_factor · ε, -1, 1), with ε standard
// normal, drawn anew for every batch.
type Gaussian struct {
	// NoiseFactor is the standard deviation of the noise, on pixels scaled to [-1, 1]: 0.3 is visible, 1 hides most
	// of a digit.
	NoiseFactor Range `yaml:"noise_factor" min:"0" max:"100" strength:"yes"`

	// Clip keeps the damaged pixels within [-1, 1], as a picture file would.
	Clip bool `yaml:"clip"`
}

// Strengths returns the noise factor.
func (c *Gaussian) Strengths() []float32 { return Ends(c.NoiseFactor) }

// Caption returns for example "gaussian 0.3".
func (c *Gaussian) Caption() string { return "gaussian " + c.NoiseFactor.String() }

// Apply adds the noise. x: [batch, height, width, channels].
func (c *Gaussian) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	factor := Between(strengths, 0, key.Child(0).Uniform(x.Shape().Dim(0), 1, 1, 1)) // [batch, 1, 1, 1]
	damaged := Add(x, Mul(factor, key.Normal(x.Shape().Dimensions...)))
	if c.Clip {
		damaged = ClipScalar(damaged, -1, 1)
	}
	return damaged
}
