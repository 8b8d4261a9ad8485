package restore_test

import (
	"image"
	"image/color"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
	"latent/pkg/picture"
	"latent/pkg/restore"
	"latent/pkg/tiff"
)

// The enlarged part is the one that changed most, each of its pixels is there three times in each direction, and it is outlined above.
func TestCompare(t *testing.T) {
	before := picture.Array{Height: 150, Width: 400, Channels: 1, Values: array.Make(dtypes.Uint8, 150*400)}
	after := before
	after.Values = array.Make(dtypes.Uint8, 150*400)
	for _, at := range []image.Point{{210, 40}, {250, 60}, {305, 135}} { // a part that holds all of them begins at (210, 40)
		after.Values.Uint8[at.Y*400+at.X] = 255
	}
	after.Values.Uint8[0] = 255
	sheet := restore.Compare(before, after, 0, 0)
	if got := sheet.Bounds().Size(); got != image.Pt(400+4+400, 150+4+3*96) {
		t.Fatalf("%v", got)
	}
	at := func(x, y int) color.NRGBA { return color.NRGBAModel.Convert(sheet.At(x, y)).(color.NRGBA) }
	red := color.NRGBA{0xff, 0x3b, 0x1f, 0xff}
	for _, left := range []int{0, 404} {
		for _, p := range []image.Point{{208, 38}, {307, 137}, {208, 137}, {307, 38}, {250, 39}} {
			if got := at(left+p.X, p.Y); got != red {
				t.Errorf("at %v it is %v, want the outline", p.Add(image.Pt(left, 0)), got)
			}
		}
		want := color.NRGBA{A: 255}
		if left > 0 {
			want = color.NRGBA{255, 255, 255, 255}
		}
		below := left + (400-3*96)/2
		for _, p := range []image.Point{{0, 0}, {2, 2}, {3 * 95, 3 * 95}, {3*95 + 2, 3*95 + 2}, {3*40 + 1, 3*20 + 1}} {
			if got := at(below+p.X, 154+p.Y); got != want {
				t.Errorf("enlarged %v is %v, want %v", p, got, want)
			}
		}
		if got := at(below+3, 154+3); got != (color.NRGBA{A: 255}) {
			t.Errorf("the pixel beside it is %v", got)
		}
	}
}

// A small picture is enlarged whole, without an outline; one of floats, of other channels or with alpha is shown, too.
func TestCompareSmall(t *testing.T) {
	small := picture.Array{Height: 28, Width: 20, Channels: 1, Values: array.Make(dtypes.Uint16, 28*20)}
	sheet := restore.Compare(small, small, 0, 0)
	if got := sheet.Bounds().Size(); got != image.Pt(2*60+4, 28+4+84) {
		t.Errorf("%v", got)
	}
	if got := color.NRGBAModel.Convert(sheet.At(20, 0)); got != (color.NRGBA{A: 255}) {
		t.Errorf("the picture above is not in the middle, but %v there", got)
	}
	floats := picture.Array{Height: 2, Width: 2, Channels: 1, Values: array.Values{Float32: []float32{-5, 5, 0, 0}}}
	sheet = restore.Compare(floats, floats, 0, 0)
	if low, high := color.GrayModel.Convert(sheet.At(0, 6)).(color.Gray).Y, color.GrayModel.Convert(sheet.At(3, 6)).(color.Gray).Y; low != 0 || high != 255 {
		t.Errorf("floats are shown as %d and %d", low, high)
	}
	for _, a := range []picture.Array{
		{Channels: 5}, {Channels: 2, Alpha: tiff.Unassociated}, {Channels: 3, Alpha: tiff.Associated}, {Channels: 4, Alpha: tiff.Associated},
		{Channels: 4}, {Channels: 6, Alpha: tiff.Unassociated},
	} {
		a.Height, a.Width, a.Values = 3, 5, array.Make(dtypes.Uint8, 15*a.Channels)
		restore.Compare(a, a, 0, 0)
		a.Values = array.Make(dtypes.Float32, 15*a.Channels)
		restore.Compare(a, a, 0, 0)
	}
}
