package experiment

import (
	"testing"

	"gonum.org/v1/gonum/mat"
)

// Generated images have their labels in turn. Those that precision and recall are of must have all of them, as often.
func TestFirstHasAllLabels(t *testing.T) {
	const all, n, classes = 40, 20, 10
	points := mat.NewDense(all, 1, nil)
	for i := range all {
		points.Set(i, 0, float64(i%classes))
	}
	chosen := first(points, n)
	counts := map[float64]int{}
	for i := range n {
		counts[chosen.At(i, 0)]++
	}
	for label := range classes {
		if counts[float64(label)] != n/classes {
			t.Errorf("label %d is there %d times, want %d", label, counts[float64(label)], n/classes)
		}
	}
}
