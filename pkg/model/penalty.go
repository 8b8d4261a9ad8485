package model

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// Numbers are the penalties' weights, and the target of the sparsity.
func (d *Dense) Numbers() []float32 {
	var numbers []float32
	switch d.Sparsity {
	case "l1":
		numbers = append(numbers, float32(d.SparsityWeight))
	case "kl":
		numbers = append(numbers, float32(d.SparsityWeight), float32(d.SparsityTarget))
	}
	if d.Contraction {
		numbers = append(numbers, float32(d.ContractionWeight))
	}
	return numbers
}

// penalties are those that the model asks for. x: [batch, height, width, channels], z: its code, [batch, latent].
func (d *Dense) penalties(p *Pass, x, z *Node) []Term {
	var terms []Term
	numbers := p.Numbers
	take := func() *Node {
		first := numbers[0]
		numbers = numbers[1:]
		return first
	}
	switch d.Sparsity {
	case "l1":
		terms = append(terms, Term{Name: "sparsity", Weight: take(), Value: ReduceSum(Abs(p.wide(z)), 1)})
	case "kl":
		weight, target := take(), take()
		terms = append(terms, Term{Name: "sparsity", Weight: weight, Value: klSparsity(p.wide(z), target, p.Counts)})
	}
	if d.Contraction {
		terms = append(terms, Term{Name: "contraction", Weight: take(), Value: p.wide(d.contraction(p, x, z))})
	}
	return terms
}

// klSparsity is Σⱼ KL(ρ ‖ ρ̂ⱼ), in nats, with ρ̂ⱼ the mean of the code's value j over the batch's images, padding left out:
//
//	KL(ρ ‖ ρ̂) = ρ log(ρ/ρ̂) + (1 − ρ) log((1 − ρ)/(1 − ρ̂))
//
// It is the same for each image, so that the mean over images is the batch's. z: [batch, latent] in (0, 1), target: scalar,
// counts: [batch] or nil; returns [batch].
//
// Source: Ng, "Sparse autoencoder", CS294A lecture notes 2011, which takes the mean over the training set.
func klSparsity(z, target, counts *Node) *Node {
	batch := z.Shape().Dim(0)
	var rate *Node // [latent]
	if counts == nil {
		rate = ReduceMean(z, 0)
	} else {
		counts = ConvertDType(counts, z.DType())
		rate = Div(ReduceSum(Mul(z, ExpandAxes(counts, -1)), 0), ReduceAllSum(counts))
	}
	// Where every code is saturated, a logarithm would be infinite.
	const least = 1e-6
	rate = MinScalar(MaxScalar(rate, least), 1-least)
	kl := ReduceAllSum(Add(
		Mul(target, Sub(Log(target), Log(rate))),
		Mul(OneMinus(target), Sub(Log(OneMinus(target)), Log(OneMinus(rate))))))
	return BroadcastToDims(kl, batch)
}

// contraction is ‖J‖² of each image, the sum of the squares of ∂zⱼ/∂xᵢ: [batch].
//
// For one layer z = a(s), s = x W + b, it is Σⱼ a′(sⱼ)² Σᵢ Wᵢⱼ² (Rifai et al. 2011, equation 7, there for the sigmoid). For
// more it is ‖Jᵀv‖² with a vector v of random signs for each image, whose mean over v is ‖J‖² (Hutchinson 1990).
//
// Without training, it is estimated too.
func (d *Dense) contraction(p *Pass, x, z *Node) *Node {
	if len(d.Encoder) == 1 {
		flat := Reshape(x, x.Shape().Dim(0), -1)
		l := d.stack(flat.Shape().Dim(1))[0]
		activation := l.Activation
		l.Activation = "linear"
		s := l.Apply(p, flat)
		slope := Gradient(ReduceAllSum(Activate(activation, s)), s)[0] // [batch, latent]
		norms := ReduceSum(Square(p.Weight(l.Name+".weight")), 0)      // [latent]
		return ReduceSum(Mul(Square(slope), ExpandAxes(norms, 0)), 1)
	}
	sign := AddScalar(MulScalar(ConvertDType(BitwiseShiftRightLogicalScalar(
		p.Draw().Bits(z.Shape().Dimensions...), uint32(31)), z.DType()), 2), -1)
	return ReduceSum(Square(Gradient(ReduceAllSum(Mul(z, sign)), x)[0]), 1, 2, 3)
}
