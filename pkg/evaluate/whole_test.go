package evaluate

import (
	"math"
	"testing"

	"latent/pkg/array"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/restore"
)

// Pictures that do not fit into the memory go through the model in parts: their figures are those of each in one piece, with the same
// damage, and follow weights that change in place.
func TestWholeInParts(t *testing.T) {
	b := backendtest.XLA(t)
	m := &model.UNet{U: model.U{Channels: []int{2, 3}, Convolutions: 1, Kernel: 3, Pooling: "max", Upsampling: "transposed", Activation: "relu", Norm: "none", Init: "he"}, Residual: true, Output: "linear"}
	image := model.Image{Height: 32, Width: 32, Channels: 1}
	all := &dataset.Samples{Height: 32, Width: 32, Channels: 1, Patches: &dataset.Patches{Each: 1}, Values: array.Values{Uint8: []uint8{}}}
	for _, size := range []dataset.Size{{Height: 190, Width: 204}, {Height: 236, Width: 190}} {
		all.Patches.Starts = append(all.Patches.Starts, all.Patches.Values.Len())
		all.Patches.Values = all.Patches.Values.Append(pictures(1, size.Height, size.Width).Values)
		all.Patches.Sizes = append(all.Patches.Sizes, size)
	}
	for name, chain := range map[string]corrupt.Chain{
		"noise":  {&corrupt.Gaussian{Sigma: corrupt.Fixed(25)}},
		"erased": {&corrupt.Erase{Count: 2, Side: corrupt.Range{0.1, 0.4}, Value: -1}},
	} {
		spec := Spec{Model: m, Loss: model.Loss{Kind: "mse", Damaged: name == "erased"}, Seed: 5, Corrupt: chain, Memory: 1 << 30}
		whole, err := New(b.Compute, spec, all)
		if err != nil {
			t.Fatal(err)
		}
		defer whole.Close()
		spec.Memory = 1 << 16
		parts, err := New(b.Compute, spec, all)
		if err != nil {
			t.Fatal(err)
		}
		defer parts.Close()
		weights := drawn(m, image)
		for range 2 {
			want, err := whole.Measure(t.Context(), weights, all)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parts.Measure(t.Context(), weights, all)
			if err != nil {
				t.Fatal(err)
			}
			if whole.later.restorer != nil || parts.later.restorer == nil || len(parts.later.sizes) != 2 {
				t.Fatal("measured in one piece instead of parts, or the reverse")
			}
			got.Reconstructed["loss"], want.Reconstructed["loss"] = got.Loss, want.Loss
			for metric, figure := range want.Reconstructed {
				if mean := got.Reconstructed[metric].Mean; !(math.Abs(mean-figure.Mean) <= 1e-4*math.Abs(figure.Mean)) {
					t.Errorf("%s: %s %g, in one piece %g", name, metric, mean, figure.Mean)
				}
			}
			// The next round is one of other weights at the same addresses.
			last := weights[len(weights)-1]
			last.MustMutableFlatData(func(flat any) {
				for i := range flat.([]float32) {
					flat.([]float32)[i] += 0.25
				}
			})
		}
	}
}

// What Recover gives back counts in the figures: they are those of the model's pictures, recovered outside.
func TestWholeRecovered(t *testing.T) {
	b := backendtest.XLA(t)
	m := &model.UNet{U: model.U{Channels: []int{2, 3}, Convolutions: 1, Kernel: 3, Pooling: "max", Upsampling: "transposed", Activation: "relu", Norm: "none", Init: "he"}, Output: "linear"}
	image := model.Image{Height: 32, Width: 32, Channels: 1}
	all := &dataset.Samples{Height: 32, Width: 32, Channels: 1, Patches: &dataset.Patches{Each: 1}, Values: array.Values{Uint8: []uint8{}}}
	all.Patches.Values, all.Patches.Starts, all.Patches.Sizes = pictures(1, 66, 50).Values, []int{0}, []dataset.Size{{Height: 66, Width: 50}}
	spec := Spec{Model: m, Loss: model.Loss{Kind: "mse"}, Seed: 5, Corrupt: corrupt.Chain{&corrupt.Gaussian{Sigma: corrupt.Fixed(25)}}, Recover: true}
	e, err := New(b.Compute, spec, all)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	weights := drawn(m, image)
	got, err := e.Measure(t.Context(), weights, all)
	if err != nil {
		t.Fatal(err)
	}
	restorer, err := restore.New(b.Compute, m, weights, all.Like())
	if err != nil {
		t.Fatal(err)
	}
	defer restorer.Close()
	sum, n := 0.0, 0
	err = e.Damaged(t.Context(), all, func(clean, damaged *dataset.Samples) error {
		values := make([]float32, damaged.Size()) // not clipped, as Scaled would
		for i := range values {
			values[i] = float32(damaged.Values.At(i)/127.5 - 1)
		}
		restored, err := restorer.Values(t.Context(), values, 50, 66)
		restore.Recover(restored, values, 50, 66, 1)
		for i, x := range clean.Scaled(0, 1) {
			y := float64(restored[i])
			sum += (y - float64(x)) * (y - float64(x))
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if mse, want := got.Reconstructed["mse"].Mean, sum/float64(n); !(math.Abs(mse-want) <= 1e-4*want) {
		t.Errorf("MSE %g, want %g", mse, want)
	}
}
