package command

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/spf13/cobra"

	"latent/pkg/array"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/table"
)

func newEncode(c *console) *cobra.Command {
	var out string
	var spread, force, asJSON bool
	cmd := &cobra.Command{
		Use:   "encode RUN [DATA]",
		Short: "Write the codes of samples into a file",
		Long: `Encode writes what a run's encoder makes of samples, undamaged: a row for each in their order, float32. DATA is a table, an array or
a folder of pictures; without it, the samples are those of the run's test. Files are written some rows at a time, as the name of -o
ends: .npy, .npz, .csv, .tsv or .parquet, whose columns are z_1, z_2 and so on. Of models whose codes are distributions, these are the
means; --log-variance puts log_variance_1 and so on behind them. The names of pictures and the labels, where there are any, are written
beside, into a file whose name has .samples.csv behind that of the codes; latent map reads both. There may be any number of rows.`,
		Example: "  latent encode runs/mnist-vae/2026-11-24T10-15-30-7f3a rows.parquet -o codes.parquet --log-variance",
		Args:    cobra.RangeArgs(1, 2),
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file for the codes; must be given")
	cmd.Flags().BoolVar(&spread, "log-variance", false, "also the log variances, of models that have them")
	cmd.Flags().BoolVar(&force, "force", false, "write over the file of --output where there is one")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was written as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkTable(out, force); err != nil {
			return err
		}
		if err := checkFree(samplesBeside(out), force); err != nil {
			return experiment.InputError{Err: fmt.Errorf("what is known of the samples goes beside their codes: %w", err)}
		}
		if err := checkApart(args[1:], out, samplesBeside(out)); err != nil {
			return err
		}
		options := experiment.Options{Log: c.stderr, Terminal: c.terminal()}
		trained, err := openRun(cmd.Context(), args[0], nil, options)
		if err != nil {
			return err
		}
		defer trained.Close()
		names, err := trained.CodeNames(spread)
		if err != nil {
			return err
		}
		data := ""
		if len(args) > 1 {
			data = args[1]
		}
		rows, err := encode(cmd.Context(), c, trained, data, out, names, spread, options)
		if err != nil {
			return err
		}
		if !asJSON {
			return nil
		}
		return printJSON(c, rowsJSON{Run: trained.Run.Path, File: out, Rows: rows})
	}
	return cmd
}

// encode writes the codes of a file, a folder or the run's test into another, and what is known of the samples beside them, and returns how
// many they are.
func encode(ctx context.Context, c *console, trained *experiment.Trained, data, out string, names []string, spread bool, options experiment.Options) (int, error) {
	w, err := table.Create(out, names, dtypes.Float32, len(names))
	if err != nil {
		return 0, experiment.InputError{Err: err}
	}
	var rows *rowsBar
	var samples []string
	marked, err := trained.EachHeld(ctx, data, options, func(n int, names []string) { rows, samples = newRows(c, n), names }, func(some *dataset.Samples) error {
		if data != "" && some.Labels != nil { // their classes may be numbered otherwise than the run's
			plain := *some
			plain.Labels = nil
			some = &plain
		}
		return trained.Encode(ctx, some, spread, func(codes evaluate.Codes) error {
			rows.add(codes.Len())
			return w.Append(array.Values{Float32: codes.Values})
		})
	})
	if err != nil {
		w.Abort()
		return 0, err
	}
	if err := cmp.Or(w.Close(), writeBeside(samplesBeside(out), samples, marked)); err != nil {
		return 0, err
	}
	rows.end("code", fmt.Sprintf("of %s in %s", message.Count(len(names), "value"), out))
	return rows.done, nil
}

// samplesBeside is the file of what is known of the samples that the rows of another are of.
func samplesBeside(rows string) string { return rows + ".samples.csv" }

// checkApart says that files which are to be written are the one that is read.
func checkApart(data []string, outs ...string) error {
	for _, out := range outs {
		if len(data) > 0 && sameFile(data[0], out) {
			return experiment.InputError{Err: fmt.Errorf("%s would be overwritten by what is made of it; choose another name with --output", data[0])}
		}
	}
	return nil
}

// Columns of a file of samples.
const (
	sampleColumn = "sample"
	labelColumn  = "label"
)

// sameFile says whether two paths are of one file that is there.
func sameFile(one, other string) bool {
	a, err := os.Stat(one)
	if err != nil {
		return false
	}
	b, err := os.Stat(other)
	return err == nil && os.SameFile(a, b)
}

// writeBeside writes the names and the labels of samples, a line for each. Where there are neither, a file of others, which --force lets
// go, is removed.
func writeBeside(path string, names []string, marked experiment.Marked) error {
	if names == nil && marked.Labels == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return writeWhole(path, func(out io.Writer) error {
		w := csv.NewWriter(out)
		columns := []string{sampleColumn}
		if marked.Labels != nil {
			columns = append(columns, labelColumn)
		}
		if err := w.Write(columns); err != nil {
			return err
		}
		for i := range max(len(names), len(marked.Labels)) {
			columns[0] = strconv.Itoa(i)
			if names != nil {
				columns[0] = names[i]
			}
			if marked.Labels != nil {
				columns[1] = marked.Classes[marked.Labels[i]]
			}
			if err := w.Write(columns); err != nil {
				return err
			}
		}
		w.Flush()
		return w.Error()
	})
}

func newDecode(c *console) *cobra.Command {
	var out string
	var force, asJSON bool
	cmd := &cobra.Command{
		Use:   "decode RUN CODES",
		Short: "Write the samples that a run's decoder makes of codes",
		Long: `Decode writes what a run's decoder makes of codes: a row for each, or a picture as [height, width, channels], in the units and the type
of the data that the run was trained on. CODES is a file of one row for a code, such as latent encode writes it, whose first columns
are the code's values. Files are written some rows at a time, as the name of -o ends: .npy, .npz, .csv, .tsv or .parquet.`,
		Example: "  latent decode runs/mnist-vae/2026-11-24T10-15-30-7f3a codes.npy -o digits.npy",
		Args:    cobra.ExactArgs(2),
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file for the samples; must be given")
	cmd.Flags().BoolVar(&force, "force", false, "write over the file of --output where there is one")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was written as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkTable(out, force); err != nil {
			return err
		}
		if err := checkApart(args[1:], out); err != nil {
			return err
		}
		options := experiment.Options{Log: c.stderr, Terminal: c.terminal()}
		trained, err := openRun(cmd.Context(), args[0], nil, options)
		if err != nil {
			return err
		}
		defer trained.Close()
		codes, err := table.Open(args[1], table.Options{})
		if err != nil {
			return experiment.InputError{Err: err}
		}
		defer codes.Close()
		n, err := decode(cmd.Context(), c, trained, codes, args[1], out)
		if err != nil || !asJSON {
			return err
		}
		return printJSON(c, rowsJSON{Run: trained.Run.Path, File: out, Rows: n})
	}
	return cmd
}

// decodedAtOnce is how many codes are decoded between two writes.
const decodedAtOnce = 1 << 14

// rowsJSON is a file of rows that was written, for programs.
type rowsJSON struct {
	Run  string `json:"run"`
	File string `json:"file"`
	Rows int    `json:"rows"`
}

// decode decodes a file of codes into another, and returns how many they are.
func decode(ctx context.Context, c *console, trained *experiment.Trained, file *table.File, path, out string) (int, error) {
	names, err := trained.CodeNames(false)
	if err != nil {
		return 0, err
	}
	like, has := trained.Like(), 1
	for _, n := range file.Dims() {
		has *= n
	}
	if has < len(names) {
		return 0, experiment.InputError{Err: fmt.Errorf("%s: rows of %d numbers, and the model's codes have %d", path, has, len(names))}
	}
	w, err := table.Create(out, like.Features, like.Values.Type(), like.Dims()...)
	if err != nil {
		return 0, experiment.InputError{Err: err}
	}
	rows, some := newRows(c, file.Len()), evaluate.Codes{Size: len(names)}
	flush := func() error {
		samples, err := trained.Decode(ctx, some)
		if err != nil {
			return err
		}
		rows.add(some.Len())
		some.Values = some.Values[:0]
		return w.Append(samples.Values)
	}
	err = file.Each(ctx, func(r table.Rows) error {
		values := r.Values.As(dtypes.Float32).Float32
		for row := range slices.Chunk(values, has) {
			if some.Values = append(some.Values, row[:some.Size]...); some.Len() == decodedAtOnce {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil && some.Len() > 0 {
		err = flush()
	}
	if err != nil {
		w.Abort()
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	rows.end("sample", "in "+out)
	return rows.done, nil
}

// checkTable says, before anything is computed, that a file of rows could not be written.
func checkTable(out string, force bool) error {
	if out == "" {
		return usageError{fmt.Errorf("-o is missing; name a file that ends in %s", strings.Join(table.Writes(), ", "))}
	}
	if !slices.Contains(table.Writes(), strings.ToLower(filepath.Ext(out))) {
		return usageError{fmt.Errorf("--output=%s: want a name that ends in %s", out, strings.Join(table.Writes(), ", "))}
	}
	if err := checkFree(out, force); err != nil {
		return experiment.InputError{Err: err}
	}
	return nil
}

// rowsBar tells on a terminal how many rows of a file are done.
type rowsBar struct {
	line
	c           *console
	done, total int
	start       time.Time
}

func newRows(c *console, total int) *rowsBar {
	return &rowsBar{line: line{out: c.progress()}, c: c, total: total, start: time.Now()}
}

func (b *rowsBar) add(rows int) {
	b.done += rows
	if b.due() {
		of := ""
		if b.total >= 0 { // else only reading tells
			of = fmt.Sprintf(" of %d", b.total)
		}
		b.show("%d%s %s, %.0f a second", b.done, of, message.Choose(b.done, "row", "rows"), b.speed())
	}
}

func (b *rowsBar) speed() float64 { return float64(b.done) / time.Since(b.start).Seconds() }

// end says how many of a noun were written, and where.
func (b *rowsBar) end(noun, where string) {
	b.clear()
	fmt.Fprintf(b.c.stderr, "%s %s, %.0f a second\n", message.Count(b.done, noun), where, b.speed())
}
