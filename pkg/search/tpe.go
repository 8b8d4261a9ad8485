package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// TPE is the tree-structured Parzen estimator (Bergstra et al. 2011): the best tenth of the completed trials, at most 25, make a density
// l(x), all others a density g(x); of points drawn from l, it proposes the one with the largest l(x)/g(x), which has the greatest expected
// improvement (section 4.1 there). Watanabe 2023 (arXiv:2304.11127) explains what each part does. Unless stated otherwise the parts are
// Optuna's; the differences are how narrow kernels may be, that the better of the good trials weigh more, and that a single choice is drawn
// less greedily.
//
// Pending trials count as bad ones, so that trials that run at the same time lie apart. Pruned trials rank after all completed ones: the
// later they stopped the better, and among equals by their last value. Failed ones are left out.
//
// With several objectives the good tenth, at most 100, is taken by fronts (Ozaki et al. 2022): whole fronts of trials that none outside
// them dominates, and from the last one some that are far apart. Pruned trials are bad ones then.
//
// A parameter under a choice is modelled on the trials that had it.
type TPE struct {
	// Startup is the number of trials with a result before which points are drawn at random.
	Startup int `yaml:"startup" min:"1" max:"1000000"`

	// Candidates is the number of points drawn from l, of which the best is proposed; 0 is 24, or 64 with multivariate, where a point has
	// to be good in more ways. More candidates search closer to what is already good; the time grows with it.
	Candidates int `yaml:"candidates" min:"0" max:"100000"`

	// Multivariate draws parameters together, to find values that are good only in combination: first those that are always present, then
	// those under each choice made. Without it, each parameter is drawn independently.
	Multivariate bool `yaml:"multivariate"`

	// Kernels is the largest number of trials that make g: if there are more, the newest fill half of it, and evenly spaced ones of the
	// rest stand for their neighbours with their weights. The time grows with it; 1,000,000 keeps all.
	Kernels int `yaml:"kernels" min:"2" max:"1000000"`
}

// New implements [Method].
func (t *TPE) New(space Space, objectives int, seed int64) (Strategy, error) {
	if t.Startup < 1 || t.Candidates < 0 || t.Kernels < 2 {
		return nil, fmt.Errorf("strategy tpe: startup %d, candidates %d, kernels %d: set at least 1, 0 and 2",
			t.Startup, t.Candidates, t.Kernels)
	}
	s := &tpe{TPE: *t, space: space, seed: seed, most: 25}
	switch {
	case t.Candidates > 0:
	case t.Multivariate:
		s.Candidates = 64
	default:
		s.Candidates = 24
	}
	if s.ranking = (&best{most: s.most}); objectives > 1 {
		s.ranking, s.most = &fronts{objectives: objectives}, 100
	}
	for i, parameter := range space {
		g := slices.IndexFunc(s.groups, func(g *group) bool { return g.is(parameter) })
		if g < 0 {
			g = len(s.groups)
			s.groups = append(s.groups, &group{parent: parameter.Parent, option: parameter.Option})
		}
		s.groups[g].add(i, t.Multivariate)
	}
	return s, nil
}

// tpe is a TPE on a space. All but its options and the ranking's bound is work saved from the calls before.
type tpe struct {
	TPE
	space   Space
	seed    int64
	most    int // trials that may be good ones
	groups  []*group
	ranking ranking
	seen    int         // of the history's trials
	usable  int         // of these
	places  [][]float64 // of the trials seen, by their place in the history; nil of those left out
}

// ranking keeps the order of the trials told.
type ranking interface {
	// add takes in the trial at a place in the history.
	add(trial Trial, at int)
	// first returns the n best, or as many as there are.
	first(n int) []merit
}

// merit is what a good trial weighs in l.
type merit struct {
	at     int // in the history
	weight float64
}

// group is parameters that are there together.
type group struct {
	parent, option int
	blocks         [][]int // the parameters, those drawn together in one block
	told           []int   // places in the history of the trials that have them
}

func (g *group) is(p Parameter) bool {
	return g.parent == p.Parent && (p.Parent < 0 || g.option == p.Option)
}

func (g *group) add(parameter int, together bool) {
	if together && len(g.blocks) > 0 {
		g.blocks[0] = append(g.blocks[0], parameter)
		return
	}
	g.blocks = append(g.blocks, []int{parameter})
}

// there says whether a point has the group's parameters.
func (g *group) there(space Space, p Point) bool { return space.Has(p, g.blocks[0][0]) }

// choiceCandidates bounds the draws for a choice by itself. 24 of them are all its options, and of these always that with the
// greatest l/g is taken: a choice that looked bad in the first trials never gets another. With two the median simple
// regret on the function of docs/strategies.md that has branches is less than half.
const choiceCandidates = 2

// Ask implements [Strategy].
func (t *tpe) Ask(n int, history *History) Point {
	t.learn(history.Told)
	r := generator(t.seed, n)
	if t.usable < t.Startup {
		return t.space.Random(r)
	}
	good := t.ranking.first(min((t.usable+9)/10, t.most))
	slices.SortFunc(good, func(a, b merit) int { return cmp.Compare(a.at, b.at) })
	chosen := make(Point, len(t.space))
	for i := range chosen {
		chosen[i] = math.NaN()
	}
	candidate := make(Point, len(t.space))
	for _, g := range t.groups { // parents before those that depend on them
		if !g.there(t.space, chosen) {
			continue
		}
		below, above := t.split(g, good, history.Pending)
		for _, members := range g.blocks {
			l, bad := estimate(t.space, members, below), estimate(t.space, members, above)
			most := math.Inf(-1)
			candidates := t.Candidates
			if len(members) == 1 && t.space[members[0]].Kind == Choice {
				candidates = min(candidates, choiceCandidates)
			}
			for range candidates {
				l.draw(r, members, candidate)
				if ratio := l.density(members, candidate) / bad.density(members, candidate); ratio > most {
					most = ratio
					for _, member := range members {
						chosen[member] = candidate[member]
					}
				}
			}
		}
	}
	return chosen
}

// learn takes in what was told since the call before.
func (t *tpe) learn(told []Trial) {
	for ; t.seen < len(told); t.seen++ {
		trial := told[t.seen]
		t.places = append(t.places, nil)
		if trial.State != Pruned && (trial.State != Done || slices.ContainsFunc(trial.Values, math.IsNaN)) {
			continue
		}
		t.usable++
		t.places[t.seen] = t.placesOf(trial.Point)
		t.ranking.add(trial, t.seen)
		for _, g := range t.groups {
			if g.there(t.space, trial.Point) {
				g.told = append(g.told, t.seen)
			}
		}
	}
}

// placesOf returns the place of each number, and each choice as it is.
func (t *tpe) placesOf(p Point) []float64 {
	places := slices.Clone(p)
	for i, parameter := range t.space {
		if parameter.Kind != Choice {
			places[i] = parameter.Place(p[i])
		}
	}
	return places
}

// split returns the good observations of a group, and the bad ones: those told, in their order, then those pending, at most
// Kernels of all.
func (t *tpe) split(g *group, good []merit, pending []Trial) (below, above []observation) {
	var skipped []int // places of good trials in g.told
	for _, m := range good {
		if at, found := slices.BinarySearch(g.told, m.at); found {
			below = append(below, observation{t.places[m.at], m.weight})
			skipped = append(skipped, at)
		}
	}
	var waiting [][]float64
	for _, trial := range pending {
		if g.there(t.space, trial.Point) {
			waiting = append(waiting, t.placesOf(trial.Point))
		}
	}
	told := len(g.told) - len(skipped)
	n := told + len(waiting)
	passed := 0
	take := func(i int, stands float64) {
		if i >= told {
			above = append(above, observation{waiting[i-told], stands})
			return
		}
		// The i-th of g.told that is not a good one; i grows from call to call.
		for passed < len(skipped) && skipped[passed] <= i+passed {
			passed++
		}
		above = append(above, observation{t.places[g.told[i+passed]], stands * ageWeight(i, n)})
	}
	first, step := 0, 1.0 // of the trials taken one by one
	if n > t.Kernels {
		few := t.Kernels - t.Kernels/2
		first = n - t.Kernels/2
		step = float64(first) / float64(few)
		for j := range few {
			take(int((float64(j)+0.5)*step), step)
		}
	}
	for i := first; i < n; i++ {
		take(i, 1)
	}
	return below, above
}

// ageWeight is what the i-th of n bad trials weighs: the newest 25 weigh 1, those before them less and less, evenly down to
// 1/n.
func ageWeight(i, n int) float64 {
	const whole = 25
	switch old := n - whole; {
	case i >= old:
		return 1
	case old == 1:
		return 1 / float64(n)
	default:
		least := 1 / float64(n)
		return least + (1-least)*float64(i)/float64(old-1)
	}
}

// best is the ranking of one objective.
type best struct {
	most   int // the most ever asked for
	ranked []ranked
}

// ranked is a trial by what it is compared with, in this order.
type ranked struct {
	state State   // done before pruned
	step  int     // of a pruned one, the negative of its last
	value float64 // its last
	at    int
}

func (b *best) add(trial Trial, at int) {
	r := ranked{state: trial.State, at: at}
	switch {
	case trial.State == Done:
		r.value = trial.Values[0]
	case len(trial.Curve) > 0:
		last := trial.Curve[len(trial.Curve)-1]
		if r.step, r.value = -last.Step, last.Value; math.IsNaN(r.value) {
			r.value = math.Inf(1)
		}
	default:
		r.step = 1
	}
	to, _ := slices.BinarySearchFunc(b.ranked, r, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.state, b.state), cmp.Compare(a.step, b.step), cmp.Compare(a.value, b.value),
			cmp.Compare(a.at, b.at))
	})
	// A trial that others push out does not come back.
	if to < b.most {
		b.ranked = slices.Insert(b.ranked, to, r)
		b.ranked = b.ranked[:min(len(b.ranked), b.most)]
	}
}

// first weighs the best of k trials 2k/(k + 1), and each after it less by as much as the last weighs; their mean is 1. The expected
// improvement would weigh them by how far they are below the threshold (Song et al. 2022, equation 9), which one value out of
// scale upsets. Against equal weights, Optuna's, the median simple regret of tpe with multivariate on hartmann6 is 0.059 for 0.142,
// over 101 seeds, and not higher on the others but by chance.
func (b *best) first(n int) []merit {
	merits := make([]merit, min(n, len(b.ranked)))
	k := float64(len(merits))
	for i := range merits {
		merits[i] = merit{b.ranked[i].at, 2 * (k - float64(i)) / (k + 1)}
	}
	return merits
}
