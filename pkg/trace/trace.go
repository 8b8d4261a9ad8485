// Package trace keeps the operations that a graph function asks for, as a list that can be read.
//
//	t, err := trace.Record([]shapes.Shape{shapes.Make(dtypes.Float32, 3)}, func(inputs []*Node) []*Node {
//		return []*Node{Sqrt(ReduceAllSum(Square(inputs[0])))}
//	})
//	for _, op := range t.Ops {
//		fmt.Println(op.Type, op.Shape)
//	}
//
// The function is built by GoMLX, gradients and all, on a backend that computes nothing. So there is one definition of each
// model, whatever is made of it: see pkg/onnx, which writes the operations to a file, and pkg/vmap, which asks for them again
// with an axis more.
//
// Promised: the operations stand in an order in which inputs come first; those that no output needs are left out, such as what
// stands in for an operation while gradients are taken.
//
// What is not here: loops and branches, random bits, and operations that nothing of Latent uses; they are an error with their
// name. A new one is a method of function, in ops.go or elementwise.go, and a type for what it is asked with.
package trace

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/notimplemented"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// Trace is the operations of a graph function.
type Trace struct {
	// Ops are the inputs, and the operations that the outputs need, each behind those that it needs itself.
	Ops []*Op
	// Inputs and Outputs are those of the function; an input may be one that no output needs.
	Inputs, Outputs []*Op
}

// Op is an operation and the value that it gives.
type Op struct {
	Type   compute.OpType
	Shape  shapes.Shape // of the value
	Inputs []*Op
	// With is what else the operation was asked with: Constant, Transpose and so on, by Type; nil for operations on single
	// elements and for those that need nothing else.
	With any
}

// Record builds a graph on inputs of these shapes, and returns its operations.
func Record(inputs []shapes.Shape, build func(inputs []*graph.Node) []*graph.Node) (*Trace, error) {
	r := &recorder{main: &function{Function: notimplemented.Function{ErrFn: unknown}}}
	exec, err := graph.NewExec(r, build)
	if err != nil {
		return nil, err
	}
	_, err = exec.Compile(inputs...)
	exec.Finalize() // not deferred: where build panics with no error, GoMLX still holds the lock that this waits for
	if err != nil {
		return nil, err
	}
	return r.main.trace(), nil
}

// unknown is the error of an operation that is not recorded. GoMLX has other operations for some of these.
func unknown(op compute.OpType) error {
	return fmt.Errorf("the operation %s is not recorded: %w", op, compute.ErrNotImplemented)
}

// recorder is a backend that computes nothing, and keeps the operations of the one graph that is built on it.
type recorder struct {
	notimplemented.Backend
	main *function
}

// Name returns "trace".
func (r *recorder) Name() string { return "trace" }

// String returns Name.
func (r *recorder) String() string { return r.Name() }

// Description says what the backend is for.
func (r *recorder) Description() string { return "keeps the operations of a graph" }

// Builder returns the builder of the one graph.
func (r *recorder) Builder(name string) compute.Builder {
	return builder{Builder: notimplemented.Builder{ErrFn: unknown}, name: name, main: r.main}
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
	return make([]string, len(p.main.inputs)), Shapes(p.main.inputs)
}

// Outputs returns the shapes of the outputs.
func (p program) Outputs() []shapes.Shape { return Shapes(p.main.outputs) }

// Execute returns an error.
func (program) Execute([]compute.Buffer, []bool, compute.DeviceNum) ([]compute.Buffer, error) {
	return nil, errors.New("a recorded graph cannot be run")
}

// Shapes returns the shapes of values.
func Shapes(values []*Op) []shapes.Shape {
	list := make([]shapes.Shape, len(values))
	for i, v := range values {
		list[i] = v.Shape
	}
	return list
}

// function keeps the operations that GoMLX asks for; see ops.go and elementwise.go for what it knows.
type function struct {
	notimplemented.Function
	ops             []*Op // in the order in which they were asked for
	inputs, outputs []*Op
}

// add keeps an operation, unless its shape could not be told.
func (f *function) add(op *Op, err error) (compute.Value, error) {
	if err != nil {
		return nil, err
	}
	f.ops = append(f.ops, op)
	return op, nil
}

// trace returns what was kept, without what no output needs.
func (f *function) trace() *Trace {
	needed := map[*Op]bool{}
	for _, input := range f.inputs {
		needed[input] = true
	}
	for _, output := range f.outputs {
		needed[output] = true
	}
	for i := len(f.ops) - 1; i >= 0; i-- {
		if needed[f.ops[i]] {
			for _, input := range f.ops[i].Inputs {
				needed[input] = true
			}
		}
	}
	t := &Trace{Inputs: f.inputs, Outputs: f.outputs}
	for _, op := range f.ops {
		if needed[op] {
			t.Ops = append(t.Ops, op)
		}
	}
	return t
}

// Shape returns the shape of a value.
func (f *function) Shape(v compute.Value) (shapes.Shape, error) { return v.(*Op).Shape, nil }

// Parameter adds an input.
func (f *function) Parameter(_ string, shape shapes.Shape, _ *compute.ShardingSpec) (compute.Value, error) {
	v := &Op{Type: compute.OpTypeParameter, Shape: shape}
	f.inputs = append(f.inputs, v)
	return f.add(v, nil)
}

// Constant is a constant's values: a slice of numbers, of which the operation's shape says how they lie.
type Constant struct{ Flat any }

// Constant adds a constant. The values are copied: the slice is the caller's again afterwards.
func (f *function) Constant(flat any, dims ...int) (compute.Value, error) {
	values := reflect.ValueOf(flat)
	kept := reflect.MakeSlice(values.Type(), values.Len(), values.Len())
	reflect.Copy(kept, values)
	shape := shapes.Make(dtypes.FromGoType(values.Type().Elem()), dims...)
	return f.add(&Op{Type: compute.OpTypeConstant, Shape: shape, With: Constant{kept.Interface()}}, nil)
}

// Identity returns x.
func (f *function) Identity(x compute.Value) (compute.Value, error) { return x, nil }

// Return sets the outputs.
func (f *function) Return(outputs []compute.Value, _ []*compute.ShardingSpec) error {
	for _, output := range outputs {
		f.outputs = append(f.outputs, output.(*Op))
	}
	return nil
}
