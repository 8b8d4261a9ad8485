package evaluate

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
)

// A plane is harmonic: whatever is missing of it inside is filled in as it was, on each channel by itself.
func TestInpaintPlane(t *testing.T) {
	image := model.Image{Height: 9, Width: 12, Channels: 3}
	want := make([]uint8, image.Size())
	for i := range want {
		y, x, c := i/3/image.Width, i/3%image.Width, i%3
		want[i] = uint8([]int{10 + 7*y + 3*x, 200 - 5*y - 9*x, 40 + 12*x}[c])
	}
	pixels, mask := slices.Clone(want), make([]uint8, image.Height*image.Width)
	for y := 2; y < 7; y++ {
		for x := 3; x < 10; x++ {
			mask[y*image.Width+x] = 1
			for c := range 3 {
				pixels[(y*image.Width+x)*3+c] = 255
			}
		}
	}
	inpaint(pixels, mask, image)
	for i := range want {
		if math.Abs(float64(pixels[i])-float64(want[i])) > 1 {
			t.Errorf("value %d: %d, want %d", i, pixels[i], want[i])
		}
	}
	// Where nothing is known there is nothing to go by.
	for i := range mask {
		mask[i] = 1
	}
	before := slices.Clone(pixels)
	inpaint(pixels, mask, image)
	if !slices.Equal(pixels, before) {
		t.Error("an image that is all damaged was changed")
	}
}

// Half of each image is erased to black. Inside and outside are told apart, and the baseline that knows the mask fills a white
// image to white.
func TestMaskFigures(t *testing.T) {
	image := model.Image{Height: 12, Width: 12, Channels: 1}
	white := slices.Repeat([]uint8{255}, (block+7)*image.Size())
	images := &dataset.Samples{Height: 12, Width: 12, Channels: 1, Values: array.Values{Uint8: white}}
	// All weights are 0, and so the model's image is grey.
	m := &model.Dense{Encoder: []int{1}, Activation: "relu", LatentActivation: "relu", Output: "linear", Init: "pytorch"}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		chain := corrupt.Chain{&corrupt.Erase{Count: 1, Side: corrupt.Fixed(0.5), Value: -1}}
		evaluator, err := New(b.Compute, Spec{Model: m, Corrupt: chain, Loss: model.Loss{Kind: "mse"}, Seed: 1}, like(image))
		if err != nil {
			t.Fatal(err)
		}
		var weights []*tensors.Tensor
		for _, param := range model.Params(m, image) {
			weights = append(weights, tensors.FromFlatDataAndDimensions(make([]float32, param.Size()), param.Dims...))
		}
		result, err := evaluator.Measure(context.Background(), weights, images)
		if err != nil {
			t.Fatal(err)
		}
		known, err := evaluator.MaskKnown(context.Background(), weights, images)
		if err != nil {
			t.Fatal(err)
		}
		// The model's image is grey, 0: its squared error is 1 on white. Erased pixels are black: 4.
		for _, check := range []struct {
			what      string
			got, want float64
		}{
			{"reconstructed inside", result.Reconstructed["mse_inside"].Mean, 1},
			{"reconstructed outside", result.Reconstructed["mse_outside"].Mean, 1},
			{"corrupted inside", result.Corrupted["mse_inside"].Mean, 4},
			{"corrupted outside", result.Corrupted["mse_outside"].Mean, 0},
			{"mask known inside", known["mse_inside"].Mean, 0},
			{"mask known", known["mse"].Mean, 0},
			{"mask known PSNR", known["psnr"].Mean, 100},
		} {
			if math.Abs(check.got-check.want) > 1e-3 {
				t.Errorf("%s: %g, want %g", check.what, check.got, check.want)
			}
		}
		plain, err := New(b.Compute, Spec{Model: m, Corrupt: corrupt.Chain{&corrupt.Blur{Sigma: corrupt.Fixed(1)}}, Loss: model.Loss{Kind: "mse"}}, like(image))
		if err != nil {
			t.Fatal(err)
		}
		blurred, err := plain.Measure(context.Background(), weights, images)
		if err != nil {
			t.Fatal(err)
		}
		if _, found := blurred.Reconstructed["mse_inside"]; found {
			t.Error("a blur has no inside, but has a figure of it")
		}
	})
}
