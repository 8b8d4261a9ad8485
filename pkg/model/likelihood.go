package model

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// crossEntropy returns −x log σ(ℓ) − (1 − x) log(1 − σ(ℓ)) of each value, in nats, as softplus(ℓ) − x ℓ. x in [0, 1].
func crossEntropy(x, logits *Node) *Node {
	return Sub(softplus(logits), Mul(x, logits))
}

// softplus returns log(1 + eˣ) as max(x, 0) + log(1 + e^−|x|): no exponent is positive, so none overflows.
func softplus(x *Node) *Node { return Add(MaxScalar(x, 0), Log1P(Exp(Neg(Abs(x))))) }

// normalCost returns −log N(x; μ, σ²) of each value, in nats:
//
//	½ ((x − μ)² / σ² + log σ² + log 2π)
//
// logVariance is log σ². Source: Kingma & Welling 2014, appendix C.2.
func normalCost(x, mean, logVariance *Node) *Node {
	squared := Mul(Square(Sub(x, mean)), Exp(Neg(logVariance)))
	return MulScalar(AddScalar(Add(squared, logVariance), math.Log(2*math.Pi)), 0.5)
}

// divergence returns KL(N(μ, σ²) ‖ N(0, 1)) of each value, in nats:
//
//	½ (μ² + σ² − 1 − log σ²)
//
// Source: Kingma & Welling 2014, appendix B, which writes it with the other sign.
func divergence(mean, logVariance *Node) *Node {
	return MulScalar(Sub(Add(Square(mean), Exp(logVariance)), OnePlus(logVariance)), 0.5)
}

// reparameterise returns z = μ + σ ε (Kingma & Welling 2014, section 2.4). mean, logVariance: [batch, latent]; noise and the
// result: [batch, draws, latent].
func reparameterise(mean, logVariance, noise *Node) *Node {
	deviation := Exp(MulScalar(logVariance, 0.5))
	return Add(ExpandAxes(mean, 1), Mul(ExpandAxes(deviation, 1), noise))
}

// logMeanExp returns log(1/k Σ e^x) over the last axis, of k values.
func logMeanExp(x *Node) *Node {
	// The largest exponent is 0. Whatever is taken out and put back has no gradient.
	largest := StopGradient(ReduceAndKeep(x, ReduceMax, -1))
	return Add(Squeeze(largest, -1), Log(ReduceMean(Exp(Sub(x, largest)), -1)))
}

// logisticCost returns −log P(x) of each value of mean, in nats, where P is the probability that a logistic distribution gives the bin around x,
// one of the 256 of bytes, scaled to [-1, 1]; the outermost bins reach to infinity:
//
//	P(x) = σ((x + δ − μ)/s) − σ((x − δ − μ)/s),   δ = 1/255
//
// with s = √3/π times the standard deviation, whose logarithm is ½ logVariance. Sources: Kingma et al. 2016, appendix C.2; Salimans et al.
// 2017, section 2.1, whose code falls back to the density where the difference vanishes, as this does.
func logisticCost(x, mean, logVariance *Node) *Node {
	const delta = 1.0 / 255
	x = BroadcastToDims(x, mean.Shape().Dimensions...)
	logScale := AddScalar(MulScalar(logVariance, 0.5), math.Log(math.Sqrt(3)/math.Pi))
	inverse := Exp(Neg(logScale))
	at := func(shift float64) *Node { return Mul(AddScalar(Sub(x, mean), shift), inverse) }
	upper, lower, middle := at(delta), at(-delta), at(0)
	inside := Sub(Sigmoid(upper), Sigmoid(lower))
	density := Add(Add(Sub(Neg(middle), MulScalar(softplus(Neg(middle)), 2)), Neg(logScale)), MulScalar(OnesLike(x), math.Log(2*delta)))
	const least = 1e-5
	logInside := Where(GreaterThan(inside, AddScalar(ZerosLike(inside), least)), Log(MaxScalar(inside, least)), density)
	first := LessThan(x, AddScalar(ZerosLike(x), -1+delta))
	last := GreaterThan(x, AddScalar(ZerosLike(x), 1-delta))
	return Neg(Where(first, Neg(softplus(Neg(upper))), Where(last, Neg(softplus(lower)), logInside)))
}
