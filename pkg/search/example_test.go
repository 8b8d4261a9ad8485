package search_test

import (
	"fmt"
	"math"

	"github.com/janpfeifer/must"

	"latent/pkg/search"
)

// Ask and tell: the least of (x − 2)² + 3 of a choice, by TPE. Less is better.
func Example() {
	space := search.Space{
		{Name: "x", Kind: search.Float, Low: -10, High: 10, Parent: -1},
		{Name: "kind", Kind: search.Choice, Options: 2, Parent: -1},
	}
	strategy := must.M1(search.Strategies["tpe"]().New(space, 1, 42))
	var history search.History
	best := search.Trial{Values: []float64{math.Inf(1)}}
	for n := range 60 {
		point := strategy.Ask(n, &history)
		trial := search.Trial{Number: n, Point: point, State: search.Done, Values: []float64{(point[0]-2)*(point[0]-2) + 3*point[1]}}
		history.Told = append(history.Told, trial)
		if trial.Values[0] < best.Values[0] {
			best = trial
		}
	}
	fmt.Printf("x = %.0f with choice %.0f\n", best.Point[0], best.Point[1])
	// Output: x = 2 with choice 0
}

// A pruner ends a trial that looks worse than those before at the same step.
func ExamplePruner() {
	var others []search.Trial
	for n, loss := range []float64{0.3, 0.2, 0.25, 0.28, 0.22} {
		others = append(others, search.Trial{Number: n, State: search.Done, Curve: []search.Report{{Step: 1, Value: loss}}})
	}
	pruner := search.Pruners["median"]()
	for _, loss := range []float64{0.21, 0.4} {
		fmt.Println(loss, pruner.Prune(search.Trial{Number: 5, Curve: []search.Report{{Step: 1, Value: loss}}}, others))
	}
	// Output:
	// 0.21 false
	// 0.4 true
}
