package restore_test

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/janpfeifer/must"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/picture"
	"latent/pkg/random"
	"latent/pkg/restore"
)

// A picture of any size goes through a model of small images in tiles that overlap, and comes out at its own size.
func Example() {
	b := must.M1(backend.OpenInstalled("go", backend.Options{}))
	defer b.Close()
	m, size := model.Kinds["dense"](), model.Image{Height: 28, Width: 28, Channels: 1}
	restorer := must.M1(restore.New(b.Compute, m, model.FirstWeights(m, size, random.NewSeed(42)), &dataset.Samples{Height: size.Height, Width: size.Width, Channels: size.Channels}))

	p := picture.Array{Height: 50, Width: 100, Channels: 1, Values: array.Make(dtypes.Uint16, 50*100)}
	restored := must.M1(restorer.Picture(context.Background(), p, restore.Options{}))
	fmt.Println(restored.Height, restored.Width, restored.Values.Type(), "of", restorer.Tiles, "tiles")
	// Output: 50 100 Uint16 of 21 tiles
}
