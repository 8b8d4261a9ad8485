package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/draw"
)

// orientation returns the EXIF orientation of a JPEG file, 1 to 8; 1, which is upright, where it has none or the part that
// holds it is damaged.
//
// Source: JEITA CP-3451 (Exif 2.2), sections 4.5.4 and 4.6.4 A; TIFF 6.0, section 2.
func orientation(file []byte) int {
	const upright = 1
	tiff := exifPart(file)
	if len(tiff) < 8 {
		return upright
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upright
	}
	// The first directory: a count, and entries of 12 bytes, each a tag, a type, a count and a value.
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return upright
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			return upright
		}
		const tagOrientation, typeShort = 0x0112, 3
		if order.Uint16(entries) == tagOrientation && order.Uint16(entries[2:]) == typeShort {
			if value := int(order.Uint16(entries[8:])); value >= 1 && value <= 8 {
				return value
			}
			return upright
		}
		entries = entries[12:]
	}
	return upright
}

// exifPart returns the TIFF part of a JPEG file's EXIF segment, which comes before the picture's data; nil without one.
func exifPart(file []byte) []byte {
	const startOfImage, startOfScan, app1 = 0xd8, 0xda, 0xe1
	if len(file) < 2 || file[0] != 0xff || file[1] != startOfImage {
		return nil
	}
	for rest := file[2:]; len(rest) >= 4 && rest[0] == 0xff && rest[1] != startOfScan; {
		length := int(binary.BigEndian.Uint16(rest[2:])) // of the segment, its own two bytes among them
		if length < 2 || 2+length > len(rest) {
			return nil
		}
		segment := rest[4 : 2+length]
		if tiff, found := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); rest[1] == app1 && found {
			return tiff
		}
		rest = rest[2+length:]
	}
	return nil
}

// upright turns a picture as its orientation says. Orientations from 5 on exchange height and width; 2, 4, 5 and 7 are
// mirrored.
func upright(p image.Image, orientation int) image.Image {
	if orientation == 1 {
		return p
	}
	bounds := p.Bounds()
	w, h := bounds.Dx(), bounds.Dy()
	source := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(source, source.Rect, p, bounds.Min, draw.Src)
	if orientation >= 5 {
		w, h = h, w
	}
	turned := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			var from image.Point
			switch orientation {
			case 2:
				from = image.Pt(w-1-x, y)
			case 3:
				from = image.Pt(w-1-x, h-1-y)
			case 4:
				from = image.Pt(x, h-1-y)
			case 5:
				from = image.Pt(y, x)
			case 6:
				from = image.Pt(y, w-1-x)
			case 7:
				from = image.Pt(h-1-y, w-1-x)
			case 8:
				from = image.Pt(h-1-y, x)
			}
			copy(turned.Pix[turned.PixOffset(x, y):][:4], source.Pix[source.PixOffset(from.X, from.Y):][:4])
		}
	}
	return turned
}
