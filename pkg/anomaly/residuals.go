package anomaly

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Residuals scores by reconstruction errors that are weighted by how well each feature is reconstructed in normal samples:
//
//	1/d Σⱼ (xⱼ − yⱼ)² / vⱼ,   vⱼ = 1/n Σᵢ (xᵢⱼ − yᵢⱼ)² over n normal samples
//
// so that an error counts by what is usual for its feature. A normal sample scores about 1. The normal samples are to be some that
// the model was not trained on, for its errors in others are smaller.
//
// vⱼ is at least 10⁻⁴ of its mean over features: a feature that is always reconstructed to the bit would outweigh all others.
type Residuals struct {
	usual []float64 // vⱼ
}

// NewResiduals returns the weights that normal samples x and their reconstructions y give.
func NewResiduals(x, y Rows) (*Residuals, error) {
	if err := checkPair(x, y); err != nil {
		return nil, fmt.Errorf("usual errors: %w", err)
	}
	if len(x.Values) == 0 {
		return nil, fmt.Errorf("usual errors: no samples; give normal ones that the model was not trained on")
	}
	r := &Residuals{usual: make([]float64, x.Features)}
	n, mean := float64(x.Len()), 0.0
	for i := range x.Len() {
		for j, square := range squaredErrors(x.Row(i), y.Row(i)) {
			r.usual[j] += square / n
			mean += square / n / float64(x.Features)
		}
	}
	least := 1e-4 * mean
	if least == 0 {
		least = 1 // no errors at all
	}
	for j := range r.usual {
		r.usual[j] = max(r.usual[j], least)
	}
	return r, nil
}

// Score returns the score of each sample x with its reconstruction y.
func (r *Residuals) Score(x, y Rows) ([]float64, error) {
	if err := checkPair(x, y); err != nil {
		return nil, fmt.Errorf("weighted errors: %w", err)
	}
	if err := checkLike(x, len(r.usual)); err != nil {
		return nil, fmt.Errorf("weighted errors: %w", err)
	}
	scores := make([]float64, x.Len())
	for i := range scores {
		for j, square := range squaredErrors(x.Row(i), y.Row(i)) {
			scores[i] += square / r.usual[j] / float64(x.Features)
		}
	}
	return scores, nil
}

// Contribution is what a feature adds to a sample's score.
type Contribution struct {
	Feature int
	Error   float64 // xⱼ − yⱼ: positive where the sample is above what the model expects
	Times   float64 // (xⱼ − yⱼ)² / vⱼ: the squared error as a multiple of the usual one
	Share   float64 // of the sample's score, from 0 to 1
}

// Top returns the features that add the most to the score of a sample x with its reconstruction y, the one that adds most first:
// count of them, or all where there are fewer. x and y are finite and as long as the samples of [NewResiduals].
func (r *Residuals) Top(x, y []float32, count int) []Contribution {
	all := make([]Contribution, len(r.usual))
	sum := 0.0
	for j, square := range squaredErrors(x, y) {
		all[j] = Contribution{Feature: j, Error: float64(x[j]) - float64(y[j]), Times: square / r.usual[j]}
		sum += all[j].Times
	}
	if sum > 0 {
		for j := range all {
			all[j].Share = all[j].Times / sum
		}
	}
	slices.SortStableFunc(all, func(a, b Contribution) int { return cmp.Compare(b.Times, a.Times) })
	return all[:min(count, len(all))]
}

// squaredErrors returns (xⱼ − yⱼ)² of each feature.
func squaredErrors(x, y []float32) []float64 {
	squares := make([]float64, len(x))
	for j := range squares {
		squares[j] = math.Pow(float64(x[j])-float64(y[j]), 2)
	}
	return squares
}

// checkPair returns an error where y are not reconstructions of x.
func checkPair(x, y Rows) error {
	if err := x.check(); err != nil {
		return err
	}
	if err := y.check(); err != nil {
		return fmt.Errorf("reconstructions: %w", err)
	}
	if x.Features != y.Features || x.Len() != y.Len() {
		return fmt.Errorf("samples [%d, %d], but reconstructions [%d, %d]", x.Len(), x.Features, y.Len(), y.Features)
	}
	return nil
}
