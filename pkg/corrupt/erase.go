package corrupt

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Erase sets the pixels of random rectangles to one value, all channels together. A rectangle lies wholly inside the image,
// anywhere with the same probability; rectangles may overlap.
type Erase struct {
	// Count is the number of rectangles.
	Count int `yaml:"count" min:"1" max:"64"`

	// Side is a rectangle's height as a share of the image's, and its width likewise, each drawn by itself for every
	// rectangle and rounded to whole pixels.
	Side Range `yaml:"side" min:"0" max:"1" strength:"yes"`

	// Value is what the pixels are set to, from -1, black, to 1, white.
	Value float64 `yaml:"value" min:"-1" max:"1" strength:"yes"`
}

// Strengths returns the side and the value.
func (c *Erase) Strengths() []float32 { return append(strengthsOf(c.Side), float32(c.Value)) }

// Caption returns for example "erase 1 × 0.3…0.5".
func (c *Erase) Caption() string { return fmt.Sprintf("erase %d × %v", c.Count, c.Side) }

// Local says that other pixels stay as they are.
func (*Erase) Local() {}

// Apply erases the rectangles. x: [batch, height, width, channels].
func (c *Erase) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	batch, height, width := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	// spans returns 1 where the rectangles reach along an axis of n pixels, else 0: [batch, count, n].
	spans := func(key random.Key, n int) *Node {
		side := between(strengths, 0, key.Child(0).Uniform(batch, c.Count, 1))
		length := Floor(AddScalar(MulScalar(side, n), 0.5))
		first := Floor(Mul(key.Child(1).Uniform(batch, c.Count, 1), AddScalar(Neg(length), n+1))) // 0 … n - length
		place := Iota(x.Graph(), shapes.Make(dtypes.Float32, 1, 1, n), 2)
		return ConvertDType(LogicalAnd(GreaterOrEqual(place, first), LessThan(place, Add(first, length))), dtypes.Float32)
	}
	// How many rectangles each pixel lies in. As a product it takes half the time of a reduction over [batch, count, height, width].
	inside := Einsum("bkh,bkw->bhw", spans(key.Child(0), height), spans(key.Child(1), width))
	return replace(x, ExpandAxes(GreaterThan(inside, ScalarZero(x.Graph(), dtypes.Float32)), 3), strengths[2])
}
