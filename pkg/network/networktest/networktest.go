// Package networktest gives tests small networks, and skips those that need onnxruntime where it is not.
package networktest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"latent/pkg/network"
	"latent/pkg/pythontest"
)

// Value is an input or an output of a network: its name, and sizes, of which 0 is free. Its type is float32, or Type of ONNX.
type Value struct {
	Name string
	Dims []int
	Type int
}

// Node is an operation without attributes.
type Node struct {
	Op      string
	Inputs  []string
	Outputs []string
}

// Net is a network.
type Net struct {
	Inputs, Outputs []Value
	Nodes           []Node
	// External names a file that has the weight w, one float32, which nodes may use; "" for none.
	External string
}

// Means is a network whose output means has the mean of each channel of pictures, [pictures, channels, 1, 1], and whose output pixels has the
// pictures themselves.
func Means(batch, channels, height, width int) Net {
	return Net{
		Inputs:  []Value{{Name: "x", Dims: []int{batch, channels, height, width}}},
		Outputs: []Value{{Name: "means", Dims: []int{batch, channels, 1, 1}}, {Name: "pixels", Dims: []int{batch, channels, height, width}}},
		Nodes:   []Node{{"GlobalAveragePool", []string{"x"}, []string{"means"}}, {"Identity", []string{"x"}, []string{"pixels"}}},
	}
}

// Bytes are the network as an ONNX file.
func (n Net) Bytes() []byte {
	var graph message
	for _, node := range n.Nodes {
		var m message
		for _, name := range node.Inputs {
			m.text(1, name)
		}
		for _, name := range node.Outputs {
			m.text(2, name)
		}
		m.text(4, node.Op)
		graph.text(1, string(m))
	}
	graph.text(2, "net")
	if n.External != "" {
		var w, location message
		location.text(1, "location")
		location.text(2, n.External)
		w.number(1, 1) // dims
		w.number(2, 1) // float32
		w.text(8, "w")
		w.text(13, string(location))
		w.number(14, 1) // external
		graph.text(5, string(w))
	}
	for _, v := range n.Inputs {
		graph.text(11, string(v.bytes()))
	}
	for _, v := range n.Outputs {
		graph.text(12, string(v.bytes()))
	}
	var opset, model message
	opset.text(1, "")
	opset.number(2, 17)
	model.number(1, 8) // IR version
	model.text(7, string(graph))
	model.text(8, string(opset))
	return model
}

func (v Value) bytes() message {
	var shape message
	for _, d := range v.Dims {
		var dim message
		if d > 0 {
			dim.number(1, d)
		} else {
			dim.text(2, "n")
		}
		shape.text(1, string(dim))
	}
	kind := v.Type
	if kind == 0 {
		kind = 1
	}
	var tensor, typed, m message
	tensor.number(1, kind)
	tensor.text(2, string(shape))
	typed.text(1, string(tensor))
	m.text(1, v.Name)
	m.text(2, string(typed))
	return m
}

// message is one of protobuf.
type message []byte

func (m *message) text(number protowire.Number, text string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, number, protowire.BytesType), text)
}

func (m *message) number(number protowire.Number, n int) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, number, protowire.VarintType), uint64(n))
}

// Write writes the network to a file of a folder that the test removes, and returns its path.
func (n Net) Write(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "net.onnx")
	if err := os.WriteFile(path, n.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Requirements are the packages of Python in which tests find onnxruntime, for tests of packages in pkg.
const Requirements = "../network/networktest/requirements.txt"

// Runtime skips the test where onnxruntime is not installed. With LATENT_LONG, a Python for tests has it.
func Runtime(t *testing.T) {
	t.Helper()
	if err := open(t); errors.Is(err, network.ErrNoRuntime) {
		t.Log(err)
		t.Setenv("LATENT_PYTHON", pythontest.Interpreter(t, Requirements))
		if err = open(t); err != nil {
			t.Fatal(err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
}

// open opens a small network.
func open(t *testing.T) error {
	file, err := network.Read(Means(0, 1, 0, 0).Write(t))
	if err != nil {
		t.Fatal(err)
	}
	net, err := file.Open(t.Context(), "")
	if err == nil {
		net.Close()
	}
	return err
}
