package evaluate

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/corrupt"
	"latent/pkg/model"
	"latent/pkg/random"
)

// drawn are first weights of a model.
func drawn(m model.Model, image model.Image) []*tensors.Tensor {
	var weights []*tensors.Tensor
	for i, param := range model.Params(m, image) {
		weights = append(weights, tensors.FromFlatDataAndDimensions(param.Init.Values(random.NewSeed(5).Child(i), param.Size()), param.Dims...))
	}
	return weights
}

// A pass in little memory takes few images at once, and finds what one in much memory finds: the damage is the same to the byte,
// and so is what the model draws.
func TestMemoryDecidesNoFigure(t *testing.T) {
	const side = 12
	image := model.Image{Height: side, Width: side, Channels: 1}
	chain := corrupt.Chain{
		&corrupt.Erase{Count: 2, Side: corrupt.Range{0.2, 0.6}, Value: -1},
		&corrupt.Masking{Probability: corrupt.Range{0.1, 0.5}, Patch: 2, Value: 0.5},
	}
	vae := model.Kinds["vae"]().(*model.VAE)
	vae.Encoder, vae.Latent, vae.Decoder = []int{16}, 3, []int{16}
	dense := &model.Dense{Encoder: []int{16, 3}, Decoder: []int{16}, Activation: "relu", LatentActivation: "linear", Output: "tanh", Init: "pytorch"}
	images := pictures(block+123, side, side)
	b, err := backend.OpenInstalled("go", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for name, m := range map[string]model.Model{"dense": dense, "vae": vae} {
		var results []Result
		var samples []Samples
		var bounds []*Likelihood
		var taken []int
		for _, memory := range []int64{1 << 30, 1 << 17} {
			spec := Spec{Model: m, Corrupt: chain, Loss: model.Loss{Kind: "mse"}, Seed: 3, Memory: memory}
			if name == "vae" {
				spec.Corrupt = nil
			}
			e, err := New(b.Compute, spec, like(image))
			if err != nil {
				t.Fatal(err)
			}
			weights := drawn(m, image)
			result, err := e.Measure(context.Background(), weights, images)
			if err != nil {
				t.Fatal(err)
			}
			sample, err := e.Sample(weights, images, images.Len())
			if err != nil {
				t.Fatal(err)
			}
			bound, err := e.Likelihood(context.Background(), weights, images, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			results, samples, bounds, taken = append(results, result), append(samples, sample), append(bounds, bound), append(taken, e.main.images)
		}
		if taken[0] != block || taken[1] >= block/2 {
			t.Errorf("%s: %d and %d images at once", name, taken[0], taken[1])
		}
		if !slices.Equal(samples[0].Damaged.Values.Uint8, samples[1].Damaged.Values.Uint8) {
			t.Errorf("%s: other damage with %d images at once than with %d", name, taken[1], taken[0])
		}
		same := func(what string, a, b map[string]Figure) {
			for figure := range a {
				if x, y := a[figure].Mean, b[figure].Mean; math.Abs(x-y) > 1e-5*max(1, math.Abs(x)) {
					t.Errorf("%s: %s %s is %g with %d images at once, %g with %d", name, what, figure, y, taken[1], x, taken[0])
				}
			}
		}
		same("reconstruction's", results[0].Reconstructed, results[1].Reconstructed)
		same("loss", map[string]Figure{"": results[0].Loss}, map[string]Figure{"": results[1].Loss})
		if name == "vae" {
			same("likelihood's", bounds[0].Figures, bounds[1].Figures)
		}
	}
}
