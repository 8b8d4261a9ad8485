package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/notimplemented"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// batch stands for the number of images while a graph is recorded: GoMLX's shapes are fixed, those of a file are not. It is a
// prime above all sizes that a config allows (65,536), so that a size is a multiple of it only where it counts images, and then
// is so many times their number. Nothing is computed, so that a large batch costs nothing.
const batch = 65537

// ofBatch says whether a size grows with the number of images.
func ofBatch(size int) bool { return size%batch == 0 }

// value is what an operation of a recorded graph gives.
type value struct {
	op     compute.OpType
	shape  shapes.Shape
	inputs []*value
	// write writes the operation for the file, given what its inputs became.
	write func(w *writer, v *value, in []operand) (operand, error)
}

// recorder is a backend that computes nothing, and keeps the operations of the one graph that is built on it.
type recorder struct {
	notimplemented.Backend
	main *function
}

// record builds a graph on inputs of these shapes, and returns its operations.
func record(inputs []shapes.Shape, build func(inputs []*Node) []*Node) (*function, error) {
	r := &recorder{main: &function{Function: notimplemented.Function{ErrFn: untranslated}}}
	exec, err := NewExec(r, build)
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	if _, err := exec.Compile(inputs...); err != nil {
		return nil, err
	}
	return r.main, nil
}

// untranslated is the error of an operation that is not recorded. GoMLX has other operations for some of these.
func untranslated(op compute.OpType) error {
	return fmt.Errorf("the operation %s is not translated to ONNX: %w", op, compute.ErrNotImplemented)
}

// Name returns "onnx".
func (r *recorder) Name() string { return "onnx" }

// String returns Name.
func (r *recorder) String() string { return r.Name() }

// Description says what the backend is for.
func (r *recorder) Description() string { return "records a graph for an ONNX file" }

// Builder returns the builder of the one graph.
func (r *recorder) Builder(name string) compute.Builder {
	return builder{Builder: notimplemented.Builder{ErrFn: untranslated}, name: name, main: r.main}
}

// builder hands out the function.
type builder struct {
	notimplemented.Builder
	name string
	main *function
}

// Name returns the graph's name.
func (b builder) Name() string { return b.name }

// Main returns the function.
func (b builder) Main() compute.Function { return b.main }

// OpShape returns the shape of a value.
func (b builder) OpShape(v compute.Value) (shapes.Shape, error) { return b.main.Shape(v) }

// Compile returns a program that cannot be run.
func (b builder) Compile() (compute.Executable, error) { return program{b.main}, nil }

// program is a recorded graph in the place of a compiled one.
type program struct{ main *function }

// Finalize does nothing.
func (program) Finalize() {}

// Inputs returns the shapes of the inputs; they have no names.
func (p program) Inputs() ([]string, []shapes.Shape) {
	return make([]string, len(p.main.inputs)), shapesOf(p.main.inputs)
}

// Outputs returns the shapes of the outputs.
func (p program) Outputs() []shapes.Shape { return shapesOf(p.main.outputs) }

// Execute returns an error.
func (program) Execute([]compute.Buffer, []bool, compute.DeviceNum) ([]compute.Buffer, error) {
	return nil, errors.New("a recorded graph cannot be run")
}

func shapesOf(values []*value) []shapes.Shape {
	list := make([]shapes.Shape, len(values))
	for i, v := range values {
		list[i] = v.shape
	}
	return list
}

// function keeps the operations that GoMLX asks for; see ops.go for what it knows.
type function struct {
	notimplemented.Function
	values          []*value // in the order in which they were asked for
	inputs, outputs []*value
}

// add keeps an operation.
func (f *function) add(v *value) *value {
	f.values = append(f.values, v)
	return v
}

// Shape returns the shape of a value.
func (f *function) Shape(v compute.Value) (shapes.Shape, error) { return v.(*value).shape, nil }

// Parameter adds an input.
func (f *function) Parameter(_ string, shape shapes.Shape, _ *compute.ShardingSpec) (compute.Value, error) {
	v := f.add(&value{op: compute.OpTypeParameter, shape: shape})
	f.inputs = append(f.inputs, v)
	return v, nil
}

// Constant adds a constant. flat: a slice of numbers
func (f *function) Constant(flat any, dims ...int) (compute.Value, error) {
	raw, err := littleEndian(flat)
	if err != nil {
		return nil, err
	}
	shape := shapes.Make(dtypes.FromGoType(reflect.TypeOf(flat).Elem()), dims...)
	return f.add(&value{op: compute.OpTypeConstant, shape: shape, write: func(w *writer, _ *value, _ []operand) (operand, error) {
		return operand{w.constant(shape.DType, dims, raw), dims}, nil
	}}), nil
}

// littleEndian returns the bytes of a slice of numbers.
func littleEndian(flat any) ([]byte, error) {
	raw, err := binary.Append(nil, binary.LittleEndian, flat)
	if err != nil {
		return nil, fmt.Errorf("write %T in bytes: %w", flat, err)
	}
	return raw, nil
}

// Identity returns x.
func (f *function) Identity(x compute.Value) (compute.Value, error) { return x, nil }

// Return sets the outputs.
func (f *function) Return(outputs []compute.Value, _ []*compute.ShardingSpec) error {
	for _, output := range outputs {
		f.outputs = append(f.outputs, output.(*value))
	}
	return nil
}
