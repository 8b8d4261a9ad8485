// Package importance says how much each parameter of a search matters, by a regression forest that is fitted to the trials.
//
//	shares, err := importance.FANOVA(space, points, values, importance.Options{Seed: 1})
//	shares[0].Name, shares[0].Value, shares[0].Deviation // "train.learning_rate", 0.71 of what single parameters explain, ±0.05
//
// [FANOVA] asks what part of the variance over the whole space is one parameter's alone; [Permutation] how much worse the forest
// foretells trials whose value of the parameter is another trial's. The first looks at the space, the second where trials are: after
// a search that soon stayed in one corner, the second says little of what lies outside it.
//
// Promised: the same trials, options and seed give the same shares; they are in the order of the space, at least 0, and sum to 1. A
// parameter that has one value only has none.
//
// What is not here: importances of pairs; and which value of a parameter is good, which plots of slices show.
package importance

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"latent/pkg/search"
)

// Share is how much a parameter matters.
type Share struct {
	Name string
	// Value is its part of the importance of all, from 0 to 1.
	Value float64
	// Deviation is the standard deviation of Value over the forest's trees: where it is as large as Value, there are too few trials.
	Deviation float64
}

// Options are those of the forest; shares depend on all of them.
type Options struct {
	// Trees is their number; 0: 64, as in Optuna. The time grows with it.
	Trees int
	// MaxDepth is how often a tree splits at most on the way to a leaf; 0: 64, as in Optuna.
	MaxDepth int
	// Seed begins the draws of the trees' trials and of the permutations.
	Seed int64
	// Log looks at parameters with a logarithm in it, as the search does. Without, as in Optuna, [FANOVA] gives each step of their
	// value the same weight: of a learning rate from 0.0001 to 0.1, nine tenths are those above 0.01. [Permutation] hardly depends on it.
	Log bool
}

// ErrFlat says that the trials tell no parameter from another: their values are all the same, or no parameter by itself foretells
// them. More trials may do.
var ErrFlat = errors.New("no parameter has an effect by itself")

// forest is trees fitted to trials, and how they see a space: each number is a column, each option of a choice one too, 1 where it
// was chosen.
type forest struct {
	space     search.Space
	columns   [][]int     // of each parameter; none where it has one value only
	low, high []float64   // of each column
	owner     []int       // the parameter of each column
	x         [][]float64 // [columns, trials]; absent where the parameter is not there
	y         []float64   // [trials]
	trees     []*tree
}

// fit reads the trials and grows the trees.
func fit(space search.Space, points []search.Point, values []float64, options Options) (*forest, error) {
	if len(points) != len(values) {
		return nil, fmt.Errorf("importance: %d points and %d values", len(points), len(values))
	}
	f := &forest{space: space, columns: make([][]int, len(space))}
	for i, parameter := range space {
		f.addColumns(i, parameter, options.Log)
	}
	if len(f.x) == 0 {
		return nil, errors.New("importance: every parameter has only one value")
	}
	for i, point := range points {
		if math.IsNaN(values[i]) || math.IsInf(values[i], 0) {
			continue
		}
		if err := f.add(point, options.Log); err != nil {
			return nil, fmt.Errorf("importance: point %d: %w", i, err)
		}
		f.y = append(f.y, values[i])
	}
	if len(f.y) < 2 {
		return nil, fmt.Errorf("importance: %d trials have a finite value, but at least 2 are needed", len(f.y))
	}
	if floats.Min(f.y) == floats.Max(f.y) {
		return nil, fmt.Errorf("importance: all %d values are %v: %w", len(f.y), f.y[0], ErrFlat)
	}
	f.grow(options)
	return f, nil
}

func (f *forest) addColumns(i int, p search.Parameter, log bool) {
	count, low, high := 1, p.Low, p.High
	if p.Log && log {
		low, high = math.Log(low), math.Log(high)
	}
	if p.Kind == search.Choice {
		count, low, high = p.Options, 0, 1
	}
	if !(low < high) || p.Kind == search.Choice && count < 2 {
		return
	}
	for range count {
		f.columns[i] = append(f.columns[i], len(f.x))
		f.low, f.high, f.owner, f.x = append(f.low, low), append(f.high, high), append(f.owner, i), append(f.x, nil)
	}
}

// absent stands where a parameter is not there: behind all values.
var absent = math.Inf(1)

// add reads a trial's point.
func (f *forest) add(point search.Point, log bool) error {
	if len(point) != len(f.space) {
		return fmt.Errorf("it has %d values, but the space has %d parameters", len(point), len(f.space))
	}
	for i, p := range f.space {
		value := point[i]
		switch {
		case math.IsNaN(value):
		case p.Kind == search.Choice && (value != math.Trunc(value) || value < 0 || value >= float64(p.Options)):
			return fmt.Errorf("%s is %v, but has %d options", p.Name, value, p.Options)
		case p.Kind != search.Choice && (value < p.Low || value > p.High):
			return fmt.Errorf("%s is %v, outside [%v, %v]", p.Name, value, p.Low, p.High)
		}
		for option, column := range f.columns[i] {
			x := value
			switch {
			case math.IsNaN(value):
				x = absent
			case p.Kind == search.Choice && value == float64(option):
				x = 1
			case p.Kind == search.Choice:
				x = 0
			case p.Log && log:
				x = math.Log(value)
			}
			f.x[column] = append(f.x[column], x)
		}
	}
	return nil
}

// shares makes the parameters' importances in the trees, [parameters][trees], into their shares.
func (f *forest) shares(importances [][]float64) ([]Share, error) {
	shares := make([]Share, len(f.space))
	total := 0.0
	for i := range shares {
		mean, variance := stat.PopMeanVariance(importances[i], nil)
		shares[i] = Share{f.space[i].Name, max(0, mean), math.Sqrt(variance)}
		total += shares[i].Value
	}
	if total == 0 {
		return nil, fmt.Errorf("importance: of %d trials: %w", len(f.y), ErrFlat)
	}
	for i := range shares {
		shares[i].Value /= total
		shares[i].Deviation /= total
	}
	return shares, nil
}
