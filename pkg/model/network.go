package model

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Network is the layers between images and codes, of models whose code is given by its size.
type Network struct {
	// Backbone is the kind of layers of encoder and decoder: dense; conv; or resnet.
	Backbone Backbone `yaml:"backbone" kind:"kind"`

	// Encoder lists the sizes of the hidden layers of a dense encoder, from the image to the code.
	Encoder []int `yaml:"encoder,flow" min:"1" max:"65536" maxitems:"64"`

	// Latent is the size of the code or, with code map, the number of its channels.
	Latent int `yaml:"latent" min:"1" max:"65536"`

	// Decoder lists the sizes of the hidden layers of a dense decoder, from the code to the image.
	Decoder []int `yaml:"decoder,flow" min:"1" max:"65536" maxitems:"64"`

	// Activation is the activation after every hidden layer.
	Activation string `yaml:"activation" enum:"relu,leaky_relu,gelu,silu,elu,tanh,sigmoid,linear"`

	// Init is the initialisation of the weights: pytorch, glorot or he, as for dense.
	Init string `yaml:"init" enum:"pytorch,glorot,he"`

	// Code is the shape of the code: vector, latent values for the whole image; or map, latent values for each position of the backbone's
	// output, which needs backbone conv or resnet.
	Code string `yaml:"code" enum:"vector,map"`
}

// hiddenSizes are those of a dense encoder and decoder by default.
var hiddenSizes = []int{400, 400}

// Check reports keys that contradict each other.
func (n *Network) Check(report func(key, problem string)) {
	if n.part().pictorial() {
		for _, list := range []struct {
			key   string
			sizes []int
		}{{"encoder", n.Encoder}, {"decoder", n.Decoder}} {
			if fmt.Sprint(list.sizes) != fmt.Sprint(hiddenSizes) {
				report(list.key, "lists dense layers, but the backbone is not dense; leave it out, or set backbone: {kind: dense}")
			}
		}
	} else if n.Code == "map" {
		report("code", "a map has a code for each position, and dense layers have no positions; set backbone: {kind: conv} or {kind: resnet}, or code: vector")
	}
}

// part is the backbone; without one it is dense.
func (n *Network) part() Backbone {
	if n.Backbone == nil {
		return &DenseBackbone{}
	}
	return n.Backbone
}

// Pictorial names the key that makes it one for pictures alone; see [Pictorial].
func (n *Network) Pictorial() string {
	if n.part().pictorial() {
		return "backbone"
	}
	return ""
}

// AcrossBatch names the key by which the model looks across a batch; see [Collective].
func (n *Network) AcrossBatch() string {
	if key := n.part().acrossBatch(); key != "" {
		return "backbone." + key
	}
	return ""
}

// CodeSize is the number of values of a code, for images of this size.
func (n *Network) CodeSize(image Image) int { return n.code(image).values() }

// code is its shape, for images of this size.
func (n *Network) code(image Image) shape {
	if n.Code == "map" {
		_, features := n.part().encoder(n.plan(image, 0, 1))
		return shape{features.size, n.Latent}
	}
	return vector(n.Latent)
}

func (n *Network) plan(image Image, beside, outputs int) plan {
	return plan{image: image, beside: beside, outputs: outputs, encoder: n.Encoder, decoder: n.Decoder, activation: n.Activation, init: n.Init}
}

// layers describes all layers, with an encoder that ends in layers of these names. Beside the image and the code, encoder and decoder are
// given so many values, and the decoder gives so many for each of the image's.
func (n *Network) layers(image Image, beside, outputs int, ends ...string) []Layer {
	encoder, last := n.encoder(image, beside, ends)
	return layersOf(encoder, last, n.decoder(image, beside, outputs))
}

// encoder lists the hidden layers for images of this size and, side by side, one for each of these names, which give as many values as
// the code has.
func (n *Network) encoder(image Image, beside int, names []string) (hidden, ends []block) {
	hidden, features := n.part().encoder(n.plan(image, beside, 1))
	for _, name := range names {
		ends = append(ends, toCode(name, features, n.code(image), "linear", n.Init))
	}
	return hidden, ends
}

// decoder lists the layers from the code, and so many values beside each of its places, to so many values for each of the image's.
func (n *Network) decoder(image Image, beside, outputs int) []block {
	code := n.code(image)
	code.channels += beside
	return n.part().decoder(n.plan(image, beside, outputs), code)
}

// encode returns what the encoder's ends give: [batch, height, width, channels] → [batch, values of the code] each. labels: see [besides],
// or nil.
func (n *Network) encode(p *Pass, x, labels *Node, names ...string) []*Node {
	image, dtype, beside := imageOf(x), x.DType(), 0
	if !n.part().pictorial() {
		x = flat(x)
	}
	if labels != nil {
		x, beside = besides(x, labels), labels.Shape().Dim(1)
	}
	hidden, ends := n.encoder(image, beside, names)
	h := through(hidden, p, p.narrow(x))
	var outputs []*Node
	for _, end := range ends {
		outputs = append(outputs, ConvertDType(flat(end.apply(p, h)), dtype))
	}
	return outputs
}

// decode returns what the flattened image is before its activation, outputs values for each of its own: [batch, values of the code] →
// [batch, height · width · channels · outputs]. labels: see [besides], or nil.
func (n *Network) decode(p *Pass, z, labels *Node, image Image, outputs int) *Node {
	h, beside := p.narrow(z), 0
	if code := n.code(image); n.Code == "map" {
		h = Reshape(h, z.Shape().Dim(0), code.size[0], code.size[1], code.channels)
	}
	if labels != nil {
		h, beside = besides(h, ConvertDType(labels, h.DType())), labels.Shape().Dim(1)
	}
	return ConvertDType(flat(through(n.decoder(image, beside, outputs), p, h)), z.DType())
}

// Decode returns what the flattened image is before its activation: [batch, values of the code] → [batch, height · width · channels].
func (n *Network) Decode(p *Pass, z *Node) *Node { return n.decode(p, z, nil, p.Image, 1) }

// startAt is the bias of a decoder's last layer that gives the mean image, whose values before the activation inverse tells, where all
// else is 0. A dense layer has a bias for each value of the image, a convolution for each channel; with several outputs, those of the first
// come before those of the next.
func startAt(decoder []block, image Image, outputs int, mean []float32, inverse func(float64) float64) map[string][]float32 {
	params := decoder[len(decoder)-1].layer().Params
	last := params[len(params)-1]
	bias := make([]float32, last.Size())
	sums, counts := make([]float64, len(bias)), make([]float64, len(bias))
	for i, pixel := range mean {
		at := (i/image.Channels*image.Channels*outputs + i%image.Channels) % len(bias)
		sums[at] += float64(pixel)
		counts[at]++
	}
	for i, sum := range sums {
		if counts[i] > 0 {
			bias[i] = float32(inverse(sum / counts[i]))
		}
	}
	return map[string][]float32{last.Name: bias}
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
	Network `yaml:",inline"`

	// Output is the activation of the last layer, which gives pixels in [-1, 1]: tanh; sigmoid, stretched from (0, 1) to (-1, 1); or
	// linear, unbounded.
	Output string `yaml:"output" enum:"tanh,sigmoid,linear"`
}

// codeLayer is the name of the layer that gives the code.
const codeLayer = "encoder.code"

// Layers lists the layers for images of this size.
func (c *Coder) Layers(image Image) []Layer { return c.layers(image, 0, 1, codeLayer) }

// OutputActivation returns Output.
func (c *Coder) OutputActivation() string { return c.Output }

// Apply encodes and decodes x: [batch, height, width, channels].
func (c *Coder) Apply(p *Pass, x *Node) Output { return c.decoded(p, c.codes(p, x), x) }

// codes returns the code of x: [batch, values].
func (c *Coder) codes(p *Pass, x *Node) *Node { return c.encode(p, StopGradient(x), nil, codeLayer)[0] }

// decoded is the output of codes z for images of the shape of x.
func (c *Coder) decoded(p *Pass, z, x *Node) Output {
	logits := Reshape(c.decode(p, z, nil, imageOf(x), 1), x.Shape().Dimensions...)
	return Output{Latent: z, Logits: logits, Image: ToPixels(c.Output, logits)}
}

// flat puts the values of each image in a row: [batch, …] → [batch, values].
func flat(x *Node) *Node { return Reshape(x, x.Shape().Dim(0), -1) }

// squaredDistance returns ‖x − y‖² of each image: [batch, height, width, channels] → [batch].
func squaredDistance(x, y *Node) *Node { return ReduceSum(Square(Sub(x, y)), 1, 2, 3) }
