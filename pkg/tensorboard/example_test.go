package tensorboard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/janpfeifer/must"

	"latent/pkg/tensorboard"
)

// Events of a run go into a folder, which tensorboard --logdir shows. A run that goes on from step 20 writes its later steps anew.
func Example() {
	dir := must.M1(os.MkdirTemp("", "events"))
	defer os.RemoveAll(dir)
	begin := must.M1(tensorboard.Open(dir, 0))
	for step := 10; step <= 30; step += 10 {
		must.M(begin.Scalars(step, time.Now(), map[string]float64{"loss/train": 1 / float64(step)}))
	}
	must.M(begin.Close())

	resumed := must.M1(tensorboard.Open(dir, 20))
	must.M(resumed.Scalars(30, time.Now(), map[string]float64{"loss/train": 0.03}))
	must.M(resumed.Close())
	fmt.Println(len(must.M1(filepath.Glob(filepath.Join(dir, "events.out.tfevents.*")))), "file")
	// Output: 1 file
}
