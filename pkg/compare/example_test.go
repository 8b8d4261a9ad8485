package compare_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/janpfeifer/must"

	"latent/pkg/compare"
	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/runs"
)

// Two runs that differ in their seed: the same as latent compare.
func Example() {
	ctx := context.Background()
	dir := must.M1(os.MkdirTemp("", "runs"))
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "small.yaml")
	must.M(os.WriteFile(file, []byte(`
data: {dataset: glyphs, train: 64, validation: 16, test: 40}
model: {encoder: [8], decoder: []}
train: {epochs: 1, batch_size: 32}
backend: go
`), 0o644))
	var entries []runs.Entry
	for _, seed := range []string{"seed=1", "seed=2"} {
		e := must.M1(config.Load(file, seed, "output.dir="+dir))
		run := must.M1(experiment.Run(ctx, e, experiment.Options{}))
		entries = append(entries, must.M1(runs.Open(run.Path)))
	}

	found := must.M1(compare.Open(entries))
	lab := experiment.NewLab(experiment.Options{})
	defer lab.Close()
	must.M(found.Measure(ctx, lab))
	fmt.Println("what differs:", found.Config[0].Key, found.Config[0].Values)
	fmt.Println("compared over", found.Differences(found.Runs[1])["psnr"].Samples, "images")
	var page bytes.Buffer
	must.M(found.Render(&page))
	fmt.Println("it asks for nothing from elsewhere:", !bytes.Contains(page.Bytes(), []byte("http")))
	// Output:
	// what differs: seed [1 2]
	// compared over 40 images
	// it asks for nothing from elsewhere: true
}
