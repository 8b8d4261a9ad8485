package feature

import (
	"context"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Neighbours is the k of [NewManifold]: that of the paper.
const Neighbours = 3

// Manifold is what points say of the region that they come from: the union of balls about each, as wide as the distance to its
// k-th nearest neighbour among them.
//
// The part of generated images in the manifold of real ones is their precision: how many look real. The part of real images in
// the manifold of generated ones is the recall: how much of what is real can be generated. Both manifolds are to have equally
// many points.
//
// Precision is to be read with recall: a real image far from the others has a wide ball, in which even the same grey image over
// and over may lie (Naeem et al. 2020). The decoder of an untrained model has precision 1 on MNIST, and recall 0.
//
// Source: Kynkäänniemi et al. 2019, equations 1 and 2.
type Manifold struct {
	points  *mat.Dense
	squares []float64 // |x|² of each
	radii   []float64 // squared
}

// NewManifold returns the manifold of points, [points, dimensions], of which there are more than [Neighbours]. The time grows
// with the square of their number: a second for 5,000 of 64 values on two cores.
func NewManifold(ctx context.Context, points *mat.Dense) (*Manifold, error) {
	n, _ := points.Dims()
	m := &Manifold{points: points, squares: squares(points), radii: make([]float64, n)}
	err := m.distances(ctx, points, func(i int, distances []float64) {
		distances[i] = math.Inf(1) // a point is not its own neighbour
		m.radii[i] = smallest(distances, Neighbours)
	})
	return m, err
}

// Contains returns the part of others, [points, dimensions], that lies in the manifold.
func (m *Manifold) Contains(ctx context.Context, others *mat.Dense) (float64, error) {
	n, _ := others.Dims()
	inside := make([]float64, n)
	err := m.distances(ctx, others, func(i int, distances []float64) {
		for j, distance := range distances {
			if distance <= m.radii[j] {
				inside[i] = 1
				return
			}
		}
	})
	return floats.Sum(inside) / float64(n), err
}

// block is the number of points whose distances are computed together.
const block = 250

// distances calls do with the squared distances of each of others from the manifold's points; not in order, and on several
// cores.
func (m *Manifold) distances(ctx context.Context, others *mat.Dense, do func(i int, distances []float64)) error {
	n, dimensions := others.Dims()
	count, _ := m.points.Dims()
	lengths := squares(others)
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < n; first += block {
		workers.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			last := min(first+block, n)
			// |a − b|² = |a|² + |b|² − 2 a·b.
			products := mat.NewDense(last-first, count, nil)
			products.Mul(others.Slice(first, last, 0, dimensions), m.points.T())
			for i := first; i < last; i++ {
				row := products.RawRowView(i - first)
				for j := range row {
					row[j] = max(0, lengths[i]+m.squares[j]-2*row[j])
				}
				do(i, row)
			}
			return nil
		})
	}
	return workers.Wait()
}

// squares returns |x|² of each point.
func squares(points *mat.Dense) []float64 {
	n, _ := points.Dims()
	lengths := make([]float64, n)
	for i := range lengths {
		lengths[i] = floats.Dot(points.RawRowView(i), points.RawRowView(i))
	}
	return lengths
}

// smallest returns the k-th smallest of values.
func smallest(values []float64, k int) float64 {
	least := slices.Repeat([]float64{math.Inf(1)}, k) // in order
	for _, value := range values {
		if value >= least[k-1] {
			continue
		}
		i := k - 1
		for ; i > 0 && least[i-1] > value; i-- {
			least[i] = least[i-1]
		}
		least[i] = value
	}
	return least[k-1]
}
