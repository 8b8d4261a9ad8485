package main

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// entry is a contestant's work in a part.
type entry struct {
	name    string
	measure func(round int) (sample, error)
}

// sample is what a round measured of an entry.
type sample struct {
	Seconds float64
	Loss    float64
	Peak    float64 // bytes of memory, where it was measured
}

// series is an entry's samples, one for each round.
type series struct {
	name    string
	samples []sample
}

// seconds, losses and peaks are columns of the samples.
func (s series) seconds() []float64 { return s.column(func(s sample) float64 { return s.Seconds }) }
func (s series) losses() []float64  { return s.column(func(s sample) float64 { return s.Loss }) }
func (s series) peaks() []float64   { return s.column(func(s sample) float64 { return s.Peak }) }

func (s series) column(of func(sample) float64) []float64 {
	values := make([]float64, len(s.samples))
	for i, sample := range s.samples {
		values[i] = of(sample)
	}
	return values
}

// alternate measures all entries in each round: in their order in odd rounds, backwards in even ones, so that a machine that
// becomes steadily slower slows them all alike. Round 0 warms up and is not kept. tell hears of every sample.
func alternate(ctx context.Context, rounds int, entries []entry, tell func(round int, name string, s sample)) ([]series, error) {
	all := make([]series, len(entries))
	for i, entry := range entries {
		all[i] = series{name: entry.name, samples: make([]sample, rounds)}
	}
	for round := range rounds + 1 {
		order := make([]int, len(entries))
		for i := range order {
			order[i] = i
		}
		if round%2 == 0 {
			slices.Reverse(order)
		}
		for _, i := range order {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			s, err := entries[i].measure(round)
			if err != nil {
				return nil, fmt.Errorf("round %d: %w", round, err)
			}
			tell(round, entries[i].name, s)
			if round > 0 {
				all[i].samples[round-1] = s
			}
		}
	}
	return all, nil
}

// sameLoss returns an error that names the series whose mean loss over the rounds is further from the first's than the
// tolerance, relative to it.
func sameLoss(all []series, tolerance float64) error {
	want := mean(all[0].losses())
	for _, s := range all[1:] {
		if s.name == nameLimit {
			continue
		}
		got := mean(s.losses())
		if apart := math.Abs(got/want - 1); !(apart <= tolerance) {
			return fmt.Errorf("%s has the loss %.5f, %s %.5f: %.2g %% apart, more than %.2g %%, so that they did not do the same work",
				s.name, got, all[0].name, want, 100*apart, 100*tolerance)
		}
	}
	return nil
}

// acrossSeeds is the tolerance for mean losses over n first epochs with seeds of their own: 5 %, and two standard errors of
// the difference. One such loss has a standard deviation of about 3 % over seeds.
func acrossSeeds(n int) float64 { return 0.05 + 2*0.03*math.Sqrt(2/float64(n)) }

func mean(values []float64) float64 {
	sum := 0.0
	for _, value := range values {
		sum += value / float64(len(values))
	}
	return sum
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// pairs are the ratios of a to b, round by round.
func pairs(a, b []float64) []float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return ratios
}
