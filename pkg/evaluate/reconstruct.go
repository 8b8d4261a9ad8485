package evaluate

import (
	"context"
	"errors"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/dataset"
	"latent/pkg/model"
)

// Unscored says why samples of a dataset cannot be scored for anomalies by a model; "" where they can.
func Unscored(m model.Model, source dataset.Source) string {
	if model.Conditions(m) > 0 {
		return "this model needs the label of each sample, and samples to score have none"
	}
	if _, generates := m.(*model.PixelFlow); generates {
		return "this kind of model only generates images from noise, and cannot reconstruct"
	}
	if paired, ok := source.(dataset.Paired); ok {
		if training, _ := paired.Targets(); training {
			return "with data.target the model does not reconstruct the sample itself, so its error says nothing about the sample"
		}
	}
	return ""
}

// Reconstructed are undamaged samples, what a model makes of them, and their codes, one sample after another.
type Reconstructed struct {
	// Samples and Outputs are in the model's scale: [samples, height, width, channels].
	Samples, Outputs []float32
	// Codes are [samples, code]; nil of pictures of sizes of their own.
	Codes []float32
	// Count is the number of samples, and Height and Width their size.
	Count, Height, Width int
}

// ReconstructEach calls do with what the model makes of undamaged samples, some at a time in their order. Of patches, these are the
// pictures that they are of, one at a time.
func (e *Evaluator) ReconstructEach(ctx context.Context, weights []*tensors.Tensor, samples *dataset.Samples, do func(Reconstructed) error) error {
	if e.like.Target != nil {
		return errors.New("reconstruct: the samples have targets of their own")
	}
	if samples.Patches != nil {
		return e.reconstructWhole(ctx, weights, samples, do)
	}
	if e.later.reconstructor == nil {
		compiled, err := e.compile(func(inputs []*Node) []*Node {
			in := e.read(inputs)
			n := in.given.Shape().Dim(0)
			out := e.spec.Model.Apply(in.pass(streamModel), in.given)
			return []*Node{Identity(Reshape(in.given, n, -1)), Reshape(out.Image, n, -1), Reshape(out.Latent, n, -1)}
		})
		if err != nil {
			return fmt.Errorf("build the reconstruction: %w", err)
		}
		e.later.reconstructor = compiled
	}
	return e.each(ctx, e.later.reconstructor, weights, samples, func(outputs []*tensors.Tensor, count int) error {
		r := Reconstructed{Count: count, Height: e.image.Height, Width: e.image.Width}
		for i, to := range []*[]float32{&r.Samples, &r.Outputs, &r.Codes} {
			values, err := tensors.CopyFlatData[float32](outputs[i])
			if err != nil {
				return err
			}
			*to = values[:len(values)/e.later.reconstructor.images*count]
		}
		return do(r)
	})
}

// reconstructWhole is ReconstructEach of pictures of sizes of their own, which go through the model in parts.
func (e *Evaluator) reconstructWhole(ctx context.Context, weights []*tensors.Tensor, samples *dataset.Samples, do func(Reconstructed) error) error {
	restorer, err := e.parts()
	if err != nil {
		return fmt.Errorf("build the reconstruction: %w", err)
	}
	restorer = restorer.With(weights)
	for i := range samples.Pictures() {
		whole := samples.Picture(i)
		r := Reconstructed{Samples: whole.Scaled(0, 1), Count: 1, Height: whole.Height, Width: whole.Width}
		if r.Outputs, err = restorer.Values(ctx, r.Samples, r.Width, r.Height); err != nil {
			return err
		}
		if err := do(r); err != nil {
			return err
		}
	}
	return nil
}

// each calls a program on all samples, and do with its outputs, of which the first count samples are such.
func (e *Evaluator) each(ctx context.Context, p *program, weights []*tensors.Tensor, samples *dataset.Samples, do func(outputs []*tensors.Tensor, count int) error) error {
	for first := 0; first < samples.Len(); first += p.images {
		if err := ctx.Err(); err != nil {
			return err
		}
		outputs, err := e.call(p, weights, samples, first, 0)
		if err != nil {
			return err
		}
		if err := do(outputs, min(p.images, samples.Len()-first)); err != nil {
			return err
		}
	}
	return nil
}

// Bounds returns the negative evidence bound of each sample in nats, −(log p(x | z) − KL) at one draw of the code; see
// [Evaluator.Likelihood]. The model is a [model.Density] with a likelihood.
func (e *Evaluator) Bounds(ctx context.Context, weights []*tensors.Tensor, samples *dataset.Samples) ([]float64, error) {
	density, err := e.density()
	if err != nil {
		return nil, err
	}
	if err := e.compileLikelihood(density); err != nil {
		return nil, err
	}
	var bounds []float64
	evidence := e.later.likelihood.evidence
	err = e.each(ctx, evidence, weights, samples, func(outputs []*tensors.Tensor, count int) error {
		parts, err := tensors.CopyFlatData[float32](outputs[1])
		if err != nil {
			return err
		}
		costs, err := tensors.CopyFlatData[float32](outputs[2])
		if err != nil {
			return err
		}
		latent := len(parts) / evidence.images
		for i := range count {
			bound := float64(costs[i])
			for _, part := range parts[i*latent : (i+1)*latent] {
				bound += float64(part)
			}
			bounds = append(bounds, bound)
		}
		return nil
	})
	return bounds, err
}

// NegativeLogLikelihoods estimates −log p(x) of each sample in nats, by importance sampling with so many draws; see
// [Evaluator.Likelihood]. The model is a [model.Density] with a likelihood.
func (e *Evaluator) NegativeLogLikelihoods(ctx context.Context, weights []*tensors.Tensor, samples *dataset.Samples, draws int) ([]float64, error) {
	density, err := e.density()
	if err != nil {
		return nil, err
	}
	if err := e.compileLikelihood(density); err != nil {
		return nil, err
	}
	return e.negativeLogLikelihood(ctx, weights, samples, draws, samples.Len())
}

// density is the model as one with a likelihood.
func (e *Evaluator) density() (model.Density, error) {
	density, ok := e.spec.Model.(model.Density)
	if !ok || density.Observed() == "" {
		return nil, fmt.Errorf("%T has no likelihood", e.spec.Model)
	}
	return density, nil
}
