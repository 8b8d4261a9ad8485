package table

import (
	"archive/zip"
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

// Writer writes a file, some rows at a time. It has its name when Close has returned without an error, and not before.
type Writer struct {
	path  string
	dtype dtypes.DType
	dims  []int
	size  int // numbers in a row
	rows  int
	file  *os.File
	sink  sink
	err   error
}

// sink writes one format.
type sink interface {
	// rows writes n rows.
	rows(values array.Values, n int) error
	// end writes what comes behind all of them; total is how many there were.
	end(total int) error
}

// Writes returns the ends of the names of files that Create writes.
func Writes() []string { return []string{".npy", ".npz", ".csv", ".tsv", ".parquet"} }

// Create begins a file of rows with the sizes dims and numbers of a type: .npy, .npz (one array, named data), .csv, .tsv or .parquet, as
// its name ends. names are those of a row's numbers, in order; nil names them column_1 and so on. .npy and .npz files have none.
// In .csv and .tsv files a float32 is the shortest decimal that only it is nearest to, and NaN is nan.
func Create(path string, names []string, dtype dtypes.DType, dims ...int) (*Writer, error) {
	w := &Writer{path: path, dtype: dtype, dims: slices.Clone(dims)}
	fail := func(err error) (*Writer, error) { return nil, fmt.Errorf("write %s: %w", path, reason(err)) }
	var ok bool
	if w.size, ok = product(dims...); !ok || w.size == 0 || w.size > maxRow {
		return fail(fmt.Errorf("rows of shape %v", dims))
	}
	if !slices.Contains([]dtypes.DType{dtypes.Uint8, dtypes.Uint16, dtypes.Float32}, dtype) {
		return fail(fmt.Errorf("numbers of type %s; want uint8, uint16 or float32", dtype))
	}
	extension := strings.ToLower(filepath.Ext(path))
	if !slices.Contains(Writes(), extension) {
		return fail(fmt.Errorf("unsupported file extension; use one of %s", strings.Join(Writes(), ", ")))
	}
	if extension != ".npy" && extension != ".npz" {
		if names == nil {
			for i := range w.size {
				names = append(names, fmt.Sprintf("column_%d", i+1))
			}
		}
		if len(names) != w.size {
			return fail(fmt.Errorf("%d names for rows of %d numbers", len(names), w.size))
		}
	}
	var err error
	if w.file, err = os.CreateTemp(filepath.Dir(path), temporaryPattern); err != nil {
		return fail(err)
	}
	switch extension {
	case ".npy":
		w.sink, err = newNPYSink(w.file, dtype, dims)
	case ".npz":
		w.sink, err = newNPZSink(w.file, dtype, dims)
	case ".csv":
		w.sink, err = newCSVSink(w.file, names, ',')
	case ".tsv":
		w.sink, err = newCSVSink(w.file, names, '\t')
	case ".parquet":
		w.sink, err = newParquetSink(w.file, names, dtype)
	}
	if err != nil {
		w.Abort()
		return fail(err)
	}
	return w, nil
}

// temporaryPattern names files that are being written; a killed process leaves one behind.
const temporaryPattern = ".latent-*"

// Append writes rows, which values of the file's type are, one after another.
func (w *Writer) Append(values array.Values) error {
	if w.err != nil {
		return w.err
	}
	n := values.Len() / w.size
	if n*w.size != values.Len() || n > 0 && values.Type() != w.dtype {
		w.err = fmt.Errorf("write %s: %d numbers of %s are not rows of shape %v of %s", w.path, values.Len(), values.Type(), w.dims, w.dtype)
		return w.err
	}
	if n == 0 {
		return nil
	}
	if err := w.sink.rows(values, n); err != nil {
		w.err = fmt.Errorf("write %s: %w", w.path, reason(err))
	}
	w.rows += n
	return w.err
}

// Close gives the file its name, in place of one that was there. After an error of Append there is none.
func (w *Writer) Close() error {
	if w.err != nil {
		w.Abort()
		return w.err
	}
	defer os.Remove(w.file.Name()) // fails once the file has its name
	// The first error is the one to tell; after it the others only follow.
	err := cmp.Or(w.sink.end(w.rows), w.file.Chmod(0o644), w.file.Close())
	if err == nil {
		err = os.Rename(w.file.Name(), w.path)
	}
	if err != nil {
		w.err = fmt.Errorf("write %s: %w", w.path, reason(err))
	}
	return w.err
}

// Abort leaves no file. It does nothing after Close.
func (w *Writer) Abort() {
	w.file.Close()
	os.Remove(w.file.Name())
}

// Write writes a file at once, as Create does: dims are the number of rows and the sizes of a row. A file is there whole or not at all.
func Write(path string, names []string, values array.Values, dims ...int) error {
	if size, ok := product(dims...); !ok || len(dims) == 0 || size != values.Len() {
		return fmt.Errorf("write %s: %d numbers are not of shape %v", path, values.Len(), dims)
	}
	row := dims[1:]
	if len(row) == 0 {
		row = []int{1}
	}
	w, err := Create(path, names, values.Type(), row...)
	if err != nil {
		return err
	}
	w.Append(values) // Close says what went wrong
	return w.Close()
}

// WriteNPY writes an array in NumPy's format, version 1.0, row by row.
func WriteNPY(w io.Writer, values array.Values, dims ...int) error {
	if size, ok := product(dims...); !ok || size != values.Len() || len(dims) > maxAxes {
		return fmt.Errorf("write an array: %d numbers are not of shape %v", values.Len(), dims)
	}
	if _, err := w.Write(npyHead(values.Type(), dims)); err != nil {
		return fmt.Errorf("write an array: %w", err)
	}
	if _, err := w.Write(values.Bytes()); err != nil {
		return fmt.Errorf("write an array: %w", err)
	}
	return nil
}

// npyHeadSize is the size of the head of an array that this package writes: any that NumPy's format allows and all shapes fit in.
const npyHeadSize = 256

// maxAxes is how many axes fit in it.
const maxAxes = 8

// npyHead is the head of an array.
func npyHead(dtype dtypes.DType, dims []int) []byte {
	descr := map[dtypes.DType]string{dtypes.Uint8: "|u1", dtypes.Uint16: "<u2", dtypes.Float32: "<f4"}[dtype]
	var shape strings.Builder
	for _, dim := range dims {
		fmt.Fprintf(&shape, "%d, ", dim) // the comma after the last makes a tuple of one
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, strings.TrimSuffix(shape.String(), " "))
	head := binary.LittleEndian.AppendUint16([]byte(npyMagic+"\x01\x00"), uint16(npyHeadSize-10))
	head = append(head, text...)
	head = append(head, strings.Repeat(" ", npyHeadSize-1-len(head))...)
	return append(head, '\n')
}

// npySink writes a .npy file: its head last, for it has the number of rows.
type npySink struct {
	file  *os.File
	dtype dtypes.DType
	dims  []int
}

func newNPYSink(file *os.File, dtype dtypes.DType, dims []int) (*npySink, error) {
	if len(dims) > 3 {
		return nil, fmt.Errorf("rows of %d axes; the limit is 3", len(dims))
	}
	_, err := file.Write(npyHead(dtype, append([]int{0}, dims...)))
	return &npySink{file, dtype, dims}, err
}

func (s *npySink) rows(values array.Values, _ int) error {
	_, err := s.file.Write(values.Bytes())
	return err
}

func (s *npySink) end(total int) error {
	_, err := s.file.WriteAt(npyHead(s.dtype, append([]int{total}, s.dims...)), 0)
	return err
}

// npzSink writes a .npz file: the array first in a file of its own, for its head has the number of rows.
type npzSink struct {
	npySink
	archive *os.File
}

func newNPZSink(archive *os.File, dtype dtypes.DType, dims []int) (*npzSink, error) {
	file, err := os.CreateTemp(filepath.Dir(archive.Name()), temporaryPattern)
	if err != nil {
		return nil, err
	}
	os.Remove(file.Name()) // where the system allows that; else end does
	array, err := newNPYSink(file, dtype, dims)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &npzSink{*array, archive}, nil
}

func (s *npzSink) end(total int) error {
	defer os.Remove(s.file.Name())
	defer s.file.Close()
	if err := s.npySink.end(total); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	archive := zip.NewWriter(s.archive)
	entry, err := archive.CreateHeader(&zip.FileHeader{Name: "data.npy", Method: zip.Store}) // without a time: equal arrays, equal files
	if err != nil {
		return err
	}
	if _, err := io.Copy(entry, s.file); err != nil {
		return err
	}
	return archive.Close()
}

// csvSink writes a .csv or .tsv file.
type csvSink struct {
	out       *bufio.Writer
	delimiter byte
	buffer    []byte
}

func newCSVSink(file *os.File, names []string, delimiter byte) (*csvSink, error) {
	s := &csvSink{out: bufio.NewWriterSize(file, 64<<10), delimiter: delimiter}
	for i, name := range names {
		if i > 0 {
			s.buffer = append(s.buffer, delimiter)
		}
		if name == "" || strings.ContainsAny(name, "\"\r\n,;\t ") {
			name = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		}
		s.buffer = append(s.buffer, name...)
	}
	_, err := s.out.Write(append(s.buffer, '\n'))
	return s, err
}

func (s *csvSink) rows(values array.Values, n int) error {
	size := values.Len() / n
	for i := range values.Len() {
		s.buffer = s.buffer[:0]
		switch {
		case values.Float32 == nil:
			s.buffer = strconv.AppendInt(s.buffer, int64(values.At(i)), 10)
		case values.Float32[i] != values.Float32[i]:
			s.buffer = append(s.buffer, "nan"...)
		default:
			s.buffer = strconv.AppendFloat(s.buffer, float64(values.Float32[i]), 'g', -1, 32)
		}
		end := s.delimiter
		if (i+1)%size == 0 {
			end = '\n'
		}
		if _, err := s.out.Write(append(s.buffer, end)); err != nil {
			return err
		}
	}
	return nil
}

func (s *csvSink) end(int) error { return s.out.Flush() }

// parquetSink writes a .parquet file.
type parquetSink struct {
	out     *file.Writer
	names   []string
	held    array.Values // rows of the next group
	group   int          // how many make a group
	numbers []float32
	ints    []int32
}

// parquetGroup is about how many bytes of rows make a row group.
const parquetGroup = 32 << 20

func newParquetSink(to *os.File, names []string, dtype dtypes.DType) (*parquetSink, error) {
	if sorted := slices.Sorted(slices.Values(names)); len(slices.Compact(sorted)) != len(names) {
		return nil, errors.New("two columns have the same name")
	}
	nodes := make(schema.FieldList, len(names))
	for i, name := range names {
		var err error
		switch dtype {
		case dtypes.Float32:
			nodes[i] = schema.NewFloat32Node(name, parquet.Repetitions.Required, -1)
		case dtypes.Uint16:
			nodes[i], err = schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Required, schema.NewIntLogicalType(16, false), parquet.Types.Int32, 0, -1)
		default:
			nodes[i], err = schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Required, schema.NewIntLogicalType(8, false), parquet.Types.Int32, 0, -1)
		}
		if err != nil {
			return nil, err
		}
	}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, nodes, -1)
	if err != nil {
		return nil, err
	}
	properties := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy), parquet.WithDictionaryDefault(false))
	out, err := file.NewParquetWriterWithError(keepOpen{to}, root, file.WithWriterProps(properties))
	if err != nil {
		return nil, err
	}
	return &parquetSink{out: out, names: names, group: max(1, parquetGroup/(len(names)*dtype.Size()))}, nil
}

// keepOpen hides that a file can be closed, which the writer of Parquet would do.
type keepOpen struct{ io.Writer }

func (s *parquetSink) rows(values array.Values, n int) error {
	for n > 0 {
		take := min(n, s.group-s.held.Len()/len(s.names))
		numbers := take * len(s.names)
		s.held = s.held.Append(values.Slice(0, numbers))
		values, n = values.Slice(numbers, values.Len()), n-take
		if s.held.Len() == s.group*len(s.names) {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes a row group.
func (s *parquetSink) flush() error {
	group, err := s.out.AppendRowGroupChecked()
	if err != nil {
		return err
	}
	rows := s.held.Len() / len(s.names)
	for column := range s.names {
		writer, err := group.NextColumn()
		if err != nil {
			return err
		}
		switch w := writer.(type) {
		case *file.Float32ColumnChunkWriter:
			s.numbers = s.numbers[:0]
			for row := range rows {
				s.numbers = append(s.numbers, s.held.Float32[row*len(s.names)+column])
			}
			_, err = w.WriteBatch(s.numbers, nil, nil)
		case *file.Int32ColumnChunkWriter:
			s.ints = s.ints[:0]
			for row := range rows {
				s.ints = append(s.ints, int32(s.held.At(row*len(s.names)+column)))
			}
			_, err = w.WriteBatch(s.ints, nil, nil)
		}
		if err == nil {
			err = writer.Close()
		}
		if err != nil {
			return err
		}
	}
	s.held = array.Values{} // not kept: Slice would have no room
	return group.Close()
}

func (s *parquetSink) end(int) error {
	if s.held.Len() > 0 {
		if err := s.flush(); err != nil {
			return err
		}
	}
	return s.out.Close()
}
