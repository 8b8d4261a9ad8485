package model_test

import (
	"maps"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/model"
	"latent/pkg/random"
)

// Of every kind with a code, the image of an image's code is its reconstruction, and the code has the size that it says.
func TestDecodersReconstruct(t *testing.T) {
	image := model.Image{Height: 9, Width: 11, Channels: 3}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, name := range slices.Sorted(maps.Keys(model.Kinds)) {
			m, ok := model.Kinds[name]().(model.Coded)
			if !ok {
				continue
			}
			params := model.Params(m, image)
			values := map[string][]float32{}
			for i, param := range params {
				values[param.Name] = param.Init.Values(random.NewSeed(5).Child(i), param.Size())
			}
			x := images(2, image.Height, image.Width, image.Channels)
			outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
				out := m.Apply(passOf(params, nodes[1:]), nodes[0])
				return []*Node{out.Latent, out.Image, model.Generate(m, passOf(params, nodes[1:]), out.Latent, image)}
			}, append([]any{x}, weightTensors(params, values)...)...)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if size := outputs[0].Shape().Dim(1); size != m.CodeSize() {
				t.Errorf("%s: codes of %d values, and it says %d", name, size, m.CodeSize())
			}
			reconstructed, generated := tensors.MustCopyFlatData[float32](outputs[1]), tensors.MustCopyFlatData[float32](outputs[2])
			if !near(reconstructed, generated, 1e-5) || !slices.Equal(outputs[1].Shape().Dimensions, outputs[2].Shape().Dimensions) {
				t.Errorf("%s: the image of a code is not the reconstruction", name)
			}
		}
	})
}
