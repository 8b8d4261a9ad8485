package runs_test

import (
	"context"
	"fmt"
	"os"

	"github.com/janpfeifer/must"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/runs"
)

func Example() {
	dir := must.M1(os.MkdirTemp("", "runs-"))
	defer os.RemoveAll(dir)
	for _, seed := range []string{"seed=42", "seed=43"} {
		e := must.M1(config.Parse("tiny.yaml", []byte(`
name: tiny
data: {dataset: glyphs, train: 96, test: 32, validation: 32}
model: {kind: dense, encoder: [12, 6], decoder: [12]}
train: {batch_size: 32, epochs: 1}
backend: go
`), seed, "output.dir="+dir))
		must.M1(experiment.Run(context.Background(), e, experiment.Options{}))
	}

	entries, _ := must.M2(runs.List(dir))
	for _, entry := range entries {
		_, measured := entry.Figure("psnr")
		fmt.Println(entry.Manifest.Name, "with seed", entry.Manifest.Seed, "is", entry.State, measured)
	}
	newest := must.M1(runs.Find(dir, "tiny"))
	fmt.Println("the newest has seed", newest.Manifest.Seed)
	// Output:
	// tiny with seed 43 is done true
	// tiny with seed 42 is done true
	// the newest has seed 43
}
