// Package table reads files of numbers, a sample in each row, and writes them: NumPy's .npy and .npz, .safetensors, .csv and .tsv,
// Parquet, and Arrow's IPC files and streams (.arrow, .feather of version 2).
//
//	f, err := table.Open("iris.csv", table.Options{Label: "species"})
//	defer f.Close()
//	err = f.Each(ctx, func(rows table.Rows) error { fmt.Println(rows.Values.Len(), rows.Labels); return nil })
//
// Promised: rows come some at a time, in the file's order, and memory is taken for these alone (for Parquet, a page of each column
// too; for Arrow, a record batch); every number is the float32 nearest to the file's, or its 8 or 16 bits as they are; what no
// float32 can be (infinities, text) is refused with its place; what a file says of itself is checked against its size before memory
// is taken, and a file that was cut off or changed is an error.
//
// What is not here: what missing values become and how numbers are scaled (pkg/scale, pkg/dataset); nested and decimal columns, dates,
// complex numbers, NumPy's structured and object arrays, encrypted Parquet, Feather of version 1.
package table

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

// Options say what of a file is read, and how. The zero value reads all columns as features.
type Options struct {
	// Label is the column with labels, or in a .npz file the array; "" means none.
	Label string

	// Array is the array of samples in a .npz or .safetensors file. "" means the only one of numbers beside the labels; else the only one named X, x,
	// data, samples, images or arr_0; else the only one with most axes.
	Array string

	// Columns are those that are read, where not nil: all others are left out, whatever is in them. They come in the file's order.
	Columns []string

	// Trained says that Columns are those of a trained model, which no key of a config changes any more: errors then name what can be
	// done about the file.
	Trained bool

	// Ignore are columns that are left out.
	Ignore []string

	// Missing says that missing values come as NaN; without it they are refused. With it, columns that may have such are float32.
	// In .csv files missing are empty cells and NA, N/A, NaN, null, None, <NA>, #N/A and ?, in small or capital letters.
	Missing bool

	// Header says whether the first line of a .csv or .tsv file has the columns' names: "yes", "no", or "auto" and "", which take it
	// for names where one of its cells is no number.
	Header string
}

// Rows are some rows of a file, valid during the call that they are given to.
type Rows struct {
	Values array.Values // row by row
	Labels []string     // nil without Options.Label
}

// File is an open file. It is not for several goroutines at once.
type File struct {
	path    string
	file    *os.File
	size    int64 // bytes
	options Options
	source  source

	names   []string
	dims    []int
	dtype   dtypes.DType
	rows    int
	leftOut []string
	rounded int
	sum     string
}

// source is what one format does.
type source interface {
	// head reads what the file says of itself into f.
	head(f *File) error
	// each reads all rows into b.
	each(b *batch) error
}

// formats are the sources by the end of a file's name.
var formats = []struct {
	extension string
	make      func() source
}{
	{".npy", func() source { return &npySource{} }},
	{".npz", func() source { return &npzSource{} }},
	{".safetensors", func() source { return &safetensorsSource{} }},
	{".csv", func() source { return &csvSource{} }},
	{".tsv", func() source { return &csvSource{delimiter: '\t'} }},
	{".csv.gz", func() source { return &csvSource{packed: true} }},
	{".tsv.gz", func() source { return &csvSource{packed: true, delimiter: '\t'} }},
	{".parquet", func() source { return &parquetSource{} }},
	{".arrow", func() source { return &arrowSource{} }},
	{".feather", func() source { return &arrowSource{} }},
}

// Formats returns the ends of the names of files that can be read.
func Formats() []string {
	var list []string
	for _, format := range formats {
		list = append(list, format.extension)
	}
	return list
}

// sourceOf is the source for a file's name, nil for other files.
func sourceOf(path string) source {
	name := strings.ToLower(filepath.Base(path))
	for _, format := range formats {
		if strings.HasSuffix(name, format.extension) {
			return format.make()
		}
	}
	return nil
}

// Is says whether a file's name is one of a file that can be read.
func Is(path string) bool { return sourceOf(path) != nil }

// maxRow bounds how many numbers a row has.
const maxRow = 1 << 28

// Open opens a file and reads what it says of itself: not yet the rows.
func Open(path string, o Options) (*File, error) {
	s := sourceOf(path)
	if s == nil {
		return nil, fmt.Errorf("read %s: unsupported file extension; use one of %s", path, strings.Join(Formats(), ", "))
	}
	if !slices.Contains([]string{"", "auto", "yes", "no"}, o.Header) {
		return nil, fmt.Errorf("read %s: header %q; must be auto, yes or no", path, o.Header)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, reason(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, reason(err))
	}
	f := &File{path: path, file: file, size: info.Size(), options: o, source: s, rows: -1}
	err = guard(path, nil, func() error { return s.head(f) })
	if err == nil {
		err = f.check()
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return f, nil
}

// reason is an error without the path, which the text around it has.
func reason(err error) error {
	if path := (*os.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}

// check refuses what no samples can be made of.
func (f *File) check() error {
	size, ok := product(f.dims...)
	switch {
	case !ok || size > maxRow:
		return fmt.Errorf("read %s: rows of shape %v have more than 2^28 numbers; make the first axis that of the samples", f.path, f.dims)
	case size == 0 && len(f.leftOut) > 0:
		return fmt.Errorf("read %s: no column of numbers is left; the columns left out are %s", f.path, List(f.leftOut))
	case size == 0:
		return fmt.Errorf("read %s: rows have no numbers", f.path)
	}
	return nil
}

// product multiplies sizes, and says whether an int can hold it. No size may be negative.
func product(sizes ...int) (int, bool) {
	if slices.Contains(sizes, 0) {
		return 0, true
	}
	total := 1
	for _, size := range sizes {
		if size < 0 || total > int(^uint(0)>>1)/size {
			return 0, false
		}
		total *= size
	}
	return total, true
}

// Names are the names of the features in order; nil for .npy, .npz and .safetensors files, which have none.
func (f *File) Names() []string { return slices.Clone(f.names) }

// Dims are the sizes of a row: [features], or of arrays with 3 axes [height, width], and with 4 [height, width, channels]. An array of
// one axis has rows of [1].
func (f *File) Dims() []int { return slices.Clone(f.dims) }

// Type is the type that the numbers come in: uint8 where all in the file are (or bool), uint16 where all are of 8 or 16 bits without
// a sign, else float32; of .csv and .tsv files always float32.
func (f *File) Type() dtypes.DType { return f.dtype }

// Len is how many rows there are; -1 of .csv and .tsv files, where only reading tells.
func (f *File) Len() int { return f.rows }

// LeftOut are the columns of Parquet and Arrow files that are no numbers, each with its type.
func (f *File) LeftOut() []string { return slices.Clone(f.leftOut) }

// Rounded is how many whole numbers, of those that the last call of Each gave, float32 cannot hold: they were rounded to the nearest.
func (f *File) Rounded() int { return f.rounded }

// Each calls do with all rows in order, some at a time: about a MiB. It stops at the first error that do returns, and returns it as
// it is. It may be called again.
func (f *File) Each(ctx context.Context, do func(Rows) error) error {
	b := newBatch(ctx, f, do)
	err := guard(f.path, b, func() error {
		if err := f.source.each(b); err != nil {
			return err
		}
		return b.flush()
	})
	f.rounded = b.rounded
	if b.stopped != nil {
		return b.stopped
	}
	if err == nil && f.rows >= 0 && b.rows != f.rows {
		err = fmt.Errorf("read %s: %d rows, but its header says %d; the file is damaged", f.path, b.rows, f.rows)
	}
	return err
}

// SHA256 is the checksum of the file's bytes. It reads the file, where Each has not yet done so from start to end.
func (f *File) SHA256(ctx context.Context) (string, error) {
	if f.sum != "" {
		return f.sum, nil
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, interruptible{ctx, io.NewSectionReader(f.file, 0, f.size)}); err != nil {
		return "", fmt.Errorf("read %s: %w", f.path, reason(err))
	}
	f.sum = hex.EncodeToString(digest.Sum(nil))
	return f.sum, nil
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// guard turns a panic of a format's reader, which a damaged file may cause, into an error. A panic of the caller's own function goes
// on.
func guard(path string, b *batch, read func() error) (err error) {
	defer func() {
		if b != nil && b.outside {
			return
		}
		switch r := recover().(type) {
		case nil:
		case memoryError:
			err = fmt.Errorf("read %s: %w", path, r)
		default:
			err = fmt.Errorf("read %s: the file is damaged: %v", path, r)
		}
	}()
	return read()
}

// pickColumns divides columns into features and label by name. It leaves the ignored out, and refuses names that are not there.
func (f *File) pickColumns(names []string) (features []int, label int, err error) {
	label = -1
	for _, wanted := range slices.Concat(f.options.Columns, f.options.Ignore, []string{f.options.Label}) {
		if wanted != "" && !slices.Contains(names, wanted) {
			key := "data.ignore"
			switch {
			case wanted == f.options.Label:
				key = "data.label"
			case slices.Contains(f.options.Columns, wanted):
				return nil, 0, f.unlike(names)
			}
			return nil, 0, fmt.Errorf("read %s: %s: there is no column %q; the columns are %s", f.path, key, wanted, List(names))
		}
	}
	for i, name := range names {
		switch {
		case name == f.options.Label && name != "":
			label = i
		case slices.Contains(f.options.Ignore, name), f.options.Columns != nil && !slices.Contains(f.options.Columns, name):
		default:
			features = append(features, i)
		}
	}
	return features, label, nil
}

// unlike is the error of a file that lacks some of the columns that are read: it names those, and what the file has besides.
func (f *File) unlike(names []string) error {
	without := func(list, of []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(name string) bool { return slices.Contains(of, name) })
	}
	missing, extra := without(f.options.Columns, names), without(names, append(slices.Clone(f.options.Columns), f.options.Label))
	text := fmt.Sprintf("read %s: %d of the %d required columns are missing: %s", f.path, len(missing), len(f.options.Columns), List(missing))
	if len(missing) == 1 {
		text = fmt.Sprintf("read %s: there is no column %q; the file needs %s", f.path, missing[0], List(f.options.Columns))
	}
	s, isText := f.source.(*csvSource)
	switch {
	case isText && !s.header:
		text += fmt.Sprintf("; its first line does not name its %d columns: add a line with their names", len(names))
	case len(extra) > 0:
		text += "; other columns: " + List(extra) + "; rename columns, or add the missing ones, in any order"
	default:
		text += "; add the missing columns, in any order"
	}
	return errors.New(text)
}

// cure is what to do about a column's values that are no numbers, or where they are missing; the column is "" where it has no name.
func (f *File) cure(column string, missing bool) string {
	var cures []string
	switch {
	case f.options.Trained && missing:
		return "fill it in, or remove the row; a model trained with data.missing: median accepts missing values"
	case f.options.Trained:
		return "write a number, or remove the row"
	case column != "":
		cures = append(cures, fmt.Sprintf("data.ignore: [%s]", plain(column)))
	}
	if missing {
		cures = append(cures, "data.missing: median")
	}
	return "write " + strings.Join(cures, ", or ")
}

// checkNames refuses names that two columns have.
func (f *File) checkNames(names []string, cure string) error {
	seen := make(map[string]int, len(names))
	for i, name := range names {
		if !utf8.ValidString(name) {
			return fmt.Errorf("read %s: the name of column %d, %s, is not UTF-8; save the file as UTF-8", f.path, i+1, shown([]byte(name)))
		}
		if first, found := seen[name]; found {
			return fmt.Errorf("read %s: columns %d and %d are both named %s; %s", f.path, first+1, i+1, shown([]byte(name)), cure)
		}
		seen[name] = i
	}
	return nil
}

// pandasIndex is how pandas names the columns of a frame's index that has no name.
var pandasIndex = regexp.MustCompile(`^__index_level_\d+__$`)

// List names the first 20 of a list, in one line.
func List(list []string) string {
	const most = 20
	var text []string
	for _, name := range list[:min(most, len(list))] {
		text = append(text, plain(name))
	}
	if more := len(list) - most; more > 0 {
		text = append(text, fmt.Sprintf("%d more", more))
	}
	return cmp.Or(strings.Join(text, ", "), "none")
}

// plain is a name as it is where it is short and of letters and digits alone, else in quotes, and cut.
func plain(name string) string {
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.()[]<> ", r)
	}
	if text := shown([]byte(name)); len(text) != len(name)+2 || name == "" || strings.ContainsFunc(name, odd) {
		return text
	}
	return name
}
