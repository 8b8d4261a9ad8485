package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"latent/pkg/backend"
)

// cardParts are all comparisons on a card, the most important first, since they may have to end before the last. The least
// time of each is about what its compilations and one round take; one that is begun too late only wastes what is left.
var cardParts = []part{
	{name: "epoch", title: "One epoch of the seed", run: (*bench).cardEpoch, least: 20 * time.Second},
	{name: "runs", title: "Many runs at once", run: (*bench).cardRuns, least: 20 * time.Second},
	{name: "sizes", title: "Larger models", run: (*bench).cardSizes, least: 20 * time.Second},
	{name: "precision", title: "Precision", run: (*bench).cardPrecision, least: 20 * time.Second},
	{name: "flags", title: "XLA's flags", run: (*bench).cardFlags, least: 15 * time.Second},
	{name: "start", title: "From process start to the first epoch finished", run: (*bench).cardStart, least: 30 * time.Second},
	{name: "denoise", title: "Denoising", run: (*bench).cardDenoise, least: 10 * time.Second},
}

// heat is a race to be run.
type heat struct {
	name      string
	figure    figure
	entries   []entry
	tolerance tolerance // of losses
}

// hold runs races one after another, and tells of those for which there was no time.
func (b *bench) hold(ctx context.Context, heats ...heat) []race {
	var races []race
	for _, h := range heats {
		b.logf("  %s", h.name)
		r := race{name: h.name, figure: h.figure}
		r.series, r.missing = b.alternate(ctx, h.entries, h.tolerance)
		races = append(races, r)
	}
	return races
}

// lane is an entry in which a contestant that stays alive answers r. It is started at once, so that those of a part start
// beside each other.
func (b *bench) lane(name string, c contestant, r request) entry {
	b.pool.start(c)
	e := asking(name, b.asker(c), r)
	e.aside = name == nameCompile
	return e
}

func (b *bench) asker(c contestant) asker {
	return func(r request) (answer, error) { return b.pool.ask(c, r) }
}

// runner is the contestant of this name that computes in a precision.
func (b *bench) runner(name, precision string) (contestant, bool) {
	c, ok := b.trainer(name)
	if name == nameLatent && precision == tf32s {
		// What products are rounded to, a process says once: when it opens the backend.
		c.name += ", TF32"
		c.command = append(slices.Clone(c.command), tf32s)
	}
	return c, ok
}

// lanes are entries of the contestants of these names; without those that are not to be had.
func (b *bench) lanes(r request, names ...string) []entry {
	var entries []entry
	for _, name := range names {
		if c, ok := b.runner(name, r.Precision); ok {
			entries = append(entries, b.lane(name, c, r))
		}
	}
	return entries
}

func (b *bench) cardEpoch(ctx context.Context) (result, error) {
	r := b.seed()
	races := b.hold(ctx,
		heat{float32s, seconds("%.3f"), b.lanes(r.in(float32s), nameLatent, nameScan, nameStep, nameFused, nameCompile), acrossSeeds(1)},
		heat{"TF32", seconds("%.3f"), b.lanes(r.in(tf32s), nameLatent, nameScan, nameFused), acrossSeeds(1)})
	return result{
		races: races,
		notes: []string{fmt.Sprintf("%d images in batches of 128, shuffled, with new noise. Each round is the first epoch of a fresh run with another "+
			"seed, after compilation. JAX rounds products to TF32 by default, PyTorch and Latent do not: for float32, JAX runs "+
			"with `jax_default_matmul_precision=highest`.", b.images)},
		bars: slices.Concat(
			against(races[0].series, "epoch, float32: JAX lax.scan ÷ Latent", nameScan, nameLatent, series.seconds, 1, false),
			against(races[1].series, "epoch, TF32: JAX lax.scan ÷ Latent", nameScan, nameLatent, series.seconds, 1, false)),
	}, nil
}

// Ways to train many runs.
const (
	nameBatched = "Latent, batched"
	nameLoop    = "Latent, in a loop"
	nameSingly  = "Latent, one after another"
)

// fewRuns are as many as are measured of runs one after another, which are too slow for more and cost the same each.
const fewRuns = 8

func (b *bench) cardRuns(ctx context.Context) (result, error) {
	var heats []heat
	for _, n := range []int{64, 16, 1} {
		few := min(n, fewRuns)
		r := b.fifth().in(float32s)
		r.Runs, r.Group = n, "batched"
		entries := []entry{each(b.lane(nameBatched, b.worker(), r), n)}
		if n > 1 {
			r.Group = "loop"
			entries = append(entries, each(b.lane(nameLoop, b.worker(), r), n))
			r.Runs = few
			entries = append(entries, each(oneByOne(nameSingly, b.asker(b.worker()), r), few))
		}
		r.Group = ""
		if c, ok := b.trainer(nameScan); ok {
			r.Runs = n
			entries = append(entries, each(b.lane("JAX lax.scan under vmap", c, r), n))
		}
		if c, ok := b.trainer(nameFused); ok {
			r.Runs = few
			entries = append(entries, each(b.lane(nameFused+", one after another", c, r), few))
		}
		name := fmt.Sprintf("%d runs", n)
		if n == 1 {
			name = "1 run"
		}
		heats = append(heats, heat{name, milliseconds("ms a run", "%.2f"), entries, acrossSeeds(few)})
	}
	races := b.hold(ctx, heats...)
	return result{
		races: races,
		notes: []string{fmt.Sprintf("An epoch of %d images for each of the runs of the MNIST denoiser in float32, with different seeds. Of sequential "+
			"runs, %d are measured. Batched is `train.group: batched`.", b.fifth().Images, fewRuns)},
		bars: against(races[0].series, "64 runs: one after another ÷ batched", nameSingly, nameBatched, series.seconds, 8, false),
	}, nil
}

// width is the seed's model with wider hidden layers, and a learning rate that becomes smaller by as much: with the seed's own,
// one seed in four of the widest stands still at first, so that losses could not be compared.
func (b *bench) width(factor float64) request {
	r := b.seed()
	r.Width, r.Rate = factor, 1e-3/factor
	return r
}

// residual is the U-Net of configs/mnist/denoise-unet.yaml, on a fifth of the images, and the steps that these are.
func (b *bench) residual() (r request, steps int) {
	r = b.fifth()
	r.Model = modelResidual
	return r, (r.Images + r.Batch - 1) / r.Batch
}

// coarsely is for the U-Net, whose first losses are the seed's more than anything: 0.040 to 0.120 over ten seeds after two
// steps, 0.018 to 0.040 over eight after 94. What does not add to the noisy image, or has other noise, has several times as
// much. Whether all compute the same U-Net, cardDenoise tells to rounding.
func coarsely(int) float64 { return 2 }

// steps are entries with the time of one of their n steps.
func steps(entries []entry, n int) []entry {
	for i := range entries {
		entries[i] = each(entries[i], n)
	}
	return entries
}

func (b *bench) cardSizes(ctx context.Context) (result, error) {
	names := []string{nameLatent, nameScan, nameFused, nameCompile}
	unet, n := b.residual()
	races := b.hold(ctx,
		heat{"width × 4", seconds("%.3f"), b.lanes(b.width(4).in(float32s), names...), acrossSeeds(1)},
		heat{"width × 16", seconds("%.3f"), b.lanes(b.width(16).in(float32s), names...), acrossSeeds(1)},
		heat{"U-Net", milliseconds("ms a step", "%.2f"), steps(b.lanes(unet.in(float32s), names...), n), coarsely})
	return result{
		races: races,
		notes: []string{fmt.Sprintf("In float32: an epoch of the MNIST denoiser with hidden layers 4 and 16 times as wide, and a step of the U-Net of "+
			"configs/mnist/denoise-unet.yaml, the mean of the first %d steps in batches of 128.", n)},
	}, nil
}

func (b *bench) cardPrecision(ctx context.Context) (result, error) {
	in := func(r request) (entries []entry) {
		for _, name := range []string{nameLatent, nameScan, nameFused} {
			for _, precision := range []string{float32s, tf32s, bfloat16s} {
				for _, e := range b.lanes(r.in(precision), name) {
					e.name += ", " + precision
					entries = append(entries, e)
				}
			}
		}
		return entries
	}
	unet, n := b.residual()
	races := b.hold(ctx,
		heat{"width × 16", seconds("%.3f"), in(b.width(16)), acrossSeeds(1)},
		heat{"U-Net", milliseconds("ms a step", "%.2f"), steps(in(unet), n), coarsely})
	return result{
		races: races,
		notes: []string{"The same models in other precisions. For bfloat16, Latent runs with `train.precision: bfloat16`, PyTorch under " +
			"autocast, and JAX casts parameters and images. Parameters and Adam's moments are always stored in float32."},
	}, nil
}

func (b *bench) cardFlags(ctx context.Context) (result, error) {
	own, err := b.pool.ask(b.worker(), request{Task: "about"})
	if err != nil {
		return result{}, cmp.Or(context.Cause(ctx), err)
	}
	under := func(r request) (entries []entry) {
		for i, v := range backend.CUDAVariants {
			c := b.worker()
			if i > 0 {
				c.name += ", " + v.Name
				c.env = []string{"XLA_FLAGS=" + instead(v, own.Flags)}
			}
			entries = append(entries, b.lane(v.Name, c, r.in(float32s)))
		}
		return entries
	}
	races := b.hold(ctx,
		heat{"seed", seconds("%.3f"), under(b.seed()), acrossSeeds(1)},
		heat{"width × 4", seconds("%.3f"), under(b.width(4)), acrossSeeds(1)})
	lines := []string{"An epoch of Latent in float32, a process for each choice of flags:", ""}
	for _, v := range backend.CUDAVariants {
		lines = append(lines, fmt.Sprintf("- %s: %s (`%s`)", v.Name, v.Why, v.Flags))
	}
	return result{races: races, notes: []string{strings.Join(lines, "\n")}}, nil
}

// instead are the flags in force with a variant's in the place of Latent's own: what else is in force says where CUDA is.
func instead(v backend.Variant, inForce string) string {
	if !strings.Contains(inForce, backend.CUDAFlags) {
		return v.Flags
	}
	return strings.Replace(inForce, backend.CUDAFlags, v.Flags, 1)
}

func (b *bench) cardStart(ctx context.Context) (result, error) {
	entries := b.starts(ctx)
	for i := range entries {
		entries[i].cold = entries[i].name != nameScanWarm // which fills its cache first
	}
	races := b.hold(ctx, heat{"start", seconds("%.2f"), entries, acrossSeeds(1)})
	return result{
		races: races,
		notes: []string{"`latent run` is the complete command, timed to the log line of epoch 1; the others get a request for one epoch at " +
			"their start. Warm means that JAX finds its compiled programs in its persistent cache."},
	}, nil
}

func (b *bench) cardDenoise(ctx context.Context) (result, error) {
	latent := b.asker(b.worker())
	unet, _ := b.residual()
	folders := map[string]string{} // of a model, its weights and images
	for _, r := range []request{b.seed(), unet} {
		r.Task, r.Precision, r.Seed, r.Folder = "export", float32s, 1, filepath.Join(b.temp, "export "+r.Model)
		if err := os.Mkdir(r.Folder, 0o700); err != nil {
			return result{}, err
		}
		if _, err := latent(r); err != nil {
			return result{}, cmp.Or(context.Cause(ctx), err)
		}
		folders[r.Model] = r.Folder
	}
	denoising := func(name, model string, images, batch int) heat {
		r := request{Task: "denoise", Model: model, Folder: folders[model], Images: images, Batch: batch, Passes: 1}
		entries := []entry{b.lane(nameLatent, b.worker(), r)}
		if c, ok := b.trainer(nameScan); ok {
			entries = append(entries, b.lane("JAX", c, r))
		}
		if c, ok := b.trainer(nameFused); ok {
			entries = append(entries, b.lane("PyTorch", c, r))
		}
		return heat{name, rate("images/s", 1), steps(entries, images), exactly}
	}
	return result{
		races: b.hold(ctx,
			denoising("singly", "", 1000, 1),
			denoising("by 32", "", 10000, 32),
			denoising("by 1,000", "", 10000, 1000),
			denoising("U-Net, by 1,000", modelResidual, 1000, 1000)),
		notes: []string{"Noisy test images, float32, pass from host memory through a trained model, the MNIST denoiser or the U-Net, back to " +
			"host memory. All contestants use the same images and weights, so the losses agree to rounding."},
	}, nil
}
