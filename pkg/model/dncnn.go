package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// DnCNN is a chain of convolutions that learns the noise of a picture, and takes it away (Zhang et al. 2017, "Beyond a Gaussian
// denoiser"): convolution and activation, then convolutions with a norm and an activation, and a last convolution,
//
//	y = x − R(x)
//
// It has no narrow code, and works on pictures of any size: what it makes of a pixel depends on Depth · (Kernel − 1) / 2 pixels on each
// side. Published are Depth 17 for a known noise (DnCNN-S) and 20 for any (DnCNN-B), with batch norms.
type DnCNN struct {
	// Depth is the number of convolutions.
	Depth int `yaml:"depth" min:"2" max:"100"`

	// Channels is the number of channels of each hidden convolution.
	Channels int `yaml:"channels" min:"1" max:"4096"`

	// Kernel is the height and width of the convolutions' kernels.
	Kernel int `yaml:"kernel" min:"1" max:"31"`

	// Activation is the activation after every convolution except the last.
	Activation string `yaml:"activation" enum:"relu,leaky_relu,gelu,silu,elu,tanh,sigmoid,linear"`

	// Norm is the normalisation before each activation except the first: batch, for each channel over the batch; layer, over the channels
	// of each position; or none.
	Norm string `yaml:"norm" enum:"none,layer,batch"`

	// Init is the initialisation of the weights, as for model dense; the fan-in counts the kernel's elements.
	Init string `yaml:"init" enum:"pytorch,glorot,he"`
}

// OutputActivation is linear: noise may lead anywhere.
func (*DnCNN) OutputActivation() string { return "linear" }

// Pictorial says that it is for pictures alone.
func (*DnCNN) Pictorial() string { return "kind" }

// AcrossBatch names the key by which the model looks across a batch; see [Collective].
func (m *DnCNN) AcrossBatch() string { return acrossBatch(m.Norm) }

// Layers lists the convolutions for images of this size.
func (m *DnCNN) Layers(image Image) []Layer {
	hidden, last := m.blocks(image)
	return append(layersOf(hidden), last.layer())
}

// blocks lists the hidden convolutions with what follows them, and the last.
func (m *DnCNN) blocks(image Image) ([]block, convLayer) {
	conv := func(i, in, out int, activation string) convLayer {
		return convLayer{name: fmt.Sprintf("conv_%d", i), kind: "down", kernel: m.Kernel, stride: 1, in: in, out: out,
			large: size{image.Height, image.Width}, activation: activation, init: m.Init}
	}
	blocks := []block{conv(1, image.Channels, m.Channels, m.Activation)}
	for i := 2; i < m.Depth; i++ {
		l := conv(i, m.Channels, m.Channels, before(m.Norm, m.Activation))
		blocks = append(append(blocks, l), hidden(l.name, m.Norm, m.Channels, m.Activation, 0)...)
	}
	return blocks, conv(m.Depth, m.Channels, image.Channels, "linear")
}

// Reach is how far a pixel sees; places need not be aligned.
func (m *DnCNN) Reach() (pixels, multiple int) { return m.Depth * (m.Kernel - 1) / 2, 1 }

// Apply cleans x: [batch, height, width, channels]. The code is the mean of the last hidden channels over the picture. No gradient
// flows to x; see [Convolution].
func (m *DnCNN) Apply(p *Pass, x *Node) Output {
	hidden, last := m.blocks(imageOf(x))
	h := through(hidden, p, StopGradient(x))
	cleaned := Sub(StopGradient(x), last.apply(p, h))
	return Output{Latent: ReduceMean(h, 1, 2), Logits: cleaned, Image: cleaned}
}
