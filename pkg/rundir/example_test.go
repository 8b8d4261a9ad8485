package rundir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/janpfeifer/must"

	"latent/pkg/rundir"
)

// A run's folder is written while it trains, and read by whoever wants to know.
func Example() {
	dir := must.M1(os.MkdirTemp("", "runs"))
	defer os.RemoveAll(dir)
	run := must.M1(rundir.Create(dir, "denoise", time.Date(2026, time.November, 24, 10, 15, 30, 0, time.UTC)))
	must.M(run.WriteConfig([]byte("name: denoise\n")))
	manifest := rundir.NewManifest()
	manifest.Name, manifest.State = "denoise", rundir.Running
	must.M(run.WriteManifest(manifest))
	must.M(run.AppendWindow(rundir.Window{Step: 60, Epoch: 1, Loss: 0.12}))
	must.M(run.SaveCheckpoint(rundir.Checkpoint{
		Step: 60, Tensors: []rundir.Tensor{{Name: "encoder.bias", Dims: []int{2}, Values: []float32{0.5, -1}}},
	}, true, 2))
	must.M(run.Close())

	read := must.M1(rundir.Open(run.Path))
	windows, _, err := read.Metrics()
	must.M(err)
	checkpoint := must.M1(read.BestCheckpoint())
	fmt.Println(must.M1(read.Manifest()).State, "at step", windows[0].Step, "with", checkpoint.Tensors[0])
	files := must.M1(filepath.Glob(filepath.Join(run.Path, "*")))
	for _, file := range files {
		fmt.Println(filepath.Base(file))
	}
	// Output:
	// running at step 60 with {encoder.bias [2] [0.5 -1]}
	// .lock
	// checkpoints
	// config.yaml
	// manifest.json
	// metrics.jsonl
}
