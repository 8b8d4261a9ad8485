package model

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// UNet shrinks the image level by level and enlarges it again, passing each level's features on to the level of the same size on the way up
// (Ronneberger et al. 2015). It has no narrow code: it is for removing damage, not for compression.
type UNet struct {
	U `yaml:",inline"`

	// Residual adds the input to the values of the last layer, before output, so that the network learns the damage.
	Residual bool `yaml:"residual"`

	// Output is the activation of the last layer, which gives pixels in [-1, 1]: tanh; sigmoid, stretched from (0, 1) to (-1, 1), which
	// loss bce needs; or linear, unbounded.
	Output string `yaml:"output" enum:"tanh,sigmoid,linear"`
}

// OutputActivation returns Output.
func (m *UNet) OutputActivation() string { return m.Output }

// Pictorial says that it is for pictures alone.
func (*UNet) Pictorial() string { return "kind" }

// Layers lists the layers for images of this size.
func (m *UNet) Layers(image Image) []Layer { return m.layers(image, 0, m.Output) }

// Reach is how far a pixel sees, and what pixels are pooled with which.
func (m *UNet) Reach() (pixels, multiple int) {
	multiple = 1 << (len(m.Channels) - 1)
	for level := range m.Channels {
		times := 2 // on the way down and up
		if level == len(m.Channels)-1 {
			times = 1
		}
		// A convolution sees as many places of its level on each side, and pooling as much as a place of the level below.
		pixels += (times*m.Convolutions*(m.Kernel-1)/2 + 1) << level
	}
	return pixels, multiple
}

// Apply cleans x: [batch, height, width, channels]. The code is the bottom's values. No gradient flows to x; see [Convolution].
func (m *UNet) Apply(p *Pass, x *Node) Output {
	z, logits := m.through(p, x, imageOf(x))
	if m.Residual {
		logits = Add(logits, StopGradient(x))
	}
	return Output{Latent: z, Logits: logits, Image: ToPixels(m.Output, logits)}
}

// U is the layers of a U-Net.
//
//	level 1   convolutions ──────────── skip ───────────→ join, convolutions → 1×1 to the image
//	              ↓ pooling                                  ↑ upsampling
//	level 2       convolutions ──────── skip ───→ join, convolutions
//	                  ↓                              ↑
//	bottom            convolutions ──────────────────┘
//
// Height and width are halved from level to level and rounded up: 28, 14, 7, 4.
type U struct {
	// Channels lists the channels of each level, from the top to the bottom. A single entry makes a network of one level.
	Channels []int `yaml:"channels,flow" min:"1" max:"4096" minitems:"1" maxitems:"10"`

	// Convolutions is the number of convolutions of a level on the way down, and again on the way up.
	Convolutions int `yaml:"convolutions" min:"1" max:"16"`

	// Kernel is the height and width of the convolutions' kernels.
	Kernel int `yaml:"kernel" min:"1" max:"31"`

	// Pooling reduces 2×2 values to one: max, mean, or strided, a 2×2 convolution with stride 2.
	Pooling string `yaml:"pooling" enum:"max,mean,strided"`

	// Upsampling expands one value to 2×2, with the number of channels of the level above: transposed, a 2×2 transposed convolution; or
	// resize, a 1×1 convolution whose values are repeated.
	Upsampling string `yaml:"upsampling" enum:"transposed,resize"`

	// Activation is the activation after every convolution except the last and those that change the size.
	Activation string `yaml:"activation" enum:"relu,leaky_relu,gelu,silu,elu,tanh,sigmoid,linear"`

	// Norm is the normalisation before each activation: layer, over the channels of each position; batch, for each channel over the batch;
	// or none.
	Norm string `yaml:"norm" enum:"none,layer,batch"`

	// Init is the initialisation of the weights, as for model dense; the fan-in counts the kernel's elements.
	Init string `yaml:"init" enum:"pytorch,glorot,he"`
}

// AcrossBatch names the key by which the model looks across a batch; see [Collective].
func (m *U) AcrossBatch() string { return acrossBatch(m.Norm) }

// level is one of the U's levels: what it does on the way down, how it goes to the next and comes back, and what it does
// with both on the way up. The bottom has only the first.
type level struct {
	down, next, back, up []block
	size                 size
}

// levels lists the levels from the image, with so many channels beside its own, to the bottom, and the layer that makes the image.
func (m *U) levels(image Image, beside int) ([]level, convLayer) {
	var levels []level
	at, in := size{image.Height, image.Width}, image.Channels+beside
	conv := func(name string, in, out int) convLayer {
		return convLayer{name: name, kind: "down", kernel: m.Kernel, stride: 1, in: in, out: out, large: at,
			activation: before(m.Norm, m.Activation), init: m.Init}
	}
	convolutions := func(part string, in, out int) []block {
		var blocks []block
		for i := range m.Convolutions {
			l := conv(fmt.Sprintf("%s.conv_%d", part, i+1), in, out)
			blocks = append(append(blocks, l), hidden(l.name, m.Norm, out, m.Activation, 0)...)
			in = out
		}
		return blocks
	}
	for i, channels := range m.Channels {
		l := level{size: at, down: convolutions(fmt.Sprintf("down_%d", i+1), in, channels)}
		if i < len(m.Channels)-1 {
			resize := convLayer{kernel: 2, stride: 2, large: at, activation: "linear", init: m.Init}
			if m.Pooling == "strided" {
				next := resize
				next.name, next.kind, next.in, next.out = fmt.Sprintf("pool_%d", i+1), "down", channels, channels
				l.next = []block{next}
			} else {
				l.next = []block{poolLayer{fmt.Sprintf("pool_%d", i+1), m.Pooling, channels, at}}
			}
			back := resize
			back.name, back.kind, back.in, back.out = fmt.Sprintf("unpool_%d", i+1), m.Upsampling, m.Channels[i+1], channels
			if m.Upsampling == "resize" {
				back.kernel = 1
			}
			l.back = []block{back}
			l.up = convolutions(fmt.Sprintf("up_%d", i+1), 2*channels, channels)
		}
		levels = append(levels, l)
		at, in = at.down(2), channels
	}
	at = levels[0].size
	last := conv("image", m.Channels[0], image.Channels)
	last.kernel, last.activation = 1, "linear"
	return levels, last
}

// layers describes the levels, and the last layer with the activation that makes pixels of it.
func (m *U) layers(image Image, beside int, output string) []Layer {
	levels, last := m.levels(image, beside)
	var layers []Layer
	for _, l := range levels {
		layers = append(layers, layersOf(l.down, l.next)...)
	}
	for _, l := range slices.Backward(levels) {
		layers = append(layers, layersOf(l.back, l.up)...)
	}
	return append(layers, shown(last, output))
}

// through returns the bottom's values, [batch, values], and those of the last layer, [batch, height, width, channels], of an
// image with other channels beside its own: [batch, height, width, channels + beside]. No gradient flows to x.
func (m *U) through(p *Pass, x *Node, image Image) (bottom, logits *Node) {
	levels, last := m.levels(image, x.Shape().Dim(-1)-image.Channels)
	var skips []*Node
	h := StopGradient(x)
	for _, l := range levels {
		h = through(l.down, p, h)
		skips = append(skips, h)
		h = through(l.next, p, h)
	}
	bottom = Reshape(h, h.Shape().Dim(0), -1)
	for i, l := range slices.Backward(levels[:len(levels)-1]) {
		h = through(l.back, p, h)
		h = through(l.up, p, Concatenate([]*Node{skips[i], h}, -1))
	}
	return bottom, last.apply(p, h)
}
