package projection

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/random"
)

// Points on the line (3, 4) t, one step of 5 apart: all variance is along it, and the coordinates are ±5 t.
func TestPCAOfALine(t *testing.T) {
	points := mat.NewDense(3, 2, []float64{7, 1, 10, 5, 13, 9})
	plane, explained, err := PCA(points)
	if err != nil {
		t.Fatal(err)
	}
	if want := mat.NewDense(3, 2, []float64{-5, 0, 0, 0, 5, 0}); !mat.EqualApprox(plane, want, 1e-12) {
		t.Errorf("the plane is %v", mat.Formatted(plane))
	}
	if math.Abs(explained[0]-1) > 1e-12 || explained[1] > 1e-12 {
		t.Errorf("explained %v, want all along the line", explained)
	}
}

// Points at ±2, ±1 on the axes have variances in the ratio 4 : 1.
func TestPCAExplains(t *testing.T) {
	points := mat.NewDense(4, 3, []float64{0, 2, 0, 0, -2, 0, 1, 0, 0, -1, 0, 0})
	_, explained, err := PCA(points)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(explained[0]-0.8) > 1e-12 || math.Abs(explained[1]-0.2) > 1e-12 {
		t.Errorf("explained %v, want 0.8 and 0.2", explained)
	}
}

func TestPCAOfLittle(t *testing.T) {
	for name, points := range map[string]*mat.Dense{
		"one dimension": mat.NewDense(3, 1, []float64{1, 2, 6}),
		"all the same":  mat.NewDense(3, 4, nil),
	} {
		plane, explained, err := PCA(points)
		if err != nil || floats.HasNaN(plane.RawMatrix().Data) || floats.HasNaN(explained[:]) {
			t.Errorf("%s: %v, %v, %v", name, plane, explained, err)
		}
	}
	if _, _, err := PCA(mat.NewDense(1, 4, nil)); err == nil {
		t.Error("one point has a plane")
	}
}

// clusters are n points about k places in d dimensions, far apart; point i is of cluster i % k.
func clusters(n, k, d int) *mat.Dense {
	points := mat.NewDense(n, d, nil)
	noise := random.NewSeed(1).Normal(n*d, 0.1)
	centres := random.NewSeed(2).Normal(k*d, 3)
	points.Apply(func(i, j int, _ float64) float64 { return float64(centres[i%k*d+j]) + float64(noise[i*d+j]) }, points)
	return points
}

// Clusters that are far apart stay apart: each point's nearest neighbour on the plane is of its own.
func TestTSNEKeepsNeighbours(t *testing.T) {
	const n, k = 120, 4
	plane, err := TSNE(context.Background(), clusters(n, k, 10))
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for i := range n {
		nearest, least := -1, math.Inf(1)
		for j := range n {
			if d := floats.Distance(plane.RawRowView(i), plane.RawRowView(j), 2); j != i && d < least {
				nearest, least = j, d
			}
		}
		if nearest%k != i%k {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d points have a neighbour of another cluster", wrong, n)
	}
}

// go-tsne starts at random; nothing of that is left, whatever the process drew before.
func TestTSNEIsDeterministic(t *testing.T) {
	points := clusters(60, 3, 5)
	first, err := TSNE(context.Background(), points)
	if err != nil {
		t.Fatal(err)
	}
	second, err := TSNE(context.Background(), points)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first.RawMatrix().Data, second.RawMatrix().Data) {
		t.Error("the same points have two planes")
	}
}

// Codes may be equal, all or some, and few.
func TestTSNEOfLittle(t *testing.T) {
	half := mat.NewDense(100, 3, nil)
	for i := range 50 {
		half.Set(i, 0, float64(i))
	}
	for name, points := range map[string]*mat.Dense{"all the same": mat.NewDense(20, 3, nil), "half the same": half, "few": clusters(leastPoints, 2, 1)} {
		plane, err := TSNE(context.Background(), points)
		if err != nil || floats.HasNaN(plane.RawMatrix().Data) {
			t.Errorf("%s: %v, %v", name, plane, err)
		}
	}
	if _, err := TSNE(context.Background(), mat.NewDense(leastPoints-1, 3, nil)); err == nil {
		t.Error("too few points were laid out")
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := TSNE(ended, half); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}
