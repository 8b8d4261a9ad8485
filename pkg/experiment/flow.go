package experiment

import (
	"context"

	"latent/pkg/evaluate"
	"latent/pkg/model"
)

// flowSampler carries draws from the standard normal distribution to codes, by the flow that a model learned.
type flowSampler struct{}

func (flowSampler) of(m model.Decoder) bool {
	_, ok := m.(model.Field)
	return ok
}

func (flowSampler) caption(Generation) string { return "codes from the flow" }

func (flowSampler) draw(ctx context.Context, s source, g Generation) (evaluate.Codes, error) {
	noise := g.normal(s.decoder.(model.Field).FieldSize(s.evaluator.Image()))
	return s.evaluator.Flow(ctx, s.weights, noise)
}
