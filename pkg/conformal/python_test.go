package conformal

import (
	"math"
	"testing"

	"latent/pkg/pythontest"
)

// Adjusted p-values and ranges are SciPy's.
func TestSciPy(t *testing.T) {
	python := pythontest.Interpreter(t, "../anomaly/testdata/requirements.txt")
	var expect struct {
		Adjusted []struct{ P, Want []float64 }
		Realised []struct {
			Rate float64
			Size int
			Want [2]float64
		}
	}
	pythontest.Expect(t, python, "testdata/expect.py", &expect)
	for _, list := range expect.Adjusted {
		got, err := Adjusted(list.P)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range list.Want {
			if math.Abs(got[i]-want) > 1e-12 {
				t.Errorf("%g: adjusted to %g, want %g", list.P[i], got[i], want)
			}
		}
	}
	for _, want := range expect.Realised {
		low, high := numbered(t, want.Size, want.Rate).Realised()
		if math.Abs(low-want.Want[0]) > 1e-9 || math.Abs(high-want.Want[1]) > 1e-9 {
			t.Errorf("α %g, n %d: from %g to %g, want %g", want.Rate, want.Size, low, high, want.Want)
		}
	}
}
