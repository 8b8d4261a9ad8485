package tiff

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
)

// Writer writes a file page by page: classic TIFF or BigTIFF, little-endian, in strips, of interleaved channels. Errors do not name the
// file.
type Writer struct {
	out  io.WriteSeeker
	big  bool
	at   uint64 // the file's length
	link uint64 // where the offset of the next directory comes
}

// NewWriter begins a file of at most so many bytes: BigTIFF where that is more than classic TIFF can hold, 4 GiB.
func NewWriter(out io.WriteSeeker, most int64) (*Writer, error) {
	w := &Writer{out: out, big: most > math.MaxUint32}
	head := []byte("II*\x00")
	if w.big {
		head = []byte("II+\x00\x08\x00\x00\x00")
	}
	w.link = uint64(len(head))
	return w, w.write(w.word(head, 0))
}

// word appends an offset or a count.
func (w *Writer) word(to []byte, v uint64) []byte {
	if w.big {
		return binary.LittleEndian.AppendUint64(to, v)
	}
	return binary.LittleEndian.AppendUint32(to, uint32(v))
}

// write writes at the file's end.
func (w *Writer) write(data []byte) error {
	if _, err := w.out.Write(data); err != nil {
		return err
	}
	if w.at += uint64(len(data)); !w.big && w.at > math.MaxUint32 {
		return errors.New("more than the 4 GiB that a TIFF file can hold; split it")
	}
	return nil
}

// stripBytes is about how many bytes of pixels are in a strip.
const stripBytes = 256 << 10

// Add writes a page, [height, width, channel], with these fields beside what describes its pixels. Where Packed is set, it is packed by
// deflate, integers as horizontal differences. Three channels beside alpha are red, green and blue; others are grey and whatever they
// are.
func (w *Writer) Add(p Picture, fields []Field) error {
	if n := p.Height * p.Width * p.Channels; p.Height < 1 || p.Width < 1 || p.Channels < 1 || n != p.Values.Len() || n > MaxValues || p.Type != p.Values.Type() {
		return fmt.Errorf("a page of %d×%d pixels, %d channels and %d values of %s", p.Width, p.Height, p.Channels, p.Values.Len(), p.Values.Type())
	}
	size := p.Type.Size()
	row := p.Width * p.Channels * size
	rows := max(1, stripBytes/row)
	var offsets, counts []uint64
	for pixels := range slices.Chunk(p.Values.Bytes(), rows*row) {
		if p.Packed {
			var err error
			if pixels, err = packed(pixels, row, p.Channels, p.Type); err != nil {
				return err
			}
		}
		offsets, counts = append(offsets, w.at), append(counts, uint64(len(pixels)))
		if err := w.write(pixels); err != nil {
			return err
		}
	}

	colours, format := p.Channels, uint64(formatUint)
	var extra []uint64
	if p.Alpha != NoAlpha {
		colours--
	}
	photometric, named := uint64(blackIsZero), 1
	if colours == 3 {
		photometric, named = rgb, 3
	}
	for range p.Channels - named {
		extra = append(extra, 0)
	}
	if p.Alpha != NoAlpha && len(extra) > 0 {
		extra[len(extra)-1] = uint64(p.Alpha)
	}
	if p.Type == dtypes.Float32 {
		format = formatFloat
	}
	all := []Field{
		longs(tagWidth, uint64(p.Width)), longs(tagHeight, uint64(p.Height)), shorts(tagBits, slices.Repeat([]uint64{uint64(8 * size)}, p.Channels)...),
		shorts(tagPhotometric, photometric), w.words(tagStripOffsets, offsets), shorts(tagSamples, uint64(p.Channels)),
		longs(tagRowsPerStrip, uint64(rows)), w.words(tagStripByteCounts, counts), shorts(tagPlanar, 1),
		shorts(tagSampleFormat, slices.Repeat([]uint64{format}, p.Channels)...),
	}
	if extra != nil {
		all = append(all, shorts(tagExtraSamples, extra...))
	}
	packing := uint64(packNone)
	if p.Packed {
		packing = packDeflate
		if p.Type != dtypes.Float32 {
			all = append(all, shorts(tagPredictor, predictHorizontal))
		}
	}
	offset, err := w.directory(append(append(all, shorts(tagCompression, packing)), fields...))
	if err != nil {
		return err
	}
	return w.patch(offset)
}

// patch makes the last directory, or the header, point to a directory, behind which the next one's place is.
func (w *Writer) patch(directory uint64) error {
	if _, err := w.out.Seek(int64(w.link), io.SeekStart); err != nil {
		return err
	}
	if _, err := w.out.Write(w.word(nil, directory)); err != nil {
		return err
	}
	_, err := w.out.Seek(int64(w.at), io.SeekStart)
	w.link = w.at - uint64(len(w.word(nil, 0)))
	return err
}

// packed packs rows of so many bytes by deflate: of integers the differences to the pixel before.
func packed(rows []byte, row, channels int, dtype dtypes.DType) ([]byte, error) {
	if dtype != dtypes.Float32 {
		rows = bytes.Clone(rows)
		for line := range slices.Chunk(rows, row) {
			switch dtype {
			case dtypes.Uint16:
				little := binary.LittleEndian
				for i := len(line) - 2; i >= 2*channels; i -= 2 {
					little.PutUint16(line[i:], little.Uint16(line[i:])-little.Uint16(line[i-2*channels:]))
				}
			default:
				for i := len(line) - 1; i >= channels; i-- {
					line[i] -= line[i-channels]
				}
			}
		}
	}
	var deflated bytes.Buffer
	z := zlib.NewWriter(&deflated)
	_, err := z.Write(rows)
	err = errors.Join(err, z.Close())
	return deflated.Bytes(), err
}

// directory writes the values of fields that do not fit into a directory, those of directories below it, and the directory, and returns
// where it is.
func (w *Writer) directory(fields []Field) (offset uint64, err error) {
	fields = slices.Clone(fields)
	slices.SortStableFunc(fields, func(a, b Field) int { return int(a.Tag) - int(b.Tag) })
	fields = slices.CompactFunc(fields, func(a, b Field) bool { return a.Tag == b.Tag })
	body := binary.LittleEndian.AppendUint16(nil, uint16(len(fields)))
	if w.big {
		body = binary.LittleEndian.AppendUint64(nil, uint64(len(fields)))
	}
	room := len(w.word(nil, 0))
	for _, f := range fields {
		if f.Fields != nil {
			below, err := w.directory(f.Fields)
			if err != nil {
				return 0, err
			}
			f = w.words(f.Tag, []uint64{below})
		}
		unit := typeSizes[f.Type]
		if unit == 0 || len(f.Data) == 0 || len(f.Data)%unit != 0 {
			return 0, fmt.Errorf("tag %d: %d bytes of type %d", f.Tag, len(f.Data), f.Type)
		}
		body = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(body, f.Tag), f.Type)
		body = w.word(body, uint64(len(f.Data)/unit))
		if len(f.Data) <= room {
			body = append(append(body, f.Data...), make([]byte, room-len(f.Data))...)
			continue
		}
		if err := w.even(); err != nil {
			return 0, err
		}
		body = w.word(body, w.at)
		if err := w.write(f.Data); err != nil {
			return 0, err
		}
	}
	if err := w.even(); err != nil {
		return 0, err
	}
	offset = w.at
	return offset, w.write(w.word(body, 0))
}

// even begins the next value on a word's boundary, as the standard wants.
func (w *Writer) even() error {
	if w.at%2 == 0 {
		return nil
	}
	return w.write([]byte{0})
}

func shorts(tag uint16, values ...uint64) Field {
	f := Field{Tag: tag, Type: typeShort}
	for _, v := range values {
		f.Data = binary.LittleEndian.AppendUint16(f.Data, uint16(v))
	}
	return f
}

func longs(tag uint16, value uint64) Field {
	return Field{Tag: tag, Type: typeLong, Data: binary.LittleEndian.AppendUint32(nil, uint32(value))}
}

// words are offsets or sizes.
func (w *Writer) words(tag uint16, values []uint64) Field {
	f := Field{Tag: tag, Type: typeLong}
	if w.big {
		f.Type = typeLong8
	}
	for _, v := range values {
		f.Data = w.word(f.Data, v)
	}
	return f
}
