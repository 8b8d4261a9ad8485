package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

var (
	//go:embed peers/cut_side.py
	cutScript string
	//go:embed peers/cut_requirements.txt
	cutPackages string
)

// picturesPath is where the document of colour pictures goes.
const picturesPath = "docs/results-pictures.md"

// pictureTrials are experiments on colour pictures of this size. Short ones are of memory and time alone.
var pictureTrials = []pictureTrial{
	{trial: trial{"vae-64", "configs/photos/vae-64.yaml", nil}, side: 64},
	{trial: trial{"vae-64-bfloat16", "configs/photos/vae-64.yaml", []string{"train.precision=bfloat16"}}, side: 64, short: true},
	{trial: trial{"vae-128", "configs/photos/vae-128.yaml", nil}, side: 128},
	{trial: trial{"vae-128-accumulate", "configs/photos/vae-128.yaml", []string{"train.accumulate=4"}}, side: 128, short: true},
	{trial: trial{"vae-128-checkpoint", "configs/photos/vae-128.yaml", []string{"train.checkpoint_activations=true"}}, side: 128, short: true},
	{trial: trial{"resnet-128", "configs/photos/vae-128.yaml", []string{deep}}, side: 128, short: true},
	{trial: trial{"resnet-128-checkpoint", "configs/photos/vae-128.yaml", []string{deep, "train.checkpoint_activations=true"}}, side: 128, short: true},
	{trial: trial{"resnet-128-accumulate", "configs/photos/vae-128.yaml", []string{deep, "train.accumulate=4"}}, side: 128, short: true},
}

// deep is a backbone of residual blocks with attention.
const deep = "model.backbone={kind: resnet, channels: [16, 32, 64], blocks: 2, attention: 4}"

// shortSteps is how many steps a short one takes.
const shortSteps = 40

// pictureTrial is an experiment on pictures of side × side pixels.
type pictureTrial struct {
	trial
	side  int
	short bool
}

// with returns the trial on the pictures in a folder.
func (t pictureTrial) with(folder string) trial {
	set := t.trial
	set.overrides = append(slices.Clone(t.overrides), fmt.Sprintf("data.dir=%s", filepath.Join(folder, fmt.Sprint("train", t.side))),
		fmt.Sprintf("data.test=%s", filepath.Join(folder, fmt.Sprint("test", t.side))))
	if t.short {
		set.overrides = append(set.overrides, fmt.Sprint("train.max_steps=", shortSteps), "data.limit=640", "output.grid.every=0")
	}
	return set
}

// picturesLine is what an experiment came to.
type picturesLine struct {
	pictureTrial
	outcome
	batch int // pictures of a step
	plan  *experiment.Plan
	speed float64 // milliseconds of a picture in training
}

// runPictures cuts the pictures, trains the chosen experiments or finds them, and writes the document.
func runPictures(ctx context.Context, only, runs string, list, train bool, options experiment.Options, out string, stdout io.Writer) error {
	chosen, err := choose(pictureTrials, only)
	if err != nil {
		return err
	}
	if list {
		return printTrials(stdout, chosen)
	}
	folder, err := filepath.Abs(filepath.Join(runs, "pictures"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, "test128")); err != nil {
		if _, err := askPython(ctx, "pictures", cutPackages, cutScript, folder); err != nil {
			return err
		}
	}
	var lines []picturesLine
	for _, t := range chosen {
		set := t.with(folder)
		o, err := obtain(ctx, set, firstSeed, runs, train, options)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if o == nil {
			continue
		}
		e, err := config.Load(set.config, set.overrides...)
		if err != nil {
			return err
		}
		line := picturesLine{pictureTrial: t, outcome: *o, batch: e.Train.BatchSize}
		if line.plan, err = experiment.Dry(ctx, e, 1, options); err != nil {
			return err
		}
		if line.speed, err = pictureTime(o.path); err != nil {
			return err
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return fmt.Errorf("%s: none of the runs is there; leave out --found to train them", runs)
	}
	var text bytes.Buffer
	writePictures(&text, lines)
	if out == "" && only == "" {
		out = picturesPath
	}
	return deliver(text.Bytes(), out, stdout, options.Log)
}

// pictureTime is how many milliseconds a picture takes in training, in the run's fastest window.
func pictureTime(path string) (float64, error) {
	run, err := rundir.Open(path)
	if err != nil {
		return 0, err
	}
	windows, _, err := run.Metrics()
	if err != nil {
		return 0, err
	}
	if len(windows) == 0 {
		return 0, fmt.Errorf("%s: no window is recorded", path)
	}
	fastest := slices.MaxFunc(windows, func(a, b rundir.Window) int { return int(1000 * (a.ImagesPerSecond - b.ImagesPerSecond)) })
	return 1000 / float64(fastest.ImagesPerSecond), nil
}

// writePictures writes the document.
func writePictures(out *bytes.Buffer, lines []picturesLine) {
	m := lines[0].manifest
	fmt.Fprintf(out, `# Results on colour pictures

Made by `+"`go run ./experiments/results --pictures`"+`; all values are measured by it, with seed %d. The data are random square crops of seven colour photographs of
scikit-image 0.26, scaled to 64×64 and 128×128. The test set is from another photograph. PSNR and SSIM are of
reconstructions from the posterior means.

- processor: %s, %d cores
- backend: %s
- gomlx %s, go-xla %s, %s

`, firstSeed, m.Host.CPU, m.Host.Cores, m.Backend.Name, m.Versions["gomlx"], m.Versions["go-xla"], m.Versions["go"])
	tableRow(out, "config", "pictures", "minutes", "PSNR, dB", "SSIM")
	tableRow(out, "---", "---:", "---:", "---:", "---:")
	for _, l := range lines {
		if l.short {
			continue
		}
		tableRow(out, l.config, fmt.Sprint(l.manifest.Data.Train), fmt.Sprintf("%.1f", l.manifest.Timings["train"]/60),
			fmt.Sprintf("%.2f ± %.2f", float64(l.result.Test["psnr"]), float64(l.result.Interval["test"]["psnr"])), fmt.Sprintf("%.3f", float64(l.result.Test["ssim"])))
	}
	fmt.Fprintf(out, "\n## Memory and time\n\nMemory of a training step as estimated by `--dry-run`, without pictures and parameters, and training time per picture, from the fastest of several windows.\nThe residual network is `%s`.\n\n", deep)
	tableRow(out, "experiment", "batch", "MB of a step", "ms a picture")
	tableRow(out, "---", "---:", "---:", "---:")
	for _, l := range lines {
		tableRow(out, l.name, fmt.Sprint(l.batch), fmt.Sprintf("%.1f", float64(l.plan.StepBytes)/1e6), fmt.Sprintf("%.1f", l.speed))
	}
}
