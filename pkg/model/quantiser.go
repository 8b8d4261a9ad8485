package model

import . "github.com/gomlx/gomlx/core/graph"

// Quantiser is a model whose code is entries of a codebook.
type Quantiser interface {
	Model

	// Choices returns the number of the entry that stands for each part of the code, from 0.
	//
	// x: [batch, height, width, channels], pixels in [-1, 1]; returns [batch, parts] int32
	Choices(p *Pass, x *Node) *Node

	// Choosable is among how many entries all choices are.
	Choosable() int

	// Chosen returns the codes of choices: [batch, parts] int32 → [batch, latent].
	Chosen(p *Pass, choices *Node) *Node
}

// Choosable is the number of entries of all codebooks.
func (v *VQVAE) Choosable() int { return v.stages() * v.Entries }

// Chosen adds up the entries of each part. A number that is none of its stage's adds nothing.
func (v *VQVAE) Chosen(p *Pass, choices *Node) *Node {
	each := Reshape(choices, -1, v.stages())
	var sum *Node
	for stage := range v.stages() {
		book := v.codebook(p, stage)
		index := Reshape(AddScalar(SliceAxis(each, 1, AxisElem(stage)), float64(-stage*v.Entries)), -1)
		entries := MatMul(OneHot(index, v.Entries, book.DType()), book)
		if sum == nil {
			sum = entries
		} else {
			sum = Add(sum, entries)
		}
	}
	return Reshape(sum, choices.Shape().Dim(0), -1)
}

// Choices returns the entries that are nearest to the parts of the code of x; with several stages, those of each part after one another,
// numbered on from stage to stage.
func (v *VQVAE) Choices(p *Pass, x *Node) *Node {
	var all []*Node
	for stage, c := range v.quantise(p, v.codes(p, x)).chosen {
		all = append(all, ExpandAxes(AddScalar(c.index, float64(stage*v.Entries)), 1))
	}
	return Reshape(Concatenate(all, 1), x.Shape().Dim(0), -1)
}
