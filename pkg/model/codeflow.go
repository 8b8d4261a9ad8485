package model

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// CodeFlow is what the normal draws of a VAE's code go through, so that its posterior need not be normal: a part of the model. Its
// parameters are the same for all images.
type CodeFlow interface {
	// layers lists what it learns for codes of so many values.
	layers(latent int) []Layer

	// apply returns z = f(z₀) and log |det ∂z/∂z₀|: [n, latent] → [n, latent], [n]; nil where z is z₀.
	apply(p *Pass, z *Node) (flowed, stretch *Node)
}

// CodeFlows holds every flow that a config can name, with its defaults.
var CodeFlows = map[string]func() CodeFlow{
	"diagonal": func() CodeFlow { return &NoFlow{} },
	"planar":   func() CodeFlow { return &PlanarFlow{Steps: 5} },
	"iaf":      func() CodeFlow { return &IAF{Steps: 2, Units: 128} },
}

// NoFlow leaves codes as they are drawn: normal, with a variance for each value.
type NoFlow struct{}

func (*NoFlow) layers(int) []Layer { return nil }

func (*NoFlow) apply(_ *Pass, z *Node) (flowed, stretch *Node) { return z, nil }

// PlanarFlow pushes codes, in each of its steps, along one direction by how far they lie beyond a plane (Rezende & Mohamed 2015, equation
// 10):
//
//	f(z) = z + û tanh(wᵀz + b),   û = u + (log(1 + e^{wᵀu}) − 1 − wᵀu) w / ‖w‖²
//
// where û, instead of u, keeps f invertible (appendix A.1).
type PlanarFlow struct {
	// Steps is the number of steps.
	Steps int `yaml:"steps" min:"1" max:"256"`
}

func planarParam(step int, name string) string {
	return fmt.Sprintf("posterior.step_%d.%s", step+1, name)
}

func (f *PlanarFlow) layers(latent int) []Layer {
	var layers []Layer
	near := Init{Limit: 1 / math.Sqrt(float64(latent))}
	for i := range f.Steps {
		layers = append(layers, Layer{Name: fmt.Sprintf("posterior.step_%d", i+1), Description: fmt.Sprintf("planar, %d", latent), Products: 2 * latent,
			Params: []Param{
				{Name: planarParam(i, "direction"), Dims: []int{latent}, Init: near},
				{Name: planarParam(i, "normal"), Dims: []int{latent}, Init: near},
				{Name: planarParam(i, "offset"), Dims: []int{1}},
			}})
	}
	return layers
}

func (f *PlanarFlow) apply(p *Pass, z *Node) (flowed, stretch *Node) {
	for i := range f.Steps {
		u, w, b := p.Weights[planarParam(i, "direction")], p.Weights[planarParam(i, "normal")], p.Weights[planarParam(i, "offset")]
		inner := ReduceAllSum(Mul(u, w))
		above := Add(MaxScalar(inner, 0), Log(OnePlus(Exp(Neg(Abs(inner)))))) // log(1 + e^wᵀu); ONNX has no Log1P
		u = Add(u, Mul(w, Div(Sub(AddScalar(above, -1), inner), ReduceAllSum(Square(w)))))
		h := Tanh(Add(ReduceSum(Mul(z, ExpandAxes(w, 0)), 1), b)) // [n]
		z = Add(z, Mul(ExpandAxes(h, 1), ExpandAxes(u, 0)))
		step := Log(Abs(OnePlus(Mul(OneMinus(Square(h)), ReduceAllSum(Mul(u, w))))))
		if stretch == nil {
			stretch = step
		} else {
			stretch = Add(stretch, step)
		}
	}
	return z, stretch
}

// IAF is steps of an inverse autoregressive flow (Kingma et al. 2016, equations 10 to 12 and algorithm 1): each value is mixed with what a
// network makes of those before it,
//
//	f(z)ⱼ = σ(sⱼ) zⱼ + (1 − σ(sⱼ)) mⱼ,   m, s = network(z₁ … zⱼ₋₁)
//
// and the order of the values is turned round from step to step. The network is a MADE of one hidden layer (Germain et al. 2015).
type IAF struct {
	// Steps is the number of steps.
	Steps int `yaml:"steps" min:"1" max:"64"`

	// Units is the size of the network's hidden layer.
	Units int `yaml:"units" min:"1" max:"65536"`
}

// iafGate is where the gates' bias starts: a step starts near the identity.
const iafGate = 2

func (f *IAF) layers(latent int) []Layer {
	var layers []Layer
	for i := range f.Steps {
		name := fmt.Sprintf("posterior.step_%d", i+1)
		first, firstBias := InitOf("pytorch", latent, f.Units)
		last, _ := InitOf("pytorch", f.Units, latent)
		last.Limit *= 0.1
		layers = append(layers, Layer{
			Name: name, Description: fmt.Sprintf("autoregressive, %d → %d → %d", latent, f.Units, 2*latent), Products: 3 * latent * f.Units,
			Params: []Param{
				{Name: name + ".hidden.weight", Dims: []int{latent, f.Units}, Init: first, Decays: true},
				{Name: name + ".hidden.bias", Dims: []int{f.Units}, Init: firstBias},
				{Name: name + ".shift.weight", Dims: []int{f.Units, latent}, Init: last, Decays: true},
				{Name: name + ".shift.bias", Dims: []int{latent}},
				{Name: name + ".gate.weight", Dims: []int{f.Units, latent}, Init: last, Decays: true},
				{Name: name + ".gate.bias", Dims: []int{latent}, Init: Init{Constant: iafGate}},
			}})
	}
	return layers
}

// masks are 1 where a weight may be: hidden value h sees values up to its own degree, 1 + h mod (latent − 1), and what is made of value j
// sees hidden values of degrees below j + 1.
func (f *IAF) masks(latent int) (in, out *tensors.Tensor) {
	first, last := make([]float32, latent*f.Units), make([]float32, f.Units*latent)
	for h := range f.Units {
		degree := 1 + h%max(1, latent-1)
		for j := range latent {
			if j+1 <= degree {
				first[j*f.Units+h] = 1
			}
			if degree <= j {
				last[h*latent+j] = 1
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(first, latent, f.Units), tensors.FromFlatDataAndDimensions(last, f.Units, latent)
}

func (f *IAF) apply(p *Pass, z *Node) (flowed, stretch *Node) {
	latent := z.Shape().Dim(1)
	in, out := f.masks(latent)
	turned := make([]float32, latent*latent) // the values in reverse: a product, whose gradient is one too
	for j := range latent {
		turned[j*latent+latent-1-j] = 1
	}
	turn := ConstTensor(z.Graph(), tensors.FromFlatDataAndDimensions(turned, latent, latent))
	first, last := ConstTensor(z.Graph(), in), ConstTensor(z.Graph(), out)
	for i := range f.Steps {
		name := fmt.Sprintf("posterior.step_%d.", i+1)
		sum := func(x *Node, part string, mask *Node) *Node {
			return Add(MatMul(x, Mul(p.Weights[name+part+".weight"], mask)), ExpandAxes(p.Weights[name+part+".bias"], 0))
		}
		h := Activate("elu", sum(z, "hidden", first))
		gate := sum(h, "gate", last)
		open := Sigmoid(gate)
		z = Add(Mul(open, z), Mul(OneMinus(open), sum(h, "shift", last)))
		z = MatMul(z, turn)
		// log σ(s) = −log(1 + e^−s)
		step := Neg(ReduceSum(softplus(Neg(gate)), 1))
		if stretch == nil {
			stretch = step
		} else {
			stretch = Add(stretch, step)
		}
	}
	return z, stretch
}
