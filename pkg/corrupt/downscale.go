package corrupt

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/random"
)

// Downscale shrinks the image by a whole factor, averaging squares of pixels, and enlarges it again. If the factor does not divide a side,
// the last squares are cut off at the border.
type Downscale struct {
	// Factor is the side of the squares, in pixels.
	Factor int `yaml:"factor" min:"2" max:"4096"`

	// Upscale is the interpolation by which the image is enlarged: nearest or bilinear.
	Upscale string `yaml:"upscale" enum:"nearest,bilinear"`
}

// Strengths returns nothing.
func (*Downscale) Strengths() []float32 { return nil }

// Pictorial says that vectors have nothing for it.
func (*Downscale) Pictorial() {}

// Caption returns for example "downscale ×4".
func (c *Downscale) Caption() string { return fmt.Sprintf("downscale ×%d", c.Factor) }

// Apply scales down and up. x: [batch, height, width, channels].
//
// Both are linear and separable: a constant matrix for each axis.
func (c *Downscale) Apply(x *Node, _ []*Node, _ random.Key) *Node {
	x = Einsum("bhwc,ih->biwc", x, ConstTensor(x.Graph(), c.matrix(x.Shape().Dim(1))))
	return Einsum("biwc,jw->bijc", x, ConstTensor(x.Graph(), c.matrix(x.Shape().Dim(2))))
}

// matrix returns [n, n]: the weight of place j in what comes out at place i.
func (c *Downscale) matrix(n int) *tensors.Tensor {
	weights := make([]float32, n*n)
	last := (n - 1) / c.Factor
	// add enters a share of the mean of square k into place i.
	add := func(i, k int, share float64) {
		first, end := k*c.Factor, min((k+1)*c.Factor, n)
		for j := first; j < end; j++ {
			weights[i*n+j] += float32(share / float64(end-first))
		}
	}
	for i := range n {
		if c.Upscale == "nearest" {
			add(i, i/c.Factor, 1)
			continue
		}
		// Square k has its centre at k + ½ squares from the border; beyond the outermost centres the image is constant.
		at := min(max((float64(i)+0.5)/float64(c.Factor)-0.5, 0), float64(last))
		k := int(at)
		add(i, k, 1-(at-float64(k)))
		add(i, min(k+1, last), at-float64(k))
	}
	return tensors.FromFlatDataAndDimensions(weights, n, n)
}
