package restore_test

import (
	"fmt"
	"image"

	"github.com/janpfeifer/must"

	"latent/pkg/backend"
	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/restore"
)

// A picture of any size goes through a model of small images in tiles that overlap, and comes out at its own size.
func Example() {
	b := must.M1(backend.OpenInstalled("go", backend.Options{}))
	defer b.Close()
	m, size := model.Kinds["dense"](), model.Image{Height: 28, Width: 28, Channels: 1}
	restorer := must.M1(restore.New(b.Compute, m, model.FirstWeights(m, size, random.NewSeed(42)), size))

	restored := must.M1(restorer.Picture(image.NewGray(image.Rect(0, 0, 100, 50)), restore.Options{}))
	fmt.Println(restored.Bounds().Size(), "of", restorer.Tiles, "tiles")
	// Output: (100,50) of 21 tiles
}
