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
func (e *Evaluator) Encode(ctx context.Context, weights []*tensors.Tensor, images *dataset.Images) (Codes, error) {
	if e.later.encoder == nil {
		exec, err := e.compile(batch, func(inputs []*Node) []*Node {
			in := e.read(inputs)
			z := e.spec.Model.Apply(in.pass(streamModel), in.images).Latent
			return []*Node{Reshape(z, batch, -1)}
		})
		if err != nil {
			return Codes{}, fmt.Errorf("build the encoder: %w", err)
		}
		e.later.encoder = exec
	}
	codes := Codes{Size: e.code}
	for first := 0; first < images.Len(); first += batch {
		if err := ctx.Err(); err != nil {
			return Codes{}, err
		}
		outputs, err := e.call(e.later.encoder, batch, weights, images, first, 0)
		if err != nil {
			return Codes{}, err
		}
		values, err := tensors.CopyFlatData[float32](outputs[0])
		if err != nil {
			return Codes{}, err
		}
		codes.Values = append(codes.Values, values[:codes.Size*min(batch, images.Len()-first)]...)
	}
	return codes, nil
}

// DrawSheet draws generated images, in as many rows as columns.
func DrawSheet(images *dataset.Images, caption string) ([]byte, error) {
	return Sheet{Images: images, Caption: caption}.Draw()
}

// Decode returns the images of codes.
func (e *Evaluator) Decode(ctx context.Context, weights []*tensors.Tensor, codes Codes) (*dataset.Images, error) {
	decoder, ok := e.spec.Model.(model.Decoder)
	if !ok {
		return nil, fmt.Errorf("%T makes no images of codes alone", e.spec.Model)
	}
	exec, err := e.compileCodes(codes.Size, func(p *model.Pass, z *Node, more []*Node) *Node {
		p.Labels = more[0]
		return bytes(model.Generate(decoder, p, z, e.image))
	}, shapes.Make(dtypes.Uint8, batch))
	if err != nil {
		return nil, fmt.Errorf("build the decoder: %w", err)
	}
	images := &dataset.Images{Height: e.image.Height, Width: e.image.Width, Channels: e.image.Channels}
	for first := 0; first < codes.Len(); first += batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		labels := make([]uint8, batch)
		if codes.Labels != nil {
			copy(labels, codes.Labels[first:])
		}
		output, err := callCodes(exec, weights, codes.batchFrom(first), tensors.FromFlatDataAndDimensions(labels, batch))
		if err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		pixels, err := tensors.CopyFlatData[uint8](output)
		if err != nil {
			return nil, err
		}
		images.Pixels = append(images.Pixels, pixels[:min(batch, codes.Len()-first)*images.Size()]...)
	}
	return images, nil
}
