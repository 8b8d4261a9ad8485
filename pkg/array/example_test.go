package array_test

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

func Example() {
	deep := array.Values{Uint16: []uint16{0, 257, 65535}}
	fmt.Println(deep.Type(), deep.Len(), deep.As(dtypes.Uint8).Uint8)
	// Output: Uint16 3 [0 1 255]
}
