package model

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// VAE is a variational autoencoder (Kingma & Welling 2014): a normal posterior with a mean and a variance for each value of the code, a
// prior, and a likelihood of the pixels. Its loss is −bound, in nats for each image, plus the penalty if there is one; train.loss is not
// used.
type VAE struct {
	Network `yaml:",inline"`

	// Classes makes a conditional VAE (Sohn et al. 2015): it is the number of labels. Encoder and decoder also get the image's label, and
	// the likelihood is that of an image given its label. 0 is unconditional.
	Classes int `yaml:"classes" min:"0" max:"256"`

	// Likelihood is the distribution of a pixel given the code: bernoulli, black or white; gaussian; or logistic, over the 256 values of a
	// byte, for 8-bit pictures with data.scale range.
	Likelihood string `yaml:"likelihood" enum:"bernoulli,gaussian,logistic"`

	// Binarise turns grey pixels into black and white for likelihood bernoulli, with the pixel in [0, 1] as the probability of white:
	// dynamic draws again for each batch; static draws once for each image; none leaves them grey, and the loss is then not a likelihood.
	// Held-out images are drawn once. Other likelihoods use pixels as they are.
	Binarise string `yaml:"binarise" enum:"dynamic,static,none"`

	// Deviation is the standard deviation of likelihood gaussian or logistic, for pixels in [-1, 1], or its initial value if it is learned.
	Deviation float64 `yaml:"deviation" above:"0" max:"100" strength:"yes"`

	// Spread says how the standard deviation is found: fixed, it is deviation; shared, one for all pixels is learned (Rybkin et al. 2021);
	// pixel, the decoder outputs one for each pixel. A learned deviation stays above 1/255, half of a step between bytes: otherwise it
	// would shrink without bound on pixels that never change, such as the black border of digits (Mattei & Frellsen 2018).
	Spread string `yaml:"spread" enum:"fixed,shared,pixel"`

	// Beta is the weight of the KL divergence in bound elbo (Higgins et al. 2017). 1 is the evidence bound, since both terms are sums, over
	// pixels and over code values.
	Beta float64 `yaml:"beta" min:"0" max:"1000000" strength:"yes"`

	// BetaWarmup is the number of epochs over which beta rises linearly from zero; it may be fractional.
	BetaWarmup float64 `yaml:"beta_warmup" min:"0" strength:"yes"`

	// FreeBits is the KL divergence, in nats, that each value of the code may have on the average over a batch before it counts in bound
	// elbo (Kingma et al. 2016, appendix C.8), so that values are not switched off early.
	FreeBits float64 `yaml:"free_bits" min:"0" max:"1000"`

	// Bound is the objective to maximise: elbo, the evidence bound, with the divergence in closed form if there is one; iwae, the tighter
	// bound with importance weights (Burda et al. 2016); miwae, the mean of the bounds of groups of codes; ciwae, a mixture of elbo and
	// iwae; or piwae, miwae for the encoder and iwae for the decoder (Rainforth et al. 2018).
	Bound string `yaml:"bound" enum:"elbo,iwae,miwae,ciwae,piwae"`

	// Samples is the number of codes drawn for each image: elbo averages their reconstructions; the bound of iwae rises with it. The
	// decoder's time grows with it.
	Samples int `yaml:"samples" min:"1" max:"10000"`

	// Groups is the number of groups into which miwae and piwae split the samples, the paper's M; it must divide samples, M K.
	Groups int `yaml:"groups" min:"1" max:"10000"`

	// Mix is the weight of elbo in ciwae, the paper's β.
	Mix float64 `yaml:"mix" min:"0" max:"1" strength:"yes"`

	// Levels makes the VAE hierarchical: it lists the sizes of the code's levels, from the lowest to the top, which must add up to latent.
	// The prior of a level depends on the levels above it (Sønderby et al. 2016). Empty for one level.
	Levels []int `yaml:"levels,flow" min:"1" max:"65536" maxitems:"16"`

	// Posterior transforms the normal samples of a code: diagonal leaves them as they are; planar and iaf are flows, which make other
	// distributions of them.
	Flow CodeFlow `yaml:"posterior" kind:"kind"`

	// Prior is the distribution of codes that the model assumes: normal; mixture; or vamp.
	Prior CodePrior `yaml:"prior" kind:"kind"`

	// Penalty is a term added to bound elbo: none; tc; dip; mmd; or adversarial.
	Penalty CodePenalty `yaml:"penalty" kind:"kind"`
}

// grouped says that the bound is one of groups of samples.
func (v *VAE) grouped() bool { return v.Bound == "miwae" || v.Bound == "piwae" }

// Check reports keys that contradict each other.
func (v *VAE) Check(report func(key, problem string)) {
	v.Network.Check(report)
	if v.Bound != "elbo" && v.Bound != "" {
		if v.Beta != 1 {
			report("beta", fmt.Sprintf("bound %s does not use it; set it to 1, or set model.bound: elbo", v.Bound))
		}
		if v.BetaWarmup > 0 {
			report("beta_warmup", fmt.Sprintf("bound %s has no beta to warm up; set it to 0, or set model.bound: elbo", v.Bound))
		}
		if _, none := v.penalty().(*NoPenalty); !none {
			report("penalty", fmt.Sprintf("a penalty can only be added to bound elbo, and bound is %s; leave it out, or set bound: elbo", v.Bound))
		}
	}
	v.checkPenalty(report)
	if v.Bound != "ciwae" && v.Mix != defaultMix && v.Mix != 0 {
		report("mix", fmt.Sprintf("applies only to bound ciwae, and bound is %s; leave it out", v.Bound))
	}
	switch {
	case v.grouped() && v.Groups > 0 && v.Samples%v.Groups != 0:
		report("groups", fmt.Sprintf("%d samples cannot be split into %d groups; choose a divisor of samples", v.Samples, v.Groups))
	case !v.grouped() && v.Groups > 1:
		report("groups", fmt.Sprintf("bound %s has no groups; leave it out, or set bound: miwae or piwae", v.Bound))
	}
	v.checkLevels(report)
	if v.FreeBits > 0 && v.Bound != "elbo" && v.Bound != "" {
		report("free_bits", fmt.Sprintf("bound %s has no separate divergence term; leave it out, or set bound: elbo", v.Bound))
	} else if v.FreeBits > 0 && !v.divided() {
		report("free_bits", "apply to each value of the code, but this prior or posterior only has a divergence of the whole code; leave it out")
	}
	if v.Likelihood == "bernoulli" && v.Spread != "fixed" && v.Spread != "" {
		report("spread", "likelihood bernoulli has no standard deviation; leave it out, or set likelihood: gaussian or logistic")
	}
	if _, vamp := v.prior().(*VampPrior); vamp {
		if v.Classes > 0 {
			report("prior", "the images that vamp learns have no labels; set prior: {kind: mixture}, or leave classes out")
		}
		if v.Network.AcrossBatch() != "" {
			report("prior", "the images that vamp learns are not a batch to normalise over; set norm: layer or none in backbone")
		}
		if _, plain := v.flow().(*NoFlow); !plain {
			report("prior", "vamp is a mixture of normal posteriors; leave posterior out, or set prior: {kind: mixture}")
		}
		if v.Bound == "piwae" {
			report("prior", "vamp depends on the encoder, and one of piwae's bounds must not; set prior: {kind: mixture}, or another bound")
		}
	}
}

// defaultMix is that of Rainforth et al. 2018 as pythae has it.
const defaultMix = 0.05

// checkPenalty reports a penalty that rests on a normal posterior or prior which is none.
func (v *VAE) checkPenalty(report func(key, problem string)) {
	switch v.penalty().(type) {
	case *TotalCorrelation, *DIP:
		if !v.PosteriorNormal() {
			report("penalty", "it needs normal posteriors, which posterior or levels replace; leave one of the two out, or set penalty: {kind: adversarial}")
		}
	case *Discrepancy:
		if !v.PriorNormal() {
			report("penalty", "mmd compares with the standard normal distribution, but the prior is not that; leave one of the two out")
		}
	}
}

// PosteriorNormal says that the code of an image is the normal distribution that Posterior tells, and not what a flow or levels make of it.
func (v *VAE) PosteriorNormal() bool {
	_, plain := v.flow().(*NoFlow)
	return plain && !v.hierarchical()
}

// prior, penalty and flow are the parts; without one it is the first of its table.
func (v *VAE) prior() CodePrior {
	if v.Prior == nil {
		return &NormalPrior{}
	}
	return v.Prior
}

func (v *VAE) penalty() CodePenalty {
	if v.Penalty == nil {
		return &NoPenalty{}
	}
	return v.Penalty
}

func (v *VAE) flow() CodeFlow {
	if v.Flow == nil {
		return &NoFlow{}
	}
	return v.Flow
}

// closed says that the divergence from the prior has a closed form.
func (v *VAE) closed() bool { return v.PriorNormal() && v.PosteriorNormal() }

// divided says that each value of the code has a divergence from the prior of its own, in closed form.
func (v *VAE) divided() bool { return v.closed() || v.hierarchical() }

// Numbers returns beta, its warm-up, the deviation, ciwae's mix and the penalty's weights.
func (v *VAE) Numbers() []float32 {
	own := []float32{float32(v.Beta), float32(v.BetaWarmup), float32(v.Deviation), float32(v.Mix)}
	return append(own, v.penalty().numbers()...)
}

// Places of the numbers.
const (
	numberBeta = iota
	numberBetaWarmup
	numberDeviation
	numberMix
	numberPenalty // and after it
)

// Names of the layers that end the encoder.
const (
	meanLayer        = "encoder.mean"
	logVarianceLayer = "encoder.log_variance"
)

// spreadParam is what is added to the logarithm of the variance of all pixels, where that is learned: [1].
const spreadParam = "decoder.log_variance"

// outputs is how many values the decoder gives for each of the image's.
func (v *VAE) outputs() int {
	if v.Spread == "pixel" {
		return 2
	}
	return 1
}

// Layers lists the layers for images of this size.
func (v *VAE) Layers(image Image) []Layer {
	layers := v.layers(image, v.Classes, v.outputs(), meanLayer, logVarianceLayer)
	if v.Spread == "shared" {
		layers = append(layers, Layer{Name: "spread", Description: "deviation of all pixels", Params: []Param{
			{Name: spreadParam, Dims: []int{1}}}})
	}
	size := v.CodeSize(image)
	layers = append(layers, v.flow().layers(size)...)
	layers = append(layers, v.prior().layers(v, image)...)
	layers = append(layers, v.ladderLayers()...)
	return append(layers, v.penalty().layers(size)...)
}

// Start puts the mean of the training images into the bias of the last layer, so that training need not begin with learning it.
func (v *VAE) Start(image Image, mean []float32) map[string][]float32 {
	logit := func(mean float64) float64 {
		if v.Likelihood != "bernoulli" {
			return mean
		}
		// Pixels that are never white would start, and stay, at −∞; cut as in the code of Burda et al. 2016.
		p := min(max((mean+1)/2, 0.001), 0.999)
		return math.Log(p / (1 - p))
	}
	start := startAt(v.decoder(image, v.Classes, v.outputs()), image, v.outputs(), mean, logit)
	if _, vamp := v.prior().(*VampPrior); vamp {
		start[vampCentre] = mean
	}
	return start
}

// OutputActivation is what turns the last layer into pixels: sigmoid for bernoulli's probabilities, linear for gaussian's means, and clip for
// logistic's, which may lie beyond the ends where all pixels are at one.
func (v *VAE) OutputActivation() string {
	switch v.Likelihood {
	case "bernoulli":
		return "sigmoid"
	case "logistic":
		return "clip"
	}
	return "linear"
}

// Apply encodes x to the mean of its posterior, or where that goes through the flow or down the levels, and decodes that. x: [batch, height, width, channels].
func (v *VAE) Apply(p *Pass, x *Node) Output {
	z := v.mode(p, x)
	logits := Reshape(v.means(v.raw(p, z, imageOf(x)), imageOf(x)), x.Shape().Dimensions...)
	return Output{Latent: z, Logits: logits, Image: ToPixels(v.OutputActivation(), logits)}
}

// mode is the code that is drawn where all noise is 0: [batch, latent].
func (v *VAE) mode(p *Pass, x *Node) *Node {
	mean, logVariance := v.Posterior(p, x)
	return Squeeze(v.sample(p, mean, logVariance, ZerosLike(ExpandAxes(mean, 1))).z, 1)
}

// Posterior returns the mean and the log variance of q(z | x), before the flow; of a code in levels, what the encoder says of them: [batch, latent] each.
func (v *VAE) Posterior(p *Pass, x *Node) (mean, logVariance *Node) {
	ends := v.encode(p, x, v.labels(p, x.DType()), meanLayer, logVarianceLayer)
	return ends[0], ends[1]
}

// Conditions returns Classes.
func (v *VAE) Conditions() int { return v.Classes }

// labels are the images' classes, each as a 1 among zeros: [images, classes]; nil where the model is given none.
func (v *VAE) labels(p *Pass, dtype dtypes.DType) *Node {
	if v.Classes == 0 {
		return nil
	}
	return OneHot(ConvertDType(p.Labels, dtypes.Int32), v.Classes, dtype)
}

// raw is what the decoder gives: [batch · n, latent] → [batch · n, values · outputs], n codes for each image, one after another.
func (v *VAE) raw(p *Pass, z *Node, image Image) *Node {
	return v.decode(p, z, v.labels(p, z.DType()), image, v.outputs())
}

// means are those of what the decoder gives without the deviations: [n, values · outputs] → [n, values].
func (v *VAE) means(raw *Node, image Image) *Node {
	if v.outputs() == 1 {
		return raw
	}
	return v.half(raw, image, 0)
}

// half is one of the two values of each of the image's, the first of which are means and the second deviations.
func (v *VAE) half(raw *Node, image Image, which int) *Node {
	n := raw.Shape().Dim(0)
	split := Reshape(raw, n, image.Height*image.Width, 2, image.Channels)
	return Reshape(SliceAxis(split, 2, AxisElem(which)), n, image.Size())
}

// Decode returns the logits, or the means, of the flattened image: [batch, latent] → [batch, values].
func (v *VAE) Decode(p *Pass, z *Node) *Node { return v.means(v.raw(p, z, p.Image), p.Image) }

// PriorSize returns the size of the code, and of one value more that chooses a component of the prior.
func (v *VAE) PriorSize(image Image) int {
	if _, normal := v.prior().(*NormalPrior); normal {
		return v.CodeSize(image)
	}
	return 1 + v.CodeSize(image)
}

// PriorNormal says that the prior is the standard normal distribution.
func (v *VAE) PriorNormal() bool {
	_, normal := v.prior().(*NormalPrior)
	return normal && !v.hierarchical()
}

// PriorCodes makes codes of standard normal draws.
func (v *VAE) PriorCodes(p *Pass, noise *Node) *Node {
	if v.hierarchical() {
		z, _, _ := v.descend(p, noise, func(_, _ int, mean, logVariance *Node) (m, l *Node) { return mean, logVariance })
		return z
	}
	mean, logVariance := v.prior().components(v, p, p.Image)
	if mean == nil {
		return noise
	}
	return drawComponent(noise, mean, logVariance)
}

// Objective is −bound of each image, in nats, the sum over pixels and over the dimensions of the code:
//
//	elbo   −1/k Σ log p(x | zᵢ) + β KL(q(z | x) ‖ p(z))          (Kingma & Welling 2014, equation 7)
//	iwae   −log 1/k Σ p(x, zᵢ) / q(zᵢ | x)                       (Burda et al. 2016, equation 8)
//	miwae  the mean of iwae over groups of samples               (Rainforth et al. 2018, section 4)
//	ciwae  β elbo + (1 − β) iwae, with the mix as β
//	piwae  iwae, of which the encoder learns nothing, and miwae, of which the decoder learns nothing
//
// with k draws zᵢ from q(z | x). Without a closed form, the divergence is the mean of log q(zᵢ | x) − log p(zᵢ). With damaged images q is
// given those, black and white by the same draw as the clean ones.
func (v *VAE) Objective(p *Pass, clean, damaged *Node) (Output, []Term) {
	key := p.Draw()
	x, seen := v.observe(p, key, clean), StopGradient(v.observe(p, key, damaged))
	noise := p.Draw().Normal(x.Shape().Dim(0), v.Samples, v.CodeSize(imageOf(x)))
	return v.Apply(p, seen), v.terms(p, x, seen, noise)
}

// terms returns the parts of the objective for standard normal noise: [batch, samples, latent].
func (v *VAE) terms(p *Pass, x, seen, noise *Node) []Term {
	mean, logVariance := v.Posterior(p, seen)
	weigh := func(p *Pass, mean, logVariance *Node) *Node {
		return v.logWeights(p, x, v.sample(p, mean, logVariance, noise))
	}
	iwae := func(weights *Node) *Node { return Neg(logMeanExp(weights)) }
	miwae := func(weights *Node) *Node {
		batch := weights.Shape().Dim(0)
		return ReduceMean(iwae(Reshape(weights, batch, v.Groups, -1)), 1)
	}
	switch v.Bound {
	case "iwae":
		return []Term{{Name: "iwae", Value: iwae(weigh(p, mean, logVariance))}}
	case "miwae":
		return []Term{{Name: "miwae", Value: miwae(weigh(p, mean, logVariance))}}
	case "ciwae":
		weights, mix := weigh(p, mean, logVariance), p.Numbers[numberMix]
		return []Term{{Name: "elbo", Value: Neg(ReduceMean(weights, 1)), Weight: mix}, {Name: "iwae", Value: iwae(weights), Weight: OneMinus(mix)}}
	case "piwae":
		held, generating := p.held(v.generative(imageOf(x))), p.held(layerParams(v.flow().layers(noise.Shape().Dim(2))))
		return []Term{
			{Name: "iwae", Value: iwae(weigh(generating, StopGradient(mean), StopGradient(logVariance)))},
			{Name: "miwae", Value: miwae(weigh(held, mean, logVariance))},
		}
	}
	drawn := v.sample(p, mean, logVariance, noise)
	terms := []Term{
		{Name: reconstruction, Value: ReduceMean(v.cost(p, x, drawn.z), 1)},
		{Name: "kl", Value: v.freed(p, v.divergence(p, drawn, imageOf(x))), Weight: v.beta(p)},
	}
	first := Squeeze(SliceAxis(drawn.z, 1, AxisRange(0, 1)), 1)
	return append(terms, v.penalty().terms(p, posterior{mean, logVariance, first, p.counts(mean)}, p.Numbers[numberPenalty:])...)
}

// generative lists the parameters of decoder and prior.
func (v *VAE) generative(image Image) []string {
	layers := append(layersOf(v.decoder(image, v.Classes, v.outputs())), v.prior().layers(v, image)...)
	layers = append(layers, v.ladderLayers()...)
	names := layerParams(layers)
	if v.Spread == "shared" {
		names = append(names, spreadParam)
	}
	return names
}

// divergence is KL(q(z | x) ‖ p(z)) of each value of the code, [batch, latent], or where it is not divided an estimate of the whole by the
// draws, [batch, 1].
func (v *VAE) divergence(p *Pass, s sample, image Image) *Node {
	switch {
	case v.hierarchical():
		return ReduceMean(between(s.posterior[0], s.posterior[1], s.prior[0], s.prior[1]), 1)
	case v.closed():
		return divergence(s.mean, s.logVariance)
	}
	return ReduceAndKeep(Sub(s.logDensity(), v.logPrior(p, s.z, image)), ReduceMean, 1)
}

// freed adds up the divergence of each value, [batch, latent], as far as it is not free: [batch].
func (v *VAE) freed(p *Pass, each *Node) *Node {
	if v.FreeBits == 0 {
		return ReduceSum(each, 1)
	}
	counts := p.counts(each)
	mean := Div(ReduceSum(Mul(each, ExpandAxes(counts, 1)), 0), ReduceAllSum(counts)) // [latent]
	return BroadcastToDims(ReduceAllSum(MaxScalar(mean, v.FreeBits)), each.Shape().Dim(0))
}

// sample is draws from q(z | x).
type sample struct {
	mean, logVariance *Node // of the normal distribution before the flow: [batch, latent]
	noise             *Node // [batch, draws, latent]
	z                 *Node // [batch, draws, latent]
	stretch           *Node // log |∂z/∂z₀| of the flow: [batch, draws]; nil without one
	// Of a code in levels, mean and log variance of its posterior and its prior, as the levels above were drawn: [batch, draws, latent].
	posterior, prior [2]*Node
}

// sample draws by noise: [batch, draws, latent].
func (v *VAE) sample(p *Pass, mean, logVariance, noise *Node) sample {
	if v.hierarchical() {
		return v.sampleLevels(p, mean, logVariance, noise)
	}
	s := sample{mean: mean, logVariance: logVariance, noise: noise, z: reparameterise(mean, logVariance, noise)}
	if _, plain := v.flow().(*NoFlow); !plain {
		dims := s.z.Shape().Dimensions
		z, stretch := v.flow().apply(p, Reshape(s.z, -1, dims[2]))
		s.z, s.stretch = Reshape(z, dims...), Reshape(stretch, dims[0], dims[1])
	}
	return s
}

// logDensity is log q(z | x): [batch, draws].
func (s sample) logDensity() *Node {
	log := MulScalar(ReduceSum(AddScalar(Add(Square(s.noise), ExpandAxes(s.logVariance, 1)), math.Log(2*math.Pi)), 2), -0.5)
	if s.stretch != nil {
		log = Sub(log, s.stretch)
	}
	return log
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
	case v.Likelihood == "logistic":
		return "byte"
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

// leastDeviation is that of a learned one.
const leastDeviation = 1.0 / 255

// cost returns −log p(x | z), the sum over pixels. x: [batch, height, width, channels], pixels in [-1, 1]; z: [batch, draws,
// latent]; returns [batch, draws].
func (v *VAE) cost(p *Pass, x, z *Node) *Node {
	image, batch, draws := imageOf(x), z.Shape().Dim(0), z.Shape().Dim(1)
	raw := v.raw(p, Reshape(z, batch*draws, -1), image)
	mean := Reshape(v.means(raw, image), batch, draws, -1)
	x = Reshape(x, batch, 1, -1)
	if v.Likelihood == "bernoulli" {
		// Σ softplus(ℓ) − t ℓ (Kingma & Welling 2014, appendix C.1).
		return ReduceSum(crossEntropy(MulScalar(OnePlus(x), 0.5), mean), 2)
	}
	logVariance := MulScalar(Log(p.Numbers[numberDeviation]), 2)
	// A learned one is smoothly kept above the least.
	learned := func(x *Node) *Node {
		least := 2 * math.Log(leastDeviation)
		return AddScalar(softplus(AddScalar(x, -least)), least)
	}
	switch v.Spread {
	case "shared":
		logVariance = learned(Add(Reshape(p.Weights[spreadParam]), logVariance))
	case "pixel":
		logVariance = learned(Add(Reshape(v.half(raw, image, 1), batch, draws, -1), logVariance))
	}
	if v.Likelihood == "logistic" {
		return ReduceSum(logisticCost(x, mean, logVariance), 2)
	}
	return ReduceSum(normalCost(x, mean, logVariance), 2)
}

// logWeights returns log p(x | z) + log p(z) − log q(z | x) of draws: [batch, draws].
func (v *VAE) logWeights(p *Pass, x *Node, s sample) *Node {
	if v.hierarchical() {
		log := func(of [2]*Node) *Node { return Neg(ReduceSum(normalCost(s.z, of[0], of[1]), 2)) }
		return Sub(Sub(log(s.prior), log(s.posterior)), v.cost(p, x, s.z))
	}
	if v.closed() {
		// log p(z) − log q(z | x) is ½ Σ (ε² + log σ² − z²): the constants of the two cancel.
		ratio := MulScalar(ReduceSum(Sub(Add(Square(s.noise), ExpandAxes(s.logVariance, 1)), Square(s.z)), 2), 0.5)
		return Sub(ratio, v.cost(p, x, s.z))
	}
	return Sub(Sub(v.logPrior(p, s.z, imageOf(x)), s.logDensity()), v.cost(p, x, s.z))
}

// Evidence returns the parts of the evidence bound, with β = 1. Without a closed form, the divergence is one number for the whole code.
func (v *VAE) Evidence(p *Pass, x *Node) Evidence {
	mean, logVariance := v.Posterior(p, x)
	s := v.sample(p, mean, logVariance, p.Draw().Normal(x.Shape().Dim(0), 1, v.CodeSize(imageOf(x))))
	return Evidence{Mean: v.mode(p, x), Cost: Squeeze(v.cost(p, x, s.z), 1), Divergence: v.divergence(p, s, imageOf(x))}
}

// LogWeights returns the log of the importance weights of draws from the posterior.
func (v *VAE) LogWeights(p *Pass, x *Node, draws int) *Node {
	mean, logVariance := v.Posterior(p, x)
	return v.logWeights(p, x, v.sample(p, mean, logVariance, p.Draw().Normal(x.Shape().Dim(0), draws, v.CodeSize(imageOf(x)))))
}

// AcrossBatch names the key by which the model looks across a batch; see [Collective].
func (v *VAE) AcrossBatch() string {
	if _, none := v.penalty().(*NoPenalty); !none {
		return "penalty"
	}
	if v.FreeBits > 0 {
		return "free_bits"
	}
	return v.Network.AcrossBatch()
}
