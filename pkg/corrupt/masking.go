package corrupt

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Masking sets random squares of a grid to one value, all channels together: single pixels, or patches as in masked autoencoders (He et al.
// 2022).
//
// Each square is drawn independently, so that their number varies from image to image; He et al. mask the same number in each.
type Masking struct {
	// Probability is the probability that a square is masked.
	Probability Range `yaml:"probability" min:"0" max:"1" strength:"yes"`

	// Patch is the side of the squares, in pixels; 1 masks single pixels. The grid starts in the upper left corner; if the side does not
	// divide that of the image, the last squares are cut off at the border.
	Patch int `yaml:"patch" min:"1" max:"4096"`

	// Value is the value that pixels are set to, from -1 (black) to 1 (white). The model can tell that a pixel is masked only if the value
	// is rare in the images.
	Value float64 `yaml:"value" min:"-1" max:"1" strength:"yes"`
}

// Strengths returns the probability and the value.
func (c *Masking) Strengths() []float32 { return append(Ends(c.Probability), float32(c.Value)) }

// Caption returns for example "masking 0.5", or "masking 0.75 of 4×4".
func (c *Masking) Caption() string {
	if c.Patch == 1 {
		return fmt.Sprintf("masking %v", c.Probability)
	}
	return fmt.Sprintf("masking %v of %d×%d", c.Probability, c.Patch, c.Patch)
}

// Local says that other pixels stay as they are.
func (*Masking) Local() {}

// Apply sets the pixels. x: [batch, height, width, channels].
func (c *Masking) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	batch, height, width := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	rows, columns := (height+c.Patch-1)/c.Patch, (width+c.Patch-1)/c.Patch
	probability := Between(strengths, 0, key.Child(0).Uniform(batch, 1, 1, 1)) // [batch, 1, 1, 1]
	u := key.Child(1).Uniform(batch, rows, columns, 1)
	chosen := LessThan(u, probability)
	if height == 1 && c.Patch == 1 {
		// XLA's plugin for the CPU does not end with compiling a choice between one value and x, of rows of 16 numbers or more. Here it
		// is one between x and an array, which has that value wherever it is chosen.
		return Replace(x, chosen, Where(chosen, BroadcastToDims(strengths[2], u.Shape().Dimensions...), u))
	}
	squares := BroadcastToDims(Reshape(chosen, batch, rows, 1, columns, 1, 1), batch, rows, c.Patch, columns, c.Patch, 1)
	pixels := Reshape(squares, batch, rows*c.Patch, columns*c.Patch, 1)
	inside := Slice(pixels, AxisRange(), AxisRange(0, height), AxisRange(0, width)) // [batch, height, width, 1]
	return Replace(x, inside, strengths[2])
}
