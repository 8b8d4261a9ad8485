package experiment

import (
	"context"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/scale"
	"latent/pkg/train"
)

// entriesSampler draws the entries of a code one after another, from an autoregressive network that is trained on those of training images
// (van den Oord et al. 2017, section 3.3, there a PixelCNN).
type entriesSampler struct{}

func (entriesSampler) of(m model.Decoder) bool {
	_, ok := m.(model.Quantiser)
	return ok
}

func (entriesSampler) caption(Generation) string { return "entries drawn one after another" }

// Bounds of the network: its largest layer has a weight for each pair of hidden values of two parts.
const (
	mostDrawnParts   = 128
	mostDrawnEntries = 4096
)

// sequencedCodes is how many training images the network is trained on.
const sequencedCodes = 50_000

// sequenceOf is the network for so many parts.
func sequenceOf(parts, entries int) *model.Sequence {
	return &model.Sequence{Parts: parts, Entries: entries, Embedding: 16, Hidden: 32}
}

// sequenceTraining is how it is trained: always the same.
func sequenceTraining(images int) train.Options {
	o := train.Defaults()
	o.Epochs, o.LearningRate, o.Schedule, o.BatchSize = 6, 0.002, "cosine", min(100, images)
	return o
}

func (entriesSampler) draw(ctx context.Context, s source, g Generation) (evaluate.Codes, error) {
	images, err := s.train()
	if err != nil {
		return evaluate.Codes{}, err
	}
	choices, parts, err := s.evaluator.Choices(ctx, s.weights, images.Select(places(images.Len(), min(images.Len(), sequencedCodes))))
	if err != nil {
		return evaluate.Codes{}, err
	}
	entries := s.decoder.(model.Quantiser).Choosable()
	if parts > mostDrawnParts || entries > mostDrawnEntries {
		return evaluate.Codes{}, InputError{fmt.Errorf("draw entries one after another: %d of %d for each image, and at most %d of %d are drawn; choose --sampler mixture",
			parts, entries, mostDrawnParts, mostDrawnEntries)}
	}
	m := sequenceOf(parts, entries)
	weights, err := trainSequence(ctx, s, m, choices, int64(g.Seed))
	if err != nil {
		return evaluate.Codes{}, fmt.Errorf("train the network that draws entries: %w", err)
	}
	drawn, err := drawSequence(ctx, s, m, weights, g)
	if err != nil {
		return evaluate.Codes{}, fmt.Errorf("draw entries: %w", err)
	}
	return s.evaluator.Chosen(ctx, s.weights, drawn, parts)
}

// trainSequence trains the network on choices, m.Parts for each image.
func trainSequence(ctx context.Context, s source, m *model.Sequence, choices []int32, seed int64) ([]*tensors.Tensor, error) {
	samples := &dataset.Samples{Height: 1, Width: m.Parts, Channels: 1, Scale: scale.Scale{Factor: 1, Open: true},
		Values: array.Make(dtypes.Float32, len(choices))}
	for i, choice := range choices {
		samples.Values.Float32[i] = float32(choice)
	}
	spec := train.Spec{Model: m, Options: sequenceTraining(samples.Len()), Seed: seed}
	program, err := train.Compile(s.backend, spec, samples, 1)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	group, err := program.Start(spec)
	if err != nil {
		return nil, err
	}
	for _, err := range group.Windows(ctx) {
		if err != nil {
			return nil, err
		}
	}
	state, err := group.Runs[0].State()
	if err != nil {
		return nil, err
	}
	return state.Weights(model.Params(m, model.Image{Height: 1, Width: m.Parts, Channels: 1}))
}

// drawnAtOnce is how many codes are drawn at once.
const drawnAtOnce = 500

// drawSequence draws the choices of g.Images codes.
func drawSequence(ctx context.Context, s source, m *model.Sequence, weights []*tensors.Tensor, g Generation) ([]int32, error) {
	image := model.Image{Height: 1, Width: m.Parts, Channels: 1}
	params := model.Params(m, image)
	exec, err := NewExec(s.backend.Compute, func(inputs []*Node) []*Node {
		pass := &model.Pass{Weights: model.Weights{}}
		for i, param := range params {
			pass.Weights[param.Name] = inputs[2+i]
		}
		logits := m.Apply(pass, Reshape(inputs[0], -1, 1, m.Parts, 1)).Logits
		part := Equal(Iota(inputs[0].Graph(), shapes.Make(dtypes.Int32, 1, m.Parts, 1), 1), inputs[1])
		return []*Node{ReduceSum(Mul(logits, ConvertDType(part, logits.DType())), 1)} // of the part that is drawn next: [batch, entries]
	})
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	draws := random.NewSeed(g.Seed).Child(streamDraw)
	var all []int32
	for first := 0; first < g.Images; first += drawnAtOnce {
		chosen := make([]float32, drawnAtOnce*m.Parts)
		uniform := draws.Child(first).Uniform(len(chosen)) // in [-1, 1)
		for part := range m.Parts {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			args := []any{tensors.FromFlatDataAndDimensions(chosen, drawnAtOnce, m.Parts), int32(part)}
			for _, weight := range weights {
				args = append(args, weight)
			}
			output, err := exec.Call1(args...)
			if err != nil {
				return nil, err
			}
			logits, err := tensors.CopyFlatData[float32](output)
			if err != nil {
				return nil, err
			}
			for i := range drawnAtOnce {
				at := i*m.Parts + part
				chosen[at] = float32(pick(logits[i*m.Entries:][:m.Entries], (1+float64(uniform[at]))/2))
			}
		}
		for _, choice := range chosen[:m.Parts*min(drawnAtOnce, g.Images-first)] {
			all = append(all, int32(choice))
		}
	}
	return all, nil
}

// pick is the entry at a place, from 0 to 1, in the distribution with these logits.
func pick(logits []float32, place float64) int {
	most, total := logits[0], 0.0
	for _, logit := range logits {
		most = max(most, logit)
	}
	for _, logit := range logits {
		total += math.Exp(float64(logit - most))
	}
	left := place * total
	for i, logit := range logits {
		if left -= math.Exp(float64(logit - most)); left < 0 {
			return i
		}
	}
	return len(logits) - 1
}
