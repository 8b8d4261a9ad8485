package evaluate

import (
	"fmt"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
)

// DamageOne returns a picture as a corruption leaves it, in the model's scale: [height · width · channels]. Its file's number and
// its page there tell it from others, which have other draws of the same seed.
func DamageOne(b compute.Backend, chain corrupt.Chain, seed int64, file, page int, picture *dataset.Samples) ([]float32, error) {
	size := model.Image{Height: picture.Height, Width: picture.Width, Channels: picture.Channels}
	args := []any{picture.Rows(0, 1), seedOf(seed), uint32(file), uint32(page)}
	for _, strength := range chain.Strengths() {
		args = append(args, strength)
	}
	output, err := ExecOnce(b, func(inputs []*Node) *Node {
		x := model.Pixels(inputs[0], size, picture.Scale)
		return Reshape(chain.Apply(x, inputs[4:], random.KeyFromNode(inputs[1]).At(inputs[3]).From(inputs[2])), -1)
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("damage a picture of %v: %w", size, err)
	}
	return tensors.CopyFlatData[float32](output)
}

// Damage returns samples as a corruption leaves them, as [dataset.Samples.Shown] would, and as an [Evaluator] of that corruption and this seed meets them.
func Damage(b compute.Backend, chain corrupt.Chain, seed int64, images *dataset.Samples) (*dataset.Samples, error) {
	damaged, chain := images.Like().Shown(), chain.In(images.Scale)
	damaged.Labels = images.Labels
	e := Evaluator{like: images.Like()}
	size := model.Image{Height: images.Height, Width: images.Width, Channels: images.Channels}
	strengths := chain.Strengths()
	exec, err := NewExec(b, func(inputs []*Node) *Node {
		rows, seed, first := inputs[0], inputs[1], inputs[2]
		return e.shown(chain.Apply(model.Pixels(rows, size, images.Scale), inputs[3:], drawsOf(random.KeyFromNode(seed), first)))
	})
	if err != nil {
		return nil, fmt.Errorf("build the damage: %w", err)
	}
	defer exec.Finalize()
	batch := 100
	if chain.Collective() {
		batch = block
	}
	for first := 0; first < images.Len(); first += batch {
		n := min(batch, images.Len()-first)
		args := []any{images.Rows(first, batch), seedOf(seed), uint32(first)}
		for _, strength := range strengths {
			args = append(args, strength)
		}
		outputs, err := exec.Call(args...)
		if err != nil {
			return nil, fmt.Errorf("damage images from %d on: %w", first, err)
		}
		values, err := valuesOf(outputs[0])
		if err != nil {
			return nil, err
		}
		damaged.Values = damaged.Values.Append(values.Slice(0, n*images.Size()))
	}
	return damaged, nil
}
