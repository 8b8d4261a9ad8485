package search

import (
	"math"
	"slices"
	"testing"
)

// stops runs trials one after another, each with the curve that reports at every so many steps, and returns the steps at
// which they were pruned, 0 where they were not.
func stops(pruner Pruner, curves [][]float64, every int) (found []int, trials []Trial) {
	for n, curve := range curves {
		trial := Trial{Number: n, State: Done}
		stop := 0
		for step := every; step <= len(curve); step += every {
			trial.Curve = append(trial.Curve, Report{Step: step, Value: curve[step-1]})
			trial.Values = []float64{curve[step-1]}
			if pruner.Prune(trial, trials) {
				trial.State, stop = Pruned, step
				break
			}
		}
		found, trials = append(found, stop), append(trials, trial)
	}
	return found, trials
}

// Each trial is stopped where Optuna stops it (testdata/pruners.py).
func TestPrunersAgainstOptuna(t *testing.T) {
	var g struct {
		Curves [][]float64
		Stops  map[string][]int
	}
	golden(t, "pruners.json", &g)
	cases := map[string]struct {
		pruner Pruner
		every  int
	}{
		"median":                    {&Median{StartupTrials: 5, Interval: 1}, 1},
		"median, later":             {&Median{StartupTrials: 8, WarmupSteps: 4, Interval: 5}, 1},
		"median, every second step": {&Median{StartupTrials: 5, WarmupSteps: 3, Interval: 3}, 2},
		"halving":                   {&Halving{MinSteps: 1, Factor: 4}, 1},
		"halving, later":            {&Halving{MinSteps: 2, Factor: 3, EarlyStoppingRate: 1}, 1},
		// Optuna waits for one report more than it is told.
		"patience": {&Patience{Steps: 4}, 1},
	}
	for name, want := range g.Stops {
		got, _ := stops(cases[name].pruner, g.Curves, cases[name].every)
		if !slices.Equal(got, want) {
			t.Errorf("%s: stopped at\n%v, Optuna at\n%v", name, got, want)
		}
	}
}

// The first bracket of Hyperband's and ASHA's example, 9 trials, steps 1 to 9, factor 3 (Li et al. 2020, figure 1), by
// hand: in brackets are the trials at a rung with the value that is judged.
func TestHalvingByHand(t *testing.T) {
	flat := func(value float64) []float64 { return slices.Repeat([]float64{value}, 9) }
	curves := [][]float64{
		flat(5), // [5]: alone, and the best at 1, at 3 and at 9
		flat(7), // [5 7]: not the best of 2
		flat(4), // [4 5 7]: the best of 3; at 3 the best of [4 5], at 9 of [4 5]
		flat(6), // [4 5 6 7]: not the best of 4
		flat(3), // the best of 5; [3 4 5] at 3, and at 9
		flat(4), // [3 4 4 5 6 7]: one is better, and 6/3 = 2 go on; at 3 one is better, and 4/3 = 1 goes on
		flat(9),
		flat(2), // the best of 8; of 5 at 3; of 4 at 9
		// Two are better than 3.5 in 9, of which 3 go on; 1 is the best of 6 at 3; 3.5 is not the best of 5 at 9.
		{3.5, 3.5, 1, 3.5, 3.5, 3.5, 3.5, 3.5, 3.5},
	}
	want := []int{0, 1, 0, 1, 0, 3, 1, 0, 9}
	if got, _ := stops(&Halving{MinSteps: 1, Factor: 3}, curves, 1); !slices.Equal(got, want) {
		t.Errorf("stopped at %v, want %v", got, want)
	}
}

// A report at step 3 comes to the rungs 1 and 2 at once: 1 in 4 goes on from there, as from rung 2 with a report at each.
func TestHalvingOfFewReports(t *testing.T) {
	var others []Trial
	for n := range 7 {
		others = append(others, Trial{Number: n, State: Pruned, Curve: []Report{{Step: 3, Value: float64(n)}}})
	}
	for value, want := range map[float64]bool{-0.5: false, 0.5: false, 1.5: true} { // the best two of 8 go on
		trial := Trial{Number: 7, Curve: []Report{{Step: 3, Value: value}}}
		if got := (&Halving{MinSteps: 1, Factor: 2}).Prune(trial, others); got != want {
			t.Errorf("%g: pruned %t, want %t", value, got, want)
		}
	}
}

// What a pruner does with values that are no numbers, and with trials that were not done.
func TestPrunersAtTheirEdges(t *testing.T) {
	nan := math.NaN()
	curve := func(values ...float64) (c []Report) {
		for i, v := range values {
			c = append(c, Report{Step: i + 1, Value: v})
		}
		return c
	}
	done := func(values ...float64) Trial { return Trial{State: Done, Curve: curve(values...)} }
	for name, c := range map[string]struct {
		pruner Pruner
		trial  Trial
		others []Trial
		want   bool
	}{
		"median: no report":              {&Median{Interval: 1}, Trial{}, []Trial{done(1)}, false},
		"median: only NaN":               {&Median{Interval: 1}, done(nan), []Trial{done(1)}, true},
		"median: best so far counts":     {&Median{Interval: 1}, done(1, 9), []Trial{done(2, 2)}, false},
		"median: NaN of others is left":  {&Median{Interval: 1}, done(3), []Trial{done(nan), done(2)}, true},
		"median: others only NaN":        {&Median{Interval: 1}, done(3), []Trial{done(nan)}, false},
		"median: none so long":           {&Median{Interval: 1}, done(3, 3), []Trial{done(2)}, false},
		"median: mean of the middle two": {&Median{Interval: 1}, done(2.4), []Trial{done(1), done(2), done(3), done(4)}, false},
		"median: equal to it":            {&Median{Interval: 1}, done(2), []Trial{done(1), done(2), done(3)}, false},
		"median: pruned do not count":    {&Median{Interval: 1}, done(3), []Trial{{State: Pruned, Curve: curve(2)}}, false},
		"halving: no report":             {&Halving{MinSteps: 1, Factor: 2}, Trial{}, nil, false},
		"halving: NaN":                   {&Halving{MinSteps: 1, Factor: 2}, done(nan), nil, true},
		"halving: NaN of others":         {&Halving{MinSteps: 1, Factor: 2}, done(5), []Trial{done(nan), done(nan)}, false},
		"halving: pruned and pending count": {&Halving{MinSteps: 1, Factor: 2}, done(5),
			[]Trial{{State: Pruned, Curve: curve(4)}, {State: Pending, Curve: curve(4)}}, true},
		"halving: rungs too far to count": {&Halving{MinSteps: 1 << 40, Factor: 1000, EarlyStoppingRate: 30}, done(5),
			[]Trial{done(1)}, false},
		"hyperband: at the end": {&Hyperband{MinSteps: 1, MaxSteps: 1, Factor: 3}, done(5), []Trial{done(1)}, false},
		"hyperband: none done": {&Hyperband{MinSteps: 1, Factor: 3}, done(5),
			[]Trial{{State: Pending, Curve: curve(1)}}, false},
		// Keras's EarlyStopping(patience=2, min_delta=0.1): 1, 0.95 and 0.91 are no better than 1 by more than 0.1.
		"patience: small steps":                 {&Patience{Steps: 2, MinDelta: 0.1}, done(1, 0.95, 0.91), nil, true},
		"patience: small steps add up":          {&Patience{Steps: 2, MinDelta: 0.1}, done(1, 0.95, 0.85), nil, false},
		"patience: NaN is no better":            {&Patience{Steps: 2}, done(1, nan, nan), nil, true},
		"patience: only NaN":                    {&Patience{Steps: 2}, done(nan, nan, nan), nil, true},
		"patience: steps, not reports":          {&Patience{Steps: 5}, Trial{Curve: []Report{{1, 1}, {6, 2}}}, nil, true},
		"patience: an equal value is no better": {&Patience{Steps: 2}, done(1, 1, 1), nil, true},
	} {
		if got := c.pruner.Prune(c.trial, c.others); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

// Brackets have the sizes of Li et al. 2018 for R = 81, η = 3, each in every round and about so in a part of one.
func TestHyperbandShares(t *testing.T) {
	h := &Hyperband{MinSteps: 1, MaxSteps: 81, Factor: 3}
	r := h.round(81)
	// Algorithm 1: ⌈5·81/5⌉, ⌈5·27/4⌉, ⌈5·9/3⌉, ⌈5·3/2⌉, ⌈5·1/1⌉.
	if want := []int{81, 34, 15, 8, 5}; !slices.Equal(r.shares, want) {
		t.Fatalf("shares %v, want %v", r.shares, want)
	}
	for _, trials := range []int{r.total, 40, 10 * r.total} {
		counts := make([]int, len(r.shares))
		for n := range trials {
			counts[r.bracket(n)]++
		}
		for k, count := range counts {
			share := float64(trials*r.shares[k]) / float64(r.total)
			if math.Abs(float64(count)-share) > 2 || trials%r.total == 0 && float64(count) != share {
				t.Errorf("of %d trials bracket %d has %d, its share is %.1f", trials, k, count, share)
			}
		}
	}
}

// learning is curves of so many steps that fall to different ends at different rates, which cross, with noise.
func learning(seed int64, trials, steps int) [][]float64 {
	curves := make([][]float64, trials)
	for n := range curves {
		r := generator(seed, n)
		end, rate := r.Float64(), math.Exp(math.Log(0.03)+r.Float64()*(math.Log(1)-math.Log(0.03)))
		for step := 1; step <= steps; step++ {
			curves[n] = append(curves[n], end+2*math.Exp(-rate*float64(step))+0.03*r.NormFloat64())
		}
	}
	return curves
}

// A pruner saves steps, and the best of what it leaves is better than that of as many steps spent on fewer trials without
// it: over 20 sweeps of 60 trials of 81 steps, it is less than half as far from the best of all 60. The ends are spread
// evenly over [0, 1], so that the best of m trials is 1/(m+1) on average. Measured over 40 sweeps: steps saved, sweeps
// whose best trial is kept, loss, and that of fewer trials: median 77 %, 31, 0.0075, 0.050; halving 91 %, 14, 0.045,
// 0.138; hyperband 75 %, 23, 0.021, 0.046; patience 39 %, 22, 0.002, 0.010.
func TestPrunersSave(t *testing.T) {
	const sweeps, count, steps = 20, 60, 81
	for name, c := range map[string]struct {
		pruner Pruner
		saved  float64 // the part of the steps that it saves at least
	}{
		"median":    {Pruners["median"](), 0.7},
		"halving":   {Pruners["halving"](), 0.85},
		"hyperband": {&Hyperband{MinSteps: 1, MaxSteps: steps, Factor: 3}, 0.7},
		"patience":  {Pruners["patience"](), 0.3},
	} {
		used, kept, lost := 0, 0, 0.0
		for seed := range int64(sweeps) {
			curves := learning(seed, count, steps)
			_, trials := stops(c.pruner, curves, 1)
			best, left := math.Inf(1), math.Inf(1)
			for n, trial := range trials {
				used += len(trial.Curve)
				best = math.Min(best, curves[n][steps-1])
				left = math.Min(left, trial.Values[0])
			}
			if left <= best {
				kept++
			}
			lost += (left - best) / sweeps
		}
		part := float64(used) / (sweeps * count * steps)
		without := 1/(part*count+1) - 1./(count+1)
		if 1-part < c.saved || lost > without/2 {
			t.Errorf("%s: saves %.2f of the steps, keeps the best of %d of %d sweeps, and loses %.4f; fewer trials lose %.4f", name,
				1-part, kept, sweeps, lost, without)
		}
	}
}
