// Package anomaly scores how unlike reference samples a sample is: the usual detectors, which stand beside an autoencoder's
// error as baselines, and that error itself, weighted by feature.
//
//	scorer, err := anomaly.Forest{}.Fit(ctx, reference, random.NewSeed(1)) // reference: Rows of normal samples
//	scores, err := scorer.Score(ctx, rows)                                 // a score for each row; higher is more anomalous
//
// Reference rows may hold some anomalies that nobody marked: that is the setting of the usual benchmarks, and costs the
// detectors that rest on all rows alike ([Neighbours], [Mahalanobis], [PCA]) more than [Forest].
//
// Promised: the same rows and seed give the same scores, to the bit, on every number of cores. Memory beside the rows is bounded,
// and each type says by what.
//
// What is not here: how well scores tell anomalies (pkg/ranking), from which score on to raise an alarm (pkg/conformal), and
// training autoencoders (pkg/train).
package anomaly

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/random"
)

// Rows are samples of so many features each, one after the other: [rows, features].
type Rows struct {
	Values   []float32
	Features int
}

// Len returns the number of rows.
func (r Rows) Len() int { return len(r.Values) / r.Features }

// Row returns row i; its values are those of r.
func (r Rows) Row(i int) []float32 { return r.Values[i*r.Features:][:r.Features:r.Features] }

// check returns an error where rows are not whole, or a value is not a number or infinite.
func (r Rows) check() error {
	if r.Features < 1 || len(r.Values)%r.Features != 0 {
		return fmt.Errorf("%d values are not rows of %d features", len(r.Values), r.Features)
	}
	for i, value := range r.Values {
		if value-value != 0 {
			return fmt.Errorf("feature %d of sample %d is %g; replace missing values, or leave the sample out", i%r.Features, i/r.Features, value)
		}
	}
	return nil
}

// pick returns these rows, in this order.
func (r Rows) pick(places []int32) Rows {
	values := make([]float32, 0, len(places)*r.Features)
	for _, place := range places {
		values = append(values, r.Row(int(place))...)
	}
	return Rows{Values: values, Features: r.Features}
}

// atMost returns r, or so many of its rows where it has more, drawn by the seed.
func (r Rows) atMost(most int, seed random.Seed) Rows {
	if r.Len() <= most {
		return r
	}
	return r.pick(seed.Sample(r.Len(), most))
}

// Detector is a way to score, with its numbers. [Standardised] and tables of baselines call it.
type Detector interface {
	// Fit learns from reference rows, two or more. The seed decides what is drawn at random.
	Fit(ctx context.Context, reference Rows, seed random.Seed) (Scorer, error)
}

// Scorer is a fitted [Detector]. Several goroutines may use one.
type Scorer interface {
	// Score returns a score for each row, higher for rows that are less like the reference. All are finite.
	Score(ctx context.Context, rows Rows) ([]float64, error)
}

// Baselines returns the detectors that an autoencoder is to be compared with, with their usual numbers, by the names that
// reports call them.
func Baselines() map[string]Detector {
	return map[string]Detector{
		"pca":         PCA{},
		"mahalanobis": Mahalanobis{},
		"knn":         Neighbours{},
		"lof":         LocalOutlier{},
		"iforest":     Forest{},
	}
}

// checkReference returns an error where nothing can be learned from rows.
func checkReference(rows Rows) error {
	if err := rows.check(); err != nil {
		return err
	}
	if rows.Len() < 2 {
		return fmt.Errorf("%d reference samples; give two or more", rows.Len())
	}
	return nil
}

// checkLike returns an error where rows cannot be scored by what rows of so many features taught.
func checkLike(rows Rows, features int) error {
	if rows.Features != features {
		return fmt.Errorf("samples of %d features, but the reference has %d", rows.Features, features)
	}
	return rows.check()
}

// blockRows is the number of rows that are computed together. Results do not depend on the number of cores, for blocks are the
// same on all.
const blockRows = 256

// blocks calls do for the rows from first to before last of each block of n rows, on several cores.
func blocks(ctx context.Context, n int, do func(first, last int)) error {
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < n; first += blockRows {
		workers.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			do(first, min(first+blockRows, n))
			return nil
		})
	}
	return workers.Wait()
}

// centred returns the rows from first to before last, less mean.
func centred(rows Rows, first, last int, mean []float64) *mat.Dense {
	block := mat.NewDense(last-first, rows.Features, nil)
	for i := first; i < last; i++ {
		to := block.RawRowView(i - first)
		for j, value := range rows.Row(i) {
			to[j] = float64(value) - mean[j]
		}
	}
	return block
}

// moments returns mean and standard deviation of each feature (the sum of squares divided by the number of rows).
func moments(rows Rows) (mean, deviation []float64) {
	mean, deviation = make([]float64, rows.Features), make([]float64, rows.Features)
	n := float64(rows.Len())
	for i := range rows.Len() {
		for j, value := range rows.Row(i) {
			mean[j] += float64(value) / n
		}
	}
	for i := range rows.Len() {
		for j, value := range rows.Row(i) {
			difference := float64(value) - mean[j]
			deviation[j] += difference * difference / n
		}
	}
	for j := range deviation {
		deviation[j] = math.Sqrt(deviation[j])
	}
	return mean, deviation
}

// Standardised is a detector of features that are standardised first: less their mean in the reference, divided by their standard
// deviation there. It is for features in units of their own; a feature that never varies is only centred. The reference and
// what is scored are copied for it.
type Standardised struct {
	Detector
}

// Fit implements [Detector].
func (s Standardised) Fit(ctx context.Context, reference Rows, seed random.Seed) (Scorer, error) {
	if s.Detector == nil {
		return nil, errors.New("standardised: no detector inside")
	}
	if err := checkReference(reference); err != nil {
		return nil, fmt.Errorf("standardise: %w", err)
	}
	fitted := &standardised{}
	fitted.mean, fitted.deviation = moments(reference)
	for j, deviation := range fitted.deviation {
		if deviation <= 1e-7*math.Abs(fitted.mean[j]) { // the rounding of float32 alone
			fitted.deviation[j] = 1
		}
	}
	var err error
	fitted.inside, err = s.Detector.Fit(ctx, fitted.apply(reference), seed)
	return fitted, err
}

type standardised struct {
	inside          Scorer
	mean, deviation []float64
}

// Score implements [Scorer].
func (s *standardised) Score(ctx context.Context, rows Rows) ([]float64, error) {
	if err := checkLike(rows, len(s.mean)); err != nil {
		return nil, fmt.Errorf("standardise: %w", err)
	}
	return s.inside.Score(ctx, s.apply(rows))
}

func (s *standardised) apply(rows Rows) Rows {
	values := make([]float32, len(rows.Values))
	for i, value := range rows.Values {
		j := i % rows.Features
		v := (float64(value) - s.mean[j]) / s.deviation[j]
		values[i] = float32(max(-math.MaxFloat32, min(v, math.MaxFloat32)))
	}
	return Rows{Values: values, Features: rows.Features}
}
