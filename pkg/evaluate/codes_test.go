package evaluate

import (
	stdbytes "bytes"
	"image/png"
	"math"
	"slices"
	"testing"

	"latent/pkg/model"
)

func nearly(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 })
}

func TestStraight(t *testing.T) {
	codes := Straight([]float32{0, 4}, []float32{2, 0}, 3)
	if want := []float32{0, 4, 1, 2, 2, 0}; codes.Size != 2 || !nearly(codes.Values, want) {
		t.Errorf("codes %v, want %v", codes.Values, want)
	}
}

// On the arc between codes of equal length every code has that length, and the angles are equal.
func TestSpherical(t *testing.T) {
	const r = 3
	codes := Spherical([]float32{r, 0, 0}, []float32{0, 0, r}, 4)
	var want []float32
	for i := range 4 {
		sin, cos := math.Sincos(math.Pi / 2 * float64(i) / 3)
		want = append(want, float32(r*cos), 0, float32(r*sin))
	}
	if !nearly(codes.Values, want) {
		t.Errorf("codes %v, want %v", codes.Values, want)
	}
}

// Where there is no arc, the way is straight; and it ends at the codes that were given, to the bit or nearly.
func TestSphericalWithoutArc(t *testing.T) {
	for name, ends := range map[string][2][]float32{
		"parallel":      {{1, 2}, {2, 4}},
		"the same":      {{1, 2}, {1, 2}},
		"opposite":      {{1, 2}, {-2, -4}},
		"zero":          {{0, 0}, {1, 2}},
		"both zero":     {{0, 0}, {0, 0}},
		"one dimension": {{3}, {-1}},
	} {
		got, want := Spherical(ends[0], ends[1], 5), Straight(ends[0], ends[1], 5)
		if !nearly(got.Values, want.Values) {
			t.Errorf("%s: codes %v, want %v", name, got.Values, want.Values)
		}
	}
}

func TestTraverse(t *testing.T) {
	axes := []Axis{{Dimension: 2, Centre: 10, Deviation: 2}, {Dimension: 0, Deviation: 1}}
	codes := Traverse([]float32{1, 2, 3}, axes, []float64{-1, 1})
	if want := []float32{1, 2, 8, 1, 2, 12, -1, 2, 3, 1, 2, 3}; !slices.Equal(codes.Values, want) {
		t.Errorf("codes %v, want %v", codes.Values, want)
	}
}

func TestForemost(t *testing.T) {
	var found []int
	for _, axis := range Foremost(PriorAxes(4), []float64{0.1, 3, math.NaN(), 3}, 3) {
		found = append(found, axis.Dimension)
	}
	if want := []int{1, 3, 0}; !slices.Equal(found, want) {
		t.Errorf("dimensions %v, want %v: the largest first, equal ones in their order", found, want)
	}
	if all := Foremost(PriorAxes(2), []float64{1, 2}, 10); len(all) != 2 {
		t.Errorf("%d axes of two", len(all))
	}
}

func TestAxes(t *testing.T) {
	axes := Codes{Size: 2, Values: []float32{1, 0, 3, 0}}.Axes()
	if want := []Axis{{0, 2, 1}, {1, 0, 0}}; !slices.Equal(axes, want) {
		t.Errorf("axes %v, want %v", axes, want)
	}
}

// The picture's first row is the highest: the second value rises upwards. The normal quantiles are those of tables.
func TestManifold(t *testing.T) {
	codes := Manifold([]float64{1, 2}, []float64{3, 4})
	if want := []float32{1, 4, 2, 4, 1, 3, 2, 3}; !slices.Equal(codes.Values, want) {
		t.Errorf("codes %v, want %v", codes.Values, want)
	}
	coordinates := PriorCoordinates(3)
	if math.Abs(coordinates[0]+2.326348) > 1e-6 || math.Abs(coordinates[1]) > 1e-12 || math.Abs(coordinates[2]-2.326348) > 1e-6 {
		t.Errorf("coordinates %v, want ±2.326348 and 0", coordinates)
	}
	var values []float32
	for i := range 101 {
		values = append(values, float32(i), 0)
	}
	if got := (Codes{Size: 2, Values: values}).Coordinates(0, 3); !slices.Equal(got, []float64{1, 50, 99}) {
		t.Errorf("coordinates %v, want 1, 50 and 99 of the numbers from 0 to 100", got)
	}
}

func TestInapplicable(t *testing.T) {
	flat := model.Kinds["vae"]().(*model.VAE)
	flat.Latent = 2
	for name, c := range map[string]struct {
		m    model.Model
		none []string
	}{
		"vae":       {model.Kinds["vae"](), []string{"manifold"}},
		"flat":      {flat, nil},
		"dense":     {model.Kinds["dense"](), []string{"manifold"}},
		"conv":      {model.Kinds["conv"](), []string{"manifold"}},
		"unet":      {model.Kinds["unet"](), Pictures},
		"pixelflow": {model.Kinds["pixelflow"](), Pictures[1:]},
	} {
		var none []string
		for _, picture := range Pictures {
			if Inapplicable(picture, c.m) != "" {
				none = append(none, picture)
			}
		}
		if !slices.Equal(none, c.none) {
			t.Errorf("%s: has no %v, want no %v", name, none, c.none)
		}
	}
}

// Labels and breaks take their room: the sheet is as wide and high as its parts.
func TestSheetWithLabels(t *testing.T) {
	size := func(s Sheet) (int, int) {
		t.Helper()
		data, err := s.Draw()
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(stdbytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return picture.Bounds().Dx(), picture.Bounds().Dy()
	}
	plain := Sheet{Images: pictures(6, 14, 14), Columns: 3, Scale: 10}
	labelled := plain
	labelled.Top, labelled.Breaks = []string{"a", "b", "c"}, []int{1}
	w, h := size(plain)
	if w != 2*sheetMargin+3*140+2*tileGap || h != 2*sheetMargin+2*140+tileGap {
		t.Errorf("the plain sheet is %d×%d", w, h)
	}
	if lw, lh := size(labelled); lw != w+breakGap-tileGap || lh != h+labelSize+lineGap {
		t.Errorf("with labels the sheet is %d×%d, without %d×%d", lw, lh, w, h)
	}
	// "reconstructed" is about 77 pixels wide, and an image 28.
	words := Sheet{Images: pictures(6, 14, 14), Columns: 3, Scale: 2, Top: []string{"clean", "reconstructed", "reconstructed"}}
	if lw, _ := size(words); lw < 2*sheetMargin+28+2*77 {
		t.Errorf("in a sheet of %d pixels, names of columns run into each other", lw)
	}
	labelled.Left = []string{"a long name of a row", ""}
	if lw, _ := size(labelled); lw < w+100 {
		t.Errorf("%d pixels leave no room for the rows' names", lw)
	}
}

// More classes than colours, points that are all the same, and no labels are drawn too; the same map is the same file.
func TestCodeMap(t *testing.T) {
	m := CodeMap{Caption: "codes", Panels: []Panel{{Title: "a", X: "x", Y: "y"}, {Title: "b"}}}
	for i := range 60 {
		m.Labels = append(m.Labels, uint8(i))
		m.Classes = append(m.Classes, "class "+string(rune('A'+i)))
		m.Panels[0].Points = append(m.Panels[0].Points, [2]float64{float64(i), float64(i * i)})
		m.Panels[1].Points = append(m.Panels[1].Points, [2]float64{})
	}
	first, err := m.Draw()
	if err != nil {
		t.Fatal(err)
	}
	second, err := m.Draw()
	if err != nil || !stdbytes.Equal(first, second) {
		t.Errorf("the same map is another picture; %v", err)
	}
	m.Labels, m.Classes = nil, nil
	if _, err := m.Draw(); err != nil {
		t.Error(err)
	}
}
