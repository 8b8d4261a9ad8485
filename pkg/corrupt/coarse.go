package corrupt

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// CoarseNoise adds smooth normal noise: clouds, lighter and darker than the picture, independent for each channel. A model that removes
// them learns what belongs in such pictures, and removes what does not. That makes it a detector of anomalies about as large as the clouds
// (Kascenas, Pugeault & O'Neil, "Denoising autoencoders for unsupervised anomaly detection in brain MRI", MIDL 2022), whereas white noise
// teaches it to smooth.
//
// The noise is drawn at the corners of a grid with a random offset for each picture, interpolated linearly, and scaled so that each pixel
// has the standard deviation noise_factor.
type CoarseNoise struct {
	// NoiseFactor is the standard deviation of the noise, on pixels scaled to [-1, 1]: 0.4 as published.
	NoiseFactor Range `yaml:"noise_factor" min:"0" max:"100" strength:"yes"`

	// Grain is the side of the grid's squares, in pixels: about the size of the anomalies to find.
	Grain int `yaml:"grain" min:"2" max:"4096"`

	// Clip keeps the corrupted pixels within [-1, 1], if the scale has these limits.
	Clip bool `yaml:"clip"`
}

// Strengths returns the noise factor.
func (c *CoarseNoise) Strengths() []float32 { return Ends(c.NoiseFactor) }

// Open returns the corruption without clipping.
func (c *CoarseNoise) Open() Corruption {
	return &CoarseNoise{NoiseFactor: c.NoiseFactor, Grain: c.Grain}
}

// Caption returns for example "coarse noise 0.4, grain 16".
func (c *CoarseNoise) Caption() string {
	return fmt.Sprintf("coarse noise %s, grain %d", c.NoiseFactor, c.Grain)
}

// Pictorial says that a vector's values do not lie beside each other.
func (*CoarseNoise) Pictorial() {}

// Apply adds the noise. x: [batch, height, width, channels].
func (c *CoarseNoise) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	batch, height, width, channels := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2), x.Shape().Dim(3)
	factor := Between(strengths, 0, key.Child(0).Uniform(batch, 1, 1, 1))
	down, across := c.weights(x, height, key.Child(1)), c.weights(x, width, key.Child(2))
	noise := key.Child(3).Normal(batch, down.Shape().Dim(2), across.Shape().Dim(2), channels)
	noise = Einsum("bhp,bpqc->bhqc", down, noise)
	damaged := Add(x, Mul(factor, Einsum("bwq,bhqc->bhwc", across, noise)))
	if c.Clip {
		damaged = ClipScalar(damaged, -1, 1)
	}
	return damaged
}

// weights are those of the grid's corners along an axis of n pixels, for each picture: [batch, n, corners]. Of a pixel between two
// corners they are linear in its distance to them, and their squares' sum is 1, so that the variance is the same everywhere.
func (c *CoarseNoise) weights(x *Node, n int, key random.Key) *Node {
	shape := shapes.Make(dtypes.Float32, x.Shape().Dim(0), n, (n+c.Grain-2)/c.Grain+2)
	start := key.Uniform(shape.Dim(0), 1, 1) // of the first pixel, in squares
	place := Add(DivScalar(Iota(x.Graph(), shape, 1), float64(c.Grain)), start)
	near := MaxScalar(OneMinus(Abs(Sub(place, Iota(x.Graph(), shape, 2)))), 0)
	return Div(near, Sqrt(ReduceAndKeep(Square(near), ReduceSum, 2)))
}
