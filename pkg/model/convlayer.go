package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// size is the height and the width of what flows through a convolution.
type size [2]int

func (s size) String() string { return fmt.Sprintf("%d×%d", s[0], s[1]) }

// area is the number of places.
func (s size) area() int { return s[0] * s[1] }

// down is the size after a stride.
func (s size) down(stride int) size {
	return size{(s[0] + stride - 1) / stride, (s[1] + stride - 1) / stride}
}

// convLayer is activation(conv(x, W) + b), W: [kernel, kernel, in, out], b: [out]; see [Convolution] and [TransposedConvolution].
//
// It lies between a large size and a small one, the large divided by the stride and rounded up.
type convLayer struct {
	name           string
	kind           string // down, from large to small; transposed, from small to large; or resize, which repeats values first
	kernel, stride int
	in, out        int // channels
	large          size
	activation     string
	init           string
}

// from and to are the sizes of input and output.
func (l convLayer) from() size {
	if l.kind == "down" {
		return l.large
	}
	return l.large.down(l.stride)
}

func (l convLayer) to() size {
	if l.kind == "down" {
		return l.large.down(l.stride)
	}
	return l.large
}

func (l convLayer) layer() Layer {
	taps := l.kernel * l.kernel
	fanIn, fanOut := taps*l.in, taps*l.out
	places, kind := l.large.down(l.stride), "conv"
	switch l.kind {
	case "transposed":
		// As PyTorch counts them: a transposed convolution's weights lie the other way round.
		fanIn, fanOut, kind = fanOut, fanIn, "transposed conv"
	case "resize":
		kind = "resize, conv"
		if l.kernel > 1 {
			places = l.large
		}
	}
	weight, bias := InitOf(l.init, fanIn, fanOut)
	if l.stride > 1 {
		kind = fmt.Sprintf("%s /%d", kind, l.stride)
	}
	return Layer{
		Name:        l.name,
		Description: fmt.Sprintf("%s %d×%d, %d → %d at %v, %s", kind, l.kernel, l.kernel, l.in, l.out, l.to(), l.activation),
		Products:    taps * l.in * l.out * places.area(),
		Params: []Param{
			{Name: l.name + ".weight", Dims: []int{l.kernel, l.kernel, l.in, l.out}, Init: weight, Decays: true, Transposed: l.kind == "transposed"},
			{Name: l.name + ".bias", Dims: []int{l.out}, Init: bias},
		},
	}
}

// apply maps x: [batch, height, width, in] → [batch, height, width, out].
func (l convLayer) apply(p *Pass, x *Node) *Node {
	weight, bias := p.Weight(l.name+".weight"), p.Weight(l.name+".bias")
	if got := x.Shape().Dimensions; len(got) != 4 || (size{got[1], got[2]}) != l.from() || got[3] != weight.Shape().Dim(2) {
		panic(fmt.Errorf("build %s: input %v does not fit weights %v and images of %v", l.name, got, weight.Shape().Dimensions, l.from()))
	}
	var y *Node
	switch {
	case l.kind == "down":
		y = Convolution(x, weight, l.stride)
	case l.kind == "transposed":
		y = TransposedConvolution(x, weight, l.stride, l.large[0], l.large[1])
	case l.kernel == 1: // the same in either order, and cheaper in this
		y = nearest(Convolution(x, weight, 1), l.stride, l.large)
	default:
		y = Convolution(nearest(x, l.stride, l.large), weight, 1)
	}
	return p.Show(l.name, Activate(l.activation, Add(y, ExpandAxes(bias, 0, 1, 2))))
}

// poolLayer makes one place of each window of 2×2, its largest value or its mean. Where height or width is odd, the last row
// or column is its own neighbour.
type poolLayer struct {
	name     string
	kind     string // max or mean
	channels int
	from     size
}

func (l poolLayer) layer() Layer {
	to := l.from.down(2)
	return Layer{Name: l.name, Description: fmt.Sprintf("%s of 2×2, %d at %v", l.kind, l.channels, to)}
}

// apply maps x: [batch, height, width, channels] → [batch, ⌈height/2⌉, ⌈width/2⌉, channels].
func (l poolLayer) apply(_ *Pass, x *Node) *Node {
	for axis := 1; axis <= 2; axis++ {
		if n := x.Shape().Dim(axis); n%2 == 1 {
			x = Concatenate([]*Node{x, SliceAxis(x, axis, AxisRange(n-1))}, axis)
		}
	}
	batch, h, w, c := x.Shape().Dim(0), x.Shape().Dim(1)/2, x.Shape().Dim(2)/2, x.Shape().Dim(3)
	x = Reshape(x, batch, h, 2, w, 2, c)
	if l.kind == "mean" {
		return ReduceMean(x, 2, 4)
	}
	// Of equal values, the first has the gradient; GoMLX's ReduceMax gives it to all of them. The gradient of XLA's own pooling
	// takes 42 ms of processor time for [128, 28, 28, 24], this one's 2.5.
	for _, axis := range []int{2, 4} {
		x = Max(SliceAxis(x, axis, AxisElem(0)), SliceAxis(x, axis, AxisElem(1)))
	}
	return Reshape(x, batch, h, w, c)
}

// nearest repeats each place stride×stride times, and cuts what lies beyond to.
func nearest(x *Node, stride int, to size) *Node {
	batch, h, w, c := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2), x.Shape().Dim(3)
	x = BroadcastToDims(Reshape(x, batch, h, 1, w, 1, c), batch, h, stride, w, stride, c)
	x = Reshape(x, batch, h*stride, w*stride, c)
	return Slice(x, AxisRange(), AxisRange(0, to[0]), AxisRange(0, to[1]), AxisRange())
}
