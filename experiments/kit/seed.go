package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"latent/pkg/rundir"
)

// referenceFolder is the run of the seed that was made on the CPU where the archive was packed, in the archive. It has no
// checkpoints.
const referenceFolder = "reference"

// seedConfig is what is trained where the archive has no such run.
const seedConfig = "configs/mnist/denoise.yaml"

// farthestPSNR is how far the seed's PSNR of the test images, in dB, may be from the CPU's. Another device rounds otherwise, and
// after some thousand steps the two are as different as two seeds: of those the README has a standard deviation of 0.1 dB, of a
// difference 0.15 dB. A fault that costs less than this is not seen here, and may be in the tests.
const farthestPSNR = 0.5

// trained is a run that is over, with its records.
type trained struct {
	Path     string           `json:"-"`
	Manifest *rundir.Manifest `json:"manifest"`
	Epochs   []rundir.Epoch   `json:"epochs"`
}

// seed trains the experiment of the archive's run, and compares the figures.
func (k *kit) seed(ctx context.Context, o *outcome) error {
	config, cpu, err := k.reference()
	if err != nil {
		return err
	}
	card, err := k.train(ctx, "latent run", "run", config, "backend="+k.backend, "--out", filepath.Join(k.temp, "seed"))
	if err != nil {
		return err
	}
	k.seedRun = card.Path
	figure, details := compareSeed(card, cpu)
	k.change(func() {
		o.Figure, o.details = figure, details
		o.Data = map[string]*trained{"card": card, "cpu": cpu}
	})
	if cpu == nil {
		return nil
	}
	if apart := psnr(card) - psnr(cpu); !(math.Abs(apart) <= farthestPSNR) {
		return fmt.Errorf("the test images' PSNR is %.2f dB, the CPU's %.2f dB: more than %g dB apart, which no rounding explains", psnr(card), psnr(cpu), farthestPSNR)
	}
	return nil
}

// reference is the seed's config, and its run on the CPU; nil where the archive has none.
func (k *kit) reference() (config string, cpu *trained, err error) {
	path := filepath.Join(k.root, referenceFolder)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return seedConfig, nil, nil
	}
	if cpu, err = readRun(path); err != nil {
		return "", nil, err
	}
	return filepath.Join(referenceFolder, "config.yaml"), cpu, nil
}

// train has latent make a run, or go on with one, and reads it.
func (k *kit) train(ctx context.Context, label string, arguments ...string) (*trained, error) {
	out, err := k.execute(ctx, k.latent(label, append(arguments, "--json")...))
	if err != nil {
		return nil, err
	}
	var run struct{ Path string }
	if err := json.Unmarshal(out, &run); err != nil {
		return nil, fmt.Errorf("%s --json: %w", label, err)
	}
	return readRun(run.Path)
}

func readRun(path string) (*trained, error) {
	run, err := rundir.Open(path)
	if err != nil {
		return nil, err
	}
	manifest, err := run.Manifest()
	if err != nil {
		return nil, err
	}
	_, epochs, err := run.Metrics()
	if err != nil {
		return nil, err
	}
	return &trained{Path: path, Manifest: manifest, Epochs: epochs}, nil
}

func psnr(t *trained) float64 { return float64(t.Manifest.Result.Test["psnr"]) }

// epochSeconds is the median of the epochs after the first, in which the device warms up; that of the first where there is no
// other.
func (t *trained) epochSeconds() float64 {
	var all []float64
	for _, e := range t.Epochs {
		all = append(all, float64(e.Seconds))
	}
	if len(all) == 0 {
		return math.NaN()
	}
	rest := slices.Sorted(slices.Values(all[min(1, len(all)-1):]))
	return (rest[(len(rest)-1)/2] + rest[len(rest)/2]) / 2
}

// compareSeed is the step's figure and its table. cpu may be nil.
func compareSeed(card, cpu *trained) (figure, details string) {
	t := table{header: []string{"", "here", "CPU", "difference"}}
	row := func(name, format string, value func(*trained) float64) {
		cells := []any{name, fmt.Sprintf(format, value(card)), "", ""}
		if cpu != nil {
			cells[2] = fmt.Sprintf(format, value(cpu))
			cells[3] = fmt.Sprintf("%+.2g", value(card)-value(cpu))
		}
		t.add(cells...)
	}
	row("test images: MSE", "%.5f", func(t *trained) float64 { return float64(t.Manifest.Result.Test["mse"]) })
	row("PSNR, dB", "%.3f", psnr)
	row("SSIM", "%.4f", func(t *trained) float64 { return float64(t.Manifest.Result.Test["ssim"]) })
	row("training loss, epoch 1", "%.6f", func(t *trained) float64 { return float64(t.Epochs[0].TrainLoss) })
	row(fmt.Sprintf("s an epoch (median after the first, of %d)", len(card.Epochs)), "%.3f", (*trained).epochSeconds)
	row("s of the first epoch", "%.3f", func(t *trained) float64 { return float64(t.Epochs[0].Seconds) })
	for _, phase := range []string{"start", "data", "compile", "train", "evaluate", "write"} {
		row("s in all: "+phase, "%.2f", func(t *trained) float64 { return t.Manifest.Timings[phase] })
	}
	figure = fmt.Sprintf("test PSNR %.2f dB, %.3f s an epoch", psnr(card), card.epochSeconds())
	details = t.String() + fmt.Sprintf("\n%s, %s.", card.Manifest.Backend.Device, card.Manifest.Backend.XLAFlags)
	if cpu == nil {
		return figure, details + " The archive was packed without the CPU's figures.\n"
	}
	figure += fmt.Sprintf(" (CPU where it was packed: %.2f dB, %.3f s)", psnr(cpu), cpu.epochSeconds())
	return figure, details + fmt.Sprintf(" The CPU: %s, %d cores.\n", cpu.Manifest.Host.CPU, cpu.Manifest.Host.Cores)
}

// errNoSeed ends the steps that need the seed's run.
var errNoSeed = errors.New("the step that trains the seed left no run to compare with")

// verifiedEpochs are trained again by verify.
const verifiedEpochs = 2

// verify trains the first epochs of the seed's run again. `latent verify` compares all records, to the bit.
func (k *kit) verify(ctx context.Context, o *outcome) error {
	if k.seedRun == "" {
		return errNoSeed
	}
	out, err := k.execute(ctx, k.latent("latent verify", "verify", k.seedRun, "--epochs", fmt.Sprint(verifiedEpochs), "--json"))
	var found []struct {
		Windows     int `json:"windows"`
		Epochs      int `json:"epochs"`
		Differences []struct {
			Where    string `json:"where"`
			Recorded string `json:"recorded"`
			Now      string `json:"now"`
		} `json:"differences"`
	}
	if jsonErr := json.Unmarshal(out, &found); jsonErr != nil || len(found) != 1 {
		return errors.Join(err, fmt.Errorf("latent verify --json said %q", oneLine(string(out))))
	}
	v := found[0]
	k.change(func() {
		o.Data = v
		o.Figure = fmt.Sprintf("%d epochs and %d windows of steps came out the same, to the bit", v.Epochs, v.Windows)
		if len(v.Differences) == 0 {
			return
		}
		o.Figure = fmt.Sprintf("%d differences in %d epochs and %d windows of steps", len(v.Differences), v.Epochs, v.Windows)
		t := table{header: []string{"first differences", "recorded", "now"}}
		for _, d := range v.Differences[:min(10, len(v.Differences))] {
			t.add(d.Where, d.Recorded, d.Now)
		}
		o.details = t.String()
	})
	return err
}

// errKilled ends the child that resume kills.
var errKilled = errors.New("killed on purpose")

// resume starts the seed's experiment again, kills it in the middle of an epoch, goes on with it, and compares it with the run
// that was left alone.
func (k *kit) resume(ctx context.Context, o *outcome) error {
	if k.seedRun == "" {
		return errNoSeed
	}
	whole, err := readRun(k.seedRun)
	if err != nil {
		return err
	}
	config, _, err := k.reference()
	if err != nil {
		return err
	}
	folder := filepath.Join(k.temp, "killed")
	living, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	ended := make(chan error, 1)
	go func() {
		c := k.latent("latent run, to be killed", "run", config, "backend="+k.backend, "--out", folder)
		c.signal = syscall.SIGKILL
		_, err := k.execute(living, c)
		ended <- err
	}()
	after := max(1, min(2, whole.Manifest.Progress.Epochs/2))
	err = middleOfEpoch(living, folder, after, ended)
	kill(errKilled)
	if err != nil {
		return err
	}
	if err := <-ended; !errors.Is(err, errKilled) {
		return fmt.Errorf("the run ended before it was killed: %w", errors.Join(err, errNotKilled))
	}
	path, err := onlyRun(folder)
	if err != nil {
		return err
	}
	half, err := readRun(path)
	if err != nil {
		return err
	}
	if half.Manifest.State != rundir.Running {
		return fmt.Errorf("the killed run says that it is %s; %w", half.Manifest.State, errNotKilled)
	}
	resumed, err := k.train(ctx, "latent run --resume", "run", "--resume", path)
	if err != nil {
		return err
	}
	differences, err := compareRuns(whole, resumed)
	if err != nil {
		return err
	}
	last := whole.Epochs[len(whole.Epochs)-1]
	k.change(func() {
		o.Data = map[string]any{"killed_after_step": half.Manifest.Progress.Step, "killed_in_epoch": len(half.Epochs) + 1, "differences": differences, "state_sha256": last.StateSHA256}
		o.Figure = fmt.Sprintf("killed in epoch %d, resumed: all %d epochs, the weights and the result are the same, to the bit", len(half.Epochs)+1, len(whole.Epochs))
		if len(differences) == 0 {
			return
		}
		o.Figure = fmt.Sprintf("killed in epoch %d, resumed: %d differences", len(half.Epochs)+1, len(differences))
		t := table{header: []string{"first differences", "left alone", "killed and resumed"}}
		for _, d := range differences[:min(10, len(differences))] {
			t.add(d.where, d.whole, d.resumed)
		}
		o.details = t.String()
	})
	if len(differences) > 0 {
		return fmt.Errorf("%s: %s in the run that was left alone, %s in the one that was killed", differences[0].where, differences[0].whole, differences[0].resumed)
	}
	return nil
}

var errNotKilled = errors.New("its epochs are too short to be met; give the seed more of them when packing")

// middleOfEpoch waits until a run has recorded so many epochs, and half as long as the last of them took. ended tells that the
// run is over, and has the value for the next who asks.
func middleOfEpoch(ctx context.Context, folder string, epochs int, ended chan error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-ended:
			ended <- err
			return nil
		case <-time.After(5 * time.Millisecond):
		}
		path, err := onlyRun(folder)
		if err != nil {
			continue // its folder is not there yet
		}
		run, err := rundir.Open(path)
		if err != nil {
			continue // nor its files
		}
		if _, found, err := run.Metrics(); err == nil && len(found) >= epochs {
			last := found[len(found)-1]
			time.Sleep(time.Duration(float64(last.Seconds) / 2 * float64(time.Second)))
			return nil
		}
	}
}

// onlyRun is the folder of the only run below another.
func onlyRun(folder string) (string, error) {
	found, err := filepath.Glob(filepath.Join(folder, "*", "*", "manifest.json"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s: %d runs, want 1", folder, len(found))
	}
	return filepath.Dir(found[0]), nil
}

// unlike is a record of two runs that should be the same.
type unlike struct{ where, whole, resumed string }

// MarshalJSON writes the difference as `latent verify` does.
func (u unlike) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"where": u.where, "whole": u.whole, "resumed": u.resumed})
}

// compareRuns compares the epochs' records, which have checksums of weights and optimizer, but for their times, and the results.
func compareRuns(whole, resumed *trained) ([]unlike, error) {
	var all []unlike
	compare := func(where string, a, b any) error {
		x, err := json.Marshal(a)
		if err != nil {
			return err
		}
		y, err := json.Marshal(b)
		if err == nil && string(x) != string(y) {
			all = append(all, unlike{where, string(x), string(y)})
		}
		return err
	}
	if err := compare("number of epochs", len(whole.Epochs), len(resumed.Epochs)); err != nil {
		return nil, err
	}
	for i := range min(len(whole.Epochs), len(resumed.Epochs)) {
		a, b := whole.Epochs[i], resumed.Epochs[i]
		if err := errors.Join(
			compare(fmt.Sprintf("epoch %d, checksum of the state", i+1), a.StateSHA256, b.StateSHA256),
			compare(fmt.Sprintf("epoch %d, training loss", i+1), a.TrainLoss, b.TrainLoss),
			compare(fmt.Sprintf("epoch %d, validation", i+1), []any{a.ValLoss, a.ValPSNR, a.ValSSIM}, []any{b.ValLoss, b.ValPSNR, b.ValSSIM}),
		); err != nil {
			return nil, err
		}
	}
	if err := compare("result", whole.Manifest.Result, resumed.Manifest.Result); err != nil {
		return nil, err
	}
	if len(resumed.Manifest.Resumed) != 1 {
		return nil, fmt.Errorf("the manifest of the resumed run says that it was resumed %d times, not once", len(resumed.Manifest.Resumed))
	}
	return all, nil
}
