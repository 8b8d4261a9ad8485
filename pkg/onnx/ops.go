package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"latent/pkg/trace"
)

// batch stands for the number of images while a graph is recorded: GoMLX's shapes are fixed, those of a file are not. It is a
// prime above all sizes that a config allows (65,536), so that a size is a multiple of it only where it counts images, and then
// is so many times their number. Nothing is computed, so that a large batch costs nothing.
const batch = 65537

// ofBatch says whether a size grows with the number of images.
func ofBatch(size int) bool { return size%batch == 0 }

// errAcross is the problem of operations that mix images or count them: what is recorded of them holds for one number of images.
var errAcross = errors.New("it looks across the images of a batch")

// errNone is the problem of operations that cannot be written. They are recorded, for gradients ask for some.
var errNone = errors.New("ONNX has no operation for it")

// elementwise are ONNX's names of operations on single elements.
var elementwise = map[compute.OpType]string{
	compute.OpTypeAbs: "Abs", compute.OpTypeCeil: "Ceil", compute.OpTypeCos: "Cos", compute.OpTypeErf: "Erf",
	compute.OpTypeExp: "Exp", compute.OpTypeFloor: "Floor", compute.OpTypeLog: "Log", compute.OpTypeLogistic: "Sigmoid",
	compute.OpTypeNeg: "Neg", compute.OpTypeRound: "Round", compute.OpTypeSign: "Sign", compute.OpTypeSin: "Sin",
	compute.OpTypeSqrt: "Sqrt", compute.OpTypeTanh: "Tanh", compute.OpTypeLogicalNot: "Not",

	compute.OpTypeAdd: "Add", compute.OpTypeSub: "Sub", compute.OpTypeMul: "Mul", compute.OpTypeDiv: "Div",
	compute.OpTypePow: "Pow", compute.OpTypeMax: "Max", compute.OpTypeMin: "Min",
	compute.OpTypeLogicalAnd: "And", compute.OpTypeLogicalOr: "Or", compute.OpTypeLogicalXor: "Xor",

	compute.OpTypeEqual: "Equal", compute.OpTypeGreaterThan: "Greater", compute.OpTypeGreaterOrEqual: "GreaterOrEqual",
	compute.OpTypeLessThan: "Less", compute.OpTypeLessOrEqual: "LessOrEqual",

	compute.OpTypeWhere: "Where",
}

// op writes an operation, given what its inputs became.
func (w *writer) op(op *trace.Op, in []operand) (operand, error) {
	dims := op.Shape.Dimensions
	// Of these the inputs may stay smaller than they are; see operand.
	switch with := op.With.(type) {
	case trace.Constant:
		raw, err := littleEndian(with.Flat)
		return operand{w.constant(op.Shape.DType, dims, raw), dims}, err
	case trace.BroadcastInDim:
		return w.broadcast(in[0], len(dims), with.Axes)
	case nil:
		if op.Type != compute.OpTypeReshape {
			return w.elementwise(op, in)
		}
	}
	for i, input := range op.Inputs {
		in[i] = operand{w.whole(in[i], input.Shape.Dimensions), input.Shape.Dimensions}
	}
	switch with := op.With.(type) {
	case nil:
		return w.reshape(in[0], dims)
	case trace.Transpose:
		return operand{w.transpose(in[0].name, with.Order), dims}, nil
	case trace.Iota:
		return w.iota(op.Shape.DType, dims, with.Axis)
	case trace.Concatenate:
		if slices.ContainsFunc(in, func(x operand) bool { return ofBatch(x.dims[with.Axis]) }) {
			return operand{}, errAcross
		}
		return operand{w.node("Concat", namesOf(in), attribute{name: "axis", value: with.Axis}), dims}, nil
	case trace.Slice:
		return w.slice(in[0], dims, with)
	case trace.Reduce:
		return w.reduce(op.Type, in[0], dims, with.Axes)
	case trace.ArgMinMax:
		return w.argMinMax(in[0], op.Shape.DType, dims, with)
	case trace.DotGeneral:
		return w.product(in[0], in[1], dims, with)
	case trace.ConvGeneral:
		return w.convolution(in[0], in[1], dims, with)
	}
	return operand{}, errNone
}

// elementwise writes an operation on single elements.
func (w *writer) elementwise(op *trace.Op, in []operand) (operand, error) {
	if op.Type == compute.OpTypeConvertDType {
		return operand{w.node("Cast", namesOf(in), attribute{name: "to", value: elementTypes[op.Shape.DType]}), in[0].dims}, nil
	}
	name, found := elementwise[op.Type]
	if !found {
		return operand{}, errNone
	}
	return operand{w.node(name, namesOf(in)), together(in)}, nil
}

func namesOf(in []operand) []string {
	var names []string
	for _, x := range in {
		names = append(names, x.name)
	}
	return names
}

// together are the sizes of what an operation on single elements makes of operands, whose ranks are equal or 0.
func together(in []operand) []int {
	var dims []int
	for _, x := range in {
		if dims == nil {
			dims = append(dims, x.dims...)
		}
		for axis, dim := range x.dims {
			dims[axis] = max(dims[axis], dim)
		}
	}
	return dims
}

// littleEndian returns the bytes of a slice of numbers.
func littleEndian(flat any) ([]byte, error) {
	raw, err := binary.Append(nil, binary.LittleEndian, flat)
	if err != nil {
		return nil, fmt.Errorf("write %v in bytes: %w", reflect.TypeOf(flat), err)
	}
	return raw, nil
}

// broadcast gives x new axes of size 1, which operations repeat by themselves.
func (w *writer) broadcast(x operand, rank int, axes []int) (operand, error) {
	if len(x.dims) == 0 {
		return x, nil
	}
	dims := slices.Repeat([]int{1}, rank)
	for i, axis := range axes {
		dims[axis] = x.dims[i]
	}
	return w.reshape(x, dims)
}

// iota counts along an axis.
func (w *writer) iota(dtype dtypes.DType, all []int, axis int) (operand, error) {
	n := all[axis]
	if ofBatch(n) {
		return operand{}, errAcross
	}
	raw, err := count(dtype, n)
	dims := slices.Repeat([]int{1}, len(all))
	dims[axis] = n
	return operand{w.constant(dtype, dims, raw), dims}, err
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
			return nil, fmt.Errorf("unsupported number type %v", dtype)
		}
	}
	return raw, nil
}

func (w *writer) slice(x operand, dims []int, with trace.Slice) (operand, error) {
	var axes, from, to, steps []int
	for axis, size := range x.dims {
		if dims[axis] == size {
			continue
		}
		if ofBatch(size) {
			return operand{}, errAcross
		}
		step := 1
		if with.Strides != nil {
			step = with.Strides[axis]
		}
		axes, from, to, steps = append(axes, axis), append(from, with.Starts[axis]), append(to, with.Limits[axis]), append(steps, step)
	}
	if axes == nil {
		return x, nil
	}
	inputs := []string{x.name, w.integers(from...), w.integers(to...), w.integers(axes...), w.integers(steps...)}
	return operand{w.node("Slice", inputs), dims}, nil
}

// reductions are ONNX's names of operations that make axes vanish.
var reductions = map[compute.OpType]string{
	compute.OpTypeReduceSum: "ReduceSum", compute.OpTypeReduceMax: "ReduceMax", compute.OpTypeReduceMin: "ReduceMin",
}

func (w *writer) reduce(op compute.OpType, x operand, dims, axes []int) (operand, error) {
	if slices.ContainsFunc(axes, func(axis int) bool { return ofBatch(x.dims[axis]) }) {
		return operand{}, errAcross
	}
	return operand{w.node(reductions[op], []string{x.name, w.integers(axes...)}, attribute{name: "keepdims", value: 0}), dims}, nil
}

func (w *writer) argMinMax(x operand, dtype dtypes.DType, dims []int, with trace.ArgMinMax) (operand, error) {
	if ofBatch(x.dims[with.Axis]) {
		return operand{}, errAcross
	}
	op := "ArgMax"
	if with.Least {
		op = "ArgMin"
	}
	place := w.node(op, []string{x.name}, attribute{name: "axis", value: with.Axis}, attribute{name: "keepdims", value: 0})
	return operand{w.node("Cast", []string{place}, attribute{name: "to", value: elementTypes[dtype]}), dims}, nil
}

// product writes a product, which must be one of two matrices, or of many pairs of them.
func (w *writer) product(a, b operand, dims []int, with trace.DotGeneral) (operand, error) {
	pairs := len(with.LeftBatch)
	if len(a.dims) != pairs+2 || len(b.dims) != pairs+2 || len(with.LeftSum) != 1 {
		return operand{}, fmt.Errorf("a product of ranks %d and %d over axes %v and %v is not a matrix product", len(a.dims), len(b.dims), with.LeftSum, with.RightSum)
	}
	left, right := with.LeftSum[0], with.RightSum[0]
	free := func(rank, sum int, batch []int) int {
		for axis := range rank {
			if axis != sum && !slices.Contains(batch, axis) {
				return axis
			}
		}
		panic("a matrix has an axis that is not summed over")
	}
	leftFree, rightFree := free(len(a.dims), left, with.LeftBatch), free(len(b.dims), right, with.RightBatch)
	if ofBatch(a.dims[left]) || ofBatch(b.dims[rightFree]) {
		return operand{}, errAcross
	}
	factors := []string{
		w.transpose(a.name, append(slices.Clone(with.LeftBatch), leftFree, left)),
		w.transpose(b.name, append(slices.Clone(with.RightBatch), right, rightFree)),
	}
	return operand{w.node("MatMul", factors), dims}, nil
}

func (w *writer) convolution(input, kernel operand, dims []int, with trace.ConvGeneral) (operand, error) {
	if with.BatchGroupCount > 1 || slices.ContainsFunc(with.InputDilations, func(n int) bool { return n != 1 }) {
		return operand{}, errors.New("ONNX has no convolution with groups of images or a dilated input")
	}
	// ONNX has [batch, channels, places…], [out, in, taps…] and [batch, out, places…].
	axes := with.Axes
	x := w.transpose(input.name, append([]int{axes.InputBatch, axes.InputChannels}, axes.InputSpatial...))
	weight := w.transpose(kernel.name, append([]int{axes.KernelOutputChannels, axes.KernelInputChannels}, axes.KernelSpatial...))
	back := make([]int, len(dims))
	back[axes.OutputBatch], back[axes.OutputChannels] = 0, 1
	for i, axis := range axes.OutputSpatial {
		back[axis] = 2 + i
	}
	attributes := []attribute{{name: "group", value: with.ChannelGroupCount}}
	if with.Strides != nil {
		attributes = append(attributes, attribute{name: "strides", list: with.Strides})
	}
	if with.KernelDilations != nil {
		attributes = append(attributes, attribute{name: "dilations", list: with.KernelDilations})
	}
	if with.Paddings != nil {
		before, after := []int{}, []int{}
		for _, padding := range with.Paddings {
			before, after = append(before, padding[0]), append(after, padding[1])
		}
		attributes = append(attributes, attribute{name: "pads", list: append(before, after...)})
	}
	return operand{w.transpose(w.node("Conv", []string{x, weight}, attributes...), back), dims}, nil
}
