package corrupt_test

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"latent/pkg/corrupt"
	"latent/pkg/corrupt/corrupttest"
	"latent/pkg/random"
)

// suite holds every kind with its defaults, and what differs in the graph.
func suite() map[string]corrupt.Chain {
	chains := map[string]corrupt.Chain{
		"patches":  {&corrupt.Masking{Probability: corrupt.Range{0.3, 0.8}, Patch: 7, Value: 0.5}},
		"nearest":  {&corrupt.Downscale{Factor: 3, Upscale: "nearest"}},
		"tiled":    {tiled},
		"picture":  {picture},
		"repeated": {&corrupt.Erase{Count: 3, Side: corrupt.Range{0.1, 0.4}}, &corrupt.Blur{Sigma: corrupt.Range{0, 2}}, &corrupt.None{}},
	}
	for name, make := range corrupt.Kinds {
		chains[name] = corrupt.Chain{make()}
	}
	return chains
}

// drawNothing are chains of the suite that no key changes.
var drawNothing = []string{"none", "blur", "downscale", "nearest", "quantise"}

// TestSuite holds what is promised of every corruption.
func TestSuite(t *testing.T) {
	for name, chain := range suite() {
		t.Run(name, func(t *testing.T) {
			corrupttest.Run(t, corrupttest.Case{Chain: chain, DrawsNothing: slices.Contains(drawNothing, name)})
		})
	}
}

// noise is random bytes mapped to [-1, 1].
func noise(dims ...int) []float32 {
	pixels := make([]uint8, shapes.Make(dtypes.Float32, dims...).Size())
	for i := range pixels {
		pixels[i] = uint8(random.NewSeed(12).Block(uint32(i), 0)[0])
	}
	return asFloats(pixels)
}

// asFloats maps bytes to [-1, 1].
func asFloats(pixels []uint8) []float32 {
	x := make([]float32, len(pixels))
	for i, v := range pixels {
		x[i] = float32(v)/127.5 - 1
	}
	return x
}

// furthest is the largest distance between two elements.
func furthest(a, b []float32) float64 {
	most := 0.0
	for i := range a {
		most = max(most, math.Abs(float64(a[i]-b[i])))
	}
	return most
}

func TestLocal(t *testing.T) {
	local := []string{"blind-spot", "salt-and-pepper", "masking", "erase", "watermark"}
	for name, make := range corrupt.Kinds {
		if got, want := (corrupt.Chain{make()}).Local(), slices.Contains(local, name); got != want {
			t.Errorf("%s: local is %v", name, got)
		}
	}
	for _, c := range []struct {
		chain corrupt.Chain
		want  bool
	}{
		{nil, false},
		{corrupt.Chain{&corrupt.None{}}, false},
		{corrupt.Chain{&corrupt.None{}, &corrupt.Masking{}}, true},
		{corrupt.Chain{&corrupt.Masking{}, &corrupt.Erase{}}, true},
		{corrupt.Chain{&corrupt.Masking{}, &corrupt.Blur{}}, false},
	} {
		if got := c.chain.Local(); got != c.want {
			t.Errorf("%s: local is %v", c.chain.Caption(), got)
		}
	}
}
