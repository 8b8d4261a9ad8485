package feature_test

import (
	"context"
	"fmt"

	"github.com/janpfeifer/must"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/feature"
)

// Two sets of images are compared by their features. [feature.Open] trains the classifier whose features they are, once for a
// dataset; these are made up: a square of points, and one that is moved by 3.
func Example() {
	ctx := context.Background()
	real := mat.NewDense(5, 2, []float64{0, 0, 0, 1, 1, 0, 1, 1, 0.5, 0.5})
	drawn := mat.NewDense(5, 2, []float64{3, 0, 3, 1, 4, 0, 4, 1, 3.5, 0.5})

	distance := must.M1(feature.Frechet(feature.Fit(real), feature.Fit(drawn)))
	manifold := must.M1(feature.NewManifold(ctx, real))
	fmt.Printf("Fréchet distance %.2f, precision %.1f, of the real ones themselves %.1f\n",
		distance, must.M1(manifold.Contains(ctx, drawn)), must.M1(manifold.Contains(ctx, real)))
	// Output: Fréchet distance 9.00, precision 0.0, of the real ones themselves 1.0
}
