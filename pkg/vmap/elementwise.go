package vmap

import (
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/trace"
)

// unary, binary and reductions are GoMLX's functions for operations.
var (
	unary = map[compute.OpType]func(x *Node) *Node{
		compute.OpTypeAbs: Abs, compute.OpTypeBitwiseNot: BitwiseNot, compute.OpTypeCeil: Ceil, compute.OpTypeCos: Cos,
		compute.OpTypeErf: Erf, compute.OpTypeExp: Exp, compute.OpTypeExpm1: Expm1, compute.OpTypeFloor: Floor,
		compute.OpTypeLog: Log, compute.OpTypeLog1p: Log1p, compute.OpTypeLogicalNot: LogicalNot,
		compute.OpTypeLogistic: Logistic, compute.OpTypeNeg: Neg, compute.OpTypeRound: Round, compute.OpTypeRsqrt: Rsqrt,
		compute.OpTypeSign: Sign, compute.OpTypeSin: Sin, compute.OpTypeSqrt: Sqrt, compute.OpTypeTanh: Tanh,
	}
	binary = map[compute.OpType]func(a, b *Node) *Node{
		compute.OpTypeAdd: Add, compute.OpTypeSub: Sub, compute.OpTypeMul: Mul, compute.OpTypeDiv: Div,
		compute.OpTypePow: Pow, compute.OpTypeRem: Rem, compute.OpTypeMax: Max, compute.OpTypeMin: Min,
		compute.OpTypeBitwiseAnd: BitwiseAnd, compute.OpTypeBitwiseOr: BitwiseOr, compute.OpTypeBitwiseXor: BitwiseXor,
		compute.OpTypeShiftLeft: BitwiseShiftLeft, compute.OpTypeShiftRightArithmetic: BitwiseShiftRightArithmetic,
		compute.OpTypeShiftRightLogical: BitwiseShiftRightLogical,
		compute.OpTypeEqual:             Equal, compute.OpTypeNotEqual: NotEqual, compute.OpTypeGreaterThan: GreaterThan,
		compute.OpTypeGreaterOrEqual: GreaterOrEqual, compute.OpTypeLessThan: LessThan, compute.OpTypeLessOrEqual: LessOrEqual,
		compute.OpTypeLogicalAnd: LogicalAnd, compute.OpTypeLogicalOr: LogicalOr, compute.OpTypeLogicalXor: LogicalXor,
	}
	reductions = map[compute.OpType]func(x *Node, axes ...int) *Node{
		compute.OpTypeReduceSum: ReduceSum, compute.OpTypeReduceMax: ReduceMax, compute.OpTypeReduceMin: ReduceMin,
	}
)

// elementwise asks for an operation on single elements again, for n inputs where it is mapped; nil for one that is in no table.
func elementwise(op *trace.Op, in []value, isMapped bool, n int) *Node {
	operands := make([]*Node, len(in))
	for i, v := range in {
		operands[i] = v.Node
		if isMapped {
			operands[i] = beside(v, op.Shape.Rank())
		}
	}
	if op.Type == compute.OpTypeWhere {
		if isMapped { // Where repeats no axis of size 1
			for i, operand := range operands {
				operands[i] = BroadcastToDims(operand, append([]int{n}, op.Shape.Dimensions...)...)
			}
		}
		return Where(operands[0], operands[1], operands[2])
	}
	if of, found := unary[op.Type]; found {
		return of(operands[0])
	}
	if of, found := binary[op.Type]; found {
		return of(operands[0], operands[1])
	}
	return nil
}

// beside gives an operand the axes that it needs beside values of this rank and a leading axis: GoMLX repeats a number that stands
// alone, and along axes of size 1, but does not line up axes.
func beside(v value, rank int) *Node {
	dims := v.shape().Dimensions
	if !v.isMapped && len(dims) == 0 {
		return v.Node
	}
	lead := 1
	if v.isMapped {
		lead = v.Shape().Dim(0)
	}
	within := append([]int{lead}, dims...)
	return Reshape(v.Node, append(within, slices.Repeat([]int{1}, rank-len(dims))...)...)
}
