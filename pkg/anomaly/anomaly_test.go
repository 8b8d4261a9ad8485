package anomaly

import (
	"context"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/random"
)

// normal returns rows of independent standard normal features, moved by offset.
func normal(rows, features int, offset float32, seed int64) Rows {
	values := random.NewSeed(seed).Normal(rows*features, 1)
	for i := range values {
		values[i] += offset
	}
	return Rows{Values: values, Features: features}
}

// detectors are those of the baselines, and each kind with its options.
func detectors() map[string]Detector {
	all := Baselines()
	all["standardised"] = Standardised{Neighbours{Mean: true}}
	all["few components"] = PCA{Components: 2}
	all["drawn neighbours"] = Neighbours{K: 2, Most: 100}
	return all
}

func fit(t *testing.T, detector Detector, reference Rows) Scorer {
	t.Helper()
	scorer, err := detector.Fit(context.Background(), reference, random.NewSeed(1))
	if err != nil {
		t.Fatal(err)
	}
	return scorer
}

func score(t *testing.T, scorer Scorer, rows Rows) []float64 {
	t.Helper()
	scores, err := scorer.Score(context.Background(), rows)
	if err != nil {
		t.Fatal(err)
	}
	return scores
}

// What every detector promises: the same bits on every number of cores, a higher score far away, scores that do not depend on what is
// scored beside, and errors that say where a value is not a number.
func TestDetectors(t *testing.T) {
	reference, wide := normal(1500, 8, 0, 1), normal(30, 70, 0, 2)
	for name, detector := range detectors() {
		t.Run(name, func(t *testing.T) {
			for _, reference := range []Rows{reference, wide} {
				rows := Rows{Values: slices.Concat(normal(600, reference.Features, 0, 3).Values, normal(1, reference.Features, 9, 4).Values),
					Features: reference.Features}
				want := score(t, fit(t, detector, reference), rows)
				cores := runtime.GOMAXPROCS(1)
				alone := score(t, fit(t, detector, reference), rows)
				runtime.GOMAXPROCS(cores)
				if !slices.Equal(alone, want) {
					t.Error("other scores on one core")
				}
				if far := want[600]; far <= slices.Max(want[:600]) {
					t.Errorf("a far sample scores %g, near ones up to %g", far, slices.Max(want[:600]))
				}
				last := score(t, fit(t, detector, reference), Rows{Values: rows.Row(600), Features: rows.Features})
				if math.Abs(last[0]-want[600]) > 1e-9*want[600] {
					t.Errorf("alone it scores %g, beside others %g", last[0], want[600])
				}
				if none := score(t, fit(t, detector, reference), Rows{Features: rows.Features}); len(none) != 0 {
					t.Errorf("%d scores of no rows", len(none))
				}
			}

			// Reference rows without any variance: what differs from them still scores higher.
			same := Rows{Values: slices.Repeat([]float32{1, 2, 3}, 50), Features: 3}
			got := score(t, fit(t, detector, same), Rows{Values: []float32{1, 2, 3, 1, 2, 4}, Features: 3})
			if _, forest := detector.(Forest); got[0]-got[0] != 0 || got[1]-got[1] != 0 || !forest && got[0] >= got[1] {
				t.Errorf("beside equal rows: %g", got)
			}

			nan := normal(10, 8, 0, 5)
			nan.Values[8*7+3] = float32(math.NaN())
			_, err := detector.Fit(context.Background(), nan, random.NewSeed(1))
			wantError(t, err, "feature 3 of sample 7 is NaN")
			scorer := fit(t, detector, reference)
			_, err = scorer.Score(context.Background(), nan)
			wantError(t, err, "feature 3 of sample 7 is NaN")
			_, err = scorer.Score(context.Background(), wide)
			wantError(t, err, "samples of 70 features, but the reference has 8")
			for _, few := range []Rows{{}, {Features: 3}, normal(1, 3, 0, 1), {Values: make([]float32, 7), Features: 3}} {
				if _, err := detector.Fit(context.Background(), few, random.NewSeed(1)); err == nil {
					t.Errorf("learned from %d values of %d features", len(few.Values), few.Features)
				}
			}
			stopped, stop := context.WithCancel(context.Background())
			stop()
			if _, err := scorer.Score(stopped, reference); err == nil {
				t.Error("scored although it was stopped")
			}
		})
	}
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one with %q", err, part)
	}
}

// Values as large as float32 has, and as small, give finite scores.
func TestExtremes(t *testing.T) {
	for name, detector := range detectors() {
		for _, scale := range []float32{1e-38, 1e38} {
			reference := normal(100, 4, 0, 1)
			for i := range reference.Values {
				reference.Values[i] = max(-3, min(reference.Values[i], 3)) * scale
			}
			for _, v := range score(t, fit(t, detector, reference), Rows{Values: []float32{3e38, -3e38, 0, 1, 1e-40, 0, 0, 0}, Features: 4}) {
				if v-v != 0 {
					t.Errorf("%s: scores %g at scale %g", name, v, scale)
				}
			}
		}
	}
}

// Of more features than a covariance may have, some rows stand for all, whose directions are orthogonal and hold all their variance.
func TestManyFeatures(t *testing.T) {
	rows := normal(100, 50, 3, 1)
	s, err := newSpectrum(context.Background(), rows, 32, random.NewSeed(1))
	if err != nil {
		t.Fatal(err)
	}
	drawn := rows.pick(random.NewSeed(1).Sample(100, 32))
	if s.rows != 32 || len(s.variances) != 31 { // one less, for the mean is taken off
		t.Fatalf("%d rows, %d directions, want 32 and 31", s.rows, len(s.variances))
	}
	_, deviations := moments(drawn)
	if got, want := floats.Sum(s.variances), floats.Dot(deviations, deviations); math.Abs(got-want) > 1e-9*want {
		t.Errorf("variance %g, want %g", got, want)
	}
	var products mat.Dense
	products.Mul(s.directions.T(), s.directions)
	for i := range 31 {
		products.Set(i, i, products.At(i, i)-1)
	}
	if largest := mat.Norm(&products, math.Inf(1)); largest > 1e-9 {
		t.Errorf("directions are off from orthogonal ones by %g", largest)
	}
}

// In two dimensions, by hand: the rows (±2, 0) and (0, ±1) have variances 2 and ½ and no correlation.
func TestByHand(t *testing.T) {
	reference := Rows{Values: []float32{2, 0, -2, 0, 0, 1, 0, -1}, Features: 2}
	at := Rows{Values: []float32{1, 3, 0, 0}, Features: 2}
	near := func(name string, got, want []float64) {
		t.Helper()
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-12*max(1, want[i]) {
				t.Errorf("%s: %g, want %g", name, got, want)
			}
		}
	}
	// One component, along x, holds 80 % of the variance: what is left of (1, 3) is 3, and 3² / 2 features.
	near("PCA", score(t, fit(t, PCA{Share: 0.8}, reference), at), []float64{4.5, 0})
	// No component but all would hold 90 %, and one is always left out.
	near("PCA 0.9", score(t, fit(t, PCA{Share: 0.9}, reference), at), []float64{4.5, 0})
	// 1/n Σ |x|⁴ = 34/4, |S|² = 4.25: β = (8.5 − 4.25) / 8 and γ = 4.25/2 − 1.25², of which the quotient is δ = 17/18.
	near("Mahalanobis", score(t, fit(t, Mahalanobis{}, reference), at), []float64{1/(2./18+1.25*17/18) + 9/(0.5/18+1.25*17/18), 0})
	// From (1, 3): (0, 1) at √5, (2, 0) and (−2, 0) at √10 and √18, (0, −1) at √17.
	near("2nd neighbour", score(t, fit(t, Neighbours{K: 2}, reference), at), []float64{math.Sqrt(10), 1})
	near("mean of all", score(t, fit(t, Neighbours{Mean: true}, reference), at),
		[]float64{(math.Sqrt(5) + math.Sqrt(10) + math.Sqrt(17) + math.Sqrt(18)) / 4, 1.5})
	near("itself", score(t, fit(t, Neighbours{K: 1}, reference), reference), []float64{0, 0, 0, 0})
	// Two samples are always parted by the first cut: h = 1, c(2) = 1. Above the cut or not, 2^(−1).
	pair := Rows{Values: []float32{0, 5, 1, 5}, Features: 2}
	near("forest of two", score(t, fit(t, Forest{}, pair), at), []float64{0.5, 0.5})
}

// c(256) = 10.2448, from scikit-learn's _average_path_length.
func TestWaysMean(t *testing.T) {
	for n, want := range map[int]float64{0: 0, 1: 0, 2: 1, 3: 1.2073924, 256: 10.2447706} {
		if got := waysMean(n); math.Abs(got-want) > 1e-6 {
			t.Errorf("c(%d) = %.7f, want %.7f", n, got, want)
		}
	}
}

// References that are drawn are rows of the reference, as many as Most.
func TestDrawnReference(t *testing.T) {
	reference := normal(3000, 2, 0, 1)
	drawn := fit(t, Neighbours{K: 1, Most: 500}, reference)
	zeros := 0
	for _, distance := range score(t, drawn, reference) {
		if distance == 0 {
			zeros++
		}
	}
	if zeros != 500 {
		t.Errorf("%d of 3000 rows are references, want 500", zeros)
	}
}

func TestBadOptions(t *testing.T) {
	for want, detector := range map[string]Detector{
		"share 1":       PCA{Share: 1},
		"share -0.1":    PCA{Share: -0.1},
		"k -1":          Neighbours{K: -1},
		"-1 trees":      Forest{Trees: -1},
		"trees of 1":    Forest{Samples: 1},
		"no detector":   Standardised{},
		"-2 components": PCA{Components: -2},
		"of -3 rows":    Neighbours{Most: -3},
		"trees of -4":   Forest{Samples: -4},
	} {
		_, err := detector.Fit(context.Background(), normal(10, 2, 0, 1), random.NewSeed(1))
		wantError(t, err, want)
	}
}

// A feature counts by its usual error, one that never errs by 10⁻⁴ of the mean; contributions are parts of the score.
func TestResiduals(t *testing.T) {
	x := Rows{Values: []float32{1, 10, 0, 1, 10, 0}, Features: 3}
	y := Rows{Values: []float32{2, 13, 0, 0, 7, 0}, Features: 3} // squared: 1, 9, 0; mean 10/3
	r, err := NewResiduals(x, y)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Score(x, y)
	if err != nil {
		t.Fatal(err)
	}
	if want := []float64{2. / 3, 2. / 3}; !slices.Equal(got, want) {
		t.Errorf("scores %g, want %g", got, want)
	}
	top := r.Top([]float32{1, 10, 1}, []float32{3, 10, 0}, 2)
	for i, want := range []Contribution{{2, 1, 3000, 3000. / 3004}, {0, -2, 4, 4. / 3004}} {
		got := top[i]
		if got.Feature != want.Feature || got.Error != want.Error || math.Abs(got.Times-want.Times) > 1e-9 || math.Abs(got.Share-want.Share) > 1e-12 {
			t.Errorf("contribution %d is %+v, want %+v", i, got, want)
		}
	}
	if all := r.Top(x.Row(0), x.Row(0), 9); len(all) != 3 || all[0].Share != 0 {
		t.Errorf("without error: %+v", all)
	}
	_, err = r.Score(x, Rows{Values: y.Values, Features: 2})
	wantError(t, err, "samples [2, 3], but reconstructions [3, 2]")
	_, err = r.Score(Rows{Values: make([]float32, 4), Features: 2}, Rows{Values: make([]float32, 4), Features: 2})
	wantError(t, err, "samples of 2 features, but the reference has 3")
	_, err = NewResiduals(Rows{Features: 3}, Rows{Features: 3})
	wantError(t, err, "no samples")
	y.Values[4] = float32(math.Inf(1))
	_, err = NewResiduals(x, y)
	wantError(t, err, "reconstructions: feature 1 of sample 1 is +Inf")
	perfect, err := NewResiduals(x, x)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := perfect.Score(x, x); !slices.Equal(got, []float64{0, 0}) {
		t.Errorf("perfect reconstructions score %g", got)
	}
}

// How long the detectors take: 2,000 samples beside a reference as large as MNIST's, half of its features.
func BenchmarkDetectors(b *testing.B) {
	reference, rows := normal(20_000, 392, 0, 1), normal(2000, 392, 0, 2)
	for name, detector := range Baselines() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				scorer, err := detector.Fit(context.Background(), reference, random.NewSeed(1))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := scorer.Score(context.Background(), rows); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
