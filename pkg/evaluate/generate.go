package evaluate

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/dataset"
	"latent/pkg/model"
)

// Encode returns the codes of undamaged images.
func (e *Evaluator) Encode(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples) (Codes, error) {
	codes := Codes{Size: e.code}
	err := e.EncodeEach(ctx, weights, images, false, func(part Codes) error {
		codes.Values = append(codes.Values, part.Values...)
		return nil
	})
	return codes, err
}

// EncodeEach calls do with the codes of undamaged images, some at a time in their order. With spread, each has behind its values, which
// are the means of its distribution, their log variances: of a [model.Variational] alone.
func (e *Evaluator) EncodeEach(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples, spread bool, do func(Codes) error) error {
	encoder, size := &e.later.encoder, e.code
	if spread {
		encoder, size = &e.later.posterior, 2*e.code
	}
	if *encoder == nil {
		compiled, err := e.compile(func(inputs []*Node) []*Node {
			in := e.read(inputs)
			return []*Node{Reshape(e.codesOf(in, spread), in.given.Shape().Dim(0), -1)}
		})
		if err != nil {
			return fmt.Errorf("build the encoder: %w", err)
		}
		*encoder = compiled
	}
	batch := (*encoder).images
	for first := 0; first < images.Len(); first += batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		outputs, err := e.call(*encoder, weights, images, first, 0)
		if err != nil {
			return err
		}
		values, err := tensors.CopyFlatData[float32](outputs[0])
		if err != nil {
			return err
		}
		if err := do(Codes{Size: size, Values: values[:size*min(batch, images.Len()-first)]}); err != nil {
			return err
		}
	}
	return nil
}

// codesOf are the codes of what the model is given.
func (e *Evaluator) codesOf(in input, spread bool) *Node {
	pass := in.pass(streamModel)
	if spread {
		mean, logVariance := e.spec.Model.(model.Variational).Posterior(pass, in.given)
		return Concatenate([]*Node{mean, logVariance}, -1)
	}
	return e.spec.Model.Apply(pass, in.given).Latent
}

// DrawSheet draws generated images, in as many rows as columns.
func DrawSheet(images *dataset.Samples, caption string) ([]byte, error) {
	return Sheet{Images: images, Caption: caption}.Draw()
}

// Prior makes codes of draws from the standard normal distribution, of model.Prior's PriorSize values each.
func (e *Evaluator) Prior(ctx context.Context, weights []*tensors.Tensor, noise Codes) (Codes, error) {
	prior, ok := e.spec.Model.(model.Prior)
	if !ok {
		return Codes{}, fmt.Errorf("%T has no prior", e.spec.Model)
	}
	if prior.PriorNormal() {
		return noise, nil
	}
	return e.eachCodes(ctx, weights, noise, func(p *model.Pass, z *Node, _ []*Node) *Node {
		p.Image = e.image
		return prior.PriorCodes(p, z)
	})
}

// eachCodes makes codes of others.
func (e *Evaluator) eachCodes(ctx context.Context, weights []*tensors.Tensor, from Codes, build codesFunction) (Codes, error) {
	program, err := e.compileCodes(from.Size, build, nil)
	if err != nil {
		return Codes{}, fmt.Errorf("build codes: %w", err)
	}
	defer program.exec.Finalize()
	codes := Codes{Labels: from.Labels}
	for first := 0; first < from.Len(); first += program.images {
		if err := ctx.Err(); err != nil {
			return Codes{}, err
		}
		z, err := callCodes(program, weights, from.batchFrom(first, program.images))
		if err != nil {
			return Codes{}, fmt.Errorf("make codes: %w", err)
		}
		if err := codes.take(z, program.images, from.Len()-first); err != nil {
			return Codes{}, err
		}
	}
	return codes, nil
}

// Decode returns the images of codes.
func (e *Evaluator) Decode(ctx context.Context, weights []*tensors.Tensor, codes Codes) (*dataset.Samples, error) {
	decoder, ok := e.spec.Model.(model.Decoder)
	if !ok {
		return nil, fmt.Errorf("%T cannot generate images from codes alone", e.spec.Model)
	}
	program, err := e.compileCodes(codes.Size, func(p *model.Pass, z *Node, more []*Node) *Node {
		p.Labels = more[0]
		return e.shown(model.Generate(decoder, p, z, e.image))
	}, func(images int) []shapes.Shape { return []shapes.Shape{shapes.Make(dtypes.Uint8, images)} })
	if err != nil {
		return nil, fmt.Errorf("build the decoder: %w", err)
	}
	defer program.exec.Finalize()
	images, batch := e.blank(), program.images
	for first := 0; first < codes.Len(); first += batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		labels := make([]uint8, batch)
		if codes.Labels != nil {
			copy(labels, codes.Labels[first:])
		}
		output, err := callCodes(program, weights, codes.batchFrom(first, batch), tensors.FromFlatDataAndDimensions(labels, batch))
		if err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		values, err := valuesOf(output)
		if err != nil {
			return nil, err
		}
		images.Values = images.Values.Append(values.Slice(0, min(batch, codes.Len()-first)*images.Size()))
	}
	return images, nil
}
