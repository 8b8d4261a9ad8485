package ranking

import (
	"math"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"latent/pkg/random"
)

// Figures are what [Ranking.Bootstrap] measures.
type Figures struct {
	AveragePrecision, FalseAlarms95, PrecisionAtN Estimate
}

// Bootstrap returns figures with intervals: from the 2.5 % to the 97.5 % quantile of the figure over so many rounds (1,000 is
// usual, 40 the fewest that say anything), each of which draws as many normal samples, and as many anomalous ones, with
// repetition. The time is some 10 ns for each sample and round.
//
// The interval is of the samples' chance alone, not of another training. It is too narrow where there are few anomalies, ten or
// fewer; and scores without a mistake have an interval of no width.
//
// Source: Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapter 13 (percentile intervals).
func (r *Ranking) Bootstrap(rounds int, seed random.Seed) Figures {
	drawn := make([]figures, rounds)
	cores := runtime.GOMAXPROCS(0)
	var workers errgroup.Group
	for core := range cores {
		workers.Go(func() error {
			steps := make([]step, len(r.steps))
			for round := core; round < rounds; round += cores {
				r.draw(steps, seed.Child(round))
				drawn[round] = r.figures(steps)
			}
			return nil
		})
	}
	workers.Wait() // none fails
	whole := r.figures(r.steps)
	estimate := func(of func(figures) float64) Estimate {
		values := make([]float64, rounds)
		for i, f := range drawn {
			values[i] = of(f)
		}
		slices.Sort(values)
		return Estimate{Value: of(whole), Low: quantile(values, 0.025), High: quantile(values, 0.975)}
	}
	return Figures{
		AveragePrecision: estimate(func(f figures) float64 { return f.averagePrecision }),
		FalseAlarms95:    estimate(func(f figures) float64 { return f.falseAlarms95 }),
		PrecisionAtN:     estimate(func(f figures) float64 { return f.precisionAtN }),
	}
}

// draw fills steps with a draw of as many samples of each kind.
func (r *Ranking) draw(steps []step, seed random.Seed) {
	clear(steps)
	normal, anomalous := seed.Child(0), seed.Child(1)
	n := uint32(r.Normal)
	for i := range n {
		steps[r.place[0][normal.Below(i, n)]].normal++
	}
	n = uint32(r.Anomalous)
	for i := range n {
		steps[r.place[1][anomalous.Below(i, n)]].anomalous++
	}
}

// quantile returns the p-quantile of values in rising order, straight between neighbours.
func quantile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	at := p * float64(len(values)-1)
	i := int(at)
	if i+1 == len(values) {
		return values[i]
	}
	return values[i] + (at-float64(i))*(values[i+1]-values[i])
}
