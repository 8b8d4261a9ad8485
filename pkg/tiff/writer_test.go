package tiff

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

// memory is a file in memory.
type memory struct {
	data []byte
	at   int
}

func (m *memory) Write(p []byte) (int, error) {
	m.data = append(m.data, make([]byte, max(0, m.at+len(p)-len(m.data)))...)
	m.at += copy(m.data[m.at:], p)
	return len(p), nil
}

func (m *memory) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart {
		return 0, errors.New("only from the start")
	}
	m.at = int(offset)
	return offset, nil
}

// pageOf is a page with values of all kinds.
func pageOf(dtype dtypes.DType, height, width, channels int, alpha Alpha, packed bool) Picture {
	p := Picture{Page: Page{Height: height, Width: width, Channels: channels, Type: dtype, Alpha: alpha, Packed: packed},
		Values: array.Make(dtype, height*width*channels)}
	for i := range p.Values.Len() {
		p.Values.Set(i, float64(i*i%65521)/float64([]int{1, 257}[len(p.Values.Uint8)&1&i]))
	}
	if dtype == dtypes.Float32 {
		copy(p.Values.Float32, []float32{-1.5, math.MaxFloat32, 1e-40})
	}
	return p
}

// allPages are pages of every kind that is written.
func allPages() []Picture {
	var pages []Picture
	for _, dtype := range []dtypes.DType{dtypes.Uint8, dtypes.Uint16, dtypes.Float32} {
		for _, packed := range []bool{false, true} {
			for _, c := range []struct {
				channels int
				alpha    Alpha
			}{{1, NoAlpha}, {2, Unassociated}, {2, NoAlpha}, {3, NoAlpha}, {4, Associated}, {4, Unassociated}, {4, NoAlpha}, {7, NoAlpha}} {
				pages = append(pages, pageOf(dtype, 5, 3, c.channels, c.alpha, packed))
			}
			pages = append(pages, pageOf(dtype, 700, 401, 1, NoAlpha, packed), pageOf(dtype, 1, 1, 1, NoAlpha, packed))
		}
	}
	return pages
}

// someFields are some of all types, with directories below.
func someFields() []Field {
	return []Field{
		{Tag: 271, Type: 2, Data: []byte("Maker of cameras\x00")},
		{Tag: TagXResolution, Type: 5, Data: []byte{44, 1, 0, 0, 1, 0, 0, 0}}, {Tag: TagResolutionUnit, Type: 3, Data: []byte{2, 0}},
		{Tag: tagEXIF, Fields: []Field{{Tag: 0x829a, Type: 5, Data: []byte{1, 0, 0, 0, 125, 0, 0, 0}}, {Tag: 0x8827, Type: 3, Data: []byte{200, 0}}}},
		{Tag: TagICC, Type: 7, Data: bytes.Repeat([]byte("profile"), 99)},
		{Tag: tagGPS, Fields: []Field{{Tag: 1, Type: 2, Data: []byte("N\x00")}}},
	}
}

func writeAll(t testing.TB, most int64, pages []Picture, fields []Field) []byte {
	t.Helper()
	var file memory
	w, err := NewWriter(&file, most)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if err := w.Add(p, fields); err != nil {
			t.Fatal(err)
		}
	}
	return file.data
}

// Pages of all kinds come back as they were written, to the bit, with their fields; in one file, classic or BigTIFF.
func TestWriter(t *testing.T) {
	for name, most := range map[string]int64{"II*\x00": 0, "II+\x00": math.MaxUint32 + 1} {
		pages, fields := allPages(), someFields()
		data := writeAll(t, most, pages, fields)
		if string(data[:4]) != name {
			t.Errorf("it begins with %q, want %q", data[:4], name)
		}
		f, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Pages()) != len(pages) {
			t.Fatalf("%d pages of %d", len(f.Pages()), len(pages))
		}
		for i, want := range pages {
			got, err := f.Read(i)
			if err != nil || got.Page != want.Page || !bytes.Equal(got.Values.Bytes(), want.Values.Bytes()) {
				t.Errorf("page %d: %+v of %+v, %v", i+1, got.Page, want.Page, err)
			}
			if got := f.Fields(i); !reflect.DeepEqual(got, fields) {
				t.Errorf("page %d: fields %v, want %v", i+1, got, fields)
			}
		}
	}
}

// Fields of a big-endian file are read as little-endian ones; offsets of makers and the picture's size are left out, and so is what lies
// beyond the file's end.
func TestFieldsOfOther(t *testing.T) {
	file := write(binary.BigEndian, false, grey(1, 1, 1).with(map[uint16][]uint64{
		TagResolutionUnit: {3}, 306: {70000, 1}, TagICC: {1, 2, 0x304}, tagGPS: {1 << 30}, 270: {65},
	}))
	f, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	want := []Field{
		{Tag: TagResolutionUnit, Type: 3, Data: []byte{3, 0}}, {Tag: 306, Type: 4, Data: []byte{0x70, 0x11, 1, 0, 1, 0, 0, 0}},
		{Tag: TagICC, Type: 3, Data: []byte{1, 0, 2, 0, 4, 3}},
	}
	if got := f.Fields(0); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A page whose values are not as many as it says, and an unfit field, are refused.
func TestWriterRefuses(t *testing.T) {
	w, err := NewWriter(&memory{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := pageOf(dtypes.Uint8, 2, 2, 1, NoAlpha, false)
	p.Width = 3
	if err := w.Add(p, nil); err == nil || !strings.Contains(err.Error(), "3×2 pixels, 1 channels and 4 values") {
		t.Error(err)
	}
	p.Width = 2
	if err := w.Add(p, []Field{{Tag: 700, Type: 3, Data: []byte{1}}}); err == nil {
		t.Error("half a number was written")
	}
}

// writeForPython writes files of all kinds for a script that reads them, each with its values.
func writeForPython(t *testing.T, dir string) {
	t.Helper()
	for name, most := range map[string]int64{"classic": 0, "big": math.MaxUint32 + 1} {
		pages := allPages()
		if err := os.WriteFile(filepath.Join(dir, name+".tif"), writeAll(t, most, pages, someFields()), 0o644); err != nil {
			t.Fatal(err)
		}
		var values []byte
		for _, p := range pages {
			values = append(values, p.Values.Bytes()...)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".bin"), values, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
