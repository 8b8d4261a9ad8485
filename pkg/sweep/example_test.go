package sweep_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/janpfeifer/must"

	"latent/pkg/config"
	"latent/pkg/sweep"
)

// A sweep from Go: the same as latent sweep sweep.yaml.
func Example() {
	ctx := context.Background()
	dir := must.M1(os.MkdirTemp("", "sweeps"))
	defer os.RemoveAll(dir)
	must.M(os.WriteFile(filepath.Join(dir, "base.yaml"), []byte(`
data: {dataset: glyphs, train: 300, validation: 50, test: 50}
corrupt: {kind: gaussian, noise_factor: 0.3}
model: {encoder: [16], decoder: []}
train: {epochs: 1, batch_size: 64}
backend: go
`), 0o644))
	must.M(os.WriteFile(filepath.Join(dir, "sweep.yaml"), []byte(`
base: base.yaml
objective: {metric: val_psnr}
space: {train.learning_rate: {choice: [0.00001, 0.01]}}
strategy: {kind: grid}
`), 0o644))
	loaded := must.M1(config.LoadSweep(filepath.Join(dir, "sweep.yaml")))
	loaded.Dir = dir

	s := must.M1(sweep.Create(ctx, loaded, "", time.Now()))
	defer s.Close()
	must.M(s.Run(ctx, sweep.RunOptions{}))
	status := must.M1(s.Status(ctx))
	fmt.Println(status.Counts["done"], "trials done; the best has", status.Best.Params)
	_, err := config.Load(must.M1(s.WriteBest(ctx, -1)))
	fmt.Println("it is an experiment that runs:", err == nil)
	// Output:
	// 2 trials done; the best has map[train.learning_rate:0.01]
	// it is an experiment that runs: true
}
