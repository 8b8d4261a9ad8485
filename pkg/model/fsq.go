package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// FSQ is an autoencoder with finite scalar quantisation, whose code is rounded to a few levels (Mentzer et al. 2024). The code is split
// into parts with as many values as levels has entries, and value j of a part is rounded to one of levels[j] numbers. Each part is then one
// of Π levels entries of a codebook that need not be learned. Its loss is a sum over the pixels of each image; train.loss is not used.
type FSQ struct {
	Coder `yaml:",inline"`

	// Levels lists the number of levels of each value of a part. The paper has [8, 6, 5] for 240 entries, [8, 5, 5, 5] for 1,000 and
	// [7, 5, 5, 5, 5] for 4,375.
	Levels []int `yaml:"levels,flow" min:"3" max:"256" minitems:"1" maxitems:"16"`
}

// mostEntries is how many float32 can number.
const mostEntries = 1 << 24

// Check reports a code that cannot be taken in whole parts.
func (f *FSQ) Check(report func(key, problem string)) {
	f.Network.Check(report)
	if n := len(f.Levels); n > 0 && f.Latent%n != 0 {
		report("levels", fmt.Sprintf("a code of %d values cannot be split into parts of %d; choose a number of levels that divides model.latent", f.Latent, n))
	}
	if f.entries() > mostEntries {
		report("levels", fmt.Sprintf("%.3g entries exceed the limit of %d; lower some levels, or list fewer", f.entries(), mostEntries))
	}
}

// entries is the number of different parts.
func (f *FSQ) entries() float64 {
	product := 1.0
	for _, n := range f.Levels {
		product *= float64(n)
	}
	return product
}

// rounding is of each value of a part: tanh brings it to ±reach, with a shift and an offset that keep an even number of levels in order.
// half is what levels are divided by in the end, to lie in [-1, 1].
func (f *FSQ) rounding(g *Graph, dtype dtypes.DType) (reach, shift, offset, half *Node) {
	const slack = 1e-3 // of the outermost levels, so that they can be reached
	n := len(f.Levels)
	values := make([][]float64, 4)
	for _, levels := range f.Levels {
		r, o := float64(levels-1)*(1+slack)/2, 0.0
		if levels%2 == 0 {
			o = 0.5
		}
		for i, value := range []float64{r, math.Atanh(o / r), o, math.Floor(float64(levels) / 2)} {
			values[i] = append(values[i], value)
		}
	}
	row := func(i int) *Node { return Reshape(ConvertDType(Const(g, values[i]), dtype), 1, n) }
	return row(0), row(1), row(2), row(3)
}

// quantise rounds codes, so that gradients pass the rounding by: [batch, values] → the same, in [-1, 1], and the whole numbers that they
// are then, from −levels/2 on: [parts, levels].
func (f *FSQ) quantise(z *Node) (rounded, whole *Node) {
	parts := Reshape(z, -1, len(f.Levels))
	reach, shift, offset, half := f.rounding(z.Graph(), z.DType())
	bounded := Sub(Mul(Tanh(Add(parts, shift)), reach), offset)
	whole = StopGradient(Floor(AddScalar(bounded, 0.5)))
	through := Add(bounded, StopGradient(Sub(whole, bounded)))
	return Reshape(Div(through, half), z.Shape().Dimensions...), whole
}

// Start puts the mean of the training images into the bias of the last layer. Without it, the first steps move all codes together towards
// what brings it about, as far as tanh's ends, from where no gradient brings them back.
func (f *FSQ) Start(image Image, mean []float32) map[string][]float32 {
	return startAt(f.decoder(image, 0, 1), image, 1, mean, func(mean float64) float64 {
		within := min(max(mean, -0.99), 0.99)
		switch f.Output {
		case "tanh":
			return math.Atanh(within)
		case "sigmoid":
			return math.Log((1 + within) / (1 - within))
		}
		return mean
	})
}

// Apply encodes x, rounds its code, and decodes that. x: [batch, height, width, channels].
func (f *FSQ) Apply(p *Pass, x *Node) Output {
	z, _ := f.quantise(f.codes(p, x))
	return f.decoded(p, z, x)
}

// Objective is ‖x − y‖² of each image.
func (f *FSQ) Objective(p *Pass, clean, damaged *Node) (Output, []Term) {
	out := f.Apply(p, damaged)
	return out, []Term{{Name: reconstruction, Value: squaredDistance(clean, out.Image)}}
}

// Choices returns the number of each part of the code of x among all that there are: its levels are the digits.
func (f *FSQ) Choices(p *Pass, x *Node) *Node {
	_, whole := f.quantise(f.codes(p, x))
	number := ZerosLike(Slice(whole, AxisRange(), AxisElem(0)))
	for j, levels := range f.Levels {
		digit := AddScalar(Slice(whole, AxisRange(), AxisElem(j)), float64(levels/2))
		number = Add(MulScalar(number, float64(levels)), digit)
	}
	return Reshape(ConvertDType(number, dtypes.Int32), x.Shape().Dim(0), -1)
}

// Choosable is the number of different parts.
func (f *FSQ) Choosable() int { return int(f.entries()) }

// Chosen returns the codes whose parts have these numbers.
func (f *FSQ) Chosen(_ *Pass, choices *Node) *Node {
	left := Reshape(ConvertDType(choices, dtypes.Float32), -1, 1)
	digits := make([]*Node, len(f.Levels))
	for j, levels := range slices.Backward(f.Levels) {
		rest := Floor(DivScalar(AddScalar(left, 0.5), float64(levels)))
		digits[j] = AddScalar(Sub(left, MulScalar(rest, float64(levels))), float64(-(levels / 2)))
		left = rest
	}
	_, _, _, half := f.rounding(choices.Graph(), dtypes.Float32)
	return Reshape(Div(Concatenate(digits, 1), half), choices.Shape().Dim(0), -1)
}
