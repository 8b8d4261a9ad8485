package main

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/model"
)

// Maxout is an autoencoder with one hidden layer on each side of the code, whose values are the largest of several sums each
// (Goodfellow et al. 2013): the activation is learned.
type Maxout struct {
	_ struct{} `doc:"is an autoencoder whose hidden values are the largest of several sums"`

	Hidden int    `yaml:"hidden" min:"1" max:"65536" doc:"the size of the hidden layers"`
	Pieces int    `yaml:"pieces" min:"1" max:"64" doc:"the number of sums of which the largest is taken; parameters grow with it"`
	Latent int    `yaml:"latent" min:"1" max:"65536" doc:"the size of the code"`
	Output string `yaml:"output" enum:"tanh,sigmoid,linear" doc:"what maps the last layer to pixels; loss bce needs sigmoid"`
}

// Check reports what the tags cannot say.
func (m *Maxout) Check(report func(key, problem string)) {
	if m.Latent > m.Hidden {
		report("latent", fmt.Sprintf("a code of %d values, made of %d; lower it, or raise hidden", m.Latent, m.Hidden))
	}
}

// OutputActivation returns Output.
func (m *Maxout) OutputActivation() string { return m.Output }

// The layers from the image to the code, and back to an image of size values.
func (m *Maxout) encoder(size int) (maxoutLayer, model.DenseLayer) {
	return maxoutLayer{"encoder.hidden", size, m.Hidden, m.Pieces},
		model.DenseLayer{Name: "encoder.code", In: m.Hidden, Out: m.Latent, Activation: "linear", Init: "glorot"}
}

func (m *Maxout) decoder(size int) (maxoutLayer, model.DenseLayer) {
	return maxoutLayer{"decoder.hidden", m.Latent, m.Hidden, m.Pieces},
		model.DenseLayer{Name: "decoder.pixels", In: m.Hidden, Out: size, Activation: "linear", Init: "glorot"}
}

// Layers lists the layers for images of this size.
func (m *Maxout) Layers(image model.Image) []model.Layer {
	up, code := m.encoder(image.Size())
	down, pixels := m.decoder(image.Size())
	return []model.Layer{up.Layer(), code.Layer(), down.Layer(), pixels.Layer()}
}

// Apply encodes and decodes x: [batch, height, width, channels].
func (m *Maxout) Apply(p *model.Pass, x *Node) model.Output {
	flat := Reshape(x, x.Shape().Dim(0), -1)
	hidden, code := m.encoder(flat.Shape().Dim(1))
	z := code.Apply(p, hidden.Apply(p, flat))
	logits := Reshape(m.Decode(p, z), x.Shape().Dimensions...)
	return model.Output{Latent: z, Logits: logits, Image: model.ToPixels(m.Output, logits)}
}

// Decode makes images of codes alone, so that `generate` and pictures of codes have something to show:
// [batch, latent] → [batch, height · width · channels].
func (m *Maxout) Decode(p *model.Pass, z *Node) *Node {
	hidden, pixels := m.decoder(p.Weight("decoder.pixels.bias").Shape().Size())
	return pixels.Apply(p, hidden.Apply(p, z))
}

// CodeSize returns Latent.
func (m *Maxout) CodeSize(model.Image) int { return m.Latent }

// maxoutLayer is y = max_k (x Wₖ + bₖ), with the pieces side by side in W: [in, pieces · out], b: [pieces · out].
type maxoutLayer struct {
	name            string
	in, out, pieces int
}

// Layer describes the layer: a dense one that gives all pieces, of which the largest are left.
func (l maxoutLayer) Layer() model.Layer {
	layer := l.sums().Layer()
	layer.Description = fmt.Sprintf("maxout %d → %d of %d pieces", l.in, l.out, l.pieces)
	return layer
}

func (l maxoutLayer) sums() model.DenseLayer {
	return model.DenseLayer{Name: l.name, In: l.in, Out: l.pieces * l.out, Activation: "linear", Init: "glorot"}
}

// Apply returns the largest piece of each value. x: [batch, in] → [batch, out].
func (l maxoutLayer) Apply(p *model.Pass, x *Node) *Node {
	sums := l.sums().Apply(p, x)
	piece := func(k int) *Node { return Slice(sums, AxisRange(), AxisRange(k*l.out, (k+1)*l.out)) }
	y := piece(0)
	for k := 1; k < l.pieces; k++ {
		y = Max(y, piece(k))
	}
	return y
}
