package vmap

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/trace"
)

// product maps a product. The leading axis is one of the aligned axes where both factors have it; where one has it, it is a
// free axis of that factor, and is brought to the front afterwards.
func (m mapper) product(op *trace.Op, a, b value, with trace.DotGeneral) *Node {
	dot := Dot(a.Node, b.Node)
	if with.Config.AccumulatorDType.IsSupported() {
		dot = dot.WithAccumulatorDType(with.Config.AccumulatorDType)
	}
	if with.Config.OutputDType.IsSupported() {
		dot = dot.WithOutputDType(with.Config.OutputDType)
	}
	leftSum, leftBatch, rightSum, rightBatch := with.LeftSum, with.LeftBatch, with.RightSum, with.RightBatch
	if a.isMapped {
		leftSum, leftBatch = moved(leftSum, 1), moved(leftBatch, 1)
	}
	if b.isMapped {
		rightSum, rightBatch = moved(rightSum, 1), moved(rightBatch, 1)
	}
	if a.isMapped && b.isMapped {
		leftBatch, rightBatch = prefix(1, leftBatch), prefix(1, rightBatch)
	}
	y := dot.General(leftSum, leftBatch, rightSum, rightBatch)
	switch {
	case a.isMapped && b.isMapped:
		return y // the leading axis is the first of those aligned
	case a.isMapped:
		return toFront(y, len(with.LeftBatch))
	case b.isMapped:
		// Free axes of the right factor come last.
		return toFront(y, op.Shape.Rank()-(op.Inputs[1].Shape.Rank()-len(with.RightBatch)-len(with.RightSum)))
	}
	return y
}

// toFront makes an axis the first.
func toFront(x *Node, axis int) *Node { return toPlace(x, axis, 0) }

// toPlace puts an axis elsewhere among the others, which keep their order.
func toPlace(x *Node, from, to int) *Node {
	if from == to {
		return x
	}
	order := make([]int, 0, x.Rank())
	for axis := range x.Rank() {
		if axis != from {
			order = append(order, axis)
		}
	}
	return TransposeAllAxes(x, slices.Insert(order, to, from)...)
}

// convolution maps a convolution. Kernels of their own are so many groups of channels, each seen by its own kernel; one kernel for
// all sees the inputs as more images.
func (m mapper) convolution(x, kernel value, with trace.ConvGeneral) *Node {
	axes, groups := with.Axes, max(1, with.ChannelGroupCount)
	convolve := func(x, kernel *Node, groups int) *Node {
		return ConvGeneral(x, kernel, axes, with.Strides, with.Paddings, with.InputDilations, with.KernelDilations, groups, with.BatchGroupCount)
	}
	switch {
	case with.BatchGroupCount > 1 && (x.isMapped || kernel.isMapped):
		panic(fmt.Errorf("map %v: with groups of images: not known how", compute.OpTypeConvGeneral))
	case kernel.isMapped:
		if !x.isMapped {
			x.Node = m.mapped(x)
		}
		y := convolve(merge(x.Node, axes.InputChannels), merge(kernel.Node, axes.KernelOutputChannels), m.n*groups)
		return m.split(y, axes.OutputChannels)
	case x.isMapped:
		return m.split(convolve(merge(x.Node, axes.InputBatch), kernel.Node, groups), axes.OutputBatch)
	}
	return convolve(x.Node, kernel.Node, groups)
}

// merge makes the leading axis the outer part of another, the one numbered axis without the leading one.
func merge(x *Node, axis int) *Node {
	y := toPlace(x, 0, axis)
	dims := slices.Clone(y.Shape().Dimensions)
	dims[axis+1] *= dims[axis]
	return Reshape(y, slices.Delete(dims, axis, axis+1)...)
}

// split is the inverse of merge.
func (m mapper) split(y *Node, axis int) *Node {
	dims := slices.Clone(y.Shape().Dimensions)
	dims[axis] /= m.n
	return toFront(Reshape(y, slices.Insert(dims, axis, m.n)...), axis)
}

// gather maps a read of slices. Where the places differ between inputs that differ too, each place is told its input as well.
func (m mapper) gather(operand, indices value, with trace.Gather) *Node {
	at := 0
	if operand.isMapped || indices.isMapped {
		at = 1
	}
	vector, offsets := with.IndexVectorAxis, moved(with.OffsetAxes, at)
	collapsed, places, sizes := with.CollapsedAxes, with.StartIndexMap, with.SliceSizes
	if indices.isMapped {
		vector++
	}
	switch {
	case operand.isMapped && indices.isMapped:
		indices.Node = m.withInput(indices.Node, vector)
		collapsed, places, sizes = prefix(1, moved(collapsed, 1)), prefix(1, moved(places, 1)), append([]int{1}, sizes...)
	case operand.isMapped:
		offsets, collapsed, places = prefix(1, offsets), moved(collapsed, 1), moved(places, 1)
		sizes = append([]int{m.n}, sizes...)
	}
	return BackendGather(operand.Node, indices.Node, vector, offsets, collapsed, places, sizes, with.Sorted && !indices.isMapped)
}

// withInput puts the number of the input before the first number of each index: indices go through the inputs along axis 0, and
// their numbers lie along the axis vector.
func (m mapper) withInput(indices *Node, vector int) *Node {
	shape := shapes.Make(indices.DType(), indices.Shape().Dimensions...)
	shape.Dimensions[vector] = 1
	return Concatenate([]*Node{Iota(m.graph, shape, 0), indices}, vector)
}

// scatterSum maps an addition of slices. Places that all inputs share take slices as thick as there are inputs.
func (m mapper) scatterSum(in []value, isMapped bool, with trace.ScatterSum) *Node {
	operand, indices, updates := in[0].Node, in[1].Node, in[2].Node
	vector, windows, inserted, places := with.IndexVectorAxis, with.WindowAxes, with.InsertedAxes, with.OperandAxes
	if isMapped {
		operand, updates = m.mapped(in[0]), m.mapped(in[2])
		windows, inserted, places = moved(windows, 1), moved(inserted, 1), moved(places, 1)
		if in[1].isMapped {
			vector++
			indices = m.withInput(indices, vector)
			inserted, places = prefix(1, inserted), prefix(1, places)
		} else {
			windows = prefix(1, windows)
		}
	}
	return BackendScatterSum(operand, indices, updates, vector, windows, inserted, places, with.Sorted && !in[1].isMapped, with.Unique)
}
