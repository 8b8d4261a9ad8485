package anomaly

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"runtime"

	"golang.org/x/sync/errgroup"

	"latent/pkg/random"
)

// Forest is an isolation forest: trees that cut at random features and places until samples are alone, which takes fewer cuts for
// those far from the others. The score of a sample is
//
//	2^(−h / c(m)),   c(m) = 2 (ln(m − 1) + γ) − 2 (m − 1)/m
//
// with the mean h over trees of the cuts on its way (plus c of the samples in the leaf where it ends), the m samples that each tree
// is grown from, and Euler's γ; c(2) = 1, c(1) = 0. It lies in (0, 1): near 1 for anomalies, and 0.5 for all where there are none.
//
// Conventions are those of scikit-learn, whose score_samples is this with a minus: samples of a tree are drawn without repetition;
// a tree is at most ⌈log₂ m⌉ deep; a node cuts at a feature that varies in it, at a place spread evenly between its ends there; and
// what is not above the cut goes left.
//
// Memory is some 20 bytes for each of 2 m nodes of a tree: 1 MB in all.
//
// Source: Liu, Ting & Zhou, "Isolation forest", ICDM 2008.
type Forest struct {
	// Trees is their number. 0 is 100.
	Trees int
	// Samples is m, the number of reference rows of a tree. 0 is 256; where the reference has fewer, it is their number.
	Samples int
}

// Fit implements [Detector].
func (f Forest) Fit(ctx context.Context, reference Rows, seed random.Seed) (Scorer, error) {
	if f.Trees < 0 || f.Samples < 0 || f.Samples == 1 {
		return nil, fmt.Errorf("isolation forest: %d trees of %d samples; use at least one tree of two samples, or 0 for the defaults", f.Trees, f.Samples)
	}
	if f.Trees == 0 {
		f.Trees = 100
	}
	if f.Samples == 0 {
		f.Samples = 256
	}
	if err := checkReference(reference); err != nil {
		return nil, fmt.Errorf("isolation forest: %w", err)
	}
	samples := min(f.Samples, reference.Len())
	fitted := &forest{features: reference.Features, samples: samples, trees: make([][]node, f.Trees)}
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for t := range fitted.trees {
		workers.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			fitted.trees[t] = grow(reference, samples, seed.Child(t))
			return nil
		})
	}
	return fitted, workers.Wait()
}

// forest is a fitted Forest.
type forest struct {
	features, samples int
	trees             [][]node
}

// node is a cut, or a leaf. The first node of a tree is its root.
type node struct {
	cut         float64 // a row with feature <= cut goes left; of a leaf, the length of the way to it
	feature     int32   // -1 for a leaf
	left, right int32   // places among the tree's nodes
}

// grower grows a tree.
type grower struct {
	rows    Rows
	deepest int
	seed    random.Seed
	draws   uint32 // numbers drawn
	nodes   []node
}

// Streams of a tree's seed.
const (
	streamSamples = iota
	streamCuts
)

// grow returns a tree of so many samples of the reference.
func grow(reference Rows, samples int, seed random.Seed) []node {
	g := &grower{
		rows: reference, deepest: bits.Len(uint(samples - 1)), // ⌈log₂ samples⌉
		seed: seed.Child(streamCuts), nodes: make([]node, 0, 2*samples),
	}
	features := make([]int32, reference.Features)
	for j := range features {
		features[j] = int32(j)
	}
	g.node(seed.Child(streamSamples).Sample(reference.Len(), samples), features, 0)
	return g.nodes
}

// node adds the node of these rows, whose order it changes, and all below it, and returns its place. features are those that may
// vary in them.
func (g *grower) node(places, features []int32, depth int) int32 {
	at := int32(len(g.nodes))
	g.nodes = append(g.nodes, node{cut: float64(depth) + waysMean(len(places)), feature: -1})
	if depth == g.deepest || len(places) < 2 {
		return at
	}
	features = append([]int32(nil), features...) // those that do not vary here do in other branches
	for len(features) > 0 {
		pick := g.draw(len(features))
		feature := features[pick]
		low, high := g.ends(places, feature)
		if low == high {
			features[pick] = features[len(features)-1]
			features = features[:len(features)-1]
			continue
		}
		word := g.seed.Block(g.draws, 0)[0]
		g.draws++
		cut := low + (high-low)*(float64(word)+0.5)*0x1p-32
		if cut >= high { // by rounding; nothing would go right
			cut = low
		}
		count := 0
		for i, place := range places {
			if float64(g.rows.Row(int(place))[feature]) <= cut {
				places[i], places[count] = places[count], place
				count++
			}
		}
		left := g.node(places[:count], features, depth+1)
		right := g.node(places[count:], features, depth+1)
		g.nodes[at] = node{cut: cut, feature: feature, left: left, right: right}
		break
	}
	return at
}

// draw returns a number below n.
func (g *grower) draw(n int) int {
	g.draws++
	return int(g.seed.Below(g.draws-1, uint32(n)))
}

// ends returns the least and the largest value of a feature in these rows.
func (g *grower) ends(places []int32, feature int32) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, place := range places {
		value := float64(g.rows.Values[int(place)*g.rows.Features+int(feature)])
		low, high = min(low, value), max(high, value)
	}
	return low, high
}

// waysMean is c(n) of [Forest]: the mean number of cuts that part one of n samples from all others.
func waysMean(n int) float64 {
	switch {
	case n < 2:
		return 0
	case n == 2:
		return 1
	}
	const euler = 0.57721566490153286060651209008240243
	m := float64(n)
	return 2*(math.Log(m-1)+euler) - 2*(m-1)/m
}

// Score implements [Scorer].
func (f *forest) Score(ctx context.Context, rows Rows) ([]float64, error) {
	if err := checkLike(rows, f.features); err != nil {
		return nil, fmt.Errorf("isolation forest: %w", err)
	}
	scores := make([]float64, rows.Len())
	whole := float64(len(f.trees)) * waysMean(f.samples)
	err := blocks(ctx, rows.Len(), func(first, last int) {
		for i := first; i < last; i++ {
			row, length := rows.Row(i), 0.0
			for _, tree := range f.trees {
				length += way(tree, row)
			}
			scores[i] = math.Exp2(-length / whole)
		}
	})
	return scores, err
}

// way returns the length of a row's way through a tree.
func way(tree []node, row []float32) float64 {
	n := &tree[0]
	for n.feature >= 0 {
		if float64(row[n.feature]) <= n.cut {
			n = &tree[n.left]
		} else {
			n = &tree[n.right]
		}
	}
	return n.cut
}
