package main

import (
	"math"
	"testing"

	"latent/pkg/search"
)

// The kept figures are of the functions that ours run on: Python's values at points of its own, and the least values where the
// papers say they are.
func TestFunctions(t *testing.T) {
	peers, err := readFigures(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range functions {
		points := peers.Points[f.name]
		if len(points) == 0 {
			t.Errorf("%s: Optuna's figures have no points of it", f.name)
		}
		for _, fixed := range points {
			p := make(search.Point, len(f.space))
			for i, parameter := range f.space {
				value, there := fixed.Params[parameter.Name]
				if p[i] = value; !there {
					p[i] = math.NaN()
				}
				if there != f.space.Has(p, i) {
					t.Errorf("%s: Python's point %v, and %s is there: %v", f.name, fixed.Params, parameter.Name, !there)
				}
			}
			if got := f.value(p); math.Abs(got-fixed.Value) > 1e-9*math.Max(1, math.Abs(fixed.Value)) {
				t.Errorf("%s at %v: %v, in Python %v", f.name, fixed.Params, got, fixed.Value)
			}
		}
	}
}

func TestMinima(t *testing.T) {
	nan := math.NaN()
	for name, at := range map[string]search.Point{
		"branin": {math.Pi, 2.275},
		// Surjanovic & Bingham, Virtual Library of Simulation Experiments.
		"hartmann6":      {0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573},
		"rosenbrock-log": {10, 10, 10},
		"ackley-mixed":   {0, 0, 0, 0, 2},
		"levy-integer":   {1, 1, 1, 16},
		"branches":       {1, 1.7, 1, nan, nan, 5, 0.7},
	} {
		for _, f := range functions {
			if f.name != name {
				continue
			}
			if over := f.value(at) - f.minimum; over < -1e-9 || over > 1e-6 {
				t.Errorf("%s at %v is %v above its least value", name, at, over)
			}
		}
	}
}

// missed are the bars that docs/strategies.md tells as missed. Of 840 seeds, multivariate TPE's median on branches is 0.0275,
// where 105 have 0.0314; Optuna's 105 have 0.0241, and groups of 21 of them from 0.014 to 0.049.
var missed = map[string]bool{"tpe multivariate/branches": true}

// The medians of docs/strategies.md, at the bar.
func TestNoWorseThanOptuna(t *testing.T) {
	peers, err := readFigures(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range strategies() {
		if !s.bar {
			continue
		}
		for _, f := range functions {
			t.Run(s.name+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				ours, err := regrets(s.method(), f, 0, seeds)
				if err != nil {
					t.Fatal(err)
				}
				c := cell{ours: median(ours), optunas: median(peers.Regrets[f.name][s.name])}
				if missed[s.name+"/"+f.name] != (c.ratio() > most) {
					t.Errorf("median simple regret of %d seeds %.4g, Optuna's %.4g: %.2f times, and the bar is %g",
						seeds, c.ours, c.optunas, c.ratio(), most)
				}
			})
		}
	}
}
