package importance

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// The defaults of Optuna's FanovaImportanceEvaluator.
const (
	defaultTrees = 64
	defaultDepth = 64
)

// tree is a regression tree (Breiman et al. 1984), as scikit-learn's RandomForestRegressor grows them: each fits trials that are
// drawn with replacement (Breiman 2001), and splits until those of a leaf have the same value, looking at all columns for each split.
//
// On a parameter that is not there in all of a node's trials, it cannot split: only below the choice that decides.
//
// Unlike scikit-learn, it keeps doubles, and splits values however near they are: that takes those that differ by less than 1e-7 for
// the same, which is most of a learning rate's.
type tree struct {
	nodes   []node
	weights []int      // how often each trial was drawn
	random  *rand.Rand // what comes after the tree's own draws
}

// node is a leaf, where column is -1, or sends a trial left where its column is at most the threshold.
type node struct {
	column      int
	threshold   float64
	left, right int
	value       float64 // the mean of its trials
}

// grow grows the trees. Each has a generator of its own, so that more of them change none of the first.
func (f *forest) grow(options Options) {
	depth := cmp.Or(options.MaxDepth, defaultDepth)
	// The trials in the order of each column, once for all trees.
	orders := make([][]int32, len(f.x))
	for c, x := range f.x {
		for i := range x {
			orders[c] = append(orders[c], int32(i))
		}
		slices.SortFunc(orders[c], func(a, b int32) int { return cmp.Compare(x[a], x[b]) })
	}
	for t := range cmp.Or(options.Trees, defaultTrees) {
		random := rand.New(rand.NewPCG(uint64(options.Seed), uint64(t)))
		weights := make([]int, len(f.y))
		for range f.y {
			weights[random.IntN(len(f.y))]++
		}
		f.trees = append(f.trees, growTree(f.x, f.y, orders, weights, depth, random))
	}
}

// grower is what a tree grows in.
type grower struct {
	*tree
	x       [][]float64
	y       []float64
	trials  []int32   // those of each node, in its range
	orders  [][]int32 // [columns]: the same, by column; where a column has one value only in a node, those of a node above
	scratch []int32
	left    []bool // [trials]: the side of a split
	columns []int  // in the order in which they are looked at: of splits that are as good, the first is taken
}

func growTree(x [][]float64, y []float64, orders [][]int32, weights []int, depth int, random *rand.Rand) *tree {
	g := grower{tree: &tree{weights: weights, random: random}, x: x, y: y, left: make([]bool, len(y))}
	for c, order := range orders {
		drawn := make([]int32, 0, len(y))
		for _, i := range order {
			if weights[i] > 0 {
				drawn = append(drawn, i)
			}
		}
		g.orders = append(g.orders, drawn)
		g.columns = append(g.columns, c)
	}
	g.trials = slices.Clone(g.orders[0])
	g.scratch = make([]int32, len(g.trials))
	g.grow(0, len(g.trials), depth)
	return g.tree
}

// grow makes the node of a range of the orders and all below it, and returns its place.
func (g *grower) grow(from, to, depth int) int {
	place := len(g.nodes)
	mean, same := g.mean(from, to)
	g.nodes = append(g.nodes, node{column: -1, value: mean})
	if depth == 0 || same {
		return place
	}
	column, at, found := g.split(from, to, mean)
	if !found {
		return place
	}
	order := g.orders[column]
	below, above := g.x[column][order[at-1]], g.x[column][order[at]]
	threshold := below/2 + above/2
	if threshold == above { // there is no number between them
		threshold = below
	}
	for i := from; i < to; i++ {
		g.left[order[i]] = i < at
	}
	g.part(g.trials[from:to])
	for c, order := range g.orders {
		// Of one value only, it has the same below.
		if g.x[c][order[from]] != g.x[c][order[to-1]] {
			g.part(order[from:to])
		}
	}
	left := g.grow(from, at, depth-1)
	right := g.grow(at, to, depth-1)
	g.nodes[place] = node{column: column, threshold: threshold, left: left, right: right, value: mean}
	return place
}

// mean is that of the range's values; same says that they are all equal.
func (g *grower) mean(from, to int) (mean float64, same bool) {
	trials := g.trials[from:to]
	first := g.y[trials[0]]
	same = true
	sum, count := 0.0, 0
	for _, i := range trials {
		same = same && g.y[i] == first
		// From the first: what is equal has exactly its mean, and what is far from 0 keeps its digits.
		sum += float64(g.weights[i]) * (g.y[i] - first)
		count += g.weights[i]
	}
	return first + sum/float64(count), same
}

// split finds the column, and the place in its order, that leave the least squared error: with the sums S and the numbers n of the
// two sides, of values less the range's mean, the most of S₁²/n₁ + S₂²/n₂.
func (g *grower) split(from, to int, mean float64) (column, at int, found bool) {
	g.random.Shuffle(len(g.columns), func(i, j int) { g.columns[i], g.columns[j] = g.columns[j], g.columns[i] })
	sum, count := 0.0, 0
	for _, i := range g.trials[from:to] {
		sum += float64(g.weights[i]) * (g.y[i] - mean)
		count += g.weights[i]
	}
	best := 0.0
	for _, c := range g.columns {
		x, order := g.x[c], g.orders[c]
		if last := x[order[to-1]]; last == x[order[from]] || last == absent {
			continue
		}
		left, n := 0.0, 0
		for i := from; i < to-1; i++ {
			trial := order[i]
			left += float64(g.weights[trial]) * (g.y[trial] - mean)
			n += g.weights[trial]
			if x[trial] == x[order[i+1]] {
				continue
			}
			right := sum - left
			gain := left*left/float64(n) + right*right/float64(count-n)
			if !found || gain > best {
				column, at, best, found = c, i+1, gain, true
			}
		}
	}
	return column, at, found
}

// part brings the trials of the left to the front, both sides in the order they had.
func (g *grower) part(order []int32) {
	n, right := 0, g.scratch[:0]
	for _, i := range order {
		if g.left[i] {
			order[n] = i
			n++
		} else {
			right = append(right, i)
		}
	}
	copy(order[n:], right)
}
