package onnx

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of onnx.proto that Latent writes. Their fields have ONNX's names and numbers.
//
// Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

// Versions of the format and of the operators. onnxruntime reads both since 1.14.
const (
	irVersion    = 8
	opsetVersion = 18
)

// message is a protobuf message in wire format, built field by field.
type message []byte

func (m *message) integer(field protowire.Number, value int) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(value))
}

func (m *message) text(field protowire.Number, value string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), value)
}

func (m *message) bytes(field protowire.Number, value []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), value)
}

// modelProto is ModelProto, a file.
type modelProto struct {
	producerVersion string
	graph           graphProto
	metadata        [][2]string // keys and values
}

func (p modelProto) encode() message {
	var m, opset message
	m.integer(1, irVersion)
	m.text(2, "latent") // producer_name
	m.text(3, p.producerVersion)
	m.bytes(7, p.graph.encode())
	opset.text(1, "") // the domain of ONNX's own operators
	opset.integer(2, opsetVersion)
	m.bytes(8, opset)
	for _, pair := range p.metadata {
		var entry message
		entry.text(1, pair[0])
		entry.text(2, pair[1])
		m.bytes(14, entry)
	}
	return m
}

// graphProto is GraphProto.
type graphProto struct {
	name            string
	nodes           []nodeProto
	initializers    []tensorProto
	inputs, outputs []Value
}

func (p graphProto) encode() message {
	var m message
	for _, node := range p.nodes {
		m.bytes(1, node.encode())
	}
	m.text(2, p.name)
	for _, tensor := range p.initializers {
		m.bytes(5, tensor.encode())
	}
	for _, input := range p.inputs {
		m.bytes(11, input.encode())
	}
	for _, output := range p.outputs {
		m.bytes(12, output.encode())
	}
	return m
}

// nodeProto is NodeProto with one output, after which the node is named.
type nodeProto struct {
	op         string
	inputs     []string
	output     string
	attributes []attribute
}

func (p nodeProto) encode() message {
	var m message
	for _, input := range p.inputs {
		m.text(1, input)
	}
	m.text(2, p.output)
	m.text(3, p.output)
	m.text(4, p.op)
	for _, a := range p.attributes {
		m.bytes(5, a.encode())
	}
	return m
}

// attribute is AttributeProto of type INT, or of type INTS where list is not nil.
type attribute struct {
	name  string
	value int
	list  []int
}

func (p attribute) encode() message {
	const typeInt, typeInts = 2, 7
	var m message
	m.text(1, p.name)
	if p.list == nil {
		m.integer(3, p.value)
		m.integer(20, typeInt)
		return m
	}
	for _, value := range p.list {
		m.integer(8, value)
	}
	m.integer(20, typeInts)
	return m
}

// tensorProto is TensorProto.
type tensorProto struct {
	name  string
	dtype dtypes.DType
	dims  []int
	raw   []byte // little endian
}

func (p tensorProto) encode() message {
	var m message
	for _, dim := range p.dims {
		m.integer(1, dim)
	}
	m.integer(2, elementTypes[p.dtype])
	m.text(8, p.name)
	m.bytes(9, p.raw)
	return m
}

// Value is an input or an output of a file.
type Value struct {
	Name  string
	DType dtypes.DType
	// Dims are the sizes of its axes; 0 is the number of images, which is chosen with each call.
	Dims []int
}

// Axes are Dims for people and programs: "batch" where the size is the number of images.
func (v Value) Axes() []any {
	axes := []any{}
	for _, size := range v.Dims {
		if size == 0 {
			axes = append(axes, batchName)
		} else {
			axes = append(axes, size)
		}
	}
	return axes
}

// String returns for example "image [batch, 28, 28, 1]".
func (v Value) String() string {
	var axes []string
	for _, axis := range v.Axes() {
		axes = append(axes, fmt.Sprint(axis))
	}
	return v.Name + " [" + strings.Join(axes, ", ") + "]"
}

// batchName is what the files call the number of images.
const batchName = "batch"

// encode is ValueInfoProto, with TypeProto, TypeProto.Tensor, TensorShapeProto and TensorShapeProto.Dimension inside.
func (v Value) encode() message {
	var m, kind, tensor, shape message
	for _, size := range v.Dims {
		var dim message
		if size == 0 {
			dim.text(2, batchName)
		} else {
			dim.integer(1, size)
		}
		shape.bytes(1, dim)
	}
	tensor.integer(1, elementTypes[v.DType])
	tensor.bytes(2, shape)
	kind.bytes(1, tensor)
	m.text(1, v.Name)
	m.bytes(2, kind)
	return m
}

// elementTypes are the numbers of TensorProto.DataType.
var elementTypes = map[dtypes.DType]int{
	dtypes.Float32: 1, dtypes.Uint8: 2, dtypes.Int8: 3, dtypes.Uint16: 4, dtypes.Int16: 5, dtypes.Int32: 6, dtypes.Int64: 7,
	dtypes.Bool: 9, dtypes.Float16: 10, dtypes.Float64: 11, dtypes.Uint32: 12, dtypes.Uint64: 13, dtypes.BFloat16: 16,
}
