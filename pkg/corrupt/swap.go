package corrupt

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Swap replaces random values of a sample by those of other samples in the same place: swap noise, which keeps the distribution of each
// feature of a table. Each value comes from a sample of the batch that is drawn independently, and may be the sample itself; for held-out
// samples, from one of 500 consecutive samples.
type Swap struct {
	// Probability is the probability that a value is swapped.
	Probability Range `yaml:"probability" min:"0" max:"1" strength:"yes"`
}

// Strengths returns the probability.
func (c *Swap) Strengths() []float32 { return Ends(c.Probability) }

// Caption returns for example "swap 0.15".
func (c *Swap) Caption() string { return fmt.Sprintf("swap %v", c.Probability) }

// Collective says that values come from other samples.
func (*Swap) Collective() {}

// Apply swaps the values. x: [batch, height, width, channels].
func (c *Swap) Apply(x *Node, strengths []*Node, key random.Key) *Node {
	batch, size := x.Shape().Dim(0), x.Shape().Size()/x.Shape().Dim(0)
	g := x.Graph()
	probability := Between(strengths, 0, key.Child(0).Uniform(batch, 1)) // [batch, 1]
	chosen := LessThan(key.Child(1).Uniform(batch, size), BroadcastToDims(probability, batch, size))
	donor := ConvertDType(MulScalar(key.Child(2).Uniform(batch, size), batch), dtypes.Int32) // 0 … batch-1
	donor = MinScalar(donor, batch-1)                                                        // u·batch may round up to batch
	place := Add(MulScalar(donor, size), Iota(g, shapes.Make(dtypes.Int32, batch, size), 1))
	flat := Reshape(x, batch, size)
	taken := Reshape(Gather(Reshape(x, batch*size, 1), Reshape(place, batch*size, 1)), batch, size)
	return Reshape(Where(chosen, taken, flat), x.Shape().Dimensions...)
}
