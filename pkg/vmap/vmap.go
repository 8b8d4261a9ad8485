// Package vmap makes of a graph function one that computes it for many inputs at once, as jax.vmap does.
//
//	squares := vmap.Map(g, func(inputs []*Node) []*Node {
//		x, w := inputs[0], inputs[1] // [batch, in], [in, out]
//		return []*Node{MatMul(x, w)}
//	}, []vmap.Input{{Node: x}, {Node: weights, Mapped: true}}) // [batch, in] for all, [runs, in, out] → [runs, batch, out]
//
// The function is not called once for each: it is recorded once (pkg/trace), and its operations are asked for again with a
// leading axis more. Products of matrices so become batched products, convolutions grouped ones, and operations on single
// elements larger ones, which is what fills a GPU where one input does not. The function need not know of it, and may hold
// gradients of its own.
//
// Promised: each output is, up to rounding, what the function gives for each input alone; what does not depend on a mapped
// input is computed once.
//
// What is not here: gradients through Map; operations that pkg/trace does not record.
package vmap

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/trace"
)

// Input is an input of a mapped function.
type Input struct {
	Node *Node
	// Mapped says that the node's first axis goes through the inputs; otherwise all are given the whole node.
	Mapped bool
}

// Map returns fn's outputs for each of the n inputs that mapped nodes hold: [n, the output's shape…]. One input at least is
// mapped. Inside of fn, a mapped input has its shape without the first axis.
//
// Like other graph functions, it panics with an error: if fn does, or if an operation of fn's cannot be mapped.
func Map(fn func(inputs []*Node) []*Node, inputs []Input) []*Node {
	m := mapper{graph: inputs[0].Node.Graph(), values: map[*trace.Op]value{}}
	list := make([]shapes.Shape, len(inputs))
	for i, input := range inputs {
		list[i] = input.Node.Shape().Clone()
		if input.Mapped {
			m.n = list[i].Dimensions[0]
			list[i].Dimensions = list[i].Dimensions[1:]
		}
	}
	traced, err := trace.Record(list, fn)
	if err != nil {
		panic(err)
	}
	for i, input := range inputs {
		m.values[traced.Inputs[i]] = value{input.Node, input.Mapped}
	}
	for _, op := range traced.Ops {
		if _, isInput := m.values[op]; isInput {
			continue
		}
		var in []value
		for _, input := range op.Inputs {
			in = append(in, m.values[input])
		}
		v := m.op(op, in)
		if got := v.shape(); got.DType != op.Shape.DType || !slices.Equal(got.Dimensions, op.Shape.Dimensions) {
			panic(fmt.Errorf("map %v: it became %v, and was %v: this is a mistake of pkg/vmap", op.Type, got, op.Shape))
		}
		m.values[op] = v
	}
	var outputs []*Node
	for _, output := range traced.Outputs {
		outputs = append(outputs, m.mapped(m.values[output]))
	}
	return outputs
}

// value is what an operation became: with a leading axis that goes through the inputs, or the same for all.
type value struct {
	*Node
	isMapped bool
}

// shape is the value's for one input.
func (v value) shape() shapes.Shape {
	shape := v.Shape().Clone()
	if v.isMapped {
		shape.Dimensions = shape.Dimensions[1:]
	}
	return shape
}

// mapper asks for the operations again.
type mapper struct {
	graph  *Graph
	n      int // inputs
	values map[*trace.Op]value
}

// mapped gives a value the leading axis, if it has none.
func (m mapper) mapped(v value) *Node {
	if v.isMapped {
		return v.Node
	}
	return BroadcastPrefix(v.Node, m.n)
}

// op asks for an operation again, on what its inputs became.
func (m mapper) op(op *trace.Op, in []value) value {
	isMapped := slices.ContainsFunc(in, func(v value) bool { return v.isMapped })
	at := 0 // where the first axis of a mapped value lies
	if isMapped {
		at = 1
	}
	dims := slices.Clone(op.Shape.Dimensions)
	if isMapped {
		dims = slices.Insert(dims, 0, m.n)
	}
	var node *Node
	switch with := op.With.(type) {
	case trace.Constant:
		node = m.constant(with.Flat, op.Shape)
	case trace.Iota:
		node = Iota(m.graph, op.Shape, with.Axis)
	case trace.Transpose:
		node = TransposeAllAxes(in[0].Node, prefix(at, moved(with.Order, at))...)
	case trace.BroadcastInDim:
		node = broadcast(in[0].Node, dims, prefix(at, moved(with.Axes, at)))
	case trace.Concatenate:
		node = Concatenate(m.together(in, isMapped), with.Axis+at)
	case trace.Slice:
		node = slice(in[0].Node, at, with)
	case trace.Reverse:
		node = Reverse(in[0].Node, moved(with.Axes, at)...)
	case trace.Pad:
		node = m.pad(in[0], in[1], with)
	case trace.Reduce:
		node = reductions[op.Type](in[0].Node, moved(with.Axes, at)...)
	case trace.ArgMinMax:
		find := ArgMax
		if with.Least {
			find = ArgMin
		}
		node = find(in[0].Node, with.Axis+at, op.Shape.DType)
	case trace.DotGeneral:
		node = m.product(op, in[0], in[1], with)
	case trace.ConvGeneral:
		node = m.convolution(in[0], in[1], with)
	case trace.Gather:
		node = m.gather(in[0], in[1], with)
	case trace.ScatterSum:
		node = m.scatterSum(in, isMapped, with)
	case nil:
		switch op.Type {
		case compute.OpTypeReshape:
			node = Reshape(in[0].Node, dims...)
		case compute.OpTypeConvertDType:
			node = ConvertDType(in[0].Node, op.Shape.DType)
		case compute.OpTypeBitcast:
			node = Bitcast(in[0].Node, op.Shape.DType)
		case compute.OpTypeSchedulingBarrier:
			nodes := m.together(in, isMapped)
			node = SchedulingBarrier(nodes[0], nodes[1:]...)
		default:
			node = elementwise(op, in, isMapped, m.n)
		}
	}
	if node == nil {
		panic(fmt.Errorf("map %v: not known how", op.Type))
	}
	return value{node, isMapped}
}

// moved are axes, each so many places further.
func moved(axes []int, by int) []int {
	list := make([]int, len(axes))
	for i, axis := range axes {
		list[i] = axis + by
	}
	return list
}

// prefix puts the leading axis, if there is one, before axes.
func prefix(at int, axes []int) []int {
	if at == 0 {
		return axes
	}
	return append([]int{0}, axes...)
}

// constant is a constant of these values.
func (m mapper) constant(flat any, shape shapes.Shape) *Node {
	tensor := tensors.FromShape(shape)
	tensor.MustMutableFlatData(func(to any) { reflect.Copy(reflect.ValueOf(to), reflect.ValueOf(flat)) })
	return ConstTensor(m.graph, tensor)
}

// broadcast repeats x to sizes, of which it has the axes listed.
func broadcast(x *Node, dims, axes []int) *Node {
	within := slices.Repeat([]int{1}, len(dims))
	for i, axis := range axes {
		within[axis] = x.Shape().Dimensions[i]
	}
	return BroadcastToDims(Reshape(x, within...), dims...)
}

// together gives all values the leading axis, or none.
func (m mapper) together(in []value, isMapped bool) []*Node {
	var nodes []*Node
	for _, v := range in {
		if isMapped {
			nodes = append(nodes, m.mapped(v))
		} else {
			nodes = append(nodes, v.Node)
		}
	}
	return nodes
}

func slice(x *Node, at int, with trace.Slice) *Node {
	specs := slices.Repeat([]SliceAxisSpec{AxisRange()}, at)
	for axis, start := range with.Starts {
		spec := AxisRange(start, with.Limits[axis])
		if with.Strides != nil && with.Strides[axis] != 1 {
			spec = spec.Stride(with.Strides[axis])
		}
		specs = append(specs, spec)
	}
	return Slice(x, specs...)
}

// pad maps a pad. A fill value of each input's own is not known how.
func (m mapper) pad(x, fill value, with trace.Pad) *Node {
	if fill.isMapped {
		panic(fmt.Errorf("map %v: its fill value differs between inputs: not known how", compute.OpTypePad))
	}
	axes := with.Axes
	if x.isMapped {
		axes = append([]compute.PadAxis{{}}, axes...)
	}
	return Pad(x.Node, fill.Node, axes...)
}
