package onnx

import (
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/model"
	"latent/pkg/random"
)

// modelCase is a model in small.
type modelCase struct {
	name  string
	model model.Model
	image model.Image
}

// cases are all kinds of models that can be exported, with all that a config can ask of them.
func cases() []modelCase {
	grey := model.Image{Height: 28, Width: 28, Channels: 1}
	var list []modelCase
	dense := func(name string, change func(m *model.Dense)) {
		m := model.Kinds["dense"]().(*model.Dense)
		m.Encoder, m.Decoder = []int{48, 32, 16}, []int{32, 48}
		change(m)
		list = append(list, modelCase{name, m, grey})
	}
	dense("dense", func(m *model.Dense) {})
	for _, activation := range []string{"leaky_relu", "gelu", "silu", "elu", "tanh", "sigmoid", "linear"} {
		dense("dense "+activation, func(m *model.Dense) { m.Activation, m.LatentActivation = activation, activation })
	}
	dense("dense of one layer", func(m *model.Dense) { m.Encoder, m.Decoder, m.Output = []int{16}, nil, "sigmoid" })
	dense("dense tied", func(m *model.Dense) { m.Tied, m.Output = true, "linear" })
	dense("dense layer norm", func(m *model.Dense) { m.Norm, m.Dropout = "layer", 0.2 })
	dense("dense batch norm", func(m *model.Dense) { m.Norm, m.Tied = "batch", true })
	dense("dense sparse", func(m *model.Dense) { m.LatentActivation, m.Sparsity, m.SparsityWeight = "sigmoid", "kl", 0.1 })
	dense("dense sparse l1", func(m *model.Dense) { m.Sparsity, m.SparsityWeight = "l1", 0.1 })
	dense("dense contractive", func(m *model.Dense) { m.Activation, m.Contraction, m.ContractionWeight = "gelu", true, 0.1 })
	dense("dense of one layer contractive", func(m *model.Dense) {
		m.Encoder, m.Decoder, m.LatentActivation, m.Contraction, m.ContractionWeight = []int{16}, nil, "elu", true, 0.1
	})

	conv := func(name string, image model.Image, change func(m *model.Conv)) {
		m := model.Kinds["conv"]().(*model.Conv)
		m.Channels, m.Latent = []int{6, 8}, 16
		change(m)
		list = append(list, modelCase{name, m, image})
	}
	conv("conv", grey, func(m *model.Conv) {})
	conv("conv in colours", model.Image{Height: 28, Width: 28, Channels: 3}, func(m *model.Conv) { m.Activation = "silu" })
	conv("conv of other sizes", model.Image{Height: 13, Width: 30, Channels: 1}, func(m *model.Conv) { m.Channels, m.Stride = []int{4, 6, 8}, 3 })
	conv("conv small kernel", grey, func(m *model.Conv) { m.Kernel, m.Stride, m.Norm = 2, 3, "layer" })
	conv("conv stride 1", grey, func(m *model.Conv) { m.Kernel, m.Stride, m.Norm, m.Dropout = 3, 1, "batch", 0.1 })
	conv("conv resize", grey, func(m *model.Conv) { m.Decoder, m.Norm = "resize", "batch" })
	conv("conv resize 1×1", grey, func(m *model.Conv) { m.Decoder, m.Kernel, m.Output = "resize", 1, "sigmoid" })

	unet := func(name string, image model.Image, change func(m *model.UNet)) {
		m := model.Kinds["unet"]().(*model.UNet)
		m.Channels = []int{4, 6, 8}
		change(m)
		list = append(list, modelCase{name, m, image})
	}
	unet("unet", grey, func(m *model.UNet) {})
	unet("unet mean resize", model.Image{Height: 13, Width: 30, Channels: 3}, func(m *model.UNet) {
		// Layer norm over fewer channels divides by deviations near 0 at some places, and magnifies what rounding leaves.
		m.Channels, m.Pooling, m.Upsampling, m.Norm, m.Residual = []int{12, 16, 16}, "mean", "resize", "layer", true
	})
	unet("unet strided", grey, func(m *model.UNet) {
		m.Channels, m.Pooling, m.Norm, m.Convolutions = []int{4, 6, 8, 8}, "strided", "batch", 1
	})

	vae := func(name string, change func(m *model.VAE)) {
		m := model.Kinds["vae"]().(*model.VAE)
		m.Encoder, m.Latent, m.Decoder = []int{48}, 8, []int{48}
		change(m)
		list = append(list, modelCase{name, m, grey})
	}
	vae("vae", func(m *model.VAE) {})
	vae("vae gaussian", func(m *model.VAE) { m.Likelihood, m.Bound, m.Samples = "gaussian", "iwae", 5 })
	vae("vae conditional", func(m *model.VAE) { m.Classes, m.BetaWarmup = 10, 2 })

	coder := func(name string, m model.Model, layers *model.Coder) {
		layers.Encoder, layers.Decoder = []int{48}, []int{48}
		list = append(list, modelCase{name, m, grey})
	}
	rae := model.Kinds["rae"]().(*model.RAE)
	coder("rae", rae, &rae.Coder)
	wae := model.Kinds["wae"]().(*model.WAE)
	coder("wae", wae, &wae.Coder)
	vqvae := model.Kinds["vqvae"]().(*model.VQVAE)
	coder("vqvae", vqvae, &vqvae.Coder)
	flow := model.Kinds["flow"]().(*model.Flow)
	flow.Hidden = []int{32}
	coder("flow", flow, &flow.Coder)
	return list
}

// source has weights as they are drawn for a first step of training. Those that start alike are spread, so that a norm's scale
// and mean count.
func (c modelCase) source() Source {
	s := Source{Model: c.model, Image: c.image, Version: "test"}
	for i, param := range model.Params(s.Model, s.Image) {
		seed := random.NewSeed(7).Child(i)
		values := param.Init.Values(seed, param.Size())
		if param.Init.Limit == 0 {
			for j, spread := range seed.Uniform(len(values)) {
				if values[j] == 0 {
					values[j] = 0.2 * spread
				} else {
					values[j] *= 1 + 0.5*spread
				}
			}
		}
		s.Weights = append(s.Weights, tensors.FromFlatDataAndDimensions(values, param.Dims...))
	}
	return s
}
