package model

import . "github.com/gomlx/gomlx/core/graph"

// WAE is a Wasserstein autoencoder with the MMD penalty (Tolstikhin et al. 2018), which pulls the distribution of codes towards the
// standard normal. Its loss is a sum over the pixels of each image; train.loss is not used.
type WAE struct {
	Coder `yaml:",inline"`

	// Lambda is the weight of the distance between the codes and the prior. The paper's 10 on MNIST, for pixels in [0, 1], corresponds to
	// 40 here, for pixels in [-1, 1].
	Lambda float64 `yaml:"lambda" min:"0" max:"1000000" strength:"yes"`
}

// Numbers returns lambda.
func (w *WAE) Numbers() []float32 { return []float32{float32(w.Lambda)} }

// PriorSize returns the size of the code.
func (w *WAE) PriorSize(image Image) int { return w.CodeSize(image) }

// PriorNormal says that codes are drawn to the standard normal distribution.
func (*WAE) PriorNormal() bool { return true }

// PriorCodes returns the draws.
func (*WAE) PriorCodes(_ *Pass, noise *Node) *Node { return noise }

// Objective is ‖x − y‖² + λ MMD of each image, where the second part is one number for the whole batch (Tolstikhin et al.
// 2018, algorithm 2): that between its codes and as many draws from the prior.
func (w *WAE) Objective(p *Pass, clean, damaged *Node) (Output, []Term) {
	out := w.Apply(p, damaged)
	batch := clean.Shape().Dim(0)
	drawn := ConvertDType(p.Draw().Normal(out.Latent.Shape().Dimensions...), clean.DType())
	return out, []Term{
		{Name: reconstruction, Value: squaredDistance(clean, out.Image)},
		{Name: "mmd", Value: BroadcastToDims(discrepancy(out.Latent, drawn, p.counts(out.Latent)), batch), Weight: p.Numbers[0]},
	}
}

// AcrossBatch says that the penalty is that of a whole batch.
func (w *WAE) AcrossBatch() string { return "kind" }

// discrepancy returns the unbiased estimate of the squared maximum mean discrepancy between two sets of n points each,
//
//	1/(n (n−1)) Σ_{i≠j} k(xᵢ, xⱼ) + 1/(n (n−1)) Σ_{i≠j} k(yᵢ, yⱼ) − 2/n² Σ k(xᵢ, yⱼ)
//
// with the inverse multiquadratic kernel k(a, b) = C / (C + ‖a − b‖²), C = 2 d: twice the expected squared length of a
// standard normal point in d dimensions. It can be negative. A scalar.
//
// x, y: [batch, d]; counts: [batch], 1 for each point that counts and 0 for others. Source: Tolstikhin et al. 2018, algorithm 2
// and section 4.
func discrepancy(x, y, counts *Node) *Node {
	c := 2 * float64(x.Shape().Dim(1))
	pairs := Mul(ExpandAxes(counts, 1), ExpandAxes(counts, 0)) // [batch, batch]
	sum := func(a, b *Node) *Node {
		// ‖a − b‖² = ‖a‖² + ‖b‖² − 2 a·b, cut at 0, where rounding may put it below.
		lengths := Add(ExpandAxes(ReduceSum(Square(a), 1), 1), ExpandAxes(ReduceSum(Square(b), 1), 0))
		squared := MaxScalar(Sub(lengths, MulScalar(Einsum("id,jd->ij", a, b), 2)), 0)
		return ReduceAllSum(Mul(pairs, Reciprocal(AddScalar(MulScalar(squared, 1/c), 1))))
	}
	n := ReduceAllSum(counts)
	// A point is at distance 0 from itself: k = 1. Of a single point there is no estimate of the first two parts.
	within := Div(Sub(Add(sum(x, x), sum(y, y)), MulScalar(n, 2)), MaxScalar(Mul(n, AddScalar(n, -1)), 1))
	return Sub(within, Div(MulScalar(sum(x, y), 2), Square(n)))
}
