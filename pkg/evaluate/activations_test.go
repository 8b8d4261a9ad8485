package evaluate

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/model"
	"latent/pkg/random"
)

// What the layers of the identity make of images are the images, and of fewer than a call takes, of those alone.
func TestActivationsIdentity(t *testing.T) {
	const side, n = 4, 3
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m, weights := identity(side * side)
		evaluator, err := New(b.Compute, Spec{Model: m, Corrupt: corrupt.Chain{&corrupt.None{}}, Loss: model.Loss{Kind: "mse"}}, like(model.Image{Height: side, Width: side, Channels: 1}))
		if err != nil {
			t.Fatal(err)
		}
		defer evaluator.Close()
		images := pictures(n, side, side)
		activations, err := evaluator.Activations(weights, images)
		if err != nil {
			t.Fatal(err)
		}
		if len(activations) != 2 {
			t.Fatalf("activations of %d layers, want those of encoder and decoder", len(activations))
		}
		for layer, activation := range activations {
			values := activation.Values
			if len(values) != n*side*side {
				t.Fatalf("%s: %d values, want %d", layer, len(values), n*side*side)
			}
			for i, value := range values {
				if want := float64(images.Values.Uint8[i])/127.5 - 1; math.Abs(float64(value)-want) > 1e-6 {
					t.Fatalf("%s: value %d is %g, the pixel %g", layer, i, value, want)
				}
			}
		}
	})
}

// Of every kind of model, each layer that computes with a bias or a shift is seen: all but codebooks and running moments.
func TestActivationsOfEveryKind(t *testing.T) {
	b := backendtest.XLA(t)
	image := model.Image{Height: 12, Width: 12, Channels: 1}
	for kind, make := range model.Kinds {
		t.Run(kind, func(t *testing.T) {
			m := make()
			var weights []*tensors.Tensor
			wanted := 0
			for _, layer := range m.Layers(image) {
				for _, param := range layer.Params {
					weights = append(weights, tensors.FromFlatDataAndDimensions(param.Init.Values(random.Seed{1, 2}, param.Size()), param.Dims...))
				}
				if slices.ContainsFunc(layer.Params, func(p model.Param) bool {
					return strings.HasSuffix(p.Name, ".bias") || strings.HasSuffix(p.Name, ".shift")
				}) {
					wanted++
				}
			}
			// Not New, which compiles what Measure needs.
			evaluator := &Evaluator{backend: b.Compute, spec: Spec{Model: m, Loss: model.Loss{Kind: "mse"}}, image: image, like: pictures(0, 12, 12), params: model.Params(m, image), later: &later{}}
			defer evaluator.Close()
			activations, err := evaluator.Activations(weights, pictures(2, 12, 12))
			if err != nil {
				t.Fatal(err)
			}
			if len(activations) != wanted {
				t.Errorf("%d layers seen, want %d", len(activations), wanted)
			}
		})
	}
}
