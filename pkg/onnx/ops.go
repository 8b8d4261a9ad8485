package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapeinference"
	"github.com/gomlx/compute/shapes"
)

// errAcross is the problem of operations that mix images or count them: what is recorded of them holds for one number of images.
var errAcross = errors.New("it looks across the images of a batch")

// keep adds an operation on the whole of its inputs.
func (f *function) keep(op compute.OpType, shape shapes.Shape, err error, inputs []*value, write func(w *writer, in []operand) (operand, error)) (compute.Value, error) {
	if err != nil {
		return nil, err
	}
	return f.add(&value{op: op, shape: shape, inputs: inputs, write: func(w *writer, v *value, in []operand) (operand, error) {
		for i, input := range v.inputs {
			dims := input.shape.Dimensions
			in[i] = operand{w.whole(in[i], dims), dims}
		}
		return write(w, in)
	}}), nil
}

// Reshape gives the values of x other sizes.
func (f *function) Reshape(x compute.Value, dims ...int) (compute.Value, error) {
	input := x.(*value)
	shape, err := shapeinference.Reshape(input.shape, dims)
	return f.keep(compute.OpTypeReshape, shape, err, []*value{input}, func(w *writer, in []operand) (operand, error) {
		return w.reshape(in[0], shape.Dimensions)
	})
}

// Transpose puts the axes of x into another order.
func (f *function) Transpose(x compute.Value, order ...int) (compute.Value, error) {
	input := x.(*value)
	shape, err := shapeinference.Transpose(input.shape, order)
	return f.keep(compute.OpTypeTranspose, shape, err, []*value{input}, func(w *writer, in []operand) (operand, error) {
		return operand{w.transpose(in[0].name, order), shape.Dimensions}, nil
	})
}

// BroadcastInDim repeats x along new axes and those of size 1. axes: those of shape that x has
func (f *function) BroadcastInDim(x compute.Value, shape shapes.Shape, axes []int) (compute.Value, error) {
	input := x.(*value)
	if err := shapeinference.BroadcastInDim(input.shape, shape, axes, nil); err != nil {
		return nil, err
	}
	shape = shape.Clone()
	shape.DType = input.shape.DType
	return f.add(&value{op: compute.OpTypeBroadcastInDim, shape: shape, inputs: []*value{input}, write: func(w *writer, _ *value, in []operand) (operand, error) {
		if len(in[0].dims) == 0 {
			return in[0], nil
		}
		dims := slices.Repeat([]int{1}, shape.Rank())
		for i, axis := range axes {
			dims[axis] = in[0].dims[i]
		}
		return w.reshape(in[0], dims)
	}}), nil
}

// Iota counts along an axis.
func (f *function) Iota(shape shapes.Shape, axis int) (compute.Value, error) {
	return f.keep(compute.OpTypeIota, shape, nil, nil, func(w *writer, _ []operand) (operand, error) {
		n := shape.Dimensions[axis]
		if ofBatch(n) {
			return operand{}, errAcross
		}
		raw, err := count(shape.DType, n)
		if err != nil {
			return operand{}, err
		}
		dims := slices.Repeat([]int{1}, shape.Rank())
		dims[axis] = n
		return operand{w.constant(shape.DType, dims, raw), dims}, nil
	})
}

// count returns the numbers from 0 to n − 1.
func count(dtype dtypes.DType, n int) ([]byte, error) {
	var raw []byte
	for i := range n {
		switch dtype {
		case dtypes.Int32:
			raw = binary.LittleEndian.AppendUint32(raw, uint32(i))
		case dtypes.Int64:
			raw = binary.LittleEndian.AppendUint64(raw, uint64(i))
		default:
			return nil, fmt.Errorf("numbers of type %v are not counted", dtype)
		}
	}
	return raw, nil
}

// Concatenate puts values one after another along an axis.
func (f *function) Concatenate(axis int, parts ...compute.Value) (compute.Value, error) {
	var inputs []*value
	for _, part := range parts {
		inputs = append(inputs, part.(*value))
	}
	shape, err := shapeinference.Concatenate(shapesOf(inputs), axis)
	return f.keep(compute.OpTypeConcatenate, shape, err, inputs, func(w *writer, in []operand) (operand, error) {
		if slices.ContainsFunc(in, func(x operand) bool { return ofBatch(x.dims[axis]) }) {
			return operand{}, errAcross
		}
		return operand{w.node("Concat", namesOf(in), attribute{name: "axis", value: axis}), shape.Dimensions}, nil
	})
}

// Slice takes the places from starts to before limits, every stride-th.
func (f *function) Slice(x compute.Value, starts, limits, strides []int) (compute.Value, error) {
	input := x.(*value)
	shape, err := shapeinference.Slice(input.shape, starts, limits, strides)
	return f.keep(compute.OpTypeSlice, shape, err, []*value{input}, func(w *writer, in []operand) (operand, error) {
		var axes, from, to, steps []int
		for axis, size := range in[0].dims {
			if shape.Dimensions[axis] == size {
				continue
			}
			if ofBatch(size) {
				return operand{}, errAcross
			}
			step := 1
			if strides != nil {
				step = strides[axis]
			}
			axes, from, to, steps = append(axes, axis), append(from, starts[axis]), append(to, limits[axis]), append(steps, step)
		}
		if axes == nil {
			return in[0], nil
		}
		inputs := []string{in[0].name, w.integers(from...), w.integers(to...), w.integers(axes...), w.integers(steps...)}
		return operand{w.node("Slice", inputs), shape.Dimensions}, nil
	})
}

// ReduceSum adds up the values along axes, or all.
func (f *function) ReduceSum(x compute.Value, axes ...int) (compute.Value, error) {
	return f.reduce(compute.OpTypeReduceSum, "ReduceSum", x, axes)
}

// ReduceMax takes the largest value along axes, or of all.
func (f *function) ReduceMax(x compute.Value, axes ...int) (compute.Value, error) {
	return f.reduce(compute.OpTypeReduceMax, "ReduceMax", x, axes)
}

func (f *function) reduce(op compute.OpType, name string, x compute.Value, axes []int) (compute.Value, error) {
	input := x.(*value)
	if len(axes) == 0 {
		for axis := range input.shape.Rank() {
			axes = append(axes, axis)
		}
	}
	shape, err := shapeinference.Reduce(input.shape, axes)
	return f.keep(op, shape, err, []*value{input}, func(w *writer, in []operand) (operand, error) {
		if slices.ContainsFunc(axes, func(axis int) bool { return ofBatch(in[0].dims[axis]) }) {
			return operand{}, errAcross
		}
		return operand{w.node(name, []string{in[0].name, w.integers(axes...)}, attribute{name: "keepdims", value: 0}), shape.Dimensions}, nil
	})
}

// ArgMinMax finds the place of the smallest or largest value along an axis, the first of equal ones.
func (f *function) ArgMinMax(x compute.Value, axis int, dtype dtypes.DType, least bool) (compute.Value, error) {
	input := x.(*value)
	shape, err := shapeinference.ArgMinMax(input.shape, axis, dtype)
	return f.keep(compute.OpTypeArgMinMax, shape, err, []*value{input}, func(w *writer, in []operand) (operand, error) {
		if ofBatch(in[0].dims[axis]) {
			return operand{}, errAcross
		}
		op := "ArgMax"
		if least {
			op = "ArgMin"
		}
		place := w.node(op, namesOf(in), attribute{name: "axis", value: axis}, attribute{name: "keepdims", value: 0})
		return operand{w.node("Cast", []string{place}, attribute{name: "to", value: elementTypes[dtype]}), shape.Dimensions}, nil
	})
}

// DotGeneral is a product. Only one of matrices can be written.
func (f *function) DotGeneral(lhs compute.Value, lhsSum, lhsBatch []int, rhs compute.Value, rhsSum, rhsBatch []int, config compute.DotGeneralConfig) (compute.Value, error) {
	inputs := []*value{lhs.(*value), rhs.(*value)}
	shape, err := shapeinference.DotGeneral(inputs[0].shape, lhsSum, lhsBatch, inputs[1].shape, rhsSum, rhsBatch, config)
	return f.keep(compute.OpTypeDotGeneral, shape, err, inputs, func(w *writer, in []operand) (operand, error) {
		a, b := in[0], in[1]
		if len(a.dims) != 2 || len(b.dims) != 2 || len(lhsSum) != 1 || len(lhsBatch) > 0 {
			return operand{}, fmt.Errorf("a product of ranks %d and %d over axes %v and %v is none of two matrices", len(a.dims), len(b.dims), lhsSum, rhsSum)
		}
		if ofBatch(a.dims[lhsSum[0]]) || ofBatch(b.dims[1-rhsSum[0]]) {
			return operand{}, errAcross
		}
		factors := []string{
			w.transpose(a.name, []int{1 - lhsSum[0], lhsSum[0]}),
			w.transpose(b.name, []int{rhsSum[0], 1 - rhsSum[0]}),
		}
		return operand{w.node("MatMul", factors), shape.Dimensions}, nil
	})
}

// ConvGeneral is a convolution.
func (f *function) ConvGeneral(input, kernel compute.Value, axes compute.ConvolveAxesConfig, strides []int, paddings [][2]int,
	inputDilations, kernelDilations []int, channelGroups, batchGroups int,
) (compute.Value, error) {
	inputs := []*value{input.(*value), kernel.(*value)}
	shape, err := shapeinference.ConvGeneral(inputs[0].shape, inputs[1].shape, axes, strides, paddings, inputDilations, kernelDilations, channelGroups, batchGroups)
	return f.keep(compute.OpTypeConvGeneral, shape, err, inputs, func(w *writer, in []operand) (operand, error) {
		if batchGroups > 1 || slices.ContainsFunc(inputDilations, func(n int) bool { return n != 1 }) {
			return operand{}, errors.New("ONNX has no convolution with groups of images or a dilated input")
		}
		// ONNX has [batch, channels, places…], [out, in, taps…] and [batch, out, places…].
		x := w.transpose(in[0].name, append([]int{axes.InputBatch, axes.InputChannels}, axes.InputSpatial...))
		weight := w.transpose(in[1].name, append([]int{axes.KernelOutputChannels, axes.KernelInputChannels}, axes.KernelSpatial...))
		back := make([]int, shape.Rank())
		back[axes.OutputBatch], back[axes.OutputChannels] = 0, 1
		for i, axis := range axes.OutputSpatial {
			back[axis] = 2 + i
		}
		attributes := []attribute{{name: "group", value: channelGroups}}
		if strides != nil {
			attributes = append(attributes, attribute{name: "strides", list: strides})
		}
		if kernelDilations != nil {
			attributes = append(attributes, attribute{name: "dilations", list: kernelDilations})
		}
		if paddings != nil {
			before, after := []int{}, []int{}
			for _, padding := range paddings {
				before, after = append(before, padding[0]), append(after, padding[1])
			}
			attributes = append(attributes, attribute{name: "pads", list: append(before, after...)})
		}
		return operand{w.transpose(w.node("Conv", []string{x, weight}, attributes...), back), shape.Dimensions}, nil
	})
}
