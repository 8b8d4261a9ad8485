package corrupt

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// BlindSpot replaces single pixels with others from their neighbourhood, all channels together. From noisy pictures alone, the model learns
// to predict a pixel from the ones around it: noise that is independent between pixels cannot be predicted, so that what it predicts is the
// picture (Noise2Void, Krull et al. 2019). It needs train.loss_on: damaged, and applies to training only: held-out pictures are not
// changed.
//
// One pixel is drawn in each square of a grid, which spreads them evenly ("stratified sampling" in the paper). The model should not be
// residual: it would add the replaced pixel to its output in training, and the noisy pixel afterwards.
type BlindSpot struct {
	// Spacing is the side of the squares, in pixels: 8 replaces one pixel in 64 (1.6 %), as published; 22 gives the 0.2 % of later
	// programs. More pixels teach a step more, until they get too close to each other. Squares cut off by the border have fewer.
	Spacing int `yaml:"spacing" min:"2" max:"4096"`

	// Radius is the largest distance of the other pixel, in pixels, on each axis: with 5 it is one of the 120 around it. Pixels beyond the
	// border are never chosen.
	Radius int `yaml:"radius" min:"1" max:"64"`
}

// Strengths returns nothing.
func (*BlindSpot) Strengths() []float32 { return nil }

// Caption returns for example "blind spots 8".
func (c *BlindSpot) Caption() string { return fmt.Sprintf("blind spots %d", c.Spacing) }

// Local says that other pixels stay as they are.
func (*BlindSpot) Local() {}

// Pictorial says that pixels have neighbours.
func (*BlindSpot) Pictorial() {}

// TrainingOnly says that held-out pictures are given as they are.
func (*BlindSpot) TrainingOnly() {}

// spots are the chosen pixels, one of each square: their row and column in the picture and those in the square, [batch, rows, columns]
// int32. In squares that the border cuts off, they may lie beyond it.
type spots struct{ y, x, inY, inX *Node }

// spots draws them for pictures like x.
func (c *BlindSpot) spots(x *Node, key random.Key) spots {
	batch, height, width := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	grid := shapes.Make(dtypes.Int32, batch, (height+c.Spacing-1)/c.Spacing, (width+c.Spacing-1)/c.Spacing)
	place := func(draw, axis int) (at, inside *Node) {
		inside = below(key.Child(draw).Uniform(grid.Dimensions...), Scalar(x.Graph(), dtypes.Int32, c.Spacing))
		return Add(MulScalar(Iota(x.Graph(), grid, axis), c.Spacing), inside), inside
	}
	var s spots
	s.y, s.inY = place(0, 1)
	s.x, s.inX = place(1, 2)
	return s
}

// below maps u in (0, 1) to 0 … n−1, evenly. n: int32.
func below(u, n *Node) *Node {
	place := ConvertDType(Floor(Mul(u, ConvertDType(n, dtypes.Float32))), dtypes.Int32)
	return Min(place, SubScalar(n, 1)) // u·n may round up to n
}

// Mask returns 1 at the spots and 0 elsewhere: [batch, height, width, 1]. Only the shape of x counts.
func (c *BlindSpot) Mask(x *Node, _ []*Node, key random.Key) *Node {
	return ConvertDType(c.inside(x, c.spots(x, key)), x.DType())
}

// inside says whether a pixel is a spot: [batch, height, width, 1].
func (c *BlindSpot) inside(x *Node, s spots) *Node {
	batch, rows, columns := s.y.Shape().Dim(0), s.y.Shape().Dim(1), s.y.Shape().Dim(2)
	square := shapes.Make(dtypes.Int32, batch, rows, c.Spacing, columns, c.Spacing)
	same := func(in *Node, axis int) *Node {
		return Equal(Iota(x.Graph(), square, axis), BroadcastToDims(Reshape(in, batch, rows, 1, columns, 1), square.Dimensions...))
	}
	return c.cut(LogicalAnd(same(s.inY, 2), same(s.inX, 4)), x)
}

// cut makes pictures of squares, and cuts off what lies beyond the border: [batch, rows, spacing, columns, spacing, …] → [batch, height,
// width, channels].
func (c *BlindSpot) cut(squares, x *Node) *Node {
	dims := squares.Shape().Dimensions
	pixels := Reshape(squares, dims[0], dims[1]*c.Spacing, dims[3]*c.Spacing, -1)
	return Slice(pixels, AxisRange(), AxisRange(0, x.Shape().Dim(1)), AxisRange(0, x.Shape().Dim(2)))
}

// Apply replaces the pixels. x: [batch, height, width, channels].
func (c *BlindSpot) Apply(x *Node, _ []*Node, key random.Key) *Node {
	batch, height, width, channels := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2), x.Shape().Dim(3)
	s := c.spots(x, key)
	rows, columns := s.y.Shape().Dim(1), s.y.Shape().Dim(2)
	if height == 1 && width == 1 {
		return x // without neighbours
	}

	// The window about each spot, cut off at the border, has n places, of which one but its own is drawn.
	last := func(n int) *Node { return Scalar(x.Graph(), dtypes.Int32, n-1) }
	y, column := Min(s.y, last(height)), Min(s.x, last(width))
	top, left := MaxScalar(SubScalar(y, c.Radius), 0), MaxScalar(SubScalar(column, c.Radius), 0)
	across := AddScalar(Sub(Min(AddScalar(column, c.Radius), last(width)), left), 1)
	n := Mul(AddScalar(Sub(Min(AddScalar(y, c.Radius), last(height)), top), 1), across)
	own := Add(Mul(Sub(y, top), across), Sub(column, left))
	drawn := below(key.Child(2).Uniform(batch, rows, columns), SubScalar(n, 1))
	drawn = Add(drawn, ConvertDType(GreaterOrEqual(drawn, own), dtypes.Int32))
	fromY, fromX := Add(top, Div(drawn, across)), Add(left, Mod(drawn, across))

	picture := Iota(x.Graph(), shapes.Make(dtypes.Int32, batch, rows, columns), 0)
	from := Add(MulScalar(Add(MulScalar(picture, height), fromY), width), fromX) // among the pixels of the batch
	values := Gather(Reshape(x, batch*height*width, channels), Reshape(from, batch*rows*columns, 1))
	squares := BroadcastToDims(Reshape(values, batch, rows, 1, columns, 1, channels), batch, rows, c.Spacing, columns, c.Spacing, channels)
	return Replace(x, c.inside(x, s), c.cut(squares, x))
}
