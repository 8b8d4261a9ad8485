package evaluate

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/vector"

	"latent/pkg/array"
	"latent/pkg/dataset"
)

// Sizes of charts of vectors, in pixels.
const (
	chartWidth   = 350
	chartHeight  = 120
	chartGap     = 20
	axisWidth    = 42 // left of a panel, for numbers
	mostCharts   = 12
	chartColumns = 3
	namesShown   = 12  // features whose names are written below an axis; of more, their numbers
	nameLength   = 14  // characters of a name that are written
	vectorWidth  = 132 // of a vector on a sheet, at most
	vectorHeight = 56
)

var (
	original = ink
	restored = color.RGBA{217, 48, 37, 255}
	corrupts = color.RGBA{154, 160, 166, 255}
	bar      = color.RGBA{26, 115, 232, 255}
)

// series is one line of a chart: a value for each feature.
type series struct {
	values array.Values
	colour color.RGBA
	width  float32
	dots   bool // no line
}

// profile is a chart of the values of a vector over its features.
type profile struct {
	bounds    image.Rectangle
	low, high float64
}

func (p profile) x(feature, features int) float32 {
	return float32(p.bounds.Min.X) + (float32(feature)+0.5)*float32(p.bounds.Dx())/float32(features)
}

func (p profile) y(value float64) float32 {
	part := min(max((value-p.low)/(p.high-p.low), 0), 1)
	return float32(p.bounds.Max.Y) - float32(part)*float32(p.bounds.Dy())
}

// line paints a series.
func (p profile) line(canvas *image.RGBA, s series) {
	n := s.values.Len()
	path := newPath(p.bounds)
	for i := range n {
		x, y := p.x(i, n), p.y(s.values.At(i))
		path.dot(x, y, s.width+0.6)
		if i > 0 && !s.dots {
			path.segment(p.x(i-1, n), p.y(s.values.At(i-1)), x, y, s.width)
		}
	}
	path.fill(canvas, s.colour)
}

// bars paints a value from 0 on for each feature.
func (p profile) bars(canvas *image.RGBA, values []float64, c color.RGBA) {
	path := newPath(p.bounds)
	half := max(0.5, 0.4*float32(p.bounds.Dx())/float32(len(values)))
	for i, value := range values {
		x := p.x(i, len(values))
		path.box(x-half, p.y(value), x+half, p.y(0))
	}
	path.fill(canvas, c)
}

// tile paints a vector as a tile of a sheet: its bars alone.
func (p profile) tile(canvas *image.RGBA, vector array.Values) {
	outline(canvas, p.bounds.Inset(1))
	values := make([]float64, vector.Len())
	for i := range values {
		values[i] = vector.At(i)
	}
	p.bars(canvas, values, bar)
}

// axes paints the frame, the line at 0, and the numbers at the left.
func (p profile) axes(canvas *image.RGBA, face font.Face) {
	b := p.bounds
	outline(canvas, b)
	for _, value := range []float64{p.low, 0, p.high} {
		y := int(p.y(value))
		if value == 0 && p.low < 0 {
			draw.Draw(canvas, image.Rect(b.Min.X, y, b.Max.X, y+1), image.NewUniform(frame), image.Point{}, draw.Src)
		}
		label := strings.Replace(fmt.Sprintf("%.3g", value), "-", "−", 1)
		write(canvas, face, faint, b.Min.X-lineGap-font.MeasureString(face, label).Ceil(), y+labelSize/2-1, label)
	}
}

// names writes the features' names below the axis, or numbers where there are many.
func (p profile) names(canvas *image.RGBA, face font.Face, features []string) {
	last := math.MinInt
	for i, name := range features {
		if len(features) > namesShown {
			name = fmt.Sprint(i + 1)
		} else if runes := []rune(name); len(runes) > nameLength {
			name = string(runes[:nameLength-1]) + "…"
		}
		width := font.MeasureString(face, name).Ceil()
		left := int(p.x(i, len(features))) - width/2
		if left > last+lineGap && left+width <= p.bounds.Max.X+chartGap/2 {
			write(canvas, face, faint, left, p.bounds.Max.Y+labelSize+4, name)
			last = left + width
		}
	}
}

// path is an outline that is filled at once.
type path struct {
	raster *vector.Rasterizer
	origin image.Point
	bounds image.Rectangle
}

// pathMargin is how far lines may reach beyond the bounds of a path.
const pathMargin = 4

func newPath(bounds image.Rectangle) path {
	grown := bounds.Inset(-pathMargin)
	return path{vector.NewRasterizer(grown.Dx(), grown.Dy()), grown.Min, grown}
}

func (p path) polygon(points ...float32) {
	x, y := float32(p.origin.X), float32(p.origin.Y)
	p.raster.MoveTo(points[0]-x, points[1]-y)
	for i := 2; i < len(points); i += 2 {
		p.raster.LineTo(points[i]-x, points[i+1]-y)
	}
	p.raster.ClosePath()
}

func (p path) box(left, top, right, bottom float32) {
	p.polygon(left, top, right, top, right, bottom, left, bottom)
}

// dot is a small octagon about a point.
func (p path) dot(x, y, radius float32) {
	a := radius * math.Sqrt2 / 2
	p.polygon(x+radius, y, x+a, y+a, x, y+radius, x-a, y+a, x-radius, y, x-a, y-a, x, y-radius, x+a, y-a)
}

// segment is a line of a width. All outlines turn the same way, so that they do not cancel where they cross.
func (p path) segment(x0, y0, x1, y1, width float32) {
	length := float32(math.Hypot(float64(x1-x0), float64(y1-y0)))
	if length == 0 {
		return
	}
	nx, ny := -(y1-y0)/length*width/2, (x1-x0)/length*width/2
	p.polygon(x0-nx, y0-ny, x1-nx, y1-ny, x1+nx, y1+ny, x0+nx, y0+ny)
}

func (p path) fill(canvas *image.RGBA, c color.RGBA) {
	p.raster.Draw(canvas, p.bounds, image.NewUniform(c), image.Point{})
}

// rangeOf returns round ends of all values of samples.
func rangeOf(parts ...*dataset.Samples) (low, high float64) {
	for _, part := range parts {
		for i := range part.Values.Len() {
			low, high = min(low, part.Values.At(i)), max(high, part.Values.At(i))
		}
	}
	return -roundUp(-low), roundUp(high)
}

// roundUp returns the next number of one digit, or 1.5 or 2.5 of them; 0 of 0.
func roundUp(x float64) float64 {
	if x <= 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, digit := range []float64{1, 1.5, 2, 2.5, 3, 4, 5, 6, 8} {
		if x <= digit*unit {
			return digit * unit
		}
	}
	return 10 * unit
}

// drawProfiles charts vectors over their features: the original, the damaged input (where damage names it) and the reconstruction of
// each of the first, and the mean error of each feature over all of them.
func drawProfiles(samples Samples, caption, damage string) ([]byte, error) {
	faces, err := newFaces()
	if err != nil {
		return nil, err
	}
	features := samples.Clean.Features
	n := min(samples.Clean.Len(), mostCharts)
	columns := min(chartColumns, n)
	rows := (n + columns - 1) / columns
	cellWidth, cellHeight := axisWidth+chartWidth, chartHeight+labelSize+2*lineGap
	width := 2*sheetMargin + columns*(cellWidth+chartGap) - chartGap
	lines := wrap(faces.caption, caption, width-2*sheetMargin)
	legend := sheetMargin + len(lines)*(captionSize+lineGap)
	top := legend + labelSize + 2*lineGap
	errorsTop := top + rows*(cellHeight+chartGap)
	canvas := newCanvas(width, errorsTop+labelSize+lineGap+chartHeight+labelSize+2*lineGap+sheetMargin)
	writeLines(canvas, faces.caption, ink, sheetMargin, sheetMargin, captionSize, lines)

	x := sheetMargin
	key := func(c color.RGBA, text string) {
		draw.Draw(canvas, image.Rect(x, legend+labelSize/2, x+lineGap*2, legend+labelSize/2+3), image.NewUniform(c), image.Point{}, draw.Src)
		x += lineGap * 3
		write(canvas, faces.label, faint, x, legend+labelSize, text)
		x += font.MeasureString(faces.label, text).Ceil() + 2*lineGap
	}
	key(original, "original")
	if damage != "" {
		key(corrupts, damage)
	}
	key(restored, "reconstructed")

	low, high := rangeOf(samples.Clean.First(n), samples.Reconstructed.First(n))
	if low == high {
		high = 1
	}
	for i := range n {
		corner := image.Pt(sheetMargin+axisWidth+i%columns*(cellWidth+chartGap), top+i/columns*(cellHeight+chartGap))
		p := profile{image.Rectangle{corner, corner.Add(image.Pt(chartWidth, chartHeight))}, low, high}
		p.axes(canvas, faces.label)
		if damage != "" {
			p.line(canvas, series{samples.Damaged.At(i), corrupts, 1.2, true})
		}
		p.line(canvas, series{samples.Clean.At(i), original, 1.4, false})
		p.line(canvas, series{samples.Reconstructed.At(i), restored, 1.2, false})
		p.names(canvas, faces.label, features)
	}

	means := make([]float64, len(features))
	highest := 0.0
	for j := range means {
		for i := range samples.Clean.Len() {
			means[j] += math.Abs(samples.Reconstructed.At(i).At(j)-samples.Clean.At(i).At(j)) / float64(samples.Clean.Len())
		}
		highest = max(highest, means[j])
	}
	write(canvas, faces.label, faint, sheetMargin, errorsTop+labelSize, fmt.Sprintf("mean absolute error of each feature, of %d samples", samples.Clean.Len()))
	corner := image.Pt(sheetMargin+axisWidth, errorsTop+labelSize+2*lineGap)
	p := profile{image.Rectangle{corner, image.Pt(width-sheetMargin, corner.Y+chartHeight)}, 0, max(roundUp(highest), 1e-9)}
	p.axes(canvas, faces.label)
	p.bars(canvas, means, bar)
	p.names(canvas, faces.label, features)
	return encode(canvas)
}
