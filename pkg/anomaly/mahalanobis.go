package anomaly

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/floats"

	"latent/pkg/random"
)

// Mahalanobis scores by the squared Mahalanobis distance from the reference,
//
//	(x − μ)ᵀ Σ⁻¹ (x − μ),   Σ = (1 − δ) S + δ tr(S)/d I
//
// with the covariance S of the reference (n its divisor) and the shrinkage δ of Ledoit and Wolf,
//
//	δ = min(1, β / γ),   β = 1/(d n) (1/n Σᵢ |xᵢ − μ|⁴ − |S|²),   γ = 1/d |S|² − (tr(S)/d)²
//
// which makes Σ invertible where there are fewer samples than features, too. |S|² is the sum of squares. For normally
// distributed samples and δ = 0 the score has about the χ² distribution with d degrees of freedom.
//
// No variance of Σ is below 10⁻⁹ of the mean one. Which rows the covariance is of [PCA] says.
//
// Source: Ledoit & Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate
// Analysis 88, 2004; β and γ as scikit-learn's LedoitWolf has them.
type Mahalanobis struct{}

// Fit implements [Detector].
func (Mahalanobis) Fit(ctx context.Context, reference Rows, seed random.Seed) (Scorer, error) {
	m, err := newMahalanobis(ctx, reference, seed)
	if err != nil {
		return nil, fmt.Errorf("mahalanobis: %w", err)
	}
	return m, nil
}

// newMahalanobis returns what Fit does.
func newMahalanobis(ctx context.Context, reference Rows, seed random.Seed) (*mahalanobis, error) {
	if err := checkReference(reference); err != nil {
		return nil, err
	}
	s, err := newSpectrum(ctx, reference, mostFeatures, seed)
	if err != nil {
		return nil, err
	}
	d := float64(reference.Features)
	mean := floats.Sum(s.variances) / d
	squares := floats.Dot(s.variances, s.variances)
	gamma := squares/d - mean*mean
	beta := min((s.fourth-squares)/(d*float64(s.rows)), gamma)
	m := &mahalanobis{spectrum: s, precisions: make([]float64, len(s.variances))}
	if beta > 0 {
		m.shrinkage = beta / gamma
	}
	least := 1e-9 * mean
	if mean == 0 {
		least = 1 // all reference rows are the same: the distance is Euclid's
	}
	for k, variance := range s.variances {
		m.precisions[k] = 1 / max((1-m.shrinkage)*variance+m.shrinkage*mean, least)
	}
	if len(s.variances) < reference.Features {
		m.elsewhere = 1 / max(m.shrinkage*mean, least)
	}
	return m, nil
}

type mahalanobis struct {
	spectrum   *spectrum
	shrinkage  float64   // δ
	precisions []float64 // 1 / the variance of Σ along each direction
	elsewhere  float64   // the same along all others; 0 where there is no other
}

// Score implements [Scorer].
func (m *mahalanobis) Score(ctx context.Context, rows Rows) ([]float64, error) {
	scores, err := m.spectrum.score(ctx, rows, len(m.precisions), func(along []float64, left float64) float64 {
		sum := left * m.elsewhere
		for k, coordinate := range along {
			sum += coordinate * coordinate * m.precisions[k]
		}
		return sum
	})
	if err != nil {
		return nil, fmt.Errorf("mahalanobis: %w", err)
	}
	return scores, nil
}
