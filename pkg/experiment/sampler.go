package experiment

import (
	"context"
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/mixture"
	"latent/pkg/model"
	"latent/pkg/random"
)

// sampler is where codes come from.
type sampler interface {
	// of says whether a decoder has it.
	of(m model.Decoder) bool
	// draw draws g.Images codes.
	draw(ctx context.Context, s source, g Generation) (evaluate.Codes, error)
	// caption says below a picture where codes come from.
	caption(g Generation) string
}

// samplers holds every sampler by its name. Sampler auto is the first that the model has.
var samplers = []struct {
	name string
	sampler
}{
	{"prior", priorSampler{}},
	{"flow", flowSampler{}},
	{"mixture", mixtureSampler{}},
	{"normal", normalSampler{}},
	{"entries", entriesSampler{}},
}

// normalSampler draws from the normal distribution that is fitted to the codes of training images: a mixture of one. It is for models that
// have no prior to compare a mixture with.
type normalSampler struct{ mixtureSampler }

func (s normalSampler) of(m model.Decoder) bool {
	_, prior := m.(model.Prior)
	return !prior && s.mixtureSampler.of(m)
}

func (normalSampler) caption(Generation) string { return "codes from a normal distribution" }

func (s normalSampler) draw(ctx context.Context, from source, g Generation) (evaluate.Codes, error) {
	g.Components = 1
	return s.mixtureSampler.draw(ctx, from, g)
}

// Samplers lists the names of the samplers, and auto.
func Samplers() []string {
	names := []string{"auto"}
	for _, s := range samplers {
		names = append(names, s.name)
	}
	return names
}

// source is a trained decoder, and what a sampler may need of it.
type source struct {
	decoder   model.Decoder
	evaluator *evaluate.Evaluator
	weights   []*tensors.Tensor
	backend   *backend.Backend
	// train returns the training images.
	train func() (*dataset.Samples, error)
}

// generate draws g.Images images, with these labels where the model is given any.
func (s source) generate(ctx context.Context, from sampler, g Generation, labels []uint8) (*dataset.Samples, error) {
	codes, err := from.draw(ctx, s, g)
	if err != nil {
		return nil, err
	}
	codes.Labels = labels
	return s.evaluator.Decode(ctx, s.weights, codes)
}

// Streams of a generation's seed.
const (
	streamFit = iota
	streamDraw
)

// priorSampler draws from the distribution that a model was trained for.
type priorSampler struct{}

func (priorSampler) of(m model.Decoder) bool {
	_, ok := m.(model.Prior)
	return ok
}

func (priorSampler) caption(Generation) string { return "codes from the prior" }

func (priorSampler) draw(ctx context.Context, s source, g Generation) (evaluate.Codes, error) {
	noise := g.normal(s.decoder.(model.Prior).PriorSize(s.evaluator.Image()))
	return s.evaluator.Prior(ctx, s.weights, noise)
}

// normal draws codes of so many values from the standard normal distribution.
func (g Generation) normal(size int) evaluate.Codes {
	return evaluate.Codes{Size: size, Values: random.NewSeed(g.Seed).Child(streamDraw).Normal(g.Images*size, 1)}
}

// mixtureSampler draws from a Gaussian mixture that is fitted to the codes of training images.
type mixtureSampler struct{}

// of leaves out the model whose codes are the images: a mixture of so many values takes hours to fit.
func (mixtureSampler) of(m model.Decoder) bool {
	_, coded := m.(model.Coded)
	return coded
}

func (mixtureSampler) caption(g Generation) string {
	return fmt.Sprintf("codes from a mixture of %d", g.Components)
}

// mostFitted is the largest code that a mixture is fitted to.
const mostFitted = 1024

// fittedCodes is how many training images a mixture is fitted to, evenly spaced: a folder's are in an order.
const fittedCodes = 10000

func (mixtureSampler) draw(ctx context.Context, s source, g Generation) (evaluate.Codes, error) {
	if size := s.evaluator.CodeSize(); size > mostFitted {
		return evaluate.Codes{}, InputError{fmt.Errorf("fit a mixture to codes of %d values: its covariances take hours; at most %d are fitted", size, mostFitted)}
	}
	images, err := s.train()
	if err != nil {
		return evaluate.Codes{}, err
	}
	codes, err := s.evaluator.Encode(ctx, s.weights, images.Select(places(images.Len(), min(images.Len(), fittedCodes))))
	if err != nil {
		return evaluate.Codes{}, err
	}
	seed := random.NewSeed(g.Seed)
	fitted, err := mixture.Fit(codes.Matrix(), g.Components, seed.Child(streamFit))
	if err != nil {
		return evaluate.Codes{}, err
	}
	drawn, err := fitted.Draw(g.Images, seed.Child(streamDraw))
	if err != nil {
		return evaluate.Codes{}, err
	}
	codes.Values = nil
	for i := range g.Images {
		for _, value := range drawn.RawRowView(i) {
			codes.Values = append(codes.Values, float32(value))
		}
	}
	return codes, nil
}
