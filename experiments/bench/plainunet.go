package main

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/model"
)

// plainUNet is model.UNet, as kind unet has it by default, written with GoMLX's own convolutions, whose gradients XLA is given
// instead of those of pkg/model. It has the same parameters, and makes the same of them.
type plainUNet struct{ model.UNet }

// Apply cleans x: [batch, height, width, channels].
func (m *plainUNet) Apply(p *model.Pass, x *Node) model.Output {
	x = StopGradient(x)
	bottom := len(m.Channels) - 1
	conv := func(name string, h *Node) *Node {
		return Add(Convolve(h, p.Weight(name+".weight")).PadSame().Done(), ExpandAxes(p.Weight(name+".bias"), 0, 1, 2))
	}
	level := func(part string, h *Node) *Node {
		for i := range m.Convolutions {
			h = MaxScalar(conv(fmt.Sprintf("%s.conv_%d", part, i+1), h), 0)
		}
		return h
	}
	h, skips := x, []*Node(nil)
	for i := range bottom {
		h = level(fmt.Sprintf("down_%d", i+1), h)
		skips = append(skips, h)
		h = MaxPool(h).Window(2).Done()
	}
	h = level(fmt.Sprintf("down_%d", bottom+1), h)
	z := Reshape(h, h.Shape().Dim(0), -1)
	for i := bottom - 1; i >= 0; i-- {
		h = level(fmt.Sprintf("up_%d", i+1), Concatenate([]*Node{skips[i], widen(p, fmt.Sprintf("unpool_%d", i+1), h)}, -1))
	}
	logits := conv("image", h)
	return model.Output{Latent: z, Logits: logits, Image: Tanh(logits)}
}

// widen is a transposed convolution of 2×2 with stride 2, in which no two places meet: a product for each place.
func widen(p *model.Pass, name string, x *Node) *Node {
	w := p.Weight(name + ".weight") // [2, 2, in, out]
	batch, height, width, out := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2), w.Shape().Dim(3)
	y := Einsum("bhwi,klio->bhkwlo", x, w)
	return Add(Reshape(y, batch, 2*height, 2*width, out), ExpandAxes(p.Weight(name+".bias"), 0, 1, 2))
}
