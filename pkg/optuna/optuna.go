// Package optuna writes a sweep as a journal of Optuna, the file that optuna-dashboard and optuna.visualization read.
//
//	err := optuna.Export(ctx, "sweep.journal", study, trials)   // the whole of it
//	journal, err := optuna.Open(ctx, "sweep.journal", study)    // or what is new, while the sweep runs
//	err = journal.Append(ctx, optuna.Trial{Number: 3, State: optuna.Running, Params: params, Started: now})
//
// In Python, with Optuna 5.0:
//
//	storage = JournalStorage(JournalFileBackend("sweep.journal"))   # both of optuna.storages, .journal
//	study = optuna.load_study(study_name=name, storage=storage)
//
// A journal is lines of JSON, one for each operation; what a file holds is what its operations lead to, one after another. Studies
// and trials have no names of their own in it: they are counted, so that whoever appends must have read all that is before.
//
// Promised: what is told twice is written once, also by two processes and after a kill at any byte; several sweeps, Optuna and its
// dashboard may write to the file at once (Optuna's own lock is kept); nothing that others wrote is lost.
//
// What is not here: the study's store (pkg/study), which loses nothing, whereas a journal's last lines may be lost in a power cut and
// are told again; and reading a sweep back: an Optuna journal cannot hold all of one.
package optuna

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Study is what all trials of a sweep have in common.
type Study struct {
	// Name is the study's in Optuna. One file can hold several studies, with different names.
	Name string
	// Maximize says of each objective whether more is better.
	Maximize []bool
	// Metrics names the objectives, on the axes of Optuna's plots; none: "Objective Value".
	Metrics []string
	Space   []Parameter
	// Attrs are user attributes: what JSON can hold.
	Attrs map[string]any
}

// Kind is what values a parameter has.
type Kind int

// The kinds of parameters.
const (
	Float Kind = iota
	Int
	Categorical
)

// Parameter is one dimension of a space, Optuna's distribution.
type Parameter struct {
	Name string
	Kind Kind
	// Low and High bound a Float or an Int; both are included. With a step, Optuna lowers High to the last step that it reaches.
	Low, High float64
	// Log says that a Float or an Int is searched in its logarithm. Optuna has no steps then.
	Log bool
	// Step is the distance of two values of a Float or an Int; 0: none for a Float, 1 for an Int.
	Step float64
	// Options are what a Categorical chooses among, as Optuna shows them.
	Options []string
}

// State is where a trial stands.
type State int

// The states of a trial.
const (
	Waiting State = iota // Optuna's WAITING: an Optuna that optimises the study would run it
	Running
	Done // Optuna's COMPLETE; with a NaN among its values it is told as FAIL, as Optuna itself does it
	Pruned
	Failed
)

// codes are the states in a journal.
var codes = map[State]int{Running: 0, Done: 1, Pruned: 2, Failed: 3, Waiting: 4}

// Trial is what is known of a trial, all of it, each time that it is told.
type Trial struct {
	// Number is the sweep's. Optuna counts trials in the order in which it hears of them: the numbers are the same where trials are
	// told in order, from 0, and none ran twice. The user attribute [NumberAttr] has this one always.
	Number int
	State  State
	// Params has the number, or the place among the options; only of the parameters that are there.
	Params map[string]float64
	// Values are the objectives', as a person reads them: not negated where more is better. A Done trial has one each. A Pruned one
	// may have none: it then gets the last of its curve, as Optuna does it, where there is one objective.
	Values []float64
	// Curve is what was reported on the way. A later value of the same step replaces the one before.
	Curve []Report
	// Attrs are user attributes: what JSON can hold, and float64 with all their values. Those that come after a trial's end cannot be
	// told.
	Attrs map[string]any
	// Started is needed of a Running trial, Finished of a Done, Pruned or Failed one, whose Started, where it has none, is Finished.
	// Optuna keeps microseconds.
	Started, Finished time.Time
}

// Report is a value that a trial had after so many steps.
type Report struct {
	Step  int
	Value float64
}

// NumberAttr is the user attribute with a trial's number in the sweep. A trial that ran twice is two trials in Optuna with the
// same: there, what has finished cannot change. The later counts.
const NumberAttr = "latent.trial"

// outcome is how a trial's state and values are told.
func (s *Study) outcome(t *Trial) (State, []float64) {
	switch t.State {
	case Done:
		if slices.ContainsFunc(t.Values, math.IsNaN) {
			return Failed, nil
		}
		return Done, t.Values
	case Pruned:
		values := t.Values
		if len(values) == 0 && len(s.Maximize) == 1 && len(t.Curve) > 0 {
			last := slices.MaxFunc(t.Curve, func(a, b Report) int { return a.Step - b.Step })
			values = []float64{last.Value}
		}
		if slices.ContainsFunc(values, math.IsNaN) {
			return Pruned, nil
		}
		return Pruned, values
	}
	return t.State, nil
}

// started is when a trial began, as far as it is known.
func (t *Trial) started() time.Time {
	if t.Started.IsZero() {
		return t.Finished
	}
	return t.Started
}

func (s State) finished() bool { return s == Done || s == Pruned || s == Failed }

// check says what of a study Optuna would refuse.
func (s *Study) check() error {
	if s.Name == "" {
		return fmt.Errorf("the study has no name")
	}
	if len(s.Maximize) == 0 {
		return fmt.Errorf("study %q has no objective", s.Name)
	}
	if len(s.Metrics) > 0 && len(s.Metrics) != len(s.Maximize) {
		return fmt.Errorf("study %q has %d objectives and %d names for them", s.Name, len(s.Maximize), len(s.Metrics))
	}
	for i, p := range s.Space {
		if slices.ContainsFunc(s.Space[:i], func(q Parameter) bool { return q.Name == p.Name }) {
			return fmt.Errorf("study %q has two parameters %q", s.Name, p.Name)
		}
		if err := p.check(); err != nil {
			return fmt.Errorf("study %q: parameter %q: %w", s.Name, p.Name, err)
		}
	}
	return nil
}

func (p *Parameter) check() error {
	whole := func(v float64) bool { return v == math.Trunc(v) && math.Abs(v) <= 1<<53 }
	switch {
	case p.Kind == Categorical:
		if len(p.Options) == 0 {
			return fmt.Errorf("it has no options")
		}
	case !(p.Low <= p.High) || math.IsInf(p.High-p.Low, 0):
		return fmt.Errorf("low %v is above high %v", p.Low, p.High)
	case p.Kind == Int && !(whole(p.Low) && whole(p.High) && whole(p.Step)):
		return fmt.Errorf("low %v, high %v and step %v of an int are not all whole numbers", p.Low, p.High, p.Step)
	case p.Log && (p.Low <= 0 || p.Step != 0 && !(p.Kind == Int && p.Step == 1)):
		return fmt.Errorf("low %v, step %v: a logarithmic range needs low above 0 and no step", p.Low, p.Step)
	case !(p.Step >= 0):
		return fmt.Errorf("step %v is below 0", p.Step)
	}
	return nil
}

// contains says whether a value is one of the parameter's.
func (p *Parameter) contains(v float64) bool {
	if p.Kind == Categorical {
		return v == math.Trunc(v) && v >= 0 && v < float64(len(p.Options))
	}
	return v >= p.Low && v <= p.High && (p.Kind == Float || v == math.Trunc(v))
}

// checkTrial says what of a trial Optuna would refuse.
func (s *Study) checkTrial(t *Trial) error {
	if t.Number < 0 {
		return fmt.Errorf("trial %d: numbers start at 0", t.Number)
	}
	if _, known := codes[t.State]; !known {
		return fmt.Errorf("trial %d: unknown state %d", t.Number, t.State)
	}
	for name, value := range t.Params {
		i := slices.IndexFunc(s.Space, func(p Parameter) bool { return p.Name == name })
		if i < 0 {
			return fmt.Errorf("trial %d: %q is not a parameter of study %q", t.Number, name, s.Name)
		}
		if !s.Space[i].contains(value) {
			return fmt.Errorf("trial %d: %q cannot be %v in study %q", t.Number, name, value, s.Name)
		}
	}
	_, values := s.outcome(t)
	if t.State == Done {
		values = t.Values
	}
	if (t.State == Done || len(values) > 0) && len(values) != len(s.Maximize) {
		return fmt.Errorf("trial %d: %d values for %d objectives", t.Number, len(values), len(s.Maximize))
	}
	if t.State == Running && t.Started.IsZero() {
		return fmt.Errorf("trial %d is running, but has no start time", t.Number)
	}
	if t.State.finished() && t.Finished.IsZero() {
		return fmt.Errorf("trial %d has finished, but has no finish time", t.Number)
	}
	return nil
}
