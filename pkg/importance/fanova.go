package importance

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"latent/pkg/search"
)

// FANOVA returns, for each parameter, the part of the forest's variance over the space that it explains alone,
//
//	V_u / V,   V_u = Var over x_u of E over all others [ŷ(x)],   V = Var over x [ŷ(x)]
//
// as a mean over the trees, and divided by the sum of all parameters' (Hutter, Hoos & Leyton-Brown 2014, equations 4 and 8 and
// algorithm 2). What parameters explain only
// together is no part of it.
//
// As in Optuna's FanovaImportanceEvaluator, x is spread evenly between a parameter's bounds; those of an Int are its first and last
// number, each of which so has half the weight of one between them; and a Choice's options are columns from 0 to 1, as if several
// could be chosen at once, or none. For a choice among two that makes no difference. Values that are not finite are left out.
//
// A parameter that is there under a condition only foretells nothing where it is not, and counts with that. Optuna leaves out every
// parameter that is not in all trials.
//
// 1,000 trials with 8 parameters take 0.15 s of one core.
func FANOVA(space search.Space, points []search.Point, values []float64, options Options) ([]Share, error) {
	f, err := fit(space, points, values, options)
	if err != nil {
		return nil, err
	}
	parts := make([][]float64, len(space))
	for _, t := range f.trees {
		p := f.partition(t)
		if p.variance == 0 {
			continue
		}
		for i := range space {
			part := 0.0
			if len(f.columns[i]) > 0 {
				part = p.marginal(f.columns[i]) / p.variance
			}
			parts[i] = append(parts[i], part)
		}
	}
	if len(parts[0]) == 0 {
		return nil, fmt.Errorf("importance: no tree of %d trials splits: %w", len(f.y), ErrFlat)
	}
	return f.shares(parts)
}

// partition is the boxes of a tree's leaves, in units of the columns' bounds, with what the tree foretells in them, less its mean
// over the space.
type partition struct {
	low, high [][]float64 // [leaves][columns]
	volume    []float64   // [leaves]; they sum to 1
	value     []float64   // [leaves]
	variance  float64
}

func (f *forest) partition(t *tree) *partition {
	p := &partition{}
	low, high := make([]float64, len(f.x)), make([]float64, len(f.x))
	for c := range high {
		high[c] = 1
	}
	var visit func(place int)
	visit = func(place int) {
		n := t.nodes[place]
		if n.column < 0 {
			volume := 1.0
			for c := range low {
				volume *= high[c] - low[c]
			}
			p.low, p.high = append(p.low, slices.Clone(low)), append(p.high, slices.Clone(high))
			p.volume, p.value = append(p.volume, volume), append(p.value, n.value)
			return
		}
		c := n.column
		at := (n.threshold - f.low[c]) / (f.high[c] - f.low[c])
		wasLow, wasHigh := low[c], high[c]
		high[c] = at
		visit(n.left)
		low[c], high[c] = at, wasHigh
		visit(n.right)
		low[c] = wasLow
	}
	visit(0)
	// The volumes sum to 1, but for rounding.
	mean := floats.Dot(p.volume, p.value) / floats.Sum(p.volume)
	floats.AddConst(-mean, p.value)
	for i, v := range p.value {
		p.variance += p.volume[i] * v * v
	}
	return p
}

// marginal is V_u of a parameter's columns: of the mean over all others, whose mean is 0, the mean square.
func (p *partition) marginal(columns []int) float64 {
	if len(columns) == 1 {
		return p.marginalOfNumber(columns[0])
	}
	return p.marginalOfChoice(columns)
}

// marginalOfNumber goes along a column: over it, the mean over all others is a step at each leaf's ends, by its value times its
// volume in the other columns.
func (p *partition) marginalOfNumber(c int) float64 {
	type step struct{ at, by float64 }
	var steps []step
	mean := 0.0
	for i, value := range p.value {
		low, high := p.low[i][c], p.high[i][c]
		if high <= low {
			continue // an empty box
		}
		by := value * p.volume[i] / (high - low)
		if low > 0 {
			steps = append(steps, step{low, by})
		} else {
			mean += by
		}
		if high < 1 {
			steps = append(steps, step{high, -by})
		}
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	variance, at := 0.0, 0.0
	for _, s := range steps {
		variance += (s.at - at) * mean * mean
		mean, at = mean+s.by, s.at
	}
	return variance + (1-at)*mean*mean
}

// marginalOfChoice works with what leaves say of the options: 0, 1, or nothing. Its columns are split at ½, if at all; hence the
// mean square over them is, for the sums m of value times volume in the other columns of all leaves that say the same,
//
//	Σ_ab m_a m_b |a ∩ b|,   |a ∩ b| = 0 where one says 0 and the other 1, else ½ for each column of which one says something
//
// Optuna goes through all the 2ᵏ corners instead.
func (p *partition) marginalOfChoice(columns []int) float64 {
	var patterns [][]byte
	var sums []float64
	places := map[string]int{}
	for i, value := range p.value {
		pattern, volume := make([]byte, len(columns)), p.volume[i]
		for k, c := range columns {
			switch {
			case p.low[i][c] > 0:
				pattern[k] = '1'
			case p.high[i][c] < 1:
				pattern[k] = '0'
			default:
				continue
			}
			volume *= 2
		}
		place, seen := places[string(pattern)]
		if !seen {
			place = len(sums)
			places[string(pattern)] = place
			patterns, sums = append(patterns, pattern), append(sums, 0)
		}
		sums[place] += value * volume
	}
	variance := 0.0
	for i, a := range patterns {
		variance += sums[i] * sums[i] * shared(a, a)
		for j, b := range patterns[:i] {
			variance += 2 * sums[i] * sums[j] * shared(a, b)
		}
	}
	return math.Max(0, variance)
}

// shared is |a ∩ b|.
func shared(a, b []byte) float64 {
	volume := 1.0
	for k := range a {
		switch {
		case a[k] == 0 && b[k] == 0:
		case a[k] != 0 && b[k] != 0 && a[k] != b[k]:
			return 0
		default:
			volume /= 2
		}
	}
	return volume
}
