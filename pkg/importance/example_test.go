package importance_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/janpfeifer/must"

	"latent/pkg/importance"
	"latent/pkg/search"
)

// Of a search whose values rest on the learning rate, and a little on the batch size, the shares say so.
func Example() {
	space := search.Space{
		{Name: "learning_rate", Kind: search.Float, Low: 0, High: 1, Parent: -1},
		{Name: "batch_size", Kind: search.Int, Low: 16, High: 256, Parent: -1},
		{Name: "seed", Kind: search.Int, Low: 0, High: 99, Parent: -1},
	}
	var points []search.Point
	var values []float64
	draws := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		p := space.Random(draws)
		points, values = append(points, p), append(values, 10*p[0]+p[1]/40)
	}
	for _, share := range must.M1(importance.FANOVA(space, points, values, importance.Options{Seed: 1})) {
		fmt.Printf("%-13s %.1f\n", share.Name, share.Value)
	}
	// Output:
	// learning_rate 0.8
	// batch_size    0.2
	// seed          0.0
}
