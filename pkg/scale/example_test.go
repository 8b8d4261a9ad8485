package scale_test

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/janpfeifer/must"

	"latent/pkg/scale"
)

// Values between 30,000 and 30,400 of 16 bits fill the model's scale.
func Example() {
	values := []float64{30000, 30100, 30400}
	s := must.M1(scale.Options{Kind: "range", Low: 30000, High: 30400}.Find(scale.Data{
		Type: dtypes.Uint16, Samples: 1, Size: len(values), Channels: 1, At: func(_, i int) float64 { return values[i] },
	}))
	fmt.Println(s.At(0, 30100), s.Value(0, 0))
	fmt.Println(s)
	// Output:
	// -0.5 30200
	// 0.005 * value + -151, values from 30000 to 30400 to [-1, 1]
}
