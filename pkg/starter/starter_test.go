package starter_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"golang.org/x/image/tiff"

	"latent/pkg/array"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/starter"
	"latent/pkg/table"
)

// write writes a file with its folders.
func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// shade draws a picture whose pixels a function gives, from 0 to 1, and encodes it by the file's name.
func shade(t testing.TB, path string, height, width int, at func(x, y int) color.Color) {
	t.Helper()
	bounds := image.Rect(0, 0, width, height)
	canvas := image.NewNRGBA(bounds)
	for y := range height {
		for x := range width {
			canvas.Set(x, y, at(x, y))
		}
	}
	var err error
	var data bytes.Buffer
	switch filepath.Ext(path) {
	case ".jpg":
		err = jpeg.Encode(&data, canvas, nil)
	case ".gif":
		err = gif.Encode(&data, canvas, nil)
	default:
		err = png.Encode(&data, canvas)
	}
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, data.Bytes())
}

// grey is a picture of one smooth shade after another.
func grey(seed int) func(x, y int) color.Color {
	return func(x, y int) color.Color { return color.Gray{uint8(128 + 100*math.Sin(float64(x+2*y+seed)/9))} }
}

func coloured(x, y int) color.Color { return color.NRGBA{uint8(5 * x), uint8(5 * y), 30, 255} }

// made writes a config, and loads the data as a run would: with what the config says, there must be enough for it.
func made(t testing.TB, o starter.Options, data ...string) (string, *config.Experiment, *dataset.Split) {
	t.Helper()
	s, err := starter.Write(context.Background(), data, o)
	if err != nil {
		t.Fatal(err)
	}
	e, split := works(t, s.Text)
	return string(s.Text), e, split
}

// works wants a config that runs.
func works(t testing.TB, text []byte) (*config.Experiment, *dataset.Split) {
	t.Helper()
	e, err := config.Parse("experiment.yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	split, err := e.Data.Load(context.Background(), dataset.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	train := split.Train
	if train.Len() < e.Train.BatchSize || split.Test.Len() == 0 || split.Validation.Len() != e.Data.ValidationImages() {
		t.Errorf("%d samples to train on in batches of %d, %d held out, %d for the test:\n%s",
			train.Len(), e.Train.BatchSize, split.Validation.Len(), split.Test.Len(), text)
	}
	if model.PictorialBy(e.Model) != "" && train.Vectors() {
		t.Errorf("a model of pictures for vectors:\n%s", text)
	}
	if len(e.Model.Layers(model.Image{Height: train.Height, Width: train.Width, Channels: train.Channels})) == 0 {
		t.Error("no layers")
	}
	for i, line := range strings.Split(string(text), "\n") {
		if strings.TrimRight(line, " ") != line {
			t.Errorf("line %d ends in spaces: %q", i+1, line)
		}
	}
	return e, split
}

// contains wants parts of a text.
func contains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(text, "\n#", "\n")), " "), part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

// refused wants an error with parts.
func refused(t testing.TB, o starter.Options, data string, parts ...string) {
	t.Helper()
	s, err := starter.Write(context.Background(), []string{data}, o)
	if err == nil {
		t.Errorf("%s: no error, but\n%s", data, s.Text)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %q, want %q in it", data, err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: error of several lines: %q", data, err)
	}
}

// Pictures of all sorts.
func TestPictures(t *testing.T) {
	tests := map[string]struct {
		make func(dir string)
		want []string
	}{
		"grey in the files of colours": {
			func(dir string) {
				for i := range 30 {
					shade(t, fmt.Sprintf("%s/%02d.png", dir, i), 40, 40, grey(i))
				}
			},
			[]string{"30 .png, grey, all 40×40, 8 bits", "colour: grey # the files have colours, which are all grey", "height: 40", "kind: unet", "kind: gaussian"},
		},
		"colours, of several sizes": {
			func(dir string) {
				for i := range 30 {
					shade(t, fmt.Sprintf("%s/%02d.jpg", dir, i), 120+i, 240, coloured)
				}
				write(t, dir+"/a.heic", []byte("x"))
				write(t, dir+"/b.heic", []byte("x"))
			},
			[]string{"30 .jpg, in colour, from 240×120 to 240×149", "Left out: 2 .heic", "colour: rgb", "height: 48 # of 240×135", "width: 88"},
		},
		"classes, and one that is damaged": {
			func(dir string) {
				for i := range 24 {
					shade(t, fmt.Sprintf("%s/%s/%02d.png", dir, []string{"cat", "dog: #1"}[i%2], i), 16, 16, grey(i))
				}
				write(t, dir+"/cat/x.png", []byte("no picture"))
			},
			[]string{"Classes by folder: cat (13), dog: #1 (12).", "Cannot be used: cat/x.png", "on_bad: skip", "channels: ["},
		},
		"tiny ones": {
			func(dir string) {
				for i := range 12 {
					shade(t, fmt.Sprintf("%s/%02d.gif", dir, i), 4, 6, grey(i))
				}
			},
			[]string{"12 .gif", "all 6×4", "kind: dense"},
		},
		"16 bits, of which few are used": {
			func(dir string) {
				for i := range 12 {
					deep := image.NewGray16(image.Rect(0, 0, 24, 24))
					for j := range 24 * 24 {
						deep.SetGray16(j%24, j/24, color.Gray16{uint16(1000 + 3*j + i)})
					}
					var data bytes.Buffer
					if err := tiff.Encode(&data, deep, nil); err != nil {
						t.Fatal(err)
					}
					write(t, fmt.Sprintf("%s/%02d.tif", dir, i), data.Bytes())
				}
			},
			[]string{"16 bits", "Values go from 1000 to 2736", "scale: {kind: percentile, low: 0.1, high: 99.9} # values use 2.6 % of their range"},
		},
		"masks beside them": {
			func(dir string) {
				for i := range 20 {
					shade(t, fmt.Sprintf("%s/%02d.jpg", dir, i), 32, 32, grey(i))
					shade(t, fmt.Sprintf("%s/%02d.png", dir, i), 32, 32, func(x, y int) color.Color { return color.Gray{uint8(255 * (x / 16))} })
				}
			},
			[]string{"20 .png files have the names of pictures and two values each", "/*.jpg"},
		},
		"more than are looked at": {
			func(dir string) {
				shade(t, dir+"/0000.png", 8, 8, grey(0))
				data, err := os.ReadFile(dir + "/0000.png")
				if err != nil {
					t.Fatal(err)
				}
				for i := range 2100 {
					write(t, fmt.Sprintf("%s/%04d.png", dir, i), data)
				}
			},
			[]string{"2,100 .png", "Looked at: the headers of 2,000 files, evenly spread.", "at the end: about", "on_bad: skip # not all"},
		},
		"very few": {
			func(dir string) {
				for i := range 5 {
					shade(t, fmt.Sprintf("%s/%02d.png", dir, i), 64, 64, grey(i))
				}
			},
			[]string{"test_fraction: "},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			test.make(dir)
			text, _, _ := made(t, starter.Options{}, dir)
			contains(t, text, test.want...)
		})
	}
}

// Paths that YAML would take for something else are the same again, and a relative one stays so.
func TestPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"my pictures", "a: b", "#1", "it's", `say "so"`, "ünïcode 写真", "- x", "true", "2026", "a\tb", "line\nbreak", "[x]", "{y}", "*star", "&and", "!bang", "50%", "`tick`", "@at", "🙂", "x "} {
		for i := range 12 {
			shade(t, fmt.Sprintf("%s/%02d.png", dir, i), 8, 8, grey(i))
		}
		_, e, _ := made(t, starter.Options{}, dir)
		if got := e.Data.(*dataset.Folder).Dir; !slices.Equal(got, []string{dir}) {
			t.Errorf("dir %q, want %q", got, dir)
		}
	}
	_, e, _ := made(t, starter.Options{}, "my pictures", "#1")
	if got := e.Data.(*dataset.Folder).Dir; !slices.Equal(got, []string{"my pictures", "#1"}) {
		t.Errorf("dir %q", got)
	}
	text, _, _ := made(t, starter.Options{}, "my pictures/*1*.png", "2026/*.png")
	contains(t, text, "- my pictures/*1*.png")
}

// csv is a table with columns of many sorts.
func csv(rows int, header bool) string {
	draw := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	if header {
		text.WriteString("nr,temperature,pressure: #1,remark,state,fixed,gap,mixed\n")
	}
	for i := range rows {
		gap, mixed := fmt.Sprint(draw.NormFloat64()), fmt.Sprint(draw.IntN(100))
		if i%10 == 3 {
			gap = "NA"
		}
		if i%50 == 7 {
			mixed = "< 5"
		}
		fmt.Fprintf(&text, "%d,%.3f,%.3f,\"note, %d\",%s,3.5,%s,%s\n", i+100, draw.NormFloat64(), 10*draw.ExpFloat64(), i,
			[]string{"good", "bad"}[i%2], gap, mixed)
	}
	return text.String()
}

// Tables of all sorts.
func TestTables(t *testing.T) {
	draw := rand.New(rand.NewPCG(3, 4))
	normal := func(n int) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(draw.NormFloat64())
		}
		return values
	}
	tests := map[string]struct {
		file string
		data func(path string) error
		want []string
	}{
		"columns of many sorts": {
			"t.csv", func(path string) error { return os.WriteFile(path, []byte(csv(300, true)), 0o600) },
			[]string{"300 rows of 3 numbers, 2 classes in state", "Missing values: 30 gap", "label: state # classes, which the model does not see: bad (150), good (150)",
				"- nr # counts the rows: 100, 101, …", "- remark # text, such as note, 0", "- fixed # always 3.5", "- mixed # 6 cells are no number, the first in line 9: < 5",
				"missing: median # 30 values are missing", "kind: swap", "encoder: [16, 8, 2]", "output: linear"},
		},
		"without a header": {
			"t.csv", func(path string) error {
				text := ""
				for i := range 90 {
					text += fmt.Sprintf("%.2f,%.2f,%.2f,%s\n", draw.Float64(), draw.Float64(), draw.Float64(), []string{"a", "b", "c"}[i/30])
				}
				return os.WriteFile(path, []byte(text), 0o600)
			},
			[]string{"90 rows of 3 numbers, 3 classes in column_4", "header: no"},
		},
		"a header of years": {
			"t.csv", func(path string) error {
				text := "country,2024,2025,2026\n"
				for i := range 60 {
					text += fmt.Sprintf("c%d,%.2f,%.2f,%.2f\n", i, draw.Float64(), draw.Float64(), draw.Float64())
				}
				return os.WriteFile(path, []byte(text), 0o600)
			},
			[]string{"60 rows of 3 numbers", "- country # text"},
		},
		"semicolons": {
			"t.csv", func(path string) error {
				return os.WriteFile(path, []byte(strings.ReplaceAll(strings.ReplaceAll(csv(50, true), ", ", " "), ",", ";")), 0o600)
			},
			[]string{"50 rows of 3 numbers"},
		},
		"one column": {
			"t.tsv", func(path string) error {
				text := "x\n"
				for range 50 {
					text += fmt.Sprintf("%.3f\n", draw.Float64())
				}
				return os.WriteFile(path, []byte(text), 0o600)
			},
			[]string{"50 rows of 1 number", "encoder: [16, 8, 1]"},
		},
		"numbers of classes": {
			"t.csv", func(path string) error {
				text := "a,b,class\n"
				for i := range 50 {
					text += fmt.Sprintf("%.3f,%.3f,%d\n", draw.Float64(), draw.Float64(), i%3)
				}
				return os.WriteFile(path, []byte(text), 0o600)
			},
			[]string{"label: class"},
		},
		"a long tail": {
			"t.npy", func(path string) error {
				values := normal(2000 * 4)
				values[100] = 1e6
				return table.Write(path, nil, array.Values{Float32: values}, 2000, 4)
			},
			[]string{"2,000 rows of 4 numbers", "Long tails", "x1 (45)"},
		},
		"missing values in an array": {
			"t.npy", func(path string) error {
				values := normal(100 * 6)
				values[8] = float32(math.NaN())
				return table.Write(path, nil, array.Values{Float32: values}, 100, 6)
			},
			[]string{"Missing values: 1 x3", "missing: median"},
		},
		"Parquet": {
			"t.parquet", func(path string) error {
				return table.Write(path, []string{"a", "b", "c"}, array.Values{Float32: normal(300)}, 100, 3)
			},
			[]string{"100 rows of 3 numbers"},
		},
		"bytes of pictures": {
			"t.npy", func(path string) error {
				values := array.Make(dtypes.Uint8, 100*28*28)
				for i := range values.Uint8 {
					values.Uint8[i] = uint8(255 * (i / 14 % 2))
				}
				return table.Write(path, nil, values, 100, 28, 28)
			},
			[]string{"100 pictures of 28×28, 1 channel, 8 bits", "kind: unet", "scale: {kind: range}"},
		},
		"floats of pictures, in colour": {
			"t.npy", func(path string) error {
				return table.Write(path, nil, array.Values{Float32: normal(50 * 8 * 8 * 3)}, 50, 8, 8, 3)
			},
			[]string{"50 pictures of 8×8, 3 channels, float32", "Values go from"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), test.file)
			if err := test.data(path); err != nil {
				t.Fatal(err)
			}
			text, _, _ := made(t, starter.Options{}, path)
			contains(t, text, test.want...)
		})
	}
}

// npz writes arrays of one type.
func npz(t testing.TB, path string, arrays map[string]array.Values, dims map[string][]int) {
	t.Helper()
	var data bytes.Buffer
	archive := zip.NewWriter(&data)
	for _, name := range slices.Sorted(maps.Keys(arrays)) {
		w, err := archive.Create(name + ".npy")
		if err == nil {
			err = table.WriteNPY(w, arrays[name], dims[name]...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, path, data.Bytes())
}

// An archive's labels are told by their name.
func TestLabelsOfArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.npz")
	values, labels := array.Make(dtypes.Float32, 300), array.Make(dtypes.Uint8, 100)
	for i := range 300 {
		values.Float32[i] = float32(i * i % 37)
		labels.Uint8[i/3] = uint8(i / 3 % 2)
	}
	npz(t, path, map[string]array.Values{"X": values, "y": labels}, map[string][]int{"X": {100, 3}, "y": {100}})
	text, _, split := made(t, starter.Options{}, path)
	contains(t, text, "100 rows of 3 numbers, 2 classes in y", "label: y")
	if len(split.Classes) != 2 {
		t.Errorf("classes %q", split.Classes)
	}
	npz(t, path, map[string]array.Values{"first": values, "second": values}, map[string][]int{"first": {100, 3}, "second": {100, 3}})
	refused(t, starter.Options{}, path, "several arrays could be the samples", "array: NAME")
}

// Every kind of model has sizes that fit what there is.
func TestKinds(t *testing.T) {
	dir := t.TempDir()
	for i := range 30 {
		shade(t, fmt.Sprintf("%s/grey/%02d.png", dir, i), 28, 28, grey(i))
		shade(t, fmt.Sprintf("%s/colour/%02d.png", dir, i), 70, 100, coloured)
	}
	write(t, dir+"/t.csv", []byte(csv(300, true)))
	for kind, make := range model.Kinds {
		for _, data := range []string{dir + "/grey", dir + "/colour", dir + "/t.csv"} {
			t.Run(kind+" "+filepath.Base(data), func(t *testing.T) {
				if model.PictorialBy(make()) != "" && strings.HasSuffix(data, ".csv") {
					refused(t, starter.Options{Kind: kind}, data, "--kind="+kind, "take dense")
					return
				}
				text, _, _ := made(t, starter.Options{Kind: kind}, data)
				contains(t, text, "kind: "+kind)
			})
		}
	}
	refused(t, starter.Options{Kind: "vea"}, dir+"/grey", "did you mean vae")
}

// What nothing can be made of is refused with what to do.
func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for i := range 2 {
		shade(t, path(fmt.Sprintf("two/%d.png", i)), 8, 8, grey(i))
	}
	write(t, path("tables/a.csv"), []byte(csv(20, true)))
	write(t, path("tables/b.csv"), []byte(csv(20, true)))
	write(t, path("table/a.csv"), []byte(csv(20, true)))
	write(t, path("others/a.txt"), nil)
	write(t, path("empty.csv"), nil)
	write(t, path("names.csv"), []byte("a,b,c\n"))
	write(t, path("texts.csv"), []byte("a,b\nx,y\nz,w\nx,y\nq,r\n"))
	write(t, path("short.csv"), []byte("a,b\n1,2\n2,3\n"))
	write(t, path("ragged.csv"), []byte("a,b\n1,2\n2,3,4\n"))
	write(t, path("twice.csv"), []byte("a,a\n1,2\n"))
	write(t, path("cut.npz"), []byte("PK\x03\x04"))
	write(t, path("cut.npy"), []byte("\x93NUMPY"))
	write(t, path("x.xlsx"), []byte("PK"))
	for i := range 5 {
		write(t, path(fmt.Sprintf("bad/%d.png", i)), []byte("\x89PNG"))
	}
	if err := os.MkdirAll(path("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(path("nan.npy"), nil, array.Values{Float32: slices.Repeat([]float32{1, float32(math.NaN())}, 160)}, 20, 4, 4); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(path("first.npy"), nil, array.Make(dtypes.Float32, 20*3*5*5), 20, 3, 5, 5); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(path("same.npy"), nil, array.Make(dtypes.Float32, 20*16), 20, 4, 4); err != nil {
		t.Fatal(err)
	}
	for data, parts := range map[string][]string{
		"":                      {"no data"},
		"\xff":                  {"no UTF-8"},
		path("none"):            {"no such file"},
		path("none*"):           {"no file matches"},
		path("two"):             {"2 pictures; it takes 4"},
		path("two/0.png"):       {"one picture; name a folder"},
		path("tables"):          {"tables/*.csv", "for all 2"},
		path("table"):           {"table/a.csv"},
		path("others"):          {"no PNG", "1 .txt"},
		path("empty"):           {"no PNG"},
		path("empty.csv"):       {"empty"},
		path("names.csv"):       {"no rows"},
		path("texts.csv"):       {"no column of numbers"},
		path("short.csv"):       {"2 rows; it takes 4"},
		path("ragged.csv"):      {"ragged.csv:3: the row has 3 cells, but the first line has 2"},
		path("twice.csv"):       {"both named"},
		path("cut.npz"):         {"truncated"},
		path("cut.npy"):         {"cut.npy"},
		path("x.xlsx"):          {"neither pictures nor a table by its ending", ".csv"},
		path("bad"):             {"none of 5 pictures can be read"},
		path("nan.npy"):         {"NaN"},
		path("first.npy"):       {"channels before height and width"},
		path("same.npy"):        {"nothing to learn"},
		path("t*/a.csv"):        nil,
		path("[t]*/a.csv") + "": nil,
	} {
		if parts == nil {
			made(t, starter.Options{}, data)
			continue
		}
		refused(t, starter.Options{}, data, parts...)
	}
	if _, err := starter.Write(context.Background(), []string{path("two"), path("short.csv")}, starter.Options{}); err == nil || !strings.Contains(err.Error(), "name one kind") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := starter.Write(ctx, []string{path("two")}, starter.Options{}); err == nil {
		t.Error("no error where it was interrupted")
	}
}

// Whatever is in a table, its config runs, or there is an error of one line.
func FuzzTable(f *testing.F) {
	f.Add([]byte(csv(20, true)))
	f.Add([]byte(csv(20, false)))
	f.Add([]byte("a;b\n1;2\n3;4\n5;?\n1;1\n2;2\n9;8\n"))
	f.Add([]byte("1990,x\n1,x\n2,x\n3,y\n4,z\n"))
	f.Add([]byte("\"a\nb\",'c: #'\n1,2\n3,4\n5,6\n8,1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "t.csv")
		write(t, path, data)
		s, err := starter.Write(context.Background(), []string{path}, starter.Options{})
		if err != nil {
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "mistake") {
				t.Errorf("error %q", err)
			}
			return
		}
		works(t, s.Text)
	})
}
