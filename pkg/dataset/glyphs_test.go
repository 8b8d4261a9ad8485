package dataset

import (
	"bytes"
	"context"
	"runtime"
	"testing"
)

func loadGlyphs(t testing.TB, g *Glyphs) *Split {
	t.Helper()
	split, err := g.Load(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return split
}

// TestGlyphsGolden holds the promise of the same images on every machine. The sums were made on linux/amd64, and came out
// the same on linux/arm64 (CGO_ENABLED=0 GOARCH=arm64 go test -exec qemu-aarch64-static), whose compiler fuses. Change them only with the images: results on other
// glyphs cannot be compared.
func TestGlyphsGolden(t *testing.T) {
	split := loadGlyphs(t, &Glyphs{Train: 5000, Test: 500})
	for part, want := range map[string]string{
		"train": "923825f5d87d8539a80d28c85e244a832a9541a81e27d70c12a22dce2c360391",
		"test":  "f5d7e8b293a5e977dcbfcabe325e57e62d6b67ef3cad14d9e9d3464c013ca8a4",
	} {
		if got := split.Checksums[part]; got != want {
			t.Errorf("%s: SHA-256 %s, want %s", part, got, want)
		}
	}
}

// TestColourGlyphs holds that colour glyphs are the grey ones between two colours that differ enough, and the same on every machine.
func TestColourGlyphs(t *testing.T) {
	grey := loadGlyphs(t, &Glyphs{Train: 500, Test: 50}).Train
	split := loadGlyphs(t, &Glyphs{Train: 500, Test: 50, Colour: "rgb"})
	for part, want := range map[string]string{
		"train": "44bedad15d1493707d7368e6796518096bc861311aab98b971833170870164bf",
		"test":  "a3b5f7e5dff59393cdffd891c5ff3611986df5452ba4fe6593b1a9183f53a1cb",
	} {
		if got := split.Checksums[part]; got != want {
			t.Errorf("%s: SHA-256 %s, want %s", part, got, want)
		}
	}
	colour := split.Train
	if colour.Channels != 3 || colour.Len() != grey.Len() || !bytes.Equal(colour.Labels, grey.Labels) {
		t.Fatalf("%d images of %d channels, want %d of 3, with the labels of the grey ones", colour.Len(), colour.Channels, grey.Len())
	}
	luma := func(rgb []uint8) float64 {
		return 0.299*float64(rgb[0]) + 0.587*float64(rgb[1]) + 0.114*float64(rgb[2])
	}
	for i := range grey.Len() {
		shades, pixels := grey.At(i).Uint8, colour.At(i).Uint8
		paper, strongest, most := pixels[:3], 0, 0
		for place, shade := range shades {
			if shade == 0 && !bytes.Equal(pixels[3*place:][:3], paper) {
				t.Fatalf("image %d: paper %v at place %d, %v at the corner", i, pixels[3*place:][:3], place, paper)
			}
			if int(shade) > most {
				strongest, most = place, int(shade)
			}
		}
		// The strongest shade shows its part of the contrast, less what rounding takes.
		contrast := luma(pixels[3*strongest:][:3]) - luma(paper)
		if want := inkContrast*float64(most)/255 - 2; max(contrast, -contrast) < want {
			t.Errorf("image %d: a contrast of %.1f where %d of 255 is ink, want %.1f", i, contrast, most, want)
		}
	}
}

func TestGlyphsAreTheSame(t *testing.T) {
	few := loadGlyphs(t, &Glyphs{Train: 300, Test: 100, Seed: 7})

	t.Run("with more images after them", func(t *testing.T) {
		many := loadGlyphs(t, &Glyphs{Train: 900, Test: 200, Seed: 7})
		if !bytes.HasPrefix(many.Train.Values.Uint8, few.Train.Values.Uint8) || !bytes.HasPrefix(many.Train.Labels, few.Train.Labels) ||
			!bytes.HasPrefix(many.Test.Values.Uint8, few.Test.Values.Uint8) {
			t.Error("the first images change with the number of images")
		}
	})
	t.Run("on one core", func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		if one := loadGlyphs(t, &Glyphs{Train: 300, Test: 100, Seed: 7}); !bytes.Equal(one.Train.Values.Uint8, few.Train.Values.Uint8) {
			t.Error("the images change with the number of cores")
		}
	})
	t.Run("but not with another seed", func(t *testing.T) {
		if other := loadGlyphs(t, &Glyphs{Train: 300, Test: 100, Seed: 8}); bytes.Equal(other.Train.Values.Uint8, few.Train.Values.Uint8) {
			t.Error("seeds 7 and 8 give the same images")
		}
	})
	t.Run("nor in the test set", func(t *testing.T) {
		seen := map[string]bool{}
		for i := range few.Train.Len() {
			seen[string(few.Train.At(i).Uint8)] = true
		}
		for i := range few.Test.Len() {
			if seen[string(few.Test.At(i).Uint8)] {
				t.Errorf("test image %d is also a training image", i)
			}
		}
	})
}

// TestGlyphsLook holds what a person saw: white strokes on black paper about the middle, hardly ever over the border.
func TestGlyphsLook(t *testing.T) {
	images := loadGlyphs(t, &Glyphs{Train: 4700, Test: 1}).Train
	classes := map[uint8]int{}
	overBorder, sumX, sumY, total := 0, 0, 0, 0
	for i := range images.Len() {
		classes[images.Labels[i]]++
		ink, brightest, border := 0, 0, 0
		for place, shade := range images.At(i).Uint8 {
			x, y, shade := place%glyphSide, place/glyphSide, int(shade)
			ink, brightest = ink+shade, max(brightest, shade)
			sumX, sumY, total = sumX+x*shade, sumY+y*shade, total+shade
			if x == 0 || y == 0 || x == glyphSide-1 || y == glyphSide-1 {
				border = max(border, shade)
			}
		}
		// MNIST's own images are 2 % to 35 % ink with few exceptions.
		if part := float64(ink) / (255 * glyphSide * glyphSide); part < 0.01 || part > 0.45 || brightest < 120 {
			t.Errorf("image %d (%c): %.1f %% ink, the brightest pixel %d", i, glyphClasses[images.Labels[i]], 100*part, brightest)
		}
		if border > 60 {
			overBorder++
		}
	}
	if part := float64(overBorder) / float64(images.Len()); part > 0.02 {
		t.Errorf("%.1f %% of the images reach the border", 100*part)
	}
	const centre = (glyphSide - 1) / 2.0
	if x, y := float64(sumX)/float64(total), float64(sumY)/float64(total); max(x, y) > centre+0.5 || min(x, y) < centre-0.5 {
		t.Errorf("the ink's middle is at (%.2f, %.2f), want about (%g, %g)", x, y, centre, centre)
	}
	if len(classes) != len(glyphClasses) {
		t.Errorf("%d classes, want %d", len(classes), len(glyphClasses))
	}
	for class, n := range classes { // 100 expected, with a standard deviation of 10
		if n < 50 || n > 150 {
			t.Errorf("%c: %d images of %d", glyphClasses[class], n, images.Len())
		}
	}
}

func BenchmarkGlyphs(b *testing.B) {
	loadGlyphs(b, &Glyphs{Train: 1, Test: 1}) // the fonts are drawn once in a process
	for b.Loop() {
		loadGlyphs(b, &Glyphs{Train: 60000, Test: 10000})
	}
	b.ReportMetric(70000*float64(b.N)/b.Elapsed().Seconds(), "images/s")
}
