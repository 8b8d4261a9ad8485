package dataset

import (
	"encoding/json"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"latent/pkg/array"
	"latent/pkg/network/networktest"
	"latent/pkg/pythontest"
	"latent/pkg/table"
)

// coloured pictures of one shade each, of two classes.
func colours(t *testing.T, n int) string {
	dir := t.TempDir()
	for i := range n {
		save(t, dir, fmt.Sprintf("%c/%02d.png", 'a'+i%2, i), painted(6, 6, func(x, y int) color.Color {
			return color.RGBA{uint8(10 * i), uint8(5 * i), 255, 255}
		}))
	}
	return dir
}

// Features of a folder are the outputs of its network for pixels in [0, 1] as mean and std say, with the labels; the network runs once, and again
// for another mean or another picture.
func TestFeatures(t *testing.T) {
	networktest.Runtime(t)
	t.Setenv("LATENT_CACHE_DIR", t.TempDir())
	d := Kinds["folder"]().(*Folder)
	d.Dir, d.Colour, d.TestFraction = []string{colours(t, 12)}, "rgb", 0.3
	d.Features = Features{Model: networktest.Means(0, 3, 4, 4).Write(t), Mean: []float64{0.5, 0, 0}, Std: []float64{0.5}, Size: 4}
	load := func() *Split {
		t.Helper()
		split, err := d.Load(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return split
	}
	split := load()
	seen := 0
	for _, part := range []*Samples{split.Train, split.Test} {
		if !slices.Equal(part.Features, []string{"feature_0", "feature_1", "feature_2"}) || part.Height != 1 || part.Width != 3 {
			t.Fatalf("features are %v of %d×%d", part.Features, part.Height, part.Width)
		}
		for i := range part.Len() {
			x := part.At(i).Float32
			shade := math.Round((float64(x[0])*0.5+0.5)*255) / 10
			if math.Abs(float64(x[1])-2*shade*5/255) > 1e-5 || x[2] != 2 {
				t.Errorf("features %v of shade %g", x, shade)
			}
			if class := int(shade) % 2; int(part.Labels[i]) != class {
				t.Errorf("picture %g has label %d, want %d", shade, part.Labels[i], class)
			}
			seen++
		}
	}
	if seen != 12 {
		t.Errorf("%d pictures", seen)
	}
	if n := split.Network; n.Height != 4 || n.Channels != 3 || split.Checksums["net.onnx"] != n.SHA256 || n.Path != d.Features.Model {
		t.Errorf("the network is %+v, checksums %v", n, split.Checksums)
	}
	if scale := split.Train.Scale; scale.Factors != nil || !scale.Open || scale.Offset != 0 || !reflect.DeepEqual(scale, split.Test.Scale) {
		t.Errorf("features have the scale %+v, those of the test %+v; want one factor", scale, split.Test.Scale)
	}

	if load(); len(entries(t)) != 1 {
		t.Errorf("%d entries of the cache, want 1", len(entries(t)))
	}
	d.Features.Mean = nil
	if load(); len(entries(t)) != 2 {
		t.Errorf("%d entries of the cache with another mean, want 2", len(entries(t)))
	}
	save(t, d.Dir[0], "a/00.png", uniform(6, 6, 99))
	if load(); len(entries(t)) != 3 {
		t.Errorf("%d entries of the cache with another picture, want 3", len(entries(t)))
	}
}

// What is kept needs no network: it is not even loaded.
func TestFeaturesAreKept(t *testing.T) {
	networktest.Runtime(t)
	t.Setenv("LATENT_CACHE_DIR", t.TempDir())
	pictures := &Samples{Height: 2, Width: 2, Channels: 1, Values: array.Values{Uint8: []uint8{0, 0, 255, 255, 51, 51, 51, 51}}}
	f := Features{Model: networktest.Means(4, 1, 2, 2).Write(t)}
	for _, loads := range []bool{true, false} {
		x, err := f.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		made, err := x.cached(t.Context(), pictures, "test", nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(slices.Concat(made.At(0).Float32, made.At(1).Float32), []float32{0.5, 0.2}) {
			t.Errorf("features %v", made.Values)
		}
		if (x.net != nil) != loads {
			t.Errorf("the network is loaded: %v, want %v", !loads, loads)
		}
	}
}

// Grey pictures are repeated for three channels, enlarged, and scaled by their type; those of glyphs, MNIST and arrays as those of a folder.
func TestFeaturesOfOthers(t *testing.T) {
	networktest.Runtime(t)
	t.Setenv("LATENT_CACHE_DIR", t.TempDir())
	g := Kinds["glyphs"]().(*Glyphs)
	g.Train, g.Test, g.Validation = 40, 10, 5
	plain, err := g.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.Features = Features{Model: networktest.Means(0, 3, 0, 0).Write(t), Size: 40}
	split, err := g.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(split.Train.Labels, plain.Train.Labels) || split.Train.Len() != 35 || split.Validation.Len() != 5 || split.Test.Len() != 10 {
		t.Error("labels or parts are others")
	}
	for i := range 10 {
		values, want := plain.Test.At(i).As(split.Test.Values.Type()).Float32, 0.0
		for _, x := range Resample(values, 28, 28, 1, 40, 40) {
			want += float64(x) / 255 / 1600
		}
		for _, got := range split.Test.At(i).Float32 {
			if math.Abs(float64(got)-want) > 1e-5 {
				t.Errorf("glyph %d: mean %g, want %g", i, got, want)
			}
		}
	}

	path := filepath.Join(t.TempDir(), "x.npy")
	if err := table.Write(path, nil, array.Values{Uint16: []uint16{0, 65535, 65535, 65535, 13107, 13107, 13107, 13107}}, 2, 2, 2); err != nil {
		t.Fatal(err)
	}
	d := Kinds["table"]().(*Table)
	d.Files, d.Test, d.Features = []string{path}, []string{path}, Features{Model: networktest.Means(1, 1, 2, 2).Write(t)}
	rows, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := rows.Test.Packed().Values.Float32; !slices.Equal(got, []float32{0.75, 0.2}) {
		t.Errorf("features of 16 bits are %v, want 0.75 and 0.2", got)
	}
}

// What cannot be is said with its place and the cure, and nothing is left in the cache.
func TestFeaturesThatFail(t *testing.T) {
	t.Setenv("LATENT_CACHE_DIR", t.TempDir())
	g := Kinds["glyphs"]().(*Glyphs)
	g.Train, g.Test, g.Validation = 8, 2, 2
	fails := func(f Features, want string) {
		t.Helper()
		g.Features = f
		if _, err := g.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", f, err, want)
		}
	}
	fails(Features{Model: "nowhere.onnx"}, "name the network's ONNX file")
	fails(Features{Model: t.TempDir()}, "not a regular file")
	csv := write(t, filepath.Join(t.TempDir(), "rows.csv"), rowsOf(20))
	rows := Kinds["table"]().(*Table)
	rows.Files, rows.Label, rows.Features = []string{csv}, "kind", Features{Model: networktest.Means(0, 1, 0, 0).Write(t)}
	if _, err := rows.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "a network needs pictures of one size") {
		t.Errorf("of rows: %v", err)
	}
	networktest.Runtime(t)
	fails(Features{Model: networktest.Means(0, 3, 224, 224).Write(t)}, "set data.features.size: 224")
	fails(Features{Model: networktest.Means(0, 1, 0, 0).Write(t), Output: "codes"}, `no output "codes"`)
	fails(Features{Model: networktest.Means(0, 1, 0, 0).Write(t), Mean: []float64{1, 2, 3}}, "write one number")
	logarithm := networktest.Means(0, 1, 0, 0)
	logarithm.Nodes[0] = networktest.Node{Op: "Log", Inputs: []string{"x"}, Outputs: []string{"means"}}
	logarithm.Outputs[0].Dims = []int{0, 1, 0, 0}
	fails(Features{Model: logarithm.Write(t)}, "feature_0 of picture 0 is -Inf")
	if list := entries(t); len(list) > 0 {
		t.Errorf("the cache has %v", list)
	}
}

// A network with the layers of ResNet-18 gives what onnxruntime gives in Python for the same pictures and ImageNet's mean and std. Its library is
// found among Python's packages.
func TestResNet(t *testing.T) {
	python := pythontest.Interpreter(t, networktest.Requirements)
	t.Setenv("LATENT_CACHE_DIR", t.TempDir())
	t.Setenv("LATENT_PYTHON", python)
	g := Kinds["glyphs"]().(*Glyphs)
	g.Train, g.Test, g.Validation, g.Colour = 30, 70, 5, "rgb"
	plain, err := g.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pixels, out, net := filepath.Join(dir, "pixels.npy"), filepath.Join(dir, "out.json"), filepath.Join(dir, "resnet18.onnx")
	if err := table.Write(pixels, nil, plain.Test.Values, 70, 28, 28, 3); err != nil {
		t.Fatal(err)
	}
	pythontest.Run(t, python, "testdata/resnet18.py", pixels, out, net)
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var want [][]float64
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	g.Features = Features{Model: net, Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}
	split, err := g.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	worst, largest := 0.0, 0.0
	for i, values := range want {
		for j, value := range values {
			worst = max(worst, math.Abs(split.Test.At(i).At(j)-value))
			largest = max(largest, math.Abs(value))
		}
	}
	t.Logf("%d features of %d pictures up to %.3g: %.2g apart at most", len(want[0]), len(want), largest, worst)
	if len(want) != 70 || len(want[0]) != 512 || split.Test.Size() != 512 || !(worst <= 1e-4*max(1, largest)) {
		t.Errorf("%g apart", worst)
	}
}
