package optuna_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/janpfeifer/must"

	"latent/pkg/optuna"
)

// A sweep is told trial by trial, while it runs; optuna-dashboard shows the file. What is told twice is written once.
func Example() {
	ctx := context.Background()
	dir := must.M1(os.MkdirTemp("", "journal"))
	defer os.RemoveAll(dir)
	path, started := filepath.Join(dir, "sweep.journal"), time.Date(2026, time.November, 24, 10, 15, 0, 0, time.UTC)
	journal := must.M1(optuna.Open(ctx, path, optuna.Study{
		Name: "noise", Maximize: []bool{true}, Metrics: []string{"val_psnr"},
		Space: []optuna.Parameter{{Name: "train.learning_rate", Kind: optuna.Float, Low: 1e-4, High: 1e-2, Log: true}},
	}))
	trial := optuna.Trial{Number: 0, State: optuna.Running, Params: map[string]float64{"train.learning_rate": 0.001}, Started: started}
	must.M(journal.Append(ctx, trial))
	trial.State, trial.Values, trial.Finished = optuna.Done, []float64{21.2}, started.Add(time.Minute)
	must.M(journal.Append(ctx, trial))
	lines := bytes.Count(must.M1(os.ReadFile(path)), []byte("\n"))
	must.M(journal.Append(ctx, trial))
	must.M(journal.Close())
	fmt.Println("as many lines as before:", lines == bytes.Count(must.M1(os.ReadFile(path)), []byte("\n")))
	// Output: as many lines as before: true
}
