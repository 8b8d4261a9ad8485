package search

import "math"

// Patience prunes a trial that has stopped improving: early stopping (Prechelt 1998). It does not compare trials with each other.
type Patience struct {
	// Steps is the number of steps that a trial may go without a better value.
	Steps int `yaml:"steps" min:"1"`

	// MinDelta is the improvement over the best value so far that a value must exceed to count as better; with 0, the default, any
	// improvement counts.
	MinDelta float64 `yaml:"min_delta" min:"0"`
}

// Prune says whether the last step is Steps or more after that of the last better value, the first being the trial's
// first report. NaN is no better value.
func (p *Patience) Prune(trial Trial, _ []Trial) bool {
	if len(trial.Curve) == 0 {
		return false
	}
	best, step := math.Inf(1), trial.Curve[0].Step
	for _, report := range trial.Curve {
		if report.Value < best-p.MinDelta {
			best, step = report.Value, report.Step
		}
	}
	return trial.Curve[len(trial.Curve)-1].Step-step >= p.Steps
}
