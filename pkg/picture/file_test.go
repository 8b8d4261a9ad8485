package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"golang.org/x/image/bmp"
	xtiff "golang.org/x/image/tiff"

	"latent/pkg/array"
	"latent/pkg/tiff"
)

// page is one of a TIFF file that tests write: uncompressed, interleaved, little-endian.
type page struct {
	height, width, channels int
	bits, format            uint16
	pixels                  []byte
	fields                  map[uint16]uint16 // more
}

// tiffOf makes a TIFF file.
func tiffOf(pages ...page) []byte {
	little := binary.LittleEndian
	file := little.AppendUint32([]byte("II*\x00"), 0)
	link := 4
	for _, p := range pages {
		fields := map[uint16]uint32{
			256: uint32(p.width), 257: uint32(p.height), 258: uint32(p.bits), 259: 1, 262: 1, 273: uint32(len(file)), 277: uint32(p.channels),
			279: uint32(len(p.pixels)), 339: uint32(p.format),
		}
		for tag, value := range p.fields {
			fields[tag] = uint32(value)
		}
		file = append(file, p.pixels...)
		little.PutUint32(file[link:], uint32(len(file)))
		file = little.AppendUint16(file, uint16(len(fields)))
		var tags []uint16
		for tag := range fields {
			tags = append(tags, tag)
		}
		slices.Sort(tags)
		for _, tag := range tags {
			file = little.AppendUint16(little.AppendUint16(file, tag), 4)
			file = little.AppendUint32(little.AppendUint32(file, 1), fields[tag])
		}
		link = len(file)
		file = little.AppendUint32(file, 0)
	}
	return file
}

// open writes a file and opens it.
func open(t *testing.T, data []byte) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.picture")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// The pages of a TIFF file are pictures, but for its thumbnails and masks; floats and many channels are arrays.
func TestPages(t *testing.T) {
	floats := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, math.Float32bits(-1.5)), math.Float32bits(1e6))
	f := open(t, tiffOf(
		page{height: 1, width: 1, channels: 1, bits: 8, format: 1, pixels: []byte{9}, fields: map[uint16]uint16{254: 1}}, // a thumbnail
		page{height: 2, width: 1, channels: 1, bits: 32, format: 3, pixels: floats},
		page{height: 1, width: 1, channels: 5, bits: 8, format: 1, pixels: []byte{1, 2, 3, 4, 5}},
		page{height: 1, width: 2, channels: 1, bits: 16, format: 1, pixels: []byte{1, 2, 3, 4}, fields: map[uint16]uint16{274: 2}}, // mirrored
		page{height: 1, width: 1, channels: 3, bits: 8, format: 1, pixels: []byte{1, 2, 3}, fields: map[uint16]uint16{259: 7}},     // JPEG
		page{height: 1, width: 1, channels: 4, bits: 8, format: 1, pixels: []byte{1, 2, 3, 4}, fields: map[uint16]uint16{262: 2}},
	))
	want := []Frame{
		{Type: dtypes.Float32, Channels: 1}, {Type: dtypes.Uint8, Channels: 5}, {Type: dtypes.Uint16, Channels: 1, Image: true}, {},
		{Type: dtypes.Uint8, Channels: 4},
	}
	if !slices.Equal(f.Frames(), want) {
		t.Errorf("%+v, want %+v", f.Frames(), want)
	}
	for frame, want := range map[int]Array{
		0: {2, 1, 1, 0, array.Values{Float32: []float32{-1.5, 1e6}}},
		1: {1, 1, 5, 0, array.Values{Uint8: []uint8{1, 2, 3, 4, 5}}},
		2: {1, 2, 1, 0, array.Values{Uint16: []uint16{0x403, 0x201}}},
		4: {1, 1, 4, 0, array.Values{Uint8: []uint8{1, 2, 3, 4}}},
	} {
		if got, err := f.Array(frame); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("frame %d: %v, %v, want %v", frame, got, err, want)
		}
	}
	p, err := f.Image(2)
	if grey, ok := p.(*image.Gray16); err != nil || !ok || grey.Gray16At(0, 0).Y != 0x403 || grey.Gray16At(1, 0).Y != 0x201 {
		t.Errorf("%v, %v", p, err)
	}
	for frame, want := range map[int]string{
		0: "page 2 has 1 channels of Float32", 1: "page 3 has 5 channels of Uint8", 3: "page 5 of 6: its compression, JPEG,", 4: "4 channels of Uint8",
		-1: "no frame -1", 5: "no frame 5; it has 5",
	} {
		if _, err := f.Image(frame); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), f.path) {
			t.Errorf("frame %d: %v, want %q", frame, err, want)
		}
	}
	if _, err := Read(f.path); err == nil || !strings.Contains(err.Error(), "page 2 has 1 channels of Float32") {
		t.Errorf("the first picture: %v", err)
	}
	thumbnail := open(t, tiffOf(page{height: 1, width: 1, channels: 1, bits: 8, format: 1, pixels: []byte{9}, fields: map[uint16]uint16{254: 1}}))
	if a, err := thumbnail.Array(0); err != nil || a.Values.Uint8[0] != 9 {
		t.Errorf("a thumbnail alone: %v, %v", a, err)
	}
	huge := open(t, tiffOf(page{height: 1 << 14, width: 1<<12 + 1, channels: 1, bits: 1, format: 1, pixels: make([]byte, 1<<23+1<<14)}))
	if _, err := huge.Array(0); err == nil || !strings.Contains(err.Error(), "4097×16384 pixels; the limit is 67108864") {
		t.Errorf("a huge picture: %v", err)
	}
}

// Pictures of TIFF files are those that golang.org/x/image/tiff reads, whose alpha is multiplied with the colours or not.
func TestTIFFImage(t *testing.T) {
	pix := make([]byte, 3*5*8)
	for i := range pix {
		pix[i] = byte(37 * i)
	}
	bounds := image.Rect(0, 0, 5, 3)
	associated, deepAssociated := image.NewRGBA(bounds), image.NewRGBA64(bounds)
	for y := range 3 {
		for x := range 5 {
			associated.Set(x, y, color.NRGBA{200, uint8(40 * x), 7, uint8(80 * y)})
			deepAssociated.Set(x, y, color.NRGBA64{50000, uint16(10000 * x), 7, uint16(20000 * y)})
		}
	}
	opaque := image.NewRGBA(bounds)
	copy(opaque.Pix, pix)
	for i := range 15 {
		opaque.Pix[4*i+3] = 255
	}
	for _, want := range []image.Image{
		&image.Gray{Pix: pix, Stride: 5, Rect: bounds}, &image.Gray16{Pix: pix, Stride: 10, Rect: bounds}, &image.NRGBA{Pix: pix, Stride: 20, Rect: bounds},
		&image.NRGBA64{Pix: pix, Stride: 40, Rect: bounds}, associated, deepAssociated, opaque,
	} {
		var file bytes.Buffer
		if err := xtiff.Encode(&file, want, &xtiff.Options{Compression: xtiff.Deflate}); err != nil {
			t.Fatal(err)
		}
		f := open(t, file.Bytes())
		got, err := f.Image(0)
		if err != nil {
			t.Fatal(err)
		}
		if reflect.TypeOf(got) != reflect.TypeOf(want) {
			t.Errorf("%T, want %T", got, want)
		}
		for y := range 3 {
			for x := range 5 {
				if got.At(x, y) != want.At(x, y) {
					t.Fatalf("%T: %v at %d, %d, want %v", want, got.At(x, y), x, y, want.At(x, y))
				}
			}
		}
		if frame := f.Frames()[0]; !frame.Image || (frame.Channels == 4) != frame.Alpha {
			t.Errorf("%T: %+v", want, frame)
		}
	}
	// What no writer of images writes: RGB without alpha, grey with it, and colours greater than the alpha that they are multiplied by.
	for name, test := range map[string]struct {
		page page
		want color.Color
	}{
		"RGB":                   {page{height: 1, width: 1, channels: 3, bits: 8, format: 1, pixels: []byte{1, 2, 3}}, color.RGBA{1, 2, 3, 255}},
		"RGB of 16 bits":        {page{height: 1, width: 1, channels: 3, bits: 16, format: 1, pixels: []byte{1, 0, 2, 0, 3, 1}}, color.RGBA64{1, 2, 259, 65535}},
		"grey and alpha":        {page{height: 1, width: 1, channels: 2, bits: 8, format: 1, pixels: []byte{9, 5}, fields: map[uint16]uint16{338: 2}}, color.NRGBA{9, 9, 9, 5}},
		"grey more than alpha":  {page{height: 1, width: 1, channels: 2, bits: 8, format: 1, pixels: []byte{9, 5}, fields: map[uint16]uint16{338: 1}}, color.RGBA{5, 5, 5, 5}},
		"grey of 1 bit":         {page{height: 1, width: 1, channels: 1, bits: 1, format: 1, pixels: []byte{0x80}}, color.Gray{255}},
		"white is zero, 1 bits": {page{height: 1, width: 1, channels: 1, bits: 1, format: 1, pixels: []byte{0x80}, fields: map[uint16]uint16{262: 0}}, color.Gray{0}},
	} {
		got, err := open(t, tiffOf(test.page)).Image(0)
		if err != nil || got.At(0, 0) != test.want {
			t.Errorf("%s: %v, %v, want %v", name, got, err, test.want)
		}
	}
}

// Other files have one frame, whose numbers and channels are those of the file.
func TestArray(t *testing.T) {
	bounds := image.Rect(0, 0, 2, 1)
	encodePNG := func(p image.Image) []byte {
		var file bytes.Buffer
		if err := png.Encode(&file, p); err != nil {
			t.Fatal(err)
		}
		return file.Bytes()
	}
	palette := color.Palette{color.RGBA{10, 20, 30, 255}, color.RGBA{1, 2, 3, 255}}
	paletted := &image.Paletted{Pix: []byte{1, 0}, Stride: 2, Rect: bounds, Palette: palette}
	clear := &image.Paletted{Pix: []byte{1, 0}, Stride: 2, Rect: bounds, Palette: color.Palette{color.NRGBA{}, color.NRGBA{1, 2, 3, 128}}}
	var gifFile, bmpFile, jpegFile bytes.Buffer
	if err := gif.Encode(&gifFile, paletted, nil); err != nil {
		t.Fatal(err)
	}
	if err := bmp.Encode(&bmpFile, paletted); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&jpegFile, corners(), &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		file  []byte
		frame Frame
		want  array.Values
	}{
		"grey": {encodePNG(&image.Gray{Pix: []byte{7, 200}, Stride: 2, Rect: bounds}), Frame{dtypes.Uint8, 1, false, true}, array.Values{Uint8: []uint8{7, 200}}},
		"deep": {encodePNG(&image.Gray16{Pix: []byte{7, 1, 200, 2}, Stride: 4, Rect: bounds}), Frame{dtypes.Uint16, 1, false, true},
			array.Values{Uint16: []uint16{0x701, 0xc802}}},
		"alpha": {encodePNG(&image.NRGBA{Pix: []byte{7, 8, 9, 1, 200, 100, 50, 128}, Stride: 8, Rect: bounds}), Frame{dtypes.Uint8, 4, true, true},
			array.Values{Uint8: []uint8{7, 8, 9, 1, 200, 100, 50, 128}}},
		"deep alpha": {encodePNG(&image.NRGBA64{Pix: []byte{0, 7, 0, 8, 0, 9, 0, 1, 1, 0, 2, 0, 3, 0, 4, 0}, Stride: 16, Rect: bounds}),
			Frame{dtypes.Uint16, 4, true, true}, array.Values{Uint16: []uint16{7, 8, 9, 1, 256, 512, 768, 1024}}},
		"deep RGB": {encodePNG(&image.RGBA64{Pix: []byte{0, 7, 0, 8, 0, 9, 255, 255, 1, 0, 2, 0, 3, 0, 255, 255}, Stride: 16, Rect: bounds}),
			Frame{dtypes.Uint16, 3, false, true}, array.Values{Uint16: []uint16{7, 8, 9, 256, 512, 768}}},
		"palette":             {encodePNG(paletted), Frame{dtypes.Uint8, 3, false, true}, array.Values{Uint8: []uint8{1, 2, 3, 10, 20, 30}}},
		"transparent palette": {encodePNG(clear), Frame{dtypes.Uint8, 4, true, true}, array.Values{Uint8: []uint8{1, 2, 3, 128, 0, 0, 0, 0}}},
		"GIF":                 {gifFile.Bytes(), Frame{dtypes.Uint8, 3, false, true}, array.Values{Uint8: []uint8{1, 2, 3, 10, 20, 30}}},
		"BMP":                 {bmpFile.Bytes(), Frame{dtypes.Uint8, 3, false, true}, array.Values{Uint8: []uint8{1, 2, 3, 10, 20, 30}}},
	} {
		f := open(t, test.file)
		a, err := f.Array(0)
		alpha := tiff.NoAlpha
		if test.frame.Alpha {
			alpha = tiff.Unassociated
		}
		if want := (Array{1, 2, test.frame.Channels, alpha, test.want}); err != nil || !reflect.DeepEqual(a, want) {
			t.Errorf("%s: %v, %v, want %v", name, a, err, want)
		}
		frames, err := Frames(f.path)
		if err != nil || !slices.Equal(frames, []Frame{test.frame}) {
			t.Errorf("%s: %+v, %v, want %+v", name, frames, err, test.frame)
		}
	}
	// Upright: 16×8 becomes 8×16.
	a, err := open(t, withOrientation(jpegFile.Bytes(), binary.LittleEndian, "II*\x00", 6)).Array(0)
	if err != nil || a.Height != 16 || a.Width != 8 || a.Channels != 1 || a.Values.At(0) < 150 {
		t.Errorf("%d×%d×%d, %v", a.Height, a.Width, a.Channels, err)
	}
}

// The size of a page is known from the headers, upright; a page that is refused has none.
func TestSize(t *testing.T) {
	f := open(t, tiffOf(page{2, 3, 1, 8, 1, make([]byte, 6), nil}, page{5, 4, 1, 8, 1, make([]byte, 20), map[uint16]uint16{274: 6}}, page{height: 5, width: 4}))
	for i, want := range [][2]int{{2, 3}, {4, 5}} {
		if height, width, err := f.Size(i); err != nil || [2]int{height, width} != want {
			t.Errorf("page %d: %d×%d, error %v", i, height, width, err)
		}
	}
	for _, i := range []int{2, 3} {
		if height, width, err := f.Size(i); err == nil {
			t.Errorf("page %d: %d×%d and no error", i, height, width)
		}
	}
}
