package model

import . "github.com/gomlx/gomlx/core/graph"

// Density is a model with a likelihood, p(x) = ∫ p(x | z) p(z) dz, and an approximate posterior q(z | x), from whose draws
// pkg/evaluate estimates it.
type Density interface {
	Model

	// Observed names what the likelihood is of, for the names of figures: dyn and static are black-and-white images that were
	// drawn with the pixels as probabilities, for each batch anew or once for each image; grey are the pixels themselves, and byte
	// the pixels as one of 256 values each. It
	// is "" where there is no likelihood: the model's loss on these pixels is none.
	Observed() string

	// Observe returns what the likelihood is of. x: [batch, height, width, channels], pixels in [-1, 1]; returns the same shape.
	Observe(p *Pass, x *Node) *Node

	// Evidence returns the parts of the evidence bound on log p(x): bound = −(cost + Σ divergence).
	//
	// x: what Observe returned
	Evidence(p *Pass, x *Node) Evidence

	// LogWeights returns log p(x, z) − log q(z | x) at draws z from q(z | x): [batch, draws]. The mean of the weights
	// estimates p(x).
	LogWeights(p *Pass, x *Node, draws int) *Node
}

// Evidence is the evidence bound in parts, in nats.
type Evidence struct {
	Mean       *Node // of q(z | x), or where a flow or levels bring it: [batch, latent]
	Cost       *Node // −log p(x | z) at a draw z from q(z | x): [batch]
	Divergence *Node // KL(q(z | x) ‖ p(z)) of each dimension, [batch, latent], or an estimate of the whole, [batch, 1]
}

// Variational is a model whose code is a normal distribution for each image.
type Variational interface {
	Model

	// Posterior returns the mean and the log variance of q(z | x): [batch, latent] each.
	//
	// x: [batch, height, width, channels], pixels in [-1, 1]
	Posterior(p *Pass, x *Node) (mean, logVariance *Node)

	// PosteriorNormal says that codes are from this distribution themselves: where not, they are what more layers make of its draws.
	PosteriorNormal() bool
}

// NormalPosteriorOf returns the model where its codes are normal distributions; ok says whether they are.
func NormalPosteriorOf(m Model) (v Variational, ok bool) {
	v, ok = m.(Variational)
	return v, ok && v.PosteriorNormal()
}
