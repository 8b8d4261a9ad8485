package table

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/andybalholm/brotli"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// parquetSource reads .parquet files.
type parquetSource struct {
	meta    *metadata.FileMetaData
	columns []parquetColumn // of the features, in order
	label   *parquetColumn
}

// parquetColumn is a column that is read.
type parquetColumn struct {
	name  string
	index int // among the leaves
	kind  kind
	read  parquetKind
}

// parquetKind is how a column's values are numbers.
type parquetKind int

const (
	parquetPlain parquetKind = iota // as they lie
	parquetUnsigned
	parquetHalf
	parquetText
)

const (
	minPage        = 16 << 20 // bytes of a page that are allowed in any file
	maxPageRatio   = 1032     // above it, bytes of a page for each byte of the file
	maxColumns     = 1 << 18
	minRows        = 1 << 24 // rows that are allowed in any file
	maxRowsPerByte = 1 << 16 // above it, rows for each byte of the file
)

// maxRowsOf bounds how many rows a file may say it has: of columns that are constant, many lie in few bytes.
func maxRowsOf(size int64) int64 { return minRows + maxRowsPerByte*size }

func (s *parquetSource) head(f *File) error {
	if err := checkParquet(f); err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	reader, err := s.open(f)
	if err != nil {
		return err
	}
	s.meta = reader.MetaData()
	total := int64(0)
	for i := range reader.NumRowGroups() {
		rows := s.meta.RowGroup(i).NumRows()
		if rows < 0 || rows > maxRowsOf(f.size)-total {
			return fmt.Errorf("read %s: row group %d claims %d rows; the file is damaged", f.path, i, rows)
		}
		total += rows
	}
	if total != reader.NumRows() {
		return fmt.Errorf("read %s: %d rows in its row groups, but %d in its footer; the file is damaged", f.path, total, reader.NumRows())
	}
	f.rows = int(total)
	return s.choose(f)
}

// open starts reading the file.
func (s *parquetSource) open(f *File) (*file.Reader, error) {
	properties := parquet.NewReaderProperties(newLimited(f.size))
	properties.BufferedStreamEnabled = true
	properties.MaxUncompressedPageSize = min(max(minPage, maxPageRatio*f.size), 1<<31-1)
	properties.MaxCompressedPageSize = min(f.size, 1<<31-1)
	options := []file.ReadOption{file.WithReadProps(properties)}
	if s.meta != nil {
		options = append(options, file.WithMetadata(s.meta))
	}
	reader, err := file.NewParquetReader(io.NewSectionReader(f.file, 0, f.size), options...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	return reader, nil
}

// choose divides the columns into features, label, and what is left out.
func (s *parquetSource) choose(f *File) error {
	var names []string
	var columns []parquetColumn
	var kinds []string
	seen := map[string]bool{}
	for i := range s.meta.Schema.NumColumns() {
		leaf := s.meta.Schema.Column(i)
		path := leaf.ColumnPath()
		column := parquetColumn{name: path[0], index: i}
		text := ""
		if len(path) > 1 || leaf.MaxRepetitionLevel() > 0 || leaf.MaxDefinitionLevel() > 1 {
			if text = "nested"; len(path) > 1 && seen[path[0]] {
				continue
			}
		} else {
			column.kind, column.read, text = parquetType(leaf)
		}
		seen[path[0]] = true
		names, columns, kinds = append(names, path[0]), append(columns, column), append(kinds, text)
	}
	if err := f.checkNames(names, "rename one"); err != nil {
		return err
	}
	features, label, err := f.pickColumns(names)
	if err != nil {
		return err
	}
	if label >= 0 {
		if s.label = &columns[label]; s.label.kind == kindOther && s.label.read != parquetText {
			return fmt.Errorf("read %s: data.label: column %s is %s; it must be text or numbers", f.path, shown([]byte(names[label])), kinds[label])
		}
	}
	f.names = []string{}
	var used []kind
	nulls := false
	for _, i := range features {
		switch {
		case pandasIndex.MatchString(names[i]):
			f.leftOut = append(f.leftOut, names[i]+" (index of pandas)")
			continue
		case columns[i].kind == kindOther:
			f.leftOut = append(f.leftOut, fmt.Sprintf("%s (%s)", plain(names[i]), kinds[i]))
			continue
		}
		s.columns = append(s.columns, columns[i])
		f.names, used = append(f.names, names[i]), append(used, columns[i].kind)
		nulls = nulls || f.options.Missing && s.mayBeNull(columns[i].index)
	}
	f.dims, f.dtype = []int{len(f.names)}, typeOf(used, nulls)
	return nil
}

// mayBeNull says whether a column's statistics leave open that values are null.
func (s *parquetSource) mayBeNull(column int) bool {
	if s.meta.Schema.Column(column).MaxDefinitionLevel() == 0 {
		return false
	}
	for i := range s.meta.NumRowGroups() {
		chunk, err := s.meta.RowGroup(i).ColumnChunk(column)
		if err != nil {
			return true
		}
		statistics, err := chunk.Statistics()
		if err != nil || statistics == nil || !statistics.HasNullCount() || statistics.NullCount() != 0 {
			return true
		}
	}
	return false
}

// parquetType says how a column's values are numbers, and what they are in words.
func parquetType(leaf *schema.Column) (kind, parquetKind, string) {
	logical := leaf.LogicalType()
	text := leaf.PhysicalType().String()
	if logical != nil && !logical.IsNone() {
		text = logical.String()
	}
	whole, isWhole := logical.(schema.IntLogicalType)
	none := logical == nil || logical.IsNone()
	switch leaf.PhysicalType() {
	case parquet.Types.Boolean:
		return kindBool, parquetPlain, text
	case parquet.Types.Int32, parquet.Types.Int64:
		switch {
		case isWhole && !whole.IsSigned() && whole.BitWidth() == 8:
			return kindUint8, parquetUnsigned, text
		case isWhole && !whole.IsSigned() && whole.BitWidth() == 16:
			return kindUint16, parquetUnsigned, text
		case isWhole && !whole.IsSigned():
			return kindNumber, parquetUnsigned, text
		case isWhole || none:
			return kindNumber, parquetPlain, text
		}
	case parquet.Types.Float, parquet.Types.Double:
		if none {
			return kindNumber, parquetPlain, text
		}
	case parquet.Types.FixedLenByteArray:
		if _, is := logical.(schema.Float16LogicalType); is && leaf.TypeLength() == 2 {
			return kindNumber, parquetHalf, text
		}
	case parquet.Types.ByteArray:
		switch logical.(type) {
		case schema.StringLogicalType, schema.EnumLogicalType:
			return kindOther, parquetText, text
		}
		if none {
			return kindOther, parquetText, text
		}
	}
	return kindOther, parquetPlain, text
}

func (s *parquetSource) each(b *batch) error {
	reader, err := s.open(b.file)
	if err != nil {
		return err
	}
	for i := range reader.NumRowGroups() {
		if err := s.group(b, reader.RowGroup(i)); err != nil {
			return err
		}
	}
	return nil
}

// group reads a row group: of every column as many rows as the batch has room for, again and again.
func (s *parquetSource) group(b *batch, group *file.RowGroupReader) error {
	columns := s.columns
	if s.label != nil {
		columns = append(columns[:len(columns):len(columns)], *s.label)
	}
	readers := make([]file.ColumnChunkReader, len(columns))
	for i, column := range columns {
		var err error
		if readers[i], err = group.Column(column.index); err != nil {
			return fmt.Errorf("read %s: column %s: %w", b.file.path, shown([]byte(column.name)), err)
		}
		defer readers[i].Close()
	}
	scratch := &parquetScratch{}
	for rest := group.NumRows(); rest > 0; {
		n := b.room(int(rest))
		for i, column := range columns {
			if err := b.ctx.Err(); err != nil {
				return err
			}
			feature := i
			if i == len(s.columns) {
				feature = -1
			}
			if err := readParquet(b, column, readers[i], feature, n, scratch); err != nil {
				return err
			}
		}
		if err := b.add(n); err != nil {
			return err
		}
		rest -= int64(n)
	}
	return nil
}

// parquetScratch is memory for the values of a column.
type parquetScratch struct {
	levels  []int16
	bools   []bool
	int32s  []int32
	int64s  []int64
	floats  []float32
	doubles []float64
	texts   []parquet.ByteArray
	halves  []parquet.FixedLenByteArray
}

// readParquet reads a column's next n rows; feature −1 is the label.
func readParquet(b *batch, column parquetColumn, reader file.ColumnChunkReader, feature, n int, scratch *parquetScratch) error {
	if len(scratch.levels) < n {
		scratch.levels = make([]int16, n)
	}
	unsigned := column.read == parquetUnsigned
	switch r := reader.(type) {
	case *file.BooleanColumnChunkReader:
		return readPages(b, column, reader, feature, n, scratch, &scratch.bools, r.ReadBatchInPage, func(v bool) uint8 {
			if v {
				return 1
			}
			return 0
		}, func(v bool) (string, error) { return fmt.Sprint(v), nil })
	case *file.Int32ColumnChunkReader:
		if unsigned {
			return readPages(b, column, reader, feature, n, scratch, &scratch.int32s, r.ReadBatchInPage,
				func(v int32) uint32 { return uint32(v) }, func(v int32) (string, error) { return labelOf(uint32(v)), nil })
		}
		return readPages(b, column, reader, feature, n, scratch, &scratch.int32s, r.ReadBatchInPage, same[int32], numberLabel[int32])
	case *file.Int64ColumnChunkReader:
		if unsigned {
			return readPages(b, column, reader, feature, n, scratch, &scratch.int64s, r.ReadBatchInPage,
				func(v int64) uint64 { return uint64(v) }, func(v int64) (string, error) { return labelOf(uint64(v)), nil })
		}
		return readPages(b, column, reader, feature, n, scratch, &scratch.int64s, r.ReadBatchInPage, same[int64], numberLabel[int64])
	case *file.Float32ColumnChunkReader:
		return readPages(b, column, reader, feature, n, scratch, &scratch.floats, r.ReadBatchInPage, same[float32], numberLabel[float32])
	case *file.Float64ColumnChunkReader:
		return readPages(b, column, reader, feature, n, scratch, &scratch.doubles, r.ReadBatchInPage, same[float64], numberLabel[float64])
	case *file.FixedLenByteArrayColumnChunkReader:
		value := func(v parquet.FixedLenByteArray) float32 { return half(binary.LittleEndian.Uint16(v)) }
		return readPages(b, column, reader, feature, n, scratch, &scratch.halves, r.ReadBatchInPage, value,
			func(v parquet.FixedLenByteArray) (string, error) { return numberLabel(value(v)) })
	case *file.ByteArrayColumnChunkReader:
		return readPages(b, column, reader, feature, n, scratch, &scratch.texts, r.ReadBatchInPage,
			func(parquet.ByteArray) uint8 { return 0 }, func(v parquet.ByteArray) (string, error) { return validLabel(v) })
	}
	return fmt.Errorf("read %s: column %s: unknown type %s", b.file.path, shown([]byte(column.name)), reader.Type())
}

func same[T number](v T) T { return v }

// numberLabel is labelOf, and refuses NaN.
func numberLabel[T number](v T) (string, error) {
	if v != v {
		return labelText("")
	}
	return labelOf(v), nil
}

// readPages reads n rows of a column, page by page.
func readPages[P any, T number](b *batch, column parquetColumn, reader file.ColumnChunkReader, feature, n int, scratch *parquetScratch,
	space *[]P, read func(int64, []P, []int16, []int16) (int64, int, error), value func(P) T, label func(P) (string, error)) error {
	if len(*space) < n {
		*space = make([]P, n)
	}
	highest := reader.Descriptor().MaxDefinitionLevel()
	nullable := highest > 0
	numbers := make([]T, n)
	var missing []bool
	for done := 0; done < n; {
		if !reader.HasNext() {
			return fmt.Errorf("read %s: %s: the column ends too early; the file is damaged: %w", b.file.path, b.place(done, feature), orDamaged(reader.Err()))
		}
		levels := scratch.levels[:n-done]
		total, count, err := read(int64(n-done), (*space)[:n-done], levels, nil)
		if err == nil && (total <= 0 || total > int64(n-done) || !nullable && int64(count) != total) {
			err = errors.New("a page is shorter than its header says")
		}
		if err != nil {
			return fmt.Errorf("read %s: %s: the file is damaged: %w", b.file.path, b.place(done, feature), err)
		}
		next := 0
		for i := range int(total) {
			if nullable && levels[i] != highest {
				if missing == nil {
					missing = make([]bool, n)
				}
				missing[done+i] = true
				continue
			}
			if next == count {
				return fmt.Errorf("read %s: %s: the file is damaged: a page has too few values", b.file.path, b.place(done+i, feature))
			}
			v := (*space)[next]
			next++
			if feature >= 0 {
				numbers[done+i] = value(v)
				continue
			}
			text, err := label(v)
			if err != nil {
				return fmt.Errorf("read %s: %s: %w", b.file.path, b.place(done+i, feature), err)
			}
			b.labels = append(b.labels, text)
		}
		done += int(total)
	}
	if feature < 0 {
		for i, is := range missing {
			if is {
				_, err := labelText("")
				return fmt.Errorf("read %s: %s: %w", b.file.path, b.place(i, feature), err)
			}
		}
		return nil
	}
	if missing == nil {
		return put(b, numbers, feature, b.size, nil)
	}
	return put(b, numbers, feature, b.size, func(i int) bool { return missing[i] })
}

func orDamaged(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// validLabel is text of a file as a label.
func validLabel(text []byte) (string, error) {
	if !utf8.Valid(text) {
		return "", fmt.Errorf("label %s is not UTF-8; save it as text", shown(text))
	}
	return labelText(string(text))
}

// checkParquet refuses a file whose footer would make its reader take more memory than the file has bytes: lists that say they are
// longer than what follows.
func checkParquet(f *File) error {
	var tail [8]byte
	if f.size < 12 {
		return errors.New("not a Parquet file, or truncated")
	}
	if _, err := f.file.ReadAt(tail[:], f.size-8); err != nil {
		return cutOff(err)
	}
	if string(tail[4:]) == "PARE" {
		return errors.New("an encrypted Parquet file; save it without encryption")
	}
	if string(tail[4:]) != "PAR1" {
		return errors.New("not a Parquet file, or truncated")
	}
	length := int64(binary.LittleEndian.Uint32(tail[:]))
	if length > f.size-12 {
		return fmt.Errorf("a footer of %d bytes in a file of %d; the file is damaged", length, f.size)
	}
	footer := make([]byte, length)
	if _, err := f.file.ReadAt(footer, f.size-8-length); err != nil {
		return cutOff(err)
	}
	return checkThrift(footer)
}

// thriftWalk goes through a struct in Thrift's compact protocol.
type thriftWalk struct {
	rest []byte
}

var errThrift = errors.New("its footer is damaged")

// checkThrift wants every list to be no longer than the bytes behind it, and the schema, field 2 of the footer, to have at most
// maxColumns elements.
func checkThrift(footer []byte) error {
	w := &thriftWalk{rest: footer}
	return w.structure(0, func(field int, kind byte) error {
		if field == 2 && kind == 9 {
			again := &thriftWalk{rest: w.rest}
			if n, _, err := again.list(); err != nil || n > maxColumns {
				return fmt.Errorf("%w: %d columns", errThrift, n)
			}
		}
		return nil
	})
}

func (w *thriftWalk) byte() (byte, error) {
	if len(w.rest) == 0 {
		return 0, errThrift
	}
	c := w.rest[0]
	w.rest = w.rest[1:]
	return c, nil
}

func (w *thriftWalk) varint() (uint64, error) {
	v, n := binary.Uvarint(w.rest)
	if n <= 0 {
		return 0, errThrift
	}
	w.rest = w.rest[n:]
	return v, nil
}

func (w *thriftWalk) skip(n uint64) error {
	if n > uint64(len(w.rest)) {
		return errThrift
	}
	w.rest = w.rest[n:]
	return nil
}

// list takes the head of a list or a set.
func (w *thriftWalk) list() (n uint64, kind byte, err error) {
	c, err := w.byte()
	if err != nil {
		return 0, 0, err
	}
	if n = uint64(c >> 4); n == 15 {
		if n, err = w.varint(); err != nil {
			return 0, 0, err
		}
	}
	if n > uint64(len(w.rest)) { // an element has a byte at least
		return 0, 0, errThrift
	}
	return n, c & 15, nil
}

// structure takes a struct; see is told of the fields' numbers and kinds before they are taken.
func (w *thriftWalk) structure(depth int, see func(field int, kind byte) error) error {
	last := 0
	for {
		c, err := w.byte()
		if err != nil {
			return err
		}
		kind := c & 15
		if kind == 0 {
			return nil
		}
		if step := int(c >> 4); step > 0 {
			last += step
		} else {
			v, err := w.varint()
			if err != nil {
				return err
			}
			last = int(int16(v>>1) ^ -int16(v&1))
		}
		if see != nil {
			if err := see(last, kind); err != nil {
				return err
			}
		}
		if kind > 2 { // true and false are in the kind
			if err := w.value(kind, depth); err != nil {
				return err
			}
		}
	}
}

// value takes a value of a kind.
func (w *thriftWalk) value(kind byte, depth int) error {
	if depth > 32 {
		return errThrift
	}
	switch kind {
	case 1, 2, 3:
		return w.skip(1)
	case 4, 5, 6:
		_, err := w.varint()
		return err
	case 7:
		return w.skip(8)
	case 8:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case 9, 10:
		n, kind, err := w.list()
		if err != nil {
			return err
		}
		for range n {
			if err := w.value(kind, depth+1); err != nil {
				return err
			}
		}
		return nil
	case 11:
		n, err := w.varint()
		if err != nil || n == 0 {
			return err
		}
		kinds, err := w.byte()
		if err != nil || n > uint64(len(w.rest)) {
			return errThrift
		}
		for range n {
			if err := cmp.Or(w.value(kinds>>4, depth+1), w.value(kinds&15, depth+1)); err != nil {
				return err
			}
		}
		return nil
	case 12:
		return w.structure(depth+1, nil)
	}
	return errThrift
}

// Unpacking stops where a page is larger than its head says; the codecs of arrow-go would take memory for all of it.
func init() {
	unpacker, err := zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(err) // of fixed options
	}
	for codec, decode := range map[compress.Compression]func(to, from []byte) ([]byte, error){
		compress.Codecs.Zstd: func(to, from []byte) ([]byte, error) { return unpacker.DecodeAll(from, to[:0:len(to)]) },
		compress.Codecs.Snappy: func(to, from []byte) ([]byte, error) {
			if n, err := snappy.DecodedLen(from); err != nil || n != len(to) {
				return nil, fmt.Errorf("a page of %d bytes, but its header says %d (%v)", n, len(to), err)
			}
			return snappy.Decode(to, from)
		},
		compress.Codecs.Brotli: func(to, from []byte) ([]byte, error) {
			r := brotli.NewReader(bytes.NewReader(from))
			if _, err := io.ReadFull(r, to); err != nil {
				return nil, err
			}
			return to, ended(r)
		},
	} {
		if original, err := compress.GetCodec(codec); err == nil {
			compress.RegisterCodec(codec, boundedCodec{original, decode})
		}
	}
}

// boundedCodec is a codec that unpacks no more than there is room for.
type boundedCodec struct {
	compress.Codec
	decode func(to, from []byte) ([]byte, error)
}

// DecodeWithError unpacks a page.
func (c boundedCodec) DecodeWithError(to, from []byte) ([]byte, error) { return c.decode(to, from) }

// Decode unpacks a page, and panics where it cannot.
func (c boundedCodec) Decode(to, from []byte) []byte {
	data, err := c.decode(to, from)
	if err != nil {
		panic(err)
	}
	return data
}
