package model

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// Convolutions here have stride 1 by the time they reach XLA, and gradients of their own.
//
// A stride s becomes s×s blocks of pixels that lie beside each other as channels, and a kernel of ⌈k/s⌉×⌈k/s⌉ blocks; a
// transposed convolution, likewise, gives blocks that are spread out again. XLA's own gradient of a strided convolution puts
// zeros between the values and multiplies by them.
//
// The gradients are written here for two reasons. GoMLX's (v0.28.2) with respect to the input is wrong for kernels of even
// size with padding. And in a loop of the graph, XLA's plugin for the CPU hands a convolution to its fast library only where
// images lie as [batch, height, width, channels] and kernels as [height, width, in, out], which GoMLX's gradients do not: it
// brings others into that layout only outside of loops. Here gradients are convolutions of that layout too.
//
// Milliseconds of processor time for a convolution and both its gradients in such a loop, batch 128, on two cores of a virtual
// AMD EPYC that others used too (go test ./pkg/model -run '^$' -bench Convolution):
//
//	                                 GoMLX's    these
//	28×28, 3×3, 24 to 24 channels       2208      118
//	28×28, 3×3, 48 to 24 channels       3927      178
//	14×14, 3×3, 48 to 48 channels       1453       65
//	  7×7, 3×3, 96 to 96 channels        616       49
//	14×14, 4×4, stride 2, 24 to 48       205       24
//
// One product of copied patches, and a product for each tap, were tried too, and were slower than these.

// frame returns how many places a kernel takes along an axis: ⌈size / stride⌉, and the zeros before the first value and
// after the last that this needs. Where their number is odd, there is one more after than before.
func frame(size, kernel, stride int) (places, before, after int) {
	places = (size + stride - 1) / stride
	zeros := max(0, (places-1)*stride+kernel-size)
	return places, zeros / 2, zeros - zeros/2
}

// Convolution returns, at each place p along both axes, the sum over the kernel's taps t of
//
//	x[s p + t − before] w[t]
//
// with s the stride, zeros outside of x, and as many of them before as after, or one fewer. Its gradients are faster than those
// of GoMLX's Convolve, and right for kernels of every size. They go through x to everything that x comes from: an image that
// comes from operations without gradients, as a damaged one may, must be behind StopGradient.
//
// x: [batch, height, width, in], w: [kernel, kernel, in, out] → [batch, ⌈height/s⌉, ⌈width/s⌉, out]
func Convolution(x, w *Node, stride int) *Node {
	kernel := w.Shape().Dim(0)
	if stride == 1 {
		var zeros [2][2]int
		for axis := range zeros {
			_, zeros[axis][0], zeros[axis][1] = frame(x.Shape().Dim(1+axis), kernel, 1)
		}
		return correlate(x, w, zeros)
	}
	taps := blocks(kernel, stride)
	for axis := 1; axis <= 2; axis++ {
		size := x.Shape().Dim(axis)
		places, before, _ := frame(size, kernel, stride)
		x = pad(x, axis, before, (places+taps-1)*stride-size-before)
	}
	in, out := w.Shape().Dim(2), w.Shape().Dim(3)
	w = TransposeAllAxes(inBlocks(w, stride), 0, 2, 1, 3, 4, 5)
	return correlate(spaceToDepth(x, stride), Reshape(w, taps, taps, stride*stride*in, out), [2][2]int{})
}

// TransposedConvolution is the adjoint of Convolution from height × width: each x[p] adds to the taps that Convolution reads for it,
//
//	y[s p + t − before] += x[p] w[t]
//
// x: [batch, ⌈height/s⌉, ⌈width/s⌉, in], w: [kernel, kernel, in, out] → [batch, height, width, out]
func TransposedConvolution(x, w *Node, stride, height, width int) *Node {
	kernel, in, out := w.Shape().Dim(0), w.Shape().Dim(2), w.Shape().Dim(3)
	taps := blocks(kernel, stride)
	w = TransposeAllAxes(inBlocks(w, stride), 0, 2, 4, 1, 3, 5)
	w = reverse(reverse(Reshape(w, taps, taps, in, stride*stride*out), 0), 1)
	y := depthToSpace(correlate(x, w, [2][2]int{{taps - 1, taps - 1}, {taps - 1, taps - 1}}), stride)
	_, top, _ := frame(height, kernel, stride)
	_, left, _ := frame(width, kernel, stride)
	return Slice(y, AxisRange(), AxisRange(top, top+height), AxisRange(left, left+width), AxisRange())
}

// blocks is the number of blocks of s taps that a kernel spans.
func blocks(kernel, stride int) int { return (kernel + stride - 1) / stride }

// inBlocks fills a kernel up with zeros to whole blocks: [kernel, kernel, in, out] → [blocks, s, blocks, s, in, out].
func inBlocks(w *Node, s int) *Node {
	kernel, in, out := w.Shape().Dim(0), w.Shape().Dim(2), w.Shape().Dim(3)
	n := blocks(kernel, s)
	w = pad(pad(w, 0, 0, n*s-kernel), 1, 0, n*s-kernel)
	return Reshape(w, n, s, n, s, in, out)
}

// spaceToDepth puts the pixels of each s×s block beside each other:
// [batch, s h, s w, channels] → [batch, h, w, s · s · channels].
func spaceToDepth(x *Node, s int) *Node {
	batch, h, w, c := x.Shape().Dim(0), x.Shape().Dim(1)/s, x.Shape().Dim(2)/s, x.Shape().Dim(3)
	return Reshape(TransposeAllAxes(Reshape(x, batch, h, s, w, s, c), 0, 1, 3, 2, 4, 5), batch, h, w, s*s*c)
}

// depthToSpace is the inverse of spaceToDepth: [batch, h, w, s · s · channels] → [batch, s h, s w, channels].
func depthToSpace(x *Node, s int) *Node {
	batch, h, w, c := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2), x.Shape().Dim(3)/(s*s)
	return Reshape(TransposeAllAxes(Reshape(x, batch, h, w, s, s, c), 0, 1, 3, 2, 4, 5), batch, s*h, s*w, c)
}

// pad puts zeros before and after x along an axis. GoMLX's Pad has no gradient.
func pad(x *Node, axis, before, after int) *Node {
	parts := []*Node{x}
	zeros := func(n int) *Node {
		shape := x.Shape().Clone()
		shape.Dimensions[axis] = n
		return Zeros(x.Graph(), shape)
	}
	if before > 0 {
		parts = []*Node{zeros(before), x}
	}
	if after > 0 {
		parts = append(parts, zeros(after))
	}
	return Concatenate(parts, axis)
}

// reverse turns an axis around. GoMLX's Reverse has no gradient.
func reverse(x *Node, axis int) *Node {
	parts := Split(x, axis, x.Shape().Dim(axis))
	slices.Reverse(parts)
	return Concatenate(parts, axis)
}

// correlate is a convolution of stride 1 with zeros around x: y[p] = Σₜ x[p + t − zeros before] w[t].
//
// x: [batch, height, width, in], w: [kernel, kernel, in, out]; zeros: before and after, at most kernel − 1, along height and
// width → [batch, height + zeros − kernel + 1, width + zeros − kernel + 1, out]
func correlate(x, w *Node, zeros [2][2]int) *Node {
	kernel := w.Shape().Dim(0)
	var around [2][2]int // dy with these zeros reaches all of x
	for axis, z := range zeros {
		around[axis] = [2]int{kernel - 1 - z[0], kernel - 1 - z[1]}
	}
	return withGradient(convGeneral(x, w, zeros), x, w, func(dy *Node) (dx, dw *Node) {
		// dx[q] = Σₜ dy[q − t + zeros before] w[t]ᵀ.
		dx = convGeneral(dy, TransposeAllAxes(reverse(reverse(w, 0), 1), 0, 1, 3, 2), around)
		// dw[t] = Σₚ x[p + t − zeros before]ᵀ dy[p]: channels stand in the place of images, and images in that of channels.
		// The larger of both is the image, or else XLA exchanges them, with the kernel reversed, for which it is slow.
		places, channels := x.Shape().Dim(1)*x.Shape().Dim(2)-dy.Shape().Dim(1)*dy.Shape().Dim(2), dy.Shape().Dim(3)-x.Shape().Dim(3)
		if places > 0 || places == 0 && channels >= 0 {
			dw = convGeneral(TransposeAllAxes(x, 3, 1, 2, 0), TransposeAllAxes(dy, 1, 2, 0, 3), zeros) // [in, kernel, kernel, out]
			return dx, TransposeAllAxes(dw, 1, 2, 0, 3)
		}
		dw = convGeneral(TransposeAllAxes(dy, 3, 1, 2, 0), TransposeAllAxes(x, 1, 2, 0, 3), around) // [out, kernel, kernel, in]
		return dx, Reverse(TransposeAllAxes(dw, 1, 2, 3, 0), 0, 1)
	})
}

// convGeneral is XLA's convolution of stride 1, in the one layout in which its plugin for the CPU is fast in a loop; see above.
//
// x: [batch, height, width, in], w: [kernel, kernel, in, out]
func convGeneral(x, w *Node, zeros [2][2]int) *Node {
	image := []int{1, 2}
	return ConvGeneral(x, w, ConvolveAxesConfig{
		InputBatch: 0, InputSpatial: image, InputChannels: 3,
		KernelSpatial: []int{0, 1}, KernelInputChannels: 2, KernelOutputChannels: 3,
		OutputBatch: 0, OutputSpatial: image, OutputChannels: 3,
	}, []int{1, 1}, zeros[:], nil, nil, 1, 1)
}

// withGradient returns y, a function of x and w, with another gradient than its operations have: backward makes those with
// respect to x and w from the one with respect to y.
//
// GoMLX has custom gradients for functions of one node only. But it lets a node stand in for another when gradients are
// taken. The stand-in here is made of the values of x and w in a row, cut to the shape of y; nothing computes it, for only
// the gradient's way through it counts.
//
// GoMLX then follows gradients to everything that x and w come from, asked for or not: an image that comes from operations
// without gradients must be behind StopGradient.
func withGradient(y, x, w *Node, backward func(dy *Node) (dx, dw *Node)) *Node {
	size, n := y.Shape().Size(), x.Shape().Size()
	standIn := func() []*Node {
		row := Concatenate([]*Node{Reshape(x, n), Reshape(w, w.Shape().Size())}, 0)
		all := row.Shape().Size()
		row = pad(row, 0, 0, max(0, size-all))
		row = IdentityWithCustomGradient(row, func(row, v *Node) *Node {
			dx, dw := backward(Reshape(Slice(v, AxisRange(0, size)), y.Shape().Dimensions...))
			both := Concatenate([]*Node{Reshape(dx, n), Reshape(dw, all-n)}, 0)
			return pad(both, 0, 0, row.Shape().Size()-all)
		})
		return []*Node{Reshape(Slice(row, AxisRange(0, size)), y.Shape().Dimensions...)}
	}
	outputs, _ := InternalFusedOpCallerMulti(func() []*Node { return []*Node{Identity(y)} }, standIn, true)
	return outputs[0]
}
