package table

import (
	"archive/zip"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/ipc"

	"latent/pkg/array"
)

// read reads whatever bytes as a file of a format, up to some rows, and checks what every file must give.
func read(t *testing.T, path string, data []byte, o Options) {
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path, o)
	if err != nil {
		checkError(t, path, err)
		return
	}
	defer f.Close()
	size, ok := product(f.Dims()...)
	if !ok || size < 1 || f.Names() != nil && len(f.Names()) != size {
		t.Fatalf("shape %v, names %q", f.Dims(), f.Names())
	}
	stop := errors.New("enough")
	rows := 0
	err = f.Each(context.Background(), func(r Rows) error {
		n := r.Values.Len() / size
		if n < 1 || r.Values.Len()%size != 0 || r.Values.Type() != f.Type() || o.Label != "" && len(r.Labels) != n {
			t.Fatalf("%d numbers of %s, %d labels", r.Values.Len(), r.Values.Type(), len(r.Labels))
		}
		for i := range r.Values.Len() {
			if v := r.Values.At(i); math.IsInf(v, 0) || math.IsNaN(v) && !o.Missing {
				t.Fatalf("%v", v)
			}
		}
		for _, label := range r.Labels {
			if label == "" || strings.ToValidUTF8(label, "") != label {
				t.Fatalf("label %q", label)
			}
		}
		if rows += n; rows > 1<<20 {
			return stop
		}
		return nil
	})
	if err == stop {
		return
	}
	if err != nil {
		checkError(t, path, err)
	} else if f.Len() >= 0 && f.Len() != rows {
		t.Fatalf("%d rows of %d", rows, f.Len())
	}
}

// checkError wants the file's name in an error, once, and one line.
func checkError(t *testing.T, path string, err error) {
	if text := err.Error(); strings.Count(text, path) != 1 || len(text) > 2500+len(path) || strings.Contains(text, "\n") {
		t.Fatalf("error %q", text)
	}
}

func fuzz(f *testing.F, name string, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	debug.SetMemoryLimit(1 << 30)
	path := filepath.Join(f.TempDir(), name)
	f.Fuzz(func(t *testing.T, data []byte, labelled bool) {
		o := Options{Missing: labelled}
		if labelled {
			o.Label = "y"
		}
		read(t, path, data, o)
	})
}

func FuzzNPY(f *testing.F) {
	fuzz(f, "x.npy", npy(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2)}", "\x01\x02\x03\x04"),
		npy(2, "{'descr': '>f8', 'fortran_order': False, 'shape': (1, 1, 1, 1)}", "\x01\x02\x03\x04\x05\x06\x07\x08"),
		npy(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2L,), }\n", "\x01\x02"))
}

func FuzzNPZ(f *testing.F) {
	x := npy(1, "{'descr': '|i2', 'fortran_order': True, 'shape': (2, 1)}", "\x01\x02\x03\x04")
	y := npy(1, "{'descr': '<U1', 'fortran_order': False, 'shape': (2,)}", "a\x00\x00\x00b\x00\x00\x00")
	fuzz(f, "x.npz", npz(zip.Store, "x", x, "y", y), npz(zip.Deflate, "x", x, "y", y), npz(zip.Store, "x", x))
}

func FuzzCSV(f *testing.F) {
	fuzz(f, "x.csv", "a,y\n1,b\n2,c\n", "a;y\r\n\"1\";\"b\"\"\n\"\r\n", "1,2\n,16777217\n", "a,b\n1e5,nan\n?, -3.5 \n")
}

func FuzzParquet(f *testing.F) {
	path := filepath.Join(f.TempDir(), "x.parquet")
	var seeds []string
	for _, values := range []array.Values{{Float32: []float32{1, 2, 3, 4}}, {Uint8: []uint8{1, 2, 3, 4}}} {
		if err := Write(path, []string{"a", "y"}, values, 2, 2); err != nil {
			f.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, string(data))
	}
	more, err := filepath.Glob("testdata/*.parquet")
	if err != nil || more == nil {
		f.Fatal(err)
	}
	for _, path := range more {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, string(data))
	}
	fuzz(f, "x.parquet", seeds...)
}

func FuzzArrow(f *testing.F) {
	var seeds []string
	for _, stream := range []bool{false, true} {
		for _, options := range [][]ipc.Option{nil, {ipc.WithZstd()}, {ipc.WithLZ4()}} {
			seeds = append(seeds, strings.ReplaceAll(arrowText(f, stream, options...), "label", "y\x00\x00\x00\x00"), arrowText(f, stream, options...))
		}
	}
	fuzz(f, "x.arrow", seeds...)
}
