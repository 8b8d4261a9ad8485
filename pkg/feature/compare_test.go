package feature

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"gonum.org/v1/gonum/mat"

	"latent/pkg/random"
)

func rows(points [][]float64) *mat.Dense {
	m := mat.NewDense(len(points), len(points[0]), nil)
	for i, point := range points {
		m.SetRow(i, point)
	}
	return m
}

// normals draws points from a normal distribution.
func normals(n, dimensions int, seed int64) *mat.Dense {
	m := mat.NewDense(n, dimensions, nil)
	for i, value := range random.NewSeed(seed).Normal(n*dimensions, 1) {
		m.Set(i/dimensions, i%dimensions, float64(value))
	}
	return m
}

// Between diagonal covariances the distance is Σ (μ₁ − μ₂)² + (σ₁ − σ₂)².
func TestFrechetDiagonal(t *testing.T) {
	diagonal := func(mean, deviation []float64) Gaussian {
		g := Gaussian{Mean: mean, Covariance: mat.NewSymDense(len(mean), nil)}
		for i, s := range deviation {
			g.Covariance.SetSym(i, i, s*s)
		}
		return g
	}
	a := diagonal([]float64{1, 2, 3}, []float64{1, 2, 0})
	for name, c := range map[string]struct {
		b    Gaussian
		want float64
	}{
		"the same":  {a, 0},
		"mean":      {diagonal([]float64{0, 4, 3}, []float64{1, 2, 0}), 1 + 4},
		"deviation": {diagonal([]float64{1, 2, 3}, []float64{3, 1, 0.5}), 4 + 1 + 0.25},
		"a point":   {diagonal([]float64{1, 2, 3}, []float64{0, 0, 0}), 1 + 4},
	} {
		got, err := Frechet(a, c.b)
		if err != nil || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: the distance is %g, %v, want %g", name, got, err, c.want)
		}
		if back, _ := Frechet(c.b, a); math.Abs(back-got) > 1e-9 {
			t.Errorf("%s: %g one way and %g back", name, got, back)
		}
	}
}

// SciPy's square root of the covariances' product gives the same (testdata/golden.py); a set is at no distance from itself.
func TestFrechetAgainstSciPy(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		A, B     [][]float64
		Distance float64
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	a, b := Fit(rows(golden.A)), Fit(rows(golden.B))
	if got, err := Frechet(a, b); err != nil || math.Abs(got-golden.Distance) > 1e-9*golden.Distance {
		t.Errorf("the distance is %g, %v, SciPy's %g", got, err, golden.Distance)
	}
	if got, err := Frechet(a, a); err != nil || got > 1e-9 {
		t.Errorf("the distance from itself is %g, %v", got, err)
	}
}

// Points 0, 1, 2, 3 and 10 on a line: the third nearest neighbours are 3, 2, 2, 3 and 9 away, so that the manifold is
// [−3, 6] and [1, 19].
func TestManifoldOnALine(t *testing.T) {
	ctx := context.Background()
	m, err := NewManifold(ctx, rows([][]float64{{0}, {1}, {2}, {3}, {10}}))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{9, 4, 4, 9, 81} {
		if m.radii[i] != want {
			t.Errorf("point %d has a squared radius of %g, want %g", i, m.radii[i], want)
		}
	}
	for _, c := range []struct {
		others [][]float64
		want   float64
	}{
		{[][]float64{{-3}, {0}, {6}, {19}}, 1}, // the border is inside
		{[][]float64{{-3.1}, {19.1}}, 0},
		{[][]float64{{-4}, {5}, {8}, {30}}, 0.5},
	} {
		if got, err := m.Contains(ctx, rows(c.others)); err != nil || got != c.want {
			t.Errorf("of %v it contains %g, %v, want %g", c.others, got, err, c.want)
		}
	}
}

// In several dimensions and blocks, against the definition.
func TestManifoldByBruteForce(t *testing.T) {
	const n, dimensions = 2*block + 7, 3
	ctx := context.Background()
	real, other := normals(n, dimensions, 1), normals(n, dimensions, 2)
	other.Scale(1.5, other)
	distance := func(a, b mat.Vector) float64 {
		var d mat.VecDense
		d.SubVec(a, b)
		return mat.Norm(&d, 2)
	}
	radius := make([]float64, n)
	for i := range n {
		var all []float64
		for j := range n {
			if j != i {
				all = append(all, distance(real.RowView(i), real.RowView(j)))
			}
		}
		radius[i] = smallest(all, Neighbours)
	}
	inside := 0.0
	for i := range n {
		for j := range n {
			if distance(other.RowView(i), real.RowView(j)) <= radius[j] {
				inside++
				break
			}
		}
	}
	m, err := NewManifold(ctx, real)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Contains(ctx, other); err != nil || got != inside/n || got == 0 || got == 1 {
		t.Errorf("contains %g, %v, want %g", got, err, inside/n)
	}
	if got, err := m.Contains(ctx, real); err != nil || got != 1 {
		t.Errorf("of its own points it contains %g, %v", got, err)
	}
}

func BenchmarkManifold(b *testing.B) {
	real, other := normals(5000, features, 1), normals(5000, features, 2)
	for b.Loop() {
		m, err := NewManifold(context.Background(), real)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := m.Contains(context.Background(), other); err != nil {
			b.Fatal(err)
		}
	}
}
