package evaluate

import (
	"slices"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/model"
)

// Images are damaged as the evaluation damages them, also where they are fewer than a call of it takes, or more.
func TestDamage(t *testing.T) {
	const side = 12
	chain := corrupt.Chain{
		&corrupt.Masking{Probability: corrupt.Fixed(0.2), Patch: 3, Value: -1},
		corrupt.Kinds["watermark"](), &corrupt.Gaussian{NoiseFactor: corrupt.Range{0.1, 0.3}, Clip: true},
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m, weights := identity(side * side)
		evaluator, err := New(b.Compute, Spec{Model: m, Corrupt: chain, Loss: model.Loss{Kind: "mse"}, Seed: 7}, like(model.Image{Height: side, Width: side, Channels: 1}))
		if err != nil {
			t.Fatal(err)
		}
		defer evaluator.Close()
		for _, n := range []int{3, block + 2} {
			images := pictures(n, side, side)
			want, err := evaluator.Sample(weights, images, n)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Damage(b.Compute, chain, 7, images)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Equal(got.Values.Uint8, images.Values.Uint8) || !slices.Equal(got.Values.Uint8, want.Damaged.Values.Uint8) {
				t.Errorf("%d images are damaged in another way than in the evaluation", n)
			}
		}
	})
}
