package table

import (
	"encoding/binary"
	"errors"
)

// flat is a FlatBuffers message, as Arrow has them. Its methods panic where an offset leads out of it.
type flat []byte

// flatTable is where a table begins.
type flatTable int

func (m flat) root() flatTable { return m.table(0) }

// table follows the offset that lies at a place.
func (m flat) table(at int) flatTable { return flatTable(at + int(binary.LittleEndian.Uint32(m[at:]))) }

// field is where a table's field lies; 0 where the table has none.
func (m flat) field(t flatTable, slot int) int {
	fields := int(t) - int(int32(binary.LittleEndian.Uint32(m[t:])))
	if length := int(binary.LittleEndian.Uint16(m[fields:])); 4+2*slot+2 > length {
		return 0
	}
	offset := int(binary.LittleEndian.Uint16(m[fields+4+2*slot:]))
	if offset == 0 {
		return 0
	}
	return int(t) + offset
}

// vector is where a vector of a table lies, and how many items of so many bytes it has: no more than lie behind it.
func (m flat) vector(t flatTable, slot, item int) (at, n int) {
	field := m.field(t, slot)
	if field == 0 {
		return 0, 0
	}
	start := int(m.table(field))
	n = int(binary.LittleEndian.Uint32(m[start:]))
	if n > (len(m)-start-4)/item {
		panic(errFlat)
	}
	return start + 4, n
}

var errFlat = errors.New("a message's list is longer than the message")

// The types of a message's header, and of a column.
const (
	flatSchema     = 1
	flatDictionary = 2
	flatRecord     = 3

	flatTimestamp = 10
	flatUnion     = 14
)

// check refuses a message that would make its reader take more memory than it has bytes, and returns the size of its body and the
// rows of a record batch.
func (m flat) check() (body, rows int64, err error) {
	if len(m) < 8 {
		return 0, 0, errFlat
	}
	root := m.root()
	w := &flatWalk{flat: m, budget: len(m)}
	w.keys(root, 4)
	if at := m.field(root, 3); at != 0 {
		body = int64(binary.LittleEndian.Uint64(m[at:]))
	}
	kind, at := m.field(root, 1), m.field(root, 2)
	if kind == 0 || at == 0 {
		return 0, 0, errors.New("a message without a header")
	}
	header := m.table(at)
	switch m[kind] {
	case flatSchema:
		w.schema(header)
	case flatDictionary:
		if at := m.field(header, 1); at != 0 {
			w.record(m.table(at))
		}
	case flatRecord:
		w.record(header)
		if at := m.field(header, 0); at != 0 {
			rows = int64(binary.LittleEndian.Uint64(m[at:]))
		}
	}
	return body, rows, nil
}

// flatWalk goes through all that a reader of a message copies, and panics where that is more than the message has bytes, as it is
// where parts are named many times.
type flatWalk struct {
	flat
	budget int
}

func (w *flatWalk) spend(n int) {
	if w.budget -= n; w.budget < 0 {
		panic(errFlat)
	}
}

// text counts a text of a table.
func (w *flatWalk) text(t flatTable, slot int) {
	_, n := w.vector(t, slot, 1)
	w.spend(n)
}

// keys counts a list of pairs of texts.
func (w *flatWalk) keys(t flatTable, slot int) {
	at, n := w.vector(t, slot, 4)
	for i := range n {
		pair := w.table(at + 4*i)
		w.spend(4)
		w.text(pair, 0)
		w.text(pair, 1)
	}
}

func (w *flatWalk) schema(t flatTable) {
	w.fields(t, 1, 0)
	w.keys(t, 2)
}

// fields counts columns and what is nested in them.
func (w *flatWalk) fields(t flatTable, slot, depth int) {
	const maxDepth = 32
	if depth > maxDepth {
		panic(errFlat)
	}
	at, n := w.vector(t, slot, 4)
	for i := range n {
		field := w.table(at + 4*i)
		w.spend(4)
		w.text(field, 0)
		kind, of := w.field(field, 2), w.field(field, 3)
		if kind != 0 && of != 0 {
			switch w.flat[kind] {
			case flatTimestamp:
				w.text(w.table(of), 1) // the time zone
			case flatUnion:
				_, n := w.vector(w.table(of), 1, 4)
				w.spend(4 * n)
			}
		}
		w.fields(field, 5, depth+1)
		w.keys(field, 6)
	}
}

// record checks the lists of a record batch.
func (w *flatWalk) record(t flatTable) {
	w.vector(t, 1, 16)
	_, buffers := w.vector(t, 2, 16)
	counts, n := w.vector(t, 4, 8)
	for i := range n {
		if count := binary.LittleEndian.Uint64(w.flat[counts+8*i:]); count > uint64(buffers) {
			panic(errFlat)
		}
	}
}
