package conformal

import (
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"latent/pkg/random"
)

func calibrate(t *testing.T, scores []float64) *Calibration {
	t.Helper()
	c, err := New(scores)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// numbered returns the threshold of a calibration with the scores 1 … n.
func numbered(t *testing.T, n int, rate float64) Threshold {
	t.Helper()
	scores := make([]float64, n)
	for i := range scores {
		scores[i] = float64(n - i)
	}
	threshold, err := calibrate(t, scores).Threshold(rate)
	if err != nil {
		t.Fatal(err)
	}
	return threshold
}

// Of the scores 1, 2, 2, 3, four: (1 + #{≥}) / 5.
func TestP(t *testing.T) {
	given := []float64{3, 2, 1, 2}
	c := calibrate(t, given)
	for score, want := range map[float64]float64{0: 1, 1: 1, 1.5: 0.8, 2: 0.8, 2.5: 0.4, 3: 0.4, 3.5: 0.2, math.Inf(1): 0.2, math.Inf(-1): 1, math.NaN(): 0.2} {
		if got := c.P(score); got != want {
			t.Errorf("P(%g) = %g, want %g", score, got, want)
		}
	}
	if !slices.Equal(given, []float64{3, 2, 1, 2}) || c.Len() != 4 {
		t.Errorf("the scores given are now %g of %d", given, c.Len())
	}
}

// With the scores 1 … n the alarm is above n + 1 − k, k = ⌊α (n + 1)⌋, and agrees with the p-value, with ties too.
func TestThreshold(t *testing.T) {
	for _, test := range []struct {
		n          int
		rate, want float64
	}{{19, 0.05, 19}, {20, 0.05, 20}, {39, 0.05, 38}, {99, 0.01, 99}, {1000, 0.01, 991}, {9, 0.3, 7}, {1, 0.5, 1}, {999, 0.001, 999}} {
		if got := numbered(t, test.n, test.rate).Score; got != test.want {
			t.Errorf("n %d, α %g: threshold %g, want %g", test.n, test.rate, got, test.want)
		}
	}
	seed := random.NewSeed(2)
	for draw := range 300 {
		scores := make([]float64, 10+draw)
		for i := range scores {
			scores[i] = float64(seed.Child(draw).Below(uint32(i), 30))
		}
		c := calibrate(t, scores)
		for _, rate := range []float64{0.1, 0.25, 0.5, 0.9} {
			threshold, err := c.Threshold(rate)
			if err != nil {
				t.Fatal(err)
			}
			for score := -1.0; score < 31; score += 0.5 {
				if threshold.Alarm(score) != (c.P(score) <= rate+1e-12) {
					t.Fatalf("n %d, α %g: score %g, threshold %+v, p %g", len(scores), rate, score, threshold, c.P(score))
				}
			}
		}
	}
	if threshold := numbered(t, 19, 0.05); !threshold.Alarm(math.NaN()) || !threshold.Alarm(math.Inf(1)) {
		t.Error("no alarm for what is not a number")
	}
}

func TestErrors(t *testing.T) {
	for want, scores := range map[string][]float64{
		"no scores":                     nil,
		"the score of sample 1 is NaN":  {1, math.NaN()},
		"the score of sample 0 is +Inf": {math.Inf(1)},
	} {
		if _, err := New(scores); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	c := calibrate(t, make([]float64, 50))
	for rate, want := range map[float64]string{
		0: "false alarm rate 0;", 1: "between 0 and 1", math.NaN(): "rate NaN", -1: "rate -1",
		0.01:  "a false alarm rate of 0.01 needs 99 normal samples to calibrate, but there are 50; add some, or allow a rate of 0.0197",
		1e-12: "needs 999999999999 normal samples",
	} {
		if _, err := c.Threshold(rate); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%g: error %v, want %q", rate, err, want)
		}
	}
	for n := 1; n < 3000; n++ { // what the message proposes is enough
		if rank(least(n), n) != 1 {
			t.Errorf("%d samples: a rate of %.3g is proposed, which is not enough or too much", n, least(n))
		}
	}
	for rate, want := range map[float64]int{0.05: 19, 0.01: 99, 0.001: 999, 0.3: 3, 0.5: 1, 0.9: 1} {
		if got := Size(rate); got != want {
			t.Errorf("α %g needs %d, want %d", rate, got, want)
		}
	}
}

// What is promised, over 200 splits of scores of two distributions into calibration and new samples: the mean rate of false alarms is
// k/(n + 1) ≤ α, 95 % of the rates lie in the range for one calibration, and they spread as the beta distribution.
func TestGuarantee(t *testing.T) {
	const splits, n, fresh, rate = 200, 199, 20_000, 0.05
	for name, transform := range map[string]func(float64) float64{
		"normal":       func(z float64) float64 { return z },
		"heavy-tailed": func(z float64) float64 { return math.Exp(4 * z) },
	} {
		rates, held := make([]float64, splits), 0
		var threshold Threshold
		for split := range splits {
			z := random.NewSeed(8).Child(split).Normal(n+fresh, 1)
			scores := make([]float64, len(z))
			for i := range z {
				scores[i] = transform(float64(z[i]))
			}
			var err error
			if threshold, err = calibrate(t, scores[:n]).Threshold(rate); err != nil {
				t.Fatal(err)
			}
			for _, score := range scores[n:] {
				if threshold.Alarm(score) {
					rates[split] += 1. / fresh
				}
			}
			if low, high := threshold.Realised(); low <= rates[split] && rates[split] <= high {
				held++
			}
		}
		beta := distuv.Beta{Alpha: 10, Beta: 190} // k = ⌊0.05 · 200⌋
		if mean, bound := stat.Mean(rates, nil), rate+4*beta.StdDev()/math.Sqrt(splits); mean > bound || mean < 2*rate-bound {
			t.Errorf("%s: mean rate of false alarms %.4f, want %g within %.4f", name, mean, rate, bound-rate)
		}
		if held < 180 || held > 199 { // 190 ± 3.1
			t.Errorf("%s: %d of %d rates lie in the range for one calibration, want about 190", name, held, splits)
		}
		slices.Sort(rates)
		largest := 0.0 // distance of the distributions, whose 0.1 % quantile is 1.95/√splits (Kolmogorov)
		for i, r := range rates {
			largest = max(largest, math.Abs(beta.CDF(r)-(float64(i)+0.5)/splits))
		}
		if largest > 1.95/math.Sqrt(splits) {
			t.Errorf("%s: rates are off from the beta distribution by %.3f", name, largest)
		}
	}
	// The figures of Realised's documentation.
	if low, high := numbered(t, 1000, 0.01).Realised(); math.Round(1e4*low) != 48 || math.Round(1e3*high) != 17 {
		t.Errorf("α 1 %%, n 1,000: from %g to %g", low, high)
	}
}

// Equal scores make fewer false alarms, never more: of scores 0, 1, 2 equally often, with α = 0.2.
func TestTies(t *testing.T) {
	alarms, total := 0, 0
	for split := range 200 {
		seed := random.NewSeed(3).Child(split)
		scores := make([]float64, 300)
		for i := range scores {
			scores[i] = float64(seed.Below(uint32(i), 3))
		}
		threshold, err := calibrate(t, scores[:100]).Threshold(0.2)
		if err != nil {
			t.Fatal(err)
		}
		for _, score := range scores[100:] {
			total++
			if threshold.Alarm(score) {
				alarms++
			}
		}
	}
	if float64(alarms) > 0.2*float64(total) {
		t.Errorf("%d alarms of %d", alarms, total)
	}
}

// The example of Benjamini and Hochberg 1995, section 3.2: of 15 p-values, four are significant at 0.05.
func TestDiscoveries(t *testing.T) {
	p := []float64{0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1}
	slices.Reverse(p)
	called, err := Discoveries(p, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	for i, value := range p {
		if called[i] != (value <= 0.0095) {
			t.Errorf("p %g: called %t", value, called[i])
		}
	}
	for _, bad := range []float64{-0.1, 1.1, math.NaN()} {
		if _, err := Discoveries([]float64{0.5, bad}, 0.05); err == nil || !strings.Contains(err.Error(), "p-value 1 is") {
			t.Errorf("%g: error %v", bad, err)
		}
	}
	if called, err := Discoveries(nil, 0.05); err != nil || len(called) != 0 {
		t.Errorf("of none: %v, error %v", called, err)
	}
}

// Batches of 90 normal samples and 10 anomalies with p-values of one calibration each: the part of normal samples among those called
// is at most 0.9 · 0.2 in the mean.
func TestFalseDiscoveries(t *testing.T) {
	const batches, q = 400, 0.2
	sum, squares, found := 0.0, 0.0, 0
	for batch := range batches {
		z := random.NewSeed(4).Child(batch).Normal(600, 1)
		scores := make([]float64, len(z))
		for i := range z {
			scores[i] = float64(z[i])
		}
		c := calibrate(t, scores[:500])
		p := make([]float64, 100)
		for i := range p {
			if score := scores[500+i]; i < 10 {
				p[i] = c.P(score + 4)
			} else {
				p[i] = c.P(score)
			}
		}
		called, err := Discoveries(p, q)
		if err != nil {
			t.Fatal(err)
		}
		right, wrong := 0, 0
		for i, c := range called {
			if c && i < 10 {
				right++
			} else if c {
				wrong++
			}
		}
		found += right
		part := float64(wrong) / float64(max(1, wrong+right))
		sum += part / batches
		squares += part * part / batches
	}
	if bound := 0.9*q + 4*math.Sqrt((squares-sum*sum)/batches); sum > bound || found < batches*8 {
		t.Errorf("false discovery rate %.3f, want %.3f at most; %d anomalies found of %d", sum, bound, found, 10*batches)
	}
}

// Two scores in different units: the mean of their ranks, by weights.
func TestCombine(t *testing.T) {
	small, large := calibrate(t, []float64{0.1, 0.2, 0.3}), calibrate(t, []float64{1000, 3000, 2000})
	both := []*Calibration{small, large}
	even, err := Combine(both)
	if err != nil {
		t.Fatal(err)
	}
	weighted, err := Combine(both, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	// 1 − P: ¾ above all three, 0 below all.
	if got := even.Score(9, 0); math.Abs(got-0.375) > 1e-12 {
		t.Errorf("even: %g", got)
	}
	if got := weighted.Score(0, 2500); math.Abs(got-0.75*0.5) > 1e-12 {
		t.Errorf("weighted: %g", got)
	}
	for want, weights := range map[string][]float64{
		"1 weights for 2": {1}, "weight of score 1 is -1": {1, -1}, "weight of score 0 is NaN": {math.NaN(), 1}, "sum is 0": {0, 0},
		"weight of score 1 is +Inf": {1, math.Inf(1)}, "sum is +Inf": {math.MaxFloat64, math.MaxFloat64},
	} {
		if _, err := Combine(both, weights...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := Combine(nil); err == nil {
		t.Error("combined nothing")
	}
}
