package onnx

import (
	"errors"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapeinference"
)

// elementwise are ONNX's names of operations on single elements. Others of them are recorded too, for gradients ask for some,
// but cannot be written.
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

// writeElementwise writes an operation of the table.
func writeElementwise(w *writer, v *value, in []operand) (operand, error) {
	op, found := elementwise[v.op]
	if !found {
		return operand{}, errors.New("ONNX has no operation of its own for it")
	}
	return operand{w.node(op, namesOf(in)), together(in)}, nil
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

func (f *function) unary(op compute.OpType, x compute.Value) (compute.Value, error) {
	input := x.(*value)
	shape, err := shapeinference.UnaryOp(op, input.shape)
	if err != nil {
		return nil, err
	}
	return f.add(&value{op: op, shape: shape, inputs: []*value{input}, write: writeElementwise}), nil
}

func (f *function) binary(op compute.OpType, lhs, rhs compute.Value) (compute.Value, error) {
	a, b := lhs.(*value), rhs.(*value)
	infer := shapeinference.BinaryOp
	if shapeinference.ComparisonOperations.Has(op) {
		infer = shapeinference.ComparisonOp
	}
	shape, err := infer(op, a.shape, b.shape)
	if err != nil {
		return nil, err
	}
	return f.add(&value{op: op, shape: shape, inputs: []*value{a, b}, write: writeElementwise}), nil
}

// Where takes elements of onTrue where the condition holds, else of onFalse.
func (f *function) Where(condition, onTrue, onFalse compute.Value) (compute.Value, error) {
	inputs := []*value{condition.(*value), onTrue.(*value), onFalse.(*value)}
	shape, err := shapeinference.Where(inputs[0].shape, inputs[1].shape, inputs[2].shape)
	if err != nil {
		return nil, err
	}
	return f.add(&value{op: compute.OpTypeWhere, shape: shape, inputs: inputs, write: writeElementwise}), nil
}

// ConvertDType converts the elements.
func (f *function) ConvertDType(x compute.Value, dtype dtypes.DType) (compute.Value, error) {
	input := x.(*value)
	shape := input.shape.Clone()
	shape.DType = dtype
	return f.add(&value{op: compute.OpTypeConvertDType, shape: shape, inputs: []*value{input}, write: func(w *writer, _ *value, in []operand) (operand, error) {
		return operand{w.node("Cast", namesOf(in), attribute{name: "to", value: elementTypes[dtype]}), in[0].dims}, nil
	}}), nil
}

// Below are the operations on single elements, each recorded under its own type.

func (f *function) Abs(x compute.Value) (compute.Value, error) { return f.unary(compute.OpTypeAbs, x) }
func (f *function) BitwiseNot(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeBitwiseNot, x)
}
func (f *function) Ceil(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeCeil, x)
}
func (f *function) Cos(x compute.Value) (compute.Value, error) { return f.unary(compute.OpTypeCos, x) }
func (f *function) Erf(x compute.Value) (compute.Value, error) { return f.unary(compute.OpTypeErf, x) }
func (f *function) Exp(x compute.Value) (compute.Value, error) { return f.unary(compute.OpTypeExp, x) }
func (f *function) Expm1(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeExpm1, x)
}
func (f *function) Floor(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeFloor, x)
}
func (f *function) Log(x compute.Value) (compute.Value, error) { return f.unary(compute.OpTypeLog, x) }
func (f *function) Log1p(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeLog1p, x)
}
func (f *function) LogicalNot(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeLogicalNot, x)
}
func (f *function) Logistic(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeLogistic, x)
}
func (f *function) Neg(x compute.Value) (compute.Value, error) { return f.unary(compute.OpTypeNeg, x) }
func (f *function) Round(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeRound, x)
}
func (f *function) Rsqrt(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeRsqrt, x)
}
func (f *function) Sign(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeSign, x)
}
func (f *function) Sin(x compute.Value) (compute.Value, error) { return f.unary(compute.OpTypeSin, x) }
func (f *function) Sqrt(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeSqrt, x)
}
func (f *function) Tanh(x compute.Value) (compute.Value, error) {
	return f.unary(compute.OpTypeTanh, x)
}

func (f *function) Add(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeAdd, a, b)
}
func (f *function) BitwiseAnd(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeBitwiseAnd, a, b)
}
func (f *function) BitwiseOr(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeBitwiseOr, a, b)
}
func (f *function) BitwiseXor(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeBitwiseXor, a, b)
}
func (f *function) Div(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeDiv, a, b)
}
func (f *function) Equal(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeEqual, a, b)
}
func (f *function) GreaterOrEqual(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeGreaterOrEqual, a, b)
}
func (f *function) GreaterThan(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeGreaterThan, a, b)
}
func (f *function) LessOrEqual(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeLessOrEqual, a, b)
}
func (f *function) LessThan(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeLessThan, a, b)
}
func (f *function) LogicalAnd(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeLogicalAnd, a, b)
}
func (f *function) LogicalOr(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeLogicalOr, a, b)
}
func (f *function) LogicalXor(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeLogicalXor, a, b)
}
func (f *function) Max(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeMax, a, b)
}
func (f *function) Min(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeMin, a, b)
}
func (f *function) Mul(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeMul, a, b)
}
func (f *function) NotEqual(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeNotEqual, a, b)
}
func (f *function) Pow(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypePow, a, b)
}
func (f *function) Rem(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeRem, a, b)
}
func (f *function) ShiftLeft(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeShiftLeft, a, b)
}
func (f *function) ShiftRightArithmetic(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeShiftRightArithmetic, a, b)
}
func (f *function) ShiftRightLogical(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeShiftRightLogical, a, b)
}
func (f *function) Sub(a, b compute.Value) (compute.Value, error) {
	return f.binary(compute.OpTypeSub, a, b)
}
