package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// entry is a contestant's work in a race.
type entry struct {
	name    string
	measure func(round int) (sample, error)
	// cold entries do not warm up: their contestants start anew in each round.
	cold bool
	// aside entries warm up beside the others, for their compilation takes long, on the processor.
	aside bool
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
	failure error   // why there are no samples
	apart   float64 // its loss from the first's, relative to that
	astray  error   // it is too far
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

// measured says whether there is anything to compare.
func (s series) measured() bool { return len(s.samples) > 0 }

// rules say how entries are measured.
type rules struct {
	rounds int
	// lenient is to go on without an entry that failed, and to be content with the rounds done when ctx ends. Otherwise either
	// is an error.
	lenient bool
	// tell hears of every sample, or of why there is none.
	tell func(round int, name string, s sample, err error)
}

// errTime says that there was no time for something. It is the cause of a context that ends with the benchmark's time.
var errTime = errors.New("no time left")

// alternate measures all entries in each round: in their order in odd rounds, backwards in even ones, so that a machine that
// becomes steadily slower slows them all alike. Round 0 warms up and is not kept.
//
// Where ctx has a deadline, no further round is begun that would miss it if it took half as long again as the longest.
func (r rules) alternate(ctx context.Context, entries []entry) ([]series, error) {
	all := make([]series, len(entries))
	for i, entry := range entries {
		all[i].name = entry.name
	}
	var longest time.Duration
	for round := range r.rounds + 1 {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < longest*3/2 {
			break
		}
		begin := time.Now()
		samples, failures := r.measure(ctx, entries, all, round)
		if ctx.Err() != nil {
			break // with what the round was cut short in
		}
		for i := range all {
			switch {
			case failures[i] != nil && !r.lenient:
				return nil, failures[i]
			case failures[i] != nil:
				all[i].samples, all[i].failure = nil, failures[i]
			case round > 0 && all[i].failure == nil:
				all[i].samples = append(all[i].samples, samples[i])
			}
		}
		if round > 0 {
			longest = max(longest, time.Since(begin))
		}
	}
	if ctx.Err() != nil && !(r.lenient && slices.ContainsFunc(all, series.measured)) {
		return nil, context.Cause(ctx)
	}
	return all, nil
}

// measure is a round: of each entry that did not fail before, its sample or why there is none. It ends early with ctx, and
// with the first failure where that ends all.
func (r rules) measure(ctx context.Context, entries []entry, before []series, round int) ([]sample, []error) {
	samples, failures := make([]sample, len(entries)), make([]error, len(entries))
	work := func(i int) {
		var err error
		if samples[i], err = entries[i].measure(round); err != nil {
			failures[i] = fmt.Errorf("round %d: %w", round, err)
		}
	}
	tell := func(i int) {
		if ctx.Err() == nil {
			r.tell(round, entries[i].name, samples[i], failures[i])
		}
	}
	var inTurn, aside []int
	for i, entry := range entries {
		switch {
		case before[i].failure != nil || round == 0 && entry.cold:
		case round == 0 && entry.aside:
			aside = append(aside, i)
		default:
			inTurn = append(inTurn, i)
		}
	}
	if round%2 == 0 {
		slices.Reverse(inTurn)
	}
	var others sync.WaitGroup
	for _, i := range aside {
		others.Go(func() { work(i) })
	}
	for _, i := range inTurn {
		if ctx.Err() != nil {
			break
		}
		work(i)
		tell(i)
		if failures[i] != nil && !r.lenient {
			break
		}
	}
	others.Wait()
	for _, i := range aside {
		tell(i)
	}
	return samples, failures
}

// tolerance is how far mean losses over so many rounds may be apart, relative to the first.
type tolerance func(rounds int) float64

// exactly is for losses of the same weights and images: rounding.
func exactly(int) float64 { return 1e-4 }

// acrossSeeds is for the first epoch of so many runs in each round, each with a seed of its own: 5 %, and two standard errors
// of the difference. One such loss has a standard deviation of about 3 % over seeds.
func acrossSeeds(runs int) tolerance {
	return func(rounds int) float64 { return 0.05 + 2*0.03*math.Sqrt(2/float64(rounds*runs)) }
}

// compareLosses notes which series have a mean loss over the rounds that is too far from the first's, and returns that as an
// error.
func compareLosses(all []series, tolerated tolerance) error {
	first := slices.IndexFunc(all, series.measured)
	if first < 0 {
		return nil
	}
	want, tolerance := mean(all[first].losses()), tolerated(len(all[first].samples))
	var errs []error
	for i, s := range all {
		if i == first || s.name == nameLimit || !s.measured() {
			continue
		}
		got := mean(s.losses())
		all[i].apart = math.Abs(got/want - 1)
		if !(all[i].apart <= tolerance) {
			all[i].astray = fmt.Errorf("%s has the loss %.5f, %s %.5f: %.3g %% apart, more than %.3g %%, so that they did not do the same work",
				s.name, got, all[first].name, want, 100*all[i].apart, 100*tolerance)
			errs = append(errs, all[i].astray)
		}
	}
	return errors.Join(errs...)
}

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
