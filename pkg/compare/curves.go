package compare

import (
	"math"
	"sort"

	"latent/pkg/chart"
	"latent/pkg/rundir"
)

// mostPoints is how many points a curve of the training loss has at most: each is the mean over its part of the steps.
const mostPoints = 200

// mostDots is up to how many points of a curve are dots, too: a run of one epoch has nothing else to be seen.
const mostDots = 20

// point is a value of the runs of a group at one place of their training: their mean, the lowest and the highest.
type point struct {
	step, seconds   float64 // seconds is the mean over runs; NaN where one of them has no time there
	low, mean, high float64
}

// pointOf sums up the values of runs at their times; what is not finite makes no point.
func pointOf(step float64, values, seconds []float64) (p point, ok bool) {
	p = point{step: step, low: math.Inf(1), high: math.Inf(-1)}
	for i, value := range values {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return p, false
		}
		p.mean += value / float64(len(values))
		p.seconds += seconds[i] / float64(len(values))
		p.low, p.high = min(p.low, value), max(p.high, value)
	}
	return p, true
}

// clock is how long a run had trained at a step: the sum of its epochs' seconds, validation not counted, and within an epoch in
// proportion. It is NaN after the last recorded epoch.
func clock(epochs []rundir.Epoch) func(step float64) float64 {
	steps, seconds := []float64{0}, []float64{0}
	for _, e := range epochs {
		steps, seconds = append(steps, float64(e.Step)), append(seconds, seconds[len(seconds)-1]+float64(e.Seconds))
	}
	return func(step float64) float64 {
		i := sort.SearchFloat64s(steps, step)
		switch {
		case i == len(steps):
			return math.NaN()
		case i == 0:
			return 0
		}
		part := (step - steps[i-1]) / (steps[i] - steps[i-1])
		return seconds[i-1] + part*(seconds[i]-seconds[i-1])
	}
}

// clocks are those of the runs.
func (g Group) clocks() []func(step float64) float64 {
	all := make([]func(float64) float64, len(g.Runs))
	for i, r := range g.Runs {
		all[i] = clock(r.Epochs)
	}
	return all
}

// trainingLoss is the loss of each window, or means of several: the curve goes as far as all runs of the group.
func (g Group) trainingLoss() []point {
	bins, last := mostPoints, math.MaxInt
	for _, r := range g.Runs {
		if len(r.Windows) == 0 {
			return nil
		}
		bins, last = min(bins, len(r.Windows)), min(last, r.Windows[len(r.Windows)-1].Step)
	}
	if last < 1 {
		return nil // records that were changed
	}
	columns := make([][]float64, len(g.Runs))
	for i, r := range g.Runs {
		columns[i] = lossIn(r.Windows, bins, float64(last))
	}
	clocks := g.clocks()
	var points []point
	for bin := range bins {
		step := float64(bin+1) * float64(last) / float64(bins)
		values, seconds := make([]float64, len(g.Runs)), make([]float64, len(g.Runs))
		for i := range g.Runs {
			values[i], seconds[i] = columns[i][bin], clocks[i](step)
		}
		if p, ok := pointOf(step, values, seconds); ok {
			points = append(points, p)
		}
	}
	return points
}

// lossIn is the mean loss in each of equal parts of the steps up to the last: a window counts by its steps in the part.
func lossIn(windows []rundir.Window, bins int, last float64) []float64 {
	sums, weights := make([]float64, bins), make([]float64, bins)
	width, before := last/float64(bins), 0.0
	for _, w := range windows {
		for bin := max(int(before/width), 0); bin < bins && float64(bin)*width < float64(w.Step); bin++ {
			weight := min(float64(w.Step), float64(bin+1)*width) - max(before, float64(bin)*width)
			if weight > 0 {
				sums[bin] += weight * float64(w.Loss)
				weights[bin] += weight
			}
		}
		before = float64(w.Step)
	}
	for bin := range sums {
		sums[bin] /= weights[bin] // NaN of a part without a window
	}
	return sums
}

// validation is a figure of the epochs that all runs of the group have.
func (g Group) validation(of func(rundir.Epoch) *rundir.Number) []point {
	clocks := g.clocks()
	recorded := make([]map[int]float64, len(g.Runs)) // by step
	for i, r := range g.Runs {
		recorded[i] = map[int]float64{}
		for _, e := range r.Epochs {
			if value := of(e); value != nil {
				recorded[i][e.Step] = float64(*value)
			}
		}
	}
	var points []point
	for _, e := range g.Runs[0].Epochs {
		var values, seconds []float64
		for i := range g.Runs {
			if value, found := recorded[i][e.Step]; found {
				values, seconds = append(values, value), append(seconds, clocks[i](float64(e.Step)))
			}
		}
		if len(values) < len(g.Runs) {
			continue
		}
		if p, ok := pointOf(float64(e.Step), values, seconds); ok {
			points = append(points, p)
		}
	}
	return points
}

// Curves draws what was recorded on the way over steps and over time, each group in its own colour. Of what there is no record, there is
// no chart.
func (c *Comparison) Curves() []chart.Chart {
	var charts []chart.Chart
	for _, curve := range []struct {
		title    string
		mayBeLog bool
		of       func(g Group) []point
	}{
		{"Training loss", true, Group.trainingLoss},
		{"Validation loss", true, func(g Group) []point {
			return g.validation(func(e rundir.Epoch) *rundir.Number { return e.ValLoss })
		}},
		{"PSNR of validation images, dB", false, func(g Group) []point {
			return g.validation(func(e rundir.Epoch) *rundir.Number { return e.ValPSNR })
		}},
		{"Explained variance of validation rows", false, func(g Group) []point {
			return g.validation(func(e rundir.Epoch) *rundir.Number { return e.ValExplainedVariance })
		}},
	} {
		points := make([][]point, len(c.Groups))
		for i, g := range c.Groups {
			points[i] = curve.of(g)
		}
		for _, axis := range []struct {
			over, name string
			of         func(p point) float64
		}{{"steps", "step", func(p point) float64 { return p.step }}, {"time", "seconds of training", func(p point) float64 { return p.seconds }}} {
			var all []chart.Series
			for i, g := range c.Groups {
				all = append(all, g.series(chart.Distinct(i), points[i], axis.of))
			}
			if drawn, some := chart.Lines(curve.title+", over "+axis.over, axis.name, curve.mayBeLog, all...); some {
				charts = append(charts, drawn)
			}
		}
	}
	return charts
}

// series is the curve of points, with a band from the lowest to the highest where there are several runs.
func (g Group) series(class string, points []point, x func(point) float64) chart.Series {
	s := chart.Series{Class: class, Name: g.Name(), Dotted: len(points) <= mostDots}
	for _, p := range points {
		if at := x(p); math.IsNaN(at) || math.IsInf(at, 0) {
			continue
		}
		s.Add(x(p), p.mean)
		if len(g.Runs) > 1 {
			s.Low, s.High = append(s.Low, p.low), append(s.High, p.high)
		}
	}
	return s
}
