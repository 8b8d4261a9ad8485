// Package tiff reads and writes the TIFF files of science and photography: numbers of 8, 16 or 32 bits or floats, of any number of channels,
// one page or thousands.
//
//	f, err := tiff.Open(file, size)       // the headers alone
//	fmt.Println(len(f.Pages()), f.Pages()[0].Type)
//	p, err := f.Read(0)                   // p.Values, [height, width, channel], upright
//	w, err := tiff.NewWriter(out, size)   // about how large it will become
//	err = w.Add(p, f.Fields(0))           // with its density, colour profile and EXIF; one call for each page
//
// It reads classic TIFF and BigTIFF, of either byte order, in strips or tiles, of interleaved or separate channels, uncompressed
// or packed by LZW, deflate or PackBits, with horizontal or floating-point differences; integers of 1, 2, 4, 8, 16, 32 and 64
// bits, floats of 16, 32 and 64; grey, RGB, palettes, alpha and any other channels. It writes integers of 8 and 16 bits and floats of 32,
// uncompressed or packed by deflate.
//
// Promised: a file that was cut off, is damaged or hostile is an error, with the page, the strip and what to do; no more memory is
// taken than MaxValues allows, nor than the file's size allows, times the most that its compression can hold; values are what
// is in the file, to the bit where their type holds them.
//
// What is not here: JPEG, CCITT and other compressions, YCbCr, CMYK, Lab and camera raw, complex numbers; directories below
// directories (SubIFDs); what is written beside the pictures, such as the axes of a stack of ImageJ, whose stacks of one directory give
// their first page; image.Image and whole files (pkg/picture).
//
// Source: TIFF 6.0; Adobe Photoshop TIFF technical notes (deflate); TIFF technical note 3 (floating-point differences); the
// BigTIFF design of libtiff.
package tiff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

// Bounds of what is read: the values of a page (height × width × channels, with the tiles' margins), and the pages of a file.
const (
	MaxValues = 1 << 28
	MaxPages  = 1 << 16
)

// maxEntries bounds a directory. Files of this world have some dozens.
const maxEntries = 4096

// Alpha says what the last channel is.
type Alpha uint8

// The last channel is one like the others, or opacity: associated where the colours are multiplied by it, unassociated where they are
// not.
const (
	NoAlpha Alpha = iota
	Associated
	Unassociated
)

// Page is what a page's directory says of it.
type Page struct {
	Height, Width int // in pixels, upright: the orientation is applied
	Channels      int // colours, alpha and all others; 3 for a palette
	// Type is uint8 (of up to 8 bits, spread over 0 to 255), uint16, or float32 (of all others, rounded).
	Type  dtypes.DType
	Alpha Alpha
	// Auxiliary pages are no pictures of their own: a smaller copy of another page, or where it is transparent.
	Auxiliary bool
	// Packed says that its pixels are compressed.
	Packed bool
	// Problem is why Read refuses the page, as far as the directory tells; nil if it does not. The other fields may be zero then.
	Problem error
}

// Picture is a page with its values, [height, width, channel]. White is the highest, whatever the file counts from; alpha is as it is in
// the file.
type Picture struct {
	Page
	Values array.Values
}

// File is an open file. Several goroutines may read from it at once.
type File struct {
	source
	layouts []layout
}

// source is where a file's bytes come from, and how it writes numbers.
type source struct {
	r     io.ReaderAt
	size  int64
	order binary.ByteOrder
	big   bool // BigTIFF
}

// Is says whether a file that begins so is a TIFF file. Four bytes are enough.
func Is(head []byte) bool { return len(head) >= 4 && versions[string(head[:4])].order != nil }

// versions are the beginnings of a file, with the order of its bytes.
var versions = map[string]struct {
	order binary.ByteOrder
	big   bool
}{
	"II*\x00": {binary.LittleEndian, false},
	"MM\x00*": {binary.BigEndian, false},
	"II+\x00": {binary.LittleEndian, true},
	"MM\x00+": {binary.BigEndian, true},
}

// Open reads the directories of a file of size bytes, not its pixels. A page that cannot be read is no error here but its Problem.
// Errors do not name the file.
func Open(r io.ReaderAt, size int64) (*File, error) {
	var head [16]byte
	n, err := r.ReadAt(head[:min(16, max(size, 0))], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !Is(head[:n]) {
		return nil, errors.New("not a TIFF file")
	}
	version := versions[string(head[:4])]
	f := &File{source: source{r: r, size: size, order: version.order, big: version.big}}
	next := uint64(f.order.Uint32(head[4:]))
	if n < 8 || f.big && n < 16 {
		return nil, errCut
	}
	if f.big {
		if f.order.Uint16(head[4:]) != 8 || f.order.Uint16(head[6:]) != 0 {
			return nil, errors.New("an invalid BigTIFF header: the file is damaged")
		}
		next = f.order.Uint64(head[8:])
	}
	s := scanner{source: f.source, left: size}
	pages := map[uint64]int{} // by the offset of their directory
	for next != 0 {
		page := len(f.layouts) + 1
		if first, found := pages[next]; found {
			return nil, fmt.Errorf("page %d is page %d again, in a loop: the file is damaged", page, first)
		}
		if page > MaxPages {
			return nil, fmt.Errorf("more than %d pages; split the file", MaxPages)
		}
		pages[next] = page
		var d directory
		if d, next, err = s.directory(next); err != nil {
			return nil, fmt.Errorf("page %d: its directory: %w", page, err)
		}
		f.layouts = append(f.layouts, s.layout(d))
	}
	if f.layouts == nil {
		return nil, errors.New("no pages: the file is empty, or was not finished")
	}
	for i := range f.layouts {
		if l := &f.layouts[i]; l.Problem != nil {
			l.Problem = f.place(i, l.Problem)
		}
	}
	return f, nil
}

// Pages says what is in the file.
func (f *File) Pages() []Page {
	pages := make([]Page, len(f.layouts))
	for i, l := range f.layouts {
		pages[i] = l.Page
	}
	return pages
}

// Read reads a page, counted from 0. Errors name the page, counted from 1, and the strip or tile.
func (f *File) Read(page int) (Picture, error) {
	if page < 0 || page >= len(f.layouts) {
		return Picture{}, fmt.Errorf("no page %d; the file has %d", page+1, len(f.layouts))
	}
	l := f.layouts[page]
	if l.Problem != nil {
		return Picture{}, l.Problem
	}
	values, err := l.read(f.source)
	if err != nil {
		return Picture{}, f.place(page, err)
	}
	return Picture{Page: l.Page, Values: values}, nil
}

// place names the page of an error.
func (f *File) place(page int, err error) error {
	return fmt.Errorf("page %d of %d: %w", page+1, len(f.layouts), err)
}

var errCut = errors.New("it extends past the end of the file: the file is truncated or damaged")

// at reads n bytes, which must lie in the file.
func (s source) at(offset, n uint64) ([]byte, error) {
	if err := s.holds(offset, n); err != nil {
		return nil, err
	}
	data := make([]byte, n)
	if got, err := s.r.ReadAt(data, int64(offset)); got < len(data) {
		if errors.Is(err, io.EOF) {
			err = errCut
		}
		return nil, err
	}
	return data, nil
}

// holds wants n bytes from an offset on in the file.
func (s source) holds(offset, n uint64) error {
	if size := uint64(s.size); n > size || offset > size-n {
		return errCut
	}
	return nil
}
