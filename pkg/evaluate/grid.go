package evaluate

import (
	stdbytes "bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"latent/pkg/dataset"
)

// Grid is a picture of held-out images: clean, corrupted and reconstructed side by side.
type Grid struct {
	// Rows is the number of rows of the picture.
	Rows int `yaml:"rows" min:"1" max:"100"`

	// Columns is how many images each row shows, each as clean, corrupted, reconstructed.
	Columns int `yaml:"columns" min:"1" max:"100"`

	// Every draws a grid after every so many epochs; 0 draws only those before the first and after the last epoch.
	Every int `yaml:"every" min:"0"`

	// Scale is the size of one image pixel on the picture, in pixels; 0 chooses one that makes images about 84 pixels
	// wide.
	Scale int `yaml:"scale" min:"0" max:"64"`
}

// Images is how many images the grid shows.
func (g Grid) Images() int { return g.Rows * g.Columns }

// Distances on the picture, in pixels.
const (
	gridMargin  = 16
	tileGap     = 2  // between the pictures of one image
	groupGap    = 14 // between images
	captionSize = 15 // font sizes
	labelSize   = 12
	lineGap     = 8
	tileWidth   = 84 // about, where Scale is 0
)

var (
	paper     = color.RGBA{255, 255, 255, 255}
	ink       = color.RGBA{32, 33, 36, 255}
	faint     = color.RGBA{95, 99, 104, 255}
	loadFonts = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(goregular.TTF) })
)

// Draw renders samples as a PNG: each image a group of clean, damaged (where damage names it; "" leaves it out) and
// reconstructed pictures, every pixel a crisp square, with a caption above.
func (g Grid) Draw(samples Samples, caption, damage string) ([]byte, error) {
	parsed, err := loadFonts()
	if err != nil {
		return nil, fmt.Errorf("parse the built-in font: %w", err)
	}
	captionFace, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: captionSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, err
	}
	labelFace, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: labelSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, err
	}

	parts := []*dataset.Images{samples.Clean, samples.Damaged, samples.Reconstructed}
	labels := []string{"clean", damage, "reconstructed"}
	if damage == "" {
		parts = []*dataset.Images{samples.Clean, samples.Reconstructed}
		labels = []string{"clean", "reconstructed"}
	}
	scale := g.Scale
	if scale == 0 {
		scale = max(1, (tileWidth+samples.Clean.Width/2)/samples.Clean.Width)
	}
	tile := image.Pt(samples.Clean.Width*scale, samples.Clean.Height*scale)
	group := len(parts)*(tile.X+tileGap) - tileGap
	n := samples.Clean.Len()
	columns := min(g.Columns, n)
	rows := (n + columns - 1) / columns

	width := columns*(group+groupGap) - groupGap
	captionLines := wrap(captionFace, caption, width)
	labelLines, labelHeight := make([][]string, len(labels)), 0
	for j, label := range labels {
		labelLines[j] = wrap(labelFace, label, tile.X)
		labelHeight = max(labelHeight, len(labelLines[j])*(labelSize+lineGap))
	}
	top := gridMargin + len(captionLines)*(captionSize+lineGap) + labelHeight
	height := top + rows*(tile.Y+tileGap) - tileGap + gridMargin

	canvas := image.NewRGBA(image.Rect(0, 0, width+2*gridMargin, height))
	draw.Draw(canvas, canvas.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	y := gridMargin
	for _, line := range captionLines {
		write(canvas, captionFace, ink, gridMargin, y+captionSize, line)
		y += captionSize + lineGap
	}
	for column := range columns {
		for j, lines := range labelLines {
			for i, line := range lines {
				x := gridMargin + column*(group+groupGap) + j*(tile.X+tileGap)
				write(canvas, labelFace, faint, x, y+i*(labelSize+lineGap)+labelSize, line)
			}
		}
	}
	for i := range n {
		for j, part := range parts {
			corner := image.Pt(
				gridMargin+i%columns*(group+groupGap)+j*(tile.X+tileGap),
				top+i/columns*(tile.Y+tileGap))
			paint(canvas, corner, part, i, scale)
		}
	}
	var out stdbytes.Buffer
	if err := png.Encode(&out, canvas); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// DrawSheet renders images as a PNG, in rows of as many as there are rows, with a caption above.
func DrawSheet(images *dataset.Images, caption string) ([]byte, error) {
	parsed, err := loadFonts()
	if err != nil {
		return nil, fmt.Errorf("parse the built-in font: %w", err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: captionSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, err
	}
	n := images.Len()
	columns := int(math.Ceil(math.Sqrt(float64(n))))
	rows := (n + columns - 1) / columns
	scale := max(1, (tileWidth/2+images.Width/2)/images.Width)
	tile := image.Pt(images.Width*scale+tileGap, images.Height*scale+tileGap)
	width := columns*tile.X - tileGap
	lines := wrap(face, caption, width)
	top := gridMargin + len(lines)*(captionSize+lineGap)

	canvas := image.NewRGBA(image.Rect(0, 0, width+2*gridMargin, top+rows*tile.Y-tileGap+gridMargin))
	draw.Draw(canvas, canvas.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	for i, line := range lines {
		write(canvas, face, ink, gridMargin, gridMargin+i*(captionSize+lineGap)+captionSize, line)
	}
	for i := range n {
		paint(canvas, image.Pt(gridMargin+i%columns*tile.X, top+i/columns*tile.Y), images, i, scale)
	}
	var out stdbytes.Buffer
	if err := png.Encode(&out, canvas); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// paint draws the i-th image with each pixel as a square of scale × scale.
func paint(canvas *image.RGBA, corner image.Point, images *dataset.Images, i, scale int) {
	pixels := images.Pixels[i*images.Height*images.Width*images.Channels:]
	for y := range images.Height {
		for x := range images.Width {
			values := pixels[(y*images.Width+x)*images.Channels:][:images.Channels]
			square := image.Rect(x*scale, y*scale, (x+1)*scale, (y+1)*scale).Add(corner)
			draw.Draw(canvas, square, image.NewUniform(colourOf(values)), image.Point{}, draw.Src)
		}
	}
}

// colourOf returns the colour of a grey or red-green-blue pixel.
func colourOf(values []uint8) color.RGBA {
	if len(values) == 3 {
		return color.RGBA{values[0], values[1], values[2], 255}
	}
	return color.RGBA{values[0], values[0], values[0], 255}
}

// write puts text on the canvas, its baseline's left end at (x, y).
func write(canvas draw.Image, face font.Face, c color.Color, x, y int, text string) {
	drawer := font.Drawer{Dst: canvas, Src: image.NewUniform(c), Face: face, Dot: fixed.P(x, y)}
	drawer.DrawString(text)
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
