package model

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// VAE is a variational autoencoder with dense layers (Kingma & Welling 2014): a normal prior, a normal posterior with a mean
// and a variance for each dimension, and a likelihood of the pixels. Its loss is −bound, in nats for each image, and
// train.loss is not used.
type VAE struct {
	MLP `yaml:",inline"`

	// Classes makes a conditional VAE (Sohn et al. 2015): encoder and decoder are given the image's label, one of so many, and
	// the likelihood is that of an image given its label. 0 is none.
	Classes int `yaml:"classes" min:"0" max:"256"`

	// Likelihood is that of a pixel, given the code: bernoulli, black or white; or gaussian, of a fixed deviation.
	Likelihood string `yaml:"likelihood" enum:"bernoulli,gaussian"`

	// Binarise makes black and white of grey pixels for likelihood bernoulli, with the pixel in [0, 1] as the probability of
	// white: dynamic draws for each batch anew; static once for each image; none leaves them grey, and then the loss is no
	// likelihood. Held-out images are drawn once. Likelihood gaussian takes pixels as they are.
	Binarise string `yaml:"binarise" enum:"dynamic,static,none"`

	// Deviation is the standard deviation of likelihood gaussian, of pixels in [-1, 1]. It is fixed: a learned one shrinks
	// without bound on pixels that never change, such as the black border of digits (Mattei & Frellsen 2018).
	Deviation float64 `yaml:"deviation" above:"0" max:"100" strength:"yes"`

	// Beta weighs the divergence of bound elbo (Higgins et al. 2017); 1 is the evidence bound, for pixels and dimensions
	// are summed.
	Beta float64 `yaml:"beta" min:"0" max:"1000000" strength:"yes"`

	// BetaWarmup lets beta rise linearly from zero over so many epochs; parts of an epoch count.
	BetaWarmup float64 `yaml:"beta_warmup" min:"0" strength:"yes"`

	// Bound is what is maximised: elbo, the evidence bound, with the divergence in closed form; or iwae, the tighter bound by
	// importance weights (Burda et al. 2016).
	Bound string `yaml:"bound" enum:"elbo,iwae"`

	// Samples is the number of codes that are drawn for each image: elbo takes the mean of their reconstructions, iwae's bound
	// rises with it. The decoder's time grows with it.
	Samples int `yaml:"samples" min:"1" max:"10000"`
}

// Check reports a weight on the divergence of the importance-weighted bound: it has none.
func (v *VAE) Check(report func(key, problem string)) {
	if v.Bound == "iwae" && v.Beta != 1 {
		report("beta", "bound iwae has none; write 1, or model.bound: elbo")
	}
	if v.Bound == "iwae" && v.BetaWarmup > 0 {
		report("beta_warmup", "bound iwae has no beta to warm up; write 0, or model.bound: elbo")
	}
}

// Numbers returns beta, its warm-up and the deviation.
func (v *VAE) Numbers() []float32 {
	return []float32{float32(v.Beta), float32(v.BetaWarmup), float32(v.Deviation)}
}

// Places of the numbers.
const (
	numberBeta = iota
	numberBetaWarmup
	numberDeviation
)

// Names of the layers that end the encoder.
const (
	meanLayer        = "encoder.mean"
	logVarianceLayer = "encoder.log_variance"
)

// Layers lists the layers for images of this size.
func (v *VAE) Layers(image Image) []Layer {
	return v.layers(image.Size(), v.Classes, meanLayer, logVarianceLayer)
}

// Start puts the mean of the training images into the bias of the last layer, so that training need not begin with learning it.
func (v *VAE) Start(mean []float32) map[string][]float32 {
	bias := make([]float32, len(mean))
	for i, pixel := range mean {
		bias[i] = pixel
		if v.Likelihood == "bernoulli" {
			// Pixels that are never white would start, and stay, at −∞; cut as in the code of Burda et al. 2016.
			p := min(max((float64(pixel)+1)/2, 0.001), 0.999)
			bias[i] = float32(math.Log(p / (1 - p)))
		}
	}
	return map[string][]float32{pixelLayer + ".bias": bias}
}

// OutputActivation is what turns the last layer into pixels: sigmoid for bernoulli's probabilities, linear for gaussian's means.
func (v *VAE) OutputActivation() string {
	if v.Likelihood == "bernoulli" {
		return "sigmoid"
	}
	return "linear"
}

// Apply encodes x to the mean of its posterior, and decodes that. x: [batch, height, width, channels].
func (v *VAE) Apply(p *Pass, x *Node) Output {
	mean, _ := v.Posterior(p, x)
	logits := Reshape(v.Decode(p, mean), x.Shape().Dimensions...)
	return Output{Latent: mean, Logits: logits, Image: ToPixels(v.OutputActivation(), logits)}
}

// Posterior returns the mean and the log variance of q(z | x): [batch, latent] each.
func (v *VAE) Posterior(p *Pass, x *Node) (mean, logVariance *Node) {
	ends := v.encode(p, v.beside(p, flat(x)), meanLayer, logVarianceLayer)
	return ends[0], ends[1]
}

// Conditions returns Classes.
func (v *VAE) Conditions() int { return v.Classes }

// Decode returns the logits, or for gaussian the means, of the flattened image: [batch, latent] → [batch, values].
func (v *VAE) Decode(p *Pass, z *Node) *Node { return v.MLP.Decode(p, v.beside(p, z)) }

// beside puts the label beside rows of values, as a 1 among zeros: [batch · n, values] → [batch · n, values + classes], n rows for
// each image, one after another.
func (v *VAE) beside(p *Pass, x *Node) *Node {
	if v.Classes == 0 {
		return x
	}
	label := OneHot(ConvertDType(p.Labels, dtypes.Int32), v.Classes, x.DType()) // [batch, classes]
	batch, rows := label.Shape().Dim(0), x.Shape().Dim(0)
	label = BroadcastToDims(ExpandAxes(label, 1), batch, rows/batch, v.Classes)
	return Concatenate([]*Node{x, Reshape(label, rows, v.Classes)}, 1)
}

// PriorSize returns the size of the code.
func (v *VAE) PriorSize() int { return v.Latent }

// Objective is −bound of each image, in nats, the sum over pixels and over the dimensions of the code:
//
//	elbo   −1/k Σ log p(x | zᵢ) + β KL(q(z | x) ‖ p(z))          (Kingma & Welling 2014, equation 7)
//	iwae   −log 1/k Σ p(x, zᵢ) / q(zᵢ | x)                       (Burda et al. 2016, equation 8)
//
// with k draws zᵢ from q(z | x). With damaged images q is given those, black and white by the same draw as the clean ones.
func (v *VAE) Objective(p *Pass, clean, damaged *Node) (Output, []Term) {
	key := p.Draw()
	x, seen := v.observe(p, key, clean), v.observe(p, key, damaged)
	noise := p.Draw().Normal(x.Shape().Dim(0), v.Samples, v.Latent)
	return v.Apply(p, seen), v.terms(p, x, seen, noise)
}

// terms returns the parts of the objective for standard normal noise: [batch, samples, latent].
func (v *VAE) terms(p *Pass, x, seen, noise *Node) []Term {
	mean, logVariance := v.Posterior(p, seen)
	if v.Bound == "iwae" {
		return []Term{{Name: "iwae", Value: Neg(logMeanExp(v.logWeights(p, x, mean, logVariance, noise)))}}
	}
	cost := v.cost(p, x, reparameterise(mean, logVariance, noise)) // [batch, samples]
	return []Term{
		{Name: reconstruction, Value: ReduceMean(cost, 1)},
		{Name: "kl", Value: ReduceSum(divergence(mean, logVariance), 1), Weight: v.beta(p)},
	}
}

// beta is the divergence's weight at this time: a scalar.
func (v *VAE) beta(p *Pass) *Node {
	beta, warmup := p.Numbers[numberBeta], p.Numbers[numberBetaWarmup]
	if p.Epoch == nil {
		return beta
	}
	// Without warm-up the first is never less than the second; what is divided by is never 0, even where it is not used.
	part := Where(LessThan(p.Epoch, warmup), Div(p.Epoch, MaxScalar(warmup, 1e-6)), OnesLike(p.Epoch))
	return Mul(beta, part)
}

// Observed names what the likelihood is of.
func (v *VAE) Observed() string {
	switch {
	case v.Likelihood == "gaussian":
		return "grey"
	case v.Binarise == "dynamic":
		return "dyn"
	case v.Binarise == "static":
		return "static"
	}
	return ""
}

// Observe makes black and white of the pixels, where the config says so.
func (v *VAE) Observe(p *Pass, x *Node) *Node { return v.observe(p, p.Draw(), x) }

// staticSeed is that of the one draw of binarise static: the same images for every run.
const staticSeed = 1

// observe makes black and white of the pixels with the draws of a key.
func (v *VAE) observe(p *Pass, key random.Key, x *Node) *Node {
	if v.Likelihood != "bernoulli" || v.Binarise == "none" {
		return x
	}
	if v.Binarise == "static" {
		root := random.NewSeed(staticSeed)
		key = random.KeyFromNode(Const(x.Graph(), root[:])).Rows(p.Places)
	}
	white := LessThan(key.Uniform(x.Shape().Dimensions...), MulScalar(OnePlus(x), 0.5))
	return AddScalar(MulScalar(ConvertDType(white, x.DType()), 2), -1)
}

// cost returns −log p(x | z), the sum over pixels. x: [batch, height, width, channels], pixels in [-1, 1]; z: [batch, draws,
// latent]; returns [batch, draws].
func (v *VAE) cost(p *Pass, x, z *Node) *Node {
	batch, draws := z.Shape().Dim(0), z.Shape().Dim(1)
	logits := Reshape(v.Decode(p, Reshape(z, batch*draws, v.Latent)), batch, draws, -1)
	x = Reshape(x, batch, 1, -1)
	if v.Likelihood == "bernoulli" {
		// Σ softplus(ℓ) − t ℓ (Kingma & Welling 2014, appendix C.1).
		return ReduceSum(crossEntropy(MulScalar(OnePlus(x), 0.5), logits), 2)
	}
	return ReduceSum(normalCost(x, logits, MulScalar(Log(p.Numbers[numberDeviation]), 2)), 2)
}

// logWeights returns log p(x | z) + log p(z) − log q(z | x) at z = μ + σ ε. mean, logVariance: [batch, latent]; noise:
// [batch, draws, latent]; returns [batch, draws].
func (v *VAE) logWeights(p *Pass, x, mean, logVariance, noise *Node) *Node {
	z := reparameterise(mean, logVariance, noise)
	// log p(z) − log q(z | x) is ½ Σ (ε² + log σ² − z²): the constants of the two cancel.
	ratio := MulScalar(ReduceSum(Sub(Add(Square(noise), ExpandAxes(logVariance, 1)), Square(z)), 2), 0.5)
	return Sub(ratio, v.cost(p, x, z))
}

// Evidence returns the parts of the evidence bound, with β = 1.
func (v *VAE) Evidence(p *Pass, x *Node) Evidence {
	mean, logVariance := v.Posterior(p, x)
	z := reparameterise(mean, logVariance, p.Draw().Normal(x.Shape().Dim(0), 1, v.Latent))
	return Evidence{Mean: mean, Cost: Squeeze(v.cost(p, x, z), 1), Divergence: divergence(mean, logVariance)}
}

// LogWeights returns the log of the importance weights of draws from the posterior.
func (v *VAE) LogWeights(p *Pass, x *Node, draws int) *Node {
	mean, logVariance := v.Posterior(p, x)
	return v.logWeights(p, x, mean, logVariance, p.Draw().Normal(x.Shape().Dim(0), draws, v.Latent))
}
