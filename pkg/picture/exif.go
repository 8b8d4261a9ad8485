package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/draw"
	"io"

	"github.com/gomlx/compute/dtypes"
)

// Tags of EXIF directories, and types of their values.
const (
	exifOrientation = 0x0112
	exifDirectory   = 0x8769
	exifWidth       = 0xa002
	exifHeight      = 0xa003
	exifShort       = 3
	exifLong        = 4
)

// exifOf returns the EXIF block of a JPEG, PNG or WebP file, which has the form of a TIFF file; nil for none.
//
// Source: JEITA CP-3451 (Exif 2.2), sections 4.5.4 and 4.6.4 A; TIFF 6.0, section 2; PNG, section 11.3.2.9.
func exifOf(r io.ReaderAt, size int64, format string) []byte {
	names := map[string]string{"jpeg": app1, "png": "eXIf", "webp": "EXIF"}
	if names[format] == "" {
		return nil
	}
	for _, p := range parts(r, size, format) {
		if p.name != names[format] {
			continue
		}
		block, found := bytes.CutPrefix(p.read(r), []byte(exifMark))
		if found || format != "jpeg" { // other segments of the name are XMP
			return block
		}
	}
	return nil
}

// exifOrder is the order of a block's bytes; nil where it is damaged.
func exifOrder(block []byte) binary.ByteOrder {
	if len(block) < 8 {
		return nil
	}
	switch string(block[:4]) {
	case "II*\x00":
		return binary.LittleEndian
	case "MM\x00*":
		return binary.BigEndian
	}
	return nil
}

// exifEntries are the entries of a directory, of 12 bytes each: a tag, a type, a count and a value. They are parts of the block. next is
// where the offset of the next directory is; 0 where the block ends before.
func exifEntries(block []byte, order binary.ByteOrder, offset uint32) (entries [][]byte, next int64) {
	at := int64(offset)
	if at+2 > int64(len(block)) {
		return nil, 0
	}
	n := order.Uint16(block[at:])
	at += 2
	for range n {
		if at+12 > int64(len(block)) {
			return entries, 0
		}
		entries = append(entries, block[at:at+12])
		at += 12
	}
	if at+4 > int64(len(block)) {
		return entries, 0
	}
	return entries, at
}

// upright is the orientation of a picture whose first row is its top and whose first column is its left side.
const upright = 1

// orientation returns the orientation that a block tells, 1 to 8; 1, which is upright, where it tells none or is damaged.
func orientation(block []byte) int {
	order := exifOrder(block)
	if order == nil {
		return upright
	}
	entries, _ := exifEntries(block, order, order.Uint32(block[4:]))
	for _, e := range entries {
		if order.Uint16(e) == exifOrientation && order.Uint16(e[2:]) == exifShort {
			if value := int(order.Uint16(e[8:])); value >= 1 && value <= 8 {
				return value
			}
			return upright
		}
	}
	return upright
}

// settled returns a block for a picture of a size that is upright and has other pixels: with an orientation of 1, and without a directory of a
// thumbnail. It is nil where the block is damaged.
func settled(block []byte, height, width int) []byte {
	order := exifOrder(block)
	if order == nil {
		return nil
	}
	block = bytes.Clone(block)
	entries, next := exifEntries(block, order, order.Uint32(block[4:]))
	if next == 0 {
		return nil
	}
	order.PutUint32(block[next:], 0)
	for _, e := range entries {
		switch order.Uint16(e) {
		case exifOrientation:
			exifPut(e, order, upright)
		case exifDirectory:
			below, _ := exifEntries(block, order, order.Uint32(e[8:]))
			for _, e := range below {
				switch order.Uint16(e) {
				case exifWidth:
					exifPut(e, order, width)
				case exifHeight:
					exifPut(e, order, height)
				}
			}
		}
	}
	if orientation(block) != upright { // its directories lie one upon the other
		return nil
	}
	return block
}

// exifPut makes a number the value of an entry, where it is one whole number.
func exifPut(entry []byte, order binary.ByteOrder, value int) {
	switch kind, count := order.Uint16(entry[2:]), order.Uint32(entry[4:]); {
	case kind == exifShort && count == 1:
		order.PutUint16(entry[8:], uint16(value))
	case kind == exifLong && count == 1:
		order.PutUint32(entry[8:], uint32(value))
	}
}

// turn turns a picture as its orientation says. Orientations from 5 on exchange height and width; 2, 4, 5 and 7 are
// mirrored.
func turn(p image.Image, orientation int) image.Image {
	if orientation == upright {
		return p
	}
	bounds := p.Bounds()
	w, h := bounds.Dx(), bounds.Dy()
	in := image.Rect(0, 0, w, h)
	if orientation >= 5 {
		w, h = h, w
	}
	out := image.Rect(0, 0, w, h)
	var source, turned draw.Image = image.NewNRGBA(in), image.NewNRGBA(out)
	from, to, size := source.(*image.NRGBA).Pix, turned.(*image.NRGBA).Pix, 4
	if frameOf(p.ColorModel()).Type == dtypes.Uint16 {
		source, turned = image.NewNRGBA64(in), image.NewNRGBA64(out)
		from, to, size = source.(*image.NRGBA64).Pix, turned.(*image.NRGBA64).Pix, 8
	}
	draw.Draw(source, in, p, bounds.Min, draw.Src)
	for y := range h {
		for x := range w {
			var at image.Point
			switch orientation {
			case 2:
				at = image.Pt(w-1-x, y)
			case 3:
				at = image.Pt(w-1-x, h-1-y)
			case 4:
				at = image.Pt(x, h-1-y)
			case 5:
				at = image.Pt(y, x)
			case 6:
				at = image.Pt(y, w-1-x)
			case 7:
				at = image.Pt(h-1-y, w-1-x)
			case 8:
				at = image.Pt(h-1-y, x)
			}
			copy(to[(y*w+x)*size:][:size], from[(at.Y*in.Dx()+at.X)*size:][:size])
		}
	}
	return turned
}
