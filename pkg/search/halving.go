package search

import (
	"math"
	"slices"
)

// Halving continues the best 1 in Factor of the trials at each rung, with rungs at steps that grow by Factor: asynchronous successive
// halving (Li et al. 2020, "A system for massively parallel hyperparameter tuning", algorithm 2), in the variant of Optuna's
// SuccessiveHalvingPruner, which stops trials rather than pausing them.
//
// Rung k is at step MinSteps · Factor^(EarlyStoppingRate + k). A trial that reaches it continues if its value is among the best ⌊n /
// Factor⌋ of the n trials that have reached it, itself included; while n is below Factor, if it is the best. Trials that came before are
// compared whatever became of them, and later ones change nothing: an early trial is judged mildly. If reports are so far apart that a
// trial reaches several rungs at once, it continues if it is among the best ⌊n / Factor^rungs⌋ of those at the first of them.
type Halving struct {
	// MinSteps is the step of the first rung, with an early-stopping rate of 0. No trial is pruned before it.
	MinSteps int `yaml:"min_steps" min:"1"`

	// Factor is the number of trials that compete for one to continue, and the ratio between the steps of consecutive rungs.
	Factor int `yaml:"factor" min:"2" max:"1000"`

	// EarlyStoppingRate is the number of initial rungs to skip: each makes pruning Factor times more careful, and the search as much more
	// expensive.
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
