// Command strategies compares the search strategies with Optuna's on six functions whose least values are known, and writes
// docs/strategies.md. Run it in the repository's root:
//
//	go run ./experiments/strategies            # ours, beside Optuna's kept figures: two minutes, most of them gp's
//	go run ./experiments/strategies --optuna   # Optuna anew, in a virtual environment of Python: ten minutes
//
// With --torch Optuna's GPSampler runs too, which takes hours and 6 GB of disk.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

// options is what a person decides of a run.
type options struct {
	optuna, torch bool
	venv          string // "" for the usual folder
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.BoolVar(&o.optuna, "optuna", false, "run Optuna too, and keep its figures in "+keptAt)
	flag.BoolVar(&o.torch, "torch", false, "with --optuna: its GPSampler too")
	flag.StringVar(&o.venv, "venv", "", "virtual environment for Optuna, made where it is not (default in the user's cache)")
	flag.Parse()
	if err := compare(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "strategies:", err)
		stop()
		os.Exit(1)
	}
}
