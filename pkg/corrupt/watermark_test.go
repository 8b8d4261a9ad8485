package corrupt_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/random"
)

// savePNG writes a picture of one colour, and returns its path.
func savePNG(t *testing.T, width, height int, c color.NRGBA) string {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		picture.SetNRGBA(i%width, i/width, c)
	}
	var file bytes.Buffer
	if err := png.Encode(&file, picture); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "stamp.png")
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// shape is what the moments of a picture of coverage tell.
type shape struct {
	area, x, y    float64
	long, short   float64 // the sides of the rectangle that has these moments
	angle         float64 // of its longer side, in degrees counter-clockwise, from -90 to 90
	lowest, final float64 // the least and largest coverage
}

func shapeOf(coverage []float32, width int) shape {
	var s shape
	for i, v := range coverage {
		c := float64(v)
		s.area += c
		s.x += c * (float64(i%width) + 0.5)
		s.y += c * (float64(i/width) + 0.5)
		s.lowest, s.final = min(s.lowest, c), max(s.final, c)
	}
	s.x, s.y = s.x/s.area, s.y/s.area
	var xx, xy, yy float64
	for i, v := range coverage {
		dx, dy := float64(i%width)+0.5-s.x, -(float64(i/width) + 0.5 - s.y)
		xx, xy, yy = xx+float64(v)*dx*dx/s.area, xy+float64(v)*dx*dy/s.area, yy+float64(v)*dy*dy/s.area
	}
	// A rectangle's variance along a side is its square / 12.
	spread := math.Hypot((xx-yy)/2, xy)
	s.long, s.short = math.Sqrt(12*((xx+yy)/2+spread)), math.Sqrt(12*((xx+yy)/2-spread))
	s.angle = math.Atan2(2*xy, xx-yy) / 2 * 180 / math.Pi
	return s
}

// A solid picture of 2:1 shows up with the size, the angle and the opacity asked for, wholly inside the image, at places
// that are spread evenly.
func TestWatermarkGeometry(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		const images, height, width, opacity = 200, 48, 64, 0.5
		path := savePNG(t, 80, 40, color.NRGBA{255, 255, 255, 255})
		for _, c := range []struct{ scale, angle float64 }{{0.5, 0}, {0.5, 30}, {0.3, -60}, {0.4, 90}, {0.125, 45}} {
			mark := &corrupt.Watermark{Image: path, Scale: corrupt.Fixed(c.scale), Rotation: corrupt.Fixed(c.angle), Opacity: corrupt.Fixed(opacity)}
			out := damage(t, b, corrupt.Chain{mark}, -1, 1, images, height, width, 1)
			long, short := c.scale*width, c.scale*width/2
			sin, cos := math.Abs(math.Sin(c.angle*math.Pi/180)), math.Abs(math.Cos(c.angle*math.Pi/180))
			rangeX, rangeY := width-long*cos-short*sin, height-long*sin-short*cos // of the centre
			var xs, ys []float32
			for n := range images {
				coverage := out[n*height*width:][:height*width]
				for i := range coverage {
					coverage[i] = (coverage[i] + 1) / 2 // white over black
				}
				s := shapeOf(coverage, width)
				// Bilinear interpolation spreads the edge over two samples, so the moments are those of a slightly larger rectangle.
				within(t, "area", s.area, long*short*opacity, 0.03*long*short+0.5)
				within(t, "longer side", s.long, long, 0.6)
				within(t, "shorter side", s.short, short, 0.6)
				within(t, "angle", math.Remainder(s.angle-c.angle, 180), 0, 2)
				within(t, "largest coverage", s.final, opacity, 1e-5)
				xs, ys = append(xs, float32(s.x)), append(ys, float32(s.y))
			}
			for axis, places := range map[string]struct {
				at           []float32
				side, spread float64
			}{"x": {xs, width, rangeX}, "y": {ys, height, rangeY}} {
				mean, spread := moments(places.at)
				within(t, "mean "+axis, mean, places.side/2, 5*places.spread/math.Sqrt(12*images))
				within(t, "spread of "+axis, spread, places.spread/math.Sqrt(12), 0.1*places.spread)
			}
			if t.Failed() {
				t.Fatalf("scale %g, angle %g", c.scale, c.angle)
			}
		}
	})
}

// Tiles are the shorter side apart: of a solid square, a quarter of the image is covered.
func TestWatermarkTiles(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		path := savePNG(t, 40, 40, color.NRGBA{255, 255, 255, 255})
		mark := &corrupt.Watermark{Image: path, Tiled: true, Scale: corrupt.Fixed(0.125), Rotation: corrupt.Range{-45, 45}, Opacity: corrupt.Fixed(1)}
		mean, _ := moments(damage(t, b, corrupt.Chain{mark}, -1, 1, 50, 64, 64, 1))
		within(t, "covered", (mean+1)/2, 0.25, 0.01)
	})
}

// A picture's colours are blended by its own transparency and the opacity, in colour and in grey; texts take the brightness.
func TestWatermarkColours(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		// Twice as wide as the image, and as high: it covers the middle.
		path := savePNG(t, 50, 50, color.NRGBA{255, 102, 0, 204})
		mark := &corrupt.Watermark{Image: path, Scale: corrupt.Fixed(2), Opacity: corrupt.Fixed(0.5)}
		const share, grey = 0.5 * 204 / 255, 0.25
		blend := func(byte float64) float64 { return grey + share*(byte/127.5-1-grey) }
		// Rounding to bytes after the multiplication by α moves a colour by at most half a step of a byte.
		out := damage(t, b, corrupt.Chain{mark}, grey, 1, 1, 9, 9, 3)
		for channel, byte := range []float64{255, 102, 0} {
			within(t, "colour", float64(out[3*40+channel]), blend(byte), 0.5/127.5)
		}
		// The luma of JFIF, 0.299 R + 0.587 G + 0.114 B.
		out = damage(t, b, corrupt.Chain{mark}, grey, 1, 1, 9, 9, 1)
		within(t, "luma", float64(out[40]), blend(0.299*255+0.587*102), 0.5/127.5)

		text := &corrupt.Watermark{Texts: []string{"MMMM"}, Scale: corrupt.Fixed(1), Opacity: corrupt.Fixed(1), Brightness: corrupt.Fixed(0.7)}
		for _, channels := range []int{1, 3} {
			out = damage(t, b, corrupt.Chain{text}, grey, 1, 1, 64, 64, channels)
			within(t, "brightest", float64(slices.Max(out)), 0.7, 1e-5)
			within(t, "darkest", float64(slices.Min(out)), grey, 1e-5)
		}
	})
}

// All texts are used, about equally often: they are told apart by the share of the image that they cover.
func TestWatermarkTexts(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		const images, pixels = 600, 32 * 32
		mark := &corrupt.Watermark{Texts: []string{".", "i", "copyright"}, Scale: corrupt.Fixed(0.8), Opacity: corrupt.Fixed(1), Brightness: corrupt.Fixed(1)}
		out := damage(t, b, corrupt.Chain{mark}, -1, 1, images, 32, 32, 1)
		counts := map[int]int{}
		for n := range images {
			mean, _ := moments(out[n*pixels:][:pixels])
			counts[int(100*(mean+1)/2)]++ // percent covered, about the same for each place
		}
		var groups []int
		last := -10
		for percent := range 100 {
			if counts[percent] == 0 {
				continue
			}
			if percent > last+1 {
				groups = append(groups, 0)
			}
			groups[len(groups)-1] += counts[percent]
			last = percent
		}
		if len(groups) != 3 {
			t.Fatalf("%d texts are told apart: %v", len(groups), counts)
		}
		for _, count := range groups {
			binomial(t, "share of a text", count, images, 1./3)
		}
	})
}

// Held-out images have other texts, with the same strengths; without such texts the same.
func TestHeldOut(t *testing.T) {
	mark := &corrupt.Watermark{Texts: []string{"draft"}, HeldOutTexts: []string{"sample"}, Opacity: corrupt.Fixed(0.5)}
	chain := corrupt.Chain{&corrupt.None{}, mark}
	heldOut := chain.HeldOut()
	if got := heldOut[1].(*corrupt.Watermark).Texts; !slices.Equal(got, []string{"sample"}) {
		t.Errorf("held-out images have the texts %v", got)
	}
	if !slices.Equal(mark.Texts, []string{"draft"}) || chain[1] != corrupt.Corruption(mark) {
		t.Error("the training's chain has changed")
	}
	if !slices.Equal(heldOut.Strengths(), chain.Strengths()) {
		t.Error("the strengths differ")
	}
	mark.HeldOutTexts = nil
	if got := chain.HeldOut()[1].(*corrupt.Watermark).Texts; !slices.Equal(got, mark.Texts) {
		t.Errorf("without held-out texts, held-out images have %v", got)
	}
}

func TestWatermarkCheck(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, err := os.ReadFile("testdata/stamp.png")
	if err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(good)
	copy(huge[16:], []byte{0, 1, 0, 0, 0, 1, 0, 0}) // width and height 65536; the header's checksum no longer fits
	long := strings.Repeat("x", 65)
	for name, c := range map[string]struct {
		mark corrupt.Watermark
		want []string // "key: problem", DIR for the folder
	}{
		"texts":       {corrupt.Watermark{Texts: []string{"draft", "© 2026"}, HeldOutTexts: []string{"été"}}, nil},
		"picture":     {corrupt.Watermark{Image: "testdata/stamp.png"}, nil},
		"none":        {corrupt.Watermark{}, []string{"texts: is empty; write words such as [draft, sample], or set image"}},
		"both lists":  {corrupt.Watermark{Texts: []string{"a", "Draft"}, HeldOutTexts: []string{"b", "draft"}}, []string{`held_out_texts.1: "draft" is also in texts; remove it from one of the lists`}},
		"no glyph":    {corrupt.Watermark{Texts: []string{"漢字"}}, []string{`texts.0: the built-in font has no '漢'; use other letters, or an image`}},
		"lines":       {corrupt.Watermark{Texts: []string{"a\nb"}}, []string{`texts.0: the built-in font has no '\n'; use other letters, or an image`}},
		"blank":       {corrupt.Watermark{Texts: []string{"a", " "}}, []string{"texts.1: no visible character; write a word"}},
		"long":        {corrupt.Watermark{Texts: []string{"a"}, HeldOutTexts: []string{long}}, []string{"held_out_texts.0: 65 characters; the limit is 64"}},
		"image only":  {corrupt.Watermark{Image: "testdata/stamp.png", HeldOutTexts: []string{"a"}}, []string{"held_out_texts: an image is used instead of texts; leave one of them out"}},
		"missing":     {corrupt.Watermark{Image: filepath.Join(dir, "no.png")}, []string{"image: stat DIR/no.png: no such file or directory"}},
		"folder":      {corrupt.Watermark{Image: dir}, []string{"image: DIR: not a regular file"}},
		"text file":   {corrupt.Watermark{Image: file("a.png", []byte("hello"))}, []string{"image: DIR/a.png: not a PNG file: unexpected EOF"}},
		"cut":         {corrupt.Watermark{Image: file("cut.png", good[:len(good)-40])}, []string{"image: DIR/cut.png: png: invalid format: not enough pixel data"}},
		"damaged":     {corrupt.Watermark{Image: file("huge.png", huge)}, []string{"image: DIR/huge.png: not a PNG file: png: invalid format: invalid checksum"}},
		"transparent": {corrupt.Watermark{Image: savePNG(t, 3, 3, color.NRGBA{255, 0, 0, 0})}, []string{"image: PNG: fully transparent"}},
		"wide":        {corrupt.Watermark{Image: savePNG(t, 4<<20+1, 1, color.NRGBA{255, 0, 0, 255})}, []string{"image: PNG: 4194305×1 pixels; the limit is 4194304"}},
		"large":       {corrupt.Watermark{Image: file("large.png", make([]byte, 16<<20+1))}, []string{"image: DIR/large.png: more than the limit of 16 MiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			c.mark.Check(func(key, problem string) {
				problem = strings.ReplaceAll(problem, dir, "DIR")
				if c.mark.Image != "" {
					problem = strings.ReplaceAll(problem, c.mark.Image, "PNG")
				}
				got = append(got, key+": "+problem)
			})
			if !slices.Equal(got, c.want) {
				t.Errorf("reported %q\nwant     %q", got, c.want)
			}
		})
	}
}

// A picture that vanished after the config was checked is an error of building the graph, with the file's name.
func TestWatermarkVanished(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		chain := corrupt.Chain{&corrupt.Watermark{Image: "testdata/none.png"}}
		_, err := ExecOnce(b.Compute, func(nodes []*Node) *Node {
			return chain.Apply(nodes[1], nodes[2:], random.KeyFromNode(nodes[0]))
		}, inputsOf(chain, make([]float32, 9), random.NewSeed(1), 1, 3, 3, 1)...)
		if want := "corrupt.watermark: stat testdata/none.png: "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	})
}
