package experiment

import (
	"context"

	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/random"
)

// flowSampler carries draws from the standard normal distribution to codes, by the flow that a model learned.
type flowSampler struct{}

func (flowSampler) of(m model.Decoder) bool {
	_, ok := m.(model.Field)
	return ok
}

func (flowSampler) caption(Generation) string { return "codes from the flow" }

func (flowSampler) draw(ctx context.Context, s source, g Generation) (evaluate.Codes, error) {
	size := s.decoder.(model.Field).FieldSize(s.evaluator.Image())
	noise := evaluate.Codes{Size: size, Values: random.NewSeed(g.Seed).Child(streamDraw).Normal(g.Images*size, 1)}
	return s.evaluator.Flow(ctx, s.weights, noise)
}
