package model

import . "github.com/gomlx/gomlx/core/graph"

// Quantiser is a model whose code is entries of a codebook.
type Quantiser interface {
	Model

	// Choices returns the number of the entry that stands for each part of the code, from 0.
	//
	// x: [batch, height, width, channels], pixels in [-1, 1]; returns [batch, parts] int32
	Choices(p *Pass, x *Node) *Node
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
