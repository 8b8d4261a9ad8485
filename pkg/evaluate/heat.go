package evaluate

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	xdraw "golang.org/x/image/draw"
	"golang.org/x/image/font"

	"latent/pkg/dataset"
)

// Heat is a picture, what a model makes of it, and where the two differ.
type Heat struct {
	// Label stands above, in two short lines.
	Label [2]string
	// Picture and Output are one picture each, as [dataset.Samples.Shown] has them; of any sizes.
	Picture, Output *dataset.Samples
	// Map is the error of each pixel: [height, width].
	Map []float32
	// Mask marks the pixels that are anomalous; nil where that is not known.
	Mask *dataset.Mask
}

// HeatSheet is a picture of heat maps in groups: of each sample, one below the other, the picture, its reconstruction, the map, and the
// map over the picture, with the outline of the mask.
type HeatSheet struct {
	// Caption stands above; it is wrapped.
	Caption string
	// High is the value in the middle of the colours of all maps, which begin at 0: maps of normal pictures stay below it.
	High   float64
	Groups []HeatGroup
}

// HeatGroup is a row of samples under a title.
type HeatGroup struct {
	Title string
	Heats []Heat
}

// Distances on a sheet of heat maps, in pixels.
const (
	heatSide   = 128 // of the square that a picture lies in
	heatGap    = 6
	heatLeft   = 112 // what is written at the side has
	heatBar    = 160 // the colours' length
	heatHigh   = 10  // their height
	heatGroups = 18  // between groups
	heatLeast  = 5   // samples that the sheet is wide enough for
)

// heatColours are those of maps, at equal distances: dark to bright, also for people who do not see all colours.
var heatColours = []color.RGBA{{0, 0, 12, 255}, {62, 10, 100, 255}, {143, 28, 107, 255}, {217, 68, 70, 255}, {249, 143, 32, 255}, {252, 244, 160, 255}}

// maskColour is that of a mask's outline.
var maskColour = color.RGBA{0, 229, 255, 255}

// heatAt is the colour of a part from 0 to 1.
func heatAt(part float64) color.RGBA {
	at := min(max(part, 0), 1) * float64(len(heatColours)-1)
	i := min(int(at), len(heatColours)-2)
	mix := func(a, b uint8) uint8 {
		return uint8(math.Round(float64(a) + (at-float64(i))*(float64(b)-float64(a))))
	}
	a, b := heatColours[i], heatColours[i+1]
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

// part is a value as a part of the colours.
func (h Heat) part(i int, high float64) float64 {
	if !(high > 0) {
		return 0
	}
	return min(max(float64(h.Map[i])/(2*high), 0), 1)
}

// mapped is the heat map as a picture.
func (h Heat) mapped(high float64) *image.RGBA {
	width := h.Picture.Width
	canvas := image.NewRGBA(image.Rect(0, 0, width, len(h.Map)/width))
	for i := range h.Map {
		canvas.SetRGBA(i%width, i/width, heatAt(h.part(i, high)))
	}
	return canvas
}

// Overlay is the heat map over the picture, opaque where it is high, and the outline of the mask. high is the value in the middle of the
// colours.
func (h Heat) Overlay(high float64) image.Image {
	const opaque = 0.8
	canvas := pictureOf(h.Picture)
	for i := range h.Map {
		x, y, part := i%h.Picture.Width, i/h.Picture.Width, h.part(i, high)
		under, over, alpha := canvas.RGBAAt(x, y), heatAt(part), opaque*part
		mix := func(a, b uint8) uint8 { return uint8(math.Round((1-alpha)*float64(a) + alpha*float64(b))) }
		canvas.SetRGBA(x, y, color.RGBA{mix(under.R, over.R), mix(under.G, over.G), mix(under.B, over.B), 255})
	}
	return canvas
}

// drawOutline draws the border of what a mask marks into a square that shows the mask's picture.
func drawOutline(canvas draw.Image, square image.Rectangle, m *dataset.Mask) {
	marked := func(x, y int) bool {
		if !(image.Pt(x, y).In(square)) {
			return false
		}
		at := (y-square.Min.Y)*m.Height/square.Dy()*m.Width + (x-square.Min.X)*m.Width/square.Dx()
		return m.Marked[at]
	}
	for y := square.Min.Y; y < square.Max.Y; y++ {
		for x := square.Min.X; x < square.Max.X; x++ {
			if marked(x, y) && !(marked(x-1, y) && marked(x+1, y) && marked(x, y-1) && marked(x, y+1)) {
				canvas.Set(x, y, maskColour)
			}
		}
	}
}

// pictureOf is the only one of some samples as a picture.
func pictureOf(s *dataset.Samples) *image.RGBA {
	canvas := image.NewRGBA(image.Rect(0, 0, s.Width, s.Height))
	paint(canvas, image.Point{}, s, 0, 1)
	return canvas
}

// heatSquare is where a picture of a size lies in a square at a place: as large as it fits in, small ones a whole number of times as large.
func heatSquare(at image.Point, width, height int) image.Rectangle {
	size := image.Pt(width, height)
	if times := heatSide / max(width, height); times > 0 {
		size = size.Mul(times)
	} else {
		longest := max(width, height)
		size = image.Pt(max(1, width*heatSide/longest), max(1, height*heatSide/longest))
	}
	at = at.Add(image.Pt((heatSide-size.X)/2, (heatSide-size.Y)/2))
	return image.Rectangle{at, at.Add(size)}
}

// Draw renders the sheet as a PNG.
func (s HeatSheet) Draw() ([]byte, error) {
	faces, err := newFaces()
	if err != nil {
		return nil, err
	}
	rows := []string{"picture", "reconstruction", "error", "error over it"}
	columns := heatLeast
	for _, group := range s.Groups {
		columns = max(columns, len(group.Heats))
	}
	width := heatLeft + columns*(heatSide+heatGap) + sheetMargin
	caption := wrap(faces.caption, s.Caption, width-2*sheetMargin)
	const line = labelSize + lineGap
	top := sheetMargin + len(caption)*(captionSize+lineGap)
	first := top + heatHigh + line + lineGap
	each := captionSize + lineGap + 2*line + len(rows)*(heatSide+heatGap) + heatGroups
	canvas := newCanvas(width, first+len(s.Groups)*each)
	writeLines(canvas, faces.caption, ink, sheetMargin, sheetMargin, captionSize, caption)
	s.drawColours(canvas, faces.label, image.Pt(heatLeft, top))
	for g, group := range s.Groups {
		y := first + g*each
		writeLines(canvas, faces.caption, ink, sheetMargin, y, captionSize, []string{group.Title})
		y += captionSize + lineGap
		for i, row := range rows {
			write(canvas, faces.label, faint, sheetMargin, y+2*line+i*(heatSide+heatGap)+heatSide/2, row)
		}
		for i, heat := range group.Heats {
			heat.draw(canvas, faces.label, image.Pt(heatLeft+i*(heatSide+heatGap), y), s.High)
		}
	}
	return encode(canvas)
}

// draw draws a sample's column.
func (h Heat) draw(canvas *image.RGBA, face font.Face, at image.Point, high float64) {
	const line = labelSize + lineGap
	for i, text := range h.Label {
		writeLines(canvas, face, faint, at.X, at.Y+i*line, labelSize, []string{text})
	}
	at.Y += 2 * line
	for _, picture := range []image.Image{pictureOf(h.Picture), pictureOf(h.Output), h.mapped(high), h.Overlay(high)} {
		square := heatSquare(at, h.Picture.Width, h.Picture.Height)
		var scaler xdraw.Scaler = xdraw.NearestNeighbor
		if square.Dx() < h.Picture.Width {
			scaler = xdraw.CatmullRom
		}
		scaler.Scale(canvas, square, picture, picture.Bounds(), draw.Src, nil)
		at.Y += heatSide + heatGap
	}
	if h.Mask != nil {
		drawOutline(canvas, heatSquare(at.Sub(image.Pt(0, heatSide+heatGap)), h.Picture.Width, h.Picture.Height), h.Mask)
	}
}

// drawColours draws what the colours of maps mean.
func (s HeatSheet) drawColours(canvas *image.RGBA, face font.Face, at image.Point) {
	for x := range heatBar {
		c := heatAt(float64(x) / (heatBar - 1))
		draw.Draw(canvas, image.Rect(at.X+x, at.Y, at.X+x+1, at.Y+heatHigh), image.NewUniform(c), image.Point{}, draw.Src)
	}
	writeLines(canvas, face, faint, at.X, at.Y+heatHigh+2, labelSize, []string{"0"})
	write(canvas, face, faint, at.X+heatBar/2-2, at.Y+heatHigh+2+labelSize, "one normal picture in a hundred reaches this")
}
