package search

import (
	"math"
	"slices"
)

// fronts is the ranking of several objectives: front 0 is the trials that no other dominates, front 1 those that only trials of
// front 0 dominate, and so on. A new trial moves those that it dominates to the front after theirs (Li et al. 2017, efficient
// non-domination level update).
type fronts struct {
	objectives int
	values     map[int][]float64 // of the trials, by their place in the history
	levels     [][]int
}

func (f *fronts) add(trial Trial, at int) {
	if trial.State != Done {
		return // no front: it is a bad one
	}
	if f.values == nil {
		f.values = map[int][]float64{}
	}
	f.values[at] = trial.Values
	level := 0
	for level < len(f.levels) && slices.ContainsFunc(f.levels[level], func(i int) bool { return f.dominates(i, at) }) {
		level++
	}
	for moving := []int{at}; len(moving) > 0; level++ {
		if level == len(f.levels) {
			f.levels = append(f.levels, nil)
		}
		var staying, down []int
		for _, i := range f.levels[level] {
			if slices.ContainsFunc(moving, func(m int) bool { return f.dominates(m, i) }) {
				down = append(down, i)
			} else {
				staying = append(staying, i)
			}
		}
		f.levels[level], moving = append(staying, moving...), down
	}
}

// dominates says whether trial a is nowhere worse than b, and somewhere better.
func (f *fronts) dominates(a, b int) bool {
	va, vb := f.values[a], f.values[b]
	better := false
	for k := range f.objectives {
		if va[k] > vb[k] {
			return false
		}
		better = better || va[k] < vb[k]
	}
	return better
}

// first weighs all trials the same.
func (f *fronts) first(n int) []merit {
	var merits []merit
	for _, level := range f.levels {
		left := n - len(merits)
		if left == 0 {
			break
		}
		level = slices.Clone(level)
		slices.Sort(level) // so that nothing hangs on how it came about
		if len(level) > left {
			level = f.spread(level, left)
		}
		for _, at := range level {
			merits = append(merits, merit{at, 1})
		}
	}
	return merits
}

// spread chooses n trials of a front that are far apart: the best in each objective, then again and again that farthest from
// all chosen, each objective measured by its range in the front. Ozaki et al. 2022 take those with the greatest hypervolume,
// which costs exponentially more with each objective.
func (f *fronts) spread(front []int, n int) []int {
	places := make([][]float64, len(front))
	for i := range front {
		places[i] = make([]float64, f.objectives)
	}
	var extremes []int
	for k := range f.objectives {
		low, high, lowest := math.Inf(1), math.Inf(-1), 0
		for i, trial := range front {
			v := f.values[trial][k]
			if v < low {
				low, lowest = v, i
			}
			high = math.Max(high, v)
		}
		extremes = append(extremes, lowest)
		for i, trial := range front {
			places[i][k] = 1
			// Infinite objectives have no distances: they are all at the far end.
			if place := (f.values[trial][k] - low) / (high - low); !math.IsNaN(place) && !math.IsInf(place, 0) {
				places[i][k] = place
			}
		}
	}
	distance := make([]float64, len(front))
	for i := range distance {
		distance[i] = math.Inf(1)
	}
	var chosen []int
	for len(chosen) < n {
		next := len(chosen)
		if next < len(extremes) && distance[extremes[next]] > 0 {
			next = extremes[next]
		} else {
			next = 0
			for i := range distance {
				if distance[i] > distance[next] {
					next = i
				}
			}
		}
		chosen = append(chosen, front[next])
		for i := range distance {
			sum := 0.0
			for k := range f.objectives {
				d := places[i][k] - places[next][k]
				sum += d * d
			}
			distance[i] = math.Min(distance[i], sum)
		}
		distance[next] = -1 // not again, and not another in its place before one that lies apart
	}
	return chosen
}
