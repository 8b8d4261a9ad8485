package trace_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/trace"
)

// Inputs stand in the trace whether or not an output needs them, and each operation stands behind those that it needs.
func TestOrder(t *testing.T) {
	vector := shapes.Make(dtypes.Float32, 4)
	traced, err := trace.Record([]shapes.Shape{vector, vector}, func(inputs []*Node) []*Node {
		y := Tanh(inputs[1])
		return []*Node{Mul(y, y), y}
	})
	if err != nil {
		t.Fatal(err)
	}
	var types []compute.OpType
	known := map[*trace.Op]bool{}
	for _, op := range traced.Ops {
		for _, input := range op.Inputs {
			if !known[input] {
				t.Errorf("%v stands before its input %v", op.Type, input.Type)
			}
		}
		known[op] = true
		types = append(types, op.Type)
	}
	want := []compute.OpType{compute.OpTypeParameter, compute.OpTypeParameter, compute.OpTypeTanh, compute.OpTypeMul}
	if !slices.Equal(types, want) {
		t.Errorf("the operations are %v, want %v", types, want)
	}
	if len(traced.Inputs) != 2 || len(traced.Outputs) != 2 || traced.Outputs[1].Type != compute.OpTypeTanh {
		t.Errorf("%d inputs, outputs %v", len(traced.Inputs), traced.Outputs)
	}
}

// A function that panics with an error, and an operation that is not recorded, are errors.
func TestErrors(t *testing.T) {
	for want, fn := range map[string]func(x *Node) *Node{
		"the operation Clz is not recorded": func(x *Node) *Node { return Clz(ConvertDType(x, dtypes.Int32)) },
		"no such layer":                     func(*Node) *Node { panic(errors.New("no such layer")) },
	} {
		_, err := trace.Record([]shapes.Shape{shapes.Make(dtypes.Float32, 2)}, func(in []*Node) []*Node { return []*Node{fn(in[0])} })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
