package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"latent/pkg/experiment"
	"latent/pkg/picture"
	"latent/pkg/restore"
	"latent/pkg/table"
)

// canWrite says whether files can be made in a folder. It leaves nothing: a folder that is not there is made for that, and removed.
func canWrite(dir string) error {
	var missing []string // the folder and those around it, the innermost first
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, at)
	}
	defer func() {
		for _, made := range missing {
			os.Remove(made) // fails where another program has put something there
		}
	}()
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

// job is a file to read and one to write.
type job struct {
	from, to string
	compare  bool // write a comparison, too
}

// jobs lists those for files, folders and patterns. What a folder holds keeps its place below out.
func (d *denoising) jobs(args []string) ([]job, error) {
	var jobs []job
	taken := map[string]string{}
	add := func(from, name string) error {
		j := job{from: from, compare: d.compare && !table.Is(from)}
		if table.Is(from) {
			j.to = filepath.Join(d.out, writable(name))
		} else {
			j.to = filepath.Join(d.out, picture.Rename(name, d.formatOf(name)))
		}
		for _, to := range j.files() {
			if other, found := taken[to]; found {
				return fmt.Errorf("%s and %s would both become %s; give them different names", other, from, to)
			}
			if sameFile(from, to) {
				return fmt.Errorf("%s would be overwritten by its own result; choose another folder with --out", from)
			}
			taken[to] = from
		}
		jobs = append(jobs, j)
		return nil
	}
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err == nil && info.IsDir() {
			names, err := d.picturesIn(arg)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", arg, err)
			}
			for _, name := range names {
				if err := add(filepath.Join(arg, name), name); err != nil {
					return nil, err
				}
			}
			continue
		}
		files := []string{arg}
		if err != nil && strings.ContainsAny(arg, "*?[") {
			if files, err = filepath.Glob(arg); err != nil {
				return nil, fmt.Errorf("%s: %w", arg, err)
			}
			if files == nil {
				return nil, fmt.Errorf("%s: no file fits this pattern", arg)
			}
		}
		for _, file := range files {
			// A file that is missing is reported with the others that cannot be read.
			if err := add(file, filepath.Base(file)); err != nil {
				return nil, err
			}
		}
	}
	return jobs, nil
}

// formatOf is what a picture with this name becomes.
func (d *denoising) formatOf(name string) string {
	if d.format != "" {
		return d.format
	}
	return picture.WrittenAs(name)
}

// picturesIn names the pictures in a folder, but for those in out, where that is below it.
func (d *denoising) picturesIn(dir string) ([]string, error) {
	found, _, err := picture.List(dir)
	if err != nil {
		return nil, err
	}
	below := ""
	if from, err := filepath.Abs(dir); err == nil {
		if to, err := filepath.Abs(d.out); err == nil {
			if name, err := filepath.Rel(from, to); err == nil && filepath.IsLocal(name) && name != "." {
				below = name + string(filepath.Separator)
			}
		}
	}
	var names []string
	for _, name := range found {
		if name = filepath.FromSlash(name); below == "" || !strings.HasPrefix(name, below) {
			names = append(names, name)
		}
	}
	if names == nil {
		return nil, fmt.Errorf("no pictures there beside those of %s, where results go", d.out)
	}
	return names, nil
}

// writable is a file name of a table that can be written: others than those become .csv.
func writable(name string) string {
	for _, end := range table.Writes() {
		if strings.HasSuffix(strings.ToLower(name), end) {
			return name
		}
	}
	for _, end := range table.Formats() {
		if base, found := strings.CutSuffix(strings.ToLower(name), end); found {
			if strings.HasPrefix(end, ".tsv") {
				return name[:len(base)] + ".tsv"
			}
			return name[:len(base)] + ".csv"
		}
	}
	return name
}

// files are those that a picture of one page becomes.
func (j job) files() []string {
	if j.compare {
		return []string{j.to, comparison(j.to)}
	}
	return []string{j.to}
}

// comparison is the file of a comparison.
func comparison(path string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + "-compare.png"
}

// isDone says whether the files are there: those of each page, where there are several.
func (j job) isDone() bool {
	if exist(j.files()) {
		return true
	}
	first := j.page(0, 2)
	if _, err := os.Stat(first); err != nil && !j.compare {
		return false
	}
	file, err := picture.Open(j.from)
	if err != nil {
		return false
	}
	defer file.Close()
	return exist(j.paged(len(file.Frames()), picture.WrittenAs(j.to)))
}

// exist says whether all of the files are there.
func exist(files []string) bool {
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			return false
		}
	}
	return true
}

// paged are the files that a picture of so many pages becomes.
func (j job) paged(pages int, format string) []string {
	var files []string
	for page := range pages {
		if format != "tiff" {
			files = append(files, j.page(page, pages))
		}
		if j.compare {
			files = append(files, comparison(j.page(page, pages)))
		}
	}
	if format == "tiff" {
		files = append(files, j.to)
	}
	return files
}

// page is the file for a page of several: scan-2.png of scan.png.
func (j job) page(page, pages int) string {
	if pages == 1 {
		return j.to
	}
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(j.to, filepath.Ext(j.to)), page+1, filepath.Ext(j.to))
}

// denoiser does the jobs.
type denoiser struct {
	*denoising
	trained  *experiment.Trained
	restorer *restore.Restorer
	bar      *bar
}

// table restores the samples of a table or an array, and returns how many they are.
func (d *denoiser) table(ctx context.Context, j job) (rows int, err error) {
	before, err := d.trained.Samples(ctx, j.from)
	if err != nil {
		return 0, err
	}
	after, err := d.restorer.Samples(ctx, before, d.restore)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", j.from, err)
	}
	if err := os.MkdirAll(filepath.Dir(j.to), 0o755); err != nil {
		return 0, fmt.Errorf("make a folder for %s: %w", j.to, err)
	}
	return after.Len(), table.Write(j.to, after.Features, after.Values, append([]int{after.Len()}, after.Dims()...)...)
}

// picture restores the pictures of a file.
func (d *denoiser) picture(ctx context.Context, j job) error {
	file, err := picture.Open(j.from)
	if err != nil {
		return err
	}
	defer file.Close()
	format := d.formatOf(j.to)
	if format == "jpeg" && d.format == "" && file.Format() != format {
		return fmt.Errorf("%s: its name says JPEG, and it is a %s file, which may keep more; rename it, or choose with --format", j.from, strings.ToUpper(file.Format()))
	}
	if err := os.MkdirAll(filepath.Dir(j.to), 0o755); err != nil {
		return fmt.Errorf("make a folder for %s: %w", j.to, err)
	}
	pages := len(file.Frames())
	if format != "tiff" {
		for page := range pages {
			path := j.page(page, pages)
			if err := writeFile(path, func(to *os.File) error { return d.pages(ctx, j, file, to, format, page, page+1) }); err != nil {
				return err
			}
		}
		return nil
	}
	return writeFile(j.to, func(to *os.File) error { return d.pages(ctx, j, file, to, format, 0, pages) })
}

// pages restores some pages of a file into another.
func (d *denoiser) pages(ctx context.Context, j job, file *picture.File, to io.WriteSeeker, format string, first, end int) error {
	w, err := picture.NewWriter(to, format, file.Bytes())
	if err != nil {
		return fmt.Errorf("write %s: %w", j.to, err)
	}
	w.Quality = d.quality
	pages := len(file.Frames())
	for page := first; page < end; page++ {
		before, err := file.Array(page)
		if err != nil {
			return err
		}
		d.bar.begin(before.Height*before.Width, page, pages)
		after, err := d.restorer.Picture(ctx, before, d.restore)
		if err != nil {
			return fmt.Errorf("%s: %w", j.from, err)
		}
		d.bar.end()
		black, white := d.restorer.Ends(d.restore)
		if j.compare {
			path := comparison(j.page(page, pages))
			sheet := restore.Compare(before, after, black, white)
			if err := writeWhole(path, func(w io.Writer) error { return png.Encode(w, sheet) }); err != nil {
				return err
			}
		}
		if format != "tiff" {
			if after, err = after.Integers(black, white); err != nil {
				return fmt.Errorf("%s: %w", j.from, err)
			}
		}
		metadata, err := file.Metadata(page)
		if err != nil {
			return err
		}
		if err := w.Add(after, metadata); err != nil {
			return fmt.Errorf("write %s of %s: %w", j.to, j.from, err)
		}
	}
	return nil
}

// writeWhole writes a file whole or not at all.
func writeWhole(path string, fill func(w io.Writer) error) error {
	return writeFile(path, func(file *os.File) error {
		buffered := bufio.NewWriter(file)
		if err := errors.Join(fill(buffered), buffered.Flush()); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		return nil
	})
}

// writeFile writes a file under a temporary name, and renames it. Errors of fill are returned as they are.
func writeFile(path string, fill func(file *os.File) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), temporaryPattern)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(file.Name()) // fails once the file has its name
	if err := fill(file); err != nil {
		file.Close()
		return err
	}
	if err = errors.Join(file.Chmod(0o644), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
