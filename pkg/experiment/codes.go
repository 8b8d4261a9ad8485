package experiment

import (
	"context"
	"fmt"

	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/message"
	"latent/pkg/model"
)

// CodeNames names the values of a code as columns of a table: z_1, …; with spread, and then log_variance_1, ….
func (t *Trained) CodeNames(spread bool) ([]string, error) {
	e, err := t.compile()
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range e.CodeSize() {
		names = append(names, fmt.Sprintf("z_%d", i+1))
	}
	if spread {
		if _, ok := model.NormalPosteriorOf(t.Experiment.Model); !ok {
			return nil, InputError{t.Experiment.Problem("model.kind", "the codes of this model are no normal distributions with variances; leave them out")}
		}
		for i := range e.CodeSize() {
			names = append(names, fmt.Sprintf("log_variance_%d", i+1))
		}
	}
	return names, nil
}

// Encode calls do with the codes of undamaged samples, some at a time in their order, each a row of [Trained.CodeNames].
func (t *Trained) Encode(ctx context.Context, samples *dataset.Samples, spread bool, do func(evaluate.Codes) error) error {
	if model.Conditions(t.Experiment.Model) > 0 && samples.Labels == nil {
		return InputError{t.Experiment.Problem("model.classes", "this model is given the label of each sample, and these have none")}
	}
	e, err := t.compile()
	if err != nil {
		return err
	}
	return e.EncodeEach(ctx, t.Weights, samples, spread, do)
}

// Decode returns what the model makes of codes, in the data's own units and of its type.
func (t *Trained) Decode(ctx context.Context, codes evaluate.Codes) (*dataset.Samples, error) {
	if _, ok := t.Experiment.Model.(model.Decoder); !ok {
		return nil, InputError{t.Experiment.Problem("model.kind", "this kind of model makes no samples of codes alone")}
	}
	if model.Conditions(t.Experiment.Model) > 0 {
		return nil, InputError{t.Experiment.Problem("model.classes", "this model is given a label beside each code, which files of codes have not")}
	}
	e, err := t.compile()
	if err != nil {
		return nil, err
	}
	if codes.Size != e.CodeSize() {
		return nil, InputError{fmt.Errorf("codes of %s, and the model's have %d", message.Count(codes.Size, "value"), e.CodeSize())}
	}
	decoded, err := e.Exact().Decode(ctx, t.Weights, codes)
	if err != nil {
		return nil, err
	}
	return t.Like().Restored(decoded.Values.Float32), nil
}
