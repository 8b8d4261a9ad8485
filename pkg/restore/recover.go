package restore

import (
	"math"
	"slices"
)

// recoverRadius is the standard deviation in pixels of the window over which Recover takes the energy of what the model took away.
const recoverRadius = 6

// Recover adds to a restored picture what the model took away of the picture itself: values are [height, width, channel], noisy those that
// the model was given.
//
// What it took away, r = x − y, is noise and some of the picture. Noise alone has the energy σ² everywhere; where r has more, about a
// pixel, the rest is picture, and Wiener's filter gives that part back:
//
//	y + max(0, 1 − σ²/m) r,   m = mean of r² about the pixel
//
// with the mean under a Gaussian window of 6 pixels, and of each channel σ² as the noisy picture itself tells it: from the median of the
// absolute differences across its diagonals, x₀₀ − x₀₁ − x₁₀ + x₁₁ of squares of 2×2 pixels, which of normal noise is 0.6745 · 2σ (Donoho &
// Johnstone 1994). Fine textures make σ too large, and what is given back too little.
//
// It rests on y knowing nothing of a pixel's own noise, as of a model that was trained on blind spots, whose output cannot hold what
// only the pixel itself tells (the combination of the two is that of Batson & Royer, "Noise2Self", ICML 2019, and Laine et al. 2019 with a
// variance of the picture's place). It wants noise that is independent from pixel to pixel, and of one strength in a picture.
func Recover(restored, noisy []float32, width, height, channels int) {
	plane := make([]float32, width*height)
	for c := range channels {
		variance := noiseVariance(noisy, width, height, channels, c)
		for i := range plane {
			r := noisy[i*channels+c] - restored[i*channels+c]
			plane[i] = r * r
		}
		Smooth(plane, width, height, recoverRadius)
		for i, energy := range plane {
			if energy > variance {
				restored[i*channels+c] += (1 - variance/energy) * (noisy[i*channels+c] - restored[i*channels+c])
			}
		}
	}
}

// noiseVariance estimates the variance of a channel's noise, 0 of a picture too small for that.
func noiseVariance(values []float32, width, height, channels, c int) float32 {
	var differences []float32
	at := func(x, y int) float32 { return values[(y*width+x)*channels+c] }
	for y := 0; y+1 < height; y += 2 {
		for x := 0; x+1 < width; x += 2 {
			d := at(x, y) - at(x+1, y) - at(x, y+1) + at(x+1, y+1)
			differences = append(differences, max(d, -d))
		}
	}
	if len(differences) == 0 {
		return 0
	}
	slices.Sort(differences)
	sigma := differences[len(differences)/2] / (2 * 0.6745)
	return sigma * sigma
}

// Smooth takes the mean under a Gaussian window of a standard deviation in pixels, cut off at three of them, in place. The picture is
// mirrored at its border.
func Smooth(plane []float32, width, height int, deviation float64) {
	weights := make([]float32, 2*int(math.Ceil(3*deviation))+1)
	radius := len(weights) / 2
	sum := float32(0)
	for i := range weights {
		d := float64(i-radius) / deviation
		weights[i] = float32(math.Exp(-d * d / 2))
		sum += weights[i]
	}
	for i := range weights {
		weights[i] /= sum
	}
	line := make([]float32, max(width, height))
	along := func(first, step, n int) {
		for i := range n {
			line[i] = plane[first+i*step]
		}
		for i := range n {
			mean := float32(0)
			for k, w := range weights {
				mean += w * line[mirrored(i+k-radius, n)]
			}
			plane[first+i*step] = mean
		}
	}
	for y := range height {
		along(y*width, 1, width)
	}
	for x := range width {
		along(x, width, height)
	}
}
