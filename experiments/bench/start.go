package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Names of how contestants start.
const (
	nameRun      = "latent run"
	nameLibrary  = "Latent as a library"
	nameScanCold = "JAX lax.scan, cold"
	nameScanWarm = "JAX lax.scan, warm"
)

// start compares whole processes: the time from their start to the first epoch finished, and the most memory they had.
func (b *bench) start(ctx context.Context) (result, error) {
	all, err := b.alternate(ctx, b.starts(ctx), acrossSeeds(1))
	if err != nil {
		return result{}, err
	}
	return result{
		races: []race{{series: all}},
		notes: []string{"`latent run` is the complete command. Its time is from process start to the log line of epoch 1, including the first " +
			"picture and a checkpoint; its memory includes the test evaluation and the report. The others get a request for one " +
			"epoch at their start, and their time ends with the answer.",
			"Warm means that JAX finds its compiled programs in its persistent cache, cold that the cache is empty. Latent and " +
				"PyTorch eager have no compile cache. All files are in the file system cache."},
		tables: []table{
			compare(all, seconds("%.2f")).withLosses(all),
			compare(all, figure{"peak MiB", "%.0f", func(s sample) float64 { return s.Peak / (1 << 20) }}),
		},
		bars: slices.Concat(
			against(all, "start, cold: latent run ÷ JAX lax.scan", nameRun, nameScanCold, series.seconds, 1, true),
			against(all, "start, warm: latent run ÷ JAX lax.scan", nameRun, nameScanWarm, series.seconds, 1, true),
			against(all, "peak memory: latent run ÷ PyTorch", nameRun, nameFused, series.peaks, 1, true)),
	}, nil
}

// starts are entries of processes that start, work for an epoch, and end.
func (b *bench) starts(ctx context.Context) []entry {
	library := b.worker()
	library.name = nameLibrary
	entries := []entry{{name: nameRun, measure: func(round int) (sample, error) { return b.latentRun(ctx, round) }}, b.starting(ctx, library)}
	if b.has("torch") {
		entries = append(entries, b.starting(ctx, b.torch(nameFused, "fused")))
	}
	if b.has("jax") {
		cold, warm := b.jax(nameScanCold, "scan"), b.jax(nameScanWarm, "scan")
		warm.env = append(warm.env,
			"JAX_COMPILATION_CACHE_DIR="+filepath.Join(b.temp, "jax-cache"),
			"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0")
		entries = append(entries, b.starting(ctx, cold), b.starting(ctx, warm))
	}
	return entries
}

// starting is an entry that starts a contestant, and ends it after an epoch.
func (b *bench) starting(ctx context.Context, c contestant) entry {
	return entry{name: c.name, measure: func(round int) (sample, error) {
		r := b.seed()
		r.Seed = firstSeed(round, 1)
		begin := time.Now()
		p, err := c.start(ctx)
		if err != nil {
			return sample{}, err
		}
		a, err := p.ask(r)
		if err != nil {
			return sample{}, err
		}
		took := time.Since(begin)
		peak, err := p.close()
		return sample{Seconds: took.Seconds(), Loss: a.Loss, Peak: peak}, err
	}}
}

// latentRun runs the command for an epoch of the seed.
func (b *bench) latentRun(ctx context.Context, round int) (sample, error) {
	if b.patience > 0 {
		limited, cancel := context.WithTimeout(ctx, b.patience)
		defer cancel()
		ctx = limited
	}
	out := filepath.Join(b.temp, "runs")
	defer os.RemoveAll(out)
	cmd := exec.CommandContext(ctx, b.latent, "run", config, "--out", out, "--json", fmt.Sprintf("seed=%d", firstSeed(round, 1)),
		"train.epochs=1", "data.validation=0", fmt.Sprintf("data.limit=%d", b.images), "data.dir="+b.data, "backend="+b.backend)
	cmd.Env = environment()
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return sample{}, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	var s sample
	said := &tail{}
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "epoch 1/1") {
			s.Seconds = time.Since(begin).Seconds()
		}
		fmt.Fprintln(said, lines.Text())
	}
	if err := cmd.Wait(); err != nil || s.Seconds == 0 {
		return sample{}, fmt.Errorf("%s: no epoch 1/1: %w%s", nameRun, err, said)
	}
	var run struct {
		Manifest struct {
			Result struct {
				TrainLoss float64 `json:"train_loss"`
			} `json:"result"`
		} `json:"manifest"`
	}
	if err := json.Unmarshal([]byte(stdout.String()), &run); err != nil {
		return sample{}, fmt.Errorf("%s: %w", nameRun, err)
	}
	s.Loss, s.Peak = run.Manifest.Result.TrainLoss, peakMemory(cmd.ProcessState)
	return s, nil
}
