package experiment

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/mat"

	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/mixture"
	"latent/pkg/model"
	"latent/pkg/random"
)

// Generation is how Generate draws.
type Generation struct {
	// Images is how many are drawn.
	Images int
	// Seed decides the draws.
	Seed int64
	// Sampler is where codes come from: prior, the standard normal distribution that a vae is trained for; mixture, a Gaussian
	// mixture fitted to the codes of training images; or auto, prior where the model has one.
	Sampler string
	// Components is the mixture's number of components; Ghosh et al. 2020 use 10.
	Components int
	// Class is the label of all images, by name or number, for a model that is given labels; "" gives samples all of them in
	// turn.
	Class string
}

// fittedCodes is how many training images a mixture is fitted to, the first of them.
const fittedCodes = 10000

// Streams of a generation's seed.
const (
	streamFit = iota
	streamDraw
)

// Generate draws images of the model, and returns them with a picture of them, a PNG. See [Trained.Draw] for
// other pictures.
func (t *Trained) Generate(ctx context.Context, g Generation, options Options) (*dataset.Images, []byte, error) {
	e := t.Experiment
	decoder, ok := e.Model.(model.Decoder)
	if !ok {
		return nil, nil, InputError{e.Problem("model.kind", "this kind of model makes no images of codes alone")}
	}
	prior, hasPrior := decoder.(model.Prior)
	if g.Sampler == "prior" && !hasPrior {
		return nil, nil, InputError{e.Problem("model.kind", "this kind of model has no prior to draw codes from; use the sampler mixture")}
	}
	evaluator, err := t.compile()
	if err != nil {
		return nil, nil, err
	}
	label, err := t.label(g.Class)
	if err != nil {
		return nil, nil, err
	}
	caption := t.caption()
	var codes evaluate.Codes
	if hasPrior && g.Sampler != "mixture" {
		caption += " · codes from the prior"
		codes = evaluate.Codes{Size: prior.PriorSize(),
			Values: random.NewSeed(g.Seed).Child(streamDraw).Normal(g.Images*prior.PriorSize(), 1)}
	} else {
		caption += fmt.Sprintf(" · codes from a mixture of %d", g.Components)
		if codes, err = t.mixtureCodes(ctx, evaluator, g, options); err != nil {
			return nil, nil, err
		}
	}
	codes.Labels = t.labels(label, g.Images)
	images, err := evaluator.Decode(ctx, t.Weights, codes)
	if err != nil {
		return nil, nil, err
	}
	png, err := evaluate.DrawSheet(images, caption)
	return images, png, err
}

// mixtureCodes draws codes from a mixture that is fitted to those of training images.
func (t *Trained) mixtureCodes(ctx context.Context, evaluator *evaluate.Evaluator, g Generation, options Options) (evaluate.Codes, error) {
	split, err := t.load(ctx, options.withDefaults())
	if err != nil {
		return evaluate.Codes{}, InputError{err}
	}
	train := *split.Train
	train.Pixels = train.Pixels[:min(train.Len(), fittedCodes)*train.Size()]
	codes, err := evaluator.Encode(ctx, t.Weights, &train)
	if err != nil {
		return evaluate.Codes{}, err
	}
	wide := make([]float64, len(codes.Values))
	for i, value := range codes.Values {
		wide[i] = float64(value)
	}
	seed := random.NewSeed(g.Seed)
	fitted, err := mixture.Fit(mat.NewDense(codes.Len(), codes.Size, wide), g.Components, seed.Child(streamFit))
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
