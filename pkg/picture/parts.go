package picture

import (
	"encoding/binary"
	"io"
)

// part is a segment of a JPEG file, or a chunk of a PNG or WebP file.
type part struct {
	name     string // "\xe1" is a JPEG file's APP1
	at, size int64  // of what is in it
}

// maxParts bounds the parts that are looked at.
const maxParts = 4096

// parts lists those of a JPEG or PNG file before its pixels, or all of a WebP file; of a damaged one, those before the damage.
//
// Source: ITU T.81, annex B; the PNG specification, section 5; the WebP container specification.
func parts(r io.ReaderAt, size int64, format string) []part {
	var list []part
	at, head := int64(2), make([]byte, 12)
	switch format {
	case "png":
		at = 8
	case "webp":
		at = 12
	}
	for len(list) < maxParts {
		n, _ := r.ReadAt(head, at)
		var p part
		switch {
		case format == "jpeg" && n >= 4 && head[0] == 0xff:
			p = part{string(head[1:2]), at + 4, int64(binary.BigEndian.Uint16(head[2:])) - 2}
		case format == "png" && n >= 8:
			p = part{string(head[4:8]), at + 8, int64(binary.BigEndian.Uint32(head))}
		case format == "webp" && n >= 8:
			p = part{string(head[:4]), at + 8, int64(binary.LittleEndian.Uint32(head[4:]))}
		default:
			return list
		}
		const startOfScan = "\xda"
		if p.size < 0 || p.size > size-p.at || p.name == startOfScan || p.name == "IDAT" {
			return list
		}
		list = append(list, p)
		at = p.at + p.size
		switch format {
		case "png": // a checksum follows
			at += 4
		case "webp": // to whole words
			at += p.size % 2
		}
	}
	return list
}

// read reads what is in a part; nil where it cannot be read, or is larger than maxMetadata.
func (p part) read(r io.ReaderAt) []byte {
	if p.size > maxMetadata {
		return nil
	}
	data := make([]byte, p.size)
	if n, _ := r.ReadAt(data, p.at); n < len(data) {
		return nil
	}
	return data
}
