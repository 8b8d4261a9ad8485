package anomaly

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/floats"

	"latent/pkg/random"
)

// PCA scores by the reconstruction error of a projection on principal components: of a sample x,
//
//	1/d |r|²,   r = (x − μ) − V Vᵀ (x − μ)
//
// where μ is the mean of the d features in the reference and V the directions of most variance there. It is what a linear
// autoencoder with as many values in its code ends up with, and the first thing that a deep one has to beat.
//
// At least one direction is left out, for without any left out every error is 0. The covariance is that of all reference rows;
// beyond 1,024 features, that of 1,024 rows drawn by the seed, or fewer so that they hold no more than 2²⁵ values.
//
// Source: Jackson & Mudholkar, "Control procedures for residuals associated with principal component analysis", Technometrics
// 21(3), 1979.
type PCA struct {
	// Share is the part of the variance that the components hold at least: the fewest components that do are taken. 0 is 0.95.
	Share float64
	// Components is their number instead, where it is not 0.
	Components int
}

// Fit implements [Detector].
func (p PCA) Fit(ctx context.Context, reference Rows, seed random.Seed) (Scorer, error) {
	if p.Share == 0 {
		p.Share = 0.95
	}
	if p.Share < 0 || p.Share >= 1 || p.Components < 0 {
		return nil, fmt.Errorf("pca: share %g, %d components; give a share between 0 and 1, or a number of components", p.Share, p.Components)
	}
	if err := checkReference(reference); err != nil {
		return nil, fmt.Errorf("pca: %w", err)
	}
	s, err := newSpectrum(ctx, reference, mostFeatures, seed)
	if err != nil {
		return nil, fmt.Errorf("pca: %w", err)
	}
	count := min(p.Components, len(s.variances))
	if p.Components == 0 {
		held, wanted := 0.0, p.Share*floats.Sum(s.variances)
		for held < wanted && count < len(s.variances) {
			held += s.variances[count]
			count++
		}
	}
	return &pca{spectrum: s, components: min(count, reference.Features-1)}, nil
}

type pca struct {
	spectrum   *spectrum
	components int
}

// Score implements [Scorer].
func (p *pca) Score(ctx context.Context, rows Rows) ([]float64, error) {
	features := float64(len(p.spectrum.mean))
	scores, err := p.spectrum.score(ctx, rows, p.components, func(_ []float64, left float64) float64 { return left / features })
	if err != nil {
		return nil, fmt.Errorf("pca: %w", err)
	}
	return scores, nil
}
