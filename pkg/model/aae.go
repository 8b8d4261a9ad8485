package model

import . "github.com/gomlx/gomlx/core/graph"

// AAE is an adversarial autoencoder (Makhzani et al. 2016): a discriminator learns to tell codes from samples of the standard normal
// distribution, while the encoder learns, in the same step, to make codes that it cannot tell apart. Its loss is a sum over the pixels of
// each image; train.loss is not used.
type AAE struct {
	Coder `yaml:",inline"`

	// Lambda is the weight of the discriminator's term in the loss, −log D(z).
	Lambda float64 `yaml:"lambda" min:"0" max:"1000000" strength:"yes"`

	// Discriminator lists the sizes of the discriminator's hidden layers.
	Discriminator []int `yaml:"discriminator,flow" min:"1" max:"65536" minitems:"1" maxitems:"64"`
}

// Numbers returns lambda.
func (a *AAE) Numbers() []float32 { return []float32{float32(a.Lambda)} }

// PriorSize returns the size of the code.
func (a *AAE) PriorSize(image Image) int { return a.CodeSize(image) }

// PriorNormal says that codes are drawn to the standard normal distribution.
func (*AAE) PriorNormal() bool { return true }

// PriorCodes returns the draws.
func (*AAE) PriorCodes(_ *Pass, noise *Node) *Node { return noise }

// Layers lists the layers for images of this size, the discriminator's after the autoencoder's.
func (a *AAE) Layers(image Image) []Layer {
	return append(a.Coder.Layers(image), discriminator(a.CodeSize(image), a.Discriminator).layers()...)
}

// Objective is ‖x − y‖² − λ log D(z) of each image, of which the discriminator D learns nothing, and its own cross-entropy,
// −log D(z′) − log(1 − D(z)) with a draw z′ from the standard normal distribution, of which the code z learns nothing (Makhzani et al. 2016,
// section 2, with the encoder's loss of Goodfellow et al. 2014 that does not saturate).
func (a *AAE) Objective(p *Pass, clean, damaged *Node) (Output, []Term) {
	out := a.Apply(p, damaged)
	drawn := ConvertDType(p.Draw().Normal(out.Latent.Shape().Dimensions...), clean.DType())
	d := discriminator(out.Latent.Shape().Dim(1), a.Discriminator)
	taken := d.judge(p, out.Latent, true)
	return out, []Term{
		{Name: reconstruction, Value: squaredDistance(clean, out.Image)},
		{Name: "adversarial", Value: crossEntropy(OnesLike(taken), taken), Weight: p.Numbers[0]},
		{Name: "discriminator", Value: d.loss(p, drawn, out.Latent)},
	}
}
