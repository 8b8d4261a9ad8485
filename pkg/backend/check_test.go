package backend

import (
	"math"
	"strings"
	"testing"
)

// rounded keeps 10 bits of each value's fraction, as TF32 does.
func rounded(values []float32) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		unit := math.Pow(2, float64(math.Ilogb(float64(v))-10))
		out[i] = float32(math.RoundToEven(float64(v)/unit) * unit)
	}
	return out
}

// multiplied is the product of two n×n matrices in float64.
func multiplied(x, w []float32, n int) []float64 {
	out := make([]float64, n*n)
	for i := range n {
		for k := range n {
			for j := range n {
				out[i*n+j] += float64(x[i*n+k]) * float64(w[k*n+j])
			}
		}
	}
	return out
}

// What is allowed tells float32 from TF32.
func TestNear(t *testing.T) {
	const n = 256
	x, w := uniform(1, n*n), uniform(2, n*n)
	want := multiplied(x, w, n)
	float32s := func(values []float64) []float32 {
		out := make([]float32, len(values))
		for i, v := range values {
			out[i] = float32(v)
		}
		return out
	}
	exact := float32s(want)
	tf32 := float32s(multiplied(rounded(x), rounded(w), n))
	without, with := &Backend{}, &Backend{GPU: &GPU{TF32: true}}
	bad := append([]float32{}, exact...)
	bad[77] = float32(math.NaN())
	for name, c := range map[string]struct {
		b    *Backend
		got  []float32
		fits bool
	}{
		"float32":         {without, exact, true},
		"TF32, not asked": {without, tf32, false},
		"TF32":            {with, tf32, true},
		"not a number":    {with, bad, false},
		"zeros":           {with, make([]float32, n*n), false},
	} {
		detail, err := near(c.b, "x", 1, c.got, want)
		if (err == nil) != c.fits || !strings.Contains(detail, "allowed") {
			t.Errorf("%s: %q, %v", name, detail, err)
		}
	}
}

// Every computation of Examine is told of, also after one that went wrong; here the device is gone.
func TestExamineGoesOn(t *testing.T) {
	b, err := OpenInstalled("go", Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	failed := 0
	for r := range Examine(b) {
		if r.Err != nil {
			failed++
			if !strings.HasPrefix(r.Err.Error(), "check go: ") || strings.Contains(r.Err.Error(), "\n") {
				t.Errorf("%s: %v", r.Name, r.Err)
			}
		}
	}
	if failed != 4 {
		t.Errorf("%d of the 4 that need a device failed", failed)
	}
	for range Examine(b) {
		break // the caller may stop
	}
}
