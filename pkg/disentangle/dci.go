package disentangle

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"latent/pkg/dataset"
)

// DCIResult are the figures of [DCI].
type DCIResult struct {
	// Disentanglement says in how far each value of the code is of one factor only.
	Disentanglement float64
	// Completeness says in how far each factor is in one value of the code only.
	Completeness float64
	// Informativeness is how often the factors are told rightly from the code, of samples that no tree was grown on.
	Informativeness float64
}

// The forests of DCI.
const (
	trees     = 10
	mostDepth = 8
	leastLeaf = 5
	quantiles = 32 // places where a value of the code may be split
)

// DCI (Eastwood & Williams 2018) grows a forest for each factor that tells it from the code, on the first half of the samples, and takes
// as the importance R of a value of the code for the factor by how much splits on it lowered the Gini impurity, as a part of all. A value's
// disentanglement is 1 less the entropy of its importances for the factors, in units of that of equal ones, and the mean is by how important
// the values are; completeness is the same with values and factors exchanged. codes: [samples, values]
func DCI(codes *mat.Dense, factors *dataset.Factors, seed uint64) DCIResult {
	n, size := codes.Dims()
	binned := make([][]uint8, size)
	for j := range size {
		binned[j] = ranked(mat.Col(nil, j, codes))
	}
	half := n / 2
	importance := mat.NewDense(size, len(factors.Sizes), nil)
	result := DCIResult{}
	for k, classes := range factors.Sizes {
		f := forest{codes: binned, of: column(factors, k), classes: classes, importance: make([]float64, size)}
		draws := rand.New(rand.NewPCG(seed, uint64(2+k)))
		f.grow(half, draws)
		right := 0
		for i := half; i < n; i++ {
			if f.tell(i) == f.of[i] {
				right++
			}
		}
		result.Informativeness += float64(right) / float64(n-half) / float64(len(factors.Sizes))
		total := 0.0
		for _, gain := range f.importance {
			total += gain
		}
		for j, gain := range f.importance {
			if total > 0 {
				importance.Set(j, k, gain/total)
			}
		}
	}
	result.Disentanglement = concentration(importance)
	result.Completeness = concentration(importance.T())
	return result
}

// concentration is the mean over rows of 1 − H(row)/log(columns), weighted by the rows' sums.
func concentration(importance mat.Matrix) float64 {
	rows, columns := importance.Dims()
	if columns == 1 {
		return 1
	}
	all, sum := 0.0, 0.0
	for i := range rows {
		total := 0.0
		for j := range columns {
			total += importance.At(i, j)
		}
		entropy := 0.0
		for j := range columns {
			if p := importance.At(i, j) / total; p > 0 {
				entropy -= p * math.Log(p)
			}
		}
		if total > 0 {
			sum += total * (1 - entropy/math.Log(float64(columns)))
			all += total
		}
	}
	if all == 0 {
		return 0
	}
	return sum / all
}

// ranked are the quantiles that values lie in; equal values lie in the same.
func ranked(values []float64) []uint8 {
	sorted := slices.Sorted(slices.Values(values))
	var ends []float64
	for q := 1; q < quantiles; q++ {
		ends = append(ends, sorted[q*len(sorted)/quantiles])
	}
	parts := make([]uint8, len(values))
	for i, value := range values {
		place, _ := slices.BinarySearchFunc(ends, value, func(end, value float64) int {
			if end <= value {
				return -1
			}
			return 1
		})
		parts[i] = uint8(place)
	}
	return parts
}

// forest tells a factor from binned codes, by trees that are each grown on a bootstrap of the samples.
type forest struct {
	codes      [][]uint8 // by value of the code, then sample
	of         []int     // the factor's value, by sample
	classes    int
	importance []float64 // by value of the code: the gain of all splits on it
	trees      []*node
}

// node is a split, or a leaf where it has no children.
type node struct {
	value       int   // of the code
	below       uint8 // samples of a bin below it go left
	left, right *node
	class       int
}

func (f *forest) grow(samples int, draws *rand.Rand) {
	for range trees {
		drawn := make([]int, samples)
		for i := range drawn {
			drawn[i] = draws.IntN(samples)
		}
		f.trees = append(f.trees, f.branch(drawn, 0))
	}
}

// impurity is n times Gini's: n − Σ c²/n.
func impurity(counts []int) float64 {
	n, squares := 0, 0.0
	for _, count := range counts {
		n += count
		squares += float64(count) * float64(count)
	}
	if n == 0 {
		return 0
	}
	return float64(n) - squares/float64(n)
}

func (f *forest) branch(samples []int, depth int) *node {
	counts := make([]int, f.classes)
	for _, i := range samples {
		counts[f.of[i]]++
	}
	leaf := &node{class: slices.Index(counts, slices.Max(counts))}
	whole := impurity(counts)
	if depth == mostDepth || whole == 0 || len(samples) < 2*leastLeaf {
		return leaf
	}
	best, gain := node{}, 1e-9
	table := make([]int, quantiles*f.classes)
	for j, bin := range f.codes {
		clear(table)
		for _, i := range samples {
			table[int(bin[i])*f.classes+f.of[i]]++
		}
		left, right := make([]int, f.classes), slices.Clone(counts)
		n := 0
		for q := range quantiles - 1 {
			for c, count := range table[q*f.classes:][:f.classes] {
				left[c] += count
				right[c] -= count
				n += count
			}
			if n < leastLeaf || len(samples)-n < leastLeaf {
				continue
			}
			if found := whole - impurity(left) - impurity(right); found > gain {
				best, gain = node{value: j, below: uint8(q + 1)}, found
			}
		}
	}
	if best.below == 0 {
		return leaf
	}
	f.importance[best.value] += gain
	var left, right []int
	for _, i := range samples {
		if f.codes[best.value][i] < best.below {
			left = append(left, i)
		} else {
			right = append(right, i)
		}
	}
	best.left, best.right = f.branch(left, depth+1), f.branch(right, depth+1)
	return &best
}

// tell is what most trees say of a sample.
func (f *forest) tell(sample int) int {
	counts := make([]int, f.classes)
	for _, tree := range f.trees {
		at := tree
		for at.left != nil {
			if f.codes[at.value][sample] < at.below {
				at = at.left
			} else {
				at = at.right
			}
		}
		counts[at.class]++
	}
	return slices.Index(counts, slices.Max(counts))
}
