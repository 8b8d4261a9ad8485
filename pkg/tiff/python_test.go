package tiff

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/pythontest"
)

// Files of tifffile and Pillow in all variants have the values that NumPy had, to the bit; those that are not read are refused by name.
func TestPython(t *testing.T) {
	python := pythontest.Interpreter(t, "testdata/requirements.txt")
	dir := t.TempDir()
	pythontest.Run(t, python, "testdata/write.py", dir)
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	type page struct {
		Type      string
		Shape     [3]int
		Values    string
		Alpha     Alpha
		Auxiliary bool
	}
	var index []struct {
		File    string
		Refused string
		Pages   []page
	}
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	values := map[string][]byte{}
	for _, file := range index {
		data, err := os.ReadFile(filepath.Join(dir, file.File))
		if err != nil {
			t.Fatal(err)
		}
		f, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Errorf("%s: %v", file.File, err)
			continue
		}
		if file.Refused != "" {
			if _, err := f.Read(0); err == nil || !strings.Contains(err.Error(), file.Refused) {
				t.Errorf("%s: %v, want %q", file.File, err, file.Refused)
			}
			continue
		}
		if len(f.Pages()) != len(file.Pages) {
			t.Errorf("%s: %d pages, want %d", file.File, len(f.Pages()), len(file.Pages))
			continue
		}
		for i, want := range file.Pages {
			if values[want.Values] == nil {
				if values[want.Values], err = os.ReadFile(filepath.Join(dir, want.Values)); err != nil {
					t.Fatal(err)
				}
			}
			p, err := f.Read(i)
			if err != nil {
				t.Errorf("%s: %v", file.File, err)
				continue
			}
			got := page{p.Values.Type().String(), [3]int{p.Height, p.Width, p.Channels}, want.Values, p.Alpha, p.Auxiliary}
			if strings.ToLower(got.Type) != want.Type {
				t.Errorf("%s, page %d: %s, want %s", file.File, i, got.Type, want.Type)
			}
			if got.Type = want.Type; got != want {
				t.Errorf("%s, page %d: %+v, want %+v", file.File, i, got, want)
			}
			if !bytes.Equal(p.Values.Bytes(), values[want.Values]) {
				t.Errorf("%s, page %d: other values", file.File, i)
			}
		}
	}
	t.Logf("%d files", len(index))
}

// tifffile reads what is written, to the bit, with its fields.
func TestPythonReads(t *testing.T) {
	python, dir := pythontest.Interpreter(t, "testdata/requirements.txt"), t.TempDir()
	writeForPython(t, dir)
	pythontest.Run(t, python, "testdata/read.py", dir)
}
