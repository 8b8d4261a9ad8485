// Package starter writes a first config for the user's own data: it looks at pictures or a table, and chooses what fits.
//
//	s, err := starter.Write(ctx, []string{"photos"}, starter.Options{})
//	os.WriteFile("experiment.yaml", s.Text, 0o644) // latent run experiment.yaml
//	fmt.Println(s.Seen)                            // what it saw, which stands in the text as comments too
//
// Promised: the text is a config without mistakes, and what it chose fits the data as far as that was looked at: sizes, channels,
// scale, labels, columns to leave out, a batch that there are enough samples for; the text says how far it looked. The same data gives
// the same text. No more than [mostHeads] headers, [mostDecoded] pictures and [mostRows] rows are read, whatever there is.
//
// What is not here: reading (pkg/picture, pkg/table), the datasets (pkg/dataset), checking (pkg/config), and a search for the best model
// (pkg/sweep): the sizes are those that train in a minute or two on two cores.
package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/picture"
	"latent/pkg/table"
)

// Options say what is wanted. The zero value leaves the choice to what the data is.
type Options struct {
	// Kind is that of the model, one of model.Kinds.
	Kind string
}

// Starter is a config to begin with.
type Starter struct {
	// Text is the YAML file.
	Text []byte
	// Seen says in a few short lines what the data is and what was chosen.
	Seen []string
}

// Bounds of what is looked at.
const (
	mostHeads   = 2000    // files of pictures whose headers are read
	mostPages   = 1000    // of each file whose sizes are kept
	mostDecoded = 64      // pictures
	mostPixels  = 1 << 28 // of these together, though one picture is always looked at
	mostRows    = 200_000 // of a table
	mostCells   = 1 << 25 // of these rows together
	mostColumns = 20_000  // of a table
)

// Write looks at data, and writes a config that fits: paths and patterns as data.dir and data.files take them. They are those of pictures
// and folders of pictures, or of tables.
func Write(ctx context.Context, data []string, o Options) (Starter, error) {
	if o.Kind != "" && model.Kinds[o.Kind] == nil {
		_, err := config.Starter(o.Kind) // which names the kinds
		return Starter{}, err
	}
	paths, err := existing(data)
	if err != nil {
		return Starter{}, err
	}
	var found *sight
	if tabular, err := isTable(paths); err != nil {
		return Starter{}, err
	} else if tabular {
		found, err = lookAtTable(ctx, data, paths)
		if err != nil {
			return Starter{}, err
		}
	} else if found, err = lookAtPictures(ctx, data); err != nil {
		return Starter{}, err
	}
	return found.starter(o.Kind)
}

// existing returns the files and folders that data means. A config can hold their names.
func existing(data []string) ([]string, error) {
	if len(data) == 0 || slices.Contains(data, "") {
		return nil, errors.New("no data; name a folder of pictures, or a file with a table")
	}
	for _, path := range data {
		if !utf8.ValidString(path) {
			return nil, fmt.Errorf("%q: the name is no UTF-8, which a config cannot hold; rename it", path)
		}
	}
	paths, err := dataset.Paths("--data", data)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			if inner := (*os.PathError)(nil); errors.As(err, &inner) {
				err = inner.Err
			}
			return nil, fmt.Errorf("look at %q: %w", path, err)
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("look at %q: neither a file nor a folder", path)
		}
	}
	return paths, nil
}

// isTable says whether paths are tables, or else pictures. It refuses what is neither, or both.
func isTable(paths []string) (bool, error) {
	tables, pictures := "", ""
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return false, fmt.Errorf("look at %q: %w", path, err)
		case info.IsDir():
			if err := hasPictures(path); err != nil {
				return false, err
			}
			pictures = path
		case table.Is(path):
			tables = path
		case picture.Is(path):
			pictures = path
		default:
			return false, fmt.Errorf("look at %q: neither pictures nor a table by its ending; pictures end in %s, tables in %s",
				path, strings.Join(picture.Endings(), ", "), strings.Join(table.Formats(), ", "))
		}
	}
	if tables != "" && pictures != "" {
		return false, fmt.Errorf("%q is a table, and %q are pictures; name one kind", tables, pictures)
	}
	return tables != "", nil
}

// hasPictures refuses a folder without any, and names its tables.
func hasPictures(dir string) error {
	_, _, err := picture.List(dir)
	if err == nil {
		return nil
	}
	entries, readErr := os.ReadDir(dir)
	if readErr != nil {
		return fmt.Errorf("look at %q: %w", dir, err)
	}
	tables := map[string][]string{} // by their ending
	for _, entry := range entries {
		for _, ending := range table.Formats() {
			if name := entry.Name(); entry.Type().IsRegular() && strings.HasSuffix(strings.ToLower(name), ending) {
				tables[ending] = append(tables[ending], filepath.Join(dir, name))
			}
		}
	}
	var advice []string
	for _, ending := range slices.Sorted(maps.Keys(tables)) {
		names := tables[ending]
		if len(names) == 1 {
			advice = append(advice, fmt.Sprintf("%q", names[0]))
		} else {
			advice = append(advice, fmt.Sprintf("%q, for all %d", filepath.Join(dir, "*"+ending), len(names)))
		}
	}
	if advice != nil {
		return fmt.Errorf("look at %q: no pictures there, but tables; name %s", dir, strings.Join(advice, ", or "))
	}
	return fmt.Errorf("look at %q: %w", dir, err)
}

// sight is what was seen of data, pictures or a table's rows.
type sight struct {
	summary string   // in a few words
	notes   []string // more of it
	data    section  // of the config, but for how it is divided
	image   model.Image
	vectors bool
	open    bool // values are standardised: they have no ends
	binary  bool // most pixels are black or white
	n       int  // samples, or where not all were counted a number that there are at least
	exact   bool // n is all
	name    func(i int) string
}

// leastSamples is the fewest samples that a config is written for.
const leastSamples = 4

// starter chooses what fits.
func (s *sight) starter(kind string) (Starter, error) {
	c := choice{sight: s}
	if err := c.divide(); err != nil {
		return Starter{}, err
	}
	if err := c.choose(kind); err != nil {
		return Starter{}, err
	}
	text := c.text()
	e, err := config.Parse("experiment.yaml", text)
	if err != nil {
		return Starter{}, fmt.Errorf("the config that was written has a mistake, which is one of Latent: %w", err)
	}
	parameters := 0
	for _, param := range model.Params(e.Model, s.image) {
		parameters += param.Size()
	}
	seen := []string{"data     " + s.summary}
	for _, note := range s.notes {
		seen = append(seen, "         "+note)
	}
	seen = append(seen, fmt.Sprintf("model    %s of %s parameters: %s", c.kind, grouped(parameters), c.purpose))
	return Starter{Text: text, Seen: seen}, nil
}

// head is the first lines of a config.
const head = `Made by latent init, which looked at the data: what it saw stands beside the keys that follow from it. What the file does not say
keeps its default: latent config show FILE prints every key, and docs/config.md explains them.`

// text writes the config.
func (c *choice) text() []byte {
	var w writer
	w.comment("", head)
	w.comment("", "")
	w.comment("", sentence(c.summary))
	for _, note := range c.notes {
		w.comment("", sentence(note))
	}
	w.line("")
	w.section("data", "", append(slices.Clone(c.data), c.division...))
	if c.corrupt != nil {
		w.section("corrupt", c.damage, c.corrupt)
	}
	w.section("model", c.why, c.model)
	w.section("train", c.effort, c.train)
	if c.output != nil {
		w.section("output", "", c.output)
	}
	return w.bytes()
}

// sentence begins with a capital and ends with a full stop.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return strings.ToUpper(string(first)) + text[size:] + cmp.Or(map[bool]string{false: "."}[strings.HasSuffix(text, ".")], "")
}
