package evaluate

import (
	"math"
	"slices"
	"testing"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/scale"
)

// table are rows of three features of different scales; the last does not vary.
func table(n int) *dataset.Samples {
	rows := &dataset.Samples{Height: 1, Width: 3, Channels: 1, Features: []string{"a", "b", "c"},
		Scale: scale.Scale{Factors: []float64{0.5, 0.01, 1}, Offsets: []float64{-1, 0, -7}, Open: true}}
	for i, u := range random.NewSeed(5).Uniform(2 * n) {
		if i%2 == 0 {
			rows.Values = rows.Values.Append(array.Values{Float32: []float32{3 * u}})
		} else {
			rows.Values = rows.Values.Append(array.Values{Float32: []float32{100 + 40*u, 7}})
		}
	}
	return rows
}

// The figures of vectors are those that are worked out from what comes out, on values in the model's scale. A model of linear layers
// reconstructs nothing well, so that none of them is trivial.
func TestVectors(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		rows := table(700) // more than a block
		image := model.Image{Height: 1, Width: 3, Channels: 1}
		m := &model.Dense{Encoder: []int{2}, Activation: "linear", LatentActivation: "linear", Output: "linear", Init: "pytorch"}
		spec := Spec{Model: m, Loss: model.Loss{Kind: "mse"}, Seed: 3, Corrupt: corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.8), Clip: true}}}
		e, err := New(b.Compute, spec, rows)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		weights := model.FirstWeights(m, image, random.NewSeed(1))
		result, err := e.Measure(t.Context(), weights, rows)
		if err != nil {
			t.Fatal(err)
		}
		samples, err := e.Sample(weights, rows, rows.Len())
		if err != nil {
			t.Fatal(err)
		}
		n := rows.Len()
		var mean, errors, spread [3]float64
		damaged, beyond := 0.0, false
		for i := range n {
			for j := range 3 {
				mean[j] += samples.Clean.At(i).At(j) / float64(n)
			}
		}
		absolute := 0.0
		for i := range n {
			for j := range 3 {
				x, y, d := samples.Clean.At(i).At(j), samples.Reconstructed.At(i).At(j), samples.Damaged.At(i).At(j)
				if want := rows.Scale.At(j, rows.At(i).At(j)); math.Abs(x-want) > 1e-5 {
					t.Fatalf("value %d of row %d is %g in the model's scale, want %g", j, i, x, want)
				}
				errors[j] += (y - x) * (y - x)
				spread[j] += (x - mean[j]) * (x - mean[j])
				absolute += math.Abs(y-x) / float64(3*n)
				damaged += (d - x) * (d - x)
				beyond = beyond || math.Abs(d) > 1.5
			}
		}
		sum := func(values [3]float64) float64 { return values[0] + values[1] + values[2] }
		near := func(what string, got, want float64) {
			t.Helper()
			if !(math.Abs(got-want) <= 1e-4*max(1, math.Abs(want))) {
				t.Errorf("%s is %g, want %g", what, got, want)
			}
		}
		near("MSE", result.Reconstructed["mse"].Mean, sum(errors)/float64(3*n))
		near("MAE", result.Reconstructed["mae"].Mean, absolute)
		near("explained variance", result.Reconstructed["explained_variance"].Mean, 1-sum(errors)/sum(spread))
		near("of the damaged input", result.Corrupted["explained_variance"].Mean, 1-damaged/sum(spread))
		for j, f := range result.Features {
			if j == 2 {
				if !math.IsNaN(f.ExplainedVariance) {
					t.Errorf("explained variance of what does not vary: %g", f.ExplainedVariance)
				}
				continue
			}
			near("explained variance of "+f.Name, f.ExplainedVariance, 1-errors[j]/spread[j])
			near("MSE of "+f.Name, f.MSE, errors[j]/float64(n))
		}
		if _, found := result.Reconstructed["psnr"]; found {
			t.Error("vectors have a PSNR")
		}
		if !beyond {
			t.Error("the noise is kept within the ends of a scale that has none")
		}
		if f := result.Reconstructed["explained_variance"]; !(f.Interval > 0) {
			t.Errorf("interval %g", f.Interval)
		}
	})
}

// Swap noise gives held-out samples values of others of their column, whatever the memory is, and does not depend on it.
func TestSwapOfHeldOut(t *testing.T) {
	b := backendtest.XLA(t)
	rows := table(620)
	m := &model.Dense{Encoder: []int{2}, Activation: "linear", LatentActivation: "linear", Output: "linear", Init: "pytorch"}
	weights := model.FirstWeights(m, model.Image{Height: 1, Width: 3, Channels: 1}, random.NewSeed(1))
	damaged := func(memory int64) *dataset.Samples {
		e, err := New(b.Compute, Spec{Model: m, Loss: model.Loss{Kind: "mse"}, Memory: memory, Corrupt: corrupt.Chain{&corrupt.Swap{Probability: corrupt.Fixed(0.5)}}}, rows)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		samples, err := e.Sample(weights, rows, rows.Len())
		if err != nil {
			t.Fatal(err)
		}
		return samples.Damaged
	}
	got, clean := damaged(0), rows.Shown()
	columns := make([][]float32, 3)
	for i, x := range clean.Values.Float32 {
		columns[i%3] = append(columns[i%3], x)
	}
	moved := 0
	for i, x := range got.Values.Float32 {
		if !slices.ContainsFunc(columns[i%3], func(own float32) bool { return math.Abs(float64(own-x)) < 1e-6 }) {
			t.Fatalf("value %d of row %d is of no row: %g", i%3, i/3, x)
		}
		if i%3 < 2 && x != clean.Values.Float32[i] {
			moved++
		}
	}
	if share := float64(moved) / float64(2*rows.Len()); math.Abs(share-0.5) > 0.08 {
		t.Errorf("%.2f of the values were swapped, want about 0.5", share)
	}
	if little := damaged(1 << 10); !slices.Equal(little.Values.Float32, got.Values.Float32) {
		t.Error("less memory gives another damage")
	}
	only, err := Damage(b.Compute, corrupt.Chain{&corrupt.Swap{Probability: corrupt.Fixed(0.5)}}, 0, rows)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(only.Values.Float32, got.Values.Float32) {
		t.Error("Damage differs from what the evaluator meets")
	}
}
