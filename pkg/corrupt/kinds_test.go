package corrupt_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/random"
)

// binomial wants a count of n independent events within five standard errors.
func binomial(t *testing.T, what string, count, n int, p float64) {
	t.Helper()
	within(t, what, float64(count)/float64(n), p, 5*math.Sqrt(p*(1-p)/float64(n)))
}

// A factor drawn for each image is spread evenly over its range: of 400 images, the standard deviations' mean, least and
// largest are those of a uniform distribution, to five standard errors of what 1600 pixels tell.
func TestGaussianRange(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		const images, pixels, low, high = 400, 40 * 40, 0.1, 0.7
		out := damage(t, b, corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Range{low, high}}}, 0, 1, images, 40, 40, 1)
		var deviations []float32
		for i := range images {
			_, deviation := moments(out[i*pixels:][:pixels])
			deviations = append(deviations, float32(deviation))
		}
		const share = 5 / 56.5 // five standard errors of a deviation, √(2·1600) of it
		mean, spread := moments(deviations)
		within(t, "mean factor", mean, (low+high)/2, 5*(high-low)/math.Sqrt(12*images))
		within(t, "spread of the factor", spread, (high-low)/math.Sqrt(12), 0.02)
		within(t, "least factor", float64(slices.Min(deviations)), low, low*share+0.01)
		within(t, "largest factor", float64(slices.Max(deviations)), high, high*share+0.01)
	})
}

// The shares of pixels that are masked, white and black are those asked for, and a pixel's channels go together.
func TestPixelShares(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		const pixels, channels, grey = 100 * 40 * 40, 3, 0.25
		count := func(out []float32, value float32) int {
			n := 0
			for i := 0; i < len(out); i += channels {
				if pixel := out[i : i+channels]; slices.Min(pixel) != slices.Max(pixel) {
					t.Fatalf("channels %v", pixel)
				}
				if out[i] == value {
					n++
				}
			}
			return n
		}
		out := damage(t, b, corrupt.Chain{&corrupt.Masking{Probability: corrupt.Fixed(0.3), Patch: 1, Value: -0.5}}, grey, 1, 100, 40, 40, channels)
		binomial(t, "masked", count(out, -0.5), pixels, 0.3)
		binomial(t, "unmasked", count(out, grey), pixels, 0.7)

		out = damage(t, b, corrupt.Chain{&corrupt.SaltAndPepper{Amount: corrupt.Fixed(0.2), Salt: 0.75}}, grey, 1, 100, 40, 40, channels)
		binomial(t, "salt", count(out, 1), pixels, 0.15)
		binomial(t, "pepper", count(out, -1), pixels, 0.05)
		binomial(t, "the rest", count(out, grey), pixels, 0.8)
	})
}

// Patches are whole squares of the grid, cut off at the border alone, and as many are masked as asked for.
func TestPatches(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		const images, height, width, channels, patch, grey = 2000, 10, 13, 2, 4, 0.25
		out := damage(t, b, corrupt.Chain{&corrupt.Masking{Probability: corrupt.Fixed(0.75), Patch: patch, Value: -0.5}}, grey, 1, images, height, width, channels)
		rows, columns := 3, 4
		masked := make([]int, images*rows*columns) // pixels of each square
		for i, v := range out {
			if v != -0.5 && v != grey {
				t.Fatalf("a pixel became %v", v)
			}
			place := i / channels
			n, y, x := place/(height*width), place/width%height, place%width
			if v == -0.5 {
				masked[(n*rows+y/patch)*columns+x/patch]++
			}
		}
		whole := 0
		for square, pixels := range masked {
			y, x := square/columns%rows*patch, square%columns*patch
			switch size := min(patch, height-y) * min(patch, width-x) * channels; pixels {
			case size:
				whole++
			case 0:
			default:
				t.Fatalf("%d of %d values of a square at (%d, %d) are masked", pixels, size, x, y)
			}
		}
		binomial(t, "masked squares", whole, len(masked), 0.75)
	})
}

// Rectangles are whole, their sides spread evenly over the whole numbers of the range, and their places over those where
// they fit.
func TestErase(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		const images, height, width = 4000, 10, 20
		// 0.2 and 0.4 of 10 are 2 to 4 rows, of 20 they are 4 to 8 columns; the outermost are half as frequent.
		out := damage(t, b, corrupt.Chain{&corrupt.Erase{Count: 1, Side: corrupt.Range{0.2, 0.4}, Value: -1}}, 0.5, 1, images, height, width, 1)
		rows, columns, tops := map[int]int{}, map[int]int{}, map[int]int{}
		for n := range images {
			top, bottom, left, right, inside := height, -1, width, -1, 0
			for i, v := range out[n*height*width:][:height*width] {
				if v == -1 {
					top, bottom = min(top, i/width), max(bottom, i/width)
					left, right = min(left, i%width), max(right, i%width)
					inside++
				} else if v != 0.5 {
					t.Fatalf("a pixel became %v", v)
				}
			}
			h, w := bottom-top+1, right-left+1
			if inside != h*w {
				t.Fatalf("%d pixels of a rectangle of %d×%d", inside, h, w)
			}
			rows[h]++
			columns[w]++
			if h == 3 {
				tops[top]++
			}
		}
		for h, p := range map[int]float64{2: 0.25, 3: 0.5, 4: 0.25} {
			binomial(t, fmt.Sprintf("%d rows", h), rows[h], images, p)
		}
		for w, p := range map[int]float64{4: 0.125, 5: 0.25, 6: 0.25, 7: 0.25, 8: 0.125} {
			binomial(t, fmt.Sprintf("%d columns", w), columns[w], images, p)
		}
		for top := range 8 {
			binomial(t, fmt.Sprintf("3 rows from row %d on", top), tops[top], rows[3], 1./8)
		}
	})
}

// The whole image goes where the side is 1, nothing where it is 0.
func TestEraseExtremes(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for side, want := range map[float64]float32{0: 0.5, 1: 0} {
			out := damage(t, b, corrupt.Chain{&corrupt.Erase{Count: 2, Side: corrupt.Fixed(side)}}, 0.5, 1, 3, 7, 9, 2)
			if slices.ContainsFunc(out, func(v float32) bool { return v != want }) {
				t.Errorf("side %g: not all pixels are %v", side, want)
			}
		}
	})
}

// Blur is SciPy's gaussian_filter, scaling Pillow's reduce and resize; see testdata/golden.py.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Kind, Text              string
		Number                  float64
		Height, Width, Channels int
		Clean                   []int
		Damaged                 []float32
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, c := range cases {
			var chain corrupt.Chain
			switch c.Kind {
			case "blur":
				chain = corrupt.Chain{&corrupt.Blur{Sigma: corrupt.Fixed(c.Number)}}
			case "downscale":
				chain = corrupt.Chain{&corrupt.Downscale{Factor: int(c.Number), Upscale: c.Text}}
			}
			x := make([]float32, len(c.Clean))
			for i, v := range c.Clean {
				x[i] = float32(v)/127.5 - 1
			}
			got := apply(t, b, chain, x, random.NewSeed(1), 1, c.Height, c.Width, c.Channels)
			if distance := furthest(got, c.Damaged); distance > 1e-5 {
				t.Errorf("%s %s: furthest from it by %g", chain.Caption(), c.Text, distance)
			}
		}
	})
}

// Sigma 0 is no blur, and a large one the mean.
func TestBlurExtremes(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		dims := []int{2, 9, 6, 1}
		x := noise(dims...)
		if got := apply(t, b, corrupt.Chain{&corrupt.Blur{}}, x, random.NewSeed(1), dims...); furthest(got, x) > 1e-6 {
			t.Errorf("sigma 0 changes a pixel by %g", furthest(got, x))
		}
		got := apply(t, b, corrupt.Chain{&corrupt.Blur{Sigma: corrupt.Fixed(1000)}}, x, random.NewSeed(1), dims...)
		for i := range 2 {
			mean, _ := moments(x[i*54:][:54])
			mine, spread := moments(got[i*54:][:54])
			within(t, "mean", mine, mean, 1e-4)
			within(t, "spread", spread, 0, 1e-4)
		}
	})
}

// The levels are evenly spaced from -1 to 1, each pixel goes to the nearest, and the ends are levels.
func TestQuantise(t *testing.T) {
	x := []float32{-1, -0.68, -0.66, -0.01, 0.01, 0.65, 0.68, 1, 1.5, -7}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for levels, want := range map[int][]float32{
			2: {-1, -1, -1, -1, 1, 1, 1, 1, 1, -1},
			3: {-1, -1, -1, 0, 0, 1, 1, 1, 1, -1},
			4: {-1, -1. / 3, -1. / 3, -1. / 3, 1. / 3, 1. / 3, 1, 1, 1, -1},
		} {
			if levels == 4 {
				want[1] = -1 // -2/3 lies between the two
			}
			got := apply(t, b, corrupt.Chain{&corrupt.Quantise{Levels: levels}}, x, random.NewSeed(1), 1, 2, 5, 1)
			if distance := furthest(got, want); distance > 1e-6 {
				t.Errorf("%d levels: %v, want %v", levels, got, want)
			}
		}
		// All bytes are levels of 256.
		all := make([]uint8, 256)
		for i := range all {
			all[i] = uint8(i)
		}
		got := apply(t, b, corrupt.Chain{&corrupt.Quantise{Levels: 256}}, asFloats(all), random.NewSeed(1), 1, 16, 16, 1)
		if distance := furthest(got, asFloats(all)); distance > 1e-6 {
			t.Errorf("256 levels change a byte by %g", distance)
		}
	})
}

// Masked values of a row of many, as of a table, compile: XLA went on for ever with what masks patches.
func TestMaskingOfRows(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		out := damage(t, b, corrupt.Chain{&corrupt.Masking{Probability: corrupt.Fixed(0.3), Patch: 1, Value: 0}}, 1, 1, 64, 1, 100, 1)
		masked := 0
		for _, x := range out {
			if x == 0 {
				masked++
			}
		}
		binomial(t, "masked", masked, len(out), 0.3)
	})
}

// Coarse noise has the same variance at each pixel, wherever the grid lies, and the covariance of two pixels is that of linear
// interpolation: high for neighbours, nothing for those two squares apart. Channels have their own.
func TestCoarseNoise(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		const images, side, channels, factor, grain = 4000, 14, 2, 0.4, 4
		out := damage(t, b, corrupt.Chain{&corrupt.CoarseNoise{NoiseFactor: corrupt.Fixed(factor), Grain: grain}}, 0, 1, images, side, side, channels)
		covariance := func(y1, x1, c1, y2, x2, c2 int) float64 {
			sum := 0.0
			for i := range images {
				at := func(y, x, c int) float64 { return float64(out[((i*side+y)*side+x)*channels+c]) }
				sum += at(y1, x1, c1) * at(y2, x2, c2)
			}
			return sum / images / (factor * factor)
		}
		const tolerance = 5 * 1.5 / 63.2 // five standard errors of a variance: √2/√4000
		for _, at := range [][2]int{{0, 0}, {3, 5}, {13, 13}} {
			within(t, "variance", covariance(at[0], at[1], 0, at[0], at[1], 0), 1, tolerance)
		}
		within(t, "covariance of neighbours", covariance(6, 6, 0, 6, 7, 0), interpolated(1./grain), tolerance)
		within(t, "covariance at half a square", covariance(6, 6, 0, 8, 6, 0), interpolated(2./grain), tolerance)
		within(t, "covariance at two squares", covariance(2, 6, 0, 10, 6, 0), 0, tolerance)
		within(t, "covariance of channels", covariance(6, 6, 0, 6, 6, 1), 0, tolerance)
	})
}

// interpolated is the covariance of two values, d < 1 apart, of a line between normal draws at whole places, each with the variance 1 and
// the line's start anywhere: the mean over starts u of the product of their weights, by sums over a fine grid.
func interpolated(d float64) float64 {
	weights := func(at float64) (w [3]float64) {
		for k := range w {
			w[k] = max(0, 1-math.Abs(at-float64(k)))
		}
		norm := math.Sqrt(w[0]*w[0] + w[1]*w[1] + w[2]*w[2])
		for k := range w {
			w[k] /= norm
		}
		return w
	}
	const steps = 1000
	sum := 0.0
	for i := range steps {
		u := (float64(i) + 0.5) / steps
		a, b := weights(u), weights(u+d)
		sum += a[0]*b[0] + a[1]*b[1] + a[2]*b[2]
	}
	return sum / steps
}
