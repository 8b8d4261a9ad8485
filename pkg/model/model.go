// Package model describes autoencoders: their layers, their forward pass and
// their losses as graph functions.
//
// A [Model] is a value with a few documented fields, the same fields that a
// config names under `model:`. It keeps no weights; they are handed in:
//
//	m := model.Kinds["dense"]()
//	params := model.Params(m, image)                        // names, shapes, first values
//	out := m.Apply(&model.Pass{Weights: weights}, x)        // in a graph; x: [batch, height, width, channels]
//	loss := model.Loss{Kind: "mse"}.PerImage(x, out, nil, nil) // [batch]
//
// What is not here: damage to the input (pkg/corrupt), gradients and updates
// (pkg/train), figures for people (pkg/evaluate).
package model

import (
	"fmt"
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/random"
	"latent/pkg/scale"
)

// Image is the size of a model's images.
type Image struct{ Height, Width, Channels int }

// Size is the number of values of an image.
func (i Image) Size() int { return i.Height * i.Width * i.Channels }

// String returns for example "28×28×1".
func (i Image) String() string { return fmt.Sprintf("%d×%d×%d", i.Height, i.Width, i.Channels) }

// Model is one kind of autoencoder. Training calls Layers once and Apply where the graph is built.
type Model interface {
	// Layers lists the layers for images of this size, from input to output.
	Layers(image Image) []Layer

	// Apply encodes and decodes a batch.
	//
	//   - p: the parameters that Layers lists, and what else the pass offers
	//   - x: [batch, height, width, channels], float, pixels in [-1, 1]
	Apply(p *Pass, x *Node) Output

	// OutputActivation names what turns logits into pixels: tanh, sigmoid, linear or clip; see [ToPixels].
	OutputActivation() string
}

// Kinds holds every model that a config can name, with its defaults: the seed's. A program adds its own by config.AddKind.
var Kinds = map[string]func() Model{
	"dense": func() Model {
		return &Dense{
			Encoder: []int{256, 128, 64}, Decoder: []int{128, 256},
			Activation: "relu", LatentActivation: "relu", Output: "tanh", Init: "pytorch",
			Norm: "none", Sparsity: "none", SparsityTarget: 0.05,
		}
	},
	"conv": func() Model {
		return &Conv{
			Channels: []int{24, 48}, Kernel: 4, Stride: 2, Latent: 64, Decoder: "transposed",
			Activation: "relu", LatentActivation: "linear", Norm: "none", Output: "tanh", Init: "pytorch",
		}
	},
	"unet": func() Model {
		return &UNet{U: u(24, 48, 96), Output: "tanh"}
	},
	"dncnn": func() Model {
		return &DnCNN{Depth: 17, Channels: 64, Kernel: 3, Activation: "relu", Norm: "batch", Init: "he"}
	},
	"vae": func() Model {
		return &VAE{
			Network:    network(50, "tanh"),
			Likelihood: "bernoulli", Binarise: "dynamic", Deviation: 0.1, Spread: "fixed",
			Beta: 1, Bound: "elbo", Samples: 1, Groups: 1, Mix: defaultMix,
			Flow: &NoFlow{}, Prior: &NormalPrior{}, Penalty: &NoPenalty{},
		}
	},
	"rae": func() Model { return &RAE{Coder: coder(16), Beta: 0.01, Lambda: 1e-5} },
	"vqvae": func() Model {
		return &VQVAE{Coder: coder(64), EntrySize: 4, Entries: 128, Stages: 1, Commitment: 0.25, Decay: 0.99}
	},
	"fsq": func() Model { return &FSQ{Coder: coder(64), Levels: []int{8, 5, 5, 5}} },
	"ae":  func() Model { return &AE{Coder: coder(64)} },
	"aae": func() Model { return &AAE{Coder: coder(8), Lambda: 10, Discriminator: []int{256, 256}} },
	"wae": func() Model { return &WAE{Coder: coder(8), Lambda: 40} },
	"flow": func() Model {
		return &Flow{RAE: RAE{Coder: coder(16), Beta: 0.01, Lambda: 1e-5}, Hidden: []int{512, 512, 512}, Draws: 4, Steps: 32}
	},
	"pixelflow": func() Model { return &PixelFlow{U: u(16, 32, 64), Steps: 16} },
	"sae": func() Model {
		return &SAE{Width: 1024, Activation: "topk", K: 32, FirstThreshold: 0.1, Bandwidth: 0.05, FirstNorm: 1, DeadAfter: 1000, Revival: 1.0 / 32}
	},
}

// u is the layers of a U-Net with so many channels at each level.
func u(channels ...int) U {
	return U{Channels: channels, Convolutions: 2, Kernel: 3, Pooling: "max", Upsampling: "transposed",
		Activation: "relu", Norm: "none", Init: "pytorch"}
}

// network is the layers between images and codes of so many values.
func network(latent int, activation string) Network {
	return Network{Backbone: &DenseBackbone{}, Encoder: slices.Clone(hiddenSizes), Latent: latent, Decoder: slices.Clone(hiddenSizes),
		Activation: activation, Init: "pytorch", Code: "vector"}
}

// coder is the layers of the autoencoders with losses of their own.
func coder(latent int) Coder { return Coder{Network: network(latent, "relu"), Output: "tanh"} }

// Output is what a model makes of a batch.
type Output struct {
	Latent *Node // z: [batch, latent]
	Logits *Node // the last layer before its activation: the shape of x
	Image  *Node // y: the shape of x, pixels in [-1, 1]
	// Penalties are added to the loss, whatever that is; none for most models.
	Penalties []Term
}

// Layer is one step of a model, for people and for what it holds.
type Layer struct {
	Name        string // "encoder.layer_1"
	Description string // "dense 784 → 256, relu"
	Products    int    // multiplications of its matrix products or convolutions for one image
	Params      []Param
}

// Param is one tensor that training changes.
type Param struct {
	Name string // "encoder.layer_1.weight"
	Dims []int
	Init Init
	// Decays says whether weight decay shrinks it: weights do, biases don't.
	Decays bool
	// Transposed says that it is the kernel of a transposed convolution.
	Transposed bool
	// Statistic says that no gradient changes it: a pass in training gives its next value, see [Pass.Update].
	Statistic bool
}

// Size is the number of the parameter's values.
func (p Param) Size() int {
	size := 1
	for _, dim := range p.Dims {
		size *= dim
	}
	return size
}

// Init is how a parameter's first values are drawn: uniform in ±Limit, or normal with standard
// deviation Limit/√3, which is that of the uniform draw; with Limit 0, all are Constant.
type Init struct {
	Limit    float64
	Normal   bool
	Constant float64
}

// Values draws the first values of a parameter of n values.
func (i Init) Values(seed random.Seed, n int) []float32 {
	if i.Limit == 0 {
		return slices.Repeat([]float32{float32(i.Constant)}, n)
	}
	if i.Normal {
		return seed.Normal(n, i.Limit/math.Sqrt(3))
	}
	values := seed.Uniform(n)
	for j := range values {
		values[j] *= float32(i.Limit)
	}
	return values
}

// AnySize says that a model's parameters are the same for images of any size, so that it can be applied to others than those that it
// was trained on.
func AnySize(m Model, image Image) bool {
	other := image
	other.Height, other.Width = 2*image.Height+3, 3*image.Width+1
	return slices.EqualFunc(Params(m, image), Params(m, other), func(a, b Param) bool { return slices.Equal(a.Dims, b.Dims) })
}

// Params lists the parameters of all layers, in order.
func Params(m Model, image Image) []Param {
	var all []Param
	for _, layer := range m.Layers(image) {
		all = append(all, layer.Params...)
	}
	return all
}

// FirstWeights draws the first values of all parameters, in the order of [Params].
func FirstWeights(m Model, image Image, seed random.Seed) []*tensors.Tensor {
	var all []*tensors.Tensor
	drawn := Drawings(m, image, seed)
	for i, param := range Params(m, image) {
		values, found := drawn[param.Name]
		if !found {
			values = param.Init.Values(seed.Child(i), param.Size())
		}
		all = append(all, tensors.FromFlatDataAndDimensions(values, param.Dims...))
	}
	return all
}

// Drawings are the first values that a [Drawn] model draws itself, by parameter.
func Drawings(m Model, image Image, seed random.Seed) map[string][]float32 {
	if drawn, ok := m.(Drawn); ok {
		return drawn.Draw(image, seed.Child(len(Params(m, image))))
	}
	return nil
}

// Pixels are images in the model's scale: rows [batch, height · width · channels] → [batch, height, width, channels].
func Pixels(rows *Node, image Image, s scale.Scale) *Node {
	return Reshape(s.Model(rows), rows.Shape().Dim(0), image.Height, image.Width, image.Channels)
}

// Pair is Pixels of rows that have the values of an image's target behind its own: [batch, 2 · values]. Of rows without, [batch, values],
// both are the same.
func Pair(rows *Node, image Image, s scale.Scale) (input, target *Node) {
	size := image.Size()
	if rows.Shape().Dim(1) == size {
		x := Pixels(rows, image, s)
		return x, x
	}
	return Pixels(Slice(rows, AxisRange(), AxisRange(0, size)), image, s), Pixels(Slice(rows, AxisRange(), AxisRange(size)), image, s)
}
