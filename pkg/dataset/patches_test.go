package dataset

import (
	"fmt"
	"image"
	"image/color"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/random"
)

// gradient is a grey picture whose pixel at (x, y) is 3 y + x, less what does not fit into a byte.
func gradient(width, height int) image.Image {
	picture := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			picture.SetGray(x, y, color.Gray{Y: uint8(3*y + x)})
		}
	}
	return picture
}

// Pictures keep their sizes: patches are parts of them, of all places, by two words; whole ones come by their size.
func TestPatches(t *testing.T) {
	dir := t.TempDir()
	for i, size := range [][2]int{{9, 5}, {5, 9}, {9, 5}, {4, 4}, {20, 30}} {
		save(t, dir, fmt.Sprintf("train/%d.png", i), gradient(size[0], size[1]))
		save(t, dir, fmt.Sprintf("test/%d.png", i), gradient(size[0], size[1]))
	}
	d := Kinds["folder"]().(*Folder)
	d.Dir, d.Test, d.Patch, d.PatchesPerImage = []string{filepath.Join(dir, "train")}, []string{filepath.Join(dir, "test")}, 4, 3
	split, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if split.Train.Len() != 15 || split.Test.Len() != 5 || !split.Train.Streamed || split.Train.Size() != 16 {
		t.Fatalf("%d patches of %d values to train on, %d pictures for the test", split.Train.Len(), split.Train.Size(), split.Test.Len())
	}
	corners := map[uint8]bool{}
	for draw := range 400 {
		patch := split.Train.Patch(1, random.NewSeed(3).Block(uint32(draw), 0)).Uint8 // of the first picture, 9 wide and 5 high
		for i, value := range patch {
			if want := patch[0] + uint8(3*(i/4)+i%4); value != want {
				t.Fatalf("value %d of a patch is %d, want %d", i, value, want)
			}
		}
		corners[patch[0]] = true
	}
	if len(corners) != 9 { // 3 y + x of 2 × 6 corners: 0 … 8
		t.Errorf("corners %v", corners)
	}
	if middle := split.Test.At(0).Uint8[0]; middle != 0*3+2 {
		t.Errorf("the middle of a picture begins with %d, want 2", middle)
	}
	whole := split.Test.Whole()
	if len(whole) != 4 || whole[0].Len() != 2 || whole[0].Height != 5 || whole[0].Width != 9 || whole[3].Size() != 600 {
		t.Errorf("%d sizes of whole pictures, %d of the first: %d×%d", len(whole), whole[0].Len(), whole[0].Height, whole[0].Width)
	}
	if got := split.Test.First(3); got.Len() != 3 || got.Patches != nil {
		t.Errorf("%d of the first three", got.Len())
	}

	d.Patch = 5
	if _, err := d.Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "3.png: 4×4 pixels, but data.patch is 5") {
		t.Errorf("error %v", err)
	}
	d.OnBad = "skip"
	if split, err = d.Load(t.Context(), Options{}); err != nil || split.Test.Len() != 4 || split.Train.Len() != 12 || len(split.Skipped) != 2 {
		t.Errorf("skipped %v, %v", split, err)
	}
}
