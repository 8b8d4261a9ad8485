package command

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"latent/pkg/experiment"
	"latent/pkg/picture"
	"latent/pkg/restore"
)

func newDenoise(c *console) *cobra.Command {
	var out, fit string
	var compare, asJSON bool
	options := restore.Options{}
	cmd := &cobra.Command{
		Use:   "denoise RUN IMAGE…",
		Short: "Apply a run's model to pictures",
		Long: `Denoise applies the model of a run to PNG, JPEG and GIF files, or to all of them in a folder, and writes PNG files of the same
size. A picture that cannot be read is named, and the others go on; exit status 1 then.`,
		Example: "  latent denoise runs/mnist-denoise/2026-11-24T10-15-30-7f3a scan.jpg photos/ -o out --compare",
		Args:    cobra.MinimumNArgs(2),
	}
	cmd.Flags().StringVarP(&out, "out", "o", "denoised", "folder for the pictures")
	cmd.Flags().StringVar(&fit, "fit", "tile", "how other sizes than the model's are treated: tile, in tiles that overlap; or resize, scaled there and back")
	cmd.Flags().Float64Var(&options.Overlap, "overlap", 0.5, "part of a tile's side that it shares with the next")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was written, and what could not be used, as JSON instead of a path a line")
	cmd.Flags().BoolVar(&compare, "compare", false, "write before and after side by side")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case fit != "tile" && fit != "resize":
			return usageError{fmt.Errorf("--fit=%s: want tile or resize", fit)}
		case !(options.Overlap > 0 && options.Overlap < 1):
			return usageError{fmt.Errorf("--overlap=%g: want more than 0 and less than 1", options.Overlap)}
		}
		options.Resize = fit == "resize"
		jobs, err := picturesIn(args[1:], out)
		if err != nil {
			return experiment.InputError{Err: err}
		}
		run, err := pathOf(args[0])
		if err != nil {
			return err
		}
		trained, err := experiment.Open(cmd.Context(), run, nil, experiment.Options{Log: c.stderr})
		if err != nil {
			return err
		}
		defer trained.Close()
		if err := canWrite(out); err != nil {
			return experiment.InputError{Err: fmt.Errorf("write to the folder %s: %w; choose another with --out", out, err)}
		}
		restorer, err := restore.New(trained.Backend.Compute, trained.Experiment.Model, trained.Weights, trained.Image)
		if err != nil {
			return experiment.InputError{Err: err}
		}

		done := denoisedJSON{Run: run, Pictures: []pictureJSON{}}
		start, pixels, failed := time.Now(), 0, 0
		for _, job := range jobs {
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			size, err := job.do(restorer, options, compare)
			if err != nil {
				failed++
				done.Failed = append(done.Failed, pictureJSON{From: job.from, Error: err.Error()})
				fmt.Fprintf(c.stderr, "%v\n", err)
				continue
			}
			pixels += size
			done.Pictures = append(done.Pictures, pictureJSON{From: job.from, To: job.to})
			if !asJSON {
				fmt.Fprintln(c.stdout, job.to)
			}
		}
		seconds := time.Since(start).Seconds()
		fmt.Fprintf(c.stderr, "%d of %d pictures, %.2f megapixels in %.1f s: %.0f images of %v a second\n", len(jobs)-failed, len(jobs),
			float64(pixels)/1e6, seconds, float64(restorer.Tiles)/seconds, trained.Image)
		if asJSON {
			if err := printJSON(c, done); err != nil {
				return err
			}
		}
		if failed == len(jobs) {
			return experiment.InputError{Err: fmt.Errorf("none of %d pictures could be used", failed)}
		}
		if failed > 0 {
			return fmt.Errorf("%d of %d pictures could not be used", failed, len(jobs))
		}
		return nil
	}
	return cmd
}

// denoisedJSON is what was made of pictures, for programs.
type denoisedJSON struct {
	Run      string        `json:"run"`
	Pictures []pictureJSON `json:"pictures"`
	Failed   []pictureJSON `json:"failed,omitempty"`
}

// pictureJSON is a picture that was read and written, or could not be.
type pictureJSON struct {
	From  string `json:"from"`
	To    string `json:"to,omitempty"`
	Error string `json:"error,omitempty"`
}

// canWrite makes a folder, and says whether files can be made in it.
func canWrite(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, temporaryPattern)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// temporaryPattern names files that are being written.
const temporaryPattern = ".latent-*"

// job is a picture to read and one to write.
type job struct{ from, to string }

// picturesIn lists the jobs for files and folders. What a folder holds keeps its place below out.
func picturesIn(args []string, out string) ([]job, error) {
	var jobs []job
	taken := map[string]string{}
	add := func(from, name string) error {
		to := filepath.Join(out, strings.TrimSuffix(name, filepath.Ext(name))+".png")
		if other, found := taken[to]; found {
			return fmt.Errorf("%s and %s would both become %s; give them different names", other, from, to)
		}
		if a, err := os.Stat(from); err == nil {
			if b, err := os.Stat(to); err == nil && os.SameFile(a, b) {
				return fmt.Errorf("%s would be overwritten by its own result; choose another folder with --out", from)
			}
		}
		taken[to] = from
		jobs = append(jobs, job{from, to})
		return nil
	}
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil || !info.IsDir() {
			// A file that is missing is reported with the others that cannot be read.
			if err := add(arg, filepath.Base(arg)); err != nil {
				return nil, err
			}
			continue
		}
		names, err := picture.List(arg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		for _, name := range names {
			if err := add(filepath.Join(arg, filepath.FromSlash(name)), filepath.FromSlash(name)); err != nil {
				return nil, err
			}
		}
	}
	return jobs, nil
}

// do restores a picture, and returns its number of pixels.
func (j job) do(r *restore.Restorer, options restore.Options, compare bool) (pixels int, err error) {
	before, err := picture.Read(j.from)
	if err != nil {
		return 0, err
	}
	after, err := r.Picture(before, options)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", j.from, err)
	}
	pixels = after.Rect.Dx() * after.Rect.Dy()
	if compare {
		after = restore.Strip(before, after)
	}
	if err := os.MkdirAll(filepath.Dir(j.to), 0o755); err != nil {
		return 0, fmt.Errorf("make a folder for %s: %w", j.to, err)
	}
	return pixels, writePNG(j.to, after)
}

// writePNG writes a picture whole or not at all.
func writePNG(path string, p image.Image) error {
	return writeWhole(path, func(w io.Writer) error { return png.Encode(w, p) })
}

// writeWhole writes a file under a temporary name, and renames it.
func writeWhole(path string, fill func(w io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), temporaryPattern)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(file.Name()) // fails once the file has its name
	buffered := bufio.NewWriter(file)
	err = errors.Join(fill(buffered), buffered.Flush(), file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
