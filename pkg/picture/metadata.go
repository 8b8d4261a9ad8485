package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"

	"latent/pkg/tiff"
)

// Metadata is what a file says beside a picture that other pixels of the same picture keep: Write puts it into a file again. What is damaged
// is left out.
type Metadata struct {
	// ICC is the colour profile; nil for none.
	ICC []byte

	format string       // of the file
	exif   []byte       // upright and without a thumbnail; nil for none
	chunks []chunk      // of a PNG file: density and what its colours are
	jfif   []byte       // of a JPEG file: unit and density
	fields []tiff.Field // of a page of a TIFF file, ICC left out
	packed bool         // its pixels were compressed
}

// chunk is one of a PNG file.
type chunk struct {
	name string
	data []byte
}

// maxMetadata bounds a colour profile and an EXIF block. Profiles have some hundred bytes to some MB.
const maxMetadata = tiff.MaxField

// Metadata reads what is said beside a picture, counted from 0.
func (f *File) Metadata(frame int) (Metadata, error) {
	if err := f.check(frame); err != nil {
		return Metadata{}, err
	}
	if f.tiff != nil {
		m := Metadata{format: "tiff", packed: f.pages[frame].Packed}
		for _, field := range f.tiff.Fields(f.pages[frame].number) {
			if field.Tag == tiff.TagICC {
				m.ICC = field.Data
			} else {
				m.fields = append(m.fields, field)
			}
		}
		return m, nil
	}
	m := Metadata{format: f.format}
	height, width, err := f.Size(frame)
	if err != nil {
		return Metadata{}, err
	}
	m.exif = settled(f.exif(), height, width)
	m.readParts(f.file, f.size)
	return m, nil
}

// pngChunks are those that say what colours and sizes mean.
var pngChunks = []string{"pHYs", "gAMA", "cHRM", "sRGB", "cICP"}

// readParts reads all but EXIF of a file of the format.
func (m *Metadata) readParts(r io.ReaderAt, size int64) {
	switch m.format {
	case "png":
		m.readPNG(r, size)
	case "jpeg":
		m.readJPEG(r, size)
	case "webp":
		for _, p := range parts(r, size, m.format) {
			if p.name == "ICCP" {
				m.ICC = p.read(r)
			}
		}
	}
}

func (m *Metadata) readPNG(r io.ReaderAt, size int64) {
	const most = 64 // no such chunk is larger
	for _, p := range parts(r, size, m.format) {
		switch {
		case p.name == "iCCP" && m.ICC == nil:
			m.ICC = inflated(p.read(r))
		case slices.Contains(pngChunks, p.name) && p.size <= most && !slices.ContainsFunc(m.chunks, func(c chunk) bool { return c.name == p.name }):
			m.chunks = append(m.chunks, chunk{p.name, p.read(r)})
		}
	}
}

// inflated is the profile in a PNG file's chunk, behind a name that ends with 0, and the kind of packing.
func inflated(data []byte) []byte {
	_, packed, found := bytes.Cut(data, []byte{0})
	if !found || len(packed) == 0 || packed[0] != 0 {
		return nil
	}
	z, err := zlib.NewReader(bytes.NewReader(packed[1:]))
	if err != nil {
		return nil
	}
	profile, err := io.ReadAll(io.LimitReader(z, maxMetadata+1))
	if err != nil || len(profile) > maxMetadata {
		return nil
	}
	return profile
}

// Beginnings of segments of JPEG files, and their names.
const (
	app0, app1, app2 = "\xe0", "\xe1", "\xe2"
	jfifMark         = "JFIF\x00"
	exifMark         = "Exif\x00\x00"
	iccMark          = "ICC_PROFILE\x00"
)

func (m *Metadata) readJPEG(r io.ReaderAt, size int64) {
	profile, count := map[byte][]byte{}, byte(0)
	for _, p := range parts(r, size, m.format) {
		if p.name != app0 && p.name != app2 {
			continue
		}
		data := p.read(r)
		if jfif, found := bytes.CutPrefix(data, []byte(jfifMark)); found && p.name == app0 && len(jfif) >= 7 && m.jfif == nil {
			m.jfif = jfif[2:7] // behind the version
		}
		if icc, found := bytes.CutPrefix(data, []byte(iccMark)); found && p.name == app2 && len(icc) > 2 {
			profile[icc[0]], count = icc[2:], icc[1]
		}
	}
	var whole []byte
	for i := range count {
		if profile[i+1] == nil {
			return
		}
		whole = append(whole, profile[i+1]...)
	}
	m.ICC = whole
}

// suits says whether a profile is one of grey or of RGB, as so many colours are.
//
// Source: ICC.1:2022, section 7.2.6.
func suits(profile []byte, colours int) bool {
	const header = 128
	if len(profile) < header {
		return false
	}
	space := string(profile[16:20])
	return space == "GRAY" && colours == 1 || space == "RGB " && colours == 3
}

// png are the chunks for a PNG file of so many colours, which come behind its header.
func (m Metadata) png(colours int) []byte {
	var list []byte
	if suits(m.ICC, colours) {
		var packed bytes.Buffer
		packed.WriteString("ICC profile\x00\x00")
		z := zlib.NewWriter(&packed)
		_, _ = z.Write(m.ICC) // into memory: no errors
		_ = z.Close()
		list = chunk{"iCCP", packed.Bytes()}.append(list)
	}
	if m.format == "png" {
		for _, c := range m.chunks {
			list = c.append(list)
		}
		if m.exif != nil {
			list = chunk{"eXIf", m.exif}.append(list)
		}
	}
	return list
}

// append appends the chunk with its length and its checksum.
func (c chunk) append(to []byte) []byte {
	to = append(binary.BigEndian.AppendUint32(to, uint32(len(c.data))), c.name...)
	to = append(to, c.data...)
	return binary.BigEndian.AppendUint32(to, crc32.ChecksumIEEE(to[len(to)-len(c.name)-len(c.data):]))
}

// maxSegment is the most that a segment of a JPEG file holds.
const maxSegment = 0xffff - 2

// jpeg are the segments for a JPEG file of so many colours, which come behind its first two bytes.
func (m Metadata) jpeg(colours int) []byte {
	var list []byte
	segment := func(name string, data ...[]byte) {
		all := bytes.Join(data, nil)
		list = binary.BigEndian.AppendUint16(append(append(list, 0xff), name...), uint16(len(all)+2))
		list = append(list, all...)
	}
	if m.format == "jpeg" && m.jfif != nil {
		segment(app0, []byte(jfifMark), []byte{1, 2}, m.jfif, []byte{0, 0}) // version 1.2, no thumbnail
	}
	if m.format == "jpeg" && m.exif != nil && len(m.exif) <= maxSegment-len(exifMark) {
		segment(app1, []byte(exifMark), m.exif)
	}
	const most = maxSegment - len(iccMark) - 2
	if n := (len(m.ICC) + most - 1) / most; suits(m.ICC, colours) && n <= 255 {
		i := byte(0)
		for data := range slices.Chunk(m.ICC, most) {
			i++
			segment(app2, []byte(iccMark), []byte{i, byte(n)}, data)
		}
	}
	return list
}

// tiff are the fields for a page of a TIFF file of so many colours.
func (m Metadata) tiff(colours int) []tiff.Field {
	fields := slices.Clone(m.fields)
	if suits(m.ICC, colours) {
		const undefined = 7
		fields = append(fields, tiff.Field{Tag: tiff.TagICC, Type: undefined, Data: m.ICC})
	}
	return fields
}
