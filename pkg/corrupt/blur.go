package corrupt

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Blur replaces each pixel by the mean of all pixels, weighted by a Gaussian of their distance. Near the border, the weights of the pixels
// inside are scaled to a sum of 1.
type Blur struct {
	// Sigma is the standard deviation of the Gaussian, in pixels; 0 leaves the image as it is.
	Sigma Range `yaml:"sigma" min:"0" max:"1000" strength:"yes"`
}

// Strengths returns sigma.
func (c *Blur) Strengths() []float32 { return Ends(c.Sigma) }

// Pictorial says that vectors have nothing for it.
func (*Blur) Pictorial() {}

// Caption returns for example "blur 1.5".
func (c *Blur) Caption() string { return "blur " + c.Sigma.String() }

// Apply blurs. x: [batch, height, width, channels].
//
// The Gaussian is a product of one for rows and one for columns, each a matrix product.
func (c *Blur) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	sigma := Between(strengths, 0, key.Child(0).Uniform(x.Shape().Dim(0), 1, 1)) // [batch, 1, 1]
	x = Einsum("bhwc,bih->biwc", x, blurWeights(sigma, x.Shape().Dim(1)))
	return Einsum("biwc,bjw->bijc", x, blurWeights(sigma, x.Shape().Dim(2)))
}

// blurWeights returns the weight of place j in the mean at place i: exp(-(i-j)² / 2σ²) / Σⱼ. sigma: [batch, 1, 1]; returns
// [batch, n, n].
func blurWeights(sigma *Node, n int) *Node {
	place := func(axis int) *Node { return Iota(sigma.Graph(), shapes.Make(dtypes.Float32, 1, n, n), axis) }
	// At σ = 0, 10⁻³ leaves the neighbours a weight of exp(-5·10⁵) = 0.
	exponent := Div(Square(Sub(place(1), place(2))), MulScalar(Square(MaxScalar(sigma, 1e-3)), -2))
	weights := Exp(exponent)
	return Div(weights, ReduceAndKeep(weights, ReduceSum, 2))
}
