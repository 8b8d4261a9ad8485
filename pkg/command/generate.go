package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/report"
	"latent/pkg/table"
)

func newGenerate(c *console) *cobra.Command {
	d := experiment.DefaultDrawing()
	var show, ends, out string
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:   "generate RUN",
		Short: "Draw what a trained run makes of codes",
		Long: `Generate decodes codes with what the run in a folder trained, and draws pictures of the images, as --show names them:

  samples        images of codes that are drawn at random
  interpolation  images of codes between those of two test images, straight and spherical
  traversal      images of a test image's code with one value changed at a time
  manifold       images of a whole plane of codes, for codes of two values
  map            the codes of test images on a plane, by PCA and t-SNE, coloured by class
  all            all of these that the model has

The pictures are saved in the run's folder, and its report is written again with them; with -o, the picture is saved there
instead, or the samples themselves, in the data's own units, in a file that ends in .csv, .tsv, .parquet, .npy or .npz.

Samples come from the distribution that a vae or a wae is trained for (--sampler prior), from the flow that a model learned beside
its codes (flow), or from a Gaussian mixture that is fitted to the codes of training images (mixture; normal has one component),
which makes a sampler of every autoencoder. Of codes that are entries of a codebook, entries draws one after another, by a network that is
trained on those of training images in about a minute.`,
		Example: "  latent generate runs/mnist-vae/2026-11-24T10-15-30-7f3a --show all\n" +
			"  latent generate runs/mnist-vae/2026-11-24T10-15-30-7f3a --n 100 -o digits.png\n" +
			"  latent generate runs/mnist-vae/2026-11-24T10-15-30-7f3a --show interpolation --between 3,18",
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&show, "show", "samples", "which pictures: "+strings.Join(evaluate.Pictures, ", ")+"; several with commas, or all")
	cmd.Flags().IntVar(&d.Images, "n", d.Images, "how many samples")
	cmd.Flags().Int64Var(&d.Seed, "seed", d.Seed, "decides the samples")
	cmd.Flags().StringVar(&d.Sampler, "sampler", d.Sampler, "of samples: prior, flow, mixture, normal, entries, or auto: the first of them that the model has")
	cmd.Flags().IntVar(&d.Components, "components", d.Components, "of the mixture")
	cmd.Flags().StringVar(&d.Class, "class", "", "label of the images, by name or number, for a model that is given labels; samples have all in turn without it")
	cmd.Flags().StringVar(&ends, "between", "", "two test images, such as 3,18: ends of the interpolation; the traversal starts from the first")
	cmd.Flags().StringVarP(&out, "output", "o", "", "file for the picture or the samples, instead of the run's folder")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the paths of the pictures as JSON")
	cmd.Flags().BoolVar(&force, "force", false, "write over the file of --output where there is one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		switch {
		case out != "" && filepath.Ext(out) != ".png" && (show != "samples" || !slices.Contains(table.Writes(), filepath.Ext(out))):
			return usageError{fmt.Errorf("--output=%s: want a name that ends in .png, or of samples in %s", out, strings.Join(table.Writes(), ", "))}
		case out == "" && force:
			return usageError{errors.New("--force is for a file of --output; pictures in the run's folder are replaced anyway")}
		case d.Images < 1 || d.Images > 10000:
			return usageError{fmt.Errorf("--n=%d: want 1 to 10000", d.Images)}
		case d.Seed < 0:
			return usageError{errors.New("--seed: want 0 or more")}
		case d.Components < 1 || d.Components > 1000:
			return usageError{fmt.Errorf("--components=%d: want 1 to 1000", d.Components)}
		case !slices.Contains(experiment.Samplers(), d.Sampler):
			return usageError{fmt.Errorf("--sampler=%s: want one of %s", d.Sampler, strings.Join(experiment.Samplers(), ", "))}
		}
		if d.Between, err = placesIn(ends); err != nil {
			return usageError{err}
		}
		names, err := picturesNamed(show)
		if err != nil {
			return usageError{err}
		}
		if err := checkFree(out, force); err != nil {
			return experiment.InputError{Err: err}
		}
		options := experiment.Options{Log: c.stderr, Terminal: c.terminal()}
		trained, err := openRun(cmd.Context(), args[0], nil, options)
		if err != nil {
			return err
		}
		defer trained.Close()
		if show == "all" {
			names = slices.DeleteFunc(names, func(name string) bool {
				return evaluate.Inapplicable(name, trained.Experiment.Model) != ""
			})
		}
		switch {
		case len(names) == 0:
			return experiment.InputError{Err: trained.Experiment.Problem("model", "no picture: %s",
				evaluate.Inapplicable("samples", trained.Experiment.Model))}
		case out != "" && len(names) > 1:
			return usageError{fmt.Errorf("--output takes one picture, not %s; leave it out, and they go to the run's folder", strings.Join(names, ", "))}
		case out != "":
			err = drawTo(cmd.Context(), c, trained, names[0], d, options, out, force)
		default:
			err = drawInto(cmd.Context(), c, trained, names, d, options)
		}
		if err != nil || !asJSON {
			return err
		}
		drawn := generatedJSON{Run: trained.Run.Path}
		for _, name := range names {
			path := cmp.Or(out, trained.Run.PicturePath(name))
			drawn.Pictures = append(drawn.Pictures, drawnJSON{Show: name, Path: path})
		}
		return printJSON(c, drawn)
	}
	return cmd
}

// generatedJSON is what was drawn, for programs.
type generatedJSON struct {
	Run      string      `json:"run"`
	Pictures []drawnJSON `json:"pictures"`
}

// drawnJSON is a picture: what it shows, as --show names it, and where it is.
type drawnJSON struct {
	Show string `json:"show"`
	Path string `json:"path"`
}

// picturesNamed returns the pictures that --show names, in the order of a report.
func picturesNamed(show string) ([]string, error) {
	if show == "all" {
		return slices.Clone(evaluate.Pictures), nil
	}
	names := strings.Split(show, ",")
	for _, name := range names {
		if !slices.Contains(evaluate.Pictures, name) {
			return nil, fmt.Errorf("--show=%s: no picture %q; want %s, or all", show, name, strings.Join(evaluate.Pictures, ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(evaluate.Pictures), func(name string) bool { return !slices.Contains(names, name) }), nil
}

// placesIn reads --between; of "" it returns nil.
func placesIn(text string) ([]int, error) {
	if text == "" {
		return nil, nil
	}
	var places []int
	for _, word := range strings.Split(text, ",") {
		place, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			return nil, fmt.Errorf("--between=%s: want the numbers of two test images, such as 3,18", text)
		}
		places = append(places, place)
	}
	if len(places) != 2 {
		return nil, fmt.Errorf("--between=%s: want the numbers of two test images, such as 3,18", text)
	}
	return places, nil
}

// checkFree says, before anything is computed, that a file could not be written.
func checkFree(out string, force bool) error {
	if out == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(out)); err != nil || !info.IsDir() {
		return fmt.Errorf("%s: there is no folder %s; make it, or choose another with --output", out, filepath.Dir(out))
	}
	if _, err := os.Lstat(out); err == nil && !force {
		return fmt.Errorf("%s is there already; choose another name, or write over it with --force", out)
	}
	return nil
}

// drawTo saves a picture in a file.
func drawTo(ctx context.Context, c *console, trained *experiment.Trained, name string, d experiment.Drawing, options experiment.Options, out string, force bool) error {
	if filepath.Ext(out) != ".png" {
		samples, err := trained.Generate(ctx, d.Generation, options)
		if err != nil {
			return err
		}
		if err := table.Write(out, samples.Features, samples.Values, append([]int{samples.Len()}, samples.Dims()...)...); err != nil {
			return experiment.InputError{Err: err}
		}
		fmt.Fprintf(c.stderr, "samples  %s\n", out)
		return nil
	}
	png, err := trained.Draw(ctx, name, d, options)
	if err != nil {
		return err
	}
	if err := writeNew(out, png, force); err != nil {
		return experiment.InputError{Err: fmt.Errorf("%w; choose another place with --output", err)}
	}
	fmt.Fprintf(c.stderr, "picture  %s\n", out)
	return nil
}

// writeNew writes a file whole or not at all, with force in the place of another.
func writeNew(path string, data []byte, force bool) error {
	if !force {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("write %s: %w", path, os.ErrExist)
		}
	}
	return writeWhole(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// drawInto saves pictures in the run's folder, and writes its report again.
func drawInto(ctx context.Context, c *console, trained *experiment.Trained, names []string, d experiment.Drawing, options experiment.Options) error {
	run := trained.Run
	if err := run.Lock(); err != nil {
		return experiment.InputError{Err: fmt.Errorf("%w; or save a picture elsewhere with --output", err)}
	}
	defer run.Close()
	for _, name := range names {
		png, err := trained.Draw(ctx, name, d, options)
		if err != nil {
			return err
		}
		if err := run.SavePicture(name, png); err != nil {
			return err
		}
		fmt.Fprintf(c.stderr, "picture  %s\n", run.PicturePath(name))
	}
	if err := report.Write(run); err != nil {
		return err
	}
	fmt.Fprintf(c.stderr, "report   %s\n", run.ReportPath())
	return nil
}
