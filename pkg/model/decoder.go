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

	// CodeSize is the number of values of a code, for images of this size. Where the size is not known, that of the zero Image, it may
	// be 0.
	CodeSize(image Image) int
}

// Prior is a decoder that was trained for codes from a distribution of its own.
type Prior interface {
	Decoder

	// PriorSize is the number of values of a draw that [Prior.PriorCodes] makes a code of, for images of this size.
	PriorSize(image Image) int

	// PriorNormal says that codes are from the standard normal distribution themselves.
	PriorNormal() bool

	// PriorCodes makes codes of draws from the standard normal distribution: [batch, PriorSize] → [batch, latent].
	PriorCodes(p *Pass, noise *Node) *Node
}

// NormalPriorOf says that a model was trained for codes from the standard normal distribution.
func NormalPriorOf(m Model) bool {
	prior, ok := m.(Prior)
	return ok && prior.PriorNormal()
}

// Generate returns the images of codes: [batch, latent] → [batch, height, width, channels], pixels in [-1, 1].
func Generate(m Decoder, p *Pass, z *Node, image Image) *Node {
	p.Image = image
	logits := m.Decode(p, z)
	return ToPixels(m.OutputActivation(), Reshape(logits, z.Shape().Dim(0), image.Height, image.Width, image.Channels))
}
