package random_test

import (
	"math"
	"slices"
	"testing"

	"latent/pkg/random"
)

// The known answers of Threefry-2x32 with 20 rounds, from the authors' Random123 1.09 distribution (tests/kat_vectors).
func TestKnownAnswers(t *testing.T) {
	for _, test := range []struct{ key, counter, want [2]uint32 }{
		{[2]uint32{0, 0}, [2]uint32{0, 0}, [2]uint32{0x6b200159, 0x99ba4efe}},
		{[2]uint32{0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff}, [2]uint32{0x1cb996fc, 0xbb002be7}},
		{[2]uint32{0x13198a2e, 0x03707344}, [2]uint32{0x243f6a88, 0x85a308d3}, [2]uint32{0xc4923a9c, 0x483df7a0}},
	} {
		if got := random.Seed(test.key).Block(test.counter[0], test.counter[1]); got != test.want {
			t.Errorf("key %x counter %x: got %x, want %x", test.key, test.counter, got, test.want)
		}
	}
}

func TestUniform(t *testing.T) {
	const n = 1 << 16
	sum, squares := 0.0, 0.0
	for _, v := range random.NewSeed(3).Uniform(n) {
		if v <= -1 || v >= 1 {
			t.Fatalf("%g is not inside (-1, 1)", v)
		}
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	// Variance 1/3; that of v² is 1/5 − 1/9.
	if mean, bound := sum/n, 5*math.Sqrt(1./3/n); math.Abs(mean) > bound {
		t.Errorf("mean %g, want 0 ± %g", mean, bound)
	}
	if square, bound := squares/n, 5*math.Sqrt((1./5-1./9)/n); math.Abs(square-1./3) > bound {
		t.Errorf("mean square %g, want 1/3 ± %g", square, bound)
	}
}

func TestSeedNormal(t *testing.T) {
	const n, deviation = 1 << 16, 0.25
	sum, squares := 0.0, 0.0
	for _, v := range random.NewSeed(3).Normal(n, deviation) {
		sum += float64(v) / deviation
		squares += float64(v) * float64(v) / deviation / deviation
	}
	if mean, bound := sum/n, 5/math.Sqrt(n); math.Abs(mean) > bound {
		t.Errorf("mean %g, want 0 ± %g", mean, bound)
	}
	if square, bound := squares/n, 5*math.Sqrt(2./n); math.Abs(square-1) > bound {
		t.Errorf("mean square %g, want 1 ± %g", square, bound)
	}
}

// Every number comes once, every place is equally likely for the first number, and epochs differ.
func TestPermutation(t *testing.T) {
	const n, rounds = 5, 10000
	counts := [n]float64{}
	for epoch := range rounds {
		order := random.NewSeed(9).Child(epoch).Permutation(n)
		counts[slices.Index(order, 0)]++
		if sorted := slices.Sorted(slices.Values(order)); !slices.Equal(sorted, []int32{0, 1, 2, 3, 4}) {
			t.Fatalf("epoch %d: %v is no permutation", epoch, order)
		}
	}
	const p = 1. / n
	for place, count := range counts {
		if bound := 5 * math.Sqrt(rounds*p*(1-p)); math.Abs(count-rounds*p) > bound {
			t.Errorf("number 0 was at place %d %g times, want %g ± %g", place, count, rounds*p, bound)
		}
	}
}

// Every pair of five numbers is equally likely, and comes in order.
func TestSample(t *testing.T) {
	const n, rounds = 5, 10000
	counts := map[[2]int32]float64{}
	for round := range rounds {
		pair := random.NewSeed(9).Child(round).Sample(n, 2)
		if len(pair) != 2 || pair[0] >= pair[1] || pair[0] < 0 || pair[1] >= n {
			t.Fatalf("round %d: %v", round, pair)
		}
		counts[[2]int32(pair)]++
	}
	const p = 1. / 10
	for pair, count := range counts {
		if bound := 5 * math.Sqrt(rounds*p*(1-p)); math.Abs(count-rounds*p) > bound {
			t.Errorf("%v came %g times, want %g ± %g", pair, count, rounds*p, bound)
		}
	}
	if all := random.NewSeed(1).Sample(4, 4); !slices.Equal(all, []int32{0, 1, 2, 3}) {
		t.Errorf("4 of 4 numbers are %v", all)
	}
}
