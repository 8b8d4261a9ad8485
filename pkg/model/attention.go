package model

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// attention lets each place of a picture look at all of them (Vaswani et al. 2017, without positions), and adds what it finds to what it
// has:
//
//	y = x + softmax(Q Kᵀ / √d) V W + b,   Q, K, V = norm(x) Wᵢ + bᵢ
//
// for each of some heads with d channels each. W starts small, so that the layer starts near x.
type attention struct {
	name  string
	shape shape
	heads int
	init  string
}

// attend is the attention layer of so many heads, none of 0.
func attend(name string, at shape, heads int, init string) []block {
	if heads == 0 {
		return nil
	}
	return []block{attention{name, at, heads, init}}
}

// checkHeads reports heads among which the last of channels cannot be shared.
func checkHeads(heads int, channels []int, report func(key, problem string)) {
	if heads > 0 && len(channels) > 0 && channels[len(channels)-1]%heads != 0 {
		report("attention", fmt.Sprintf("%d channels cannot be divided among %d heads; choose a divisor of the last entry of channels", channels[len(channels)-1], heads))
	}
}

func (a attention) norm() normLayer {
	return normLayer{a.name + ".norm", "layer", a.shape.channels, "linear"}
}

func (a attention) layer() Layer {
	c, places := a.shape.channels, a.shape.area()
	weight, bias := InitOf(a.init, c, 3*c)
	out, _ := InitOf(a.init, c, c)
	out.Limit *= 0.1
	return Layer{
		Name: a.name, Description: fmt.Sprintf("attention of %d heads, %d at %v", a.heads, c, a.shape.size),
		Products: 4*places*c*c + 2*places*places*c,
		Params: append(a.norm().layer().Params,
			Param{Name: a.name + ".qkv.weight", Dims: []int{c, 3 * c}, Init: weight, Decays: true},
			Param{Name: a.name + ".qkv.bias", Dims: []int{3 * c}, Init: bias},
			Param{Name: a.name + ".out.weight", Dims: []int{c, c}, Init: out, Decays: true},
			Param{Name: a.name + ".out.bias", Dims: []int{c}}),
	}
}

// apply maps x: [batch, height, width, channels] → the same.
func (a attention) apply(p *Pass, x *Node) *Node {
	batch, places, c := x.Shape().Dim(0), a.shape.area(), a.shape.channels
	h := Reshape(a.norm().apply(p, x), batch*places, c)
	h = Add(MatMul(h, p.Weight(a.name+".qkv.weight")), ExpandAxes(p.Weight(a.name+".qkv.bias"), 0))
	h = Reshape(h, batch, places, 3, a.heads, c/a.heads)
	part := func(i int) *Node { return Squeeze(SliceAxis(h, 2, AxisElem(i)), 2) } // [batch, places, heads, d]
	scores := p.wide(MulScalar(Einsum("bqhd,bkhd->bhqk", part(0), part(1)), 1/math.Sqrt(float64(c/a.heads))))
	scores = Exp(Sub(scores, StopGradient(ReduceAndKeep(scores, ReduceMax, -1))))
	shares := ConvertDType(Div(scores, ReduceAndKeep(scores, ReduceSum, -1)), x.DType())
	found := Reshape(Einsum("bhqk,bkhd->bqhd", shares, part(2)), batch*places, c)
	found = Add(MatMul(found, p.Weight(a.name+".out.weight")), ExpandAxes(p.Weight(a.name+".out.bias"), 0))
	return p.Show(a.name, Add(x, Reshape(found, x.Shape().Dimensions...)))
}
