package trace

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapeinference"
)

func (f *function) unary(op compute.OpType, x compute.Value) (compute.Value, error) {
	input := x.(*Op)
	shape, err := shapeinference.UnaryOp(op, input.Shape)
	return f.add(&Op{Type: op, Shape: shape, Inputs: []*Op{input}}, err)
}

func (f *function) binary(op compute.OpType, lhs, rhs compute.Value) (compute.Value, error) {
	a, b := lhs.(*Op), rhs.(*Op)
	infer := shapeinference.BinaryOp
	if shapeinference.ComparisonOperations.Has(op) {
		infer = shapeinference.ComparisonOp
	}
	shape, err := infer(op, a.Shape, b.Shape)
	return f.add(&Op{Type: op, Shape: shape, Inputs: []*Op{a, b}}, err)
}

// Where takes elements of onTrue where the condition holds, else of onFalse.
func (f *function) Where(condition, onTrue, onFalse compute.Value) (compute.Value, error) {
	inputs := []*Op{condition.(*Op), onTrue.(*Op), onFalse.(*Op)}
	shape, err := shapeinference.Where(inputs[0].Shape, inputs[1].Shape, inputs[2].Shape)
	return f.add(&Op{Type: compute.OpTypeWhere, Shape: shape, Inputs: inputs}, err)
}

// ConvertDType converts the elements to the type of the operation's shape.
func (f *function) ConvertDType(x compute.Value, dtype dtypes.DType) (compute.Value, error) {
	input := x.(*Op)
	shape := input.Shape.Clone()
	shape.DType = dtype
	return f.add(&Op{Type: compute.OpTypeConvertDType, Shape: shape, Inputs: []*Op{input}}, nil)
}

// Bitcast takes the elements' bits for those of the type of the operation's shape.
func (f *function) Bitcast(x compute.Value, dtype dtypes.DType) (compute.Value, error) {
	input := x.(*Op)
	shape, err := shapeinference.Bitcast(input.Shape, dtype)
	return f.add(&Op{Type: compute.OpTypeBitcast, Shape: shape, Inputs: []*Op{input}}, err)
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
