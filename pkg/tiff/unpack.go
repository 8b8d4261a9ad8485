package tiff

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"

	"golang.org/x/image/tiff/lzw"

	"latent/pkg/array"
)

// read reads the values of a page.
func (l *layout) read(s source) (array.Values, error) {
	blocks := l.across * l.down * l.planes
	offsets, err := s.list(l.offsets, blocks)
	if err != nil {
		return array.Values{}, fmt.Errorf("the list of its %ss: %w", l.block, err)
	}
	counts := []uint64{l.height * l.rowBytes()}
	if l.counts.count != 0 {
		if counts, err = s.list(l.counts, blocks); err != nil {
			return array.Values{}, fmt.Errorf("the list of its %ss' sizes: %w", l.block, err)
		}
	}
	for i := range blocks {
		if err := l.checkBlock(s, i, offsets[i], counts[i]); err != nil {
			return array.Values{}, l.blockError(i, err)
		}
	}
	values := array.Make(l.Type, l.Height*l.Width*l.Channels)
	u := unpacker{layout: l, bigEndian: s.order == binary.BigEndian, values: values, row: make([]byte, l.rowBytes())}
	if l.bits < 8 || l.predictor == predictFloat {
		u.spare = make([]byte, l.blockW*(l.samples/l.planes)*max(1, l.bits/8))
	}
	if l.format != formatUint || l.bits > 16 {
		u.float = floats[[2]uint64{l.format, l.bits}]
	}
	for i := range blocks {
		if err := u.unpack(io.NewSectionReader(s.r, int64(offsets[i]), int64(counts[i])), i); err != nil {
			return array.Values{}, l.blockError(i, err)
		}
	}
	return values, nil
}

// rows are how many rows of the page are in a block.
func (l *layout) rows(block uint64) uint64 {
	top := block / l.across % l.down * l.blockH
	return min(l.blockH, l.height-top)
}

// checkBlock wants a block in the file, and large enough for its rows.
func (l *layout) checkBlock(s source, block, offset, count uint64) error {
	if count == 0 {
		return errors.New("it is empty, as in a sparse file; save the file without gaps")
	}
	if err := s.holds(offset, count); err != nil {
		return err
	}
	if need := l.rows(block) * l.rowBytes(); need/compressions[l.packing].most > count {
		return fmt.Errorf("%d bytes cannot hold its %d bytes of pixels: the file is damaged", count, need)
	}
	return nil
}

// blockError names the strip or tile of an error, counted from 1.
func (l *layout) blockError(block uint64, err error) error {
	return fmt.Errorf("%s %d of %d: %w", l.block, block+1, l.across*l.down*l.planes, err)
}

// unpacker puts blocks in their places among a page's values.
type unpacker struct {
	*layout
	bigEndian bool
	values    array.Values
	row       []byte // unpacked
	spare     []byte // a row with whole bytes for each sample, or with its bytes in another order
	float     func([]byte) float32
	in        *bufio.Reader
	zlib      io.ReadCloser
}

// unpack unpacks the rows of a block.
func (u *unpacker) unpack(packed io.Reader, block uint64) error {
	r, err := u.open(packed)
	if err != nil {
		return damaged(err)
	}
	samples := int(u.samples / u.planes)
	channel := block / (u.across * u.down) // the first
	left, top := block%u.across*u.blockW, block/u.across%u.down*u.blockH
	pixels := int(min(u.blockW, u.width-left))
	origin, down, right := u.steps()
	for y := range u.rows(block) {
		if _, err := io.ReadFull(r, u.row); err != nil {
			return fmt.Errorf("row %d of %d: %w", y+1, u.rows(block), damaged(err))
		}
		at := origin + int(top+y)*down + int(left)*right
		row := u.samplesOf(u.row, samples)
		if u.white && channel == 0 {
			u.invert(row, samples)
		}
		if err := u.store(row, at*u.Channels+int(channel), right*u.Channels, pixels, samples); err != nil {
			return err
		}
	}
	// The checksum of deflate comes behind the last byte.
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, zlib.ErrChecksum) {
		return damaged(err)
	}
	return nil
}

// damaged says what an error of unpacking means.
func damaged(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("its pixels end too early: the file is truncated or damaged")
	}
	return fmt.Errorf("%w: the file is damaged", err)
}

// open returns the unpacked bytes of a block.
func (u *unpacker) open(packed io.Reader) (io.Reader, error) {
	if u.reversed {
		packed = reversed{packed}
	}
	if u.in == nil {
		u.in = bufio.NewReaderSize(packed, 1<<16)
	} else {
		u.in.Reset(packed)
	}
	switch u.packing {
	case packLZW:
		if head, _ := u.in.Peek(2); len(head) == 2 && head[0] == 0 && head[1]&1 == 1 {
			return nil, errors.New("LZW from before TIFF 6.0; " + again)
		}
		return lzw.NewReader(u.in, lzw.MSB, 8), nil
	case packDeflate, packDeflateOld:
		var err error
		if u.zlib == nil {
			u.zlib, err = zlib.NewReader(u.in)
		} else {
			err = u.zlib.(zlib.Resetter).Reset(u.in, nil)
		}
		return u.zlib, err
	case packPackBits:
		return &packBits{in: u.in}, nil
	}
	return u.in, nil
}

// reversed exchanges the first and the last bits of all bytes.
type reversed struct{ io.Reader }

func (r reversed) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	for i, b := range p[:n] {
		p[i] = bits.Reverse8(b)
	}
	return n, err
}

// packBits unpacks runs of bytes: n from 0 to 127 stands before n+1 bytes, n from 129 to 255 before one that comes 257−n times.
type packBits struct {
	in     *bufio.Reader
	left   int // bytes of the run
	repeat bool
	value  byte
}

func (r *packBits) Read(p []byte) (int, error) {
	for r.left == 0 {
		n, err := r.in.ReadByte()
		if err != nil {
			return 0, err
		}
		switch {
		case n < 128:
			r.left, r.repeat = int(n)+1, false
		case n > 128:
			r.left, r.repeat = 257-int(n), true
			if r.value, err = r.in.ReadByte(); err != nil {
				return 0, err
			}
		}
	}
	p = p[:min(len(p), r.left)]
	n := len(p)
	var err error
	if r.repeat {
		for i := range p {
			p[i] = r.value
		}
	} else {
		n, err = r.in.Read(p)
	}
	r.left -= n
	return n, err
}

// steps says where the pixels of the file come in the upright picture: the first of all, and how far the next below and the next to
// the right of it in the file are.
func (l *layout) steps() (origin, down, right int) {
	w, last := l.Width, l.Height*l.Width-1
	switch l.orientation {
	case 2: // mirrored
		return w - 1, w, -1
	case 3: // turned by 180°
		return last, -w, -1
	case 4: // upside down
		return last - (w - 1), -w, 1
	case 5: // rows are columns
		return 0, 1, w
	case 6: // the first row is the right side
		return w - 1, -1, w
	case 7: // the first row is the right side, from below
		return last, -1, -w
	case 8: // the first row is the left side, from below
		return last - (w - 1), 1, -w
	}
	return 0, w, 1
}

// samplesOf returns a row's samples, each little-endian with whole bytes, the differences summed up.
func (u *unpacker) samplesOf(row []byte, samples int) []byte {
	size := int(u.bits / 8)
	if u.bits < 8 {
		widen(u.spare, row, u.bits)
		return u.spare
	}
	if u.predictor == predictFloat {
		// The differences are those of bytes: first the highest of all values, then the next.
		addUp(row, 1, samples)
		n := len(row) / size
		for b := range size {
			for i, v := range row[b*n : (b+1)*n] {
				u.spare[i*size+size-1-b] = v
			}
		}
		return u.spare
	}
	if u.bigEndian {
		turnBytes(row, size)
	}
	if u.predictor == predictHorizontal {
		addUp(row, size, samples)
	}
	return row
}

// widen gives a byte to each sample of 1, 2 or 4 bits.
func widen(to, from []byte, bits uint64) {
	each := 8 / bits
	for i := range to {
		at := uint64(i)
		to[i] = from[at/each] >> (8 - bits - at%each*bits) & (1<<bits - 1)
	}
}

// turnBytes makes little-endian of big-endian.
func turnBytes(row []byte, size int) {
	switch size {
	case 2:
		for i := 0; i+2 <= len(row); i += 2 {
			binary.LittleEndian.PutUint16(row[i:], binary.BigEndian.Uint16(row[i:]))
		}
	case 4:
		for i := 0; i+4 <= len(row); i += 4 {
			binary.LittleEndian.PutUint32(row[i:], binary.BigEndian.Uint32(row[i:]))
		}
	case 8:
		for i := 0; i+8 <= len(row); i += 8 {
			binary.LittleEndian.PutUint64(row[i:], binary.BigEndian.Uint64(row[i:]))
		}
	}
}

// addUp adds to each number the one of the pixel before.
func addUp(row []byte, size, samples int) {
	little := binary.LittleEndian
	before := size * samples
	switch size {
	case 1:
		for i := before; i < len(row); i++ {
			row[i] += row[i-before]
		}
	case 2:
		for i := before; i+2 <= len(row); i += 2 {
			little.PutUint16(row[i:], little.Uint16(row[i:])+little.Uint16(row[i-before:]))
		}
	case 4:
		for i := before; i+4 <= len(row); i += 4 {
			little.PutUint32(row[i:], little.Uint32(row[i:])+little.Uint32(row[i-before:]))
		}
	case 8:
		for i := before; i+8 <= len(row); i += 8 {
			little.PutUint64(row[i:], little.Uint64(row[i:])+little.Uint64(row[i-before:]))
		}
	}
}

// invert exchanges the lowest and the highest of the first sample of each pixel.
func (l *layout) invert(row []byte, samples int) {
	size, mask := max(1, int(l.bits/8)), byte(math.MaxUint8)
	if l.bits < 8 {
		mask = 1<<l.bits - 1
	}
	for at := 0; at < len(row); at += size * samples {
		for i := range size {
			row[at+i] ^= mask
		}
	}
}

// store puts the samples of a row at a place among the values, its pixels a step apart.
func (u *unpacker) store(row []byte, at, step, pixels, samples int) error {
	switch {
	case u.palette != nil:
		return u.storePalette(row, at, step, pixels)
	case u.values.Uint8 != nil:
		spread := byte(math.MaxUint8 / (1<<min(8, u.bits) - 1))
		for range pixels {
			to := u.values.Uint8[at:][:samples]
			for c := range to {
				to[c] = row[c] * spread
			}
			row, at = row[samples:], at+step
		}
	case u.values.Uint16 != nil:
		for range pixels {
			to := u.values.Uint16[at:][:samples]
			for c := range to {
				to[c] = binary.LittleEndian.Uint16(row[2*c:])
			}
			row, at = row[2*samples:], at+step
		}
	default:
		size := int(u.bits / 8)
		for range pixels {
			to := u.values.Float32[at:][:samples]
			for c := range to {
				to[c] = u.float(row[size*c:])
				if math.Float32bits(to[c])>>23&math.MaxUint8 == math.MaxUint8 { // NaN or infinite
					return u.notFinite(at+c, to[c])
				}
			}
			row, at = row[size*samples:], at+step
		}
	}
	return nil
}

// storePalette puts the colours of a row of numbers of colours.
func (u *unpacker) storePalette(row []byte, at, step, pixels int) error {
	n := len(u.palette) / 3
	for x := range pixels {
		i := 0
		if u.bits == 16 {
			i = int(binary.LittleEndian.Uint16(row[2*x:]))
		} else {
			i = int(row[x])
		}
		if i >= n {
			return fmt.Errorf("colour %d of a palette of %d: the file is damaged", i, n)
		}
		for c := range 3 {
			if v := u.palette[c*n+i]; u.values.Uint8 != nil {
				u.values.Uint8[at+c] = uint8(v)
			} else {
				u.values.Uint16[at+c] = uint16(v)
			}
		}
		at += step
	}
	return nil
}

// notFinite says where a value is that no arithmetic is done with: row, column and channel counted from 0, upright.
func (l *layout) notFinite(at int, value float32) error {
	pixel := at / l.Channels
	return fmt.Errorf("%g at row %d, column %d, channel %d (from 0, upright); replace values that are not finite, or too large for float32",
		value, pixel/l.Width, pixel%l.Width, at%l.Channels)
}

// floats are how values become float32, by format and bits: little-endian.
var floats = map[[2]uint64]func([]byte) float32{
	{formatUint, 32}:  func(b []byte) float32 { return float32(binary.LittleEndian.Uint32(b)) },
	{formatUint, 64}:  func(b []byte) float32 { return float32(binary.LittleEndian.Uint64(b)) },
	{formatInt, 8}:    func(b []byte) float32 { return float32(int8(b[0])) },
	{formatInt, 16}:   func(b []byte) float32 { return float32(int16(binary.LittleEndian.Uint16(b))) },
	{formatInt, 32}:   func(b []byte) float32 { return float32(int32(binary.LittleEndian.Uint32(b))) },
	{formatInt, 64}:   func(b []byte) float32 { return float32(int64(binary.LittleEndian.Uint64(b))) },
	{formatFloat, 16}: func(b []byte) float32 { return half(binary.LittleEndian.Uint16(b)) },
	{formatFloat, 32}: func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) },
	{formatFloat, 64}: func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) },
}

// half is the value of a float16's bits (IEEE 754, binary16).
func half(bits uint16) float32 {
	sign, exponent, fraction := uint32(bits>>15)<<31, uint32(bits>>10&31), uint32(bits&1023)
	switch exponent {
	case 0:
		return math.Float32frombits(math.Float32bits(float32(fraction)*0x1p-24) | sign)
	case 31:
		exponent = 255 - 112
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
