package evaluate

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/dataset"
	"latent/pkg/model"
)

// shades returns n images of 2×2, each of one of two shades, which is its label; one in three is bright.
func shades(n int) *dataset.Samples {
	images := &dataset.Samples{Height: 2, Width: 2, Channels: 1}
	for i := range n {
		label := uint8(0)
		if i%3 == 0 {
			label = 1
		}
		images.Values.Uint8 = append(images.Values.Uint8, slices.Repeat([]uint8{50 + 100*label + uint8(i%7)}, 4)...)
		images.Labels = append(images.Labels, label)
	}
	return images
}

// The code is the image in four parts of one value, and the entries are −1, −½ and ½: dark images choose the second, bright
// ones the third, one image in three. Padding chooses nothing.
func TestCodebook(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m := &model.VQVAE{Coder: model.Coder{Network: model.Network{Latent: 4, Activation: "linear", Init: "pytorch"}, Output: "linear"}, EntrySize: 1, Entries: 3}
		unit := []float32{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}
		given := map[string][]float32{
			"encoder.code.weight": unit, "decoder.pixels.weight": unit,
			"codebook.shares": {1, 1, 1}, "codebook.sums": {-1, -0.5, 0.5},
		}
		image := model.Image{Height: 2, Width: 2, Channels: 1}
		var weights []*tensors.Tensor
		for _, param := range model.Params(m, image) {
			values := given[param.Name]
			if values == nil {
				values = make([]float32, param.Size())
			}
			weights = append(weights, tensors.FromFlatDataAndDimensions(values, param.Dims...))
		}
		evaluator, err := New(b.Compute, Spec{Model: m}, like(image))
		if err != nil {
			t.Fatal(err)
		}
		found, err := evaluator.Codebook(context.Background(), weights, shades(block+100)) // 600 images
		if err != nil {
			t.Fatal(err)
		}
		want := math.Exp(math.Log(3)/3 + math.Log(1.5)*2/3)
		if got := found["perplexity"].Mean; math.Abs(got-want) > 1e-9 || found["entries_used"].Mean != 2 {
			t.Errorf("perplexity %g with %g entries, want %g with 2", got, found["entries_used"].Mean, want)
		}
	})
}

// Models without a codebook have no such figures. The shade is read from the identity's code, every time the same way.
func TestProbe(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m, weights := identity(4)
		evaluator, err := New(b.Compute, Spec{Model: m, Loss: model.Loss{Kind: "mse"}}, like(model.Image{Height: 2, Width: 2, Channels: 1}))
		if err != nil {
			t.Fatal(err)
		}
		if found, err := evaluator.Codebook(context.Background(), weights, shades(3)); found != nil || err != nil {
			t.Errorf("a codebook of a model without one: %v, %v", found, err)
		}
		if size := evaluator.CodeSize(); size != 4 {
			t.Errorf("the code has %d values, want 4", size)
		}
		split := &dataset.Split{Train: shades(600), Validation: shades(60), Test: shades(90), Classes: []string{"dark", "bright"}}
		for i := range 9 {
			split.Test.Labels[i] = 1 - split.Test.Labels[i] // a tenth is wrong
		}
		found, err := evaluator.Probe(context.Background(), weights, split)
		if err != nil {
			t.Fatal(err)
		}
		interval := 1.96 * math.Sqrt(0.9*0.1/89)
		if found.Accuracy.Mean != 0.9 || math.Abs(found.Accuracy.Interval-interval) > 1e-9 || found.ValidationAccuracy != 1 {
			t.Errorf("found %+v, want an accuracy of 0.9 ± %.4f", found, interval)
		}
		if again, err := evaluator.Probe(context.Background(), weights, split); err != nil || again != found {
			t.Errorf("then %+v, %v", again, err)
		}
	})
}
