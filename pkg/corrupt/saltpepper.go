package corrupt

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// SaltAndPepper sets random pixels to white (salt) or black (pepper), all channels of a pixel together. On scales without limits, such as
// that of standardised values, it sets them to 3 or -3.
type SaltAndPepper struct {
	// Amount is the probability that a pixel is set.
	Amount Range `yaml:"amount" min:"0" max:"1" strength:"yes"`

	// Salt is the fraction of white among the pixels that are set.
	Salt float64 `yaml:"salt" min:"0" max:"1" strength:"yes"`
}

// Strengths returns the amount and the share of salt.
func (c *SaltAndPepper) Strengths() []float32 { return append(Ends(c.Amount), float32(c.Salt)) }

// Open returns the corruption for a scale without ends.
func (c *SaltAndPepper) Open() Corruption { return &openPepper{*c} }

// openPepper is salt and pepper of a scale without ends.
type openPepper struct{ SaltAndPepper }

// openEnd is where a scale without ends has what counts as its ends.
const openEnd = 3

// Apply sets the pixels. x: [batch, height, width, channels].
func (c *openPepper) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	return c.apply(x, strengths, key, openEnd)
}

// Caption returns for example "salt and pepper 0.1".
func (c *SaltAndPepper) Caption() string { return fmt.Sprintf("salt and pepper %v", c.Amount) }

// Local says that other pixels stay as they are.
func (*SaltAndPepper) Local() {}

// Apply sets the pixels. x: [batch, height, width, channels].
func (c *SaltAndPepper) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	return c.apply(x, strengths, key, 1)
}

// apply sets pixels to end and -end.
func (c *SaltAndPepper) apply(x *Node, strengths []*Node, key random.Key, end float64) *Node {
	batch, height, width := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	amount := Between(strengths, 0, key.Child(0).Uniform(batch, 1, 1, 1)) // [batch, 1, 1, 1]
	u := key.Child(1).Uniform(batch, height, width, 1)
	grain := Where(LessThan(u, Mul(amount, strengths[2])), MulScalar(OnesLike(u), end), MulScalar(OnesLike(u), -end))
	return Replace(x, LessThan(u, amount), grain)
}

// Replace returns x with value at the places where chosen says so. x: [batch, height, width, channels]; chosen: [batch,
// height, width, 1]; value: the same, or a scalar.
func Replace(x, chosen, value *Node) *Node {
	dims := x.Shape().Dimensions
	return Where(BroadcastToDims(chosen, dims...), BroadcastToDims(value, dims...), x)
}
