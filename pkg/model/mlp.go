package model

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// MLP are the dense layers of models whose code is given by its size.
type MLP struct {
	// Encoder lists the sizes of the encoder's hidden layers, from the image to the code.
	Encoder []int `yaml:"encoder,flow" min:"1" max:"65536" maxitems:"64"`

	// Latent is the size of the code.
	Latent int `yaml:"latent" min:"1" max:"65536"`

	// Decoder lists the sizes of the decoder's hidden layers, from the code to the image.
	Decoder []int `yaml:"decoder,flow" min:"1" max:"65536" maxitems:"64"`

	// Activation follows every hidden layer.
	Activation string `yaml:"activation" enum:"relu,leaky_relu,gelu,silu,elu,tanh,sigmoid,linear"`

	// Init draws the first weights: pytorch, glorot or he, as for dense.
	Init string `yaml:"init" enum:"pytorch,glorot,he"`
}

// pixelLayer is the name of the last layer.
const pixelLayer = "decoder.pixels"

// encoder lists the layers for flattened images of size values: the hidden ones, and after them, side by side, one for each of
// these names, which give as many values as the code has.
func (m *MLP) encoder(size int, names []string) (hidden, ends []DenseLayer) {
	hidden, in := chain("encoder", size, m.Encoder, m.Activation, m.Init)
	for _, name := range names {
		ends = append(ends, DenseLayer{name, in, m.Latent, "linear", m.Init})
	}
	return hidden, ends
}

// decoder lists the layers from the code, and so many values beside it, to flattened images of size values.
func (m *MLP) decoder(beside, size int) []DenseLayer {
	hidden, in := chain("decoder", m.Latent+beside, m.Decoder, m.Activation, m.Init)
	return append(hidden, DenseLayer{pixelLayer, in, size, "linear", m.Init})
}

// chain lists layers of these sizes, one after another, and the size of the last.
func chain(part string, in int, sizes []int, activation, init string) ([]DenseLayer, int) {
	var layers []DenseLayer
	for i, out := range sizes {
		layers = append(layers, DenseLayer{fmt.Sprintf("%s.layer_%d", part, i+1), in, out, activation, init})
		in = out
	}
	return layers, in
}

// layers describes all layers, with an encoder that ends in layers of these names. Beside the image and the code, encoder and
// decoder are given so many values.
func (m *MLP) layers(size, beside int, ends ...string) []Layer {
	hidden, last := m.encoder(size+beside, ends)
	var layers []Layer
	for _, l := range append(append(hidden, last...), m.decoder(beside, size)...) {
		layers = append(layers, l.Layer())
	}
	return layers
}

// encode returns what the encoder's ends give: [batch, values] → [batch, latent] each.
func (m *MLP) encode(p *Pass, x *Node, names ...string) []*Node {
	hidden, ends := m.encoder(x.Shape().Dim(1), names)
	h := p.narrow(x)
	for _, layer := range hidden {
		h = layer.Apply(p, h)
	}
	var outputs []*Node
	for _, layer := range ends {
		outputs = append(outputs, ConvertDType(layer.Apply(p, h), x.DType()))
	}
	return outputs
}

// CodeSize returns Latent.
func (m *MLP) CodeSize() int { return m.Latent }

// Decode returns what the flattened image is before its activation: [batch, latent] → [batch, height · width · channels].
// Beside the code, z may have other values.
func (m *MLP) Decode(p *Pass, z *Node) *Node {
	h := p.narrow(z)
	for _, layer := range m.decoder(z.Shape().Dim(1)-m.Latent, p.Weights[pixelLayer+".bias"].Shape().Size()) {
		h = layer.Apply(p, h)
	}
	return ConvertDType(h, z.DType())
}

// narrow converts x to the precision that the pass computes in.
func (p *Pass) narrow(x *Node) *Node {
	if p.Precision == dtypes.InvalidDType {
		return x
	}
	return ConvertDType(x, p.Precision)
}

// Coder is an autoencoder of these layers, without noise and without a loss of its own.
type Coder struct {
	MLP `yaml:",inline"`

	// Output maps the last layer to pixels in [-1, 1]: tanh; sigmoid, whose (0, 1) is stretched to (-1, 1); or linear,
	// unbounded.
	Output string `yaml:"output" enum:"tanh,sigmoid,linear"`
}

// codeLayer is the name of the layer that gives the code.
const codeLayer = "encoder.code"

// Layers lists the layers for images of this size.
func (c *Coder) Layers(image Image) []Layer { return c.layers(image.Size(), 0, codeLayer) }

// OutputActivation returns Output.
func (c *Coder) OutputActivation() string { return c.Output }

// Apply encodes and decodes x: [batch, height, width, channels].
func (c *Coder) Apply(p *Pass, x *Node) Output { return c.decoded(p, c.code(p, x), x) }

// code returns the code of x: [batch, latent].
func (c *Coder) code(p *Pass, x *Node) *Node { return c.encode(p, flat(x), codeLayer)[0] }

// decoded is the output of codes z for images of the shape of x.
func (c *Coder) decoded(p *Pass, z, x *Node) Output {
	logits := Reshape(c.Decode(p, z), x.Shape().Dimensions...)
	return Output{Latent: z, Logits: logits, Image: ToPixels(c.Output, logits)}
}

// flat puts the values of each image in a row: [batch, height, width, channels] → [batch, values].
func flat(x *Node) *Node { return Reshape(x, x.Shape().Dim(0), -1) }

// squaredDistance returns ‖x − y‖² of each image: [batch, height, width, channels] → [batch].
func squaredDistance(x, y *Node) *Node { return ReduceSum(Square(Sub(x, y)), 1, 2, 3) }
