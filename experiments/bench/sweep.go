package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// sweepTrials is the number of trials of a sweep.
const sweepTrials = 16

// heldOut is the number of images that a trial is judged by.
const heldOut = 5000

// Names of how sweeps run.
const (
	nameSweep     = "latent sweep"
	nameSweepTwo  = "latent sweep, 2 workers"
	nameOptuna    = "Optuna with PyTorch"
	nameOptunaTwo = "Optuna with PyTorch, 2 processes"
)

// sweep compares whole searches: the same learning rates, an epoch each.
func (b *bench) sweep(ctx context.Context) (result, error) {
	defer os.RemoveAll(b.sweeps())
	entries := []entry{b.latentSweep(ctx, nameSweep, 1), b.latentSweep(ctx, nameSweepTwo, 2)}
	if b.has("torch", "optuna") {
		entries = append(entries, b.optuna(ctx, nameOptuna, 1), b.optuna(ctx, nameOptunaTwo, 2))
	}
	all, err := b.alternate(ctx, entries, acrossSeeds(sweepTrials))
	if err != nil {
		return result{}, err
	}
	var bars []bar
	if len(all) == 4 {
		ours, peers := faster(all[0], all[1]), faster(all[2], all[3])
		bars = slices.Concat(
			against([]series{ours, all[2]}, "trials an hour: Latent ÷ Optuna with PyTorch", all[2].name, ours.name, series.seconds, 2, false),
			against([]series{ours, peers}, "the same, the faster of each", peers.name, ours.name, series.seconds, 2, false))
	}
	return result{
		races: []race{{series: all}},
		notes: []string{fmt.Sprintf("%d trials of the MNIST denoiser with learning rates from %g to %g, an epoch of %d images each, evaluated by the loss "+
			"on %d others. The time is that of the whole command: start, compilation, training, validation, and output. For every "+
			"trial, Latent writes a folder with config, metrics and checkpoint, computes SSIM and PSNR in addition to the loss, "+
			"and writes a page at the end; Optuna writes a line in its journal. With two workers or processes, each has half of "+
			"the cores.",
			sweepTrials, learningRates()[0], learningRates()[sweepTrials-1], b.images-heldOut, heldOut)},
		tables: []table{
			compare(all, seconds("%.1f")).withLosses(all),
			compare(all, rate("trials an hour", sweepTrials*3600)),
		},
		bars: bars,
	}, nil
}

// faster is the series with the lower median.
func faster(a, b series) series {
	if median(b.seconds()) < median(a.seconds()) {
		return b
	}
	return a
}

// learningRates are those of the trials, evenly spread in their logarithms.
func learningRates() []float64 {
	rates := make([]float64, sweepTrials)
	for i := range rates {
		rates[i] = math.Round(1e6*math.Pow(10, -4+2*float64(i)/(sweepTrials-1))) / 1e6
	}
	return rates
}

// sweeps is the folder for what sweeps leave.
func (b *bench) sweeps() string { return filepath.Join(b.temp, "sweeps") }

// latentSweep is an entry that runs the command for a sweep.
func (b *bench) latentSweep(ctx context.Context, name string, workers int) entry {
	return entry{name: name, measure: func(round int) (sample, error) {
		base, err := filepath.Abs(config)
		if err != nil {
			return sample{}, err
		}
		rates, err := json.Marshal(learningRates())
		if err != nil {
			return sample{}, err
		}
		file := filepath.Join(b.temp, "sweep.yaml")
		text := fmt.Sprintf(`base: %q
set:
  seed: %d
  backend: %s
  threads: %d
  data: {dataset: mnist, dir: %q, validation: %d, limit: %d}
  train: {epochs: 1}
objective: {metric: val_loss}
space: {train.learning_rate: {choice: %s}}
strategy: {kind: grid}
budget: {trials: %d}
workers: %d
`, base, firstSeed(round, 1), b.backend, threadsOf(workers), b.data, heldOut, b.images-heldOut, rates, sweepTrials, workers)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return sample{}, err
		}
		s, _, err := timedCommand(ctx, name, b.latent, "sweep", file, "dir="+b.sweeps())
		if err != nil {
			return sample{}, err
		}
		folders, err := filepath.Glob(filepath.Join(b.sweeps(), "sweep", "*"))
		if err != nil || len(folders) != 1 {
			return sample{}, fmt.Errorf("%s: left %d folders in %s", name, len(folders), b.sweeps())
		}
		_, status, err := timedCommand(ctx, name, b.latent, "sweep", "status", "--json", folders[0])
		if err != nil {
			return sample{}, err
		}
		var told struct{ Trials []struct{ Value float64 } }
		if err := json.Unmarshal(status, &told); err != nil || len(told.Trials) != sweepTrials {
			return sample{}, fmt.Errorf("%s: %d trials in its status: %w", name, len(told.Trials), err)
		}
		for _, trial := range told.Trials {
			s.Loss += trial.Value / sweepTrials
		}
		return s, os.RemoveAll(b.sweeps())
	}}
}

// threadsOf is how many threads each of so many workers computes with; 0 is all.
func threadsOf(workers int) int {
	if workers == 1 {
		return 0
	}
	return max(1, runtime.NumCPU()/workers)
}

// optuna is an entry that runs the same trials with Optuna and PyTorch.
func (b *bench) optuna(ctx context.Context, name string, processes int) entry {
	return entry{name: name, measure: func(round int) (sample, error) {
		request, err := json.Marshal(map[string]any{
			"images": b.images - heldOut, "held_out": heldOut, "rates": learningRates(), "processes": processes,
			"threads": threadsOf(processes), "seed": firstSeed(round, sweepTrials), "journal": filepath.Join(b.temp, fmt.Sprintf("journal-%d-%d", round, processes)),
		})
		if err != nil {
			return sample{}, err
		}
		s, out, err := timedCommand(ctx, name, b.python, filepath.Join(b.temp, "peer_optuna.py"), b.data, string(request))
		if err != nil {
			return sample{}, err
		}
		var losses []float64
		if err := json.Unmarshal(out, &losses); err != nil || len(losses) != sweepTrials {
			return sample{}, fmt.Errorf("%s: %d losses in %q: %w", name, len(losses), out, err)
		}
		s.Loss = mean(losses)
		return s, nil
	}}
}

// timedCommand runs a command to its end, and returns its time and its standard output.
func timedCommand(ctx context.Context, name, command string, args ...string) (sample, []byte, error) {
	cmd := exec.CommandContext(ctx, command, args...)
	said := &tail{}
	var stdout strings.Builder
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(), &stdout, said
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return sample{}, nil, fmt.Errorf("%s: %w%s", name, err, said)
	}
	return sample{Seconds: time.Since(begin).Seconds()}, []byte(stdout.String()), nil
}
