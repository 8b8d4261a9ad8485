package table

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"latent/pkg/weights"
)

// safetensorsSource reads a tensor of a .safetensors file, [samples, …].
type safetensorsSource struct {
	entry  weights.Entry
	header *npyHeader
}

// safetensorsTypes are the types of a tensor's numbers as NumPy's kinds, with their sizes in bytes.
var safetensorsTypes = map[string]struct {
	kind byte
	item int
}{
	"F64": {'f', 8}, "F32": {'f', 4}, "F16": {'f', 2}, "BF16": {'B', 2}, "BOOL": {'b', 1},
	"U8": {'u', 1}, "U16": {'u', 2}, "U32": {'u', 4}, "U64": {'u', 8}, "I8": {'i', 1}, "I16": {'i', 2}, "I32": {'i', 4}, "I64": {'i', 8},
}

func (s *safetensorsSource) head(f *File) error {
	entries, err := weights.ReadSafetensorsHeader(io.NewSectionReader(f.file, 0, f.size), f.size)
	if err == nil {
		s.entry, err = pickTensor(f, entries)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	if f.options.Label != "" {
		return fmt.Errorf("read %s: data.label: a .safetensors file has no labels; save both as .npz", f.path)
	}
	dtype := safetensorsTypes[s.entry.DType]
	s.header = &npyHeader{order: binary.LittleEndian, kind: dtype.kind, item: dtype.item, shape: s.entry.Dims, length: s.entry.Begin}
	if err := s.header.rows(f); err != nil {
		return fmt.Errorf("read %s: tensor %s: %w", f.path, plain(s.entry.Name), err)
	}
	return nil
}

// pickTensor chooses the tensor of samples: that of Options.Array, the only one, or the only one with a usual name.
func pickTensor(f *File, entries []weights.Entry) (weights.Entry, error) {
	var names, shapes []string
	var usual []weights.Entry
	for _, e := range entries {
		names, shapes = append(names, e.Name), append(shapes, fmt.Sprintf("%s %v", e.Name, e.Dims))
		if e.Name == f.options.Array {
			return e, nil
		}
		if slices.Contains(usualNames, e.Name) || slices.Contains(activationNames, e.Name) {
			usual = append(usual, e)
		}
	}
	switch {
	case f.options.Array != "":
		return weights.Entry{}, fmt.Errorf("data.array: there is no tensor %q; the tensors are %s", f.options.Array, List(names))
	case len(entries) == 1:
		return entries[0], nil
	case len(usual) == 1:
		return usual[0], nil
	case len(entries) == 0:
		return weights.Entry{}, fmt.Errorf("it has no tensors")
	}
	return weights.Entry{}, fmt.Errorf("several tensors could be the samples; choose one with data.array: %s", List(shapes))
}

// activationNames are what tensors of activations are often named.
var activationNames = []string{"activations", "acts", "hidden_states"}

func (s *safetensorsSource) each(b *batch) error {
	return s.header.eachRow(b, io.NewSectionReader(b.file.file, s.entry.Begin, s.entry.Size), noLabels)
}
