package model

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// Dense is a fully connected autoencoder: the image is flattened, narrowed layer by layer to the code, and widened
// again to the image.
type Dense struct {
	// Encoder lists the sizes of the encoder's layers, from the image to the code: the last is the size of the code.
	Encoder []int `yaml:"encoder,flow" min:"1" max:"65536" minitems:"1" maxitems:"64"`

	// Decoder lists the sizes of the decoder's hidden layers, from the code to the image. The layer that gives the
	// image has as many values as the image has and is not listed; an empty list goes from the code straight to the
	// image.
	Decoder []int `yaml:"decoder,flow" min:"1" max:"65536" maxitems:"64"`

	// Activation follows every hidden layer.
	Activation string `yaml:"activation" enum:"relu,leaky_relu,gelu,silu,elu,tanh,sigmoid,linear"`

	// LatentActivation follows the layer that gives the code; linear leaves the code free.
	LatentActivation string `yaml:"latent_activation" enum:"relu,leaky_relu,gelu,silu,elu,tanh,sigmoid,linear"`

	// Output maps the last layer to pixels in [-1, 1]: tanh; sigmoid, whose (0, 1) is stretched to (-1, 1), and which
	// loss bce needs; or linear, unbounded.
	Output string `yaml:"output" enum:"tanh,sigmoid,linear"`

	// Init draws the first weights: pytorch is uniform in ±1/√fan_in for weights and biases, as PyTorch's Linear
	// does; glorot is uniform in ±√(6/(fan_in+fan_out)) with zero biases; he is normal with variance 2/fan_in and zero
	// biases.
	Init string `yaml:"init" enum:"pytorch,glorot,he"`
}

// denseLayer is one layer y = activation(x W + b), W: [in, out], b: [out].
type denseLayer struct {
	name       string
	in, out    int
	activation string
}

// stack lists the layers for flattened images of size values; the first len(d.Encoder) are the encoder.
func (d *Dense) stack(size int) []denseLayer {
	var layers []denseLayer
	add := func(part string, number, in, out int, activation string) {
		layers = append(layers, denseLayer{fmt.Sprintf("%s.layer_%d", part, number), in, out, activation})
	}
	in := size
	for i, out := range d.Encoder {
		activation := d.Activation
		if i == len(d.Encoder)-1 {
			activation = d.LatentActivation
		}
		add("encoder", i+1, in, out, activation)
		in = out
	}
	for i, out := range d.Decoder {
		add("decoder", i+1, in, out, d.Activation)
		in = out
	}
	add("decoder", len(d.Decoder)+1, in, size, "linear")
	return layers
}

// OutputActivation returns Output.
func (d *Dense) OutputActivation() string { return d.Output }

// Layers lists the layers for images of this size.
func (d *Dense) Layers(image Image) []Layer {
	stack := d.stack(image.Size())
	layers := make([]Layer, len(stack))
	for i, l := range stack {
		activation := l.activation
		if i == len(stack)-1 {
			activation = d.Output
		}
		weight, bias := denseInit(d.Init, l.in, l.out)
		layers[i] = Layer{
			Name:        l.name,
			Description: fmt.Sprintf("dense %d → %d, %s", l.in, l.out, activation),
			Values:      l.out,
			Products:    l.in * l.out,
			Params: []Param{
				{Name: l.name + ".weight", Dims: []int{l.in, l.out}, Init: weight, Decays: true},
				{Name: l.name + ".bias", Dims: []int{l.out}, Init: bias},
			},
		}
	}
	return layers
}

// denseInit returns how a layer's weights and biases start.
func denseInit(kind string, in, out int) (weight, bias Init) {
	fanIn, fanOut := float64(in), float64(out)
	switch kind {
	case "pytorch":
		// PyTorch's Linear.reset_parameters: kaiming_uniform with a = √5, which is ±1/√fan_in.
		limit := Init{Limit: 1 / math.Sqrt(fanIn)}
		return limit, limit
	case "glorot":
		return Init{Limit: math.Sqrt(6 / (fanIn + fanOut))}, Init{}
	case "he":
		return Init{Limit: math.Sqrt(6 / fanIn), Normal: true}, Init{}
	}
	panic(fmt.Errorf("model.init: unknown kind %q", kind))
}

// Apply encodes and decodes x: [batch, height, width, channels].
func (d *Dense) Apply(p *Pass, x *Node) Output {
	z := d.Encode(p, x)
	logits := Reshape(d.Decode(p, z), x.Shape().Dimensions...)
	return Output{Latent: z, Logits: logits, Image: pixels(d.Output, logits)}
}

// Encode returns the code of x: [batch, height, width, channels] → [batch, latent].
func (d *Dense) Encode(p *Pass, x *Node) *Node {
	h := Reshape(x, x.Shape().Dim(0), -1)
	stack := d.stack(h.Shape().Dim(1))
	for _, layer := range stack[:len(d.Encoder)] {
		h = layer.apply(p, h)
	}
	return h
}

// Decode returns the logits of the flattened image: [batch, latent] → [batch, height · width · channels].
func (d *Dense) Decode(p *Pass, z *Node) *Node {
	last := fmt.Sprintf("decoder.layer_%d.bias", len(d.Decoder)+1)
	h := z
	for _, layer := range d.stack(p.Weight(last).Shape().Size())[len(d.Encoder):] {
		h = layer.apply(p, h)
	}
	return h
}

// apply returns activation(x W + b). x: [batch, in] → [batch, out].
func (l denseLayer) apply(p *Pass, x *Node) *Node {
	weight, bias := p.Weight(l.name+".weight"), p.Weight(l.name+".bias")
	if x.Rank() != 2 || x.Shape().Dim(1) != weight.Shape().Dim(0) {
		panic(fmt.Errorf("build %s: input %v does not fit weights %v", l.name, x.Shape().Dimensions, weight.Shape().Dimensions))
	}
	return activate(l.activation, Add(MatMul(x, weight), ExpandAxes(bias, 0)))
}
