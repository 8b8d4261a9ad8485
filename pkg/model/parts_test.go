package model_test

import (
	"testing"

	"latent/pkg/model"
	"latent/pkg/model/modeltest"
)

// small is a network with few hidden values.
func small(backbone model.Backbone, latent int) model.Network {
	return model.Network{Backbone: backbone, Encoder: []int{12}, Latent: latent, Decoder: []int{12}, Activation: "silu", Init: "pytorch", Code: "vector"}
}

// mapped is small with a code for each place.
func mapped(backbone model.Backbone, latent int) model.Network {
	n := small(backbone, latent)
	n.Code = "map"
	return n
}

func conv() model.Backbone {
	return &model.ConvBackbone{Channels: []int{4, 6}, Kernel: 3, Stride: 2, Decoder: "transposed", Norm: "layer"}
}

func resNet() model.Backbone {
	return &model.ResNet{Channels: []int{4, 6}, Blocks: 1, Kernel: 3, Norm: "layer", Attention: 2}
}

// vae is one with a part or two of its own.
func vae(change func(v *model.VAE)) *model.VAE {
	v := model.Kinds["vae"]().(*model.VAE)
	v.Network, v.Samples = small(&model.DenseBackbone{}, 3), 2
	change(v)
	return v
}

// combined are models of each family with backbones, codes, likelihoods, priors, posteriors, penalties and bounds of all kinds.
func combined() map[string]model.Model {
	coder := func(n model.Network) model.Coder { return model.Coder{Network: n, Output: "tanh"} }
	rae := model.RAE{Coder: coder(small(conv(), 3)), Beta: 0.01, Lambda: 1e-3}
	return map[string]model.Model{
		"ae conv":      &model.AE{Coder: coder(small(conv(), 4)), TopK: 2},
		"ae resnet":    &model.AE{Coder: coder(mapped(resNet(), 2))},
		"aae":          &model.AAE{Coder: coder(small(conv(), 3)), Lambda: 2, Discriminator: []int{8}},
		"rae conv":     &rae,
		"wae resnet":   &model.WAE{Coder: coder(small(resNet(), 3)), Lambda: 10},
		"flow conv":    &model.Flow{RAE: rae, Hidden: []int{8}, Draws: 2, Steps: 2},
		"vqvae map":    &model.VQVAE{Coder: coder(mapped(conv(), 4)), EntrySize: 2, Entries: 5, Stages: 2, Commitment: 0.3, Decay: 0.9},
		"fsq map":      &model.FSQ{Coder: coder(mapped(resNet(), 4)), Levels: []int{4, 3}},
		"vae conv":     vae(func(v *model.VAE) { v.Network = small(conv(), 3) }),
		"vae map":      vae(func(v *model.VAE) { v.Network, v.Likelihood, v.Spread = mapped(resNet(), 2), "gaussian", "pixel" }),
		"vae labels":   vae(func(v *model.VAE) { v.Network, v.Classes = mapped(conv(), 2), 3 }),
		"vae logistic": vae(func(v *model.VAE) { v.Network, v.Likelihood, v.Spread = small(conv(), 2), "logistic", "shared" }),
		"vae vamp":     vae(func(v *model.VAE) { v.Network, v.Prior = small(conv(), 3), &model.VampPrior{Components: 4} }),
		"vae mixture": vae(func(v *model.VAE) {
			v.Prior, v.Flow = &model.MixturePrior{Components: 3}, &model.IAF{Steps: 2, Units: 8}
		}),
		"vae planar":      vae(func(v *model.VAE) { v.Flow, v.Bound = &model.PlanarFlow{Steps: 2}, "iwae" }),
		"vae tc":          vae(func(v *model.VAE) { v.Penalty = &model.TotalCorrelation{Weight: 3} }),
		"vae dip means":   vae(func(v *model.VAE) { v.Penalty = &model.DIP{Of: "mean", Diagonal: 2, OffDiagonal: 3} }),
		"vae dip codes":   vae(func(v *model.VAE) { v.Penalty = &model.DIP{Of: "code", Diagonal: 2, OffDiagonal: 3} }),
		"vae mmd":         vae(func(v *model.VAE) { v.Penalty = &model.Discrepancy{Weight: 3} }),
		"vae adversarial": vae(func(v *model.VAE) { v.Penalty = &model.Adversarial{Weight: 3, Hidden: []int{8}} }),
		"vae levels":      vae(func(v *model.VAE) { v.Levels = []int{2, 1} }),
		"vae levels iwae": vae(func(v *model.VAE) { v.Network, v.Levels, v.Bound = small(conv(), 4), []int{2, 1, 1}, "iwae" }),
		"vae free bits":   vae(func(v *model.VAE) { v.FreeBits = 0.001 }),
		"vae miwae":       vae(func(v *model.VAE) { v.Bound, v.Samples, v.Groups = "miwae", 4, 2 }),
		"vae ciwae":       vae(func(v *model.VAE) { v.Bound, v.Mix = "ciwae", 0.3 }),
		"vae piwae":       vae(func(v *model.VAE) { v.Bound, v.Samples, v.Groups = "piwae", 4, 2 }),
	}
}

// TestCombined holds what is promised of every model, for parts that are combined.
func TestCombined(t *testing.T) {
	for name, m := range combined() {
		t.Run(name, func(t *testing.T) { modeltest.Run(t, m) })
	}
}
