package search

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// By mpmath with 60 digits: log(s (φ(z) + z Φ(z))), z = (least − mean)/s.
func TestLogImprovement(t *testing.T) {
	for _, c := range []struct{ mean, deviation, want, within float64 }{
		{0, 1, -0.9189385332046727, 1e-14},
		{1, 0.5, -5.461930704477059, 1e-12},
		{-2, 0.3, 0.6931471805602277, 1e-14},
		{0.79, 0.1, -38.60587109566625, 1e-11}, // just before the series
		{0.8001, 0.1, -39.4331892374359, 1e-4}, // just after
		{5, 0.5, -56.2462692166823, 1e-4},
		{10, 0.5, -207.610985689985, 1e-6},
		{100, 1, -5010.12957880025, 1e-10},
	} {
		if got := logImprovement(c.mean, c.deviation, 0); math.Abs(got-c.want) > c.within*math.Abs(c.want) {
			t.Errorf("mean %g, deviation %g: %.12g, not %.12g", c.mean, c.deviation, got, c.want)
		}
	}
}

// randomSamples are of the space tree, by the seed.
func randomSamples(n int, seed int64) []sample {
	g, r := gp{space: tree}, generator(seed, 0)
	samples := make([]sample, n)
	for i := range samples {
		samples[i] = sample{g.features(tree.Random(r)), r.NormFloat64()}
	}
	return samples
}

// The gradient is that of finite differences.
func TestPosteriorGradient(t *testing.T) {
	for seed := range int64(5) {
		samples, r := randomSamples(12, seed), generator(seed, 1)
		x := make([]float64, len(tree)+2)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		gradient, other := make([]float64, len(x)), make([]float64, len(x))
		negativePosterior(tree, samples, x, gradient)
		for i := range x {
			const step = 1e-5
			up, down := slices.Clone(x), slices.Clone(x)
			up[i] += step
			down[i] -= step
			want := (negativePosterior(tree, samples, up, other) - negativePosterior(tree, samples, down, other)) / (2 * step)
			if math.Abs(gradient[i]-want) > 1e-5*math.Max(1, math.Abs(want)) {
				t.Errorf("seed %d, number %d: %g, by differences %g", seed, i, gradient[i], want)
			}
		}
	}
}

// Of one sample y, the mean at a point is k y / (s + noise), the variance s − k² / (s + noise), with
// k = s (1 + √5 r + 5/3 r²) e^(−√5 r) and r = 0.5 here.
func TestProcessOfOneSample(t *testing.T) {
	m := matern{space: cube(1), weights: []float64{4}, scale: 2, noise: 0.1}
	p := m.condition([]sample{{[]float64{0.25}, 3}})
	k := 2 * (1 + math.Sqrt(5)/2 + 5./12) * math.Exp(-math.Sqrt(5)/2)
	mean, variance := p.at([]float64{0.5})
	if wantMean, wantVariance := k*3/2.1, 2-k*k/2.1; math.Abs(mean-wantMean) > 1e-12 || math.Abs(variance-wantVariance) > 1e-12 {
		t.Errorf("mean %g and variance %g, not %g and %g", mean, variance, wantMean, wantVariance)
	}
}

// With trials pending and more trials than points, a strategy shown all at once proposes what one proposes that saw it grow.
func TestGPIsAFunction(t *testing.T) {
	method := &GP{Startup: 5, Candidates: 50, Points: 20}
	start := func() Strategy {
		s, err := method.New(tree, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	grown := start()
	var h History
	for n := range 45 {
		p := grown.Ask(n, &h)
		if n%4 == 0 {
			if again := start().Ask(n, &h); fmt.Sprint(again) != fmt.Sprint(p) {
				t.Fatalf("trial %d: at once %v, grown %v", n, again, p)
			}
		}
		for _, other := range h.Pending {
			if fmt.Sprint(other.Point) == fmt.Sprint(p) {
				t.Errorf("trial %d is the pending trial %d again: %v", n, other.Number, p)
			}
		}
		h.Pending = append(h.Pending, Trial{Number: n, Point: p})
		if len(h.Pending) > 2 {
			trial := h.Pending[0]
			h.Pending = slices.Clone(h.Pending[1:])
			trial.State, trial.Values = Done, bowl(trial.Point)
			h.Told = append(h.Told, trial)
		}
	}
}

// Values that are all the same, infinite or far too large leave a point of the space to propose.
func TestGPOfOddValues(t *testing.T) {
	for name, value := range map[string]func(n int) float64{
		"equal":    func(int) float64 { return 5 },
		"infinite": func(n int) float64 { return []float64{1, math.Inf(1), math.Inf(-1)}[n%3] },
		"large":    func(n int) float64 { return math.MaxFloat64 * float64(1-n%3) },
	} {
		s, err := Strategies["gp"]().New(tree, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		var h History
		for n := range 14 {
			p := s.Ask(n, &h)
			if !(p[1] >= tree[1].Low && p[1] <= tree[1].High) {
				t.Errorf("%s: trial %d is %v", name, n, p)
			}
			h.Told = append(h.Told, Trial{Number: n, Point: p, State: Done, Values: []float64{value(n)}})
		}
	}
}

func TestGPTakesOneObjective(t *testing.T) {
	_, err := Strategies["gp"]().New(tree, 2, 1)
	if err == nil || !strings.Contains(err.Error(), "tpe") {
		t.Errorf("two objectives: %v", err)
	}
}

// Of a smooth function of two numbers, Branin's with least value 0.397887 (Dixon & Szegő 1978), 35 trials come within 0.01; random
// search is about 1 away.
func TestGPFindsTheLeast(t *testing.T) {
	space := Space{
		{Name: "x", Kind: Float, Low: -5, High: 10, Parent: -1},
		{Name: "y", Kind: Float, Low: 0, High: 15, Parent: -1},
	}
	for seed := range int64(3) {
		least := math.Inf(1)
		for _, trial := range minimise(t, Strategies["gp"](), space, 35, seed, func(p Point) []float64 {
			valley := p[1] - 5.1/(4*math.Pi*math.Pi)*p[0]*p[0] + 5/math.Pi*p[0] - 6
			return []float64{valley*valley + 10*(1-1/(8*math.Pi))*math.Cos(p[0]) + 10 - 0.397887}
		}) {
			least = math.Min(least, trial.Values[0])
		}
		if least > 0.01 {
			t.Errorf("seed %d: %.4f above the least value", seed, least)
		}
	}
}
