package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"latent/pkg/pythontest"
)

// sample has what is easily got wrong: an infinity, a negative zero, the least number, a scalar, and nothing at all.
func sample() []Tensor {
	return []Tensor{
		{"a.weight", []int{2, 3}, []float32{0, 0.125, 0.25, 0.375, 0.5, 0.625}},
		{"a.bias", []int{3}, []float32{float32(math.Inf(1)), float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32}},
		{"scalar", []int{}, []float32{2.5}},
		{"none", []int{0, 4}, []float32{}},
	}
}

func encode(t *testing.T, tensors []Tensor, metadata map[string]string) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := WriteSafetensors(&file, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestSafetensors(t *testing.T) {
	file := encode(t, sample(), map[string]string{"run": "β"})
	got, metadata, err := ReadSafetensors(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(metadata, map[string]string{"run": "β"}) {
		t.Errorf("metadata %v", metadata)
	}
	if want := byName(sample()); !reflect.DeepEqual(byName(got), want) {
		t.Errorf("read %v, want %v", got, want)
	}
	shuffled := sample()
	slices.Reverse(shuffled)
	if !bytes.Equal(encode(t, shuffled, map[string]string{"run": "β"}), file) {
		t.Error("the order of the tensors is in the file")
	}
	if start := 8 + binary.LittleEndian.Uint64(file); start%8 != 0 {
		t.Errorf("values begin at %d, want a multiple of 8", start)
	}
}

// An array's header as NumPy documents it: 128 bytes in all, a multiple of 64, and the values behind it.
func TestNPZ(t *testing.T) {
	var file, again bytes.Buffer
	for _, w := range []io.Writer{&file, &again} {
		if err := WriteNPZ(w, sample()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(file.Bytes(), again.Bytes()) {
		t.Error("equal tensors gave other bytes")
	}
	archive, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"(2, 3,)", "(3,)", "()", "(0, 4,)"} {
		entry, err := archive.File[i].Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(entry)
		if err != nil {
			t.Fatal(err)
		}
		head := "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': " + want + ", }"
		if !strings.HasPrefix(string(text), head) || text[127] != '\n' || len(text) != 128+4*len(sample()[i].Values) {
			t.Errorf("%s is %q", archive.File[i].Name, text)
		}
	}
}

func TestRefused(t *testing.T) {
	for want, tensors := range map[string][]Tensor{
		`two tensors are named "a"`:   {{"a", []int{1}, []float32{1}}, {"a", []int{1}, []float32{2}}},
		"has no name":                 {{"", []int{1}, []float32{1}}},
		"has 3 values":                {{"a", []int{2, 2}, []float32{1, 2, 3}}},
		`cannot be named "__metadata`: {{"__metadata__", []int{1}, []float32{1}}},
	} {
		if err := WriteSafetensors(io.Discard, tensors, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q", err, want)
		}
	}
}

// Files of anybody: none makes the reader take more memory than they have bytes, or panic.
func TestHostileSafetensors(t *testing.T) {
	file := func(header string, values int) []byte {
		return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header+strings.Repeat("\x00", values)...)
	}
	for want, bad := range map[string][]byte{
		"it is truncated":          []byte("LAT"),
		"not a safetensors file":   []byte("\x00\x00\x00\x00\x00\x00\x00\x7f{}"),
		"its header: ":             file(`{"a":`, 0),
		`its header, "a": `:        file(`{"a": 3}`, 0),
		`dtype "C64"`:              file(`{"a": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}`, 8),
		"more than the file holds": file(`{"a": {"dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 0]}}`, 4),
		"shape [-1]":               file(`{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}`, 4),
		"instead of 0 to 4":        file(`{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}`, 8),
		"instead of 4 to 8":        file(`{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}}`, 8),
		"9 bytes of values":        file(`{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}`, 9),
	} {
		if _, _, err := ReadSafetensors(bytes.NewReader(bad), int64(len(bad))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", bad, err, want)
		}
	}
	counted := file(`{"a": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}}`, 12)
	if got, _, err := ReadSafetensors(bytes.NewReader(counted), int64(len(counted))); err != nil || len(got) != 1 || got[0].Name != "b" {
		t.Errorf("beside a counter: %v, %v", got, err)
	}
	whole := encode(t, sample(), nil)
	for cut := range whole {
		if _, _, err := ReadSafetensors(bytes.NewReader(whole[:cut]), int64(cut)); err == nil {
			t.Fatalf("a file cut off after %d of %d bytes was read", cut, len(whole))
		}
	}
}

func FuzzReadSafetensors(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Add(append(binary.LittleEndian.AppendUint64(nil, 60), `{"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}aaaa`...))
	f.Fuzz(func(t *testing.T, file []byte) {
		tensors, _, err := ReadSafetensors(bytes.NewReader(file), int64(len(file)))
		if err == nil && check(tensors) != nil {
			t.Errorf("read %v", tensors)
		}
	})
}

func TestHalf(t *testing.T) {
	for bits, want := range map[uint16]float32{0: 0, 0x3c00: 1, 0xc000: -2, 0x3555: 0.333251953125, 1: 0x1p-24, 0x0400: 0x1p-14, 0x7bff: 65504} {
		if got := half(bits); got != want {
			t.Errorf("%#04x is %g, want %g", bits, got, want)
		}
	}
	if !math.IsInf(float64(half(0xfc00)), -1) || half(0x7e00) == half(0x7e00) {
		t.Errorf("infinity %g, NaN %g", half(0xfc00), half(0x7e00))
	}
}

// NumPy and safetensors themselves read what was written, and are read.
func TestPython(t *testing.T) {
	python := pythontest.Interpreter(t, "testdata/requirements.txt")
	dir := t.TempDir()
	var npz bytes.Buffer
	if err := WriteNPZ(&npz, sample()); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"weights.npz": npz.Bytes(), "weights.safetensors": encode(t, sample(), map[string]string{"run": "β"})} {
		if err := os.WriteFile(filepath.Join(dir, name), file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pythontest.Run(t, python, "testdata/check.py", dir)
	file, err := os.ReadFile(filepath.Join(dir, "python.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	got, metadata, err := ReadSafetensors(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	want := byName(append(sample(),
		Tensor{"half", []int{3}, []float32{0.333251953125, 0x1p-24, float32(math.Inf(-1))}},
		Tensor{"double", []int{1}, []float32{float32(1. / 3)}}))
	if !reflect.DeepEqual(byName(got), want) || metadata["by"] != "numpy" {
		t.Errorf("read %v with %v, want %v", got, metadata, want)
	}
}
