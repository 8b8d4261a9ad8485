package tiff

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
)

// Tags that are read.
const (
	tagNewSubfileType  = 254
	tagSubfileType     = 255
	tagWidth           = 256
	tagHeight          = 257
	tagBits            = 258
	tagCompression     = 259
	tagPhotometric     = 262
	tagFillOrder       = 266
	tagStripOffsets    = 273
	tagOrientation     = 274
	tagSamples         = 277
	tagRowsPerStrip    = 278
	tagStripByteCounts = 279
	tagPlanar          = 284
	tagPredictor       = 317
	tagPalette         = 320
	tagTileWidth       = 322
	tagTileHeight      = 323
	tagTileOffsets     = 324
	tagTileByteCounts  = 325
	tagExtraSamples    = 338
	tagSampleFormat    = 339
	tagDepth           = 32997
)

// again is how a file becomes one that is read.
const again = "write it again with LZW, deflate or no compression"

// compression is a kind of packing that is read.
type compression struct {
	most    uint64 // the bytes that one packed byte can hold
	differs bool   // a predictor may be applied before
}

// The longest string of LZW has fewer than 3,840 bytes and takes 12 bits; the longest match of deflate 258 bytes in 2 bits; the longest run
// of PackBits 128 in 2 bytes.
var compressions = map[uint64]compression{
	packNone: {1, false}, packLZW: {2560, true}, packDeflate: {1032, true}, packDeflateOld: {1032, true}, packPackBits: {64, true},
}

const (
	packNone       = 1
	packLZW        = 5
	packDeflate    = 8
	packDeflateOld = 32946
	packPackBits   = 32773
)

// refusedCompressions are the names of others.
var refusedCompressions = map[uint64]string{
	2: "CCITT", 3: "CCITT (fax group 3)", 4: "CCITT (fax group 4)", 6: "JPEG (the old kind)", 7: "JPEG", 9: "JBIG", 10: "JBIG", 32771: "CCITT",
	32809: "ThunderScan", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 34676: "SGI Log", 34677: "SGI Log", 34712: "JPEG 2000",
	34887: "LERC", 34892: "JPEG (lossy DNG)", 34925: "LZMA", 34926: "ZSTD", 34927: "WebP", 50000: "ZSTD", 50001: "WebP", 50002: "JPEG XL",
	52546: "JPEG XL",
}

// Photometric interpretations that are read.
const (
	whiteIsZero = 0
	blackIsZero = 1
	rgb         = 2
	palette     = 3
	mask        = 4
)

// refusedPhotometrics are the names of others.
var refusedPhotometrics = map[uint64]string{
	5: "CMYK", 6: "YCbCr", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "of a camera's sensor (raw, CFA)", 32844: "LogL", 32845: "LogLuv",
	34892: "of a camera's sensor (raw, linear)",
}

// Sample formats.
const (
	formatUint    = 1
	formatInt     = 2
	formatFloat   = 3
	formatVoid    = 4 // not told; as unsigned
	formatComplex = 5 // of integers; 6 of floats
)

// Predictors.
const (
	predictNone       = 1
	predictHorizontal = 2
	predictFloat      = 3
)

// entry is a field of a directory.
type entry struct {
	kind   uint16
	count  uint64
	inline []byte // its values, or where they are
}

// directory has the fields of a page by their tags.
type directory map[uint16]entry

// scanner reads directories. What they may have beyond one reading of the whole file is bounded: in a damaged or hostile
// file they lie one upon the other.
type scanner struct {
	source
	left int64 // bytes that may still be read
}

// allowance is what every page may read beyond that, for pages may share what is said of them all.
const allowance = 4096

func (s *scanner) spend(n uint64) error {
	if n > uint64(max(s.left, 0)) {
		return errors.New("directories overlap: the file is damaged")
	}
	s.left -= int64(n)
	return nil
}

// directory reads a page's directory, and where the next is.
func (s *scanner) directory(offset uint64) (d directory, next uint64, err error) {
	s.left += allowance
	countSize, entrySize, wordSize := uint64(2), uint64(12), uint64(4)
	if s.big {
		countSize, entrySize, wordSize = 8, 20, 8
	}
	head, err := s.at(offset, countSize)
	if err != nil {
		return nil, 0, err
	}
	n := s.word(head)
	if n == 0 || n > maxEntries {
		return nil, 0, fmt.Errorf("%d entries instead of 1 to %d: the file is damaged", n, maxEntries)
	}
	size := n*entrySize + wordSize
	if err := s.spend(size); err != nil {
		return nil, 0, err
	}
	body, err := s.at(offset+countSize, size)
	if err != nil {
		return nil, 0, err
	}
	d = directory{}
	for ; n > 0; n-- {
		field := body[:entrySize]
		body = body[entrySize:]
		tag, e := s.order.Uint16(field), entry{kind: s.order.Uint16(field[2:]), inline: field[entrySize-wordSize:]}
		e.count = s.word(field[4 : 4+wordSize])
		if _, found := d[tag]; !found {
			d[tag] = e
		}
	}
	return d, s.word(body), nil
}

// word is the number of all the bytes.
func (s source) word(data []byte) uint64 {
	switch len(data) {
	case 1:
		return uint64(data[0])
	case 2:
		return uint64(s.order.Uint16(data))
	case 4:
		return uint64(s.order.Uint32(data))
	}
	return s.order.Uint64(data)
}

// sizes are those of the types of whole numbers: byte, short, long, directory, and the last two with 8 bytes.
var sizes = map[uint16]uint64{1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}

// list reads the first numbers of an entry, at most so many.
func (s source) list(e entry, most uint64) ([]uint64, error) {
	size, known := sizes[e.kind]
	if !known {
		return nil, fmt.Errorf("an entry of type %d instead of whole numbers: the file is damaged", e.kind)
	}
	n := min(e.count, most)
	data := e.inline
	if e.count > uint64(len(e.inline))/size {
		var err error
		if data, err = s.at(s.word(e.inline), n*size); err != nil {
			return nil, err
		}
	}
	numbers := make([]uint64, n)
	for i := range numbers {
		numbers[i] = s.word(data[uint64(i)*size:][:size])
	}
	return numbers, nil
}

// fields are a directory that is asked tag by tag; the first error is kept.
type fields struct {
	*scanner
	directory
	err error
}

// list returns the first numbers of a tag, at most so many; none without the tag.
func (f *fields) list(tag uint16, most uint64) []uint64 {
	e, found := f.directory[tag]
	if !found || f.err != nil {
		return nil
	}
	if f.err = f.spend(sizes[e.kind] * min(e.count, most)); f.err != nil {
		return nil
	}
	numbers, err := f.scanner.list(e, most)
	if err != nil {
		f.err = fmt.Errorf("tag %d: %w", tag, err)
	}
	return numbers
}

// one returns the first number of a tag, or what it is without the tag.
func (f *fields) one(tag uint16, without uint64) uint64 {
	if list := f.list(tag, 1); len(list) > 0 {
		return list[0]
	}
	return without
}

// layout is how a page lies in the file.
type layout struct {
	Page
	height, width  uint64 // as stored
	samples        uint64 // of a pixel, as stored
	bits, format   uint64 // of a sample
	planes         uint64 // as many as samples, or one of all
	predictor      uint64
	packing        uint64
	reversed       bool // the first bit of a byte is its lowest
	white          bool // the first sample is 0 where it is white
	palette        []uint64
	orientation    uint64
	block          string // "strip" or "tile"
	blockH, blockW uint64 // in pixels
	across, down   uint64 // blocks
	offsets        entry
	counts         entry // zero for one uncompressed block without it
	kept           directory
}

// layout reads how a page lies in the file; what is wrong is the page's Problem.
func (s *scanner) layout(d directory) layout {
	f := fields{scanner: s, directory: d}
	var l layout
	for _, tag := range keptTags {
		if e, found := d[tag]; found {
			if l.kept == nil {
				l.kept = directory{}
			}
			l.kept[tag] = e
		}
	}
	for _, step := range []func(*fields) error{l.readForm, l.readSamples, l.readPalette, l.readBlocks} {
		err := step(&f)
		if f.err != nil {
			err = f.err
		}
		if err != nil {
			l.Problem = err
			break
		}
	}
	return l
}

// readForm reads the size of the page, and how it is packed.
func (l *layout) readForm(f *fields) error {
	l.Auxiliary = f.one(tagNewSubfileType, 0)&(1|4) != 0 || f.one(tagSubfileType, 0) == 2
	l.height, l.width = f.one(tagHeight, 0), f.one(tagWidth, 0)
	if f.err != nil {
		return f.err
	}
	if l.height == 0 || l.width == 0 || l.height > MaxValues || l.width > MaxValues || l.height*l.width > MaxValues {
		return fmt.Errorf("%d×%d pixels; must be at least 1×1 and at most %d", l.width, l.height, MaxValues)
	}
	l.Height, l.Width = int(l.height), int(l.width)
	if l.orientation = f.one(tagOrientation, 1); l.orientation < 1 || l.orientation > 8 {
		l.orientation = 1
	}
	if l.orientation >= 5 {
		l.Height, l.Width = l.Width, l.Height
	}
	if depth := f.one(tagDepth, 1); depth > 1 {
		return fmt.Errorf("a volume of %d layers; write each layer as a page", depth)
	}
	l.packing = f.one(tagCompression, packNone)
	packing, known := compressions[l.packing]
	if name, refused := refusedCompressions[l.packing]; refused {
		return fmt.Errorf("its compression, %s, is not supported; %s", name, again)
	} else if !known {
		return fmt.Errorf("its compression, number %d, is unknown; %s", l.packing, again)
	}
	l.Packed = l.packing != packNone
	l.predictor = f.one(tagPredictor, predictNone)
	if !packing.differs {
		l.predictor = predictNone // as libtiff does
	}
	order := f.one(tagFillOrder, 1)
	if order != 1 && order != 2 {
		return fmt.Errorf("its fill order is %d instead of 1 or 2: the file is damaged", order)
	}
	l.reversed = order == 2
	return nil
}

// readSamples reads what a pixel has.
func (l *layout) readSamples(f *fields) error {
	bits := f.list(tagBits, 1<<16)
	if l.samples = f.one(tagSamples, uint64(max(1, len(bits)))); l.samples == 0 || l.samples >= 1<<16 {
		return fmt.Errorf("%d samples per pixel instead of 1 to %d: the file is damaged", l.samples, 1<<16-1)
	}
	if l.height*l.width*l.samples > MaxValues {
		return fmt.Errorf("%d×%d pixels of %d channels; the limit is %d values; split or scale the picture", l.width, l.height, l.samples, MaxValues)
	}
	formats, extra := f.list(tagSampleFormat, l.samples), f.list(tagExtraSamples, l.samples)
	if f.err != nil {
		return f.err
	}
	l.bits, l.format = first(bits, 1), first(formats, formatUint)
	if mixed(bits[:min(uint64(len(bits)), l.samples)]) || mixed(formats) {
		return fmt.Errorf("its channels differ (bits %.60s, formats %.60s); save them in the same format, or as pages",
			fmt.Sprint(bits), fmt.Sprint(formats))
	}
	if l.format == formatVoid {
		l.format = formatUint
	}
	l.Channels = int(l.samples)
	switch {
	case l.format == formatComplex, l.format == formatComplex+1:
		return errors.New("complex numbers; save their parts as two channels of floats")
	case l.format == 0 || l.format > formatComplex+1:
		return fmt.Errorf("its sample format is %d instead of 1 to 6: the file is damaged", l.format)
	case l.format == formatUint && slices.Contains([]uint64{1, 2, 4, 8}, l.bits):
		l.Type = dtypes.Uint8
	case l.format == formatUint && l.bits == 16:
		l.Type = dtypes.Uint16
	case l.bits == 32, l.bits == 64, l.bits == 16, l.bits == 8 && l.format == formatInt:
		l.Type = dtypes.Float32
	default:
		return fmt.Errorf("%s of %d bits; write them with 8, 16 or 32", formatNames[l.format], l.bits)
	}
	if l.predictor == predictHorizontal && l.bits < 8 || l.predictor == predictFloat && l.format != formatFloat || l.predictor == 0 || l.predictor > 3 {
		return fmt.Errorf("predictor %d of %s of %d bits is not supported; %s, and no predictor", l.predictor, formatNames[l.format], l.bits, again)
	}
	switch n := uint64(len(extra)); {
	case n == 0 || n == l.samples:
	case extra[n-1] == 1:
		l.Alpha = Associated
	case extra[n-1] == 2:
		l.Alpha = Unassociated
	}
	photometric := f.one(tagPhotometric, blackIsZero) // must be there, but need not be to see the values
	switch photometric {
	case whiteIsZero:
		l.white = l.format != formatFloat
	case blackIsZero, palette:
	case mask:
		l.Auxiliary = true
	case rgb:
		if l.samples < 3 {
			return fmt.Errorf("RGB of %d channels: the file is damaged", l.samples)
		}
	default:
		if name, known := refusedPhotometrics[photometric]; known {
			return fmt.Errorf("its colour space is %s; convert it to grey or RGB", name)
		}
		return fmt.Errorf("its colour space, number %d, is unknown; convert it to grey or RGB", photometric)
	}
	return nil
}

var formatNames = map[uint64]string{formatUint: "unsigned integers", formatInt: "signed integers", formatFloat: "floats"}

func first(list []uint64, without uint64) uint64 {
	if len(list) == 0 {
		return without
	}
	return list[0]
}

// mixed says whether numbers differ.
func mixed(list []uint64) bool {
	return slices.ContainsFunc(list, func(n uint64) bool { return n != list[0] })
}

// readPalette reads the colours of a page of palette colours: all red, all green, all blue, of 16 bits.
//
// They are taken as 8 bits where those say the same: v·257 and v·256; and where all are below 256, for old programs wrote them so.
func (l *layout) readPalette(f *fields) error {
	if f.one(tagPhotometric, blackIsZero) != palette {
		return f.err
	}
	if l.samples != 1 || l.format != formatUint || l.bits > 16 {
		return errors.New("palette colours of several channels, or of more than 16 bits; convert it to RGB")
	}
	if l.height*l.width > MaxValues/3 {
		return fmt.Errorf("%d×%d pixels of palette colours; the limit is %d; split or scale the picture", l.width, l.height, MaxValues/3)
	}
	n := uint64(3) << l.bits
	l.palette = f.list(tagPalette, n)
	if f.err != nil {
		return f.err
	}
	if len(l.palette) == 0 || len(l.palette)%3 != 0 {
		return fmt.Errorf("a palette of %d numbers instead of %d: the file is damaged", len(l.palette), n)
	}
	l.Channels, l.Type, l.Alpha = 3, dtypes.Uint8, NoAlpha
	every := func(is func(v uint64) bool) bool {
		return !slices.ContainsFunc(l.palette, func(v uint64) bool { return !is(v) })
	}
	switch {
	case !every(func(v uint64) bool { return v < 1<<16 }):
		return errors.New("a palette of more than 16 bits: the file is damaged")
	case every(func(v uint64) bool { return v < 256 }):
	case every(func(v uint64) bool { return v%257 == 0 }), every(func(v uint64) bool { return v%256 == 0 }):
		for i := range l.palette {
			l.palette[i] >>= 8
		}
	default:
		l.Type = dtypes.Uint16
	}
	return nil
}

// readBlocks reads how strips or tiles divide the page, and wants as many in the lists as there are, and that they can hold the
// pixels.
func (l *layout) readBlocks(f *fields) error {
	l.planes = 1
	switch planar := f.one(tagPlanar, 1); {
	case planar == 2:
		l.planes = l.samples
	case planar != 1:
		return fmt.Errorf("its planar configuration is %d instead of 1 or 2: the file is damaged", planar)
	}
	offsets, counts := uint16(tagStripOffsets), uint16(tagStripByteCounts)
	l.block, l.blockW, l.blockH = "strip", l.width, f.one(tagRowsPerStrip, l.height)
	if l.blockH == 0 || l.blockH > l.height {
		l.blockH = l.height
	}
	if _, tiled := f.directory[tagTileWidth]; tiled {
		offsets, counts = tagTileOffsets, tagTileByteCounts
		l.block, l.blockW, l.blockH = "tile", f.one(tagTileWidth, 0), f.one(tagTileHeight, 0)
		if f.err == nil && (l.blockW == 0 || l.blockH == 0 || l.blockW > MaxValues || l.blockH > MaxValues) {
			return fmt.Errorf("tiles of %d×%d pixels: the file is damaged", l.blockW, l.blockH)
		}
	}
	if f.err != nil {
		return f.err
	}
	l.across, l.down = (l.width+l.blockW-1)/l.blockW, (l.height+l.blockH-1)/l.blockH
	if across := l.across * l.blockW; across > MaxValues/l.samples/l.height {
		return fmt.Errorf("%d×%d pixels of %d channels in tiles %d wide; the limit is %d values; use smaller tiles",
			l.width, l.height, l.samples, l.blockW, MaxValues)
	}
	blocks := l.across * l.down * l.planes
	need := l.height * l.across * l.rowBytes() * l.planes
	if most := compressions[l.packing].most; need/most > uint64(f.size) {
		return fmt.Errorf("%d bytes of pixels, more than a file of %d can hold: it is truncated or damaged", need, f.size)
	}
	for _, list := range []struct {
		tag  uint16
		into *entry
	}{{offsets, &l.offsets}, {counts, &l.counts}} {
		e, found := f.directory[list.tag]
		if !found && list.tag == counts && blocks == 1 && l.packing == packNone {
			continue
		}
		if e.count < blocks {
			return fmt.Errorf("%d numbers in tag %d instead of one for each of %d %ss: the file is damaged", e.count, list.tag, blocks, l.block)
		}
		*list.into = e
	}
	return nil
}

// rowBytes is the size of a block's row, unpacked: all samples of its pixels, or one of each.
func (l *layout) rowBytes() uint64 {
	return (l.blockW*(l.samples/l.planes)*l.bits + 7) / 8
}
