package corrupt

import (
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Gaussian adds white noise to every pixel: clamp(x + noise_factor · ε, -1, 1), with ε standard normal, drawn for every batch.
type Gaussian struct {
	// NoiseFactor is the standard deviation of the noise, on pixels scaled to [-1, 1]: 0.3 is visible, 1 hides most of a digit. For
	// standardised values, it is in units of their standard deviation.
	NoiseFactor Range `yaml:"noise_factor" min:"0" max:"100" strength:"yes"`

	// Sigma replaces noise_factor by the standard deviation of the noise on pixels scaled to [0, 255], as papers give it: 25 is a
	// noise_factor of 0.196. With 0, noise_factor counts. Papers do not clip: set clip: false too.
	Sigma Range `yaml:"sigma" min:"0" max:"12750" strength:"yes"`

	// Clip keeps the corrupted pixels within [-1, 1], as a picture file would. It has no effect on scales without limits, those of tables
	// and of standardised values.
	Clip bool `yaml:"clip"`
}

// factor is the standard deviation of the noise in the model's scale.
func (c *Gaussian) factor() Range {
	if c.Sigma == (Range{}) {
		return c.NoiseFactor
	}
	return Range{c.Sigma[0] / 127.5, c.Sigma[1] / 127.5}
}

// Strengths returns the noise factor.
func (c *Gaussian) Strengths() []float32 { return Ends(c.factor()) }

// Open returns the corruption without clipping.
func (c *Gaussian) Open() Corruption { return &Gaussian{NoiseFactor: c.NoiseFactor, Sigma: c.Sigma} }

// Caption returns for example "gaussian 0.3", or "gaussian σ = 25".
func (c *Gaussian) Caption() string {
	if c.Sigma != (Range{}) {
		return "gaussian σ = " + c.Sigma.String()
	}
	return "gaussian " + c.NoiseFactor.String()
}

// Apply adds the noise. x: [batch, height, width, channels].
func (c *Gaussian) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	factor := Between(strengths, 0, key.Child(0).Uniform(x.Shape().Dim(0), 1, 1, 1)) // [batch, 1, 1, 1]
	damaged := Add(x, Mul(factor, key.Normal(x.Shape().Dimensions...)))
	if c.Clip {
		damaged = ClipScalar(damaged, -1, 1)
	}
	return damaged
}
