package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withOrientation puts an EXIF segment with this orientation behind the start of a JPEG file.
func withOrientation(file []byte, order binary.AppendByteOrder, mark string, value uint16) []byte {
	tiff := append([]byte(mark), order.AppendUint32(nil, 8)...)
	tiff = order.AppendUint16(tiff, 2) // entries
	for _, entry := range [][2]uint16{{0x010f, 0}, {0x0112, value}} {
		tiff = order.AppendUint16(order.AppendUint16(tiff, entry[0]), 3)
		tiff = order.AppendUint16(order.AppendUint16(order.AppendUint32(tiff, 1), entry[1]), 0)
	}
	segment := append([]byte("Exif\x00\x00"), tiff...)
	head := binary.BigEndian.AppendUint16([]byte{0xff, 0xd8, 0xff, 0xe1}, uint16(len(segment)+2))
	return append(append(head, segment...), file[2:]...)
}

// corners is a picture of 16×8 whose quarters are 0 black, 80, 160 and 240, from the top left in reading order.
func corners() *image.Gray {
	p := image.NewGray(image.Rect(0, 0, 16, 8))
	for y := range 8 {
		for x := range 16 {
			p.SetGray(x, y, color.Gray{Y: uint8(80 * (x/8 + 2*(y/4)))})
		}
	}
	return p
}

// The quarters of a picture with each orientation come where the standard's table says: where its row 0 and its column 0 are.
func TestOrientation(t *testing.T) {
	var file bytes.Buffer
	if err := jpeg.Encode(&file, corners(), &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	// The quarters in reading order, named by their place in the file: A B over C D.
	for orientation, want := range map[uint16]string{
		1: "ABCD", 2: "BADC", 3: "DCBA", 4: "CDAB", // row 0 is the top, top, bottom, bottom; column 0 left, right, right, left
		5: "ACBD", 6: "CADB", 7: "DBCA", 8: "BDAC", // row 0 is the left, right, right, left side
		0: "ABCD", 9: "ABCD", // not in the table
	} {
		for mark, order := range map[string]binary.AppendByteOrder{"II*\x00": binary.LittleEndian, "MM\x00*": binary.BigEndian} {
			path := filepath.Join(t.TempDir(), "a.jpg")
			if err := os.WriteFile(path, withOrientation(file.Bytes(), order, mark, orientation), 0o644); err != nil {
				t.Fatal(err)
			}
			p, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			w, h := p.Bounds().Dx(), p.Bounds().Dy()
			opened, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			height, width, err := opened.Size(0)
			if opened.Close(); err != nil || height != h || width != w {
				t.Errorf("orientation %d: the header says %d×%d, error %v", orientation, width, height, err)
			}
			got := ""
			for _, at := range []image.Point{{w / 4, h / 4}, {3 * w / 4, h / 4}, {w / 4, 3 * h / 4}, {3 * w / 4, 3 * h / 4}} {
				level, _, _, _ := p.At(at.X, at.Y).RGBA()
				got += string("ABCD"[(level>>8+40)/80])
			}
			if got != want || (w > h) != (orientation < 5 || orientation > 8) {
				t.Errorf("orientation %d, %q: %d×%d with the quarters %s, want %s", orientation, mark[:2], w, h, got, want)
			}
		}
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var file bytes.Buffer
	if err := png.Encode(&file, corners()); err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(file.Bytes())
	binary.BigEndian.PutUint32(huge[16:], 60000) // the width in the header
	binary.BigEndian.PutUint32(huge[20:], 60000)
	for path, want := range map[string]string{
		write("text.png", []byte("hello")):             "not a PNG, JPEG, GIF, WebP, BMP or TIFF file",
		write("cut.png", file.Bytes()[:file.Len()-20]): "unexpected EOF",
		write("empty.jpg", nil):                        "the file is empty",
		write("checksum.png", huge):                    "invalid checksum",
		filepath.Join(dir, "missing.png"):              "no such file",
		dir:                                            "not a regular file",
	} {
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want its name and %q", filepath.Base(path), err, want)
		}
	}
}

// No bytes make the reader of orientations panic or read past the end; what it returns is one of the eight.
func FuzzOrientation(f *testing.F) {
	f.Add([]byte{})
	f.Add(withOrientation([]byte{0xff, 0xd8}, binary.LittleEndian, "II*\x00", 6))
	whole := withOrientation([]byte{0xff, 0xd8}, binary.BigEndian, "MM\x00*", 8)
	for cut := range whole {
		f.Add(whole[:cut])
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if o := orientation(exifOf(bytes.NewReader(file), int64(len(file)), "jpeg")); o < 1 || o > 8 {
			t.Errorf("orientation %d", o)
		}
	})
}
