package main

import (
	"fmt"
	"math"
	"slices"

	"latent/pkg/search"
)

// What both sides run.
const (
	// seeds is five times 21: the medians of 21 seeds scatter by a third, so that a strategy misses a bar of 1.1 against itself.
	seeds  = 105
	trials = 100
	// seedsOfGP are fewer: a trial of it takes as long as a thousand of the others.
	seedsOfGP = 21
)

// strategy is one that both sides have.
type strategy struct {
	name   string // in Optuna's figures too
	method func() search.Method
	bar    bool // whether it must be no worse than Optuna's, by the factor most
}

// most is how many times Optuna's simple regret ours may be.
const most = 1.1

// strategies returns those to compare: of the ones that a sweep can name, and tpe drawn jointly.
func strategies() []strategy {
	var list []strategy
	for _, s := range []strategy{{name: "random"}, {name: "quasi-random"}, {name: "tpe", bar: true}, {name: "cma-es", bar: true}, {name: "gp"}} {
		var found bool
		if s.method, found = search.Strategies[s.name]; !found {
			continue
		}
		list = append(list, s)
		if s.name == "tpe" {
			list = append(list, strategy{"tpe multivariate", multivariate, true})
		}
	}
	return list
}

func multivariate() search.Method {
	tpe := search.Strategies["tpe"]().(*search.TPE)
	tpe.Multivariate = true
	return tpe
}

// regret runs trials one after the other, and returns how far the best stays above the least value there is.
func regret(method search.Method, f function, seed int64) (float64, error) {
	s, err := method.New(f.space, 1, seed)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", f.name, err)
	}
	best := math.Inf(1)
	var history search.History
	for n := range trials {
		point := s.Ask(n, &history)
		value := f.value(point)
		best = math.Min(best, value)
		history.Told = append(history.Told, search.Trial{
			Number: n, Point: point, State: search.Done, Values: []float64{value},
		})
	}
	return best - f.minimum, nil
}

// regrets are those of the seeds from first on.
func regrets(method search.Method, f function, first, seeds int) ([]float64, error) {
	list := make([]float64, seeds)
	for i := range list {
		var err error
		if list[i], err = regret(method, f, int64(first+i)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// median of an odd number of values.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
