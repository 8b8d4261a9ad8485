package evaluate

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/scale"
)

// PSNR and SSIM agree with scikit-image, MSE and MAE with NumPy (testdata/golden.py).
func TestMetricsAgainstScikitImage(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name                    string
		Height, Width, Channels int
		Clean, Damaged          []int
		PSNR, SSIM, MSE, MAE    float64
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, c := range cases {
			image := model.Image{Height: c.Height, Width: c.Width, Channels: c.Channels}
			row := func(values []int) any {
				pixels := make([]uint8, len(values))
				for i, v := range values {
					pixels[i] = uint8(v)
				}
				return tensors.FromFlatDataAndDimensions(pixels, 1, image.Size())
			}
			outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
				var values []*Node
				for _, metric := range Metrics {
					values = append(values, metric.PerImage(model.Pixels(nodes[0], image, scale.Scale{}), model.Pixels(nodes[1], image, scale.Scale{})))
				}
				return values
			}, row(c.Clean), row(c.Damaged))
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]float64{"psnr": c.PSNR, "ssim": c.SSIM, "mse": c.MSE, "mae": c.MAE}
			for i, metric := range Metrics {
				got := float64(tensors.MustCopyFlatData[float32](outputs[i])[0])
				if math.Abs(got-want[metric.Name]) > 2e-5*max(1, math.Abs(want[metric.Name])) {
					t.Errorf("%s: %s is %g, want %g", c.Name, metric.Name, got, want[metric.Name])
				}
			}
		}
	})
}

// pictures returns n images of a deterministic pattern.
func pictures(n, height, width int) *dataset.Samples {
	images := &dataset.Samples{Height: height, Width: width, Channels: 1, Values: array.Values{Uint8: make([]uint8, n*height*width)}}
	for i := range images.Values.Uint8 {
		images.Values.Uint8[i] = uint8(random.NewSeed(1).Block(uint32(i), 0)[0])
	}
	return images
}

// like are no images of a size, as bytes.
func like(image model.Image) *dataset.Samples {
	return &dataset.Samples{Height: image.Height, Width: image.Width, Channels: image.Channels}
}

// A model that gives its input back unchanged: an identity weight and no hidden layer.
func identity(size int) (model.Model, []*tensors.Tensor) {
	m := &model.Dense{Encoder: []int{size}, Activation: "linear", LatentActivation: "linear", Output: "linear", Init: "pytorch"}
	unit := make([]float32, size*size)
	for i := range size {
		unit[i*size+i] = 1
	}
	matrix := func() *tensors.Tensor { return tensors.FromFlatDataAndDimensions(unit, size, size) }
	zeros := func() *tensors.Tensor { return tensors.FromFlatDataAndDimensions(make([]float32, size), size) }
	return m, []*tensors.Tensor{matrix(), zeros(), matrix(), zeros()}
}

// With the identity as the model, the reconstruction's figures are the corrupted input's, whatever the number of images;
// and the damage is the same for every evaluation.
func TestMeasureIdentity(t *testing.T) {
	const side = 12
	image := model.Image{Height: side, Width: side, Channels: 1}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m, weights := identity(side * side)
		chain := corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.5), Clip: true}}
		evaluator, err := New(b.Compute, Spec{Model: m, Corrupt: chain, Loss: model.Loss{Kind: "mse"}, Seed: 1}, like(image))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, block, block + 3} {
			result, err := evaluator.Measure(context.Background(), weights, pictures(n, side, side))
			if err != nil {
				t.Fatal(err)
			}
			if result.Images != n {
				t.Errorf("measured %d images, want %d", result.Images, n)
			}
			for name, figure := range result.Reconstructed {
				if other := result.Corrupted[name]; math.Abs(figure.Mean-other.Mean) > 1e-5 {
					t.Errorf("%d images: %s is %g through the identity, %g before it", n, name, figure.Mean, other.Mean)
				}
			}
			again, err := evaluator.Measure(context.Background(), weights, pictures(n, side, side))
			if err != nil {
				t.Fatal(err)
			}
			if again.Loss != result.Loss {
				t.Errorf("%d images: loss %v, then %v", n, result.Loss, again.Loss)
			}
		}
	})
}

// The loss is the one that training has: a quarter of a white image is erased to black, which the identity leaves as it is.
func TestMeasureLossOnDamaged(t *testing.T) {
	const side = 12
	white := &dataset.Samples{Height: side, Width: side, Channels: 1, Values: array.Values{Uint8: slices.Repeat([]uint8{255}, 3*side*side)}}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m, weights := identity(side * side)
		chain := corrupt.Chain{&corrupt.Erase{Count: 1, Side: corrupt.Fixed(0.5), Value: -1}}
		for damaged, want := range map[bool]float64{false: 1, true: 4} {
			spec := Spec{Model: m, Corrupt: chain, Loss: model.Loss{Kind: "mse", Damaged: damaged}, Seed: 1}
			evaluator, err := New(b.Compute, spec, like(model.Image{Height: side, Width: side, Channels: 1}))
			if err != nil {
				t.Fatal(err)
			}
			result, err := evaluator.Measure(context.Background(), weights, white)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(result.Loss.Mean-want) > 1e-4 {
				t.Errorf("loss %g, want %g; on damaged pixels alone: %v", result.Loss.Mean, want, damaged)
			}
		}
	})
}

// Weights that were changed in place, at the address they had before, are measured as they are now. XLA packs a matrix of
// this size once for its address where it is an input of the program.
func TestMeasureChangedWeights(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		image := model.Image{Height: 28, Width: 28, Channels: 1}
		m := &model.Dense{Encoder: []int{256}, Activation: "relu", LatentActivation: "relu", Output: "tanh", Init: "pytorch"}
		var weights, changed []*tensors.Tensor
		for i, param := range model.Params(m, image) {
			values := param.Init.Values(random.NewSeed(1).Child(i), param.Size())
			weights = append(weights, tensors.FromFlatDataAndDimensions(values, param.Dims...))
			for j := range values {
				values[j] *= 3
			}
			changed = append(changed, tensors.FromFlatDataAndDimensions(values, param.Dims...))
		}
		evaluator, err := New(b.Compute, Spec{Model: m, Loss: model.Loss{Kind: "mse"}}, like(image))
		if err != nil {
			t.Fatal(err)
		}
		measure := func(weights []*tensors.Tensor) float64 {
			result, err := evaluator.Measure(context.Background(), weights, pictures(2, 28, 28))
			if err != nil {
				t.Fatal(err)
			}
			return result.Loss.Mean
		}
		before := measure(weights)
		for _, tensor := range weights {
			tensors.MustMutableFlatData(tensor, func(values []float32) {
				for j := range values {
					values[j] *= 3
				}
			})
		}
		if after, want := measure(weights), measure(changed); after != want {
			t.Errorf("loss %g with weights changed in place, want %g; it was %g before", after, want, before)
		}
	})
}

// Without damage there is nothing to set beside the model's figures, and a perfect reconstruction has the floor's PSNR.
func TestMeasureWithoutCorruption(t *testing.T) {
	const side = 12
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m, weights := identity(side * side)
		evaluator, err := New(b.Compute, Spec{Model: m, Corrupt: corrupt.Chain{&corrupt.None{}}, Loss: model.Loss{Kind: "mse"}}, like(model.Image{Height: side, Width: side, Channels: 1}))
		if err != nil {
			t.Fatal(err)
		}
		result, err := evaluator.Measure(context.Background(), weights, pictures(5, side, side))
		if err != nil {
			t.Fatal(err)
		}
		if result.Corrupted != nil {
			t.Errorf("figures of an undamaged input: %v", result.Corrupted)
		}
		if got := result.Reconstructed["psnr"].Mean; math.Abs(got-100) > 1e-3 {
			t.Errorf("PSNR %g dB, want 100", got)
		}
	})
}

// Images too small for SSIM's window are measured by the other metrics.
func TestMeasureSmallImages(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m, weights := identity(9)
		evaluator, err := New(b.Compute, Spec{Model: m, Loss: model.Loss{Kind: "mse"}}, like(model.Image{Height: 3, Width: 3, Channels: 1}))
		if err != nil {
			t.Fatal(err)
		}
		result, err := evaluator.Measure(context.Background(), weights, pictures(2, 3, 3))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := result.Reconstructed["ssim"]; ok || len(result.Reconstructed) == 0 {
			t.Errorf("figures %v, want some but no ssim", result.Reconstructed)
		}
	})
}

// Five values whose mean and standard error are known: 1 … 5 have mean 3 and s = √2.5.
func TestFigure(t *testing.T) {
	got := figure([]float64{1, 2, 3, 4, 5})
	if want := 1.96 * math.Sqrt(2.5/5); got.Mean != 3 || math.Abs(got.Interval-want) > 1e-12 {
		t.Errorf("got %v, want 3 ± %g", got, want)
	}
	if one := figure([]float64{7}); one != (Figure{Mean: 7}) {
		t.Errorf("one value: got %v", one)
	}
	// Errors of 0.1 and 0.001 are 10 and 30 dB: their mean is 20 dB, but the pooled error 0.0505 is 12.97 dB.
	if pooled := pooledPSNR([]float64{10, 30}); math.Abs(pooled-12.9671) > 1e-4 {
		t.Errorf("pooled PSNR %g, want 12.9671", pooled)
	}
}

func TestFigureText(t *testing.T) {
	for _, c := range []struct {
		figure         Figure
		mean, interval string
	}{
		{Figure{21.20384, 0.03712}, "21.204", "0.037"},
		{Figure{0.034409, 0.00032}, "0.03441", "0.00032"},
		{Figure{-1.25, 0.5}, "−1.25", "0.50"},
		{Figure{123.4, 25}, "123", "25"},
		{Figure{21.20384, 0}, "21.20", ""},
		{Figure{0.0363, 0}, "0.03630", ""},
		{Figure{0, 0}, "0", ""},
		{Figure{50, 0}, "50", ""},
		{Figure{math.NaN(), 0.1}, "—", ""},
		{Figure{math.Inf(1), 0}, "—", ""},
		{Figure{0.5, math.NaN()}, "0.5000", ""},
		{Figure{0.732171786, 1e-9}, "0.7322", ""},
	} {
		if mean, interval := c.figure.Text(); mean != c.mean || interval != c.interval {
			t.Errorf("%v is written %q ± %q, want %q ± %q", c.figure, mean, interval, c.mean, c.interval)
		}
	}
}

// Student's t with two degrees of freedom is 4.3027 at 97.5 %: of 1, 2 and 3 the interval is 4.3027 · 1 / √3.
func TestOverRuns(t *testing.T) {
	got := OverRuns([]float64{1, 2, 3})
	if math.Abs(got.Mean-2) > 1e-12 || math.Abs(got.Interval-2.48414) > 1e-4 {
		t.Errorf("got %v, want 2 ± 2.4841", got)
	}
	if one := OverRuns([]float64{5}); one.Mean != 5 || one.Interval != 0 {
		t.Errorf("of one run: %v, want 5 without an interval", one)
	}
}

// Whole pictures of several sizes are measured at their own: a model that changes nothing has their noise's figures, and the mean is one
// over pictures.
func TestWholePictures(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		sizes := []dataset.Size{{Height: 20, Width: 31}, {Height: 16, Width: 16}, {Height: 20, Width: 31}}
		s := &dataset.Samples{Height: 12, Width: 12, Channels: 1, Patches: &dataset.Patches{Each: 1, Sizes: sizes}, Values: array.Values{Uint8: []uint8{}}}
		for _, size := range sizes {
			s.Patches.Starts = append(s.Patches.Starts, s.Patches.Values.Len())
			s.Patches.Values = s.Patches.Values.Append(pictures(1, size.Height, size.Width).Values)
		}
		m := &model.UNet{U: model.U{Channels: []int{2}, Convolutions: 1, Kernel: 3, Pooling: "max", Upsampling: "transposed", Activation: "relu", Norm: "none", Init: "he"}, Residual: true, Output: "linear"}
		image := model.Image{Height: 12, Width: 12, Channels: 1}
		var zeros []*tensors.Tensor
		for _, param := range model.Params(m, image) {
			zeros = append(zeros, tensors.FromFlatDataAndDimensions(make([]float32, param.Size()), param.Dims...))
		}
		spec := Spec{Model: m, Loss: model.Loss{Kind: "mse"}, Seed: 5, Corrupt: corrupt.Chain{&corrupt.Gaussian{Sigma: corrupt.Fixed(25)}}}
		e, err := New(b.Compute, spec, s)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		result, err := e.Measure(t.Context(), zeros, s)
		if err != nil {
			t.Fatal(err)
		}
		if result.Images != 3 || result.Reconstructed["psnr"].Mean != result.Corrupted["psnr"].Mean {
			t.Errorf("%d pictures, %+v and %+v", result.Images, result.Reconstructed["psnr"], result.Corrupted["psnr"])
		}
		if mse, want := result.Reconstructed["mse"].Mean, math.Pow(25/127.5, 2); math.Abs(mse-want) > 0.15*want {
			t.Errorf("the noise's variance is %g, want %g", mse, want)
		}
		sum := 0.0
		for _, whole := range s.Whole() {
			one, err := New(b.Compute, spec, whole)
			if err != nil {
				t.Fatal(err)
			}
			found, err := one.Measure(t.Context(), zeros, whole)
			one.Close()
			if err != nil {
				t.Fatal(err)
			}
			sum += found.Reconstructed["psnr"].Mean * float64(whole.Len())
		}
		if got := result.Reconstructed["psnr"].Mean; math.Abs(got-sum/3) > 1e-6 {
			t.Errorf("PSNR %g, want the mean over pictures %g", got, sum/3)
		}
		dense := &model.Dense{Encoder: []int{4}, Activation: "relu", LatentActivation: "relu", Output: "linear", Init: "pytorch"}
		if e, err = New(b.Compute, Spec{Model: dense, Loss: model.Loss{Kind: "mse"}}, s); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Measure(t.Context(), model.FirstWeights(dense, image, random.NewSeed(1)), s); err == nil || !strings.Contains(err.Error(), "the model only works on 12×12") {
			t.Errorf("error %v", err)
		}
	})
}
