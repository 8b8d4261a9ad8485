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

// Damage returns images as a corruption leaves them, and as an [Evaluator] of that corruption and this seed meets them.
func Damage(b compute.Backend, chain corrupt.Chain, seed int64, images *dataset.Images) (*dataset.Images, error) {
	damaged := *images
	damaged.Pixels = nil
	size := model.Image{Height: images.Height, Width: images.Width, Channels: images.Channels}
	strengths := chain.Strengths()
	exec, err := NewExec(b, func(inputs []*Node) *Node {
		rows, seed, call := inputs[0], inputs[1], inputs[2]
		return bytes(chain.Apply(model.Pixels(rows, size), inputs[3:], random.KeyFromNode(seed).At(call)))
	})
	if err != nil {
		return nil, fmt.Errorf("build the damage: %w", err)
	}
	defer exec.Finalize()
	for first := 0; first < images.Len(); first += batch {
		n := min(batch, images.Len()-first)
		args := []any{tensors.FromFlatDataAndDimensions(images.Pixels[first*images.Size():(first+n)*images.Size()], n, images.Size()), seedOf(seed), uint32(first / batch)}
		for _, strength := range strengths {
			args = append(args, strength)
		}
		outputs, err := exec.Call(args...)
		if err != nil {
			return nil, fmt.Errorf("damage images from %d on: %w", first, err)
		}
		pixels, err := tensors.CopyFlatData[uint8](outputs[0])
		if err != nil {
			return nil, err
		}
		damaged.Pixels = append(damaged.Pixels, pixels...)
	}
	return &damaged, nil
}
