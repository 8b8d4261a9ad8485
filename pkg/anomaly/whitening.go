package anomaly

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/random"
)

// Whitening maps a sample x to
//
//	z = Σ^(−1/2) (x − μ)
//
// with the mean μ and the shrunk covariance Σ of a reference, as [Mahalanobis] has them. |z|² is the Mahalanobis distance; and since
// Σ^(−1/2) is symmetric, zⱼ belongs to value j of the sample, as near to it as uncorrelated values of one variance can be, so that z
// says where a sample is unusual.
//
// Source: Kessy, Lewin & Strimmer, "Optimal whitening and decorrelation", The American Statistician 72(4), 2018 (ZCA).
type Whitening struct {
	of *mahalanobis
}

// NewWhitening returns that of a reference.
func NewWhitening(ctx context.Context, reference Rows, seed random.Seed) (*Whitening, error) {
	of, err := newMahalanobis(ctx, reference, seed)
	if err != nil {
		return nil, fmt.Errorf("whitening: %w", err)
	}
	return &Whitening{of}, nil
}

// Whiten returns z of each row.
func (w *Whitening) Whiten(ctx context.Context, rows Rows) (Rows, error) {
	s := w.of.spectrum
	if err := checkLike(rows, len(s.mean)); err != nil {
		return Rows{}, fmt.Errorf("whitening: %w", err)
	}
	elsewhere := math.Sqrt(w.of.elsewhere)
	factors := make([]float64, len(w.of.precisions))
	for k, precision := range w.of.precisions {
		factors[k] = math.Sqrt(precision) - elsewhere
	}
	whitened := Rows{Values: make([]float32, len(rows.Values)), Features: rows.Features}
	err := blocks(ctx, rows.Len(), func(first, last int) {
		block := centred(rows, first, last, s.mean)
		var along, moved mat.Dense
		along.Mul(block, s.directions)
		for i := range last - first {
			floats.Mul(along.RawRowView(i), factors)
		}
		moved.Mul(&along, s.directions.T())
		for i := range last - first {
			to := whitened.Values[(first+i)*rows.Features:][:rows.Features]
			for j, x := range block.RawRowView(i) {
				to[j] = float32(elsewhere*x + moved.At(i, j))
			}
		}
	})
	return whitened, err
}
