package model

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Sequence is a distribution of the choices of a [Quantiser], one after another: that of each is what a network makes of those before it
// (MADE, Germain et al. 2015). It is no autoencoder, and no config names it: codes are drawn from it. Its samples are vectors of whole
// numbers below Entries.
type Sequence struct {
	// Parts is the number of choices, Entries that of what each chooses among.
	Parts, Entries int
	// Embedding is the number of values that stand for an entry, Hidden that of the values of a hidden layer for each part.
	Embedding, Hidden int
}

// Layers lists the layers; image is 1×Parts×1.
func (s *Sequence) Layers(Image) []Layer {
	in, wide := s.Parts*s.Embedding, s.Parts*s.Hidden
	dense := func(name string, in, out int) Layer {
		return DenseLayer{name, in, out, "relu", "he"}.Layer()
	}
	_, embedding := InitOf("pytorch", s.Embedding, s.Embedding)
	last, _ := InitOf("glorot", s.Hidden, s.Entries)
	return []Layer{
		{Name: "sequence.embedding", Description: fmt.Sprintf("%d entries of %d", s.Entries, s.Embedding), Products: s.Entries * in,
			Params: []Param{{Name: "sequence.embedding", Dims: []int{s.Entries, s.Embedding}, Init: embedding}}},
		dense("sequence.first", in, wide),
		dense("sequence.second", wide, wide),
		{Name: "sequence.last", Description: fmt.Sprintf("dense %d → %d for each of %d", s.Hidden, s.Entries, s.Parts), Products: wide * s.Entries,
			Params: []Param{
				{Name: "sequence.last.weight", Dims: []int{s.Hidden, s.Entries}, Init: last, Decays: true},
				{Name: "sequence.last.bias", Dims: []int{s.Parts, s.Entries}},
			}},
	}
}

// OutputActivation returns linear: there are no pixels.
func (s *Sequence) OutputActivation() string { return "linear" }

// Apply returns the logits of each choice given those before it as Logits, [batch, parts, entries], and x itself as Latent. x: [batch, 1,
// parts, 1].
func (s *Sequence) Apply(p *Pass, x *Node) Output {
	batch := x.Shape().Dim(0)
	h := MatMul(Reshape(s.chosen(x), batch*s.Parts, s.Entries), p.Weight("sequence.embedding"))
	h = Reshape(h, batch, -1)
	h = s.masked(p, "sequence.first", h, s.Embedding, false)
	h = s.masked(p, "sequence.second", h, s.Hidden, true)
	logits := MatMul(Reshape(h, batch*s.Parts, s.Hidden), p.Weight("sequence.last.weight"))
	logits = Add(Reshape(logits, batch, s.Parts, s.Entries), ExpandAxes(p.Weight("sequence.last.bias"), 0))
	return Output{Latent: flat(x), Logits: logits}
}

// chosen are the choices as a 1 among zeros: [batch, parts, entries].
func (s *Sequence) chosen(x *Node) *Node {
	return OneHot(ConvertDType(Reshape(x, x.Shape().Dim(0), s.Parts), dtypes.Int32), s.Entries, x.DType())
}

// masked is relu(x (W · mask) + b), whose values for a part see those of the parts before it and, with own, its own. each is how many
// values of x are of a part.
func (s *Sequence) masked(p *Pass, name string, x *Node, each int, own bool) *Node {
	in, out := s.Parts*each, s.Parts*s.Hidden
	mask := make([]float32, in*out)
	for i := range in {
		for j := range out {
			if from, to := i/each, j/s.Hidden; from < to || own && from == to {
				mask[i*out+j] = 1
			}
		}
	}
	seen := ConstTensor(x.Graph(), tensors.FromFlatDataAndDimensions(mask, in, out))
	return Activate("relu", Add(MatMul(x, Mul(p.Weight(name+".weight"), seen)), ExpandAxes(p.Weight(name+".bias"), 0)))
}

// Objective is −log p of each sample's choices, in nats.
func (s *Sequence) Objective(p *Pass, _, x *Node) (Output, []Term) {
	out := s.Apply(p, x)
	each := Sub(logSumExp(out.Logits, 2), ReduceSum(Mul(out.Logits, s.chosen(x)), 2)) // [batch, parts]
	return out, []Term{{Name: "cross_entropy", Value: ReduceSum(each, 1)}}
}
