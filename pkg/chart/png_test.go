package chart

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"testing"
)

func drawn(t *testing.T, c Chart, scale float64) image.Image {
	t.Helper()
	data, err := c.PNG(scale)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// Each element is where it belongs, in the colour of the style sheet. In a chart's file, its (0, 0) is at (12, 30).
func TestPNGPlaces(t *testing.T) {
	f := NewFrame(100, 60)
	f.Rect("column", Point{10, 10}, 20, 5, "")
	f.Dot("dot b", Point{50, 20}, 4, "a title")
	f.Line("axis", Point{0, 40}, Point{100, 40})
	f.Curve("curve a", []Point{{60, 50}, {80, 50}, {80, 30}}, "")
	f.Dot("ring b", Point{20, 50}, 5, "")
	f.Curve("curve c", []Point{{0, 55}, {100, 55}}, "")
	f.Specks("speck a", []Point{{90, 10}})
	f.Rect("cell "+Shade(0), Point{40, 45}, 4, 4, "")
	c := f.Chart("", "")
	const white, blue, orange, grey = "ffffff", "1f6fb4", "bd5418", "5b6472"
	for _, scale := range []float64{1, 3} {
		picture := drawn(t, c, scale)
		if got, want := picture.Bounds().Size(), image.Pt(int(124*scale), int(100*scale)); got != want {
			t.Fatalf("size %v, want %v", got, want)
		}
		for _, place := range []struct {
			what string
			x, y float64
			want string
		}{
			{"in the column", 20, 12.5, blue}, {"right of it", 31.5, 12.5, white}, {"below it", 20, 16.5, white},
			{"in the dot", 50, 20, orange}, {"beside it", 55.5, 20, white},
			{"on the curve", 70, 50, blue}, {"at its joint", 79.5, 49.5, blue}, {"inside its corner", 77, 46, white},
			{"in the ring", 20, 50, white}, {"on it", 15, 50, orange},
			{"on a dash", 2.5, 55, "6b7480"}, {"between dashes", 7, 55, white},
			{"on a speck", 90, 10, "79a9d2"}, // opacity 0.6 on white: 255 − 0.6 (255 − 0x1f) = 0x79
			{"in the cell", 42, 47, "440154"},
		} {
			at := color.NRGBAModel.Convert(picture.At(int((place.x+12)*scale), int((place.y+30)*scale))).(color.NRGBA)
			if got := fmt.Sprintf("%02x%02x%02x", at.R, at.G, at.B); got != place.want {
				t.Errorf("scale %g, %s: %s, want %s", scale, place.what, got, place.want)
			}
		}
	}
}

// Text stands where it is anchored: dark pixels are right of a start, on both sides of a middle, left of an end.
func TestPNGText(t *testing.T) {
	for anchor, want := range map[string]string{Start: "false true", Middle: "true true", End: "true false"} {
		f := NewFrame(200, 40)
		f.Text("tick", Point{100, 20}, anchor, "MMMM & MMMM", "said on hovering")
		picture := drawn(t, f.Chart("", ""), 2)
		found := map[bool]bool{}
		for y := range picture.Bounds().Dy() {
			for x := range picture.Bounds().Dx() {
				if r, _, _, _ := picture.At(x, y).RGBA(); r < 0x9000 {
					found[float64(x)/2 > 112] = true
				}
			}
		}
		if got := fmt.Sprint(found[false], found[true]); got != want {
			t.Errorf("%s: dark left and right of the point: %s, want %s", anchor, got, want)
		}
	}
}

// What is no chart's size is refused.
func TestPNGBounds(t *testing.T) {
	for _, scale := range []float64{0, -1, 1e6} {
		if _, err := NewFrame(100, 60).Chart("", "").PNG(scale); err == nil {
			t.Errorf("scale %g: no error", scale)
		}
	}
}
