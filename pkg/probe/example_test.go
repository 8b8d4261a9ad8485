package probe_test

import (
	"context"
	"fmt"

	"github.com/janpfeifer/must"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/probe"
	"latent/pkg/random"
)

// Codes of two classes that a line tells apart: class 1 has the larger second value.
func Example() {
	set := func(n int, seed int64) probe.Set {
		values := random.NewSeed(seed).Uniform(2 * n)
		codes, labels := mat.NewDense(n, 2, nil), make([]uint8, n)
		for i := range n {
			x, y := float64(values[2*i]), float64(values[2*i+1])
			codes.SetRow(i, []float64{x, y})
			if y > x {
				labels[i] = 1
			}
		}
		return probe.Set{Codes: codes, Labels: labels}
	}
	fitted := must.M1(probe.Fit(context.Background(), set(500, 1), set(200, 2), 2))
	test := set(200, 3)
	fmt.Println("told right, of 200 new ones:", probe.Accuracy(fitted.Classes(test.Codes), test.Labels) > 0.98)
	fmt.Println("the class of (0, 1) and of (1, 0):", fitted.Classes(mat.NewDense(2, 2, []float64{0, 1, 1, 0})))
	// Output:
	// told right, of 200 new ones: true
	// the class of (0, 1) and of (1, 0): [1 0]
}
