package command

import (
	"fmt"
	"image/png"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"latent/pkg/array"
	"latent/pkg/dataset"
	"latent/pkg/experiment"
	"latent/pkg/picture"
)

// mapWriter writes heat maps into a folder: of each picture, the map as numbers and its colours over the picture.
type mapWriter struct {
	folder string
	like   *dataset.Samples
	count  int
	taken  map[string]bool // names of maps without their ending
}

// newMapWriter begins a folder of heat maps of samples like these: a new one or an empty one, or with force any but that of the pictures.
func newMapWriter(folder, data string, force bool, like *dataset.Samples) (*mapWriter, error) {
	if like.Vectors() {
		return nil, fmt.Errorf("--maps=%s: heat maps are of pictures, and the run was trained on rows of a table; leave --maps out", folder)
	}
	if entries, err := os.ReadDir(folder); err == nil && len(entries) > 0 && !force {
		return nil, fmt.Errorf("--maps=%s: the folder is not empty; name another, or add --force", folder)
	}
	if data != "" && sameFile(folder, data) {
		return nil, fmt.Errorf("--maps=%s: the maps would overwrite the pictures; name another folder", folder)
	}
	return &mapWriter{folder: folder, like: like, taken: map[string]bool{}}, canWrite(folder)
}

// add writes the map of the next picture. names are those of all pictures; without them they are numbered.
func (w *mapWriter) add(one experiment.Scored, names []string) error {
	name := fmt.Sprintf("%05d", w.count)
	if names != nil {
		name = strings.TrimSuffix(names[w.count], path.Ext(names[w.count]))
		if _, page, several := strings.Cut(path.Ext(names[w.count]), "#"); several {
			name += "-" + page
		}
		if name = filepath.FromSlash(name); !filepath.IsLocal(name) { // it would lie outside of the folder
			name = fmt.Sprintf("%05d-%s", w.count, filepath.Base(name))
		}
	}
	if w.taken[name] { // such as of a.jpg beside a.png
		name = fmt.Sprintf("%s-%05d", name, w.count)
	}
	w.taken[name] = true
	w.count++
	to := filepath.Join(w.folder, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	// With --force, maps of before are written over, which are pairs, and no other pictures.
	if _, err := os.Stat(to + ".png"); err == nil {
		if _, err := os.Stat(to + ".tiff"); err != nil {
			return experiment.InputError{Err: fmt.Errorf("%s.png is there and no heat map of before, which would have a .tiff beside it; name another folder with --maps", to)}
		}
	}
	heat := one.Shown(w.like)
	err := writeFile(to+".tiff", func(file *os.File) error {
		writer, err := picture.NewWriter(file, "tiff", int64(4*len(heat.Map)))
		if err != nil {
			return err
		}
		values := picture.Array{Height: one.Height, Width: one.Width, Channels: 1, Values: array.Values{Float32: heat.Map}}
		return writer.Add(values, picture.Metadata{})
	})
	if err != nil {
		return err
	}
	return writeWhole(to+".png", func(out io.Writer) error { return png.Encode(out, heat.Overlay(one.Heat.High)) })
}
