package dataset

import (
	"context"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"golang.org/x/image/draw"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/gofont/gosmallcaps"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"

	"latent/pkg/array"
	"latent/pkg/scale"
)

// Glyphs generates 28×28 pictures of digits and letters, grey or in colour, from the Go fonts, with random affine and elastic distortion
// and strokes of random thickness and contrast. It needs no network and no files.
//
// The classes are the 47 of EMNIST: digits, capitals, and the small letters that look different from their capitals.
type Glyphs struct {
	Holdout `yaml:",inline"`

	// Train is the number of training images, including those held out.
	Train int `yaml:"train" min:"1" max:"1000000"`

	// Test is the number of test images.
	Test int `yaml:"test" min:"1" max:"1000000"`

	// Colour is grey for white glyphs on black, or rgb for one random colour on another. The same seed gives the same glyphs in both.
	Colour string `yaml:"colour" enum:"grey,rgb"`

	// Seed decides every image. It is separate from the experiment's seed, so that runs with several seeds see the same images.
	Seed int64 `yaml:"seed" min:"0"`

	Networked `yaml:",inline"`
}

const (
	glyphSide    = 28
	glyphClasses = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
	stencilSide  = 64 // a stencil's pixels are half as large as the image's
	stencilFont  = 54 // font size on the stencil, in pixels
	stencilScale = 2.0
	warpCells    = 3                            // the elastic distortion is given at the corners of 3×3 cells, and interpolated between
	warpSize     = 1.6                          // its largest displacement, in pixels of the image
	glyphReach   = glyphSide/2.0 - warpSize - 1 // how far a glyph may reach from the middle: its strokes may also swell
)

// glyphFonts are the faces that the glyphs are drawn with.
var glyphFonts = [][]byte{goregular.TTF, gobold.TTF, goitalic.TTF, gomono.TTF, gosmallcaps.TTF}

// Check reports a holdout that leaves nothing to train on.
func (d *Glyphs) Check(report func(key, problem string)) {
	d.check(d.Train, report)
	if len(d.Normal) > 0 {
		d.checkNormal(strings.Split(glyphClasses, ""), report)
	}
	d.Features.check(d.ScaleOptions(), report)
}

// ScaleOptions is how features are scaled; of images, bytes as they are.
func (d *Glyphs) ScaleOptions() scale.Options { return d.Features.scale(scale.Options{}) }

// TrainImages is Train less those held out, or 0 where only those of some classes are used.
func (d *Glyphs) TrainImages() int {
	if len(d.Normal) > 0 {
		return 0
	}
	return d.trainOf(d.Train)
}

// Load makes the images: 70,000 in about a second on two cores.
//
// They are the same on every machine: all arithmetic is in integers, or in floats with each product rounded by a
// conversion before something is added to it. Without one a compiler may fuse the two, even across statements.
func (d *Glyphs) Load(ctx context.Context, options Options) (*Split, error) {
	stencils, err := loadStencils()
	if err != nil {
		return nil, err
	}
	all, err := d.make(ctx, stencils, 0, d.Train)
	if err != nil {
		return nil, err
	}
	split := &Split{Classes: strings.Split(glyphClasses, "")}
	// Test images have stream numbers that no training set reaches.
	if split.Test, err = d.make(ctx, stencils, 1<<32, d.Test); err != nil {
		return nil, err
	}
	split.Checksums = map[string]string{"train": sum(all.Values.Bytes()), "test": sum(split.Test.Values.Bytes())}
	if split.Network, err = d.Features.apply(ctx, options, "glyphs", split.Checksums, &all, &split.Test); err != nil {
		return nil, err
	}
	if err := d.divide(split, all, d.shuffled(d.Train)); err != nil {
		return nil, err
	}
	return split, d.Features.rescale(split)
}

// make draws n images; image i has the generator (seed, first + i), so that they can be drawn in parallel.
func (d *Glyphs) make(ctx context.Context, stencils [][]stencil, first uint64, n int) (*Samples, error) {
	images := &Samples{Height: glyphSide, Width: glyphSide, Channels: 1, Labels: make([]uint8, n)}
	if d.Colour == "rgb" {
		images.Channels = 3
	}
	images.Values = array.Make(dtypes.Uint8, n*images.Size())
	return images, InParallel(ctx, n, func(i int) {
		generator := rand.New(rand.NewPCG(uint64(d.Seed), first+uint64(i)))
		class := generator.IntN(len(glyphClasses))
		images.Labels[i] = uint8(class)
		faces := stencils[class]
		var shades [glyphSide * glyphSide]uint8
		faces[generator.IntN(len(faces))].draw(shades[:], generator)
		if d.Colour == "rgb" {
			paint(images.At(i).Uint8, shades[:], generator)
		} else {
			copy(images.At(i).Uint8, shades[:])
		}
	})
}

// inkContrast is the least difference of luma, 0 … 255, between the colours of ink and paper.
const inkContrast = 80

// paint fills pixels, [height, width, 3], with shades of ink, 0 none and 255 all of it, on paper, in colours that are drawn
// until they differ enough in luma (BT.601).
func paint(pixels, shades []uint8, generator *rand.Rand) {
	colour := func() (rgb [3]int) {
		for c := range rgb {
			rgb[c] = generator.IntN(256)
		}
		return rgb
	}
	luma := func(rgb [3]int) int { return (299*rgb[0] + 587*rgb[1] + 114*rgb[2]) / 1000 }
	ink, paper := colour(), colour()
	for difference := luma(ink) - luma(paper); max(difference, -difference) < inkContrast; difference = luma(ink) - luma(paper) {
		ink, paper = colour(), colour()
	}
	for i, shade := range shades {
		for c := range 3 {
			pixels[3*i+c] = uint8((int(shade)*ink[c] + (255-int(shade))*paper[c] + 127) / 255)
		}
	}
}

// stencil is a glyph in one face, centred and softened: values 0 … 255 that fall off across the stroke's edge, so that a
// threshold makes the stroke thinner or thicker.
type stencil struct {
	shades        [stencilSide * stencilSide]uint8
	width, height float64 // of the glyph's box, which lies about the middle
}

var loadStencils = sync.OnceValues(func() ([][]stencil, error) {
	stencils := make([][]stencil, len(glyphClasses))
	for _, ttf := range glyphFonts {
		face, err := sfnt.Parse(ttf)
		if err != nil {
			return nil, fmt.Errorf("parse a built-in font: %w", err)
		}
		for i, class := range glyphClasses {
			s, err := newStencil(face, class)
			if err != nil {
				return nil, fmt.Errorf("draw %c of a built-in font: %w", class, err)
			}
			stencils[i] = append(stencils[i], s)
		}
	}
	return stencils, nil
})

// newStencil fills the class's outline. It flattens curves itself, in integers: package vector's own result depends on
// whether the processor fuses multiplication and addition.
func newStencil(face *sfnt.Font, class rune) (stencil, error) {
	var buffer sfnt.Buffer
	index, err := face.GlyphIndex(&buffer, class)
	if err != nil {
		return stencil{}, err
	}
	outline, err := face.LoadGlyph(&buffer, index, fixed.I(stencilFont), nil)
	if err != nil {
		return stencil{}, err
	}
	bounds := outline.Bounds()
	move := fixed.P(stencilSide/2, stencilSide/2).Sub(bounds.Min.Add(bounds.Max).Div(fixed.I(2)))
	raster := vector.NewRasterizer(stencilSide, stencilSide)
	raster.DrawOp = draw.Src
	var pen fixed.Point26_6
	for _, segment := range outline { // in a TrueType font a move, a line, or a quadratic curve
		a, b := segment.Args[0].Add(move), segment.Args[1].Add(move)
		switch segment.Op {
		case sfnt.SegmentOpMoveTo:
			raster.ClosePath()
			raster.MoveTo(float32(a.X)/64, float32(a.Y)/64)
			pen = a
		case sfnt.SegmentOpLineTo:
			raster.LineTo(float32(a.X)/64, float32(a.Y)/64)
			pen = a
		case sfnt.SegmentOpQuadTo:
			const steps = 8
			for k := range fixed.Int26_6(steps) {
				k++
				p, q, r := (steps-k)*(steps-k), 2*k*(steps-k), k*k // Bernstein's polynomials, times steps²
				raster.LineTo(float32(p*pen.X+q*a.X+r*b.X)/(64*steps*steps), float32(p*pen.Y+q*a.Y+r*b.Y)/(64*steps*steps))
			}
			pen = b
		}
	}
	raster.ClosePath()
	canvas := image.NewAlpha(image.Rect(0, 0, stencilSide, stencilSide))
	raster.Draw(canvas, canvas.Rect, image.Opaque, image.Point{})

	size := bounds.Max.Sub(bounds.Min)
	s := stencil{width: float64(size.X) / 64, height: float64(size.Y) / 64}
	copy(s.shades[:], canvas.Pix)
	s.soften()
	s.soften()
	return s, nil
}

// soften blurs by the binomial weights 1 4 6 4 1 in both directions.
func (s *stencil) soften() {
	for _, step := range []int{1, stencilSide} {
		sharp := s.shades
		for i := range sharp {
			total := 0
			for k, weight := range [5]int{1, 4, 6, 4, 1} {
				if j := i + (k-2)*step; j >= 0 && j < len(sharp) {
					total += weight * int(sharp[j])
				}
			}
			s.shades[i] = uint8(total / 16)
		}
	}
}

// draw fills pixels, [height, width], with the stencil seen through a random distortion.
func (s *stencil) draw(pixels []uint8, generator *rand.Rand) {
	between := func(low, high float64) float64 { return low + float64((high-low)*generator.Float64()) }

	// The map from the image to the stencil, about their centres: rotation by a small angle, shear, and a scale for each
	// axis. cos θ ≈ 1 − θ²/2 and sin θ ≈ θ do for a distortion.
	angle, shear := between(-0.22, 0.22), between(-0.25, 0.25)
	scaleX, scaleY := between(0.8, 1.25)*stencilScale, between(0.85, 1.15)*stencilScale
	cos, sin := 1-float64(angle*angle/2), angle
	xx, xy := cos*scaleX, (shear+sin)*scaleX
	yx, yy := -sin*scaleY, cos*scaleY
	moveX, moveY := between(-1.5, 1.5), between(-1.5, 1.5)

	// A glyph that would reach over the border is made smaller. Its box's half sides go through the map's inverse.
	det := float64(xx*yy) - float64(xy*yx)
	reachX := (float64(math.Abs(yy)*s.width) + float64(math.Abs(xy)*s.height)) / (2 * det)
	reachY := (float64(math.Abs(yx)*s.width) + float64(math.Abs(xx)*s.height)) / (2 * det)
	shrink := max(1, reachX/(glyphReach-math.Abs(moveX)), reachY/(glyphReach-math.Abs(moveY)))
	xx, xy, yx, yy = xx*shrink, xy*shrink, yx*shrink, yy*shrink

	var warp [2][warpCells + 1][warpCells + 1]float64
	for axis := range warp {
		for i := range warp[axis] {
			for j := range warp[axis][i] {
				warp[axis][i][j] = between(-warpSize, warpSize)
			}
		}
	}
	threshold := float64(between(0.12, 0.45) * 255)
	softness := min(float64(between(0.25, 0.5)*255), 2*threshold) // at most twice the threshold keeps the paper black
	ink := float64(between(0.75, 1) * 255)

	const centre = (glyphSide - 1) / 2.0
	for y := range glyphSide {
		i, v := warpPlace[y].cell, warpPlace[y].part
		for x := range glyphSide {
			j, u := warpPlace[x].cell, warpPlace[x].part
			bend := [2]float64{}
			for axis := range warp {
				above := mix(warp[axis][i][j], warp[axis][i][j+1], u)
				below := mix(warp[axis][i+1][j], warp[axis][i+1][j+1], u)
				bend[axis] = mix(above, below, v)
			}
			dx, dy := float64(x)-centre-moveX+bend[0], float64(y)-centre-moveY+bend[1]
			value := s.at(
				float64(xx*dx)+float64(xy*dy)+stencilSide/2,
				float64(yx*dx)+float64(yy*dy)+stencilSide/2)
			shade := (value - threshold) / softness
			pixels[y*glyphSide+x] = uint8(float64(ink*min(1, max(0, shade+0.5))) + 0.5)
		}
	}
}

// warpPlace tells for each row or column of an image which cell of the distortion it lies in, and how far across, eased so
// that the distortion has no kinks.
var warpPlace = func() (places [glyphSide]struct {
	cell int
	part float64
}) {
	for i := range places {
		position := float64(i) * warpCells / glyphSide
		cell := int(position)
		part := position - float64(cell)
		places[i].cell, places[i].part = cell, float64(float64(part*part)*(3-float64(2*part)))
	}
	return places
}()

// mix is a where u is 0, b where it is 1.
func mix(a, b, u float64) float64 { return a + float64((b-a)*u) }

// at interpolates the stencil at a place; outside it is 0.
func (s *stencil) at(x, y float64) float64 {
	if x < 0 || y < 0 || x >= stencilSide-1 || y >= stencilSide-1 {
		return 0
	}
	i, j := int(y), int(x)
	u, v := x-float64(j), y-float64(i)
	row := s.shades[i*stencilSide+j:]
	return mix(mix(float64(row[0]), float64(row[1]), u), mix(float64(row[stencilSide]), float64(row[stencilSide+1]), u), v)
}
