package mixture_test

import (
	"fmt"

	"github.com/janpfeifer/must"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/mixture"
	"latent/pkg/random"
)

// Codes in two heaps, around 5 and around 15: the mixture finds them, and draws new codes from them.
func Example() {
	near, far := random.NewSeed(1).Normal(300, 1), random.NewSeed(2).Normal(100, 1)
	codes := mat.NewDense(400, 1, nil)
	for i, v := range near {
		codes.Set(i, 0, 5+float64(v))
	}
	for i, v := range far {
		codes.Set(300+i, 0, 15+float64(v))
	}
	fitted := must.M1(mixture.Fit(codes, 2, random.NewSeed(3)))
	for k, weight := range fitted.Weights {
		fmt.Printf("%.2f of the codes around %.0f\n", weight, fitted.Means.At(k, 0))
	}
	drawn := must.M1(fitted.Draw(1000, random.NewSeed(4)))
	above := 0
	for i := range 1000 {
		if drawn.At(i, 0) > 10 {
			above++
		}
	}
	fmt.Println("about a quarter of those drawn are of the far heap:", above > 200 && above < 300)
	// Output:
	// 0.75 of the codes around 5
	// 0.25 of the codes around 15
	// about a quarter of those drawn are of the far heap: true
}
