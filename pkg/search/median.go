package search

import (
	"math"
	"slices"
)

// Median prunes a trial whose best value so far is worse than the median of the values of completed trials at the same step: the rule of
// Golovin et al. 2017, "Google Vizier", section 3.2, in the form of Optuna's MedianPruner. Trials without a report at exactly that step do
// not count, nor do pruned ones.
type Median struct {
	// StartupTrials is the number of trials that must be done before any is pruned.
	StartupTrials int `yaml:"startup_trials" min:"0"`

	// WarmupSteps is the step before which no trial is pruned; with 0, the default, a trial can be pruned from its first report on.
	WarmupSteps int `yaml:"warmup_steps" min:"0"`

	// Interval is the number of steps between checks of a trial, starting at warmup_steps. A trial without a report at that step is checked
	// at its next one.
	Interval int `yaml:"interval" min:"1"`
}

// Prune says whether the trial is worse than the median. A trial that has reported nothing but NaN is pruned once it is
// looked at.
func (m *Median) Prune(trial Trial, others []Trial) bool {
	last := len(trial.Curve) - 1
	if last < 0 {
		return false
	}
	step := trial.Curve[last].Step
	look := step - (step-m.WarmupSteps)%m.Interval
	if step < m.WarmupSteps || last > 0 && trial.Curve[last-1].Step >= look {
		return false
	}
	done := 0
	var values []float64
	for _, other := range others {
		if other.State != Done {
			continue
		}
		done++
		i, found := slices.BinarySearchFunc(other.Curve, step, func(r Report, step int) int { return r.Step - step })
		if found && !math.IsNaN(other.Curve[i].Value) {
			values = append(values, other.Curve[i].Value)
		}
	}
	if done == 0 || done < m.StartupTrials {
		return false
	}
	best := math.NaN()
	for _, report := range trial.Curve {
		if !(report.Value >= best) { // also where best is NaN
			best = report.Value
		}
	}
	if math.IsNaN(best) {
		return true
	}
	if len(values) == 0 {
		return false
	}
	slices.Sort(values)
	middle := len(values) / 2
	median := values[middle]
	if len(values)%2 == 0 {
		median = (values[middle-1] + values[middle]) / 2
	}
	return best > median
}
