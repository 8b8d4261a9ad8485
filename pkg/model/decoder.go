package model

import . "github.com/gomlx/gomlx/core/graph"

// Decoder is a model that makes images of codes alone.
type Decoder interface {
	Model

	// Decode returns what the flattened images are before their activation: [batch, latent] → [batch, height · width · channels].
	Decode(p *Pass, z *Node) *Node
}

// Coded is a decoder whose codes are not the images themselves.
type Coded interface {
	Decoder

	// CodeSize is the number of values of a code.
	CodeSize() int
}

// Prior is a decoder that was trained for codes from a standard normal distribution.
type Prior interface {
	Decoder

	// PriorSize is the number of values of a code.
	PriorSize() int
}

// Generate returns the images of codes: [batch, latent] → [batch, height, width, channels], pixels in [-1, 1].
func Generate(m Decoder, p *Pass, z *Node, image Image) *Node {
	p.Image = image
	logits := m.Decode(p, z)
	return ToPixels(m.OutputActivation(), Reshape(logits, z.Shape().Dim(0), image.Height, image.Width, image.Channels))
}
