package model

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// CodePrior is the distribution that a VAE's codes are to have: a part of the model.
type CodePrior interface {
	// layers lists what it learns, of a model for images of this size.
	layers(v *VAE, image Image) []Layer

	// components are the means and log variances of its parts, [parts, latent] each, all equally likely; nil of the standard normal
	// distribution.
	components(v *VAE, p *Pass, image Image) (mean, logVariance *Node)
}

// Priors holds every prior that a config can name, with its defaults.
var Priors = map[string]func() CodePrior{
	"normal":  func() CodePrior { return &NormalPrior{} },
	"mixture": func() CodePrior { return &MixturePrior{Components: 10} },
	"vamp":    func() CodePrior { return &VampPrior{Components: 500} },
}

// NormalPrior is the standard normal distribution.
type NormalPrior struct{}

func (*NormalPrior) layers(*VAE, Image) []Layer { return nil }

func (*NormalPrior) components(*VAE, *Pass, Image) (mean, logVariance *Node) { return nil, nil }

// MixturePrior is a mixture of normal distributions, equally likely, whose means and variances are learned.
type MixturePrior struct {
	// Components is the number of normal distributions.
	Components int `yaml:"components" min:"2" max:"65536"`
}

const (
	mixtureMeans        = "prior.means"
	mixtureLogVariances = "prior.log_variances"
)

func (m *MixturePrior) layers(v *VAE, image Image) []Layer {
	dims := []int{m.Components, v.CodeSize(image)}
	return []Layer{{Name: "prior", Description: fmt.Sprintf("mixture of %d", m.Components), Params: []Param{
		{Name: mixtureMeans, Dims: dims, Init: Init{Limit: math.Sqrt(3), Normal: true}},
		{Name: mixtureLogVariances, Dims: dims},
	}}}
}

func (m *MixturePrior) components(_ *VAE, p *Pass, _ Image) (mean, logVariance *Node) {
	return p.Weights[mixtureMeans], p.Weights[mixtureLogVariances]
}

// VampPrior is the mixture of what the encoder makes of some images that are learned (Tomczak & Welling 2018, equation 10):
//
//	p(z) = 1/K Σ q(z | uₖ)
//
// They start near the mean of the training images, and are kept in [-1, 1] but with likelihood gaussian.
type VampPrior struct {
	// Components is the number of learned images, the paper's pseudo-inputs.
	Components int `yaml:"components" min:"2" max:"65536"`
}

const (
	vampInputs = "prior.inputs" // what each adds to the centre: [components, height · width · channels]
	vampCentre = "prior.centre" // [height · width · channels]
)

func (m *VampPrior) layers(v *VAE, image Image) []Layer {
	return []Layer{{Name: "prior", Description: fmt.Sprintf("what the encoder makes of %d learned images", m.Components), Params: []Param{
		{Name: vampInputs, Dims: []int{m.Components, image.Size()}, Init: Init{Limit: 0.1, Normal: true}},
		{Name: vampCentre, Dims: []int{image.Size()}},
	}}}
}

func (m *VampPrior) components(v *VAE, p *Pass, image Image) (mean, logVariance *Node) {
	u := Add(p.Weights[vampInputs], ExpandAxes(p.Weights[vampCentre], 0))
	if v.Likelihood != "gaussian" { // which takes pixels of any scale
		u = MinScalar(MaxScalar(u, -1), 1)
	}
	q := *p
	q.Counts, q.Watch, q.Training = nil, nil, false // these are no images of the batch, and are not dropped out of
	return v.Posterior(&q, Reshape(u, m.Components, image.Height, image.Width, image.Channels))
}

// logPrior returns log p(z): [batch, draws, latent] → [batch, draws].
func (v *VAE) logPrior(p *Pass, z *Node, image Image) *Node {
	mean, logVariance := v.prior().components(v, p, image)
	if mean == nil {
		return MulScalar(ReduceSum(AddScalar(Square(z), math.Log(2*math.Pi)), -1), -0.5)
	}
	return mixtureDensity(z, mean, logVariance)
}

// mixtureDensity returns log 1/K Σ N(z; μₖ, σₖ²). z: [batch, draws, latent]; mean, logVariance: [K, latent]; returns [batch, draws].
func mixtureDensity(z, mean, logVariance *Node) *Node {
	dims := mean.Shape().Dimensions
	part := func(x *Node) *Node { return Reshape(x, 1, 1, dims[0], dims[1]) }
	cost := normalCost(ExpandAxes(z, 2), part(mean), part(logVariance)) // [batch, draws, K, latent]
	return logMeanExp(Neg(ReduceSum(cost, -1)))
}

// drawComponent makes codes of standard normal draws, [batch, 1 + latent]: the first value chooses the component.
func drawComponent(noise, mean, logVariance *Node) *Node {
	parts := mean.Shape().Dim(0)
	first := SliceAxis(noise, 1, AxisRange(0, 1)) // [batch, 1]
	even := MulScalar(OnePlus(Erf(MulScalar(first, math.Sqrt(0.5)))), 0.5*float64(parts))
	place := MinScalar(Floor(even), float64(parts-1))
	places := Iota(noise.Graph(), shapes.Make(noise.DType(), 1, parts), 1)
	chosen := ConvertDType(Equal(place, places), noise.DType()) // [batch, parts]
	of := func(x *Node) *Node { return MatMul(chosen, x) }
	return Add(of(mean), Mul(Exp(MulScalar(of(logVariance), 0.5)), SliceAxis(noise, 1, AxisRange(1))))
}
