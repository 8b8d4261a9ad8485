package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/trace"
)

// writer collects the parts of a file.
type writer struct {
	nodes        []nodeProto
	initializers []tensorProto
	// known holds the outputs of nodes and the names of constants by what they are, so that none is written twice: a model may
	// be asked for two things, and go a part of the way twice.
	known map[string]string
	// sizeOf is the input whose first axis counts the images.
	sizeOf string
}

// operand is a value in the file. Its rank is 0 or the value's, and a size may be 1 where the value's is larger: operations on
// single elements repeat it by themselves, in ONNX as in GoMLX; for others see [writer.whole].
type operand struct {
	name string
	dims []int
}

// write writes the operations of a graph function. parameters: what the file calls the function's inputs
func (w *writer) write(t *trace.Trace, parameters []string) ([]operand, error) {
	written := map[*trace.Op]operand{}
	for i, input := range t.Inputs {
		written[input] = operand{parameters[i], input.Shape.Dimensions}
	}
	for _, op := range t.Ops {
		if _, is := written[op]; is {
			continue
		}
		var in []operand
		for _, input := range op.Inputs {
			in = append(in, written[input])
		}
		var err error
		if written[op], err = w.op(op, in); err != nil {
			return nil, fmt.Errorf("translate the operation %v to ONNX: %w", op.Type, err)
		}
	}
	var outputs []operand
	for _, output := range t.Outputs {
		dims := output.Shape.Dimensions
		if len(dims) == 0 || dims[0] != batch || slices.ContainsFunc(dims[1:], ofBatch) {
			return nil, errors.New("an output does not have one row for each image")
		}
		outputs = append(outputs, operand{w.whole(written[output], dims), dims})
	}
	return outputs, nil
}

// node adds a node, and returns its output.
func (w *writer) node(op string, inputs []string, attributes ...attribute) string {
	node := nodeProto{op: op, inputs: inputs, attributes: attributes}
	key := string(node.encode())
	if output, found := w.known[key]; found {
		return output
	}
	node.output = fmt.Sprintf("%s_%d", op, len(w.nodes)+1)
	w.nodes = append(w.nodes, node)
	w.known[key] = node.output
	return node.output
}

// constant adds an unnamed constant, and returns its name.
func (w *writer) constant(dtype dtypes.DType, dims []int, raw []byte) string {
	tensor := tensorProto{dtype: dtype, dims: dims, raw: raw}
	key := string(tensor.encode())
	if name, found := w.known[key]; found {
		return name
	}
	tensor.name = fmt.Sprintf("constant_%d", len(w.initializers)+1)
	w.initializers = append(w.initializers, tensor)
	w.known[key] = tensor.name
	return tensor.name
}

// uses says whether a node has this input.
func (w *writer) uses(input string) bool {
	return slices.ContainsFunc(w.nodes, func(node nodeProto) bool { return slices.Contains(node.inputs, input) })
}

// integers adds a constant list: axes, sizes, places.
func (w *writer) integers(values ...int) string {
	var raw []byte
	for _, value := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(value))
	}
	return w.constant(dtypes.Int64, []int{len(values)}, raw)
}

// whole returns a tensor with all values of an operand of these sizes: those that stand for several are repeated.
func (w *writer) whole(x operand, dims []int) string {
	if slices.Equal(x.dims, dims) {
		return x.name
	}
	return w.node("Expand", []string{x.name, w.sizes(dims)})
}

// sizes returns a list of sizes: a constant, or one that is put together when the number of images is known.
func (w *writer) sizes(dims []int) string {
	var parts []string
	var fixed []int
	flush := func() {
		if fixed != nil {
			parts = append(parts, w.integers(fixed...))
			fixed = nil
		}
	}
	for _, dim := range dims {
		if ofBatch(dim) {
			flush()
			parts = append(parts, w.images(dim/batch))
			continue
		}
		fixed = append(fixed, dim)
	}
	flush()
	if len(parts) == 1 {
		return parts[0]
	}
	return w.node("Concat", parts, attribute{name: "axis"})
}

// images returns so many times the number of images: [1] int64.
func (w *writer) images(times int) string {
	count := w.node("Shape", []string{w.sizeOf}, attribute{name: "end", value: 1})
	if times == 1 {
		return count
	}
	return w.node("Mul", []string{count, w.integers(times)})
}

// reshape returns the values of x with other sizes.
func (w *writer) reshape(x operand, dims []int) (operand, error) {
	if slices.Equal(x.dims, dims) {
		return x, nil
	}
	sizes, open := slices.Clone(dims), 0
	for axis, dim := range dims {
		switch {
		case !ofBatch(dim):
		case axis < len(x.dims) && x.dims[axis] == dim:
			sizes[axis] = 0 // as it is in x
		default:
			sizes[axis] = -1 // what the others leave
			open++
		}
	}
	if open > 1 {
		return operand{}, errors.New("several sizes grow with the number of images")
	}
	return operand{w.node("Reshape", []string{x.name, w.integers(sizes...)}), dims}, nil
}

// transpose returns x with its axes in another order.
func (w *writer) transpose(x string, order []int) string {
	if slices.IsSorted(order) {
		return x
	}
	return w.node("Transpose", []string{x}, attribute{name: "perm", list: order})
}
