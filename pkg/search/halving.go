package search

import (
	"math"
	"slices"
)

// Halving lets the best of the trials that came as far go on, 1 in Factor, at steps that are Factor times as far from one
// to the next: asynchronous successive halving (Li et al. 2020, "A system for massively parallel hyperparameter tuning",
// algorithm 2), in the form that stops trials rather than pausing them, that of Optuna's SuccessiveHalvingPruner.
//
// Rung k is at step MinSteps · Factor^(EarlyStoppingRate + k). A trial that comes to it goes on if its value is among the
// best ⌊n / Factor⌋ of the n that have come there, its own counted; while n is below Factor, if it is the best. Trials
// that came before are compared whatever became of them, and those that are there later change nothing: a trial that
// comes early is judged mildly. Where reports are so far apart that one comes to several rungs, it goes on if it is among
// the best ⌊n / Factor^rungs⌋ of those at the first of them.
type Halving struct {
	// MinSteps is the step of the first rung, with an early-stopping rate of 0. No trial is pruned before it.
	MinSteps int `yaml:"min_steps" min:"1"`

	// Factor is how many trials compete for one to go on, and how many times further the next rung is.
	Factor int `yaml:"factor" min:"2" max:"1000"`

	// EarlyStoppingRate leaves out so many rungs from the first on: each makes the search Factor times more careful, and
	// as much dearer.
	EarlyStoppingRate int `yaml:"early_stopping_rate" min:"0" max:"30"`
}

// Prune says whether the trial is to stop at the rung it has just come to. A value that is NaN is worse than any other,
// and does not go on.
func (h *Halving) Prune(trial Trial, others []Trial) bool {
	last := len(trial.Curve) - 1
	if last < 0 {
		return false
	}
	report := trial.Curve[last]
	before := 0
	if last > 0 {
		before = trial.Curve[last-1].Step
	}
	// In float64, in which what is too far to reach is far, not negative.
	factor := float64(h.Factor)
	rung := float64(h.MinSteps) * math.Pow(factor, float64(h.EarlyStoppingRate))
	for rung <= float64(before) {
		rung *= factor // it went on there
	}
	if rung > float64(report.Step) {
		return false
	}
	if math.IsNaN(report.Value) {
		return true
	}
	came, better := 1, 0
	for _, other := range others {
		if value, ok := other.at(rung); ok {
			came++
			if value < report.Value {
				better++
			}
		}
	}
	places := float64(came)
	for ; rung <= float64(report.Step); rung *= factor {
		places = math.Floor(places / factor)
	}
	return float64(better) >= math.Max(places, 1)
}

// at is the first value that a trial reported at a step or after it.
func (t Trial) at(step float64) (value float64, ok bool) {
	i, _ := slices.BinarySearchFunc(t.Curve, step, func(r Report, step float64) int {
		if float64(r.Step) < step {
			return -1
		}
		return 1
	})
	if i == len(t.Curve) {
		return 0, false
	}
	return t.Curve[i].Value, true
}
