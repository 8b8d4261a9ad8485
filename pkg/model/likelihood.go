package model

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// crossEntropy returns −x log σ(ℓ) − (1 − x) log(1 − σ(ℓ)) of each value, in nats, as softplus(ℓ) − x ℓ with
// softplus(ℓ) = log(1 + e^ℓ). x in [0, 1].
func crossEntropy(x, logits *Node) *Node {
	// softplus(ℓ) = max(ℓ, 0) + log(1 + e^−|ℓ|): no exponent is positive, so none overflows.
	softplus := Add(MaxScalar(logits, 0), Log1P(Exp(Neg(Abs(logits)))))
	return Sub(softplus, Mul(x, logits))
}

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
