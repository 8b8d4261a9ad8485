package dataset

import (
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"latent/pkg/scale"
)

// surfaces are a folder of good pictures and of such with a scratch, and one of masks, whose pixels to the left of x = 2 are marked.
func surfaces(t *testing.T) (dir, masks string) {
	t.Helper()
	dir, masks = t.TempDir(), t.TempDir()
	for i := range 40 {
		save(t, dir, fmt.Sprintf("good/%02d.png", i), uniform(6, 5, uint8(i)))
	}
	for i := range 10 {
		save(t, dir, fmt.Sprintf("scratch/%02d.png", i), uniform(6, 5, uint8(100+i)))
		save(t, masks, fmt.Sprintf("scratch/%02d_mask.png", i), painted(6, 5, func(x, _ int) color.Color {
			if x < 2 {
				return color.White
			}
			return color.Black
		}))
	}
	return dir, masks
}

// Each test picture has its own mask, brought to its size as it is; pictures of classes that are not normal are all in the test.
func TestMasks(t *testing.T) {
	dir, masks := surfaces(t)
	for name, d := range map[string]Folder{
		"scaled":  {Height: 10, Width: 12, Fit: "stretch"},
		"patches": {Patch: 3, PatchesPerImage: 2},
	} {
		d.Dir, d.Masks, d.Colour, d.Scale = []string{dir}, []string{masks}, "grey", scale.Options{Kind: "range"}
		d.Own = Own{TestFraction: 0.3, Holdout: Holdout{Normal: []string{"good"}, Validation: 5, Resident: "device"}}
		split, err := d.Load(t.Context(), Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, part := range []*Samples{split.Train, split.Validation} {
			for i := range part.Len() {
				if part.At(i).At(0) >= 100 {
					t.Errorf("%s: a scratch is trained on", name)
				}
			}
		}
		scratched := 0
		for i := range split.Test.Pictures() {
			picture, mask := split.Test.Picture(i), split.Masks[i]
			if anomalous := picture.At(0).At(0) >= 100; anomalous != (mask != nil) || anomalous != strings.HasPrefix(split.Names[i], "scratch/") {
				t.Fatalf("%s: picture %s of the shade %g has the mask %v", name, split.Names[i], picture.At(0).At(0), mask)
			}
			if mask == nil {
				continue
			}
			scratched++
			if mask.Height != picture.Height || mask.Width != picture.Width || len(mask.Marked) != picture.Size() {
				t.Fatalf("%s: a mask of %d×%d for a picture of %d×%d", name, mask.Height, mask.Width, picture.Height, picture.Width)
			}
			for at, marked := range mask.Marked {
				if x := at % mask.Width; marked != (3*x < mask.Width) {
					t.Fatalf("%s: pixel %d of a row is marked: %v", name, x, marked)
				}
			}
		}
		if scratched != 10 || split.Test.Pictures() <= 10 {
			t.Errorf("%s: %d scratches among %d test pictures", name, scratched, split.Test.Pictures())
		}
	}
}

// Masks that cannot be the pictures' are named.
func TestMasksThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, masks string)
		want   string
	}{
		"size": {func(t *testing.T, masks string) { save(t, masks, "scratch/03_mask.png", uniform(5, 5, 255)) },
			"scratch/03.png is 6×5, but its mask"},
		"two": {func(t *testing.T, masks string) { save(t, masks, "scratch/03.png", uniform(6, 5, 255)) },
			"may both be the mask of scratch/03; remove one"},
		"none": {func(t *testing.T, masks string) {
			if err := os.Rename(filepath.Join(masks, "scratch"), filepath.Join(masks, "cut")); err != nil {
				t.Fatal(err)
			}
		}, "data.masks: none of 10 files has the name of one of"},
		"damaged": {func(t *testing.T, masks string) { saveFile(t, masks, "scratch/03_mask.png", []byte("PNG")) },
			"have masks that cannot be read; repair or remove them"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, masks := surfaces(t)
			c.change(t, masks)
			d := Folder{Dir: []string{dir}, Masks: []string{masks}, Height: 5, Width: 6, Fit: "crop", Colour: "grey", Scale: scale.Options{Kind: "range"},
				Own: Own{TestFraction: 0.3, Holdout: Holdout{Normal: []string{"good"}, Resident: "device"}}}
			if _, err := d.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// Files that a pattern matches keep the folders from its first sign on in their names, and so their classes; a path without signs has the
// file's name alone.
func TestPatternNames(t *testing.T) {
	dir, _ := surfaces(t)
	t.Setenv(dirVariable, filepath.Dir(dir))
	below := filepath.Base(dir)
	for pattern, want := range map[string]string{
		filepath.Join(dir, "*", "03.png"):          "good/03.png scratch/03.png",
		filepath.Join(below, "*", "03.png"):        "good/03.png scratch/03.png",
		filepath.Join(dir, "good", "0[34].png"):    "03.png 04.png",
		filepath.Join(dir, "[a-h]*", "0[34].png"):  "good/03.png good/04.png",
		filepath.Join(dir, "scratch", "..", "g*d"): "00.png",
	} {
		files, _, err := listed("data.dir", []string{pattern})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range files[:min(2, len(files))] {
			names = append(names, f.name)
		}
		if got := strings.Join(names, " "); !strings.HasPrefix(got, want) || slices.Contains(names, "") {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}
