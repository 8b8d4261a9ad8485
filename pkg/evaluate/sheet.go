package evaluate

import (
	stdbytes "bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"slices"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"latent/pkg/dataset"
)

// Sheet is a picture of images in rows, each pixel a crisp square; or of vectors, each a bar chart over its features.
type Sheet struct {
	// Images are drawn row by row.
	Images *dataset.Samples
	// Columns is how many are in a row; 0 is as many as there are rows.
	Columns int
	// Caption stands above; it is wrapped.
	Caption string
	// Top labels the columns, and Left the rows; nil leaves them out.
	Top, Left []string
	// Breaks are the columns that stand farther from the one before.
	Breaks []int
	// Tight leaves no gap between the images of a row and between rows.
	Tight bool
	// Scale is the size of an image's pixel, in pixels; 0 chooses one that makes images about 84 pixels wide, or less where a
	// row would be wider than a page of the report.
	Scale int
}

// Distances on pictures, in pixels.
const (
	sheetMargin = 16
	tileGap     = 2  // between images
	breakGap    = 14 // before a column that stands apart
	captionSize = 15 // font sizes
	labelSize   = 12
	lineGap     = 8
	tileWidth   = 84   // about, where Scale is 0
	pageWidth   = 1090 // of the images of a row, where Scale is 0
	leastWidth  = 240  // of a picture, so that a caption has room
)

var (
	paper     = color.RGBA{255, 255, 255, 255}
	ink       = color.RGBA{32, 33, 36, 255}
	faint     = color.RGBA{95, 99, 104, 255}
	loadFonts = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(goregular.TTF) })
)

// faces are the built-in font in the sizes of pictures. A face is not for two goroutines.
type faces struct{ caption, label font.Face }

func newFaces() (faces, error) {
	parsed, err := loadFonts()
	if err != nil {
		return faces{}, fmt.Errorf("parse the built-in font: %w", err)
	}
	face := func(size float64) (font.Face, error) {
		return opentype.NewFace(parsed, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
	}
	var f faces
	if f.caption, err = face(captionSize); err != nil {
		return faces{}, err
	}
	f.label, err = face(labelSize)
	return f, err
}

// Draw renders the sheet as a PNG.
func (s Sheet) Draw() ([]byte, error) {
	faces, err := newFaces()
	if err != nil {
		return nil, err
	}
	n := s.Images.Len()
	columns := s.Columns
	if columns == 0 {
		columns = int(math.Ceil(math.Sqrt(float64(n))))
	}
	rows := (n + columns - 1) / columns
	tile, scale := s.tile(columns)
	gap := tileGap
	if s.Tight {
		gap = 0
	}

	left := sheetMargin
	for _, label := range s.Left {
		left = max(left, sheetMargin+font.MeasureString(faces.label, label).Ceil()+lineGap)
	}
	x := make([]int, columns) // of each column's left edge
	for j := range x {
		x[j] = left
		if j > 0 {
			x[j] = x[j-1] + max(tile.X+gap, s.labelRoom(faces, j-1))
			if slices.Contains(s.Breaks, j) {
				x[j] += breakGap - gap
			}
		}
	}
	width := max(x[columns-1]+max(tile.X, s.labelRoom(faces, columns-1)-lineGap)+sheetMargin, leastWidth)
	caption := wrap(faces.caption, s.Caption, width-2*sheetMargin)
	top := sheetMargin + len(caption)*(captionSize+lineGap)
	labels, labelLines := make([][]string, len(s.Top)), 0
	for j, label := range s.Top {
		labels[j] = wrap(faces.label, label, tile.X)
		labelLines = max(labelLines, len(labels[j]))
	}
	first := top + labelLines*(labelSize+lineGap) // the upper edge of the first row
	canvas := newCanvas(width, first+rows*(tile.Y+gap)-gap+sheetMargin)

	writeLines(canvas, faces.caption, ink, sheetMargin, sheetMargin, captionSize, caption)
	for j, lines := range labels {
		writeLines(canvas, faces.label, faint, x[j], top, labelSize, lines)
	}
	for i, label := range s.Left {
		width := font.MeasureString(faces.label, label).Ceil()
		write(canvas, faces.label, faint, left-lineGap-width, first+i*(tile.Y+gap)+(tile.Y+labelSize)/2-1, label)
	}
	low, high := 0.0, 0.0
	if s.Images.Vectors() {
		low, high = rangeOf(s.Images)
	}
	for i := range n {
		corner := image.Pt(x[i%columns], first+i/columns*(tile.Y+gap))
		if s.Images.Vectors() {
			profile{image.Rectangle{corner, corner.Add(tile)}, low, high}.tile(canvas, s.Images.At(i))
			continue
		}
		paint(canvas, corner, s.Images, i, scale)
	}
	return encode(canvas)
}

// labelRoom is the width that a column needs so that no word of its label runs into the next one's; 0 without labels.
func (s Sheet) labelRoom(f faces, column int) int {
	widest := 0
	if column < len(s.Top) {
		for _, word := range strings.Fields(s.Top[column]) {
			widest = max(widest, font.MeasureString(f.label, word).Ceil()+lineGap)
		}
	}
	return widest
}

// tile returns the size of an image on the sheet, and that of an image's pixel.
func (s Sheet) tile(columns int) (size image.Point, scale int) {
	if s.Images.Vectors() {
		return image.Pt(min(vectorWidth, max(tileWidth/2, pageWidth/columns)), vectorHeight), 1
	}
	scale = s.Scale
	if scale == 0 {
		scale = min((tileWidth+s.Images.Width/2)/s.Images.Width, pageWidth/(columns*s.Images.Width))
		scale = max(1, scale)
	}
	return image.Pt(s.Images.Width*scale, s.Images.Height*scale), scale
}

func newCanvas(width, height int) *image.RGBA {
	canvas := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(canvas, canvas.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	return canvas
}

func encode(canvas image.Image) ([]byte, error) {
	var out stdbytes.Buffer
	if err := png.Encode(&out, canvas); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// paint draws the i-th image with each pixel as a square of scale × scale.
func paint(canvas *image.RGBA, corner image.Point, images *dataset.Samples, i, scale int) {
	pixels := images.Values.Uint8[i*images.Height*images.Width*images.Channels:]
	for y := range images.Height * scale {
		row := canvas.Pix[canvas.PixOffset(corner.X, corner.Y+y):]
		for x := range images.Width * scale {
			c := colourOf(pixels[(y/scale*images.Width+x/scale)*images.Channels:][:images.Channels])
			row[4*x], row[4*x+1], row[4*x+2], row[4*x+3] = c.R, c.G, c.B, c.A
		}
	}
}

// colourOf returns the colour of a pixel: its first three channels are red, green and blue, and of fewer the first is grey.
func colourOf(values []uint8) color.RGBA {
	if len(values) >= 3 {
		return color.RGBA{values[0], values[1], values[2], 255}
	}
	return color.RGBA{values[0], values[0], values[0], 255}
}

// write puts text on the canvas, its baseline's left end at (x, y).
func write(canvas draw.Image, face font.Face, c color.Color, x, y int, text string) {
	drawer := font.Drawer{Dst: canvas, Src: image.NewUniform(c), Face: face, Dot: fixed.P(x, y)}
	drawer.DrawString(text)
}

// writeLines puts lines of text below each other, the upper left corner of the first at (x, y).
func writeLines(canvas draw.Image, face font.Face, c color.Color, x, y, size int, lines []string) {
	for i, line := range lines {
		write(canvas, face, c, x, y+i*(size+lineGap)+size, line)
	}
}

// wrap breaks text at spaces into lines of at most width pixels; a longer word has its line to itself.
func wrap(face font.Face, text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		longer := strings.TrimSpace(line + " " + word)
		if line != "" && font.MeasureString(face, longer).Ceil() > width {
			lines = append(lines, line)
			longer = word
		}
		line = longer
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// Tile is one of some pictures, as [dataset.Samples.Shown] has them, as a PNG: a pixel for each of its own.
func Tile(images *dataset.Samples, i int) ([]byte, error) {
	canvas := newCanvas(images.Width, images.Height)
	paint(canvas, image.Point{}, images, i, 1)
	return encode(canvas)
}
