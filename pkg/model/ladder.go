package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// A VAE with levels is hierarchical: its code is in parts, from the lowest, which the image is next to, to the top. The prior of the top is
// the standard normal distribution, and that of each other level is what a network makes of the levels above. The posterior of a level
// weighs what the encoder says of it and that prior by their precisions (Sønderby et al. 2016, "Ladder variational autoencoders",
// equations 10 to 13):
//
//	σ² = 1 / (σ̂⁻² + σₚ⁻²),   μ = (μ̂ σ̂⁻² + μₚ σₚ⁻²) σ²
//
// The decoder is given all levels.

// hierarchical says that the code is in levels.
func (v *VAE) hierarchical() bool { return len(v.Levels) > 1 }

// checkLevels reports levels that do not fit the rest.
func (v *VAE) checkLevels(report func(key, problem string)) {
	if len(v.Levels) < 2 {
		return
	}
	sum := 0
	for _, n := range v.Levels {
		sum += n
	}
	_, normal := v.prior().(*NormalPrior)
	_, plain := v.flow().(*NoFlow)
	switch {
	case v.Code == "map":
		report("levels", "split one code for the whole image, but code is map; set code: vector, or leave it out")
	case sum != v.Latent:
		report("levels", fmt.Sprintf("add up to %d values, but the code has %d; set latent: %d", sum, v.Latent, sum))
	case !normal:
		report("levels", "define the prior below the top level; leave prior out, or leave levels out")
	case !plain:
		report("levels", "define their own posteriors; leave posterior out, or leave levels out")
	}
}

// ladderLayers lists the networks that give each level's prior, the top's excepted: a hidden layer as wide as four times the level, and
// mean and log variance.
func (v *VAE) ladderLayers() []Layer {
	var layers []Layer
	for level := range v.Levels[:max(0, len(v.Levels)-1)] {
		hidden, ends := v.ladder(level)
		layers = append(layers, hidden.Layer())
		for _, end := range ends {
			layers = append(layers, end.Layer())
		}
	}
	return layers
}

func (v *VAE) ladder(level int) (hidden DenseLayer, ends [2]DenseLayer) {
	above := 0
	for _, n := range v.Levels[level+1:] {
		above += n
	}
	name, wide := fmt.Sprintf("prior.level_%d", level+1), 4*max(v.Levels[level], above)
	hidden = DenseLayer{name + ".hidden", above, wide, v.Activation, v.Init}
	for i, end := range []string{".mean", ".log_variance"} {
		ends[i] = DenseLayer{name + end, wide, v.Levels[level], "linear", v.Init}
	}
	return hidden, ends
}

// descend goes through the levels from the top. said returns for a level the mean and log variance of its posterior, given those of its
// prior, nil of the standard normal distribution; noise: [n, latent]. It returns the code and, of each value, mean and log variance of
// posterior and prior: [n, latent] each.
func (v *VAE) descend(p *Pass, noise *Node, said func(from, to int, mean, logVariance *Node) (m, l *Node)) (z *Node, posterior, prior [2]*Node) {
	parts := make([][5]*Node, len(v.Levels)) // z, posterior, prior
	to := v.Latent
	var above *Node
	for level := len(v.Levels) - 1; level >= 0; level-- {
		from := to - v.Levels[level]
		draw := SliceAxis(noise, 1, AxisRange(from, to))
		mean, logVariance := ZerosLike(draw), ZerosLike(draw)
		if above != nil {
			hidden, ends := v.ladder(level)
			h := hidden.Apply(p, p.narrow(above))
			mean, logVariance = ConvertDType(ends[0].Apply(p, h), draw.DType()), ConvertDType(ends[1].Apply(p, h), draw.DType())
		}
		m, l := said(from, to, mean, logVariance)
		part := Add(m, Mul(Exp(MulScalar(l, 0.5)), draw))
		parts[level] = [5]*Node{part, m, l, mean, logVariance}
		if above == nil {
			above = part
		} else {
			above = Concatenate([]*Node{part, above}, 1)
		}
		to = from
	}
	var joined [5]*Node
	for i := range joined {
		var list []*Node
		for _, part := range parts {
			list = append(list, part[i])
		}
		joined[i] = Concatenate(list, 1)
	}
	return joined[0], [2]*Node{joined[1], joined[2]}, [2]*Node{joined[3], joined[4]}
}

// weighed is the posterior of levels of which the encoder says mean and logVariance, [n, latent]; see [VAE.descend].
func weighed(mean, logVariance *Node) func(from, to int, priorMean, priorLogVariance *Node) (m, l *Node) {
	return func(from, to int, priorMean, priorLogVariance *Node) (m, l *Node) {
		own, prior := Exp(Neg(SliceAxis(logVariance, 1, AxisRange(from, to)))), Exp(Neg(priorLogVariance))
		precision := Add(own, prior)
		m = Div(Add(Mul(SliceAxis(mean, 1, AxisRange(from, to)), own), Mul(priorMean, prior)), precision)
		return m, Neg(Log(precision))
	}
}

// sampleLevels draws a code in levels: see [VAE.sample].
func (v *VAE) sampleLevels(p *Pass, mean, logVariance, noise *Node) sample {
	dims := noise.Shape().Dimensions
	spread := func(x *Node) *Node {
		return Reshape(BroadcastToDims(ExpandAxes(x, 1), dims...), -1, dims[2])
	}
	z, posterior, prior := v.descend(p, Reshape(noise, -1, dims[2]), weighed(spread(mean), spread(logVariance)))
	s := sample{mean: mean, logVariance: logVariance, noise: noise, z: Reshape(z, dims...)}
	for i := range 2 {
		s.posterior[i], s.prior[i] = Reshape(posterior[i], dims...), Reshape(prior[i], dims...)
	}
	return s
}

// between returns KL(N(μ, σ²) ‖ N(m, s²)) of each value, in nats.
func between(mean, logVariance, priorMean, priorLogVariance *Node) *Node {
	squared := Div(Add(Exp(logVariance), Square(Sub(mean, priorMean))), Exp(priorLogVariance))
	return MulScalar(AddScalar(Add(squared, Sub(priorLogVariance, logVariance)), -1), 0.5)
}
