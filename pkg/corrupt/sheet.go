package corrupt

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// stamp is a picture to blend in: one that brings its colours, or one that is its coverage alone.
type stamp struct {
	picture  image.Image
	coloured bool
}

// Bounds of a watermark's picture file and of a text.
const (
	maxStampBytes  = 16 << 20
	maxStampPixels = 4 << 20
	maxTextLength  = 64
)

// readStampFile reads a file of a bounded size. Its errors name the file.
func readStampFile(path string) ([]byte, error) {
	// Opening a pipe would wait for its other end.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxStampBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxStampBytes {
		return nil, fmt.Errorf("%s: more than the limit of %d MiB", path, maxStampBytes>>20)
	}
	return data, nil
}

// readStamp reads a PNG file. Its errors name the file.
func readStamp(path string) (stamp, error) {
	data, err := readStampFile(path)
	if err != nil {
		return stamp{}, err
	}
	header, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return stamp{}, fmt.Errorf("%s: not a PNG file: %w", path, err)
	}
	if header.Width > maxStampPixels/header.Height {
		return stamp{}, fmt.Errorf("%s: %d×%d pixels; the limit is %d", path, header.Width, header.Height, maxStampPixels)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return stamp{}, fmt.Errorf("%s: %w", path, err)
	}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			if _, _, _, alpha := picture.At(x, y).RGBA(); alpha > 0 {
				return stamp{picture, true}, nil
			}
		}
	}
	return stamp{}, fmt.Errorf("%s: fully transparent", path)
}

var stampFont = sync.OnceValues(func() (*sfnt.Font, error) { return opentype.Parse(gobold.TTF) })

// textProblem says why a text cannot be written; "" where it can.
func textProblem(text string) string {
	if length := utf8.RuneCountInString(text); length > maxTextLength {
		return fmt.Sprintf("%d characters; the limit is %d", length, maxTextLength)
	}
	if strings.TrimSpace(text) == "" {
		return "no visible character; write a word"
	}
	parsed, err := stampFont()
	if err != nil {
		return err.Error()
	}
	var buffer sfnt.Buffer
	for _, r := range text {
		if index, err := parsed.GlyphIndex(&buffer, r); err != nil || index == 0 {
			return fmt.Sprintf("the built-in font has no %q; use other letters, or an image", r)
		}
	}
	return ""
}

// textHeight is the font size of a stamp, in pixels, before it is scaled to its levels.
const textHeight = 128

// writeStamp draws a text, cut to its ink.
func writeStamp(text string) (stamp, error) {
	parsed, err := stampFont()
	if err != nil {
		return stamp{}, fmt.Errorf("parse the built-in font: %w", err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: textHeight, DPI: 72})
	if err != nil {
		return stamp{}, err
	}
	ink, _ := font.BoundString(face, text)
	bounds := image.Rect(ink.Min.X.Floor(), ink.Min.Y.Floor(), ink.Max.X.Ceil(), ink.Max.Y.Ceil())
	if bounds.Empty() {
		return stamp{}, fmt.Errorf("%q has no visible character", text)
	}
	canvas := image.NewAlpha(bounds)
	drawer := font.Drawer{Dst: canvas, Src: image.Opaque, Face: face, Dot: fixed.Point26_6{}}
	drawer.DrawString(text)
	return stamp{canvas, false}, nil
}

// sheet holds all stamps at several sizes, for [sheet.sample].
//
// Level k of a stamp has side / 2ᵏ samples along its longer side, and cells one more than samples each way, row by row. A
// cell is the four samples at its corners, a byte each of a word, upper left first, so that a pixel looks up one word in each
// plane: that takes XLA on the CPU 0.15 ms for a batch of 128 images of 28×28, a tenth of the watermark's time.
type sheet struct {
	side   int // samples along the longer side at the finest level
	levels int
	// planes are α, or α and the colours multiplied by it: luma, or red, green and blue.
	planes [][]uint32
	// index has indexColumns numbers for each level of each stamp.
	index []int32
}

// Columns of a sheet's index.
const (
	indexOffset = iota // of the level's first cell
	indexLevelColumns
	indexLevelRows
	indexFullColumns // of the stamp itself
	indexFullRows
	indexColumns
)

// The finest level has two samples for each pixel of a stamp as wide as the image, at most sheetSide; the coarsest at least
// sheetEnd.
const (
	sheetSide = 1024
	sheetEnd  = 4
)

// newSheet scales stamps for images of this width and number of channels.
func newSheet(stamps []stamp, width, channels int) *sheet {
	s := &sheet{side: min(max(2*width, sheetEnd), sheetSide), levels: 1}
	for s.side>>s.levels >= sheetEnd {
		s.levels++
	}
	count := 1
	switch {
	case stamps[0].coloured && channels == 3:
		count = 4
	case stamps[0].coloured:
		count = 2
	}
	s.planes = make([][]uint32, count)
	for _, stamp := range stamps {
		size := stamp.picture.Bounds().Size()
		long := max(size.X, size.Y)
		for k := range s.levels {
			side := s.side >> k
			level := image.Rect(0, 0, max(1, (size.X*side+long/2)/long), max(1, (size.Y*side+long/2)/long))
			s.index = append(s.index,
				int32(len(s.planes[0])), int32(level.Dx()), int32(level.Dy()), int32(size.X), int32(size.Y))
			scaled := image.NewRGBA(level)
			draw.BiLinear.Scale(scaled, level, stamp.picture, stamp.picture.Bounds(), draw.Src, nil)
			for i := range s.planes {
				s.planes[i] = append(s.planes[i], cells(scaled, i, count)...)
			}
		}
	}
	return s
}

// cells packs plane i of count.
func cells(picture *image.RGBA, i, count int) []uint32 {
	size := picture.Bounds().Size()
	sample := func(x, y int) uint32 {
		if !(image.Pt(x, y).In(picture.Rect)) {
			return 0
		}
		c := picture.RGBAAt(x, y)
		switch {
		case i == 0:
			return uint32(c.A)
		case count == 2:
			return uint32(color.GrayModel.Convert(color.RGBA{c.R, c.G, c.B, 255}).(color.Gray).Y)
		}
		return uint32([]uint8{c.R, c.G, c.B}[i-1])
	}
	var words []uint32
	for y := range size.Y + 1 {
		for x := range size.X + 1 {
			words = append(words, sample(x-1, y-1)|sample(x, y-1)<<8|sample(x-1, y)<<16|sample(x, y)<<24)
		}
	}
	return words
}
