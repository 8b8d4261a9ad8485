package tiff

import (
	"encoding/binary"
	"slices"
)

// Field is what a directory says beside its pixels: numbers or text of one of the standard's types, little-endian, or a directory.
type Field struct {
	Tag, Type uint16
	Data      []byte
	Fields    []Field // of the directory below, in the place of Type and Data
}

// Tags of fields that are kept.
const (
	TagXResolution    = 282
	TagYResolution    = 283
	TagResolutionUnit = 296
	TagICC            = 34675 // a colour profile
	tagEXIF           = 34665 // a directory
	tagGPS            = 34853 // a directory
)

// keptTags are those of fields that say the same of the page when its pixels are others: its density, colours, place, time and author.
var keptTags = []uint16{
	TagXResolution, TagYResolution, TagResolutionUnit, 271 /* make */, 272 /* model */, 306 /* date */, 315 /* artist */, 318 /* white point */, 319, /* primaries */
	33432 /* copyright */, tagEXIF, TagICC, tagGPS,
}

// leftOut are tags of EXIF directories that are not kept: directories and makers' notes, whose offsets would be wrong elsewhere, and the
// picture's size.
var leftOut = []uint16{0x927c, 0xa002, 0xa003, 0xa005}

// MaxField bounds the bytes of a field that are read, and of all of a page.
const MaxField = 16 << 20

// Types of numbers.
const (
	typeShort = 3
	typeLong  = 4
	typeLong8 = 16
)

// typeSizes are those of a number of each type, and units those of its parts whose bytes have an order.
var (
	typeSizes = map[uint16]int{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
	units     = map[uint16]int{3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 16: 8}
)

// Fields reads what a page says of itself that holds for other pixels, too: density, colour profile, camera, place, time and author. What is
// damaged or larger than MaxField is left out.
func (f *File) Fields(page int) []Field {
	s := &scanner{source: f.source, left: MaxField}
	return s.fields(f.layouts[page].kept, nil, true)
}

// fields reads the fields of a directory but for some. Where below is set, directories below it are read, too.
func (s *scanner) fields(d directory, without []uint16, below bool) []Field {
	var tags []uint16
	for tag := range d {
		if !slices.Contains(without, tag) {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	var list []Field
	for _, tag := range tags {
		e := d[tag]
		if tag == tagEXIF || tag == tagGPS {
			if !below {
				continue
			}
			if at, err := s.list(e, 1); err == nil && len(at) == 1 {
				if d, _, err := s.directory(at[0]); err == nil {
					if fields := s.fields(d, leftOut, false); fields != nil {
						list = append(list, Field{Tag: tag, Fields: fields})
					}
				}
			}
			continue
		}
		if data := s.data(e); data != nil {
			list = append(list, Field{Tag: tag, Type: e.kind, Data: data})
		}
	}
	return list
}

// data reads an entry's numbers, little-endian; nil where they cannot be read.
func (s *scanner) data(e entry) []byte {
	size := uint64(typeSizes[e.kind])
	if e.kind == typeLong8 || size == 0 || e.count == 0 || e.count > MaxField/size || s.spend(e.count*size) != nil {
		return nil
	}
	data := e.inline
	if n := e.count * size; n <= uint64(len(data)) {
		data = slices.Clone(data[:n])
	} else {
		var err error
		if data, err = s.at(s.word(e.inline), n); err != nil {
			return nil
		}
	}
	if unit := units[e.kind]; unit > 1 && s.order == binary.ByteOrder(binary.BigEndian) {
		for part := range slices.Chunk(data, unit) {
			slices.Reverse(part)
		}
	}
	return data
}
