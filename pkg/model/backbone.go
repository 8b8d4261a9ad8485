package model

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// Backbone is the layers between images and what a code is made of: a part of a model, beside its bottleneck. The decoder's layers
// mirror the encoder's.
type Backbone interface {
	// encoder lists the layers from images, [batch, height, width, channels], to features.
	encoder(p plan) ([]block, shape)

	// decoder lists the layers from a code to the values of the image, p.outputs for each of the image's. A code is a vector, or a map
	// of the size that the encoder's features have, with channels of its own.
	decoder(p plan, code shape) []block

	// pictorial says that it looks at pixels that lie beside each other. Where it does not, images come as rows: [batch, values].
	pictorial() bool

	// acrossBatch names its key that makes it look across a batch, "" where none does; see [Collective].
	acrossBatch() string
}

// Backbones holds every backbone that a config can name, with its defaults.
var Backbones = map[string]func() Backbone{
	"dense": func() Backbone { return &DenseBackbone{} },
	"conv": func() Backbone {
		return &ConvBackbone{Channels: []int{32, 64}, Kernel: 4, Stride: 2, Decoder: "transposed", Norm: "none"}
	},
	"resnet": func() Backbone { return &ResNet{Channels: []int{32, 64, 64}, Blocks: 1, Kernel: 3, Norm: "layer"} },
}

// NoBackbones says of networks that one may look for among [Backbones] why they are not there.
var NoBackbones = map[string]string{
	"unet": "a U-Net cannot be a backbone: its skip connections bypass the code, which would stay empty; write resnet, or use model kind unet, which has no code",
}

// shape is that of what flows between encoder and decoder: a map of places with channels, or a vector, which is one place.
type shape struct {
	size
	channels int
}

// values is their number.
func (s shape) values() int { return s.area() * s.channels }

// vector is the shape of so many values.
func vector(values int) shape { return shape{size{1, 1}, values} }

// plan is what a backbone is to fit.
type plan struct {
	image   Image
	beside  int // channels beside the image's, or values beside a row's
	outputs int // values of the decoder for each of the image's

	encoder, decoder []int // hidden layers of a dense backbone
	activation, init string
}

// in is the shape of what the encoder is given, of a picture.
func (p plan) in() shape {
	return shape{size{p.image.Height, p.image.Width}, p.image.Channels + p.beside}
}

// DenseBackbone has dense layers, with the sizes listed in encoder and decoder.
type DenseBackbone struct{}

func (*DenseBackbone) pictorial() bool     { return false }
func (*DenseBackbone) acrossBatch() string { return "" }

func (*DenseBackbone) encoder(p plan) ([]block, shape) {
	layers, last := chain("encoder", p.image.Size()+p.beside, p.encoder, p.activation, p.init)
	return denseBlocks(layers), vector(last)
}

func (*DenseBackbone) decoder(p plan, code shape) []block {
	layers, last := chain("decoder", code.values(), p.decoder, p.activation, p.init)
	return denseBlocks(append(layers, DenseLayer{pixelLayer, last, p.outputs * p.image.Size(), "linear", p.init}))
}

// pixelLayer is the name of a dense backbone's last layer.
const pixelLayer = "decoder.pixels"

// chain lists layers of these sizes, one after another, and the size of the last.
func chain(part string, in int, sizes []int, activation, init string) ([]DenseLayer, int) {
	var layers []DenseLayer
	for i, out := range sizes {
		layers = append(layers, DenseLayer{fmt.Sprintf("%s.layer_%d", part, i+1), in, out, activation, init})
		in = out
	}
	return layers, in
}

func denseBlocks(layers []DenseLayer) []block {
	var blocks []block
	for _, l := range layers {
		blocks = append(blocks, denseBlock{DenseLayer: l})
	}
	return blocks
}

// ConvBackbone has strided convolutions, as in model conv: each divides height and width by the stride, rounded up, and the decoder has the
// same sizes in reverse.
type ConvBackbone struct {
	// Channels lists the channels of the encoder's convolutions. The decoder has the same in reverse.
	Channels []int `yaml:"channels,flow" min:"1" max:"4096" minitems:"1" maxitems:"16"`

	// Kernel is the height and width of all kernels.
	Kernel int `yaml:"kernel" min:"1" max:"31"`

	// Stride is the stride of the convolutions.
	Stride int `yaml:"stride" min:"1" max:"8"`

	// Decoder is how the decoder enlarges: transposed or resize, as for model conv.
	Decoder string `yaml:"decoder" enum:"transposed,resize"`

	// Norm is the normalisation before the activation of every hidden layer: layer, over the channels of each position; batch, for each
	// channel over the batch; or none.
	Norm string `yaml:"norm" enum:"none,layer,batch"`

	// Dropout is the fraction of the values of every hidden layer that a training step sets to zero.
	Dropout float64 `yaml:"dropout" min:"0" below:"1"`

	// Attention is the number of heads of an attention layer over the positions of the smallest size, at the end of the encoder and at the
	// start of the decoder; it must divide the last of channels. 0 adds no such layer.
	Attention int `yaml:"attention" min:"0" max:"64"`
}

// Check reports heads that the channels cannot be shared among.
func (c *ConvBackbone) Check(report func(key, problem string)) {
	checkHeads(c.Attention, c.Channels, report)
}

func (*ConvBackbone) pictorial() bool       { return true }
func (c *ConvBackbone) acrossBatch() string { return acrossBatch(c.Norm) }

// shapes lists the shape of the image, and those after each convolution.
func (c *ConvBackbone) shapes(image shape) []shape {
	shapes := []shape{image}
	for i, out := range c.Channels {
		shapes = append(shapes, shape{shapes[i].down(c.Stride), out})
	}
	return shapes
}

func (c *ConvBackbone) encoder(p plan) ([]block, shape) {
	var blocks []block
	shapes := c.shapes(p.in())
	for i, out := range c.Channels {
		l := convLayer{
			name: fmt.Sprintf("encoder.conv_%d", i+1), kind: "down", kernel: c.Kernel, stride: c.Stride,
			in: shapes[i].channels, out: out, large: shapes[i].size, activation: before(c.Norm, p.activation), init: p.init,
		}
		blocks = append(append(blocks, l), hidden(l.name, c.Norm, out, p.activation, c.Dropout)...)
	}
	last := shapes[len(c.Channels)]
	return append(blocks, attend("encoder.attention", last, c.Attention, p.init)...), last
}

func (c *ConvBackbone) decoder(p plan, code shape) []block {
	first := before(c.Norm, p.activation) // the activation of layers that a norm may follow
	shapes := c.shapes(p.in())
	last := len(c.Channels)
	blocks := []block{fromCode(code, shapes[last], first, p.init)}
	blocks = append(blocks, hidden("decoder.code", c.Norm, shapes[last].channels, p.activation, c.Dropout)...)
	blocks = append(blocks, attend("decoder.attention", shapes[last], c.Attention, p.init)...)
	for i := last - 1; i >= 0; i-- {
		l := convLayer{
			name: fmt.Sprintf("decoder.conv_%d", last-i), kind: c.Decoder, kernel: c.Kernel, stride: c.Stride,
			in: shapes[i+1].channels, out: shapes[i].channels, large: shapes[i].size, activation: first, init: p.init,
		}
		if i == 0 {
			l.out, l.activation = p.outputs*p.image.Channels, "linear"
			return append(blocks, l)
		}
		blocks = append(append(blocks, l), hidden(l.name, c.Norm, l.out, p.activation, c.Dropout)...)
	}
	return blocks
}

// fromCode is the decoder's first layer, from a code to features: dense from a vector, a convolution of 1×1 from a map.
func fromCode(code, to shape, activation, init string) block {
	const name = "decoder.code"
	if code.size == to.size && to.size != (size{1, 1}) {
		return pointwise(name, code, to, activation, init)
	}
	return denseBlock{DenseLayer: DenseLayer{name, code.values(), to.values(), activation, init}, to: []int{to.size[0], to.size[1], to.channels}}
}

// pointwise is a convolution of 1×1 between maps of one size.
func pointwise(name string, from, to shape, activation, init string) block {
	return convLayer{name: name, kind: "down", kernel: 1, stride: 1, in: from.channels, out: to.channels, large: to.size, activation: activation, init: init}
}

// toCode is a layer from features to a code, or to one of several things that are as large as one.
func toCode(name string, from, code shape, activation, init string) block {
	if code.size == from.size && code.size != (size{1, 1}) {
		return pointwise(name, from, code, activation, init)
	}
	return denseBlock{DenseLayer: DenseLayer{name, from.values(), code.values(), activation, init}}
}

// besides puts the classes of images beside them: as planes beside a picture's or a map's channels, or as values beside a row's.
//
// x: [batch, …, channels]; labels, one-hot: [images, classes], each of whose rows goes with batch / images rows of x.
func besides(x, labels *Node) *Node {
	dims := slices.Clone(x.Shape().Dimensions)
	rows, classes := labels.Shape().Dim(0), labels.Shape().Dim(1)
	labels = BroadcastToDims(ExpandAxes(labels, 1), rows, dims[0]/rows, classes)
	if len(dims) == 2 {
		return Concatenate([]*Node{x, Reshape(labels, dims[0], classes)}, 1)
	}
	labels = Reshape(labels, append(append([]int{dims[0]}, slices.Repeat([]int{1}, len(dims)-2)...), classes)...)
	labels = BroadcastToDims(labels, append(dims[:len(dims)-1], classes)...)
	return Concatenate([]*Node{x, labels}, -1)
}
