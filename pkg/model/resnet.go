package model

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// ResNet has residual blocks (He et al. 2016, with the activation before each convolution) at several sizes, each half the one before,
// rounded up. The encoder shrinks the image by strided convolutions; the decoder enlarges it by 1×1 convolutions whose values are repeated.
type ResNet struct {
	// Channels lists the channels at each size, from the image's to the smallest.
	Channels []int `yaml:"channels,flow" min:"1" max:"4096" minitems:"1" maxitems:"10"`

	// Blocks is the number of residual blocks at each size, with two convolutions each.
	Blocks int `yaml:"blocks" min:"1" max:"64"`

	// Kernel is the height and width of the kernels.
	Kernel int `yaml:"kernel" min:"1" max:"31"`

	// Norm is the normalisation before each activation: layer, over the channels of each position; batch, for each channel over the batch;
	// or none.
	Norm string `yaml:"norm" enum:"none,layer,batch"`

	// Dropout is the fraction of a block's values, before its second convolution, that a training step sets to zero.
	Dropout float64 `yaml:"dropout" min:"0" below:"1"`

	// Attention is the number of heads of an attention layer over the positions of the smallest size, at the end of the encoder and at the
	// start of the decoder; it must divide the last of channels. 0 adds no such layer.
	Attention int `yaml:"attention" min:"0" max:"64"`
}

// Check reports heads that the channels cannot be shared among.
func (r *ResNet) Check(report func(key, problem string)) { checkHeads(r.Attention, r.Channels, report) }

func (*ResNet) pictorial() bool       { return true }
func (r *ResNet) acrossBatch() string { return acrossBatch(r.Norm) }

// sizes lists that at each level.
func (r *ResNet) sizes(image Image) []size {
	sizes := []size{{image.Height, image.Width}}
	for range r.Channels[1:] {
		sizes = append(sizes, sizes[len(sizes)-1].down(2))
	}
	return sizes
}

// conv is a convolution between the places of a size, or to or from half of it.
func (r *ResNet) conv(p plan, name, kind string, stride, in, out int, large size) convLayer {
	return convLayer{name: name, kind: kind, kernel: r.Kernel, stride: stride, in: in, out: out, large: large, activation: "linear", init: p.init}
}

// level is the residual blocks of one size.
func (r *ResNet) level(p plan, name string, at size, channels int) []block {
	var blocks []block
	for i := range r.Blocks {
		b := residual{name: fmt.Sprintf("%s.block_%d", name, i+1)}
		for j := range 2 {
			conv := r.conv(p, fmt.Sprintf("%s.conv_%d", b.name, j+1), "down", 1, channels, channels, at)
			b.inner = append(b.inner, activated(conv.name, r.Norm, channels, p.activation)...)
			if j == 1 && r.Dropout > 0 {
				b.inner = append(b.inner, dropoutLayer{b.name + ".dropout", r.Dropout})
			}
			b.inner = append(b.inner, conv)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

func (r *ResNet) encoder(p plan) ([]block, shape) {
	sizes := r.sizes(p.image)
	in := p.in().channels
	var blocks []block
	for i, channels := range r.Channels {
		into := r.conv(p, "encoder.conv_1", "down", 1, in, channels, sizes[0])
		if i > 0 {
			into = r.conv(p, fmt.Sprintf("encoder.down_%d", i), "down", 2, in, channels, sizes[i-1])
		}
		blocks = append(append(blocks, into), r.level(p, fmt.Sprintf("encoder.level_%d", i+1), sizes[i], channels)...)
		in = channels
	}
	last := shape{sizes[len(sizes)-1], in}
	blocks = append(blocks, attend("encoder.attention", last, r.Attention, p.init)...)
	return append(blocks, activated("encoder.last", r.Norm, in, p.activation)...), last
}

func (r *ResNet) decoder(p plan, code shape) []block {
	sizes := r.sizes(p.image)
	in := r.Channels[len(r.Channels)-1]
	last := shape{sizes[len(sizes)-1], in}
	blocks := append([]block{fromCode(code, last, "linear", p.init)}, attend("decoder.attention", last, r.Attention, p.init)...)
	for i, channels := range slices.Backward(r.Channels) {
		if i < len(r.Channels)-1 {
			up := r.conv(p, fmt.Sprintf("decoder.up_%d", i+1), "resize", 2, in, channels, sizes[i])
			up.kernel = 1
			blocks = append(blocks, up)
		}
		blocks, in = append(blocks, r.level(p, fmt.Sprintf("decoder.level_%d", i+1), sizes[i], channels)...), channels
	}
	blocks = append(blocks, activated("decoder.last", r.Norm, in, p.activation)...)
	return append(blocks, r.conv(p, "decoder.image", "down", 1, in, p.outputs*p.image.Channels, sizes[0]))
}

// activated is what stands before a convolution of a residual block: a norm, where there is one, and the activation.
func activated(name, norm string, channels int, activation string) []block {
	if normalizes(norm) {
		return []block{normLayer{name + "." + norm + "_norm", norm, channels, activation}}
	}
	return []block{activationLayer{name + ".activation", activation}}
}

// activationLayer is an activation by itself.
type activationLayer struct{ name, activation string }

func (l activationLayer) layer() Layer { return Layer{Name: l.name, Description: l.activation} }

func (l activationLayer) apply(p *Pass, x *Node) *Node {
	return p.Show(l.name, Activate(l.activation, x))
}

// residual adds to x what inner makes of it. It stands in lists of layers as one.
type residual struct {
	name  string
	inner []block
}

func (r residual) layer() Layer {
	merged := Layer{Name: r.name}
	for _, l := range layersOf(r.inner) {
		merged.Products += l.Products
		merged.Params = append(merged.Params, l.Params...)
		merged.Description = "residual, 2 × " + l.Description // of the last, which is a convolution
	}
	return merged
}

func (r residual) apply(p *Pass, x *Node) *Node {
	return p.Show(r.name, Add(x, chained(r.inner, p, x)))
}
