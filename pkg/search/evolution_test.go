package search

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// golden reads a file of testdata.
func golden(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// tell adds a finished trial to the history.
func tell(h *History, p Point, value float64) {
	h.Told = append(h.Told, Trial{Number: len(h.Told), Point: p, State: Done, Values: []float64{value}})
}

// evolve starts cma-es with its defaults.
func evolve(t *testing.T, space Space, seed int64) Strategy {
	t.Helper()
	s, err := Strategies["cma-es"]().New(space, 1, seed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cube is a space of so many numbers from 0 to 1.
func cube(d int) Space {
	var space Space
	for i := range d {
		space = append(space, Parameter{Name: fmt.Sprint("u", i), Kind: Float, High: 1, Parent: -1})
	}
	return space
}

// The distribution moves as that of the Python package cmaes does, generation by generation (testdata/evolution.py).
func TestEvolutionAgainstCMAES(t *testing.T) {
	var g struct {
		Told []struct {
			Sigma       float64
			Points      [][][]float64
			Values      [][]float64
			Means       [][]float64
			Sigmas      []float64
			Covariances [][][]float64
		}
	}
	golden(t, "evolution.json", &g)
	for _, run := range g.Told {
		d, population := len(run.Means[0]), len(run.Values[0])
		s, err := (&CMAES{Population: population, Sigma: run.Sigma}).New(cube(d), 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		e := s.(*cmaes).evolution
		var h History
		for i, generation := range run.Points {
			for k, x := range generation {
				tell(&h, x, run.Values[i][k])
			}
			s.Ask(len(h.Told), &h)
			if !floats.EqualApprox(e.mean, run.Means[i], 1e-9) || math.Abs(e.sigma/run.Sigmas[i]-1) > 1e-9 {
				t.Fatalf("%d dimensions, generation %d: mean %v, sigma %g; want %v, %g", d, i, e.mean, e.sigma,
					run.Means[i], run.Sigmas[i])
			}
			want := mat.NewSymDense(d, slices.Concat(run.Covariances[i]...))
			if !mat.EqualApprox(e.covariance, want, 1e-7) {
				t.Fatalf("%d dimensions, generation %d: covariance\n%v, want\n%v", d, i,
					mat.Formatted(e.covariance), mat.Formatted(want))
			}
		}
	}
}

// It comes within 1e-8 of the least with fewer trials than the package cmaes, whose points are not those of a Sobol
// sequence: the median of 51 seeds there, of 21 here. Measured: 567 and 696, 858 and 1032, 1478 and 1755.
func TestEvolutionConverges(t *testing.T) {
	var g struct{ Evaluations map[string]float64 }
	golden(t, "evolution.json", &g)
	for name, f := range map[string]func(x []float64) float64{
		"sphere": func(x []float64) (sum float64) {
			for _, v := range x {
				sum += math.Pow(10*v-6.3, 2)
			}
			return sum
		},
		"ellipsoid": func(x []float64) (sum float64) {
			for i := range x {
				y := ((10*x[i]-6.3)+(10*x[(i+1)%len(x)]-6.3))/math.Sqrt2 + 0.5*(10*x[i]-6.3)
				sum += math.Pow(10, 3*float64(i)/float64(len(x)-1)) * y * y
			}
			return sum
		},
		"rosenbrock": func(u []float64) (sum float64) {
			for i := range len(u) - 1 {
				x, next := 5*u[i]-2, 5*u[i+1]-2
				sum += 100*math.Pow(next-x*x, 2) + math.Pow(1-x, 2)
			}
			return sum
		},
	} {
		var counts []float64
		for seed := range int64(21) {
			s := evolve(t, cube(5), seed)
			var h History
			for best := math.Inf(1); best > 1e-8 && len(h.Told) < 20000; {
				p := s.Ask(len(h.Told), &h)
				value := f(p)
				best = math.Min(best, value)
				tell(&h, p, value)
			}
			counts = append(counts, float64(len(h.Told)))
		}
		slices.Sort(counts)
		if got, want := counts[10], g.Evaluations[name]; got > 0.95*want {
			t.Errorf("%s: %g evaluations, and cmaes takes %g", name, got, want)
		}
	}
}

// mixed is a function of a choice, a whole number, a rate and a number, whose best place depends on the choice; its least
// is 0.
func mixed(p Point) float64 {
	c, k, rate, x := p[0], p[1], math.Log10(p[2]), p[3]
	return math.Pow(rate+3+0.3*c, 2) + 0.05*math.Pow(k-5, 2) + 4*math.Pow(x-0.35-0.1*c, 2) + 0.2*[]float64{2, 0, 3, 1}[int(c)]
}

var mixedSpace = Space{
	{Name: "c", Kind: Choice, Options: 4, Parent: -1},
	{Name: "k", Kind: Int, Low: 1, High: 8, Parent: -1},
	{Name: "rate", Kind: Float, Low: 1e-5, High: 1e-1, Log: true, Parent: -1},
	{Name: "x", Kind: Float, High: 1, Parent: -1},
}

// Of 100 trials of a function with a choice, the best is better than that of Optuna's CmaEsSampler, which draws choices
// at random: 0.0225 (the median of 101 seeds, testdata/mixed.py). Measured here: 0.00024, over 1050 seeds.
func TestEvolutionOfMixed(t *testing.T) {
	var bests []float64
	for seed := range int64(21) {
		s := evolve(t, mixedSpace, seed)
		var h History
		best := math.Inf(1)
		for n := range 100 {
			p := s.Ask(n, &h)
			best = math.Min(best, mixed(p))
			tell(&h, p, mixed(p))
		}
		bests = append(bests, best)
	}
	slices.Sort(bests)
	if bests[10] > 0.0225/10 {
		t.Errorf("the median best of 21 seeds is %g", bests[10])
	}
}

// Eight workers, whose results come in late, cost some trials but not the search: with each trial told seven after it was
// asked for, it still comes to the least of a sphere.
func TestEvolutionWithWorkers(t *testing.T) {
	s := evolve(t, cube(5), 1)
	var h History
	var running []Point
	for n := range 1000 {
		running = append(running, s.Ask(n, &h))
		if len(running) == 8 {
			sum := 0.0
			for _, u := range running[0] {
				sum += (u - 0.63) * (u - 0.63)
			}
			tell(&h, running[0], sum)
			running = running[1:]
		}
	}
	if last := h.Told[len(h.Told)-1].Values[0]; last > 1e-8 {
		t.Errorf("after %d trials the last has %g", len(h.Told), last)
	}
}

// Where training diverges above a rate of 0.7 and gets better up to there, few trials of the later ones fail, though
// those that fail have no value to learn from. At random 30 in 100 do.
func TestEvolutionLeavesFailures(t *testing.T) {
	s := evolve(t, cube(3), 1)
	var h History
	failed := 0
	for n := range 300 {
		p := s.Ask(n, &h)
		trial := Trial{Number: n, Point: p, State: Done, Values: []float64{-p[0] + p[1]*p[1] + p[2]*p[2]}}
		if p[0] > 0.7 {
			trial.State, trial.Values = Failed, nil
			if n >= 100 {
				failed++
			}
		}
		h.Told = append(h.Told, trial)
	}
	if failed > 60 {
		t.Errorf("%d of the last 200 trials failed", failed)
	}
	best := math.Inf(1)
	for _, trial := range h.Told {
		if trial.State == Done {
			best = math.Min(best, trial.Values[0])
		}
	}
	if best > -0.69 { // -0.7 is the bound
		t.Errorf("the best is %g", best)
	}
}

// Trials are ordered done before pruned before failed, those that were pruned late before those that were pruned early.
func TestEvolutionOrdersTrials(t *testing.T) {
	pruned := func(step int, value float64) Trial {
		return Trial{State: Pruned, Values: []float64{value}, Curve: []Report{{step, value}}}
	}
	order := []Trial{
		{State: Done, Values: []float64{1}}, {State: Done, Values: []float64{2}}, {State: Done, Values: []float64{math.Inf(1)}},
		pruned(5, 3), pruned(5, 4), pruned(2, 0), {State: Failed},
	}
	for i := range order {
		for j := range order {
			if got := worse(order[i], order[j]); got != cmp.Compare(i, j) {
				t.Errorf("worse(%v, %v) = %d", order[i], order[j], got)
			}
		}
	}
	for _, none := range []Trial{{State: Done, Values: []float64{math.NaN()}}, {State: Pruned}} {
		if worse(none, Trial{State: Failed}) != 0 {
			t.Errorf("%v does not count as failed", none)
		}
	}
}

// Equally good trials move the distribution the same, in whatever order they are told.
func TestEvolutionSharesWeights(t *testing.T) {
	points := []Point{{0.1, 0.5}, {0.9, 0.4}, {0.5, 0.9}, {0.2, 0.2}}
	values := []float64{1, 0, 1, 1}
	var moved [][]float64
	for range 2 {
		s, err := (&CMAES{Population: 4, Sigma: 0.2}).New(cube(2), 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		var h History
		for i, p := range points {
			tell(&h, p, values[i])
		}
		s.Ask(4, &h)
		e := s.(*cmaes).evolution
		moved = append(moved, append(slices.Clone(e.mean), e.covariance.At(0, 0), e.covariance.At(0, 1)))
		points[0], points[2] = points[2], points[0]
	}
	if !floats.EqualApprox(moved[0], moved[1], 1e-12) {
		t.Errorf("mean and covariance are %v in one order, %v in another", moved[0], moved[1])
	}
}

// An option that is always the worst is still drawn: of 2 options, in some 1 of 11 trials.
func TestEvolutionKeepsOptions(t *testing.T) {
	s := evolve(t, Space{{Name: "c", Kind: Choice, Options: 2, Parent: -1}, {Name: "x", Kind: Float, High: 1, Parent: -1}}, 1)
	var h History
	worst := 0
	for n := range 1100 {
		p := s.Ask(n, &h)
		if n >= 100 && p[0] == 1 {
			worst++
		}
		tell(&h, p, p[0]+p[1])
	}
	if worst < 50 || worst > 150 {
		t.Errorf("of 1000 trials %d have the worse option", worst)
	}
}

// Once it has converged it starts anew elsewhere with twice the population, and so finds the deeper of two valleys, which
// is far from the middle; without restarts it stays.
func TestEvolutionRestarts(t *testing.T) {
	for _, factor := range []int{0, 2} {
		s, err := (&CMAES{Sigma: 0.05, RestartFactor: factor}).New(cube(2), 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		var h History
		best := math.Inf(1)
		for n := range 6000 {
			p := s.Ask(n, &h)
			near, far := math.Hypot(p[0]-0.5, p[1]-0.5), math.Hypot(p[0]-0.1, p[1]-0.9)
			value := math.Min(near*near+1, 4*far*far)
			best = math.Min(best, value)
			tell(&h, p, value)
		}
		if found := best < 1e-6; found != (factor > 0) {
			t.Errorf("restart factor %d: the best is %g", factor, best)
		}
	}
}

// What it cannot search.
func TestEvolutionErrors(t *testing.T) {
	choices := Space{{Name: "a", Kind: Choice, Options: 2, Parent: -1}, {Name: "b", Kind: Float, High: 1, Parent: 0, Option: 1}}
	if _, err := Strategies["cma-es"]().New(choices, 1, 1); err == nil {
		t.Error("a space without a number that is always there is taken")
	}
	if _, err := Strategies["cma-es"]().New(cube(2), 2, 1); err == nil {
		t.Error("two objectives are taken")
	}
}

// A trial with ten numbers at 10,000 told trials, one more told before each.
func BenchmarkEvolution(b *testing.B) {
	s, err := Strategies["cma-es"]().New(cube(10), 1, 1)
	if err != nil {
		b.Fatal(err)
	}
	var h History
	next := func() {
		p := s.Ask(len(h.Told), &h)
		sum := 0.0
		for i := range 9 {
			sum += 100*math.Pow(p[i+1]-p[i]*p[i], 2) + math.Pow(1-p[i], 2)
		}
		tell(&h, p, sum)
	}
	for range 10000 {
		next()
	}
	for b.Loop() {
		next()
	}
}
