package restore

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	xdraw "golang.org/x/image/draw"

	"latent/pkg/array"
	"latent/pkg/picture"
	"latent/pkg/tiff"
)

// The picture of a comparison, in pixels.
const (
	compareGap    = 4
	compareSide   = 96 // of the part that is enlarged
	compareTimes  = 3
	compareBorder = 2
)

// outline is the colour of what shows where the enlarged part is.
var outline = color.NRGBA{R: 0xff, G: 0x3b, B: 0x1f, A: 0xff}

// Compare shows what became of a picture: before and after side by side, and below them, three times as large, the part of 96×96 pixels whose
// values changed most, which is outlined above; all of a picture that is not larger. Both are of one size, type and channels. black and
// white are the ends of floats, as of [Restorer.Ends]; where they are equal, those of the values before are taken.
func Compare(before, after picture.Array, black, white float64) image.Image {
	w, h := before.Width, before.Height
	part := changed(before, after, compareSide)
	column := max(w, compareTimes*part.Dx())
	width, height := 2*column+compareGap, h+compareGap+compareTimes*part.Dy()
	sheet := image.NewNRGBA(image.Rect(0, 0, width, height))
	draw.Draw(sheet, sheet.Rect, image.White, image.Point{}, draw.Src)
	if !(black < white) && before.Values.Type() == dtypes.Float32 {
		black, white = float64(slices.Min(before.Values.Float32)), float64(slices.Max(before.Values.Float32))
	}
	for i, a := range []picture.Array{before, after} {
		p := shown(a, black, white)
		left := i * (column + compareGap)
		at := image.Rect(0, 0, w, h).Add(image.Pt(left+(column-w)/2, 0))
		draw.Draw(sheet, at, p, image.Point{}, draw.Over)
		if part.Size() != at.Size() {
			frame(sheet, part.Add(at.Min).Inset(-compareBorder).Intersect(at))
		}
		size := part.Size().Mul(compareTimes)
		below := image.Rectangle{Max: size}.Add(image.Pt(left+(column-size.X)/2, h+compareGap))
		xdraw.NearestNeighbor.Scale(sheet, below, p, part, draw.Over, nil)
	}
	return sheet
}

// frame draws the outline along the inside of a rectangle.
func frame(sheet draw.Image, r image.Rectangle) {
	for _, side := range []image.Rectangle{
		{r.Min, image.Pt(r.Max.X, r.Min.Y+compareBorder)}, {image.Pt(r.Min.X, r.Max.Y-compareBorder), r.Max},
		{r.Min, image.Pt(r.Min.X+compareBorder, r.Max.Y)}, {image.Pt(r.Max.X-compareBorder, r.Min.Y), r.Max},
	} {
		draw.Draw(sheet, side, image.NewUniform(outline), image.Point{}, draw.Src)
	}
}

// shown is a picture as people see it: of other channels than grey and RGB the first.
func shown(a picture.Array, black, white float64) image.Image {
	if colours := a.Channels; a.Alpha == tiff.NoAlpha && colours != 1 && colours != 3 || colours > 4 || colours == 3 && a.Alpha != tiff.NoAlpha {
		first := array.Make(a.Values.Type(), a.Height*a.Width)
		for i := range first.Len() {
			first.Set(i, a.Values.At(i*a.Channels))
		}
		a = picture.Array{Height: a.Height, Width: a.Width, Channels: 1, Values: first}
	}
	if whole, err := a.Integers(black, white); err == nil {
		a = whole
	} else { // one value alone
		a.Values = array.Make(dtypes.Uint8, a.Values.Len())
	}
	return a.Image()
}

// changed is the part of a picture, of side pixels or the picture's, with the largest mean absolute difference; the first in reading order of
// several.
func changed(before, after picture.Array, side int) image.Rectangle {
	w, h, row := before.Width, before.Height, before.Width*before.Channels
	across, down := min(side, w), min(side, h)
	columns := make([]float64, w) // of the differences in down rows
	add := func(y int, sign float64) {
		for i := range row {
			if before.Alpha != tiff.NoAlpha && before.Values.At(y*row+i/before.Channels*before.Channels+before.Channels-1) == 0 {
				continue // nobody sees it
			}
			if d := math.Abs(after.Values.At(y*row+i) - before.Values.At(y*row+i)); d > 0 && !math.IsInf(d, 0) {
				columns[i/before.Channels] += sign * d
			}
		}
	}
	most, at := -1.0, image.Point{}
	for y := range h {
		add(y, 1)
		if y >= down {
			add(y-down, -1)
		}
		if y < down-1 {
			continue
		}
		sum := 0.0
		for x, column := range columns {
			sum += column
			if x >= across {
				sum -= columns[x-across]
			}
			if x >= across-1 && sum > most*(1+1e-9) { // more than by rounding
				most, at = sum, image.Pt(x-across+1, y-down+1)
			}
		}
	}
	return image.Rect(0, 0, across, down).Add(at)
}
