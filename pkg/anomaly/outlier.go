package anomaly

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/floats"

	"latent/pkg/random"
)

// LocalOutlier scores by the local outlier factor: how much thinner the reference lies about a row than about its neighbours there,
//
//	1/k Σₒ lrd(o) / lrd(x),   lrd(x) = 1 / (1/k Σₒ max(dₖ(o), |x − o|) + 10⁻¹⁰)
//
// over the k nearest reference rows o of x, with the distance dₖ(o) of o to its own k-th nearest, itself left out. A row among others
// scores about 1. Where the reference has rows that are more than k times the same, their density is bounded by the 10⁻¹⁰.
//
// Time and memory are those of [Neighbours], with as much time again for each reference row.
//
// Source: Breunig, Kriegel, Ng & Sander, "LOF: identifying density-based local outliers", SIGMOD 2000; the 10⁻¹⁰ and the treatment
// of new rows as in scikit-learn's LocalOutlierFactor with novelty.
type LocalOutlier struct {
	// K is the number of neighbours. 0 is 20. It is at most the number of other reference rows.
	K int
	// Most is the number of reference rows beyond which so many, drawn by the seed, stand for all. 0 is 10,000.
	Most int
}

// Fit implements [Detector].
func (l LocalOutlier) Fit(ctx context.Context, reference Rows, seed random.Seed) (Scorer, error) {
	if l.K == 0 {
		l.K = 20
	}
	scorer, err := Neighbours{K: l.K, Most: l.Most}.Fit(ctx, reference, seed)
	if err != nil {
		return nil, fmt.Errorf("local outlier factor: %w", err)
	}
	near := scorer.(*neighbours)
	fitted := &localOutlier{near: near, k: min(l.K, near.rows.Len()-1)}
	return fitted, fitted.describe(ctx)
}

type localOutlier struct {
	near      *neighbours
	k         int
	reach     []float64 // dₖ of each reference row
	densities []float64 // lrd of each
}

// describe finds the reach and the density of each reference row.
func (l *localOutlier) describe(ctx context.Context) error {
	n := l.near.rows.Len()
	l.reach, l.densities = make([]float64, n), make([]float64, n)
	places, distances := make([][]int, n), make([][]float64, n)
	err := l.near.each(ctx, l.near.rows, l.k, true, func(i int, near []int, apart []float64) {
		places[i], distances[i], l.reach[i] = near, apart, floats.Max(apart)
	})
	for i := range l.densities {
		if err == nil {
			l.densities[i] = l.density(places[i], distances[i])
		}
	}
	return err
}

// density is lrd of a row with these nearest reference rows.
func (l *localOutlier) density(places []int, distances []float64) float64 {
	sum := 0.0
	for i, place := range places {
		sum += max(l.reach[place], distances[i])
	}
	return 1 / (sum/float64(len(places)) + 1e-10)
}

// Score implements [Scorer].
func (l *localOutlier) Score(ctx context.Context, rows Rows) ([]float64, error) {
	if err := checkLike(rows, len(l.near.mean)); err != nil {
		return nil, fmt.Errorf("local outlier factor: %w", err)
	}
	scores := make([]float64, rows.Len())
	err := l.near.each(ctx, rows, l.k, false, func(i int, places []int, distances []float64) {
		sum := 0.0
		for _, place := range places {
			sum += l.densities[place]
		}
		scores[i] = sum / float64(len(places)) / l.density(places, distances)
	})
	return scores, err
}
