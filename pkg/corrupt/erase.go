package corrupt

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Erase sets the pixels of random rectangles to one value, all channels together. Each rectangle lies inside the image, uniformly at
// random; rectangles may overlap.
type Erase struct {
	// Count is the number of rectangles.
	Count int `yaml:"count" min:"1" max:"16"`

	// Side is a rectangle's height as a fraction of the image's height, and its width as a fraction of the image's width, each drawn
	// independently for every rectangle and rounded to whole pixels.
	Side Range `yaml:"side" min:"0" max:"1" strength:"yes"`

	// Value is the value that pixels are set to, from -1 (black) to 1 (white).
	Value float64 `yaml:"value" min:"-1" max:"1" strength:"yes"`
}

// Strengths returns the side and the value.
func (c *Erase) Strengths() []float32 { return append(Ends(c.Side), float32(c.Value)) }

// Pictorial says that vectors have nothing for it.
func (*Erase) Pictorial() {}

// Caption returns for example "erase 1 × 0.3…0.5".
func (c *Erase) Caption() string { return fmt.Sprintf("erase %d × %v", c.Count, c.Side) }

// Local says that other pixels stay as they are.
func (*Erase) Local() {}

// Apply erases the rectangles one after another: XLA makes one pass over the pixels of it, which on the CPU takes a quarter
// of the time of a product or a reduction over the rectangles. x: [batch, height, width, channels].
func (c *Erase) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	batch := x.Shape().Dim(0)
	u := key.Uniform(batch, c.Count, 4)
	draw := func(k, i int) *Node { return Reshape(Slice(u, AxisRange(), AxisElem(k), AxisElem(i)), batch, 1, 1, 1) }
	// span says which places along an axis of n pixels a rectangle reaches, by the draws for its side and its first place.
	span := func(axis int, side, first *Node) *Node {
		dims := []int{1, 1, 1, 1}
		dims[axis] = x.Shape().Dim(axis)
		place := Iota(x.Graph(), shapes.Make(dtypes.Float32, dims...), axis)
		length := Floor(AddScalar(MulScalar(Between(strengths, 0, side), dims[axis]), 0.5))
		first = Floor(Mul(first, AddScalar(Neg(length), dims[axis]+1))) // 0 … n - length
		return LogicalAnd(GreaterOrEqual(place, first), LessThan(place, Add(first, length)))
	}
	for k := range c.Count {
		inside := LogicalAnd(span(1, draw(k, 0), draw(k, 1)), span(2, draw(k, 2), draw(k, 3))) // [batch, height, width, 1]
		x = Replace(x, inside, strengths[2])
	}
	return x
}
