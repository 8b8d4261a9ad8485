package picture

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/gomlx/compute/dtypes"
	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/webp"

	"latent/pkg/array"
	"latent/pkg/tiff"
)

// File is an open file of pictures: the pages of a TIFF file, or the first frame of another. Several goroutines may read from it at
// once.
type File struct {
	path   string
	file   *os.File
	size   int64
	frames []Frame

	tiff  *tiff.File
	pages []numbered // of the TIFF file, one for each frame

	format string // of another file
	height int    // before it is turned upright
	width  int
	data   func() ([]byte, error) // all of it
	exif   func() []byte          // see exifOf
}

// numbered is a page with its number in the file.
type numbered struct {
	number int // from 0
	tiff.Page
}

// Frame is what the headers say of a picture.
type Frame struct {
	Type     dtypes.DType // uint8, uint16 or float32
	Channels int          // colours (3 for a palette), alpha, and of a TIFF file any others; 0 for a page that Image and Array refuse
	Alpha    bool         // the last channel is alpha
	Image    bool         // it is grey or RGB of 8 or 16 bits, with or without alpha: one that File.Image returns
}

// Array is a picture as numbers, [height, width, channel], upright: those that the file has. Alpha is not multiplied with the
// colours, where the file has not done that.
type Array struct {
	Height, Width, Channels int
	Alpha                   tiff.Alpha // what the last channel is
	Values                  array.Values
}

// Open reads the headers of a file. Close it when its pictures are read.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, file: file, size: info.Size()}
	if err := f.readHeaders(); err != nil {
		file.Close()
		return nil, err
	}
	return f, nil
}

// Frames says what the pictures of a file are, from its headers alone.
func Frames(path string) ([]Frame, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Frames(), nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

func (f *File) readHeaders() error {
	if f.size == 0 {
		return fmt.Errorf("%s: the file is empty", f.path)
	}
	head := make([]byte, min(4, f.size))
	if _, err := f.file.ReadAt(head, 0); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	if tiff.Is(head) {
		return f.readDirectories()
	}
	if f.size > MaxBytes {
		return fmt.Errorf("%s: %d bytes; the limit is %d", f.path, f.size, MaxBytes)
	}
	header, format, err := image.DecodeConfig(bufio.NewReader(io.NewSectionReader(f.file, 0, f.size)))
	if errors.Is(err, image.ErrFormat) {
		return fmt.Errorf("%s: not a %s file", f.path, formats)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	if err := f.checkSize(header.Height, header.Width); err != nil {
		return err
	}
	frame := frameOf(header.ColorModel)
	if format == "png" && slices.ContainsFunc(parts(f.file, f.size, format), func(p part) bool { return p.name == "tRNS" }) {
		frame.Channels, frame.Alpha = 4, true // one colour is transparent
	}
	f.format, f.height, f.width, f.frames = format, header.Height, header.Width, []Frame{frame}
	f.exif = sync.OnceValue(func() []byte { return exifOf(f.file, f.size, format) })
	f.data = sync.OnceValues(func() ([]byte, error) { return io.ReadAll(io.NewSectionReader(f.file, 0, f.size)) })
	return nil
}

// readDirectories reads those of a TIFF file. Where there are other pages, those that are smaller copies or masks are left out.
func (f *File) readDirectories() error {
	var err error
	if f.tiff, err = tiff.Open(f.file, f.size); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	var auxiliary []numbered
	for i, page := range f.tiff.Pages() {
		if page.Auxiliary {
			auxiliary = append(auxiliary, numbered{i, page})
		} else {
			f.pages = append(f.pages, numbered{i, page})
		}
	}
	if f.pages == nil {
		f.pages = auxiliary
	}
	for _, page := range f.pages {
		f.frames = append(f.frames, frameOfPage(page.Page))
	}
	return nil
}

func (f *File) checkSize(height, width int) error {
	if width <= 0 || height <= 0 || width > MaxPixels/height {
		return fmt.Errorf("%s: %d×%d pixels; the limit is %d", f.path, width, height, MaxPixels)
	}
	return nil
}

// frameOf says what a picture of a colour model is.
func frameOf(model color.Model) Frame {
	frame := Frame{Type: dtypes.Uint8, Channels: 3, Image: true}
	switch model {
	case color.Gray16Model, color.NRGBA64Model, color.RGBA64Model:
		frame.Type = dtypes.Uint16
	}
	switch model {
	case color.GrayModel, color.Gray16Model:
		frame.Channels = 1
	case color.NRGBAModel, color.NRGBA64Model, color.NYCbCrAModel:
		frame.Channels, frame.Alpha = 4, true
	}
	if palette, ok := model.(color.Palette); ok {
		for _, c := range palette {
			if _, _, _, alpha := c.RGBA(); alpha < 0xffff {
				frame.Channels, frame.Alpha = 4, true
			}
		}
	}
	return frame
}

// frameOfPage says what a page is.
func frameOfPage(page tiff.Page) Frame {
	if page.Problem != nil {
		return Frame{}
	}
	frame := Frame{Type: page.Type, Channels: page.Channels, Alpha: page.Alpha != tiff.NoAlpha}
	colours := frame.Channels
	if frame.Alpha {
		colours--
	}
	frame.Image = frame.Type != dtypes.Float32 && (colours == 1 || colours == 3)
	return frame
}

// Format is the kind of file: png, jpeg, gif, webp, bmp or tiff.
func (f *File) Format() string {
	if f.tiff != nil {
		return "tiff"
	}
	return f.format
}

// Bytes is how many bytes the pictures have together, as numbers of their types.
func (f *File) Bytes() int64 {
	sum := int64(0)
	for i, frame := range f.frames {
		if height, width, err := f.Size(i); err == nil {
			sum += int64(height) * int64(width) * int64(frame.Channels) * int64(frame.Type.Size())
		}
	}
	return sum
}

// Frames says what the pictures are, at least one: the pages of a TIFF file, or the first frame of another. Where a TIFF file has
// smaller copies of its pages and masks, they are none.
func (f *File) Frames() []Frame { return f.frames }

// Size is the size of a picture, counted from 0, as its header says: upright. It is an error where the page is one that Image and Array
// refuse.
func (f *File) Size(frame int) (height, width int, err error) {
	if err := f.check(frame); err != nil {
		return 0, 0, err
	}
	if f.tiff != nil {
		page := f.pages[frame]
		if page.Problem != nil {
			return 0, 0, fmt.Errorf("%s: %w", f.path, page.Problem)
		}
		return page.Height, page.Width, f.checkSize(page.Height, page.Width)
	}
	if orientation(f.exif()) >= 5 { // a quarter turn
		return f.width, f.height, nil
	}
	return f.height, f.width, nil
}

// SHA256 is that of the file, for which all of it is read.
func (f *File) SHA256() (string, error) {
	digest := sha256.New()
	var err error
	if f.tiff != nil {
		_, err = io.Copy(digest, io.NewSectionReader(f.file, 0, f.size))
	} else {
		var data []byte
		data, err = f.data()
		digest.Write(data)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.path, err)
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// page reads a page of a TIFF file.
func (f *File) page(frame int) (tiff.Picture, error) {
	page := f.pages[frame]
	if page.Problem == nil {
		if err := f.checkSize(page.Height, page.Width); err != nil {
			return tiff.Picture{}, err
		}
	}
	p, err := f.tiff.Read(page.number)
	if err != nil {
		return tiff.Picture{}, fmt.Errorf("%s: %w", f.path, err)
	}
	return p, nil
}

// check wants a frame to be there.
func (f *File) check(frame int) error {
	if n := len(f.frames); frame < 0 || frame >= n {
		return fmt.Errorf("%s: there is no frame %d; it has %d, counted from 0", f.path, frame, n)
	}
	return nil
}

// Image reads a picture, counted from 0, and turns it upright. One of floats or of other channels than grey, RGB and alpha, as Frames
// says, is refused: Array reads it.
func (f *File) Image(frame int) (image.Image, error) {
	if err := f.check(frame); err != nil {
		return nil, err
	}
	if f.tiff != nil {
		if what := f.frames[frame]; what.Channels > 0 && !what.Image {
			return nil, fmt.Errorf("%s: page %d has %d channels of %s, which cannot be displayed; convert it to grey or RGB of 8 or 16 bits",
				f.path, f.pages[frame].number+1, what.Channels, what.Type)
		}
		p, err := f.page(frame)
		if err != nil {
			return nil, err
		}
		return imageOf(p), nil
	}
	data, err := f.data()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	decoded, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return turn(decoded, orientation(f.exif())), nil
}

// Array reads a picture, counted from 0, as numbers of the type and channels that Frames says.
func (f *File) Array(frame int) (Array, error) {
	if err := f.check(frame); err != nil {
		return Array{}, err
	}
	if f.tiff != nil {
		p, err := f.page(frame)
		return Array{p.Height, p.Width, p.Channels, p.Alpha, p.Values}, err
	}
	decoded, err := f.Image(frame)
	if err != nil {
		return Array{}, err
	}
	return arrayOf(decoded, f.frames[0]), nil
}

// arrayOf returns the numbers of a picture. One without alpha that is transparent nevertheless is taken over black.
func arrayOf(p image.Image, frame Frame) Array {
	bounds := p.Bounds()
	a := Array{Height: bounds.Dy(), Width: bounds.Dx(), Channels: frame.Channels}
	if frame.Alpha {
		a.Alpha = tiff.Unassociated
	}
	a.Values = array.Make(frame.Type, a.Height*a.Width*a.Channels)
	at := 0
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := p.At(x, y)
			if frame.Type == dtypes.Uint16 {
				put(a.Values.Uint16[at:at+a.Channels], deep(c, a.Channels))
			} else {
				put(a.Values.Uint8[at:at+a.Channels], flat(c, a.Channels))
			}
			at += a.Channels
		}
	}
	return a
}

func put[T any](to []T, pixel [4]T) { copy(to, pixel[:]) }

// flat is a colour as grey, RGB, or RGB and alpha of 8 bits.
func flat(c color.Color, channels int) [4]uint8 {
	switch channels {
	case 1:
		return [4]uint8{color.GrayModel.Convert(c).(color.Gray).Y}
	case 3:
		over := color.RGBAModel.Convert(c).(color.RGBA)
		return [4]uint8{over.R, over.G, over.B}
	}
	straight := color.NRGBAModel.Convert(c).(color.NRGBA)
	return [4]uint8{straight.R, straight.G, straight.B, straight.A}
}

// deep is a colour as grey, RGB, or RGB and alpha of 16 bits.
func deep(c color.Color, channels int) [4]uint16 {
	switch channels {
	case 1:
		return [4]uint16{color.Gray16Model.Convert(c).(color.Gray16).Y}
	case 3:
		over := color.RGBA64Model.Convert(c).(color.RGBA64)
		return [4]uint16{over.R, over.G, over.B}
	}
	straight := color.NRGBA64Model.Convert(c).(color.NRGBA64)
	return [4]uint16{straight.R, straight.G, straight.B, straight.A}
}

// imageOf returns a page of grey or RGB, with or without alpha, as a picture.
func imageOf(p tiff.Picture) image.Image {
	bounds := image.Rect(0, 0, p.Width, p.Height)
	if p.Channels == 1 && p.Values.Uint8 != nil {
		return &image.Gray{Pix: p.Values.Uint8, Stride: p.Width, Rect: bounds}
	}
	if p.Channels == 1 {
		grey := image.NewGray16(bounds)
		for i, v := range p.Values.Uint16 {
			grey.Pix[2*i], grey.Pix[2*i+1] = uint8(v>>8), uint8(v)
		}
		return grey
	}
	straight := p.Alpha == tiff.Unassociated
	if p.Values.Uint8 != nil {
		pix := make([]uint8, 4*p.Height*p.Width)
		for i := range p.Height * p.Width {
			pixel := colour(p.Values.Uint8[p.Channels*i:][:p.Channels], p.Alpha, 0xff)
			copy(pix[4*i:], pixel[:])
		}
		if straight {
			return &image.NRGBA{Pix: pix, Stride: 4 * p.Width, Rect: bounds}
		}
		return &image.RGBA{Pix: pix, Stride: 4 * p.Width, Rect: bounds}
	}
	pix := make([]uint8, 8*p.Height*p.Width)
	for i := range p.Height * p.Width {
		for c, v := range colour(p.Values.Uint16[p.Channels*i:][:p.Channels], p.Alpha, 0xffff) {
			pix[8*i+2*c], pix[8*i+2*c+1] = uint8(v>>8), uint8(v)
		}
	}
	if straight {
		return &image.NRGBA64{Pix: pix, Stride: 8 * p.Width, Rect: bounds}
	}
	return &image.RGBA64{Pix: pix, Stride: 8 * p.Width, Rect: bounds}
}

// colour is a pixel as red, green, blue and alpha. Colours that are said to be multiplied by alpha are at most it.
func colour[T uint8 | uint16](pixel []T, alpha tiff.Alpha, opaque T) [4]T {
	c := [4]T{3: opaque}
	if alpha != tiff.NoAlpha {
		c[3], pixel = pixel[len(pixel)-1], pixel[:len(pixel)-1]
	}
	if n := copy(c[:3], pixel); n == 1 {
		c[1], c[2] = c[0], c[0]
	}
	if alpha == tiff.Associated {
		for i := range 3 {
			c[i] = min(c[i], c[3])
		}
	}
	return c
}
