package dataset

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
	"latent/pkg/cache"
	"latent/pkg/scale"
	"latent/pkg/table"
)

// Table reads the user's own rows of numbers, from tables (.csv, .tsv, also with .gz; .parquet, .arrow, .feather) or arrays (.npy, .npz,
// .safetensors). Rows are vectors whose features are the columns. An array with three axes has grey pictures [height, width], one with four
// axes pictures [height, width, channels]. Numbers are stored as float32, with about seven digits: subtract large offsets, such as those of
// timestamps, beforehand.
type Table struct {
	// Files lists the files, or patterns such as "logs/2026-*.csv", and is required. All files must have the same columns.
	Files []string `yaml:"files" path:"yes" single:"yes" maxitems:"10000"`

	// Label is the column with the class of each row, or the array in a .npz file; without it there are no labels. Only conditional models
	// are trained on labels.
	Label string `yaml:"label"`

	// Array is the name of the array with the samples in a .npz or .safetensors file. It is needed unless the array is the only one or is
	// named X.
	Array string `yaml:"array"`

	// Ignore lists columns to leave out, such as a row number.
	Ignore []string `yaml:"ignore,flow" maxitems:"100000"`

	// Missing says how missing values are handled: refuse rejects the file; median fills in the median of the feature over the training
	// samples.
	Missing string `yaml:"missing" enum:"refuse,median"`

	// Header says whether the first line of a .csv or .tsv file names the columns: yes, no, or auto, which takes it for names if any cell
	// is not a number.
	Header string `yaml:"header" enum:"auto,yes,no"`

	// Scale maps values to the model's scale, each feature separately: by default, to a mean of 0 and a standard deviation of 1.
	Scale scale.Options `yaml:"scale"`

	Networked `yaml:",inline"`

	Pairs `yaml:",inline"`

	Own `yaml:",inline"`
}

// Check wants files.
func (d *Table) Check(report func(key, problem string)) {
	if len(d.Normal) > 0 && d.Label == "" {
		report("normal", "needs labels to select the normal rows; name the label's column in data.label")
	}
	if len(d.Files) == 0 {
		report("files", "missing; set it to the file with your table")
	}
	d.checkPairs(d.Pairs, report)
	if problem := d.Scale.Problem(); problem != "" {
		report("scale", problem)
	}
	d.Features.check(d.Scale, report)
	if training, test := d.Targets(); d.Features.uses() && (training || test) {
		report("features", "samples with targets are pictures, not features; leave one out")
	}
}

// ScaleOptions is how values are scaled.
func (d *Table) ScaleOptions() scale.Options { return d.Features.scale(d.Scale) }

// TrainImages is 0: only loading tells.
func (d *Table) TrainImages() int { return 0 }

// RowName tells the rows of tables apart where they are divided.
func RowName(i int) string { return fmt.Sprintf("row %d", i) }

// maxTableBytes bounds the values of a table that is held in memory.
const maxTableBytes = 4 << 30

// Load reads the tables, and divides their rows.
func (d *Table) Load(ctx context.Context, options Options) (*Split, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	files, err := Paths("data.files", d.Files)
	if err != nil {
		return nil, err
	}
	tests, err := Paths("data.test", d.Test)
	if err != nil {
		return nil, err
	}
	read, err := d.readAny(ctx, slices.Concat(files, tests))
	if err != nil {
		return nil, err
	}
	given := 0
	for _, n := range read.Counts[len(files):] {
		given += n
	}
	p, err := d.divide(read.samples.Len(), given, RowName, classed{labels: read.Labels, classes: read.Classes, stratified: read.Labels != nil})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", strings.Join(d.Files, ", "), err)
	}
	targets, err := d.readTargets(ctx, &read, len(files))
	if err != nil {
		return nil, err
	}
	network, err := d.Features.apply(ctx, options, "table "+strings.Join(d.Files, ", "), read.Checksums, &read.samples)
	if err != nil {
		return nil, err
	}
	split := p.of(read.samples)
	split.Network = network
	split.Train.Streamed = d.streams(split.Train.bytes())
	if targets.samples != nil && len(d.Target) == 0 { // of the test alone
		split.Test.Target = targets.samples
	}
	maps.Copy(read.Checksums, targets.Checksums)
	split.Classes, split.LeftOut, split.Rounded, split.Checksums = read.Classes, read.LeftOut, read.Rounded, read.Checksums
	return split, split.rescale(d.ScaleOptions(), d.Missing == "median" && !d.Features.uses())
}

// Like reads all rows of files, without dividing them, as samples of the kind of these: with their features, in whatever order the
// files have them, and their type and scale.
func (d *Table) Like(ctx context.Context, files []string, like *Samples) (*Whole, error) {
	read, err := d.read(ctx, files, like, nil)
	if err != nil {
		return nil, err
	}
	return &Whole{Samples: read.samples, Classes: read.Classes}, nil
}

// EachLike is Like of files of any length: it calls do with some rows at a time, and returns the labels of all, and their classes, with
// data.label.
func (d *Table) EachLike(ctx context.Context, files []string, like *Samples, do func(*Samples) error) (labels []uint8, classes []string, err error) {
	read, err := d.read(ctx, files, like, func(values array.Values) error {
		some := like.Like()
		some.Values = values
		return do(some)
	})
	return read.Labels, read.Classes, err
}

// HasLabel says whether a file has labels in the column, or the array, of data.label. A file that cannot be read has none: reading tells.
func (d *Table) HasLabel(path string) bool {
	if d.Label == "" {
		return false
	}
	file, err := table.Open(path, table.Options{Label: d.Label, Array: d.Array, Header: d.Header, Columns: []string{}})
	if file != nil {
		file.Close()
	}
	return err == nil || !strings.Contains(err.Error(), "data.label")
}

// readTargets reads the targets of the rows of so many files and of the test's, or of the test's alone, or none.
func (d *Table) readTargets(ctx context.Context, read *rows, files int) (rows, error) {
	training, test := d.Targets()
	if !test {
		return rows{}, nil
	}
	other := *d
	other.Files, other.Test = slices.Concat(d.Target, d.TestTarget), nil
	paths, err := Paths("data.target", d.Target)
	if err != nil {
		return rows{}, err
	}
	tests, err := Paths("data.test_target", d.TestTarget)
	if err != nil {
		return rows{}, err
	}
	targets, err := other.readAny(ctx, slices.Concat(paths, tests))
	if err != nil {
		return rows{}, err
	}
	count := func(counts []int) (n int) {
		for _, c := range counts {
			n += c
		}
		return n
	}
	if training {
		if own, others := count(read.Counts[:files]), count(targets.Counts[:len(paths)]); own != others {
			return rows{}, fmt.Errorf("data.target: %s has %d rows, but %s has %d; each row needs a target",
				strings.Join(d.Files, ", "), own, strings.Join(d.Target, ", "), others)
		}
	}
	if own, others := count(read.Counts[files:]), count(targets.Counts[len(paths):]); own != others {
		return rows{}, fmt.Errorf("data.test_target: %s has %d rows, but %s has %d; each row needs a target",
			strings.Join(d.Test, ", "), own, strings.Join(d.TestTarget, ", "), others)
	}
	own, others := read.samples, targets.samples
	if own.kind() != others.kind() || !slices.Equal(own.Features, others.Features) {
		return rows{}, fmt.Errorf("the rows of %s are %s, but their targets in %s are %s; they need the same columns in the same order",
			strings.Join(d.Files, ", "), own.kind(), strings.Join(other.Files, ", "), others.kind())
	}
	if err := own.fits(others); err != nil {
		return rows{}, fmt.Errorf("read %s, %s: %w", strings.Join(d.Files, ", "), strings.Join(other.Files, ", "), err)
	}
	others.Labels = nil
	if training {
		own.Target = others
	}
	return targets, nil
}

// readAny reads all files into memory, or streams them by way of the cache.
func (d *Table) readAny(ctx context.Context, paths []string) (rows, error) {
	var files []file
	bytes := int64(0)
	for _, path := range paths {
		files = append(files, file{path, filepath.Base(path)})
		if info, err := os.Stat(path); err == nil {
			bytes += info.Size() // about what the values take
		}
	}
	if d.Resident == "device" {
		return d.read(ctx, paths, nil, nil)
	}
	place, err := slotOf("rows", []any{d.Label, d.Array, d.Ignore, d.Missing, d.Header}, files)
	if err != nil { // there is no cache, or a file is not there, of which reading tells
		return d.read(ctx, paths, nil, nil)
	}
	read := rows{}
	if read.samples, err = place.stored(&read); err != nil {
		return rows{}, err
	}
	if read.samples == nil {
		if !d.streams(bytes) {
			return d.read(ctx, paths, nil, nil)
		}
		if read, err = d.readStreamed(ctx, paths, place); err != nil {
			return rows{}, err
		}
	}
	read.samples.Labels = read.Labels
	return read, nil
}

// readStreamed reads all files into a place in the cache.
func (d *Table) readStreamed(ctx context.Context, paths []string, place slot) (rows, error) {
	var w *cache.Writer
	defer func() {
		if w != nil {
			w.Abort()
		}
	}()
	read, err := d.read(ctx, paths, nil, func(values array.Values) (err error) {
		if w == nil {
			if w, err = place.cache.Create(place.key, values.Type(), -1); err != nil {
				return err
			}
		}
		return w.Append(values)
	})
	if err != nil {
		return rows{}, err
	}
	of := strings.Join(d.Files, ", ")
	read.samples, err = place.commit(w, of, fmt.Sprintf("table %s, %s", of, read.samples.kind()), read.samples, &read)
	return read, err
}

// Paths returns the files and folders that paths and patterns mean, as data.dir and data.files do. key names them in errors.
func Paths(key string, patterns []string) ([]string, error) {
	var files []string
	for _, pattern := range patterns {
		pattern = below(pattern)
		if _, err := os.Stat(pattern); err == nil || !strings.ContainsAny(pattern, "*?[") {
			files = append(files, pattern)
			continue
		}
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not a valid pattern: %w", key, pattern, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: no file matches %q", key, pattern)
		}
		files = append(files, found...)
	}
	return files, nil
}

// below is a path or pattern, or where nothing is there, the same below the folder of LATENT_DATA_DIR, where something is there.
func below(pattern string) string {
	root := os.Getenv(dirVariable)
	if root == "" || filepath.IsAbs(pattern) {
		return pattern
	}
	if other := filepath.Join(root, pattern); !there(pattern) && there(other) {
		return other
	}
	return pattern
}

// there says whether something is at a path, or is like a pattern.
func there(pattern string) bool {
	if _, err := os.Stat(pattern); err == nil {
		return true
	}
	found, err := filepath.Glob(pattern)
	return err == nil && len(found) > 0
}

// There says whether a path or pattern of a config means something: seen from the working directory, or below the folder of LATENT_DATA_DIR.
func There(pattern string) bool { return there(below(pattern)) }

// rows are what is in the files of a table.
type rows struct {
	samples *Samples
	labels  Labels

	Counts    []int          // rows of each file
	Labels    []uint8        // of the samples
	Classes   []string       // of the labels
	LeftOut   map[string]int // columns that are no numbers
	Rounded   int
	Checksums map[string]string
}

// read reads all files: as samples like these, which a model was trained on, or where it is nil as the first file has them. The values go to take, or where that is
// nil into the samples.
func (d *Table) read(ctx context.Context, files []string, like *Samples, take func(values array.Values) error) (rows, error) {
	read := rows{LeftOut: map[string]int{}, Checksums: map[string]string{}}
	count, trained := 0, like != nil
	for i, path := range files {
		if err := d.readOne(ctx, path, like, trained, &read, take); err != nil {
			return rows{}, err
		}
		if i == 0 && like == nil {
			like = read.samples
		}
		count += read.Counts[i]
	}
	switch {
	case count == 0:
		return rows{}, fmt.Errorf("read %s: no rows", strings.Join(files, ", "))
	case count > mostStreamed:
		return rows{}, fmt.Errorf("read %s: %d rows; the limit is %d", strings.Join(files, ", "), count, mostStreamed)
	}
	if d.Label != "" {
		read.Classes, read.Labels = read.labels.Sorted()
		read.samples.Labels = read.Labels
	}
	return read, nil
}

// readOne adds the rows of a file.
func (d *Table) readOne(ctx context.Context, path string, like *Samples, trained bool, read *rows, take func(values array.Values) error) error {
	options := table.Options{Label: d.Label, Array: d.Array, Ignore: d.Ignore, Missing: d.Missing == "median", Header: d.Header, Trained: trained}
	if like != nil {
		options.Columns, options.Ignore = like.Features, nil
	}
	file, err := table.Open(path, options)
	if err != nil {
		return err
	}
	defer file.Close()
	own, err := samplesOf(path, file)
	if err != nil {
		return err
	}
	if like == nil {
		like = own
	}
	columns, err := columnsOf(path, own, like, file.Names() != nil)
	if err != nil {
		return err
	}
	if read.samples == nil {
		read.samples = like.Like()
	}
	all, count := read.samples, 0
	dtype := all.Values.Type()
	if len(read.Counts) > 0 && own.Values.Type() != dtype {
		return fmt.Errorf("read %s: its numbers are %v, but those of the files before it are %v; save all with the same dtype", path, own.Values.Type(), dtype)
	}
	if n := file.Len(); n > 0 && take == nil && int64(n)*int64(like.Size()*dtype.Size()) <= maxTableBytes {
		all.Values = all.Values.Grow(dtype, n*like.Size())
	}
	err = file.Each(ctx, func(some table.Rows) error {
		values, err := all.converted(pick(some.Values, own.Size(), columns), count)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		count += some.Values.Len() / own.Size()
		if d.Label != "" {
			if err := read.labels.Add(some.Labels...); err != nil {
				return fmt.Errorf("data.label: %q has %w; choose a column with classes, or list this one in data.ignore instead", d.Label, err)
			}
		}
		if take != nil {
			return take(values)
		}
		all.Values = all.Values.Append(values)
		if all.Values.Len()*dtype.Size() > maxTableBytes {
			return fmt.Errorf("read %s: the values need more than %d GiB of memory; leave columns out with data.ignore, or set data.resident: stream", path, maxTableBytes>>30)
		}
		return nil
	})
	if err != nil {
		return err
	}
	sum, err := file.SHA256(ctx)
	if err != nil {
		return err
	}
	name := filepath.Base(path)
	if _, taken := read.Checksums[name]; taken {
		name = path
	}
	read.Checksums[name] = sum
	read.Counts, read.Rounded = append(read.Counts, count), read.Rounded+file.Rounded()
	for _, column := range file.LeftOut() {
		read.LeftOut["column "+column]++
	}
	return nil
}

// samplesOf are no samples, of the kind that a file has.
func samplesOf(path string, file *table.File) (*Samples, error) {
	s := &Samples{Height: 1, Width: 1, Channels: 1, Values: array.Make(file.Type(), 0)}
	switch dims := file.Dims(); len(dims) {
	case 1:
		s.Width, s.Features = dims[0], file.Names()
		for i := len(s.Features); i < s.Width; i++ {
			s.Features = append(s.Features, fmt.Sprintf("x%d", i+1))
		}
	case 2:
		s.Height, s.Width = dims[0], dims[1]
	case 3:
		s.Height, s.Width, s.Channels = dims[0], dims[1], dims[2]
		if (s.Height == 1 || s.Height == 3) && s.Channels > 4 {
			return nil, fmt.Errorf("read %s: its axes after the first are %d, %d, %d, which looks like channels before height and width; save it as [samples, height, width, channels], for example with numpy.moveaxis(x, 1, -1)",
				path, s.Height, s.Width, s.Channels)
		}
	}
	return s, nil
}

// columnsOf returns the places, in a row of a file's samples, of the values of samples like these; nil where they are the same. A named
// file was opened for the features of these, and has them all.
func columnsOf(path string, own, like *Samples, named bool) ([]int, error) {
	if own.Vectors() && like.Vectors() && named {
		if slices.Equal(own.Features, like.Features) {
			return nil, nil
		}
		var columns []int
		for _, name := range like.Features {
			columns = append(columns, slices.Index(own.Features, name))
		}
		return columns, nil
	}
	if own.Vectors() != like.Vectors() || own.Height != like.Height || own.Width != like.Width || own.Channels != like.Channels {
		return nil, fmt.Errorf("read %s: its rows are %s instead of %s; %s", path, own.kind(), like.kind(), own.made(like))
	}
	return nil, nil
}

// converted returns rows, of which the first is the file's row first, in the type of the samples' numbers. Bytes and 16 bits of pictures
// keep their part of the range. All other numbers keep their value, and one that the type has not is refused.
func (s *Samples) converted(rows array.Values, first int) (array.Values, error) {
	dtype, from := s.Values.Type(), rows.Type()
	if dtype == from || dtype == dtypes.Float32 || from != dtypes.Float32 && !s.Vectors() {
		return rows.As(dtype), nil
	}
	converted, most := array.Make(dtype, rows.Len()), math.MaxUint8
	if dtype == dtypes.Uint16 {
		most = math.MaxUint16
	}
	for i := range rows.Len() {
		value := rows.At(i)
		if converted.Set(i, value); converted.At(i) != value {
			return converted, fmt.Errorf("row %d: %g, but the model was trained on whole numbers from 0 to %d; save the file in the same units, rounded",
				first+i/s.Size()+1, value, most)
		}
	}
	return converted, nil
}

// made says how rows are made like others.
func (s *Samples) made(like *Samples) string {
	shape := "[samples"
	for _, n := range like.Dims() {
		shape += fmt.Sprintf(", %d", n)
	}
	shape = "an array " + strings.TrimSuffix(shape, ", 1") + "]"
	switch {
	case like.Vectors():
		return fmt.Sprintf("save %s, with the columns %s in this order", shape, table.List(like.Features))
	case s.Size() == like.Size():
		return "save them as " + shape
	case s.Vectors():
		return "save pictures as " + shape
	}
	return "convert them, and save them as " + shape
}

// kind says what a sample is.
func (s *Samples) kind() string {
	if s.Vectors() {
		return fmt.Sprintf("vectors of %d features", s.Width)
	}
	return fmt.Sprintf("pictures of %d×%d×%d", s.Height, s.Width, s.Channels)
}

// pick returns the values of these columns of rows; all where columns is nil.
func pick(values array.Values, size int, columns []int) array.Values {
	if columns == nil {
		return values
	}
	n := values.Len() / size
	picked := array.Make(values.Type(), n*len(columns))
	for i := range n {
		for k, column := range columns {
			picked.Copy(i*len(columns)+k, values.Slice(i*size+column, i*size+column+1))
		}
	}
	return picked
}
