package picture

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
	"latent/pkg/tiff"
)

// written are the formats that are written, with the ends of their files' names, the usual one first.
var written = map[string][]string{"png": {".png"}, "jpeg": {".jpg", ".jpeg"}, "tiff": {".tif", ".tiff"}}

// Writes names the formats that are written.
func Writes() []string { return []string{"png", "jpeg", "tiff"} }

// WrittenAs is the format that a file's name says; png for one that is not written.
func WrittenAs(name string) string {
	for format, endings := range written {
		if slices.Contains(endings, strings.ToLower(path.Ext(name))) {
			return format
		}
	}
	return "png"
}

// Rename gives a file's name the usual ending of a format, where it has none of it.
func Rename(name, format string) string {
	if ending := path.Ext(name); !slices.Contains(written[format], strings.ToLower(ending)) {
		return strings.TrimSuffix(name, ending) + written[format][0]
	}
	return name
}

// DefaultQuality is that of JPEG files.
const DefaultQuality = 95

// Writer writes a file: of a TIFF file page by page, of another one picture. Errors do not name the file.
type Writer struct {
	// Quality is that of a JPEG file, 1 to 100; 0 is DefaultQuality. Its colours have half the resolution in each direction (4:2:0).
	Quality int

	out    io.WriteSeeker
	format string
	tiff   *tiff.Writer
	full   bool // it has a picture, and takes no other
}

// NewWriter begins a file of a format. most is about how many bytes its pages have unpacked: more than TIFF can hold make it a BigTIFF.
func NewWriter(out io.WriteSeeker, format string, most int64) (*Writer, error) {
	w := &Writer{out: out, format: format}
	var err error
	if format == "tiff" {
		const beside = 16 // a part of the pixels for what is beside them
		w.tiff, err = tiff.NewWriter(out, most+most/beside)
	}
	return w, err
}

// Add writes a picture with what is said beside it. TIFF takes any; PNG whole numbers, grey or RGB, with or without alpha; JPEG those of 8
// bits without alpha: others are rounded, and laid over white.
func (w *Writer) Add(a Array, m Metadata) error {
	if w.full {
		return fmt.Errorf("a %s file holds one picture; use tiff", w.format)
	}
	colours := a.Channels
	if a.Alpha != tiff.NoAlpha {
		colours--
	}
	page := tiff.Page{Height: a.Height, Width: a.Width, Channels: a.Channels, Type: a.Values.Type(), Alpha: a.Alpha, Packed: m.packed || m.format != "tiff"}
	if w.tiff != nil {
		return w.tiff.Add(tiff.Picture{Page: page, Values: a.Values}, m.tiff(colours))
	}
	if colours != 1 && colours != 3 {
		return fmt.Errorf("%d channels do not fit into a %s picture; use tiff", colours, w.format)
	}
	if page.Type == dtypes.Float32 {
		return fmt.Errorf("floats do not fit into a %s picture; use tiff", w.format)
	}
	w.full = true
	if w.format == "jpeg" {
		quality := w.Quality
		if quality == 0 {
			quality = DefaultQuality
		}
		p := imageOf(tiff.Picture{Page: page, Values: a.Values.As(dtypes.Uint8)})
		if a.Alpha != tiff.NoAlpha {
			over := image.NewRGBA(p.Bounds())
			draw.Draw(over, over.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
			draw.Draw(over, over.Rect, p, image.Point{}, draw.Over)
			p, colours = over, 3
		}
		return jpeg.Encode(&inserter{out: w.out, after: len("\xff\xd8"), what: m.jpeg(colours)}, p, &jpeg.Options{Quality: quality})
	}
	const header = 8 + 12 + 13 // the signature, and the chunk IHDR
	if a.Alpha != tiff.NoAlpha {
		colours = 3 // image/png writes no grey with alpha
	}
	return png.Encode(&inserter{out: w.out, after: header, what: m.png(colours)}, imageOf(tiff.Picture{Page: page, Values: a.Values}))
}

// inserter writes something behind so many bytes.
type inserter struct {
	out   io.Writer
	after int
	what  []byte
}

func (w *inserter) Write(data []byte) (n int, err error) {
	if w.what != nil {
		if n, err = w.out.Write(data[:min(w.after, len(data))]); err != nil {
			return n, err
		}
		if w.after -= n; w.after > 0 {
			return n, nil
		}
		if _, err := w.out.Write(w.what); err != nil {
			return n, err
		}
		w.what, data = nil, data[n:]
	}
	more, err := w.out.Write(data)
	return n + more, err
}

// Integers returns a picture of floats as one of 16 bits, of which 0 is black and 65535 white; another as it is.
func (a Array) Integers(black, white float64) (Array, error) {
	if a.Values.Type() != dtypes.Float32 {
		return a, nil
	}
	if !(black < white) {
		return Array{}, errors.New("floats without known black and white levels; use tiff")
	}
	values := array.Make(dtypes.Uint16, a.Values.Len())
	for i, x := range a.Values.Float32 {
		values.Set(i, math.MaxUint16*(float64(x)-black)/(white-black))
	}
	a.Values = values
	return a, nil
}

// Image returns a picture of whole numbers, grey or RGB with or without alpha, for people to look at.
func (a Array) Image() image.Image {
	page := tiff.Page{Height: a.Height, Width: a.Width, Channels: a.Channels, Alpha: a.Alpha}
	return imageOf(tiff.Picture{Page: page, Values: a.Values})
}
