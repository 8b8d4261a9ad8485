package weights

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// The format of safetensors, version 0.x: 8 bytes with the length of the header, little-endian; the header, a JSON object of
// name to dtype, shape and data_offsets, with text under __metadata__; and the values, without gaps. The header begins with { and
// may be padded with blanks.
const (
	metadataKey = "__metadata__"
	// maxHeader bounds the header that is read. A tensor takes about 100 bytes of it.
	maxHeader = 16 << 20
)

// entry is a tensor in the header.
type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"` // of the values' beginning
}

// WriteSafetensors writes tensors, in the order of their names, with metadata.
func WriteSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	if err := check(tensors); err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	tensors = byName(tensors)
	header := map[string]any{}
	if len(metadata) > 0 {
		header[metadataKey] = metadata
	}
	offset := int64(0)
	for _, t := range tensors {
		if t.Name == metadataKey {
			return fmt.Errorf("write safetensors: a tensor cannot be named %q", t.Name)
		}
		end := offset + 4*int64(len(t.Values))
		header[t.Name] = entry{DType: "F32", Shape: append([]int{}, t.Dims...), Offsets: [2]int64{offset, end}}
		offset = end
	}
	head, err := json.Marshal(header) // in the order of the keys
	if err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	for len(head)%8 > 0 {
		head = append(head, ' ')
	}
	if _, err := w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...)); err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	for _, t := range tensors {
		if err := binary.Write(w, binary.LittleEndian, t.Values); err != nil {
			return fmt.Errorf("write safetensors: %s: %w", t.Name, err)
		}
	}
	return nil
}

// wholeTypes are those of whole numbers, with the size of a value in bytes: weights have none, but counters beside them, such as those of
// PyTorch's batch norms, which are passed over.
var wholeTypes = map[string]int{"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}

// dtypes are those that are read, with the size of a value in bytes and how it becomes a float32. F64 is rounded.
var dtypes = map[string]struct {
	size  int
	value func([]byte) float32
}{
	"F32":  {4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }},
	"F64":  {8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }},
	"BF16": {2, func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }},
	"F16":  {2, func(b []byte) float32 { return half(binary.LittleEndian.Uint16(b)) }},
}

// half is the value of a float16's bits (IEEE 754, binary16).
func half(bits uint16) float32 {
	sign, exponent, fraction := float64(1), int(bits>>10&31), float64(bits&1023)/1024
	if bits>>15 == 1 {
		sign = -1
	}
	switch exponent {
	case 0:
		return float32(sign * math.Ldexp(fraction, -14))
	case 31:
		if fraction > 0 {
			return float32(math.NaN())
		}
		return float32(math.Inf(int(sign)))
	}
	return float32(sign * math.Ldexp(1+fraction, exponent-15))
}

// ReadSafetensors reads a file of size bytes: its tensors in the order of their values, and the metadata. Those of whole numbers are left out.
func ReadSafetensors(r io.Reader, size int64) ([]Tensor, map[string]string, error) {
	tensors, metadata, err := readSafetensors(r, size)
	if err != nil {
		return nil, nil, fmt.Errorf("read safetensors: %w", err)
	}
	return tensors, metadata, nil
}

func readSafetensors(r io.Reader, size int64) ([]Tensor, map[string]string, error) {
	entries, metadata, err := readHeader(r, size)
	if err != nil {
		return nil, nil, err
	}
	var tensors []Tensor
	for _, e := range entries {
		bytes := make([]byte, e.Size)
		if _, err := io.ReadFull(r, bytes); err != nil {
			return nil, nil, cutOff(err)
		}
		dtype, float := dtypes[e.DType]
		if !float {
			continue
		}
		t := Tensor{Name: e.Name, Dims: e.Dims, Values: make([]float32, len(bytes)/dtype.size)}
		for i := range t.Values {
			t.Values[i] = dtype.value(bytes[i*dtype.size:])
		}
		tensors = append(tensors, t)
	}
	return tensors, metadata, nil
}

// Entry is where a tensor's values lie in a safetensors file.
type Entry struct {
	Name  string
	DType string // F32, F64, F16 or BF16; or one of whole numbers
	Dims  []int
	Begin int64 // of the values, from the file's beginning
	Size  int64 // of them, in bytes
}

// ReadSafetensorsHeader reads what a file of size bytes says of its tensors, in the order of their values, which fill the rest of the
// file.
func ReadSafetensorsHeader(r io.Reader, size int64) ([]Entry, error) {
	entries, _, err := readHeader(r, size)
	return entries, err
}

func readHeader(r io.Reader, size int64) ([]Entry, map[string]string, error) {
	var prefix [8]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, nil, cutOff(err)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if length > maxHeader || int64(length) > size-8 {
		return nil, nil, fmt.Errorf("a header of %d bytes in a file of %d: not a safetensors file, or truncated", length, size)
	}
	head := make([]byte, length)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, nil, cutOff(err)
	}
	entries, metadata, err := parseHeader(head)
	if err != nil {
		return nil, nil, err
	}
	names := slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		from, to := entries[a].Offsets, entries[b].Offsets
		return cmp.Or(cmp.Compare(from[0], to[0]), cmp.Compare(from[1], to[1]), cmp.Compare(a, b))
	})
	if err := checkOffsets(names, entries, size-8-int64(length)); err != nil {
		return nil, nil, err
	}
	var list []Entry
	for _, name := range names {
		e := entries[name]
		list = append(list, Entry{name, e.DType, e.Shape, 8 + int64(length) + e.Offsets[0], e.Offsets[1] - e.Offsets[0]})
	}
	return list, metadata, nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it is truncated")
	}
	return err
}

func parseHeader(head []byte) (map[string]entry, map[string]string, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(head, &raw); err != nil {
		return nil, nil, fmt.Errorf("its header: %w", err)
	}
	var metadata map[string]string
	entries := map[string]entry{}
	for name, value := range raw {
		var err error
		if name == metadataKey {
			err = json.Unmarshal(value, &metadata)
		} else {
			var e entry
			err = json.Unmarshal(value, &e)
			entries[name] = e
		}
		if err != nil {
			return nil, nil, fmt.Errorf("its header, %.100q: %w", name, err)
		}
	}
	return entries, metadata, nil
}

// checkOffsets wants the tensors' values to fill the rest of the file, in this order, each as its shape and dtype say.
func checkOffsets(names []string, entries map[string]entry, rest int64) error {
	at := int64(0)
	for _, name := range names {
		e := entries[name]
		size := int64(dtypes[e.DType].size)
		if whole, known := wholeTypes[e.DType]; known {
			size = int64(whole)
		} else if size == 0 {
			return fmt.Errorf("tensor %.100q has dtype %.20q; the supported dtypes are %s", name, e.DType, strings.Join(slices.Sorted(maps.Keys(dtypes)), ", "))
		}
		for _, dim := range e.Shape {
			if dim < 0 || dim > 0 && size > rest/int64(dim) {
				return fmt.Errorf("tensor %.100q has shape %.100s, more than the file holds", name, fmt.Sprint(e.Shape))
			}
			size *= int64(dim)
		}
		if e.Offsets != [2]int64{at, at + size} {
			return fmt.Errorf("tensor %.100q is at bytes %d to %d instead of %d to %d", name, e.Offsets[0], e.Offsets[1], at, at+size)
		}
		at += size
	}
	if at != rest {
		return fmt.Errorf("%d bytes of values, but its tensors need %d", rest, at)
	}
	return nil
}
