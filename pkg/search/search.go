// Package search proposes hyperparameters, and says which trials are not worth finishing.
//
//	space := search.Space{{Name: "train.learning_rate", Kind: search.Float, Low: 1e-4, High: 1e-2, Log: true, Parent: -1}}
//	strategy, err := search.Strategies["tpe"]().New(space, 1, seed)
//	var history search.History
//	point := strategy.Ask(0, &history)           // then run it
//	history.Told = append(history.Told, search.Trial{Number: 0, Point: point, State: search.Done, Values: []float64{0.3}})
//
// Promised: a strategy is a function. What it proposes for trial n depends on the space, the seed, n and the history it is
// shown, and on nothing else: not on what it was asked before, nor on the clock. Less is better, always: whoever wants the
// most of something shows its negative.
//
// What is not here: what a parameter means to an experiment (pkg/config), where trials are kept (pkg/study), and who runs
// them (pkg/sweep).
package search

import (
	"math"
	"math/rand/v2"
)

// Kind is what values a parameter has.
type Kind int

// The kinds of parameters.
const (
	Float  Kind = iota // a real number from Low to High
	Int                // a whole number from Low to High, both included
	Choice             // one of Options things without an order; the value is its place, from 0
)

// Parameter is one dimension of a space.
type Parameter struct {
	// Name is unique in the space.
	Name string
	Kind Kind
	// Low and High bound a Float or an Int; both are included.
	Low, High float64
	// Log says that a Float or an Int, above 0, is looked at in its logarithm.
	Log bool
	// Options is the number of things that a Choice chooses among.
	Options int
	// Parent is the place in the space of the Choice that decides whether this parameter is there, before this one; -1
	// where it always is. Option is the choice it is there with.
	Parent, Option int
}

// Space is the parameters of a search, parents before those that depend on them.
type Space []Parameter

// Point has a value for each parameter of its space: the number, or the place of the choice; NaN where the parameter is not
// there.
type Point []float64

// Has says whether parameter i is there in the point, as far as the parameters before it say.
func (s Space) Has(p Point, i int) bool {
	parent := s[i].Parent
	// Where the parent is not there, its value is NaN, which equals nothing.
	return parent < 0 || p[parent] == float64(s[i].Option)
}

// Random draws a point: each parameter by itself, spread evenly, or evenly in the logarithm.
func (s Space) Random(r *rand.Rand) Point {
	p := make(Point, len(s))
	for i, parameter := range s {
		u := r.Float64() // drawn whether it is there or not, so that the draws after it are the same
		p[i] = math.NaN()
		if s.Has(p, i) {
			p[i] = parameter.At(u)
		}
	}
	return p
}

// At returns the value at a place u of [0, 1): even steps of u are even steps of the value, or of its logarithm. Each whole
// number and each choice has an even share of the places.
func (p Parameter) At(u float64) float64 {
	if p.Kind == Choice {
		return math.Min(math.Floor(u*float64(p.Options)), float64(p.Options-1))
	}
	low, high := p.ends()
	value := low + u*(high-low)
	if p.Log {
		value = math.Exp(value)
	}
	if p.Kind == Int {
		value = math.Round(value)
	}
	return math.Min(math.Max(value, p.Low), p.High)
}

// Place is the inverse of At: the middle of the places that have the value.
func (p Parameter) Place(value float64) float64 {
	if p.Kind == Choice {
		return (value + 0.5) / float64(p.Options)
	}
	low, high := p.ends()
	if high == low {
		return 0.5
	}
	if p.Log {
		value = math.Log(value)
	}
	return (value - low) / (high - low)
}

// ends are the bounds in which the parameter is looked at: of the logarithm, where it is looked at in it; a whole number
// takes half a step on each side.
func (p Parameter) ends() (low, high float64) {
	low, high = p.Low, p.High
	if p.Kind == Int {
		low, high = low-0.5, high+0.5
	}
	if p.Log {
		low, high = math.Log(low), math.Log(high)
	}
	return low, high
}

// State is where a trial stands.
type State int

// The states of a trial.
const (
	Pending State = iota // proposed, with no result yet
	Done
	Pruned // stopped before its end; it may have Values, those of its last step
	Failed // it has no result
)

// Trial is a point and what is known of it.
type Trial struct {
	Number int // from 0, in the order of proposing
	Point  Point
	State  State
	// Values are the objectives', less is better; nil where there are none.
	Values []float64
	// Curve is what was reported on the way of the first objective, or what stands for it, less is better; steps grow.
	Curve []Report
}

// Report is a value that a trial had on its way, after so many steps (epochs).
type Report struct {
	Step  int
	Value float64
}

// History is what a strategy is shown. Told only grows, from one call to the next.
type History struct {
	Told    []Trial // with their results, in the order in which those were told
	Pending []Trial // without, by number
}

// Strategy proposes points.
type Strategy interface {
	// Ask returns the point of trial n. It is called by one goroutine at a time, with a history that continues that of the
	// call before. What it returns does not depend on the calls before: they only save work.
	Ask(n int, history *History) Point
}

// Finite is a strategy that has an end.
type Finite interface {
	Strategy
	// Size is the number of its trials: a sweep ends there. Asked for more it starts again.
	Size() int
}

// Method is a strategy's kind with its numbers, as a sweep's file names it.
type Method interface {
	// New starts it on a space, for so many objectives. The error says what of the space it cannot search, and what can.
	New(space Space, objectives int, seed int64) (Strategy, error)
}

// Strategies holds every strategy that a sweep can name, with its defaults.
var Strategies = map[string]func() Method{
	"cma-es":       func() Method { return &CMAES{Sigma: 1. / 6, RestartFactor: 2} },
	"gp":           func() Method { return &GP{Startup: 10, Candidates: 1000, Points: 300} },
	"grid":         func() Method { return &Grid{Points: 5} },
	"quasi-random": func() Method { return &QuasiRandom{Sequence: "sobol"} },
	"random":       func() Method { return &Random{} },
	"tpe":          func() Method { return &TPE{Startup: 10, Kernels: 128} },
}

// Pruner says which trials are not worth finishing.
type Pruner interface {
	// Prune says whether the trial is to stop after the last value of its curve. others are those with which it may be
	// compared, in the order of their numbers; curves may be longer than the trial's, or shorter.
	Prune(trial Trial, others []Trial) bool
}

// Pruners holds every pruner that a sweep can name, with its defaults.
var Pruners = map[string]func() Pruner{
	"halving":   func() Pruner { return &Halving{MinSteps: 1, Factor: 4} },
	"hyperband": func() Pruner { return &Hyperband{MinSteps: 1, Factor: 3} },
	"median":    func() Pruner { return &Median{StartupTrials: 5, Interval: 1} },
	"none":      func() Pruner { return &None{} },
	"patience":  func() Pruner { return &Patience{Steps: 10} },
}

// generator is that of trial n: the draws of a trial depend on no other trial.
func generator(seed int64, n int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), uint64(n))) }
