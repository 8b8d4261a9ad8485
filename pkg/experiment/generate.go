package experiment

import (
	"context"
	"strings"

	"latent/pkg/dataset"
	"latent/pkg/model"
)

// Generation is how images are drawn.
type Generation struct {
	// Images is how many are drawn.
	Images int
	// Seed decides the draws.
	Seed int64
	// Sampler is where codes come from, one of [Samplers]: prior, the standard normal distribution that a vae is trained for;
	// flow, the flow that a model learned; mixture, a Gaussian mixture fitted to the codes of training images; or auto, the first of
	// them that the model has.
	Sampler string
	// Components is the mixture's number of components; Ghosh et al. 2020 use 10.
	Components int
	// Class is the label of all images, by name or number, for a model that is given labels; "" gives samples all of them in
	// turn.
	Class string
}

// Generate draws samples of the model, in the data's own units and of its type. [Trained.Draw] makes a picture of them.
func (t *Trained) Generate(ctx context.Context, g Generation, options Options) (*dataset.Samples, error) {
	samples, _, err := t.generated(ctx, g, options, true)
	if err != nil {
		return nil, err
	}
	return t.Like().Restored(samples.Values.Float32), nil
}

// generated draws samples, as [dataset.Samples.Shown] returns them, or with exact in the model's scale; and says what they are.
func (t *Trained) generated(ctx context.Context, g Generation, options Options, exact bool) (images *dataset.Samples, caption string, err error) {
	e := t.Experiment
	decoder, ok := e.Model.(model.Decoder)
	if !ok {
		return nil, "", InputError{e.Problem("model.kind", "this kind of model makes no images of codes alone")}
	}
	var from sampler
	for _, s := range samplers {
		if (g.Sampler == s.name || g.Sampler == "auto") && s.of(decoder) {
			from = s
			break
		}
	}
	if from == nil {
		var names []string
		for _, s := range samplers {
			if s.of(decoder) {
				names = append(names, s.name)
			}
		}
		return nil, "", InputError{e.Problem("model.kind", "this kind of model has no %s to draw codes from; use the sampler %s",
			g.Sampler, strings.Join(names, " or "))}
	}
	evaluator, err := t.compile()
	if err != nil {
		return nil, "", err
	}
	if exact {
		evaluator = evaluator.Exact()
	}
	label, err := t.label(g.Class)
	if err != nil {
		return nil, "", err
	}
	images, err = source{decoder, evaluator, t.Weights, t.Backend, func() (*dataset.Samples, error) {
		split, err := t.load(ctx, options.withDefaults())
		if err != nil {
			return nil, InputError{err}
		}
		return split.Train, nil
	}}.generate(ctx, from, g, labelsOf(e.Model, label, g.Images))
	if err != nil {
		return nil, "", err
	}
	caption = t.caption() + " · " + from.caption(g)
	if classes := t.Manifest.Data.Classes; label >= 0 && label < len(classes) {
		caption += ", with label " + classes[label]
	}
	return images, caption, nil
}
