package experiment

import (
	"math"
	"testing"

	"latent/pkg/random"
)

// Of Pareto scores U^−ξ, U in (0, 1), the surprise is −log of the tail's probability, (s)^(−1/ξ), also beyond all of the reference, and it rises
// everywhere.
func TestSurprise(t *testing.T) {
	const index = 0.5
	var scores []float64
	for _, u := range random.NewSeed(1).Uniform(20_000) {
		scores = append(scores, math.Pow((1-float64(u))/2, -index))
	}
	s, err := newSurprise(scores)
	if err != nil {
		t.Fatal(err)
	}
	for _, score := range []float64{1.1, 1.5, 2, 4, 20, 1000} {
		if got, want := s.of(score), math.Log(score)/index; math.Abs(got-want) > 0.05*want {
			t.Errorf("%g: surprise %g, want %g", score, got, want)
		}
	}
	last := -1.0
	for score := 0.5; score < 1e6; score *= 1.01 {
		if now := s.of(score); now < last {
			t.Fatalf("at %g it falls from %g to %g", score, last, now)
		} else {
			last = now
		}
	}
	if _, err := newSurprise(nil); err == nil {
		t.Error("no reference is no error")
	}
	// All the same, and all 0: what is above is more surprising, and everything is finite.
	for _, value := range []float64{0, 3} {
		s, err := newSurprise([]float64{value, value, value})
		if err != nil {
			t.Fatal(err)
		}
		at, above, far := s.of(value), s.of(value+1), s.of(math.MaxFloat32)
		if !(at < above && above < far) || far-far != 0 {
			t.Errorf("of %g alone: %g, above %g, far %g", value, at, above, far)
		}
	}
}
