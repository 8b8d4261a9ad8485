package table

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
	"latent/pkg/pythontest"
)

// Files that NumPy, pandas and pyarrow wrote, of all types, orders, encodings and packings, are read to the bit.
func TestPythonWrites(t *testing.T) {
	python := pythontest.Interpreter(t, "testdata/requirements.txt")
	dir := t.TempDir()
	pythontest.Run(t, python, "testdata/make.py", dir)
	text, err := os.ReadFile(filepath.Join(dir, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	var files []struct {
		File, Label, Dtype          string
		Dims                        []int
		Names, Labels, Ignore, Left []string
		Missing                     bool
		Rows                        int
	}
	if err := json.Unmarshal(text, &files); err != nil {
		t.Fatal(err)
	}
	for _, want := range files {
		got, err := readAll(filepath.Join(dir, want.File), Options{Label: want.Label, Missing: want.Missing, Ignore: want.Ignore})
		if err != nil {
			t.Error(err)
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, want.File+".expect"))
		if err != nil {
			t.Fatal(err)
		}
		same := len(raw) == 4*got.values.Len() && got.values.Type().String() == want.Dtype
		for i := 0; same && i < got.values.Len(); i++ {
			x, y := float32(got.values.At(i)), math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			if x != y && (x == x || y == y) || math.Signbit(float64(x)) != math.Signbit(float64(y)) && x == x {
				t.Errorf("%s: value %d is %v, want %v", want.File, i, x, y)
				break
			}
		}
		if !same || got.rows != want.Rows || !slices.Equal(got.dims, want.Dims) || !reflect.DeepEqual(got.names, want.Names) || !slices.Equal(got.labels, want.Labels) {
			t.Errorf("%s: %d values of %s, %d rows of %v, names %q, %d labels, want %+v", want.File, got.values.Len(), got.values.Type(), got.rows, got.dims,
				got.names, len(got.labels), want.Names)
		}
		var left []string
		for _, column := range got.leftOut {
			name, _, _ := strings.Cut(column, " (")
			left = append(left, name)
		}
		if !slices.Equal(left, want.Left) {
			t.Errorf("%s: left out %q, want %q", want.File, got.leftOut, want.Left)
		}
	}
	t.Logf("%d files", len(files))
}

// What is written here, NumPy, pandas and pyarrow read to the bit.
func TestPythonReads(t *testing.T) {
	python := pythontest.Interpreter(t, "testdata/requirements.txt")
	dir := t.TempDir()
	names := []string{"a", "b c", "d,e", `f"g`, "h;i", "ä"}
	for kind, dtype := range map[string]dtypes.DType{"uint8": dtypes.Uint8, "uint16": dtypes.Uint16, "float32": dtypes.Float32} {
		const n = 6 * 20_000
		values := array.Make(dtype, n)
		state := uint32(1)
		for i := range n {
			state = state*1664525 + 1013904223 // any bits
			switch dtype {
			case dtypes.Uint8:
				values.Uint8[i] = uint8(state >> 13)
			case dtypes.Uint16:
				values.Uint16[i] = uint16(state >> 13)
			default:
				if values.Float32[i] = math.Float32frombits(state); math.IsInf(float64(values.Float32[i]), 0) {
					values.Float32[i] = 0
				}
			}
		}
		path := filepath.Join(dir, kind)
		for _, extension := range Writes() {
			if err := Write(path+extension, names, values, n/6, 6); err != nil {
				t.Fatal(err)
			}
		}
		if err := Write(path+"-images.npy", nil, values, n/12, 2, 3, 2); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".raw", values.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pythontest.Run(t, python, "testdata/check.py", dir)
}
