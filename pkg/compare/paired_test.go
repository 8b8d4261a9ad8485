package compare

import (
	"math"
	"slices"
	"testing"

	"latent/pkg/random"
)

// The data of Student 1908: hours of sleep gained with two drugs by ten patients. Figures are those of R 4: t.test(extra ~ group, sleep,
// paired = TRUE).
func TestPair(t *testing.T) {
	from := []float64{0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0}
	to := []float64{1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4}
	p := Pair(from, to)
	for _, figure := range []struct {
		name      string
		got, want float64
	}{{"mean", p.Mean, 1.58}, {"lower end", p.Mean - p.Interval, 0.7001142}, {"upper end", p.Mean + p.Interval, 2.4598858}, {"p", p.P, 0.00283289}} {
		if math.Abs(figure.got-figure.want) > 1e-7 {
			t.Errorf("%s %.7f, want %.7f", figure.name, figure.got, figure.want)
		}
	}
	back := Pair(to, from)
	if back.Mean != -p.Mean || back.Interval != p.Interval || back.P != p.P {
		t.Errorf("the other way round: %+v, want the same with another sign as %+v", back, p)
	}
}

func TestPairEnds(t *testing.T) {
	nan := math.NaN()
	for name, test := range map[string]struct {
		from, to []float64
		want     Paired
	}{
		"the same":            {[]float64{0.1, 0.2, 0.3}, []float64{0.1, 0.2, 0.3}, Paired{3, 0, 0, 1}},
		"always one more":     {[]float64{1, 2, 3}, []float64{2, 3, 4}, Paired{3, 1, 0, 0}},
		"one sample":          {[]float64{1}, []float64{3}, Paired{1, 2, nan, nan}},
		"one sample the same": {[]float64{1}, []float64{1}, Paired{1, 0, nan, 1}},
		"no number":           {[]float64{1, nan}, []float64{1, 2}, Paired{2, nan, nan, nan}},
	} {
		got := Pair(test.from, test.to)
		if got.Samples != test.want.Samples || !same(got.Mean, test.want.Mean) || !same(got.Interval, test.want.Interval) || !same(got.P, test.want.P) {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// The p-value is about that of the sign-flip test, which assumes no distribution: the part of all 2ⁿ choices of signs of the differences
// whose mean is as far from 0. Of normal differences both agree to a few hundredths.
func TestPairBesideSignFlips(t *testing.T) {
	const n = 14
	for seed := range int64(8) {
		from, to := make([]float64, n), make([]float64, n)
		words := random.NewSeed(seed)
		total := 0.0
		for i := range to {
			for j := range uint32(12) { // a sum of twelve uniform numbers is about normal
				to[i] += float64(words.Block(uint32(i), j)[0])/(1<<32) - 0.5
			}
			to[i] += 0.3
			total += to[i]
		}
		far := 0
		for signs := range 1 << n {
			sum := 0.0
			for i, d := range to {
				if signs>>i&1 == 1 {
					d = -d
				}
				sum += d
			}
			if math.Abs(sum) >= math.Abs(total)-1e-12 {
				far++
			}
		}
		flipped := float64(far) / (1 << n)
		if got := Pair(from, to).P; math.Abs(got-flipped) > 0.03 {
			t.Errorf("seed %d: p %.4f, by flips of signs %.4f", seed, got, flipped)
		}
	}
}

// Of differences that are nothing but chance, one in twenty has a p below 0.05, and an interval that leaves out 0: the two say the same.
func TestPairLevel(t *testing.T) {
	const rounds, n = 2000, 12
	var ps []float64
	for round := range rounds {
		from, to := make([]float64, n), make([]float64, n)
		for i := range n {
			for j := range uint32(12) {
				block := random.NewSeed(int64(round)).Block(uint32(i), 100+j)
				from[i], to[i] = from[i]+float64(block[0])/(1<<32), to[i]+float64(block[1])/(1<<32)
			}
		}
		p := Pair(from, to)
		if (p.P < 0.05) != (math.Abs(p.Mean) > p.Interval) {
			t.Fatalf("p %g, mean %g ± %g", p.P, p.Mean, p.Interval)
		}
		ps = append(ps, p.P)
	}
	slices.Sort(ps)
	// The number of 2,000 below 0.05 is 100 ± 20, two standard deviations.
	if below, _ := slices.BinarySearch(ps, 0.05); below < 70 || below > 130 {
		t.Errorf("%d of %d p-values below 0.05, want about %d", below, rounds, rounds/20)
	}
}
