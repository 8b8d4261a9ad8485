package restore

import (
	"math"
	"math/rand/v2"
	"testing"
)

// scene is a picture of two channels, flat on the left and of strong waves on the right, with noise of a standard deviation: what is clean
// and what is noisy, [height, width, channel].
func scene(width, height int, sigma float64) (clean, noisy []float32) {
	draw := rand.New(rand.NewPCG(1, 2))
	for range height {
		for x := range width {
			for c := range 2 {
				v := 0.1 * float64(c)
				if x >= width/2 {
					v += 0.5 * math.Sin(float64(x)/3)
				}
				clean = append(clean, float32(v))
				noisy = append(noisy, float32(v+sigma*draw.NormFloat64()))
			}
		}
	}
	return clean, noisy
}

// The noise of a picture is found to 5 %, though half of the picture has waves.
func TestNoiseVariance(t *testing.T) {
	_, noisy := scene(160, 120, 0.2)
	for c := range 2 {
		if sigma := math.Sqrt(float64(noiseVariance(noisy, 160, 120, 2, c))); !(math.Abs(sigma-0.2) < 0.01) {
			t.Errorf("channel %d: noise of %g, want 0.2", c, sigma)
		}
	}
	if v := noiseVariance([]float32{1, 2, 3}, 3, 1, 1, 0); v != 0 {
		t.Errorf("a row has the variance %g", v)
	}
}

// Recover is the formula at each pixel, and gives back what is picture: of a model that makes everything flat, most of the waves come
// back, and of the noise where nothing else is hardly any.
func TestRecover(t *testing.T) {
	const width, height, channels = 64, 48, 2
	clean, noisy := scene(width, height, 0.1)
	restored := make([]float32, len(noisy))
	for i := range restored {
		restored[i] = 0.1 * float32(i%channels)
	}
	flat := append([]float32(nil), restored...)
	Recover(restored, noisy, width, height, channels)

	weight := func(d int) float64 { return math.Exp(-float64(d*d) / (2 * recoverRadius * recoverRadius)) }
	for _, at := range [][3]int{{0, 0, 0}, {40, 20, 0}, {31, 47, 1}, {63, 10, 1}} {
		x, y, c := at[0], at[1], at[2]
		energy, sum := 0.0, 0.0
		for dy := -18; dy <= 18; dy++ {
			for dx := -18; dx <= 18; dx++ {
				i := (mirrored(y+dy, height)*width+mirrored(x+dx, width))*channels + c
				r := float64(noisy[i] - flat[i])
				energy += weight(dx) * weight(dy) * r * r
				sum += weight(dx) * weight(dy)
			}
		}
		energy /= sum
		variance := float64(noiseVariance(noisy, width, height, channels, c))
		i := (y*width+x)*channels + c
		want := float64(flat[i]) + math.Max(0, 1-variance/energy)*float64(noisy[i]-flat[i])
		if got := float64(restored[i]); !(math.Abs(got-want) < 1e-5) {
			t.Errorf("pixel %v is %g, want %g", at, got, want)
		}
	}

	squared := func(values []float32, right bool) float64 {
		sum := 0.0
		for i, v := range values {
			if x := i / channels % width; (x >= width/2+18) == right && (right || x < width/2-18) {
				sum += float64(v-clean[i]) * float64(v-clean[i])
			}
		}
		return sum
	}
	if before, after := squared(flat, true), squared(restored, true); !(after < 0.15*before) {
		t.Errorf("squared error where waves are: %g, before %g", after, before)
	}
	if noise, after := squared(noisy, false), squared(restored, false); !(after < 0.1*noise) {
		t.Errorf("squared error where nothing is: %g, of the noise %g", after, noise)
	}
}
