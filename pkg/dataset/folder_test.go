package dataset

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
	"latent/pkg/picture"
	"latent/pkg/scale"
)

// save writes the picture in the format of the name's ending, and makes the folders in between.
func save(t testing.TB, dir, name string, picture image.Image) {
	t.Helper()
	var file bytes.Buffer
	var err error
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png":
		err = png.Encode(&file, picture)
	case ".jpg", ".jpeg":
		err = jpeg.Encode(&file, picture, &jpeg.Options{Quality: 100})
	case ".gif":
		err = gif.Encode(&file, picture, nil)
	default:
		_, err = file.WriteString("not a picture")
	}
	if err != nil {
		t.Fatal(err)
	}
	saveFile(t, dir, name, file.Bytes())
}

func saveFile(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func uniform(width, height int, shade uint8) *image.Gray {
	picture := image.NewGray(image.Rect(0, 0, width, height))
	for i := range picture.Pix {
		picture.Pix[i] = shade
	}
	return picture
}

// painted is a picture whose pixels are a function of their place.
func painted(width, height int, at func(x, y int) color.Color) image.Image {
	picture := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			picture.Set(x, y, at(x, y))
		}
	}
	return picture
}

func TestFolderScale(t *testing.T) {
	fade := painted(28, 28, func(x, y int) color.Color { return color.Gray{Y: uint8(9*x + y/2)} })
	var same []uint8
	for i := range 28 * 28 {
		same = append(same, uint8(9*(i%28)+i/28/2))
	}
	for name, c := range map[string]struct {
		picture       image.Image
		height, width int
		colour        string
		want          []uint8 // one shade stands for all pixels
	}{
		"of the right size": {fade, 28, 28, "grey", same},
		// ITU-R BT.601: 0.299 of red is 76, 0.587 of green 150, 0.114 of blue 29.
		"red to grey":   {painted(9, 9, func(x, y int) color.Color { return color.NRGBA{255, 0, 0, 255} }), 3, 3, "grey", []uint8{76}},
		"green to grey": {painted(9, 9, func(x, y int) color.Color { return color.NRGBA{0, 255, 0, 255} }), 3, 3, "grey", []uint8{150}},
		"blue to grey":  {painted(9, 9, func(x, y int) color.Color { return color.NRGBA{0, 0, 255, 255} }), 3, 3, "grey", []uint8{29}},
		"colour": {painted(9, 9, func(x, y int) color.Color { return color.NRGBA{10, 20, 30, 255} }), 1, 2, "rgb",
			[]uint8{10, 20, 30, 10, 20, 30}},
		// White that hides half of black paper.
		"half transparent, grey":   {painted(9, 9, func(x, y int) color.Color { return color.NRGBA{255, 255, 255, 128} }), 3, 3, "grey", []uint8{128}},
		"half transparent, colour": {painted(9, 9, func(x, y int) color.Color { return color.NRGBA{200, 100, 0, 51} }), 1, 1, "rgb", []uint8{40, 20, 0}},
		"transparent":              {painted(9, 9, func(x, y int) color.Color { return color.NRGBA{255, 255, 255, 0} }), 3, 3, "grey", []uint8{0}},
		"a chessboard halved": {painted(64, 64, func(x, y int) color.Color { return color.Gray{Y: uint8(x+y) % 2 * 200} }), 8, 8, "grey",
			[]uint8{100}},
		// Only the middle third is black; the rest is cut away before scaling.
		"wide, cut to a square": {painted(30, 10, func(x, y int) color.Color { return color.Gray{Y: uint8(50 * min(1, max(10-x, x-19, 0)))} }), 5, 5, "grey",
			[]uint8{0}},
		"tall, cut to a square": {painted(10, 30, func(x, y int) color.Color { return color.Gray{Y: uint8(50 * min(1, max(10-y, y-19, 0)))} }), 5, 5, "grey",
			[]uint8{0}},
		"a line":                {uniform(1000, 1, 90), 4, 4, "grey", []uint8{90}},
		"a pixel made a banner": {uniform(1, 1, 90), 1, 300, "grey", []uint8{90}},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Folder{Height: c.height, Width: c.width, Colour: c.colour}
			channels := 1
			if c.colour == "rgb" {
				channels = 3
			}
			got := make([]uint8, c.height*c.width*channels)
			d.fit(c.picture, array.Values{Uint8: got})
			for i := range got {
				if want := c.want[i%len(c.want)]; max(got[i], want)-min(got[i], want) > 1 || len(c.want) == len(same) && got[i] != want {
					t.Fatalf("value %d is %d, want %d", i, got[i], want)
				}
			}
		})
	}
}

// Pictures of another shape are cut, lie inside with black beside them, or are stretched: bytes, 16 bits and floats alike.
func TestFit(t *testing.T) {
	// Three columns of 10×30: 60 at the left, 120, 180.
	wide := painted(30, 10, func(x, y int) color.Color { return color.Gray{Y: uint8(60 * (1 + x/10))} })
	for fit, want := range map[string][]float64{
		"crop":    {120, 120, 120, 120, 120, 120, 120, 120, 120},
		"pad":     {0, 0, 0, 60, 120, 180, 0, 0, 0},
		"stretch": {60, 120, 180, 60, 120, 180, 60, 120, 180},
	} {
		d := &Folder{Height: 3, Width: 3, Colour: "grey", Fit: fit}
		for name, unit := range map[string]float64{"bytes": 1, "16 bits": 257} {
			pixels := array.Make(map[string]dtypes.DType{"bytes": dtypes.Uint8, "16 bits": dtypes.Uint16}[name], 9)
			d.fit(wide, pixels)
			for i := range want {
				if got := pixels.At(i) / unit; math.Abs(got-want[i]) > 6 { // the kernel reaches beyond a column
					t.Errorf("%s, %s: pixel %d is %g, want %g", fit, name, i, got, want[i])
				}
			}
		}
		folder := t.TempDir()
		save(t, folder, "wide.png", wide)
		opened, err := picture.Open(filepath.Join(folder, "wide.png"))
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		pixels := array.Make(dtypes.Float32, 9)
		if err := d.fitArray(opened, "wide.png", 0, pixels, 1); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got := pixels.At(i); math.Abs(got-want[i]) > 6 {
				t.Errorf("%s, floats: pixel %d is %g, want %g", fit, i, got, want[i])
			}
		}
	}
}

// shades are the test and training images' shades in a folder of pictures of one shade each.
func shades(t *testing.T, d Folder) (train, validation, test []uint8) {
	t.Helper()
	d.Height, d.Width = 1, 1
	split, err := d.Load(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return split.Train.Values.Uint8, split.Validation.Values.Uint8, split.Test.Values.Uint8
}

func TestFolderSplit(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 {
		save(t, dir, fmt.Sprintf("%c/%03d.png", 'a'+i/100, i), uniform(2, 2, uint8(i)))
	}
	d := Folder{Dir: []string{dir}, Own: Own{TestFraction: 0.25, Holdout: Holdout{Validation: 30}}}
	train, validation, test := shades(t, d)
	if all := slices.Sorted(slices.Values(slices.Concat(train, validation, test))); len(slices.Compact(all)) != 200 {
		t.Errorf("the parts have %d different images, want 200", len(slices.Compact(all)))
	}
	if len(validation) != 30 || len(test) < 30 || len(test) > 70 { // 50 expected, with a standard deviation of 6
		t.Errorf("%d validation and %d test images, want 30 and about 50", len(validation), len(test))
	}

	t.Run("again", func(t *testing.T) {
		again, _, _ := shades(t, d)
		if !slices.Equal(again, train) {
			t.Error("the training images change")
		}
	})
	t.Run("limit", func(t *testing.T) {
		d := d
		d.Limit = 40
		few, same, _ := shades(t, d)
		if len(few) != 40 || !slices.Equal(same, validation) {
			t.Errorf("%d training images, want 40, and the same held out", len(few))
		}
		if few[0] >= 100 || few[39] < 100 {
			t.Errorf("only one class is left: shades %d to %d", few[0], few[39])
		}
	})
	t.Run("another seed", func(t *testing.T) {
		d := d
		d.SplitSeed = 1
		if _, _, other := shades(t, d); slices.Equal(other, test) {
			t.Error("the test images are the same")
		}
	})
	t.Run("a file more", func(t *testing.T) {
		save(t, dir, "a/new.png", uniform(2, 2, 255))
		newTrain, newValidation, newTest := shades(t, d)
		for _, shade := range test {
			if !slices.Contains(newTest, shade) {
				t.Errorf("image %d was a test image", shade)
			}
		}
		for _, shade := range train {
			if !slices.Contains(newTrain, shade) && !slices.Contains(newValidation, shade) {
				t.Errorf("image %d was a training image", shade)
			}
		}
		moved := 0
		for _, shade := range validation {
			if !slices.Contains(newValidation, shade) {
				moved++
			}
		}
		if moved > 1 {
			t.Errorf("%d images are no longer held out", moved)
		}
	})
}

func TestFolderFiles(t *testing.T) {
	outside := t.TempDir()
	save(t, outside, "secret.png", uniform(2, 2, 1))
	dir := t.TempDir()
	// "b-" sorts before "b/", which a list of classes in the order of the files would get wrong.
	for _, name := range []string{"b/1.png", "b/deep/2.GIF", "b-/3.jpeg", "a/4.JPG", "a/notes.txt", "a/5.psd"} {
		save(t, dir, name, uniform(2, 2, 100))
	}
	for link, target := range map[string]string{"a/link.png": filepath.Join(outside, "secret.png"), "out": outside} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	d := &Folder{Dir: []string{dir}, Height: 2, Width: 2, Own: Own{TestFraction: 0.5}}
	names, others, err := picture.List(dir)
	if want := []string{"a/4.JPG", "b-/3.jpeg", "b/1.png", "b/deep/2.GIF"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v, want %q", names, err, want)
	}
	if got, want := picture.Others(others, "left out: "), "left out: 1 .psd, 1 .txt"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	split, err := d.Load(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "b-"}; !slices.Equal(split.Classes, want) {
		t.Errorf("classes %q, want %q", split.Classes, want)
	}
	classes := map[string]int{}
	for _, label := range slices.Concat(split.Train.Labels, split.Test.Labels) {
		classes[split.Classes[label]]++
	}
	if classes["a"] != 1 || classes["b-"] != 1 || classes["b"] != 2 {
		t.Errorf("images in each class: %v", classes)
	}
	before := split.Checksums[filepath.Base(dir)]

	t.Run("a file at the top leaves no classes", func(t *testing.T) {
		save(t, dir, "top.png", uniform(2, 2, 1))
		split, err := d.Load(context.Background(), Options{})
		if err != nil || split.Classes != nil || split.Train.Labels != nil {
			t.Errorf("classes %q, labels %v, %v", split.Classes, split.Train.Labels, err)
		}
		if after := split.Checksums[filepath.Base(dir)]; len(after) != 64 || after == before {
			t.Errorf("checksum %q after a new file, %q before", after, before)
		}
	})
}

func TestFolderRefuses(t *testing.T) {
	// A picture of 65,536 × 65,536 pixels in a few bytes.
	var bomb bytes.Buffer
	if err := png.Encode(&bomb, uniform(1, 1, 0)); err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint32(bomb.Bytes()[16:], 1<<16)
	binary.BigEndian.PutUint32(bomb.Bytes()[20:], 1<<16)
	binary.BigEndian.PutUint32(bomb.Bytes()[29:], crc32.ChecksumIEEE(bomb.Bytes()[12:29]))

	var whole bytes.Buffer
	if err := png.Encode(&whole, uniform(9, 9, 77)); err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		files  map[string][]byte
		change func(*Folder)
		want   []string
	}{
		"no such folder": {change: func(d *Folder) { d.Dir[0] = filepath.Join(d.Dir[0], "nowhere") }, want: []string{"read data.dir", "nowhere"}},
		"no pictures":    {files: map[string][]byte{"readme.txt": nil}, want: []string{"no PNG, JPEG, GIF, WebP, BMP or TIFF files there"}},
		"one picture":    {files: map[string][]byte{"1.png": whole.Bytes()}, want: []string{"1 samples leave", "add samples, set data.test, or change data.test_fraction"}},
		"a bomb":         {files: map[string][]byte{"bomb.png": bomb.Bytes()}, want: []string{"bomb.png: 65536×65536 pixels; the limit is 67108864"}},
		"broken ones": {files: map[string][]byte{"a/cut.png": whole.Bytes()[:whole.Len()-20], "b/empty.jpg": nil, "c/fine.png": whole.Bytes()},
			want: []string{"2 of 3 pictures in", "cut.png: ", "empty.jpg: "}},
		"too much memory": {files: map[string][]byte{"1.png": whole.Bytes()}, change: func(d *Folder) { d.Height, d.Width = 1<<16, 1<<17 },
			want: []string{"more than 4 GiB; lower data.height and data.width"}},
		"no size":       {files: map[string][]byte{"1.png": whole.Bytes()}, change: func(d *Folder) { d.Height = 0 }, want: []string{"data.height, data.width: 0×2"}},
		"all held out":  {files: thirty(whole.Bytes()), change: func(d *Folder) { d.Validation = 30 }, want: []string{"data.validation: holding out 30 of "}},
		"a file as dir": {files: map[string][]byte{"1.png": whole.Bytes()}, change: func(d *Folder) { d.Dir[0] = filepath.Join(d.Dir[0], "1.png") }, want: []string{"read data.dir"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Folder{Dir: []string{t.TempDir()}, Height: 2, Width: 2, Own: Own{TestFraction: 0.5}}
			for name, data := range c.files {
				saveFile(t, d.Dir[0], name, data)
			}
			if c.change != nil {
				c.change(d)
			}
			_, err := d.Load(context.Background(), Options{})
			if err == nil {
				t.Fatalf("no error, want %q", c.want)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %q", err, want)
				}
			}
		})
	}
}

func TestFolderNamesTenBrokenPictures(t *testing.T) {
	d := &Folder{Dir: []string{t.TempDir()}, Height: 2, Width: 2, Own: Own{TestFraction: 0.5}}
	for name := range thirty(nil) {
		saveFile(t, d.Dir[0], name, nil)
	}
	_, err := d.Load(context.Background(), Options{})
	if err == nil || !strings.Contains(err.Error(), "30 of 30 pictures") || strings.Count(err.Error(), ".png: ") != 10 {
		t.Errorf("got %v", err)
	}
}

func thirty(data []byte) map[string][]byte {
	files := map[string][]byte{}
	for i := range 30 {
		files[fmt.Sprintf("%02d.png", i)] = data
	}
	return files
}

// Pictures of 16 bits keep all of them: 400 levels between 30,000 and 30,399 stay 400 levels, and the scale spreads them over [-1, 1].
// One of 8 bits among them has 257 of their steps for each of its own.
func TestDeepFolder(t *testing.T) {
	dir := t.TempDir()
	deep := image.NewGray16(image.Rect(0, 0, 20, 20))
	for i := range 400 {
		deep.SetGray16(i%20, i/20, color.Gray16{Y: uint16(30000 + i)})
	}
	for i := range 20 {
		save(t, dir, fmt.Sprintf("%02d.png", i), deep)
	}
	d := Kinds["folder"]().(*Folder)
	d.Dir, d.Height, d.Width, d.TestFraction = []string{dir}, 20, 20, 0.3
	d.Scale = scale.Options{Kind: "range", Low: 30000, High: 30399}
	split, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if split.Train.Values.Type() != dtypes.Uint16 {
		t.Fatalf("values of %v", split.Train.Values.Type())
	}
	for i, value := range split.Test.At(0).Uint16 {
		if want := uint16(30000 + i); value != want {
			t.Fatalf("value %d is %d, want %d", i, value, want)
		}
	}
	if low, high := split.Test.Scale.At(0, 30000), split.Test.Scale.At(0, 30399); math.Abs(low+1) > 1e-4 || math.Abs(high-1) > 1e-4 {
		t.Errorf("30000 and 30399 become %g and %g", low, high)
	}
	shown := split.Test.Shown().At(0).Uint8
	if first, last := shown[0], shown[399]; first != 0 || last != 255 {
		t.Errorf("shown from %d to %d, want 0 to 255", first, last)
	}

	save(t, dir, "shallow.png", uniform(20, 20, 117))
	all, err := d.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := all.At(all.Len() - 1).Uint16[0]; got != 117*257 {
		t.Errorf("a byte of 117 became %d, want %d", got, 117*257)
	}
}

// Damaged pictures are passed over where that is asked for, with their names and causes; the others stay.
func TestFolderSkips(t *testing.T) {
	d := Kinds["folder"]().(*Folder)
	d.Dir, d.Height, d.Width, d.TestFraction, d.OnBad = []string{t.TempDir()}, 2, 2, 0.5, "skip"
	for i := range 9 {
		save(t, d.Dir[0], fmt.Sprintf("%d.png", i), uniform(2, 2, uint8(i)))
	}
	saveFile(t, d.Dir[0], "4.png", []byte("no picture"))
	split, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := split.Train.Len() + split.Test.Len(); n != 8 || len(split.Skipped) != 1 || !strings.HasPrefix(split.Skipped[0], "4.png: not a PNG") {
		t.Errorf("%d pictures, skipped %q", n, split.Skipped)
	}
	for _, value := range slices.Concat(split.Train.Values.Uint8, split.Test.Values.Uint8) {
		if value == 4 {
			t.Error("the damaged picture is among the others")
		}
	}
	for i := range 9 {
		saveFile(t, d.Dir[0], fmt.Sprintf("%d.png", i), nil)
	}
	if _, err := d.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "9 of 9 pictures") {
		t.Errorf("nothing but damaged pictures: %v", err)
	}
}
