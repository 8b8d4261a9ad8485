package projection_test

import (
	"fmt"

	"github.com/janpfeifer/must"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/projection"
)

// Four points of three dimensions that lie on a line: the first direction explains all.
func Example() {
	codes := mat.NewDense(4, 3, []float64{
		0, 0, 0,
		1, 2, 2,
		2, 4, 4,
		3, 6, 6,
	})
	plane, explained, err := projection.PCA(codes)
	must.M(err)
	fmt.Printf("%.0f %% along the first direction\n", 100*explained[0])
	for i := range 4 {
		fmt.Printf("%.1f\n", plane.At(i, 0))
	}
	// Output:
	// 100 % along the first direction
	// -4.5
	// -1.5
	// 1.5
	// 4.5
}
