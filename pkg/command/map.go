package command

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/spf13/cobra"

	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/table"
)

// mapJSON is a map that was drawn, for programs.
type mapJSON struct {
	File    string   `json:"file"`
	Rows    int      `json:"rows"`
	Shown   int      `json:"shown"`
	Classes []string `json:"classes,omitempty"`
}

func newMap(c *console) *cobra.Command {
	var out string
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:   "map CODES",
		Short: "Draw a file of codes on a plane",
		Long: fmt.Sprintf(`Map draws codes as points on planes, by principal components and by t-SNE: at most %d of them, evenly spaced over the file.
CODES is a file of one row for a code, such as latent encode writes it; columns of log variances are left out. Where a file of its name with
.samples.csv behind it stands beside it, points are marked by that file's column label.`, experiment.MapCodes),
		Example: "  latent encode runs/mnist-vae/2026-11-24T10-15-30-7f3a -o codes.parquet && latent map codes.parquet -o map.png",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "PNG file for the map; must be given")
	cmd.Flags().BoolVar(&force, "force", false, "write over the file of --output where there is one")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was drawn as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !strings.EqualFold(filepath.Ext(out), ".png") {
			return usageError{fmt.Errorf("--output=%s: want a name that ends in .png", out)}
		}
		if err := checkFree(out, force); err != nil {
			return experiment.InputError{Err: err}
		}
		some, err := readCodes(cmd.Context(), args[0])
		if err != nil {
			return experiment.InputError{Err: err}
		}
		drawn := experiment.CodeMap{Caption: fmt.Sprintf("%s · %d of %d codes", filepath.Base(args[0]), some.codes.Len(), some.rows)}
		if drawn.Labels, drawn.Classes, err = readLabels(samplesBeside(args[0]), some); err != nil {
			return experiment.InputError{Err: err}
		}
		png, err := drawn.Draw(cmd.Context(), some.codes, experiment.Options{Log: c.stderr})
		if err != nil {
			return err
		}
		if err := writeWhole(out, func(w io.Writer) error { _, err := w.Write(png); return err }); err != nil {
			return err
		}
		fmt.Fprintf(c.stderr, "map      %s\n", out)
		if !asJSON {
			return nil
		}
		return printJSON(c, mapJSON{File: out, Rows: some.rows, Shown: some.codes.Len(), Classes: drawn.Classes})
	}
	return cmd
}

// thinned are codes of a file, every step-th from the first on.
type thinned struct {
	codes      evaluate.Codes
	rows, step int // rows of the file
}

// leastMapped is how many codes a map needs.
const leastMapped = 3

// readCodes reads at most as many codes as a map shows, evenly spaced, of a file of any length.
func readCodes(ctx context.Context, path string) (*thinned, error) {
	file, err := table.Open(path, table.Options{})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	has := 1
	for _, n := range file.Dims() {
		has *= n
	}
	places := make([]int, 0, has) // of the values of a code in a row
	for i := range has {
		if names := file.Names(); names == nil || !strings.HasPrefix(names[i], "log_variance_") {
			places = append(places, i)
		}
	}
	t := &thinned{codes: evaluate.Codes{Size: len(places)}, step: 1}
	err = file.Each(ctx, func(r table.Rows) error {
		for row := range slices.Chunk(r.Values.As(dtypes.Float32).Float32, has) {
			t.add(row, places)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(t.codes.Values, func(x float32) bool { return x-x != 0 }); i >= 0 {
		return nil, fmt.Errorf("%s: row %d, value %d is not a number", path, i/t.codes.Size*t.step, places[i%t.codes.Size])
	}
	if t.codes.Len() < leastMapped || t.codes.Size < 2 {
		return nil, fmt.Errorf("%s: %d rows of %d numbers; a map needs %d rows of 2 at least", path, t.rows, t.codes.Size, leastMapped)
	}
	return t, nil
}

// add takes the next row: where too many are kept, every second of them goes.
func (t *thinned) add(row []float32, places []int) {
	if t.rows%t.step == 0 {
		for _, place := range places {
			t.codes.Values = append(t.codes.Values, row[place])
		}
	}
	t.rows++
	if t.codes.Len() <= experiment.MapCodes {
		return
	}
	kept := 0
	for i := 0; i < t.codes.Len(); i += 2 {
		copy(t.codes.Values[kept*t.codes.Size:], t.codes.At(i))
		kept++
	}
	t.codes.Values, t.step = t.codes.Values[:kept*t.codes.Size], 2*t.step
}

// readLabels reads the labels of codes from the file beside theirs; nil where there is none, or it has no labels.
func readLabels(path string, of *thinned) (labels []uint8, classes []string, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	column := slices.Index(head, labelColumn)
	if column < 0 {
		return nil, nil, nil
	}
	var found dataset.Labels
	rows := 0
	for ; ; rows++ {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		if rows%of.step != 0 {
			continue
		}
		if err := found.Add(strings.Clone(record[column])); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if rows != of.rows {
		return nil, nil, fmt.Errorf("%s: %d samples, and there are %d codes; they are of other ones: write the codes anew, or remove it", path, rows, of.rows)
	}
	classes, labels = found.Sorted()
	return labels, classes, nil
}
