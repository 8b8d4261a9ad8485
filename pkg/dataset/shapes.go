package dataset

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

// Shapes generates pictures of one square, ellipse or triangle, white on black or in colour, with known factors: shape, size, rotation,
// horizontal and vertical position, and colour, each drawn independently. They measure how well codes separate factors. The classes are the
// shapes. After dSprites (Matthey et al. 2017), with rotations below a right angle, so that no two rotations look alike.
type Shapes struct {
	Holdout `yaml:",inline"`

	// Train is the number of training images, including those held out.
	Train int `yaml:"train" min:"1" max:"1000000"`

	// Test is the number of test images.
	Test int `yaml:"test" min:"1" max:"1000000"`

	// Side is the height and width of the images.
	Side int `yaml:"side" min:"16" max:"256"`

	// Colour is grey for white shapes, or rgb for shapes in one of six colours, which is another factor.
	Colour string `yaml:"colour" enum:"grey,rgb"`

	// Seed decides every image. It is separate from the experiment's seed.
	Seed int64 `yaml:"seed" min:"0"`
}

// shapeNames are the classes.
var shapeNames = []string{"square", "ellipse", "triangle"}

// shapeColours are the values of the factor colour: red, yellow, green, cyan, blue, magenta.
var shapeColours = [][3]uint8{{255, 64, 64}, {255, 255, 64}, {64, 255, 64}, {64, 255, 255}, {64, 64, 255}, {255, 64, 255}}

const (
	shapeSizes  = 4
	shapeTurns  = 8
	shapePlaces = 8
	// shapeRadius is the largest, shapeMargin the least distance of a middle from the border, as parts of the side.
	shapeRadius = 0.2
	shapeMargin = 0.26
	// shapeSamples is how many points along each side of a pixel are looked at.
	shapeSamples = 4
)

// shapeCosines are those of the turns, eighths of a right angle: written out, for math.Cos may differ in its last bit between processors.
var shapeCosines = [shapeTurns]float64{1.0, 0.9807852804032304, 0.9238795325112867, 0.8314696123025452, 0.7071067811865476, 0.5555702330196023, 0.38268343236508984, 0.19509032201612833}

// Check reports a holdout that leaves nothing to train on.
func (d *Shapes) Check(report func(key, problem string)) {
	d.check(d.Train, report)
	if len(d.Normal) > 0 {
		d.checkNormal(shapeNames, report)
	}
}

// TrainImages is Train less those held out, or 0 where only those of some classes are used.
func (d *Shapes) TrainImages() int {
	if len(d.Normal) > 0 {
		return 0
	}
	return d.trainOf(d.Train)
}

// Load makes the images. They are the same on every machine; see [Glyphs.Load].
func (d *Shapes) Load(ctx context.Context, _ Options) (*Split, error) {
	all, _, err := d.make(ctx, 0, d.Train)
	if err != nil {
		return nil, err
	}
	split := &Split{Classes: shapeNames}
	if split.Test, split.Factors, err = d.make(ctx, 1<<32, d.Test); err != nil {
		return nil, err
	}
	split.Checksums = map[string]string{"train": sum(all.Values.Bytes()), "test": sum(split.Test.Values.Bytes())}
	return split, d.divide(split, all, d.shuffled(d.Train))
}

// make draws n images; image i has the generator (seed, first + i).
func (d *Shapes) make(ctx context.Context, first uint64, n int) (*Samples, *Factors, error) {
	images := &Samples{Height: d.Side, Width: d.Side, Channels: 1, Labels: make([]uint8, n)}
	factors := &Factors{Names: []string{"shape", "size", "turn", "x", "y"}, Sizes: []int{len(shapeNames), shapeSizes, shapeTurns, shapePlaces, shapePlaces}}
	if d.Colour == "rgb" {
		images.Channels = 3
		factors.Names, factors.Sizes = append(factors.Names, "colour"), append(factors.Sizes, len(shapeColours))
	}
	count := len(factors.Names)
	images.Values, factors.Values = array.Make(dtypes.Uint8, n*images.Size()), make([]uint8, n*count)
	return images, factors, InParallel(ctx, n, func(i int) {
		generator := rand.New(rand.NewPCG(uint64(d.Seed), first+uint64(i)))
		values := factors.Values[i*count:][:count]
		for k, size := range factors.Sizes {
			values[k] = uint8(generator.IntN(size))
		}
		images.Labels[i] = values[0]
		d.draw(images.At(i).Uint8, values)
	})
}

// draw fills pixels, [side, side, channels], by the factors. Each product of floats is rounded by a conversion: see [Glyphs.Load].
func (d *Shapes) draw(pixels []uint8, values []uint8) {
	side := float64(d.Side)
	part := func(value uint8, of int) float64 { return float64(value) / float64(of-1) } // 0 … 1
	radius := float64(shapeRadius*side) * (0.5 + float64(0.5*part(values[1], shapeSizes)))
	cos, sin := shapeCosines[values[2]], 0.0
	if values[2] > 0 {
		sin = shapeCosines[shapeTurns-values[2]] // of the complement
	}
	place := func(value uint8) float64 {
		return float64(side * (shapeMargin + float64((1-2*shapeMargin)*part(value, shapePlaces))))
	}
	x0, y0 := place(values[3]), place(values[4])
	ink := []uint8{255}
	if len(values) > 5 {
		ink = shapeColours[values[5]][:]
	}
	for y := range d.Side {
		for x := range d.Side {
			inside := 0
			for sy := range shapeSamples {
				for sx := range shapeSamples {
					u := (float64(x) + (float64(sx)+0.5)/shapeSamples - x0) / radius
					v := (float64(y) + (float64(sy)+0.5)/shapeSamples - y0) / radius
					if insideShape(int(values[0]), float64(cos*u)+float64(sin*v), float64(cos*v)-float64(sin*u)) {
						inside++
					}
				}
			}
			for c, shade := range ink {
				pixels[(y*d.Side+x)*len(ink)+c] = uint8(int(shade) * inside / (shapeSamples * shapeSamples))
			}
		}
	}
}

// insideShape says whether a point lies in a shape about 0, of about unit radius.
func insideShape(shape int, u, v float64) bool {
	switch shape {
	case 0:
		return math.Abs(u) <= 0.8 && math.Abs(v) <= 0.8
	case 1:
		return float64(u*u)+float64(4*float64(v*v)) <= 1
	}
	// From a tip at (0, −0.9) to a base from (−0.75, 0.8) to (0.75, 0.8).
	return v >= -0.9 && v <= 0.8 && math.Abs(u) <= float64(0.75/1.7*(v+0.9))
}
