package tiff

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute/dtypes"
	xtiff "golang.org/x/image/tiff"

	"latent/pkg/array"
)

var byteOrders = []byteOrder{binary.LittleEndian, binary.BigEndian}

// kinds are formats and bits with the numbers that some bits stand for.
var kinds = []struct {
	format, bits uint64
	dtype        dtypes.DType
	numbers      map[uint64]float64
}{
	{formatUint, 1, dtypes.Uint8, map[uint64]float64{0: 0, 1: 255}},
	{formatUint, 2, dtypes.Uint8, map[uint64]float64{0: 0, 1: 85, 2: 170, 3: 255}},
	{formatUint, 4, dtypes.Uint8, map[uint64]float64{0: 0, 1: 17, 7: 119, 15: 255}},
	{formatUint, 8, dtypes.Uint8, map[uint64]float64{0: 0, 1: 1, 128: 128, 255: 255}},
	{formatVoid, 8, dtypes.Uint8, map[uint64]float64{0: 0, 200: 200}},
	{formatUint, 16, dtypes.Uint16, map[uint64]float64{0: 0, 1: 1, 0x1234: 0x1234, 65535: 65535}},
	{formatUint, 32, dtypes.Float32, map[uint64]float64{0: 0, 1 << 31: 1 << 31, 1<<32 - 1: 1 << 32, 1<<24 - 1: 1<<24 - 1}},
	{formatUint, 64, dtypes.Float32, map[uint64]float64{0: 0, 3: 3, math.MaxUint64: 0x1p64}},
	{formatInt, 8, dtypes.Float32, map[uint64]float64{0: 0, 127: 127, 128: -128, 255: -1}},
	{formatInt, 16, dtypes.Float32, map[uint64]float64{0: 0, 0x7fff: 32767, 0x8000: -32768, 0xffff: -1}},
	{formatInt, 32, dtypes.Float32, map[uint64]float64{0: 0, 1 << 31: -0x1p31, 1<<32 - 1: -1, 1000: 1000}},
	{formatInt, 64, dtypes.Float32, map[uint64]float64{0: 0, 1 << 63: -0x1p63, math.MaxUint64: -1}},
	{formatFloat, 16, dtypes.Float32, map[uint64]float64{0: 0, 0x3c00: 1, 0xc000: -2, 0x3555: 0.333251953125, 1: 0x1p-24, 0x8400: -0x1p-14, 0x7bff: 65504}},
	{formatFloat, 32, dtypes.Float32, map[uint64]float64{0: 0, 0x3f800000: 1, 0xc0200000: -2.5, 1: math.SmallestNonzeroFloat32, 0x7f7fffff: math.MaxFloat32}},
	{formatFloat, 64, dtypes.Float32, map[uint64]float64{0: 0, 0x3ff0000000000000: 1, 0xc004000000000000: -2.5, 0x3fd5555555555555: float64(float32(1. / 3))}},
}

// Numbers of all formats come out of strips and tiles of all compressions as they were put in.
func TestFormats(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const height, width = 9, 11
	for _, kind := range kinds {
		var bits []uint64
		for b := range kind.numbers {
			bits = append(bits, b)
		}
		slices.Sort(bits)
		for _, channels := range []int{1, 3} {
			p := written{height: height, width: width, channels: channels, bits: int(kind.bits), format: kind.format}
			var want []float64
			for range height * width * channels {
				b := bits[random.IntN(len(bits))]
				p.values, want = append(p.values, b), append(want, kind.numbers[b])
			}
			for compression := range compressions {
				for predictor := uint64(predictNone); predictor <= predictFloat; predictor++ {
					if predictor == predictHorizontal && (kind.bits < 8 || compression == packNone) ||
						predictor == predictFloat && (kind.format != formatFloat || compression == packNone) {
						continue
					}
					for _, block := range [][2]int{{height, 0}, {4, 0}, {16, 8}, {4, 16}} {
						for i := range 8 {
							p.compression, p.predictor, p.blockH, p.blockW, p.planar = compression, predictor, block[0], block[1], i&1 > 0
							order, big := byteOrders[i>>1&1], i&4 > 0
							file := write(order, big, p, p)
							got, err := readAll(file)
							if err != nil || len(got) != 2 {
								t.Fatalf("%+v of %d bits, order %v, big %v: %d pages, %v", p, kind.bits, order, big, len(got), err)
							}
							for _, page := range got {
								if page.Height != height || page.Width != width || page.Channels != channels || page.Type != kind.dtype {
									t.Fatalf("%d×%d×%d %s", page.Height, page.Width, page.Channels, page.Type)
								}
								for i, w := range want {
									if v := page.Values.At(i); v != w {
										t.Fatalf("%+v of %d bits, order %v, big %v: number %d is %g, want %g", p, kind.bits, order, big, i, v, w)
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

// readAll reads all pages of a file, with the first error.
func readAll(file []byte) ([]Picture, error) {
	f, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	var pictures []Picture
	for i := range f.Pages() {
		p, err := f.Read(i)
		if err != nil {
			return nil, err
		}
		pictures = append(pictures, p)
	}
	return pictures, nil
}

// grey is a page of bytes 0, 1, 2 …
func grey(height, width, channels int) written {
	p := written{height: height, width: width, channels: channels, bits: 8, format: formatUint, compression: packNone, predictor: 1, blockH: height}
	for i := range height * width * channels {
		p.values = append(p.values, uint64(i))
	}
	return p
}

// with changes a page's fields.
func (p written) with(fields map[uint16][]uint64) written {
	p.fields = fields
	return p
}

// What the fields say is applied: the orientation, what is white, what the last channel is, what a page is there for.
func TestFields(t *testing.T) {
	turned := map[uint64][]uint8{ // of 0 1 2 / 3 4 5
		1: {0, 1, 2, 3, 4, 5}, 2: {2, 1, 0, 5, 4, 3}, 3: {5, 4, 3, 2, 1, 0}, 4: {3, 4, 5, 0, 1, 2},
		5: {0, 3, 1, 4, 2, 5}, 6: {3, 0, 4, 1, 5, 2}, 7: {5, 2, 4, 1, 3, 0}, 8: {2, 5, 1, 4, 0, 3}, 9: {0, 1, 2, 3, 4, 5},
	}
	for orientation, want := range turned {
		got, err := readAll(write(binary.BigEndian, false, grey(2, 3, 1).with(map[uint16][]uint64{tagOrientation: {orientation}})))
		if err != nil {
			t.Fatal(err)
		}
		h, w := 2, 3
		if orientation >= 5 && orientation <= 8 {
			h, w = 3, 2
		}
		if !slices.Equal(got[0].Values.Uint8, want) || got[0].Height != h || got[0].Width != w {
			t.Errorf("orientation %d: %d×%d, %v, want %v", orientation, got[0].Height, got[0].Width, got[0].Values.Uint8, want)
		}
	}
	for name, test := range map[string]struct {
		page written
		want Page
		last float64 // of the values
	}{
		"white":          {grey(1, 2, 1).with(map[uint16][]uint64{tagPhotometric: {whiteIsZero}}), Page{Channels: 1}, 254},
		"white of two":   {grey(1, 2, 2).with(map[uint16][]uint64{tagPhotometric: {whiteIsZero}}), Page{Channels: 2}, 3},
		"associated":     {grey(1, 2, 2).with(map[uint16][]uint64{tagExtraSamples: {1}}), Page{Channels: 2, Alpha: Associated}, 3},
		"unassociated":   {grey(1, 2, 4).with(map[uint16][]uint64{tagPhotometric: {rgb}, tagExtraSamples: {2}}), Page{Channels: 4, Alpha: Unassociated}, 7},
		"third of four":  {grey(1, 2, 4).with(map[uint16][]uint64{tagExtraSamples: {0, 2, 0}}), Page{Channels: 4}, 7},
		"reduced":        {grey(1, 2, 1).with(map[uint16][]uint64{tagNewSubfileType: {1}}), Page{Channels: 1, Auxiliary: true}, 1},
		"mask":           {grey(1, 2, 1).with(map[uint16][]uint64{tagNewSubfileType: {4}, tagPhotometric: {4}}), Page{Channels: 1, Auxiliary: true}, 1},
		"one of many":    {grey(1, 2, 1).with(map[uint16][]uint64{tagNewSubfileType: {2}}), Page{Channels: 1}, 1},
		"old reduced":    {grey(1, 2, 1).with(map[uint16][]uint64{tagSubfileType: {2}}), Page{Channels: 1, Auxiliary: true}, 1},
		"fill order":     {grey(1, 2, 1).with(map[uint16][]uint64{tagFillOrder: {2}}), Page{Channels: 1}, 128},
		"no list":        {grey(1, 2, 1).with(map[uint16][]uint64{tagStripByteCounts: nil, tagRowsPerStrip: nil}), Page{Channels: 1}, 1},
		"bits told once": {grey(1, 2, 3).with(map[uint16][]uint64{tagBits: {8}, tagSampleFormat: nil}), Page{Channels: 3}, 5},
		"bits of all":    {grey(1, 2, 3).with(map[uint16][]uint64{tagSamples: nil, tagPhotometric: nil}), Page{Channels: 3}, 5},
	} {
		got, err := readAll(write(binary.LittleEndian, false, test.page))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		test.want.Height, test.want.Width, test.want.Type = 1, 2, dtypes.Uint8
		if got[0].Page != test.want || got[0].Values.At(got[0].Values.Len()-1) != test.last {
			t.Errorf("%s: %+v, want %+v and %g at the end", name, got[0], test.want, test.last)
		}
	}
}

// A palette is of 16 bits only where its colours are.
func TestPalette(t *testing.T) {
	for name, test := range map[string]struct {
		palette []uint64
		want    array.Values
	}{
		"257":   {[]uint64{0, 257, 514, 65535, 0, 257}, array.Values{Uint8: []uint8{0, 2, 0, 1, 255, 1}}},
		"256":   {[]uint64{0, 256, 512, 65280, 0, 256}, array.Values{Uint8: []uint8{0, 2, 0, 1, 255, 1}}},
		"bytes": {[]uint64{0, 1, 2, 255, 0, 1}, array.Values{Uint8: []uint8{0, 2, 0, 1, 255, 1}}},
		"wide":  {[]uint64{0, 256, 514, 65535, 0, 257}, array.Values{Uint16: []uint16{0, 514, 0, 256, 65535, 257}}},
	} {
		got, err := readAll(write(binary.LittleEndian, true, grey(1, 2, 1).with(map[uint16][]uint64{tagPhotometric: {palette}, tagPalette: test.palette})))
		if err != nil {
			t.Fatal(err)
		}
		if p := got[0]; p.Channels != 3 || p.Type != test.want.Type() || p.Values.Type() != p.Type || p.Values.Compare(test.want) != 0 {
			t.Errorf("%s: %+v, want %+v", name, p, test.want)
		}
	}
}

// What is not read is refused with its name, and what cannot be with the damage.
func TestRefused(t *testing.T) {
	packed := grey(4, 4, 1)
	packed.compression = packDeflate
	floats := written{height: 2, width: 3, channels: 2, bits: 32, format: formatFloat, predictor: 1, compression: packNone, blockH: 1,
		values: slices.Repeat([]uint64{0x3f800000}, 12)}
	floats.values[9] = 0x7fc00000
	half := floats
	half.bits, half.values = 16, slices.Repeat([]uint64{0x7c00}, 12)
	for name, test := range map[string]struct {
		page written
		want []string
	}{
		"JPEG":          {grey(2, 2, 1).with(map[uint16][]uint64{tagCompression: {7}}), []string{"page 1 of 1: its compression, JPEG, is not supported; write it again"}},
		"unknown":       {grey(2, 2, 1).with(map[uint16][]uint64{tagCompression: {4711}}), []string{"compression, number 4711"}},
		"YCbCr":         {grey(2, 2, 3).with(map[uint16][]uint64{tagPhotometric: {6}}), []string{"YCbCr; convert it to grey or RGB"}},
		"complex":       {floats.with(map[uint16][]uint64{tagSampleFormat: {6}}), []string{"complex numbers"}},
		"mixed":         {grey(2, 2, 3).with(map[uint16][]uint64{tagBits: {5, 6, 5}}), []string{"its channels differ (bits [5 6 5]"}},
		"12 bits":       {grey(2, 2, 1).with(map[uint16][]uint64{tagBits: {12}}), []string{"unsigned integers of 12 bits"}},
		"format 0":      {floats.with(map[uint16][]uint64{tagSampleFormat: {0, 0}}), []string{"sample format is 0"}},
		"huge":          {packed.with(map[uint16][]uint64{tagHeight: {1 << 20}, tagWidth: {1 << 20}}), []string{"1048576×1048576 pixels"}},
		"huge channels": {packed.with(map[uint16][]uint64{tagSamples: {1 << 15}, tagHeight: {1 << 8}, tagWidth: {1 << 8}}), []string{"of 32768 channels; the limit is"}},
		"many":          {packed.with(map[uint16][]uint64{tagHeight: {1 << 13}, tagWidth: {1 << 13}, tagRowsPerStrip: nil}), []string{"67108864 bytes of pixels, more than a file of"}},
		"less":          {packed.with(map[uint16][]uint64{tagHeight: {200}, tagWidth: {200}, tagRowsPerStrip: nil, tagStripByteCounts: {20}}), []string{"strip 1 of 1: 20 bytes cannot hold its 40000"}},
		"wide tiles":    {packed.with(map[uint16][]uint64{tagHeight: {4}, tagTileWidth: {1 << 27}, tagTileHeight: {1}}), []string{"in tiles 134217728 wide"}},
		"no tiles":      {packed.with(map[uint16][]uint64{tagTileWidth: {0}, tagTileHeight: {1}}), []string{"tiles of 0×1"}},
		"short list":    {packed.with(map[uint16][]uint64{tagRowsPerStrip: {1}}), []string{"1 numbers in tag 273 instead of one for each of 4 strips"}},
		"outside":       {packed.with(map[uint16][]uint64{tagStripOffsets: {1 << 20}}), []string{"strip 1 of 1: it extends past the end of the file"}},
		"sparse":        {packed.with(map[uint16][]uint64{tagStripOffsets: {0}, tagStripByteCounts: {0}}), []string{"sparse"}},
		"no zlib":       {packed.with(map[uint16][]uint64{tagStripOffsets: {1}}), []string{"strip 1 of 1: zlib: invalid header"}},
		"ends early":    {packed.with(map[uint16][]uint64{tagHeight: {5}, tagRowsPerStrip: nil}), []string{"row 5 of 5: its pixels end too early"}},
		"size":          {packed.with(map[uint16][]uint64{tagHeight: nil}), []string{"4×0 pixels"}},
		"RGB":           {grey(2, 2, 1).with(map[uint16][]uint64{tagPhotometric: {2}}), []string{"RGB of 1 channels"}},
		"palette":       {grey(2, 2, 1).with(map[uint16][]uint64{tagPhotometric: {3}}), []string{"a palette of 0 numbers instead of 768"}},
		"palette index": {grey(2, 2, 1).with(map[uint16][]uint64{tagPhotometric: {3}, tagPalette: {1, 2, 3, 4, 5, 6}}), []string{"colour 2 of a palette of 2"}},
		"palette and":   {grey(2, 2, 2).with(map[uint16][]uint64{tagPhotometric: {3}, tagPalette: {1, 2, 3}}), []string{"several channels"}},
		"predictor":     {packed.with(map[uint16][]uint64{tagPredictor: {3}}), []string{"predictor 3 of unsigned integers of 8 bits"}},
		"volume":        {packed.with(map[uint16][]uint64{tagDepth: {16}}), []string{"volume of 16 layers"}},
		"NaN":           {floats, []string{"strip 2 of 2: NaN at row 1, column 1, channel 1"}},
		"infinite":      {half, []string{"+Inf at row 0, column 0, channel 0"}},
		"NaN turned":    {floats.with(map[uint16][]uint64{tagOrientation: {6}}), []string{"NaN at row 1, column 0, channel 1"}},
	} {
		_, err := readAll(write(binary.LittleEndian, false, test.page))
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
	good := grey(2, 2, 1)
	f, err := Open(bytes.NewReader(write(binary.LittleEndian, false, good.with(map[uint16][]uint64{tagCompression: {50000}}), good)), 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	if pages := f.Pages(); pages[0].Problem == nil || pages[1].Problem != nil {
		t.Errorf("problems %v and %v, want one of the first page alone", pages[0].Problem, pages[1].Problem)
	}
	for _, page := range []int{-1, 2} {
		if _, err := f.Read(page); err == nil {
			t.Errorf("page %d was read", page)
		}
	}
}

// Directories that are no chain are found.
func TestChain(t *testing.T) {
	file := write(binary.LittleEndian, false, grey(2, 2, 1), grey(2, 2, 1))
	first := binary.LittleEndian.Uint32(file[4:])
	circle := bytes.Clone(file)
	binary.LittleEndian.PutUint32(circle[len(circle)-4:], first)
	empty := []byte("II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	large := bytes.Clone(file)
	binary.LittleEndian.PutUint16(large[first:], 0xffff)
	// Directories of 1,000 entries each, one entry behind the other: together they have more than 500 times the file.
	overlapping := append([]byte("II*\x00\x08\x00\x00\x00"), make([]byte, 40000)...)
	for i := range 2000 {
		at := 8 + 12*i
		binary.LittleEndian.PutUint16(overlapping[at:], 1000)
		if end := at + 2 + 12*1000; end+4 <= len(overlapping) {
			binary.LittleEndian.PutUint32(overlapping[end:], uint32(at+12))
		}
	}
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"circle":      {circle, "page 3 is page 1 again"},
		"empty":       {empty, "page 1: its directory: 0 entries"},
		"large":       {large, "65535 entries"},
		"overlapping": {overlapping, "directories overlap"},
		"none":        {[]byte("II*\x00\x00\x00\x00\x00"), "no page"},
		"other":       {[]byte("GIF89a.........."), "not a TIFF file"},
		"nothing":     {nil, "not a TIFF file"},
		"big":         {[]byte("MM\x00+\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10"), "an invalid BigTIFF header"},
	} {
		if _, err := readAll(test.file); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// golden are small files that have something of everything.
func golden() [][]byte {
	tiles := grey(5, 6, 3)
	tiles.compression, tiles.predictor, tiles.blockH, tiles.blockW = packDeflate, predictHorizontal, 4, 4
	planes := grey(4, 3, 2)
	planes.compression, planes.planar, planes.blockH = packLZW, true, 2
	floats := written{height: 3, width: 4, channels: 1, bits: 32, format: formatFloat, values: slices.Repeat([]uint64{0x40490fdb, 0x3f800000}, 6),
		compression: packDeflateOld, predictor: predictFloat, blockH: 2}
	bits := written{height: 3, width: 5, channels: 1, bits: 2, format: formatUint, values: slices.Repeat([]uint64{0, 1, 3}, 5),
		compression: packPackBits, predictor: 1, blockH: 3,
		fields: map[uint16][]uint64{tagPhotometric: {palette}, tagPalette: {1, 2, 3, 400, 5, 6, 7, 8, 9, 10, 11, 12}, tagOrientation: {6}, tagFillOrder: {1}}}
	return [][]byte{
		write(binary.LittleEndian, false, tiles, bits), write(binary.BigEndian, true, planes, floats), write(binary.BigEndian, false, grey(3, 3, 1)),
	}
}

// A file that ends at any of its bytes is an error, for its last bytes are those of the last directory.
func TestTruncated(t *testing.T) {
	for i, file := range golden() {
		if _, err := readAll(file); err != nil {
			t.Fatal(err)
		}
		for n := range file {
			if _, err := readAll(file[:n]); err == nil {
				t.Errorf("file %d: the first %d of %d bytes are read", i, n, len(file))
			}
			// A reader that has less than its size, as a file that is cut while it is read.
			if f, err := Open(bytes.NewReader(file[:n]), int64(len(file))); err == nil {
				t.Errorf("file %d: the first %d of %d bytes give %d pages", i, n, len(file), len(f.Pages()))
			}
		}
	}
}

// Changed bytes give an error or other pages, no panic and nothing that is not what its page says.
func TestFlipped(t *testing.T) {
	for _, file := range golden() {
		for i := range file {
			for _, change := range []byte{0x01, 0x02, 0x10, 0x80, 0xff} {
				changed := bytes.Clone(file)
				changed[i] ^= change
				check(t, changed)
			}
		}
	}
}

// check reads what can be read of a file, and wants it to be what its pages say.
func check(t *testing.T, file []byte) {
	f, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return
	}
	for i, page := range f.Pages()[:min(8, len(f.Pages()))] {
		if page.Problem == nil && uint64(page.Height)*uint64(page.Width)*uint64(page.Channels) > 1<<22 {
			continue // takes long
		}
		p, err := f.Read(i)
		if err != nil {
			continue
		}
		if p.Page != page || page.Problem != nil {
			t.Errorf("page %d: %+v, want %+v", i, p.Page, page)
		}
		if n := p.Height * p.Width * p.Channels; p.Values.Len() != n || n == 0 || p.Values.Type() != p.Type {
			t.Errorf("page %d: %d values of %s, want %d of %s", i, p.Values.Len(), p.Values.Type(), n, p.Type)
		}
		for _, v := range p.Values.Float32 {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("page %d has %g", i, v)
			}
		}
		// What is written of it says the same.
		fields := f.Fields(i)
		written := writeAll(t, 0, []Picture{p}, fields)
		again, err := Open(bytes.NewReader(written), int64(len(written)))
		if err != nil {
			t.Fatal(err)
		}
		q, err := again.Read(0)
		p.Auxiliary = false
		if err != nil || q.Page != p.Page || !bytes.Equal(q.Values.Bytes(), p.Values.Bytes()) || !reflect.DeepEqual(again.Fields(0), fields) {
			t.Errorf("page %d: %+v with %v was written, and is %+v with %v, %v", i, p.Page, fields, q.Page, again.Fields(0), err)
		}
	}
}

// Several goroutines read pages of one file at once.
func TestConcurrent(t *testing.T) {
	file := golden()[0]
	f, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	want, err := readAll(file)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			p, err := f.Read(i % len(want))
			if err != nil || !reflect.DeepEqual(p, want[i%len(want)]) {
				t.Errorf("page %d: %v, %v", i%len(want), p, err)
			}
		})
	}
	group.Wait()
}

func FuzzOpen(f *testing.F) {
	for _, file := range golden() {
		f.Add(file)
	}
	f.Add(writeAll(f, 0, []Picture{pageOf(dtypes.Uint8, 3, 2, 4, Associated, true)}, someFields()))
	f.Fuzz(check)
}

// golang.org/x/image/tiff reads and writes the same.
func TestImage(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	noise := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		return p
	}
	bounds := image.Rect(0, 0, 13, 7)
	paletted := image.NewPaletted(bounds, color.Palette{color.RGBA{1, 2, 3, 255}, color.RGBA{200, 100, 50, 255}, color.RGBA{9, 8, 7, 255}})
	for i, b := range noise(len(paletted.Pix)) {
		paletted.Pix[i] = b % 3
	}
	opaque := image.NewRGBA(bounds)
	copy(opaque.Pix, noise(len(opaque.Pix)))
	for i := 3; i < len(opaque.Pix); i += 4 {
		opaque.Pix[i] = 255
	}
	for _, picture := range []image.Image{
		&image.Gray{Pix: noise(13 * 7), Stride: 13, Rect: bounds}, &image.Gray16{Pix: noise(13 * 7 * 2), Stride: 26, Rect: bounds},
		&image.NRGBA{Pix: noise(13 * 7 * 4), Stride: 52, Rect: bounds}, &image.NRGBA64{Pix: noise(13 * 7 * 8), Stride: 104, Rect: bounds},
		opaque, &image.RGBA64{Pix: slices.Repeat([]byte{1, 2, 3, 4, 5, 6, 250, 255}, 13*7), Stride: 104, Rect: bounds}, paletted,
	} {
		for _, options := range []*xtiff.Options{nil, {Compression: xtiff.Deflate}, {Compression: xtiff.Deflate, Predictor: true}} {
			var file bytes.Buffer
			if err := xtiff.Encode(&file, picture, options); err != nil {
				t.Fatal(err)
			}
			compare(t, fmt.Sprintf("%T, %+v", picture, options), file.Bytes(), picture)
		}
	}
	// The other way, of files that both read.
	for _, bits := range []int{1, 8, 16} {
		for _, compression := range []uint64{packNone, packLZW, packDeflate, packDeflateOld, packPackBits} {
			for _, tile := range []int{0, 16} {
				p := written{height: 21, width: 34, channels: 1, bits: bits, format: formatUint, compression: compression, predictor: 1, blockH: 16, blockW: tile}
				for range 21 * 34 {
					p.values = append(p.values, random.Uint64()&(1<<bits-1))
				}
				if bits > 1 && compression != packNone {
					p.predictor = predictHorizontal
				}
				if tile == 16 {
					p.fields = map[uint16][]uint64{tagPhotometric: {whiteIsZero}}
				}
				file := write(binary.BigEndian, false, p)
				want, err := xtiff.Decode(bytes.NewReader(file))
				if err != nil {
					t.Fatal(err)
				}
				compare(t, fmt.Sprintf("%d bits, compression %d, tiles %d", bits, compression, tile), file, want)
			}
		}
	}
}

// compare wants the values of a file's only page to be the picture's, as they are stored.
func compare(t *testing.T, name string, file []byte, want image.Image) {
	t.Helper()
	got, err := readAll(file)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	p := got[0]
	for i := range p.Height * p.Width {
		x, y := i%p.Width, i/p.Width
		var pixel []float64
		switch c := want.At(x, y).(type) {
		case color.Gray:
			pixel = []float64{float64(c.Y)}
		case color.Gray16:
			pixel = []float64{float64(c.Y)}
		case color.NRGBA:
			pixel = []float64{float64(c.R), float64(c.G), float64(c.B), float64(c.A)}
		case color.NRGBA64:
			pixel = []float64{float64(c.R), float64(c.G), float64(c.B), float64(c.A)}
		case color.RGBA:
			pixel = []float64{float64(c.R), float64(c.G), float64(c.B), float64(c.A)}
		case color.RGBA64:
			pixel = []float64{float64(c.R), float64(c.G), float64(c.B), float64(c.A)}
		}
		if len(pixel) != p.Channels && p.Channels != 3 {
			t.Fatalf("%s: %d channels, want %d", name, p.Channels, len(pixel))
		}
		for c := range p.Channels {
			if v := p.Values.At(i*p.Channels + c); v != pixel[c] {
				t.Fatalf("%s: %g at %d, %d, channel %d, want %g", name, v, x, y, c, pixel[c])
			}
		}
	}
}
