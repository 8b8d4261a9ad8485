package trace

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapeinference"
	"github.com/gomlx/compute/shapes"
)

// What operations are asked with, beside their inputs. Sizes that the operation's shape tells are not repeated here.
type (
	// Transpose has for each axis of the value that of the input.
	Transpose struct{ Order []int }
	// BroadcastInDim has for each axis of the input that of the value; where the input's size is 1, it is repeated.
	BroadcastInDim struct{ Axes []int }
	// Iota is the axis along which it counts.
	Iota struct{ Axis int }
	// Concatenate is the axis along which the inputs lie one after another.
	Concatenate struct{ Axis int }
	// Slice has the places from Starts to before Limits, every Strides-th; nil strides are 1.
	Slice struct{ Starts, Limits, Strides []int }
	// Reverse has the axes that are turned around.
	Reverse struct{ Axes []int }
	// Pad has for each axis how many fill values, the second input, go before, after and between the first's.
	Pad struct{ Axes []compute.PadAxis }
	// Reduce has the axes that vanish, one at least.
	Reduce struct{ Axes []int }
	// ArgMinMax is the axis that vanishes, and whether the smallest or the largest value is looked for.
	ArgMinMax struct {
		Axis  int
		Least bool
	}
	// DotGeneral is a product: the axes that are summed over and those that are aligned, of the left and the right factor.
	DotGeneral struct {
		LeftSum, LeftBatch, RightSum, RightBatch []int
		Config                                   compute.DotGeneralConfig
	}
	// ConvGeneral is a convolution of an input with a kernel.
	ConvGeneral struct {
		Axes                               compute.ConvolveAxesConfig
		Strides                            []int
		Paddings                           [][2]int
		InputDilations, KernelDilations    []int
		ChannelGroupCount, BatchGroupCount int
	}
	// Gather reads slices of an operand at places that the second input lists; see compute.StandardOps.
	Gather struct {
		IndexVectorAxis                                      int
		OffsetAxes, CollapsedAxes, StartIndexMap, SliceSizes []int
		Sorted                                               bool
	}
	// ScatterSum adds slices, the third input, to an operand at places that the second lists; see compute.StandardOps.
	ScatterSum struct {
		IndexVectorAxis                       int
		WindowAxes, InsertedAxes, OperandAxes []int
		Sorted, Unique                        bool
	}
)

// Reshape gives the values of x the sizes of the operation's shape.
func (f *function) Reshape(x compute.Value, dims ...int) (compute.Value, error) {
	input := x.(*Op)
	shape, err := shapeinference.Reshape(input.Shape, dims)
	return f.add(&Op{Type: compute.OpTypeReshape, Shape: shape, Inputs: []*Op{input}}, err)
}

// Transpose puts the axes of x into another order.
func (f *function) Transpose(x compute.Value, order ...int) (compute.Value, error) {
	input := x.(*Op)
	shape, err := shapeinference.Transpose(input.Shape, order)
	return f.add(&Op{Type: compute.OpTypeTranspose, Shape: shape, Inputs: []*Op{input}, With: Transpose{order}}, err)
}

// BroadcastInDim repeats x along new axes and those of size 1. axes: those of shape that x has
func (f *function) BroadcastInDim(x compute.Value, shape shapes.Shape, axes []int) (compute.Value, error) {
	input := x.(*Op)
	err := shapeinference.BroadcastInDim(input.Shape, shape, axes, nil)
	shape = shape.Clone()
	shape.DType = input.Shape.DType
	return f.add(&Op{Type: compute.OpTypeBroadcastInDim, Shape: shape, Inputs: []*Op{input}, With: BroadcastInDim{axes}}, err)
}

// Iota counts along an axis.
func (f *function) Iota(shape shapes.Shape, axis int) (compute.Value, error) {
	return f.add(&Op{Type: compute.OpTypeIota, Shape: shape, With: Iota{axis}}, nil)
}

// Concatenate puts values one after another along an axis.
func (f *function) Concatenate(axis int, parts ...compute.Value) (compute.Value, error) {
	var inputs []*Op
	for _, part := range parts {
		inputs = append(inputs, part.(*Op))
	}
	shape, err := shapeinference.Concatenate(Shapes(inputs), axis)
	return f.add(&Op{Type: compute.OpTypeConcatenate, Shape: shape, Inputs: inputs, With: Concatenate{axis}}, err)
}

// Slice takes the places from starts to before limits, every stride-th.
func (f *function) Slice(x compute.Value, starts, limits, strides []int) (compute.Value, error) {
	input := x.(*Op)
	shape, err := shapeinference.Slice(input.Shape, starts, limits, strides)
	return f.add(&Op{Type: compute.OpTypeSlice, Shape: shape, Inputs: []*Op{input}, With: Slice{starts, limits, strides}}, err)
}

// Reverse turns axes around.
func (f *function) Reverse(x compute.Value, axes ...int) (compute.Value, error) {
	input := x.(*Op)
	return f.add(&Op{Type: compute.OpTypeReverse, Shape: input.Shape, Inputs: []*Op{input}, With: Reverse{axes}}, nil)
}

// Pad puts a fill value around and between values.
func (f *function) Pad(x, fill compute.Value, axes ...compute.PadAxis) (compute.Value, error) {
	inputs := []*Op{x.(*Op), fill.(*Op)}
	shape, err := shapeinference.Pad(inputs[0].Shape, axes...)
	return f.add(&Op{Type: compute.OpTypePad, Shape: shape, Inputs: inputs, With: Pad{axes}}, err)
}

// ReduceSum adds up the values along axes, or all.
func (f *function) ReduceSum(x compute.Value, axes ...int) (compute.Value, error) {
	return f.reduce(compute.OpTypeReduceSum, x, axes)
}

// ReduceMax takes the largest value along axes, or of all.
func (f *function) ReduceMax(x compute.Value, axes ...int) (compute.Value, error) {
	return f.reduce(compute.OpTypeReduceMax, x, axes)
}

// ReduceMin takes the smallest value along axes, or of all.
func (f *function) ReduceMin(x compute.Value, axes ...int) (compute.Value, error) {
	return f.reduce(compute.OpTypeReduceMin, x, axes)
}

func (f *function) reduce(op compute.OpType, x compute.Value, axes []int) (compute.Value, error) {
	input := x.(*Op)
	axes = slices.Clone(axes)
	if len(axes) == 0 {
		for axis := range input.Shape.Rank() {
			axes = append(axes, axis)
		}
	}
	shape, err := shapeinference.Reduce(input.Shape, axes)
	return f.add(&Op{Type: op, Shape: shape, Inputs: []*Op{input}, With: Reduce{axes}}, err)
}

// ArgMinMax finds the place of the smallest or largest value along an axis, the first of equal ones.
func (f *function) ArgMinMax(x compute.Value, axis int, dtype dtypes.DType, least bool) (compute.Value, error) {
	input := x.(*Op)
	shape, err := shapeinference.ArgMinMax(input.Shape, axis, dtype)
	return f.add(&Op{Type: compute.OpTypeArgMinMax, Shape: shape, Inputs: []*Op{input}, With: ArgMinMax{axis, least}}, err)
}

// DotGeneral is a product.
func (f *function) DotGeneral(lhs compute.Value, lhsSum, lhsBatch []int, rhs compute.Value, rhsSum, rhsBatch []int, config compute.DotGeneralConfig) (compute.Value, error) {
	inputs := []*Op{lhs.(*Op), rhs.(*Op)}
	shape, err := shapeinference.DotGeneral(inputs[0].Shape, lhsSum, lhsBatch, inputs[1].Shape, rhsSum, rhsBatch, config)
	return f.add(&Op{Type: compute.OpTypeDotGeneral, Shape: shape, Inputs: inputs, With: DotGeneral{lhsSum, lhsBatch, rhsSum, rhsBatch, config}}, err)
}

// ConvGeneral is a convolution.
func (f *function) ConvGeneral(input, kernel compute.Value, axes compute.ConvolveAxesConfig, strides []int, paddings [][2]int,
	inputDilations, kernelDilations []int, channelGroups, batchGroups int,
) (compute.Value, error) {
	inputs := []*Op{input.(*Op), kernel.(*Op)}
	shape, err := shapeinference.ConvGeneral(inputs[0].Shape, inputs[1].Shape, axes, strides, paddings, inputDilations, kernelDilations, channelGroups, batchGroups)
	return f.add(&Op{Type: compute.OpTypeConvGeneral, Shape: shape, Inputs: inputs,
		With: ConvGeneral{axes, strides, paddings, inputDilations, kernelDilations, channelGroups, batchGroups}}, err)
}

// Gather reads slices.
func (f *function) Gather(operand, indices compute.Value, indexVectorAxis int, offsetAxes, collapsedAxes, startIndexMap, sliceSizes []int, sorted bool) (compute.Value, error) {
	inputs := []*Op{operand.(*Op), indices.(*Op)}
	shape, err := shapeinference.Gather(inputs[0].Shape, inputs[1].Shape, indexVectorAxis, offsetAxes, collapsedAxes, startIndexMap, sliceSizes, sorted)
	return f.add(&Op{Type: compute.OpTypeGather, Shape: shape, Inputs: inputs,
		With: Gather{indexVectorAxis, offsetAxes, collapsedAxes, startIndexMap, sliceSizes, sorted}}, err)
}

// ScatterSum adds slices.
func (f *function) ScatterSum(operand, indices, updates compute.Value, indexVectorAxis int, windowAxes, insertedAxes, operandAxes []int, sorted, unique bool) (compute.Value, error) {
	inputs := []*Op{operand.(*Op), indices.(*Op), updates.(*Op)}
	shape, err := shapeinference.Scatter(inputs[0].Shape, inputs[1].Shape, inputs[2].Shape, indexVectorAxis, windowAxes, insertedAxes, operandAxes)
	return f.add(&Op{Type: compute.OpTypeScatterSum, Shape: shape, Inputs: inputs,
		With: ScatterSum{indexVectorAxis, windowAxes, insertedAxes, operandAxes, sorted, unique}}, err)
}

// OptimizationBarrier is what it is given: nothing here is optimised.
func (f *function) OptimizationBarrier(operands ...compute.Value) ([]compute.Value, error) {
	return operands, nil
}

// SchedulingBarrier is the first input once the others are there.
func (f *function) SchedulingBarrier(operand compute.Value, dependencies ...compute.Value) (compute.Value, error) {
	inputs := []*Op{operand.(*Op)}
	for _, dependency := range dependencies {
		inputs = append(inputs, dependency.(*Op))
	}
	return f.add(&Op{Type: compute.OpTypeSchedulingBarrier, Shape: inputs[0].Shape.Clone(), Inputs: inputs}, nil)
}
