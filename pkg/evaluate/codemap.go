package evaluate

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/vector"
)

// CodeMap is a picture of points on planes side by side, marked by their labels.
type CodeMap struct {
	// Caption stands above; it is wrapped.
	Caption string
	Panels  []Panel
	// Labels are the points' classes, an index into Classes each; nil marks all alike and leaves the legend out.
	Labels  []uint8
	Classes []string
}

// Panel is one plane. Both its axes have the same scale.
type Panel struct {
	Title string
	// X and Y say what the axes mean.
	X, Y string
	// Points are those of the first labels, as many as there are here.
	Points [][2]float64
}

// Distances on a map, in pixels.
const (
	panelSide    = 496
	panelGap     = 24
	panelPadding = 14 // inside the frame, around the points
	markRadius   = 3.2
	markHalo     = 0.8 // of paper around a mark, so that marks that overlap can be told apart
	markLegend   = 5   // a mark's radius in the legend
)

// frame is the colour of a panel's frame.
var frame = color.RGBA{200, 204, 209, 255}

// palette tells ten classes apart, also for people who do not see all colours: Paul Tol's muted scheme, with a dark grey. More
// classes have the same colours and another shape.
var palette = []color.RGBA{
	{0x33, 0x22, 0x88, 255}, {0xcc, 0x66, 0x77, 255}, {0x11, 0x77, 0x33, 255}, {0xdd, 0xcc, 0x77, 255}, {0x88, 0xcc, 0xee, 255},
	{0x88, 0x22, 0x55, 255}, {0x44, 0xaa, 0x99, 255}, {0x99, 0x99, 0x33, 255}, {0xaa, 0x44, 0x99, 255}, {0x55, 0x5a, 0x60, 255},
}

// marks are the corners of the marks, with radius 1, for the first ten classes, the next ten, and so on. The first is a disc.
var marks = [][][2]float64{
	disc(24),
	{{0, -1.25}, {1.1, 0.75}, {-1.1, 0.75}},
	{{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}},
	{{-0.4, -1.2}, {0.4, -1.2}, {0.4, -0.4}, {1.2, -0.4}, {1.2, 0.4}, {0.4, 0.4}, {0.4, 1.2}, {-0.4, 1.2}, {-0.4, 0.4}, {-1.2, 0.4}, {-1.2, -0.4}, {-0.4, -0.4}},
	{{0, -1.35}, {0.85, 0}, {0, 1.35}, {-0.85, 0}},
}

// disc is a polygon of so many corners.
func disc(corners int) [][2]float64 {
	var all [][2]float64
	for i := range corners {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(corners))
		all = append(all, [2]float64{cos, sin})
	}
	return all
}

// Draw renders the picture as a PNG.
func (s CodeMap) Draw() ([]byte, error) {
	faces, err := newFaces()
	if err != nil {
		return nil, err
	}
	const line = labelSize + lineGap
	left := sheetMargin + line // of the first frame, right of its axis's name
	width := left + len(s.Panels)*(panelSide+panelGap+line) - panelGap - line + sheetMargin
	caption := wrap(faces.caption, s.Caption, width-2*sheetMargin)
	top := sheetMargin + len(caption)*(captionSize+lineGap) // of the panels' titles
	legend := s.legend(faces.label, width-2*sheetMargin)
	bottom := top + 2*line + panelSide + lineGap // of the panels, where the legend begins
	canvas := newCanvas(width, bottom+len(legend)*line+sheetMargin)
	writeLines(canvas, faces.caption, ink, sheetMargin, sheetMargin, captionSize, caption)
	for i, panel := range s.Panels {
		x := left + i*(panelSide+panelGap+line)
		write(canvas, faces.label, ink, x, top+labelSize, panel.Title)
		area := image.Rect(x, top+line, x+panelSide, top+line+panelSide)
		outline(canvas, area)
		s.drawPoints(canvas, area.Inset(panelPadding), panel.Points)
		write(canvas, faces.label, faint, x, area.Max.Y+lineGap/2+labelSize, panel.X)
		writeUp(canvas, faces.label, faint, image.Pt(x-lineGap, area.Max.Y), panel.Y)
	}
	for i, row := range legend {
		for _, entry := range row {
			y := bottom + i*line
			mark(canvas, float64(sheetMargin+entry.x+markLegend), float64(y+line/2-2), markLegend, entry.class)
			write(canvas, faces.label, ink, sheetMargin+entry.x+3*markLegend, y+labelSize+1, s.Classes[entry.class])
		}
	}
	return encode(canvas)
}

// drawPoints draws a panel's points in the middle of an area.
func (s CodeMap) drawPoints(canvas *image.RGBA, area image.Rectangle, points [][2]float64) {
	low, high := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for _, point := range points {
		for k, value := range point {
			low[k], high[k] = min(low[k], value), max(high[k], value)
		}
	}
	scale := 0.0 // where all points are the same, they are in the middle
	if extent := max(high[0]-low[0], high[1]-low[1]); extent > 0 {
		scale = float64(area.Dx()) / extent
	}
	for i, point := range points {
		class := 0
		if s.Labels != nil {
			class = int(s.Labels[i])
		}
		x := float64(area.Min.X+area.Max.X)/2 + (point[0]-(low[0]+high[0])/2)*scale
		y := float64(area.Min.Y+area.Max.Y)/2 - (point[1]-(low[1]+high[1])/2)*scale
		mark(canvas, x, y, markRadius, class)
	}
}

// mark draws the mark of a class with a halo.
func mark(canvas *image.RGBA, x, y, radius float64, class int) {
	shape := marks[class/len(palette)%len(marks)]
	fill(canvas, x, y, radius+markHalo, shape, paper)
	fill(canvas, x, y, radius, shape, palette[class%len(palette)])
}

// fill draws a polygon with smooth edges, its corners scaled by radius about (x, y).
func fill(canvas *image.RGBA, x, y, radius float64, corners [][2]float64, c color.Color) {
	reach := int(math.Ceil(1.5*radius)) + 1
	corner := image.Pt(int(math.Floor(x))-reach, int(math.Floor(y))-reach)
	raster := vector.NewRasterizer(2*reach+1, 2*reach+1)
	for i, at := range corners {
		px, py := float32(x+radius*at[0]-float64(corner.X)), float32(y+radius*at[1]-float64(corner.Y))
		if i == 0 {
			raster.MoveTo(px, py)
		} else {
			raster.LineTo(px, py)
		}
	}
	raster.ClosePath()
	raster.Draw(canvas, raster.Bounds().Add(corner), image.NewUniform(c), image.Point{})
}

// outline draws a frame just outside an area.
func outline(canvas *image.RGBA, area image.Rectangle) {
	draw.Draw(canvas, area.Inset(-1), image.NewUniform(frame), image.Point{}, draw.Src)
	draw.Draw(canvas, area, image.NewUniform(paper), image.Point{}, draw.Src)
}

// writeUp puts text on the canvas that is read from below, its baseline's start at a point.
func writeUp(canvas *image.RGBA, face font.Face, c color.Color, start image.Point, text string) {
	metrics := face.Metrics()
	ascent, descent := metrics.Ascent.Ceil(), metrics.Descent.Ceil()
	level := newCanvas(font.MeasureString(face, text).Ceil(), ascent+descent)
	write(level, face, c, 0, ascent, text)
	for y := range level.Rect.Dy() {
		for x := range level.Rect.Dx() {
			canvas.Set(start.X-ascent+y, start.Y-1-x, level.At(x, y))
		}
	}
}

// legendEntry is a class in the legend, and how far from the left it stands.
type legendEntry struct{ class, x int }

// legend lists the classes that occur in rows of at most width pixels.
func (s CodeMap) legend(face font.Face, width int) [][]legendEntry {
	occurs := map[int]bool{}
	for _, label := range s.Labels {
		occurs[int(label)] = true
	}
	var rows [][]legendEntry
	x := width
	for class, name := range s.Classes {
		if !occurs[class] {
			continue
		}
		own := 3*markLegend + font.MeasureString(face, name).Ceil() + captionSize
		if len(rows) == 0 || x+own > width {
			rows, x = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], legendEntry{class, x})
		x += own
	}
	return rows
}
