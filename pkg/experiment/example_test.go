package experiment_test

import (
	"context"
	"fmt"
	"os"

	"github.com/janpfeifer/must"

	"latent/pkg/config"
	"latent/pkg/experiment"
)

// A run from Go: the same as latent run first.yaml corrupt.noise_factor=0.5.
func Example() {
	dir := must.M1(os.MkdirTemp("", "runs"))
	defer os.RemoveAll(dir)
	e := must.M1(config.Parse("first.yaml", []byte(`
data: {dataset: glyphs, train: 500, validation: 100, test: 100}
corrupt: {kind: gaussian, noise_factor: 0.3}
model: {encoder: [64, 16], decoder: [64]}
train: {epochs: 1}
backend: go
`), "corrupt.noise_factor=0.5"))
	e.Output.Dir = dir

	run := must.M1(experiment.Run(context.Background(), e, experiment.Options{}))
	manifest := must.M1(run.Manifest())
	fmt.Println(manifest.State, "after", manifest.Progress.Step, "steps;", len(manifest.Result.Test), "figures of", manifest.Data.Test, "test images")
	for _, sample := range must.M1(run.Samples()) {
		fmt.Println(sample.Name)
	}
	// Output:
	// done after 4 steps; 6 figures of 100 test images
	// epoch-0000
	// epoch-0001
	// final
}
