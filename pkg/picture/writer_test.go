package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
	"latent/pkg/tiff"
)

// writtenFile writes pictures to a file of a format, and opens it.
func writtenFile(t *testing.T, format string, m Metadata, pictures ...Array) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a."+format)
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := NewWriter(out, format, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range pictures {
		if err := w.Add(a, m); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// pictureOf has values of all kinds.
func pictureOf(dtype dtypes.DType, channels int, alpha tiff.Alpha) Array {
	a := Array{Height: 9, Width: 17, Channels: channels, Alpha: alpha, Values: array.Make(dtype, 9*17*channels)}
	for i := range a.Values.Len() {
		a.Values.Set(i, float64(i*37%256)*float64(map[dtypes.DType]int{dtypes.Uint8: 1, dtypes.Uint16: 201, dtypes.Float32: 3}[dtype]))
	}
	return a
}

// PNG and TIFF files give back what was written, to the bit, of each type and channels; JPEG files about that.
func TestWriter(t *testing.T) {
	for _, dtype := range []dtypes.DType{dtypes.Uint8, dtypes.Uint16, dtypes.Float32} {
		for _, c := range []struct {
			channels int
			alpha    tiff.Alpha
		}{{1, tiff.NoAlpha}, {3, tiff.NoAlpha}, {4, tiff.Unassociated}} {
			want := pictureOf(dtype, c.channels, c.alpha)
			formats := Writes()
			if dtype == dtypes.Float32 {
				formats = []string{"tiff"}
			}
			for _, format := range formats {
				f := writtenFile(t, format, Metadata{}, want)
				got, err := f.Array(0)
				if format == "jpeg" && c.channels == 1 {
					for i, v := range got.Values.Uint8 {
						if d := int(v) - int(want.Values.As(dtypes.Uint8).Uint8[i]); d < -24 || d > 24 {
							t.Errorf("%s: value %d is %d off", dtype, i, d)
							break
						}
					}
				} else if format != "jpeg" && (err != nil || !reflect.DeepEqual(got, want)) {
					t.Errorf("%s of %s with %d channels: %v, other values", format, dtype, c.channels, err)
				}
				if f.Format() != format || format == "jpeg" && f.Frames()[0].Channels == 4 {
					t.Errorf("%s is %s of %+v", format, f.Format(), f.Frames())
				}
			}
		}
	}
	// Several pages of different types in one file, and their size.
	pages := []Array{pictureOf(dtypes.Uint8, 3, tiff.NoAlpha), pictureOf(dtypes.Float32, 5, tiff.NoAlpha)}
	f := writtenFile(t, "tiff", Metadata{}, pages...)
	for i, want := range pages {
		if got, err := f.Array(i); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("page %d: %v, other values", i, err)
		}
	}
	if f.Bytes() != 9*17*(3+5*4) {
		t.Errorf("%d bytes", f.Bytes())
	}
}

func TestWriterRefuses(t *testing.T) {
	for _, c := range []struct {
		format, want string
		pictures     []Array
	}{
		{"png", "floats do not fit into a png picture; use tiff", []Array{pictureOf(dtypes.Float32, 1, tiff.NoAlpha)}},
		{"jpeg", "5 channels do not fit into a jpeg picture; use tiff", []Array{pictureOf(dtypes.Uint8, 5, tiff.NoAlpha)}},
		{"png", "holds one picture; use tiff", []Array{pictureOf(dtypes.Uint8, 1, tiff.NoAlpha), pictureOf(dtypes.Uint8, 1, tiff.NoAlpha)}},
	} {
		w, err := NewWriter(struct {
			io.Writer
			io.Seeker
		}{io.Discard, nil}, c.format, 0)
		for _, a := range c.pictures {
			if err == nil {
				err = w.Add(a, Metadata{})
			}
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// Floats between black and white become all of 16 bits, and those beyond the ends.
func TestIntegers(t *testing.T) {
	a := Array{Height: 1, Width: 5, Channels: 1, Values: array.Values{Float32: []float32{-3, 1, 2, 3, 1e9}}}
	got, err := a.Integers(1, 3)
	if want := []uint16{0, 0, 32768, 65535, 65535}; err != nil || !reflect.DeepEqual(got.Values.Uint16, want) {
		t.Errorf("%v, %v, want %v", got.Values, err, want)
	}
	if _, err := a.Integers(0, 0); err == nil {
		t.Error("ends that are the same were taken")
	}
}

// profile is a colour profile, of which all but the colour space is made up, too large for one segment of a JPEG file.
func profile(space string) []byte {
	p := bytes.Repeat([]byte("0123456789abcdef"), 9000)
	copy(p[16:], space)
	return p
}

// exifBlock is an EXIF block with an orientation, a size in a directory below, and a thumbnail's directory.
func exifBlock(order binary.AppendByteOrder, mark string, orientation uint16) []byte {
	entry := func(to []byte, tag, kind uint16, value uint32) []byte {
		to = order.AppendUint32(order.AppendUint16(order.AppendUint16(to, tag), kind), 1)
		if kind == exifShort {
			return order.AppendUint16(order.AppendUint16(to, uint16(value)), 0)
		}
		return order.AppendUint32(to, value)
	}
	block := order.AppendUint32([]byte(mark), 8)
	block = order.AppendUint16(block, 2)
	block = entry(entry(block, exifOrientation, exifShort, uint32(orientation)), exifDirectory, exifLong, 38)
	block = order.AppendUint32(block, 68) // the thumbnail
	block = order.AppendUint16(block, 2)
	block = order.AppendUint32(entry(entry(block, exifWidth, exifShort, 7), exifHeight, exifLong, 8), 0)
	return append(block, 0, 0, 0, 0, 0, 0)
}

// fileWith is a file of a format with this metadata, as a camera would write them.
func fileWith(t *testing.T, format string, m Metadata, p image.Image) []byte {
	t.Helper()
	var plain bytes.Buffer
	m.format = format
	switch format {
	case "jpeg":
		if err := jpeg.Encode(&plain, p, nil); err != nil {
			t.Fatal(err)
		}
		return append(append([]byte("\xff\xd8"), m.jpeg(1)...), plain.Bytes()[2:]...)
	default:
		if err := png.Encode(&plain, p); err != nil {
			t.Fatal(err)
		}
		return append(append(bytes.Clone(plain.Bytes()[:33]), m.png(1)...), plain.Bytes()[33:]...)
	}
}

// A file that is read and written again keeps its profile, its density and its EXIF block, which says upright, the size that it has now, and has
// no thumbnail; a profile goes into another format, too.
func TestMetadata(t *testing.T) {
	for mark, order := range map[string]binary.AppendByteOrder{"II*\x00": binary.LittleEndian, "MM\x00*": binary.BigEndian} {
		given := Metadata{ICC: profile("GRAY"), exif: exifBlock(order, mark, 6), jfif: []byte{1, 1, 44, 1, 44}, chunks: []chunk{{"pHYs", []byte{0, 0, 1, 2, 0, 0, 1, 2, 1}}}}
		for _, format := range []string{"jpeg", "png"} {
			f := open(t, fileWith(t, format, given, corners()))
			m, err := f.Metadata(0)
			if err != nil {
				t.Fatal(err)
			}
			a, err := f.Array(0)
			if err != nil || a.Height != 16 || a.Width != 8 { // turned
				t.Fatalf("%s: %d×%d, %v", format, a.Width, a.Height, err)
			}
			if orientation(f.exif()) != 6 || orientation(m.exif) != 1 {
				t.Errorf("%s: orientation %d, and %d to be written", format, orientation(f.exif()), orientation(m.exif))
			}
			again, err := writtenFile(t, format, m, a).Metadata(0)
			if err != nil || !reflect.DeepEqual(again, m) {
				t.Errorf("%s: other metadata, %v", format, err)
			}
			if !bytes.Equal(m.ICC, given.ICC) || format == "jpeg" && !bytes.Equal(m.jfif, given.jfif) || format == "png" && !reflect.DeepEqual(m.chunks, given.chunks) {
				t.Errorf("%s: profile or density is lost", format)
			}
			entries, next := exifEntries(m.exif, order.(binary.ByteOrder), 38)
			if width, height := order.(binary.ByteOrder).Uint16(entries[0][8:]), order.(binary.ByteOrder).Uint32(entries[1][8:]); width != 8 || height != 16 || next == 0 {
				t.Errorf("%s: EXIF says %d×%d", format, width, height)
			}
			if _, next := exifEntries(m.exif, order.(binary.ByteOrder), 8); order.(binary.ByteOrder).Uint32(m.exif[next:]) != 0 {
				t.Errorf("%s: there is a thumbnail", format)
			}
			for _, other := range Writes() {
				if other == format {
					continue
				}
				if got, err := writtenFile(t, other, m, a).Metadata(0); err != nil || !bytes.Equal(got.ICC, m.ICC) || got.exif != nil || got.jfif != nil {
					t.Errorf("%s to %s: %v, profile of %d bytes", format, other, err, len(got.ICC))
				}
			}
			// A profile of other colours would show others.
			if got, err := writtenFile(t, format, m, pictureOf(dtypes.Uint8, 3, tiff.NoAlpha)).Metadata(0); err != nil || got.ICC != nil {
				t.Errorf("%s: the profile of grey stays with colours: %v", format, err)
			}
		}
	}
}

// Every depth of a PNG file is turned upright.
func TestDeepOrientation(t *testing.T) {
	deep := image.NewGray16(image.Rect(0, 0, 3, 2))
	for i := range deep.Pix {
		deep.Pix[i] = uint8(i)
	}
	f := open(t, fileWith(t, "png", Metadata{exif: exifBlock(binary.BigEndian, "MM\x00*", 6)}, deep))
	a, err := f.Array(0)
	if want := (array.Values{Uint16: []uint16{0x607, 0x001, 0x809, 0x203, 0xa0b, 0x405}}); err != nil || a.Height != 3 || !reflect.DeepEqual(a.Values, want) {
		t.Errorf("%d×%d: %x, want %x, %v", a.Width, a.Height, a.Values, want, err)
	}
}

// What is written of any file's metadata is read again; and no bytes make reading it panic.
func FuzzMetadata(f *testing.F) {
	given := Metadata{ICC: profile("GRAY")[:200], exif: exifBlock(binary.BigEndian, "MM\x00*", 6), jfif: []byte{1, 1, 44, 1, 44}, chunks: []chunk{{"pHYs", []byte{1, 2, 3}}}}
	given.format = "jpeg"
	f.Add("jpeg", append([]byte("\xff\xd8"), given.jpeg(1)...))
	given.format = "png"
	f.Add("png", append(make([]byte, 8), given.png(1)...))
	f.Add("webp", []byte("RIFF\x00\x00\x00\x00WEBPEXIF\x03\x00\x00\x00abc\x00ICCP\x01\x00\x00\x00a"))
	f.Fuzz(func(t *testing.T, format string, data []byte) {
		r, size := bytes.NewReader(data), int64(len(data))
		block := exifOf(r, size, format)
		if o := orientation(block); o < 1 || o > 8 {
			t.Errorf("orientation %d", o)
		}
		if upright := settled(block, 3, 4); upright != nil && (orientation(upright) != 1 || len(upright) != len(block)) {
			t.Errorf("it has orientation %d and %d bytes of %d", orientation(upright), len(upright), len(block))
		}
		m := Metadata{format: format}
		m.readParts(r, size)
		m.png(1)
		m.jpeg(1)
		for _, p := range parts(r, size, format) {
			if p.at < 0 || p.size < 0 || p.at+p.size > size {
				t.Errorf("%q: %d bytes from %d on, of %d", p.name, p.size, p.at, size)
			}
		}
	})
}
