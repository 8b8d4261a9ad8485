package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"golang.org/x/image/draw"

	"latent/pkg/array"
	"latent/pkg/scale"
	"latent/pkg/table"
)

// floats returns a TIFF file of pages of float32, [height, width, channels] each.
func floats(pages [][]float32, height, width, channels int) []byte {
	order := binary.LittleEndian
	var file bytes.Buffer
	file.WriteString("II*\x00")
	next := file.Len()
	file.Write([]byte{0, 0, 0, 0})
	for _, values := range pages {
		data := file.Len()
		for _, value := range values {
			file.Write(order.AppendUint32(nil, math.Float32bits(value)))
		}
		lists := file.Len() // bits and formats of all channels
		for _, value := range []uint16{32, 3} {
			for range channels + channels%2 {
				file.Write(order.AppendUint16(nil, value))
			}
		}
		directory := file.Len()
		order.PutUint32(file.Bytes()[next:], uint32(directory))
		entries := [][4]int{ // tag, type, count, value
			{256, 4, 1, width}, {257, 4, 1, height}, {258, 3, channels, lists}, {259, 3, 1, 1}, {262, 3, 1, 1}, {273, 4, 1, data},
			{277, 3, 1, channels}, {278, 4, 1, height}, {279, 4, 1, 4 * len(values)}, {339, 3, channels, lists + 2*(channels+channels%2)},
		}
		file.Write(order.AppendUint16(nil, uint16(len(entries))))
		for _, e := range entries {
			if e[1] == 3 && e[2] <= 2 { // the values themselves stand there
				e[3] = map[int]int{258: 32 | 32<<16, 339: 3 | 3<<16}[e[0]]
				switch e[0] {
				case 259, 262:
					e[3] = 1
				case 277:
					e[3] = channels
				}
			}
			file.Write(order.AppendUint16(nil, uint16(e[0])))
			file.Write(order.AppendUint16(nil, uint16(e[1])))
			file.Write(order.AppendUint32(nil, uint32(e[2])))
			file.Write(order.AppendUint32(nil, uint32(e[3])))
		}
		next = file.Len()
		file.Write([]byte{0, 0, 0, 0})
	}
	return file.Bytes()
}

// Pages of floats with five channels stay as they are, each a picture, and each channel is scaled by itself.
func TestFolderOfFloats(t *testing.T) {
	dir := t.TempDir()
	const side, channels = 3, 5
	var pages [][]float32
	for page := range 12 {
		var values []float32
		for i := range side * side * channels {
			values = append(values, float32(page)+float32(i%channels)*1000+float32(i)/64)
		}
		pages = append(pages, values)
	}
	saveFile(t, dir, "stack.tif", floats(pages, side, side, channels))
	d := Kinds["folder"]().(*Folder)
	d.Dir, d.Height, d.Width, d.Colour, d.TestFraction = []string{dir}, side, side, "all", 0.3
	d.Scale = scale.Options{Kind: "standardise"}
	split, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if split.Train.Values.Type() != dtypes.Float32 || split.Train.Channels != channels || split.Train.Len()+split.Test.Len() != len(pages) {
		t.Fatalf("%v, %d channels, %d pictures", split.Train.Values.Type(), split.Train.Channels, split.Train.Len()+split.Test.Len())
	}
	seen := 0
	for _, part := range []*Samples{split.Train, split.Test} {
		for i := range part.Len() {
			page := int(part.At(i).Float32[0])
			if !slices.Equal(part.At(i).Float32, pages[page]) {
				t.Errorf("page %d is %v", page, part.At(i).Float32)
			}
			seen |= 1 << page
		}
	}
	if seen != 1<<len(pages)-1 {
		t.Errorf("pages %b were seen", seen)
	}
	for channel := range channels {
		sum := 0.0
		for i := range split.Train.Len() {
			for j := channel; j < split.Train.Size(); j += channels {
				sum += split.Train.Scale.At(j, split.Train.At(i).At(j))
			}
		}
		if mean := sum / float64(split.Train.Len()*side*side); math.Abs(mean) > 1e-6 {
			t.Errorf("channel %d has the mean %g in the model's scale", channel, mean)
		}
	}

	t.Run("as grey", func(t *testing.T) {
		d := *d
		d.Colour = "grey"
		if _, err := d.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "5 channels are neither grey nor RGB; set data.colour: all") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("beside others", func(t *testing.T) {
		save(t, dir, "x.png", uniform(3, 3, 9))
		if _, err := d.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "stack.tif has 5 channels, and ") {
			t.Errorf("error %v", err)
		}
	})
}

// The scaling of numbers is that of pictures: on a grey picture of 16 bits both give the same to a step or two of 65,535.
func TestResample(t *testing.T) {
	picture := image.NewGray16(image.Rect(0, 0, 37, 23))
	values := make([]float32, 37*23)
	for i := range values {
		grey := uint16(20000 + 20000*math.Sin(float64(i)/9)*math.Cos(float64(i/37)/3))
		picture.Pix[2*i], picture.Pix[2*i+1] = uint8(grey>>8), uint8(grey)
		values[i] = float32(grey)
	}
	part := image.Rect(2, 1, 36, 22)
	for _, to := range [][2]int{{8, 11}, {40, 60}, {21, 9}} {
		want := image.NewGray16(image.Rect(0, 0, to[1], to[0]))
		draw.CatmullRom.Scale(want, want.Rect, picture, part, draw.Src, nil)
		for i, got := range resample(values, 37, 1, part, to[0], to[1]) {
			if grey := float64(want.Gray16At(i%to[1], i/to[1]).Y); math.Abs(min(max(float64(got), 0), math.MaxUint16)-grey) > 3 {
				t.Errorf("%v: value %d is %g, want %g", to, i, got, grey)
			}
		}
	}
}

// Folders, files and patterns are listed in order; several folders are classes; data.test has samples of its own.
func TestFolderLists(t *testing.T) {
	dir := t.TempDir()
	for i := range 6 {
		save(t, dir, fmt.Sprintf("cats/%d.png", i), uniform(2, 2, uint8(i)))
		save(t, dir, fmt.Sprintf("dogs/%d.png", i), uniform(2, 2, uint8(10+i)))
		save(t, dir, fmt.Sprintf("test/cats/%d.png", i), uniform(2, 2, uint8(20+i)))
	}
	d := Kinds["folder"]().(*Folder)
	d.Dir, d.Height, d.Width = []string{filepath.Join(dir, "cats"), filepath.Join(dir, "dogs")}, 2, 2
	d.Test = []string{filepath.Join(dir, "test")}
	split, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if split.Train.Len() != 12 || split.Test.Len() != 6 || !slices.Equal(split.Classes, []string{"cats", "dogs"}) {
		t.Errorf("%d and %d pictures of %q", split.Train.Len(), split.Test.Len(), split.Classes)
	}
	for i := range split.Train.Len() {
		if shade, class := split.Train.At(i).Uint8[0], split.Train.Labels[i]; (shade >= 10) != (class == 1) {
			t.Errorf("shade %d is of class %d", shade, class)
		}
	}
	for i := range split.Test.Len() {
		if shade := split.Test.At(i).Uint8[0]; shade < 20 {
			t.Errorf("shade %d is tested", shade)
		}
	}
	d.Dir, d.Test, d.TestFraction = []string{filepath.Join(dir, "cats", "[0-3].png"), filepath.Join(dir, "dogs", "*.png")}, nil, 0.5
	if split, err = d.Load(t.Context(), Options{}); err != nil || split.Train.Len()+split.Test.Len() != 10 {
		t.Errorf("%+v, %v", split, err)
	}
	t.Setenv(dirVariable, dir)
	d.Dir = []string{"cats", filepath.Join("dogs", "*.png")}
	if split, err = d.Load(t.Context(), Options{}); err != nil || split.Train.Len()+split.Test.Len() != 12 {
		t.Errorf("below %s: %+v, %v", dirVariable, split, err)
	}
	d.Dir = []string{filepath.Join(dir, "birds", "*.png")}
	if _, err = d.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "data.dir: no file matches") {
		t.Errorf("error %v", err)
	}
	d.Dir = []string{filepath.Join(dir, "cats", "1.png")}
	if _, err = d.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "one picture; name a folder of them") {
		t.Errorf("error %v", err)
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// rowsOf is a table of n rows whose features a and b follow from the row's number.
func rowsOf(n int) string {
	text := "id,a,b,kind\n"
	for i := range n {
		text += fmt.Sprintf("%d,%d,%g,%s\n", 1000+i, i, 0.5*float64(i*i), []string{"x", "y", "z"}[i%3])
	}
	return text
}

func TestTable(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "rows.csv"), rowsOf(40))
	d := Kinds["table"]().(*Table)
	d.Files, d.Label, d.Ignore, d.Validation, d.TestFraction = []string{path}, "kind", []string{"id"}, 5, 0.25
	split, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(split.Train.Features, []string{"a", "b"}) || !slices.Equal(split.Classes, []string{"x", "y", "z"}) {
		t.Errorf("features %q, classes %q", split.Train.Features, split.Classes)
	}
	seen := 0
	for _, part := range []*Samples{split.Train, split.Validation, split.Test} {
		for i := range part.Len() {
			row := part.At(i).Float32
			if number := int(row[0]); row[1] != 0.5*float32(number*number) || int(part.Labels[i]) != number%3 {
				t.Errorf("row %v has the label %d", row, part.Labels[i])
			}
			seen |= 1 << int(row[0])
		}
	}
	if seen != 1<<40-1 || split.Validation.Len() != 5 {
		t.Errorf("rows %b were seen; %d held out", seen, split.Validation.Len())
	}

	t.Run("a row more moves none", func(t *testing.T) {
		d := *d
		d.Label, d.Ignore = "", append(slices.Clone(d.Ignore), d.Label) // with labels, TestStratified
		split, err := d.Load(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		d.Files = []string{write(t, filepath.Join(t.TempDir(), "rows.csv"), rowsOf(41))}
		more, err := d.Load(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		was := split.Test.Values.Float32
		if now := more.Test.Values.Float32; !slices.Equal(now[:len(was)], was) {
			t.Errorf("tested are %v, before %v", now, was)
		}
	})
	t.Run("like", func(t *testing.T) {
		other := write(t, filepath.Join(t.TempDir(), "new.csv"), "b,note,a\n7,hello,1\n8,world,2\n")
		like, err := (&Table{}).Like(t.Context(), []string{other}, split.Train)
		if err != nil || !slices.Equal(like.Values.Float32, []float32{1, 7, 2, 8}) {
			t.Errorf("%+v, %v", like, err)
		}
		if like.Scale.At(0, 3) != split.Train.Scale.At(0, 3) {
			t.Error("another scale than in training")
		}
		lacking := write(t, filepath.Join(t.TempDir(), "new.csv"), "b,c\n7,1\n")
		if _, err := (&Table{}).Like(t.Context(), []string{lacking}, split.Train); err == nil || !strings.Contains(err.Error(), `there is no column "a"`) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("test of its own", func(t *testing.T) {
		d := *d
		d.Test = []string{write(t, filepath.Join(t.TempDir(), "test.csv"), "kind,b,a,id\nx,2,3,4\n")}
		split, err := d.Load(t.Context(), Options{})
		if err != nil || split.Test.Len() != 1 || split.Train.Len() != 35 || !slices.Equal(split.Test.Values.Float32, []float32{3, 2}) {
			t.Errorf("%+v, %v", split, err)
		}
	})
}

// What a model is given comes in the type that it was trained on: numbers keep their values, and pictures' bytes and 16 bits their part of
// the range. What the type has not is refused, with its row.
func TestConverted(t *testing.T) {
	picture := func(v array.Values) *Samples { return &Samples{Height: 1, Width: 2, Channels: 1, Values: v} }
	vector := func(v array.Values) *Samples {
		return &Samples{Height: 1, Width: 2, Channels: 1, Features: []string{"a", "b"}, Values: v}
	}
	bits8, bits16, bits32 := array.Make(dtypes.Uint8, 0), array.Make(dtypes.Uint16, 0), array.Make(dtypes.Float32, 0)
	nan := float32(math.NaN())
	for name, test := range map[string]struct {
		like       *Samples
		rows, want array.Values
		err        string
	}{
		"whole floats":         {like: picture(bits8), rows: array.Values{Float32: []float32{0, 255}}, want: array.Values{Uint8: []uint8{0, 255}}},
		"bytes as floats":      {like: picture(bits32), rows: array.Values{Uint8: []uint8{0, 255}}, want: array.Values{Float32: []float32{0, 255}}},
		"pictures of bytes":    {like: picture(bits16), rows: array.Values{Uint8: []uint8{1, 255}}, want: array.Values{Uint16: []uint16{257, 65535}}},
		"pictures of 16 bits":  {like: picture(bits8), rows: array.Values{Uint16: []uint16{257, 65535}}, want: array.Values{Uint8: []uint8{1, 255}}},
		"rows of small counts": {like: vector(bits16), rows: array.Values{Uint8: []uint8{1, 255}}, want: array.Values{Uint16: []uint16{1, 255}}},
		"rows of 16 bits":      {like: vector(bits8), rows: array.Values{Uint16: []uint16{1, 255}}, want: array.Values{Uint8: []uint8{1, 255}}},
		"a fraction":           {like: picture(bits8), rows: array.Values{Float32: []float32{0, 1, 1, 0.5}}, err: "row 9: 0.5, but the model was trained on whole numbers from 0 to 255"},
		"below":                {like: vector(bits16), rows: array.Values{Float32: []float32{-1, 0}}, err: "row 8: -1, but the model was trained on whole numbers from 0 to 65535"},
		"beyond":               {like: vector(bits8), rows: array.Values{Uint16: []uint16{1, 256}}, err: "row 8: 256"},
		"not a number":         {like: vector(bits8), rows: array.Values{Float32: []float32{0, nan}}, err: "row 8: NaN"},
	} {
		got, err := test.like.converted(test.rows, 7)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v, want %q", name, err, test.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, test.want)
		}
	}
}

// The median of the training rows stands for what is missing, in the model's scale and in no other way.
func TestMissing(t *testing.T) {
	text := "a,b\n"
	for i := range 30 {
		text += fmt.Sprintf("%d,%s\n", i, map[bool]string{true: "", false: fmt.Sprint(i % 7)}[i%4 == 0])
	}
	path := write(t, filepath.Join(t.TempDir(), "rows.csv"), text)
	d := Kinds["table"]().(*Table)
	d.Files, d.TestFraction = []string{path}, 0.2
	if _, err := d.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "rows.csv:2") || !strings.Contains(err.Error(), "data.missing: median") {
		t.Errorf("error %v", err)
	}
	d.Missing = "median"
	split, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var there []float64
	for i := range split.Train.Len() {
		if b := split.Train.At(i).At(1); !math.IsNaN(b) {
			there = append(there, b)
		}
	}
	slices.Sort(there)
	median := (there[(len(there)-1)/2] + there[len(there)/2]) / 2
	if s := split.Test.Scale; s.At(1, math.NaN()) != s.At(1, median) || s.Missing[1] != median {
		t.Errorf("a missing value becomes %g, want %g as for the median %g", s.At(1, math.NaN()), s.At(1, median), median)
	}
}

// Arrays of three and four axes are pictures.
func TestArrays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pictures.npy")
	values := array.Make(dtypes.Uint8, 20*4*5*2)
	for i := range values.Uint8 {
		values.Uint8[i] = uint8(i)
	}
	if err := table.Write(path, nil, values, 20, 4, 5, 2); err != nil {
		t.Fatal(err)
	}
	d := Kinds["table"]().(*Table)
	d.Files, d.TestFraction, d.Scale.Kind = []string{path}, 0.3, "range"
	split, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := split.Train; s.Vectors() || s.Height != 4 || s.Width != 5 || s.Channels != 2 || s.Values.Type() != dtypes.Uint8 || !s.Scale.IsBytes() {
		t.Errorf("%s of %v, scale %v", s.kind(), s.Values.Type(), s.Scale)
	}
	if err := table.Write(path, nil, values, 5, 1, 4, 40); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "numpy.moveaxis(x, 1, -1)") {
		t.Errorf("channels first: %v", err)
	}
}

func TestLabels(t *testing.T) {
	var l Labels
	err := errors.Join(l.Add("10", "9"), l.Add("-1", "9"))
	classes, indices := l.Sorted()
	if err != nil || !slices.Equal(classes, []string{"-1", "9", "10"}) || !slices.Equal(indices, []uint8{2, 1, 0, 1}) {
		t.Errorf("%q, %v, %v", classes, indices, err)
	}
	var many []string
	for i := range 257 {
		many = append(many, fmt.Sprint(i))
	}
	if err := new(Labels).Add(many...); err == nil {
		t.Error("257 classes were taken")
	}
}
