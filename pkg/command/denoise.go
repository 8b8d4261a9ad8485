package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"latent/pkg/corrupt"
	"latent/pkg/experiment"
	"latent/pkg/picture"
	"latent/pkg/restore"
	"latent/pkg/table"
)

// denoising is what the flags of denoise say.
type denoising struct {
	out, fit, format string
	quality          int
	compare, skip    bool
	strength, sigma  float64
	asJSON           bool
	toldSigma        bool // --sigma was given
	toldRecover      bool // --recover was given
	restore          restore.Options
}

func newDenoise(c *console) *cobra.Command {
	d := denoising{}
	cmd := &cobra.Command{
		Use:   "denoise RUN FILE…",
		Short: "Apply a run's model to pictures, or to tables and arrays",
		Long: `Denoise applies the model of a run to picture files, to all of them in folders, or to those that a pattern such as 'scans/*.tif' names.

What is written has the name, the place below its folder, the type and the depth of what was read, whatever the model was trained on: a JPEG
file becomes a JPEG file, a PNG file of 16 bits one of 16 bits, a TIFF file of many pages or of floats such a TIFF file. WebP, BMP and GIF files
become PNG files, for Latent writes none of those, and palettes become RGB. Transparency stays as it is. Pictures come out upright, as their
orientation says, and say so; colour profiles stay, and between files of one type density and EXIF (of TIFF files camera, place, time and
author), without its thumbnail. With --format png or jpeg each page of a TIFF file becomes a file of its own.

Files of tables and arrays (.csv, .tsv, .parquet, .npy, .npz, …) have samples of the model's size, or its features as columns, and become files of
the same kind, in the data's own units. Floats of a TIFF file are in the units of the data that the model was trained on, too; with --white 1
they go from 0 to 1. What cannot be read is named, and the others go on; exit status 1 then.

--strength is how much of what the model takes away goes: 0.8 leaves a fifth of the noise, and of the texture that the model takes for noise.
--recover is for runs on blind spots: it finds out how strong a picture's noise is, and gives back what the model took away beyond that.

--sigma is the noise of the pictures, as in corrupt.sigma, for a run that was trained with gaussian noise: the picture's contrast is changed for
the model, and changed back behind it, so that its noise is as strong as that of the training; of a run that was trained with a range of noise
only where it lies outside that range, for within it the model finds the strength by itself.`,
		Example: "  latent denoise runs/mnist-denoise/2026-11-24T10-15-30-7f3a scan.jpg photos/ -o out --compare",
		Args:    cobra.MinimumNArgs(2),
	}
	flags := cmd.Flags()
	flags.StringVarP(&d.out, "out", "o", "denoised", "folder for the pictures")
	flags.StringVar(&d.format, "format", "", "what is written: png, jpeg or tiff; without it, what was read")
	flags.IntVar(&d.quality, "quality", picture.DefaultQuality, "of JPEG files, 1 to 100; colours have half the resolution (4:2:0)")
	flags.BoolVar(&d.skip, "skip-existing", false, "leave out what was written already, to go on where it was stopped")
	flags.StringVar(&d.fit, "fit", "tile", "how other sizes than the model's are treated, where it has one: tile, in tiles that overlap; or resize, scaled there and back")
	flags.Float64Var(&d.restore.Overlap, "overlap", 0.5, "part of a tile's side that it shares with the next")
	flags.BoolVar(&d.restore.Ensemble, "ensemble", false, "take the mean over the picture's eight turns and mirror images: better, and eight times as long")
	flags.BoolVar(&d.restore.Recover, "recover", false, "give back what the model took away of the picture beside noise, for runs on blind spots; without it, as the run's evaluate.recover says")
	flags.Float64Var(&d.strength, "strength", 1, "part of what the model takes away that goes, 0 to 1.5")
	flags.Float64Var(&d.sigma, "sigma", 0, "standard deviation of the pictures' noise on values from 0 to 255, for a run trained with gaussian noise of another")
	flags.Float64Var(&d.restore.White, "white", 0, "value of floats that is white, of a model that was trained on whole numbers")
	flags.BoolVar(&d.compare, "compare", false, "write NAME-compare.png, too: before and after, and enlarged the place that changed most")
	flags.BoolVar(&d.asJSON, "json", false, "print what was written, and what could not be used, as JSON instead of a path a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d.toldSigma, d.toldRecover = flags.Changed("sigma"), flags.Changed("recover")
		if err := d.check(); err != nil {
			return usageError{err}
		}
		return d.run(cmd.Context(), c, args[0], args[1:])
	}
	return cmd
}

// check says which flag is wrong.
func (d *denoising) check() error {
	switch {
	case d.fit != "tile" && d.fit != "resize":
		return fmt.Errorf("--fit=%s: want tile or resize", d.fit)
	case !(d.restore.Overlap > 0 && d.restore.Overlap < 1):
		return fmt.Errorf("--overlap=%g: want more than 0 and less than 1", d.restore.Overlap)
	case d.format != "" && !slices.Contains(picture.Writes(), d.format):
		return fmt.Errorf("--format=%s: want %s", d.format, strings.Join(picture.Writes(), ", "))
	case d.quality < 1 || d.quality > 100:
		return fmt.Errorf("--quality=%d: want 1 to 100", d.quality)
	case !(d.strength >= 0 && d.strength <= 1.5):
		return fmt.Errorf("--strength=%g: want 0 to 1.5", d.strength)
	case d.toldSigma && !(d.sigma > 0 && d.sigma <= 1000):
		return fmt.Errorf("--sigma=%g: want more than 0 and at most 1000", d.sigma)
	case !(d.restore.White >= 0 && d.restore.White <= 1e30):
		return fmt.Errorf("--white=%g: want a value above 0", d.restore.White)
	}
	d.restore.Resize, d.restore.Keep = d.fit == "resize", 1-d.strength
	return nil
}

// run applies the model of a run to files.
func (d *denoising) run(ctx context.Context, c *console, name string, files []string) error {
	trained, err := openRun(ctx, name, nil, experiment.Options{Log: c.stderr})
	if err != nil {
		return err
	}
	defer trained.Close()
	if !d.toldRecover {
		d.restore.Recover = trained.Experiment.Evaluate.Recover
	}
	if d.toldSigma {
		if d.restore.Contrast, err = contrastOf(trained, d.sigma); err != nil {
			return experiment.InputError{Err: err}
		}
		if d.restore.Contrast == 1 {
			fmt.Fprintf(c.stderr, "noise of σ = %g is within what the run was trained with; it needs no --sigma\n", d.sigma)
		}
	}
	jobs, err := d.jobs(files)
	if err != nil {
		return experiment.InputError{Err: err}
	}
	if err := canWrite(d.out); err != nil {
		return experiment.InputError{Err: fmt.Errorf("write to the folder %s: %w; choose another with --out", d.out, err)}
	}
	restorer, err := restore.New(trained.Backend.Compute, trained.Experiment.Model, trained.Weights, trained.Like())
	if err != nil {
		return experiment.InputError{Err: err}
	}

	done := denoisedJSON{Run: trained.Run.Path, Pictures: []pictureJSON{}}
	bar := newBar(c, len(jobs))
	defer bar.clear()
	d.restore.Progress = bar.within
	worker := &denoiser{denoising: d, trained: trained, restorer: restorer, bar: bar}
	rows := 0
	for _, job := range jobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.skip && job.isDone() {
			bar.skipped++
			done.Skipped = append(done.Skipped, pictureJSON{From: job.from, To: job.to})
			continue
		}
		var err error
		if table.Is(job.from) {
			var n int
			n, err = worker.table(ctx, job)
			rows += n
		} else {
			err = worker.picture(ctx, job)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		bar.next()
		if err != nil {
			done.Failed = append(done.Failed, pictureJSON{From: job.from, Error: err.Error()})
			bar.clear()
			fmt.Fprintf(c.stderr, "%v\n", err)
			continue
		}
		done.Pictures = append(done.Pictures, pictureJSON{From: job.from, To: job.to})
		if !d.asJSON {
			bar.clear()
			fmt.Fprintln(c.stdout, job.to)
		}
	}
	bar.clear()
	seconds := time.Since(bar.start).Seconds()
	noun, what := "pictures", fmt.Sprintf("%.2f megapixels", bar.pixels/1e6)
	if rows > 0 {
		noun, what = "files", fmt.Sprintf("%d %s", rows, trained.Manifest.Data.NounOf(rows))
	}
	there := ""
	if bar.skipped > 0 {
		there = fmt.Sprintf(" (%d were there already)", bar.skipped)
	}
	fmt.Fprintf(c.stderr, "%d of %d %s%s, %s in %.1f s: %.0f %s of %v a second\n", len(done.Pictures), len(jobs), noun, there,
		what, seconds, float64(restorer.Tiles)/seconds, trained.Manifest.Data.Noun(), restorer.Size())
	if d.asJSON {
		if err := printJSON(c, done); err != nil {
			return err
		}
	}
	if failed := len(done.Failed); failed == len(jobs) {
		return experiment.InputError{Err: fmt.Errorf("none of %d pictures or tables could be used", failed)}
	} else if failed > 0 {
		return fmt.Errorf("%d of %d pictures or tables could not be used", failed, len(jobs))
	}
	return nil
}

// denoisedJSON is what was made of pictures, for programs.
type denoisedJSON struct {
	Run      string        `json:"run"`
	Pictures []pictureJSON `json:"pictures"`
	Skipped  []pictureJSON `json:"skipped,omitempty"`
	Failed   []pictureJSON `json:"failed,omitempty"`
}

// pictureJSON is a picture that was read and written, or could not be.
type pictureJSON struct {
	From  string `json:"from"`
	To    string `json:"to,omitempty"`
	Error string `json:"error,omitempty"`
}

// contrastOf is the change of contrast after which noise of σ = sigma, on values from 0 to 255, is as strong as the nearest that a run was
// trained with.
func contrastOf(trained *experiment.Trained, sigma float64) (float64, error) {
	chain := trained.Experiment.Corrupt
	var noise *corrupt.Gaussian
	if len(chain) == 1 {
		noise, _ = chain[0].(*corrupt.Gaussian)
	}
	if noise == nil {
		return 0, errors.New("--sigma is for a run that was trained with gaussian noise alone; --strength is for any")
	}
	if trained.Like().Scale.Open {
		return 0, errors.New("--sigma counts on values from 0 to 255, and the run's data has a scale without ends; --strength is for any")
	}
	const model = 127.5 // in the model's scale, which goes from -1 to 1
	ends := noise.Strengths()
	least, most := model*float64(ends[0]), model*float64(ends[1])
	if most == 0 {
		return 0, errors.New("--sigma: the run was trained with noise of strength 0; --strength is for any")
	}
	contrast := min(max(sigma, least), most) / sigma
	if math.Abs(contrast-1) < 1e-6 { // strengths are float32
		return 1, nil
	}
	if output := trained.Experiment.Model.OutputActivation(); contrast > 1 && output != "linear" {
		return 0, fmt.Errorf("--sigma=%g: less noise than the run was trained with, σ = %.3g at least, needs a model whose output has no ends, and this one's is %s; use --strength",
			sigma, least, output)
	}
	return contrast, nil
}
