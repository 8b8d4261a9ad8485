package model

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// Field is a model whose velocity field carries draws from the standard normal distribution, at time 0, along
//
//	dz/dt = v(z, t)
//
// to its codes, at time 1. pkg/evaluate follows it.
type Field interface {
	Decoder

	// FieldSize is the number of values of a point of the field, for images of this size.
	FieldSize(image Image) int

	// FieldSteps is how many steps are taken from time 0 to 1.
	FieldSteps() int

	// Velocity returns v, for images of this size. z: [batch, values]; t: [batch]; returns the shape of z.
	Velocity(p *Pass, z, t *Node, image Image) *Node

	// Arrived returns the codes of points at time 1, for Decode: [batch, values] → [batch, latent].
	Arrived(p *Pass, z *Node) *Node
}

// Flow is a regularised autoencoder with a rectified flow on its codes (Liu et al. 2022): in addition to the autoencoder of kind rae, a
// network learns the path from the standard normal distribution to the codes, from which samples are drawn. No gradient of the flow reaches
// the autoencoder; both count for the validation loss and for train.clip_norm. Its loss is a sum over the pixels of each image; train.loss
// is not used.
type Flow struct {
	RAE `yaml:",inline"`

	// Hidden lists the sizes of the hidden layers of the network that predicts the flow's velocity.
	Hidden []int `yaml:"velocity,flow" min:"1" max:"65536" minitems:"1" maxitems:"64"`

	// Draws is the number of points on the path drawn for each image in each training step.
	Draws int `yaml:"draws" min:"1" max:"1000"`

	// Steps is the number of integration steps when images are generated, each with two calls of the network.
	Steps int `yaml:"steps" min:"1" max:"10000"`
}

// Statistics of the flow: the moving averages of the codes' values and of their squares, [latent] each, by which the way ends
// at codes of mean 0 and deviation 1.
const (
	flowMean   = "flow.mean"
	flowSquare = "flow.square"
	// flowDecay is that of the averages, for each step.
	flowDecay = 0.99
)

// velocity lists the layers of the network: from a point and its time to a velocity.
func (f *Flow) velocity(latent int) []DenseLayer {
	hidden, in := chain("velocity", latent+timeValues, f.Hidden, "silu", f.Init)
	return append(hidden, DenseLayer{"velocity.out", in, latent, "linear", f.Init})
}

// Layers lists the layers for images of this size, the flow's after the autoencoder's.
func (f *Flow) Layers(image Image) []Layer {
	layers, latent := f.RAE.Layers(image), f.CodeSize(image)
	layers = append(layers, layersOf(denseBlocks(f.velocity(latent)))...)
	return append(layers, Layer{
		Name: "flow", Description: "mean and deviation of the codes",
		Params: []Param{
			{Name: flowMean, Dims: []int{latent}, Statistic: true},
			{Name: flowSquare, Dims: []int{latent}, Init: Init{Constant: 1}, Statistic: true},
		},
	})
}

// Objective has the terms of [RAE], of whose codes z the flow learns, scaled to mean 0 and deviation 1,
//
//	Σ ‖(z − ε) − v(z_t, t)‖²,   z_t = t z + (1 − t) ε,   ε ~ N(0, 1),   t ~ U(0, 1)
//
// the mean over the draws of ε and t (Liu et al. 2022, equation 1).
func (f *Flow) Objective(p *Pass, clean, damaged *Node) (Output, []Term) {
	out, terms := f.RAE.Objective(p, clean, damaged)
	if p.Training {
		f.follow(p, out.Latent)
	}
	batch, latent := clean.Shape().Dim(0), out.Latent.Shape().Dim(1)
	mean, deviation := f.moments(p)
	z := Div(Sub(StopGradient(out.Latent), mean), deviation)
	noise, t := p.Draw().Normal(batch, f.Draws, latent), p.Draw().Uniform(batch, f.Draws)
	z = Reshape(BroadcastToDims(ExpandAxes(z, 1), batch, f.Draws, latent), -1, latent)
	distance := flowLoss(z, Reshape(noise, -1, latent), Reshape(t, -1), func(z, t *Node) *Node { return f.Velocity(p, z, t, imageOf(clean)) })
	return out, append(terms, Term{Name: "flow", Value: ReduceMean(Reshape(distance, batch, f.Draws), 1)})
}

// flowLoss returns ‖(z − ε) − v(z_t, t)‖² of each point. z, noise: [points, values]; t: [points]; returns [points].
func flowLoss(z, noise, t *Node, velocity func(z, t *Node) *Node) *Node {
	return ReduceSum(Square(Sub(Sub(z, noise), velocity(onTheWay(z, noise, t), t))), 1)
}

// onTheWay is where points are at time t on the straight way from the noise to z.
func onTheWay(z, noise, t *Node) *Node {
	t = ExpandAxes(t, 1)
	return Add(Mul(t, z), Mul(OneMinus(t), noise))
}

// follow moves the averages of the codes: [batch, latent].
func (f *Flow) follow(p *Pass, z *Node) {
	counts := OnesLike(Slice(z, AxisRange(), AxisElem(0)))
	if p.Counts != nil {
		counts = ExpandAxes(p.Counts, 1)
	}
	all := MaxScalar(ReduceAllSum(counts), 1)
	average := func(name string, values *Node) {
		now := Div(ReduceSum(Mul(counts, values), 0), all)
		p.Update(name, Add(MulScalar(p.Weights[name], flowDecay), MulScalar(now, 1-flowDecay)))
	}
	average(flowMean, z)
	average(flowSquare, Square(z))
}

// moments returns the codes' mean and deviation: [1, latent] each.
func (f *Flow) moments(p *Pass) (mean, deviation *Node) {
	mean = p.Weights[flowMean]
	variance := Sub(p.Weights[flowSquare], Square(mean))
	return ExpandAxes(mean, 0), ExpandAxes(Sqrt(MaxScalar(variance, 1e-6)), 0)
}

// AcrossBatch says that all images of a batch move the averages.
func (f *Flow) AcrossBatch() string { return "kind" }

// FieldSize is the size of a code.
func (f *Flow) FieldSize(image Image) int { return f.CodeSize(image) }

// FieldSteps returns Steps.
func (f *Flow) FieldSteps() int { return f.Steps }

// Velocity returns the velocity at scaled codes z: [batch, latent]; t: [batch].
func (f *Flow) Velocity(p *Pass, z, t *Node, _ Image) *Node {
	h := p.narrow(Concatenate([]*Node{z, timeFeatures(t)}, 1))
	for _, l := range f.velocity(z.Shape().Dim(1)) {
		h = l.Apply(p, h)
	}
	return ConvertDType(h, z.DType())
}

// Arrived gives scaled codes their own mean and deviation: [batch, latent].
func (f *Flow) Arrived(p *Pass, z *Node) *Node {
	mean, deviation := f.moments(p)
	return Add(mean, Mul(z, deviation))
}

// timeWaves are the waves of the time's features; timeValues is the number of the features.
const (
	timeWaves  = 3
	timeValues = 1 + 2*timeWaves
)

// timeFeatures returns t − ½ and sine and cosine of π t, 2π t and 4π t: [batch] → [batch, timeValues].
func timeFeatures(t *Node) *Node {
	t = ExpandAxes(t, 1)
	features := []*Node{AddScalar(t, -0.5)}
	for i := range timeWaves {
		angle := MulScalar(t, math.Pi*math.Pow(2, float64(i)))
		features = append(features, Sin(angle), Cos(angle))
	}
	return Concatenate(features, 1)
}

// PixelFlow is a rectified flow on the pixels themselves (Liu et al. 2022), whose velocity is predicted by a U-Net. It has no code other
// than the image, and can only generate. Its loss is a sum over the pixels of each image; train.loss is not used.
type PixelFlow struct {
	U `yaml:",inline"`

	// Steps is the number of integration steps when images are generated, each with two calls of the network.
	Steps int `yaml:"steps" min:"1" max:"10000"`
}

// Pictorial says that it is for pictures alone.
func (*PixelFlow) Pictorial() string { return "kind" }

// Layers lists the layers for images of this size.
func (f *PixelFlow) Layers(image Image) []Layer { return f.layers(image, timeValues, "linear") }

// OutputActivation is that of pixels without bounds.
func (f *PixelFlow) OutputActivation() string { return "linear" }

// Apply returns x, which is its own code: [batch, height, width, channels].
func (f *PixelFlow) Apply(_ *Pass, x *Node) Output {
	return Output{Latent: flat(x), Logits: x, Image: x}
}

// Decode returns z, the image's pixels in a row.
func (f *PixelFlow) Decode(_ *Pass, z *Node) *Node { return z }

// Objective is ‖(x − ε) − v(x_t, t)‖² of each image, with x_t = t x + (1 − t) ε, ε ~ N(0, 1) and t ~ U(0, 1) (Liu et al. 2022,
// equation 1). The output's image is where the velocity at x_t leads, x_t + (1 − t) v.
func (f *PixelFlow) Objective(p *Pass, clean, _ *Node) (Output, []Term) {
	z := flat(clean)
	noise, t := p.Draw().Normal(z.Shape().Dimensions...), p.Draw().Uniform(z.Shape().Dim(0))
	var image *Node
	distance := flowLoss(z, noise, t, func(at, t *Node) *Node {
		v := f.Velocity(p, at, t, imageOf(clean))
		image = Reshape(Add(at, Mul(ExpandAxes(OneMinus(t), 1), v)), clean.Shape().Dimensions...)
		return v
	})
	return Output{Latent: z, Logits: image, Image: image}, []Term{{Name: "flow", Value: distance}}
}

// FieldSize is the size of an image.
func (f *PixelFlow) FieldSize(image Image) int { return image.Size() }

// FieldSteps returns Steps.
func (f *PixelFlow) FieldSteps() int { return f.Steps }

// Arrived returns z.
func (f *PixelFlow) Arrived(_ *Pass, z *Node) *Node { return z }

// Velocity is what the U-Net makes of an image and, on planes beside it, the time. x: [batch, height · width · channels]; t: [batch].
func (f *PixelFlow) Velocity(p *Pass, x, t *Node, image Image) *Node {
	batch := x.Shape().Dim(0)
	features := timeFeatures(t)
	planes := BroadcastToDims(Reshape(features, batch, 1, 1, timeValues), batch, image.Height, image.Width, timeValues)
	h := Concatenate([]*Node{Reshape(x, batch, image.Height, image.Width, image.Channels), planes}, -1)
	_, v := f.through(p, p.narrow(h), image)
	return flat(ConvertDType(v, x.DType()))
}
