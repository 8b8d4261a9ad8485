package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	arrays "github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// arrowSource reads Arrow's IPC files, which .feather files of version 2 are too, and streams.
type arrowSource struct {
	messages []arrowMessage
	columns  []int // of the features, in order
	label    int
	schema   *arrow.Schema
}

// arrowMessage is where a message lies in the file.
type arrowMessage struct {
	at   int64
	meta int
	body int64
	rows int64 // of a record batch
}

const (
	arrowMagic   = "ARROW1"
	maxArrowMeta = 64 << 20
	maxArrowBody = 1 << 30
)

func (s *arrowSource) head(f *File) error {
	if err := s.find(f); err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	total := int64(0)
	for _, message := range s.messages {
		if message.rows < 0 || message.rows > maxRowsOf(f.size)-total {
			return fmt.Errorf("read %s: a record batch claims %d rows; the file is damaged", f.path, message.rows)
		}
		total += message.rows
	}
	f.rows = int(total)
	reader, err := s.open(f)
	if err != nil {
		return err
	}
	defer reader.Release()
	s.schema = reader.Schema()
	return s.choose(f)
}

// find lists the messages of the file.
func (s *arrowSource) find(f *File) error {
	start := make([]byte, 8)
	if _, err := f.file.ReadAt(start, 0); err != nil {
		return cutOff(err)
	}
	switch {
	case bytes.HasPrefix(start, []byte("FEA1")):
		return errors.New("a Feather file of version 1; save it again with pyarrow.feather.write_feather")
	case bytes.HasPrefix(start, []byte(arrowMagic)):
		return s.findInFile(f)
	}
	return s.findInStream(f)
}

// findInStream lists messages that lie one after another.
func (s *arrowSource) findInStream(f *File) error {
	for at := int64(0); ; {
		if at == f.size {
			return errors.New("an Arrow stream without an end marker; it is truncated, or was not closed")
		}
		message, err := s.message(f, at)
		if err != nil {
			return err
		}
		if message == nil {
			return nil
		}
		s.messages = append(s.messages, *message)
		at = message.at + int64(message.meta) + message.body
	}
}

// findInFile lists the schema, and the dictionaries and batches that the file's end names.
func (s *arrowSource) findInFile(f *File) error {
	tail := make([]byte, 4+len(arrowMagic))
	if f.size < int64(8+len(tail)) {
		return errors.New("the file is truncated")
	}
	if _, err := f.file.ReadAt(tail, f.size-int64(len(tail))); err != nil {
		return cutOff(err)
	}
	length := int64(binary.LittleEndian.Uint32(tail))
	if string(tail[4:]) != arrowMagic || length > min(maxArrowMeta, f.size-8-int64(len(tail))) {
		return errors.New("an Arrow file without a footer; it is truncated, or was not closed")
	}
	footer := make(flat, length)
	if _, err := f.file.ReadAt(footer, f.size-int64(len(tail))-length); err != nil {
		return cutOff(err)
	}
	at := []int64{8}
	root := footer.root()
	for _, slot := range []int{2, 3} { // dictionaries, batches
		blocks, n := footer.vector(root, slot, 24)
		for i := range n {
			at = append(at, int64(binary.LittleEndian.Uint64(footer[blocks+24*i:])))
		}
	}
	for _, at := range at {
		message, err := s.message(f, at)
		if err == nil && message == nil {
			err = errors.New("an empty message; the file is damaged")
		}
		if err != nil {
			return err
		}
		s.messages = append(s.messages, *message)
	}
	return nil
}

// message reads where a message lies, and checks what it says of itself; nil at a stream's end.
func (s *arrowSource) message(f *File, at int64) (*arrowMessage, error) {
	meta, at, err := arrowMeta(f, at)
	if meta == nil || err != nil {
		return nil, err
	}
	m := &arrowMessage{at: at, meta: len(meta)}
	if m.body, m.rows, err = meta.check(); err != nil {
		return nil, err
	}
	if m.body < 0 || m.body > f.size-at-int64(len(meta)) {
		return nil, fmt.Errorf("truncated: a message of %d bytes at byte %d of %d", m.body, at, f.size)
	}
	if m.body > maxArrowBody {
		return nil, fmt.Errorf("a record batch of %d MiB is too large; write smaller ones, with max_chunksize in pyarrow", m.body>>20)
	}
	return m, nil
}

// arrowMeta reads a message's head, and returns where it lies behind its length; nil at a stream's end.
func arrowMeta(f *File, at int64) (flat, int64, error) {
	next := func() (uint32, error) {
		var word [4]byte
		if at < 0 || at > f.size-4 {
			return 0, errors.New("the file is truncated, or not an Arrow file")
		}
		_, err := f.file.ReadAt(word[:], at)
		at += 4
		return binary.LittleEndian.Uint32(word[:]), err
	}
	length, err := next()
	if err == nil && length == 0xffffffff {
		length, err = next()
	}
	if err != nil || length == 0 {
		return nil, 0, err
	}
	if int64(length) > min(maxArrowMeta, f.size-at) {
		return nil, 0, fmt.Errorf("a message header of %d bytes at byte %d of %d; the file is truncated, or not an Arrow file", length, at, f.size)
	}
	meta := make(flat, length)
	if _, err := f.file.ReadAt(meta, at); err != nil {
		return nil, 0, cutOff(err)
	}
	return meta, at, nil
}

// open starts reading the file's messages.
func (s *arrowSource) open(f *File) (*ipc.Reader, error) {
	reader, err := ipc.NewReaderFromMessageReader(&arrowMessages{file: f, rest: s.messages}, ipc.WithAllocator(newLimited(f.size)))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	return reader, nil
}

// arrowMessages gives arrow-go the messages, one at a time.
type arrowMessages struct {
	file *File
	rest []arrowMessage
	last *ipc.Message
}

// Message returns the next message; the one before is no longer valid.
func (m *arrowMessages) Message() (*ipc.Message, error) {
	m.Release()
	if len(m.rest) == 0 {
		return nil, io.EOF
	}
	next := m.rest[0]
	m.rest = m.rest[1:]
	data := make([]byte, int64(next.meta)+next.body)
	if _, err := m.file.file.ReadAt(data, next.at); err != nil {
		return nil, cutOff(err)
	}
	if _, _, err := flat(data[:next.meta]).check(); err != nil { // again: the file may have changed
		return nil, err
	}
	meta := memory.NewBufferBytes(data[:next.meta:next.meta])
	body := memory.NewBufferBytes(data[next.meta:])
	defer meta.Release()
	defer body.Release()
	m.last = ipc.NewMessage(meta, body)
	return m.last, nil
}

// Release lets the last message go.
func (m *arrowMessages) Release() {
	if m.last != nil {
		m.last.Release()
		m.last = nil
	}
}

// Retain does nothing: there is one owner.
func (m *arrowMessages) Retain() {}

// choose divides the columns into features, label, and what is left out.
func (s *arrowSource) choose(f *File) error {
	fields := s.schema.Fields()
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = field.Name
	}
	if err := f.checkNames(names, "rename one"); err != nil {
		return err
	}
	features, label, err := f.pickColumns(names)
	if err != nil {
		return err
	}
	if s.label = label; label >= 0 && !canLabel(fields[label].Type) {
		return fmt.Errorf("read %s: data.label: column %s is %s; it must be text or numbers", f.path, shown([]byte(names[label])), typeText(fields[label].Type))
	}
	f.names = []string{}
	var used []kind
	nulls := false
	for _, i := range features {
		k := arrowKind(fields[i].Type)
		switch {
		case pandasIndex.MatchString(names[i]):
			f.leftOut = append(f.leftOut, names[i]+" (index of pandas)")
			continue
		case k == kindOther:
			f.leftOut = append(f.leftOut, fmt.Sprintf("%s (%s)", plain(names[i]), typeText(fields[i].Type)))
			continue
		}
		s.columns = append(s.columns, i)
		f.names, used = append(f.names, names[i]), append(used, k)
		nulls = nulls || f.options.Missing && fields[i].Nullable
	}
	f.dims, f.dtype = []int{len(f.names)}, typeOf(used, nulls)
	return nil
}

// typeText is a type in words; of nested ones only what they begin with.
func typeText(t arrow.DataType) string {
	const most = 60
	text := strings.ToValidUTF8(t.String(), "?")
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}

// arrowKind is the type of a column's numbers.
func arrowKind(t arrow.DataType) kind {
	switch t.ID() {
	case arrow.BOOL:
		return kindBool
	case arrow.UINT8:
		return kindUint8
	case arrow.UINT16:
		return kindUint16
	case arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.UINT32, arrow.UINT64, arrow.FLOAT16, arrow.FLOAT32, arrow.FLOAT64:
		return kindNumber
	}
	return kindOther
}

// canLabel says whether a column's values can be labels: text and numbers, and such in a dictionary.
func canLabel(t arrow.DataType) bool {
	if dictionary, is := t.(*arrow.DictionaryType); is {
		t = dictionary.ValueType
	}
	return arrowKind(t) != kindOther || slices.Contains([]arrow.Type{arrow.STRING, arrow.LARGE_STRING, arrow.STRING_VIEW}, t.ID())
}

func (s *arrowSource) each(b *batch) error {
	reader, err := s.open(b.file)
	if err != nil {
		return err
	}
	defer reader.Release()
	for reader.Next() {
		record := reader.RecordBatch()
		rows := int(record.NumRows())
		for from := 0; from < rows; {
			n := b.room(rows - from)
			for feature, column := range s.columns {
				if err := putArrow(b, record.Column(column), from, n, feature); err != nil {
					return err
				}
			}
			if s.label >= 0 {
				for i := range n {
					text, err := arrowLabel(record.Column(s.label), from+i)
					if err != nil {
						return b.refuseLabel(i, err)
					}
					b.labels = append(b.labels, text)
				}
			}
			if err := b.add(n); err != nil {
				return err
			}
			from += n
		}
	}
	if err := reader.Err(); err != nil && err != io.EOF {
		return fmt.Errorf("read %s: the file is damaged: %w", b.file.path, err)
	}
	return nil
}

// refuseLabel is an error of the label of row i of those being added.
func (b *batch) refuseLabel(i int, err error) error {
	return fmt.Errorf("read %s: %s: %w", b.file.path, b.place(i, -1), err)
}

// putArrow puts rows of a column in the batch.
func putArrow(b *batch, column arrow.Array, from, n, feature int) error {
	var missing func(int) bool
	if column.NullN() > 0 {
		missing = func(i int) bool { return column.IsNull(from + i) }
	}
	switch a := column.(type) {
	case *arrays.Boolean:
		return put(b, gather(n, func(i int) uint8 {
			if a.Value(from + i) {
				return 1
			}
			return 0
		}), feature, b.size, missing)
	case *arrays.Float16:
		return put(b, gather(n, func(i int) float32 { return half(a.Value(from + i).Uint16()) }), feature, b.size, missing)
	case *arrays.Uint8:
		return put(b, a.Uint8Values()[from:from+n], feature, b.size, missing)
	case *arrays.Int8:
		return put(b, a.Int8Values()[from:from+n], feature, b.size, missing)
	case *arrays.Uint16:
		return put(b, a.Uint16Values()[from:from+n], feature, b.size, missing)
	case *arrays.Int16:
		return put(b, a.Int16Values()[from:from+n], feature, b.size, missing)
	case *arrays.Uint32:
		return put(b, a.Uint32Values()[from:from+n], feature, b.size, missing)
	case *arrays.Int32:
		return put(b, a.Int32Values()[from:from+n], feature, b.size, missing)
	case *arrays.Uint64:
		return put(b, a.Uint64Values()[from:from+n], feature, b.size, missing)
	case *arrays.Int64:
		return put(b, a.Int64Values()[from:from+n], feature, b.size, missing)
	case *arrays.Float32:
		return put(b, a.Float32Values()[from:from+n], feature, b.size, missing)
	case *arrays.Float64:
		return put(b, a.Float64Values()[from:from+n], feature, b.size, missing)
	}
	return fmt.Errorf("read %s: column %s: unknown type %s", b.file.path, shown([]byte(b.file.names[feature])), column.DataType())
}

func gather[T number](n int, at func(i int) T) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = at(i)
	}
	return list
}

// arrowLabel is the label in a row.
func arrowLabel(column arrow.Array, row int) (string, error) {
	if column.IsNull(row) {
		return labelText("")
	}
	switch a := column.(type) {
	case *arrays.Dictionary:
		return arrowLabel(a.Dictionary(), a.GetValueIndex(row))
	case *arrays.String:
		return validLabel([]byte(a.Value(row)))
	case *arrays.LargeString:
		return validLabel([]byte(a.Value(row)))
	case *arrays.StringView:
		return validLabel([]byte(a.Value(row)))
	case *arrays.Boolean:
		return fmt.Sprint(a.Value(row)), nil
	case *arrays.Float16:
		return numberLabel(half(a.Value(row).Uint16()))
	case *arrays.Float32:
		return numberLabel(a.Value(row))
	case *arrays.Float64:
		return numberLabel(a.Value(row))
	case *arrays.Uint8:
		return labelOf(a.Value(row)), nil
	case *arrays.Int8:
		return labelOf(a.Value(row)), nil
	case *arrays.Uint16:
		return labelOf(a.Value(row)), nil
	case *arrays.Int16:
		return labelOf(a.Value(row)), nil
	case *arrays.Uint32:
		return labelOf(a.Value(row)), nil
	case *arrays.Int32:
		return labelOf(a.Value(row)), nil
	case *arrays.Uint64:
		return labelOf(a.Value(row)), nil
	case *arrays.Int64:
		return labelOf(a.Value(row)), nil
	}
	return "", fmt.Errorf("unknown type %s", column.DataType())
}
