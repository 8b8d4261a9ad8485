package dataset_test

import (
	"context"
	"fmt"

	"github.com/janpfeifer/must"

	"latent/pkg/dataset"
)

// A dataset is loaded from its fields; those of a kind start with its defaults.
func Example() {
	glyphs := dataset.Kinds["glyphs"]().(*dataset.Glyphs)
	glyphs.Train, glyphs.Test, glyphs.Validation = 1000, 200, 100

	split := must.M1(glyphs.Load(context.Background(), dataset.Options{}))
	fmt.Println(split.Train.Len(), split.Validation.Len(), split.Test.Len())
	first := split.Test.At(0) // 28×28 pixels, 0 black, 255 white
	fmt.Println(first.Len(), "pixels of the letter", split.Classes[split.Test.Labels[0]])
	// Output:
	// 900 100 200
	// 784 pixels of the letter D
}
