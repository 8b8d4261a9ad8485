package model

import . "github.com/gomlx/gomlx/core/graph"

// Conv is a convolutional autoencoder: strided convolutions reduce the image to a few positions with many channels, a dense layer maps them
// to the code, and the decoder mirrors the encoder.
//
// If a stride does not divide a height or width, it rounds up: 28 becomes 14, 7, 4. The decoder has the same sizes in reverse.
type Conv struct {
	// Channels lists the channels of the encoder's convolutions, each of which divides height and width by stride. The decoder has the same
	// in reverse.
	Channels []int `yaml:"channels,flow" min:"1" max:"4096" minitems:"1" maxitems:"16"`

	// Kernel is the height and width of all kernels.
	Kernel int `yaml:"kernel" min:"1" max:"31"`

	// Stride is the stride of the convolutions.
	Stride int `yaml:"stride" min:"1" max:"8"`

	// Latent is the size of the code.
	Latent int `yaml:"latent" min:"1" max:"65536"`

	// Decoder is how the decoder enlarges: transposed is the adjoint of the encoder's convolutions; resize repeats each value and convolves
	// the result with stride 1, which costs stride² times as much and leaves no checkerboard artefacts (Odena et al. 2016).
	Decoder string `yaml:"decoder" enum:"transposed,resize"`

	// Activation is the activation after every hidden layer.
	Activation string `yaml:"activation" enum:"relu,leaky_relu,gelu,silu,elu,tanh,sigmoid,linear"`

	// LatentActivation is the activation of the layer that outputs the code; linear does not restrict the code.
	LatentActivation string `yaml:"latent_activation" enum:"relu,leaky_relu,gelu,silu,elu,tanh,sigmoid,linear"`

	// Norm is the normalisation before the activation of every hidden layer except the code: layer, over the channels of each position;
	// batch, for each channel over the batch; or none.
	Norm string `yaml:"norm" enum:"none,layer,batch"`

	// Dropout is the fraction of the values of every hidden layer except the code that a training step sets to zero.
	Dropout float64 `yaml:"dropout" min:"0" below:"1"`

	// Output is the activation of the last layer, which gives pixels in [-1, 1]: tanh; sigmoid, stretched from (0, 1) to (-1, 1), which
	// loss bce needs; or linear, unbounded.
	Output string `yaml:"output" enum:"tanh,sigmoid,linear"`

	// Init is the initialisation of the weights, as for model dense; the fan-in counts the kernel's elements.
	Init string `yaml:"init" enum:"pytorch,glorot,he"`
}

// OutputActivation returns Output.
func (m *Conv) OutputActivation() string { return m.Output }

// AcrossBatch names the key by which the model looks across a batch; see [Collective].
func (m *Conv) AcrossBatch() string { return acrossBatch(m.Norm) }

// Pictorial says that it is for pictures alone.
func (*Conv) Pictorial() string { return "kind" }

// Layers lists the layers for images of this size.
func (m *Conv) Layers(image Image) []Layer {
	encoder, decoder := m.blocks(image)
	layers := layersOf(encoder, decoder)
	layers[len(layers)-1] = shown(decoder[len(decoder)-1], m.Output)
	return layers
}

// backbone is the layers as those of a [ConvBackbone].
func (m *Conv) backbone() *ConvBackbone {
	return &ConvBackbone{Channels: m.Channels, Kernel: m.Kernel, Stride: m.Stride, Decoder: m.Decoder, Norm: m.Norm, Dropout: m.Dropout}
}

// blocks lists the encoder, from the image to the code, and the decoder back.
func (m *Conv) blocks(image Image) (encoder, decoder []block) {
	p := plan{image: image, outputs: 1, activation: m.Activation, init: m.Init}
	encoder, features := m.backbone().encoder(p)
	code := vector(m.Latent)
	return append(encoder, toCode(codeLayer, features, code, m.LatentActivation, m.Init)), m.backbone().decoder(p, code)
}

// Apply encodes and decodes x: [batch, height, width, channels]. No gradient flows to x; see [Convolution].
func (m *Conv) Apply(p *Pass, x *Node) Output {
	encoder, decoder := m.blocks(imageOf(x))
	z := through(encoder, p, StopGradient(x))
	logits := through(decoder, p, z)
	return Output{Latent: z, Logits: logits, Image: ToPixels(m.Output, logits)}
}

// CodeSize returns Latent.
func (m *Conv) CodeSize(Image) int { return m.Latent }

// Decode returns the logits of the flattened image: [batch, latent] → [batch, height · width · channels].
func (m *Conv) Decode(p *Pass, z *Node) *Node {
	_, decoder := m.blocks(p.Image)
	return Reshape(through(decoder, p, z), z.Shape().Dim(0), -1)
}

// imageOf is the size of a batch's images.
func imageOf(x *Node) Image {
	return Image{Height: x.Shape().Dim(1), Width: x.Shape().Dim(2), Channels: x.Shape().Dim(3)}
}
