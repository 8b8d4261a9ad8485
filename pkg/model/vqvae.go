package model

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// VQVAE is an autoencoder whose code consists of a few entries of a codebook (van den Oord et al. 2017): the code is split into parts of
// entry_size values, and each part is replaced by the nearest entry. Each entry follows the parts that chose it, by a moving average. Its
// loss is a sum over the pixels of each image; train.loss is not used.
type VQVAE struct {
	Coder `yaml:",inline"`

	// EntrySize is the size of an entry of the codebook; it must divide latent.
	EntrySize int `yaml:"entry_size" min:"1" max:"65536"`

	// Entries is the number of entries. An image's code is thus latent / entry_size numbers below it.
	Entries int `yaml:"entries" min:"2" max:"65536"`

	// Stages is the number of codebooks: each one after the first encodes what the ones before it leave of a part, and the entries of all
	// are added up (residual quantisation, Zeghidour et al. 2021). A part is then one number for each stage.
	Stages int `yaml:"stages" min:"1" max:"64"`

	// Commitment is the weight of the squared distance between the code and its entries, the paper's β.
	Commitment float64 `yaml:"commitment" min:"0" max:"1000000" strength:"yes"`

	// Decay is the decay of the codebook's moving averages in each step, the paper's γ.
	Decay float64 `yaml:"decay" min:"0" below:"1" strength:"yes"`
}

// Check reports a code that cannot be taken in whole parts.
func (v *VQVAE) Check(report func(key, problem string)) {
	v.Network.Check(report)
	if v.EntrySize > 0 && v.Latent%v.EntrySize != 0 {
		report("entry_size", fmt.Sprintf("a code of %d values cannot be split into parts of %d; choose a divisor of model.latent", v.Latent, v.EntrySize))
	}
}

// Numbers returns commitment and decay.
func (v *VQVAE) Numbers() []float32 { return []float32{float32(v.Commitment), float32(v.Decay)} }

// Statistics of a codebook: the moving averages of how often each entry is chosen, as a part of all choices, [entries], and
// of the sums of the parts that choose it, divided by the number of all choices, [entries, entry_size].
const (
	codebookShares = ".shares"
	codebookSums   = ".sums"
)

// Layers lists the layers for images of this size, and the codebook.
func (v *VQVAE) Layers(image Image) []Layer {
	layers := v.Coder.Layers(image)
	// Each entry starts with its share of the choices, at a place near 0, as far from it as the first codes are about.
	share := 1 / float64(v.Entries)
	for stage := range v.stages() {
		name := codebookName(stage)
		layers = append(layers, Layer{
			Name: name, Description: fmt.Sprintf("%d entries of %d", v.Entries, v.EntrySize),
			Products: v.CodeSize(image) * v.Entries,
			Params: []Param{
				{Name: name + codebookShares, Dims: []int{v.Entries}, Init: Init{Constant: share}, Statistic: true},
				{Name: name + codebookSums, Dims: []int{v.Entries, v.EntrySize}, Init: Init{Limit: 0.1 * share}, Statistic: true},
			},
		})
	}
	return layers
}

// stages is Stages, or one where it is not set.
func (v *VQVAE) stages() int { return max(1, v.Stages) }

// codebookName is that of a stage's codebook, from 0.
func codebookName(stage int) string {
	if stage == 0 {
		return "codebook"
	}
	return fmt.Sprintf("codebook_%d", stage+1)
}

// shareFloor keeps the place of an entry that is never chosen a number.
const shareFloor = 1e-7

// codebook returns the entries of a stage: [entries, entry_size].
func (v *VQVAE) codebook(p *Pass, stage int) *Node {
	name := codebookName(stage)
	return Div(p.Weights[name+codebookSums], MaxScalar(ExpandAxes(p.Weights[name+codebookShares], -1), shareFloor))
}

// quantised is a code and what stands for it.
type quantised struct {
	parts   *Node    // z: [batch · parts, entry_size]
	entries *Node    // e, the sum over the stages: [batch · parts, entry_size]
	chosen  []chosen // by stage
}

// chosen is what a stage makes of parts.
type chosen struct {
	left   *Node // of the parts by the stages before: [batch · parts, entry_size]
	index  *Node // of the entry that is chosen: [batch · parts] int32
	choice *Node // 1 for that entry, else 0: [batch · parts, entries]
}

// quantise finds the nearest entries for each part of codes z: [batch, latent].
func (v *VQVAE) quantise(p *Pass, z *Node) quantised {
	q := quantised{parts: Reshape(z, -1, v.EntrySize)}
	left := q.parts
	for stage := range v.stages() {
		book := v.codebook(p, stage)
		// ‖z − e‖² without ‖z‖², which is the same for all entries.
		distance := Sub(ExpandAxes(ReduceSum(Square(book), 1), 0), MulScalar(Einsum("pd,ed->pe", left, book), 2))
		index := ArgMin(distance, 1, dtypes.Int32)
		choice := StopGradient(OneHot(index, v.Entries, z.DType()))
		entries := StopGradient(Einsum("pe,ed->pd", choice, book))
		q.chosen = append(q.chosen, chosen{left, index, choice})
		if stage == 0 {
			q.entries = entries
		} else {
			q.entries = Add(q.entries, entries)
		}
		left = StopGradient(Sub(q.parts, q.entries))
	}
	return q
}

// Apply encodes x to entries of the codebook, and decodes them. x: [batch, height, width, channels].
func (v *VQVAE) Apply(p *Pass, x *Node) Output {
	z := v.codes(p, x)
	return v.decoded(p, Reshape(v.quantise(p, z).entries, z.Shape().Dimensions...), x)
}

// Objective is ‖x − y‖² + β ‖z − sg[e]‖² of each image, where y is decoded from z + sg[e − z], so that the gradient passes the
// choice by (van den Oord et al. 2017, equations 2 and 3). Instead of the equation's second part, the codebook follows its
// moving averages (appendix A.1, equations 6 to 8): with n of N parts that choose an entry,
//
//	share ← γ share + (1 − γ) n/N,   sum ← γ sum + (1 − γ) Σ z/N,   e = sum / share
//
// With several stages e is the sum of their entries, and the codebook of each follows what the stages before leave of z.
func (v *VQVAE) Objective(p *Pass, clean, damaged *Node) (Output, []Term) {
	z := v.codes(p, damaged)
	q := v.quantise(p, z)
	through := Add(q.parts, StopGradient(Sub(q.entries, q.parts)))
	out := v.decoded(p, Reshape(through, z.Shape().Dimensions...), clean)
	commitment := ReduceSum(Reshape(Square(Sub(q.parts, q.entries)), z.Shape().Dimensions...), 1)
	if p.Training {
		for stage, c := range q.chosen {
			v.follow(p, codebookName(stage), c)
		}
	}
	return out, []Term{
		{Name: reconstruction, Value: squaredDistance(clean, out.Image)},
		{Name: "commitment", Value: commitment, Weight: p.Numbers[0]},
	}
}

// follow moves a codebook's averages.
func (v *VQVAE) follow(p *Pass, name string, c chosen) {
	choice := c.choice
	if p.Counts != nil {
		each := choice.Shape().Dim(0) / p.Counts.Shape().Dim(0)
		counts := BroadcastToDims(ExpandAxes(p.Counts, 1), p.Counts.Shape().Dim(0), each)
		choice = Mul(choice, Reshape(counts, -1, 1))
	}
	all := MaxScalar(ReduceAllSum(choice), 1)
	decay := p.Numbers[1]
	average := func(name string, now *Node) {
		p.Update(name, Add(Mul(decay, p.Weights[name]), Mul(OneMinus(decay), Div(now, all))))
	}
	average(name+codebookShares, ReduceSum(choice, 0))
	average(name+codebookSums, Einsum("pe,pd->ed", choice, c.left))
}

// AcrossBatch says that all images of a batch move the codebook.
func (v *VQVAE) AcrossBatch() string { return "kind" }
