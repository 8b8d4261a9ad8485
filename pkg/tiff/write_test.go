package tiff

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"slices"
)

// written is a page that tests write: a table of numbers [height, width, channel], given by their bits.
type written struct {
	height, width, channels int
	bits                    int
	format                  uint64
	values                  []uint64
	compression, predictor  uint64
	blockH, blockW          int // blockW 0: strips
	planar                  bool
	fields                  map[uint16][]uint64 // more of them, or others; nil removes one
}

// byteOrder is a byte order to write in.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// write makes a file: for each page its blocks, the numbers of its fields, and its directory.
func write(order byteOrder, big bool, pages ...written) []byte {
	mark := map[byteOrder]string{binary.LittleEndian: "II", binary.BigEndian: "MM"}[order]
	file := order.AppendUint16([]byte(mark), 42)
	word, wordKind := func(to []byte, v uint64) []byte { return order.AppendUint32(to, uint32(v)) }, uint16(4)
	if big {
		file = order.AppendUint16(order.AppendUint16(order.AppendUint16([]byte(mark), 43), 8), 0)
		word, wordKind = order.AppendUint64, 16
	}
	link := len(file) // where the offset of the next directory comes
	file = word(file, 0)
	for _, p := range pages {
		fields := map[uint16][]uint64{
			tagWidth: {uint64(p.width)}, tagHeight: {uint64(p.height)}, tagCompression: {p.compression}, tagPhotometric: {blackIsZero},
			tagSamples: {uint64(p.channels)}, tagBits: slices.Repeat([]uint64{uint64(p.bits)}, p.channels),
			tagSampleFormat: slices.Repeat([]uint64{p.format}, p.channels), tagPredictor: {p.predictor}, tagPlanar: {1},
		}
		offsets, counts := uint16(tagStripOffsets), uint16(tagStripByteCounts)
		if p.blockW > 0 {
			offsets, counts = tagTileOffsets, tagTileByteCounts
			fields[tagTileWidth], fields[tagTileHeight] = []uint64{uint64(p.blockW)}, []uint64{uint64(p.blockH)}
		} else {
			fields[tagRowsPerStrip] = []uint64{uint64(p.blockH)}
		}
		if p.planar {
			fields[tagPlanar] = []uint64{2}
		}
		for _, block := range p.blocks(order) {
			fields[offsets], fields[counts] = append(fields[offsets], uint64(len(file))), append(fields[counts], uint64(len(block)))
			file = append(file, block...)
		}
		for tag, values := range p.fields {
			fields[tag] = values
			if values == nil {
				delete(fields, tag)
			}
		}
		var body []byte
		var tags []uint16
		for tag := range fields {
			tags = append(tags, tag)
		}
		slices.Sort(tags)
		for _, tag := range tags {
			kind, number := uint16(3), func(to []byte, v uint64) []byte { return order.AppendUint16(to, uint16(v)) }
			if tag == offsets || slices.Max(fields[tag]) > 0xffff {
				kind, number = wordKind, word
			}
			var data []byte
			for _, v := range fields[tag] {
				data = number(data, v)
			}
			body = word(order.AppendUint16(order.AppendUint16(body, tag), kind), uint64(len(fields[tag])))
			size := len(word(nil, 0))
			if len(data) > size {
				body = word(body, uint64(len(file)))
				file = append(file, data...)
			} else {
				body = append(append(body, data...), make([]byte, size-len(data))...)
			}
		}
		copy(file[link:], word(nil, uint64(len(file))))
		if big {
			file = order.AppendUint64(file, uint64(len(tags)))
		} else {
			file = order.AppendUint16(file, uint16(len(tags)))
		}
		file = append(file, body...)
		link = len(file)
		file = word(file, 0)
	}
	return file
}

// blocks are the strips or tiles, packed.
func (p written) blocks(order byteOrder) [][]byte {
	width, planes, samples := p.blockW, 1, p.channels
	if width == 0 {
		width = p.width
	}
	if p.planar {
		planes, samples = p.channels, 1
	}
	var blocks [][]byte
	for plane := range planes {
		for top := 0; top < p.height; top += p.blockH {
			for left := 0; left < p.width; left += width {
				var block []byte
				for y := top; y < top+p.blockH && (y < p.height || p.blockW > 0); y++ {
					row := make([]uint64, width*samples)
					for i := range row {
						if x := left + i/samples; x < p.width && y < p.height {
							row[i] = p.values[(y*p.width+x)*p.channels+plane+i%samples]
						}
					}
					block = append(block, p.row(row, samples, order)...)
				}
				blocks = append(blocks, pack(p.compression, block))
			}
		}
	}
	return blocks
}

// row are the bytes of a row of numbers, or of its differences.
func (p written) row(row []uint64, samples int, order byteOrder) []byte {
	if p.predictor == predictHorizontal {
		for i := len(row) - 1; i >= samples; i-- {
			row[i] -= row[i-samples]
		}
	}
	size := p.bits / 8
	bytes := make([]byte, (len(row)*p.bits+7)/8)
	for i, v := range row {
		switch {
		case p.predictor == predictFloat:
			for b := range size {
				bytes[b*len(row)+i] = byte(v >> (8 * (size - 1 - b)))
			}
		case p.bits < 8:
			bytes[i*p.bits/8] |= byte(v << (8 - p.bits - i*p.bits%8))
		case p.bits == 8:
			bytes[i] = byte(v)
		case p.bits == 16:
			order.PutUint16(bytes[2*i:], uint16(v))
		case p.bits == 32:
			order.PutUint32(bytes[4*i:], uint32(v))
		default:
			order.PutUint64(bytes[8*i:], v)
		}
	}
	if p.predictor == predictFloat {
		for i := len(bytes) - 1; i >= samples; i-- {
			bytes[i] -= bytes[i-samples]
		}
	}
	return bytes
}

// pack packs the bytes of a block, without much art.
func pack(compression uint64, data []byte) []byte {
	var packed bytes.Buffer
	switch compression {
	case packLZW: // all bytes as they are, in codes of 9 bits, with a new table before they would be of 10
		var codes []uint16
		for part := range slices.Chunk(data, 200) {
			codes = append(codes, 256)
			for _, b := range part {
				codes = append(codes, uint16(b))
			}
		}
		var pending uint32
		bits := 0
		for _, code := range append(codes, 257) {
			pending, bits = pending<<9|uint32(code), bits+9
			for ; bits >= 8; bits -= 8 {
				packed.WriteByte(byte(pending >> (bits - 8)))
			}
		}
		packed.WriteByte(byte(pending << (8 - bits)))
	case packDeflate, packDeflateOld:
		w := zlib.NewWriter(&packed)
		_, _ = w.Write(data)
		_ = w.Close()
	case packPackBits:
		for i := 0; i < len(data); {
			run := 1
			for i+run < len(data) && run < 128 && data[i+run] == data[i] {
				run++
			}
			if run > 1 {
				packed.Write([]byte{byte(257 - run), data[i]})
			} else {
				packed.Write([]byte{128, 0, data[i]}) // 128 stands for nothing
			}
			i += run
		}
	default:
		packed.Write(data)
	}
	return packed.Bytes()
}
