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

// Choices returns the entries that are nearest to the parts of the code of x.
func (v *VQVAE) Choices(p *Pass, x *Node) *Node {
	return Reshape(v.quantise(p, v.code(p, x)).index, x.Shape().Dim(0), -1)
}
