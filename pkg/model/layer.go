package model

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// DenseLayer is y = activation(x W + b), W: [in, out], b: [out]: a part of a model.
//
//	hidden := model.DenseLayer{Name: "encoder.hidden", In: image.Size(), Out: 128, Activation: "relu", Init: "pytorch"}
//	hidden.Layer()     // for [Model]'s Layers
//	hidden.Apply(p, x) // in Apply
type DenseLayer struct {
	// Name is that of the layer; its parameters are NAME.weight and NAME.bias.
	Name string
	// In and Out are the numbers of values.
	In, Out int
	// Activation is one of [Activate].
	Activation string
	// Init is one of [InitOf].
	Init string
}

// Layer describes the layer.
func (l DenseLayer) Layer() Layer {
	weight, bias := InitOf(l.Init, l.In, l.Out)
	return Layer{
		Name:        l.Name,
		Description: fmt.Sprintf("dense %d → %d, %s", l.In, l.Out, l.Activation),
		Products:    l.In * l.Out,
		Params: []Param{
			{Name: l.Name + ".weight", Dims: []int{l.In, l.Out}, Init: weight, Decays: true},
			{Name: l.Name + ".bias", Dims: []int{l.Out}, Init: bias},
		},
	}
}

// Apply returns activation(x W + b). x: [batch, in] → [batch, out].
func (l DenseLayer) Apply(p *Pass, x *Node) *Node {
	weight, bias := p.Weight(l.Name+".weight"), p.Weight(l.Name+".bias")
	if x.Rank() != 2 || x.Shape().Dim(1) != weight.Shape().Dim(0) {
		panic(fmt.Errorf("build %s: input %v does not fit weights %v", l.Name, x.Shape().Dimensions, weight.Shape().Dimensions))
	}
	return p.Show(l.Name, Activate(l.Activation, Add(MatMul(x, weight), ExpandAxes(bias, 0))))
}

// InitOf returns how weights and biases start that make each of so many values of so many others.
//
//   - pytorch: weights and biases uniform in ±1/√fan_in
//   - glorot: weights uniform in ±√(6/(fan_in+fan_out)), biases zero
//   - he: weights normal with variance 2/fan_in, biases zero
func InitOf(kind string, fanIn, fanOut int) (weight, bias Init) {
	in, out := float64(fanIn), float64(fanOut)
	switch kind {
	case "pytorch":
		// PyTorch's Linear.reset_parameters: kaiming_uniform with a = √5, which is ±1/√fan_in.
		limit := Init{Limit: 1 / math.Sqrt(in)}
		return limit, limit
	case "glorot":
		return Init{Limit: math.Sqrt(6 / (in + out))}, Init{}
	case "he":
		return Init{Limit: math.Sqrt(6 / in), Normal: true}, Init{}
	}
	panic(fmt.Errorf("model.init: unknown kind %q", kind))
}
