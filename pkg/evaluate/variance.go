package evaluate

import (
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/dataset"
)

// Feature is how well one feature of vectors is reconstructed.
type Feature struct {
	Name string
	// MSE is the mean squared error, in the model's scale.
	MSE float64
	// ExplainedVariance is 1 − Σᵢ (yᵢ − xᵢ)² / Σᵢ (xᵢ − x̄)² over the samples; NaN of a feature that does not vary.
	ExplainedVariance float64
}

// still is the variance in the model's scale, where features have about 1, below which a feature does not vary but by rounding.
const still = 1e-10

// variance sums the squared errors of vectors, and how far they lie from their mean: [samples] over the features, and [features]
// over the samples. Values are those of the model's scale.
type variance struct {
	samples  *dataset.Samples
	mean     []float64 // of each feature
	spread   sums      // of x from its mean
	errors   sums      // of the reconstruction from x
	damages  sums      // of the damaged input from x
	features []string
}

// sums are squares summed in both ways.
type sums struct{ samples, features []float64 }

func (s *sums) add(feature int, difference float64) {
	square := difference * difference
	s.samples[len(s.samples)-1] += square
	s.features[feature] += square
}

func newVariance(samples *dataset.Samples) *variance {
	size := samples.Size()
	v := &variance{samples: samples, mean: make([]float64, size), features: samples.Features}
	for _, s := range []*sums{&v.spread, &v.errors, &v.damages} {
		s.features = make([]float64, size)
	}
	for i := range samples.Len() {
		sample := samples.At(i)
		for j := range size {
			v.mean[j] += samples.Scale.At(j, sample.At(j)) / float64(samples.Len())
		}
	}
	return v
}

// add takes in the outputs of the program for n samples from the first-th on.
func (v *variance) add(first, n int, outputs []*tensors.Tensor) error {
	reconstructed, err := valuesOf(outputs[outputReconstructed])
	if err != nil {
		return err
	}
	damaged, err := valuesOf(outputs[outputDamaged])
	if err != nil {
		return err
	}
	size := len(v.mean)
	at := func(values array.Values, i, j int) float64 { return float64(values.Float32[i*size+j]) }
	for i := range n {
		for _, s := range []*sums{&v.spread, &v.errors, &v.damages} {
			s.samples = append(s.samples, 0)
		}
		sample := v.samples.At(first + i)
		for j := range size {
			x := v.samples.Scale.At(j, sample.At(j))
			v.spread.add(j, x-v.mean[j])
			v.errors.add(j, at(reconstructed, i, j)-x)
			v.damages.add(j, at(damaged, i, j)-x)
		}
	}
	return nil
}

// enter puts the figures in a result.
func (v *variance) enter(result *Result) {
	const name = "explained_variance"
	if figure, each := explained(v.errors.samples, v.spread.samples); each != nil {
		result.Reconstructed[name], result.Each[name] = figure, each
		if result.Corrupted != nil {
			result.Corrupted[name], _ = explained(v.damages.samples, v.spread.samples)
		}
	}
	for j, feature := range v.features {
		f := Feature{Name: feature, MSE: v.errors.features[j] / float64(len(v.errors.samples)), ExplainedVariance: math.NaN()}
		if v.spread.features[j] > still*float64(len(v.errors.samples)) {
			f.ExplainedVariance = 1 - v.errors.features[j]/v.spread.features[j]
		}
		result.Features = append(result.Features, f)
	}
}

// explained returns 1 − r, r = Σ errors / Σ spread, of sums of squares of each sample: the part of the variance that is explained. Its
// interval is that of a ratio of means, by its linearisation (Cochran 1977, section 6.3): that of the mean of each sample's
// 1 − r − (error − r spread) / mean spread, which is 1 − r too. There are none where nothing varies.
func explained(errors, spread []float64) (f Figure, each []float64) {
	of, all := figure(errors), figure(spread)
	if !(all.Mean > 0) {
		return Figure{}, nil
	}
	ratio := of.Mean / all.Mean
	each = make([]float64, len(errors))
	for i := range each {
		each[i] = 1 - ratio - (errors[i]-ratio*spread[i])/all.Mean
	}
	return Figure{Mean: 1 - ratio, Interval: figure(each).Interval}, each
}
