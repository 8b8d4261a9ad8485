package disentangle_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"latent/pkg/dataset"
	"latent/pkg/disentangle"
)

// samples are codes that code makes of draws of three factors, of 4, 5 and 2 values.
func samples(n int, code func(values [3]float64, noise *rand.Rand) []float64) (*mat.Dense, *dataset.Factors) {
	factors := &dataset.Factors{Names: []string{"a", "b", "c"}, Sizes: []int{4, 5, 2}}
	draws := rand.New(rand.NewPCG(7, 7))
	var rows []float64
	for range n {
		var values [3]float64
		for k, size := range factors.Sizes {
			value := draws.IntN(size)
			factors.Values = append(factors.Values, uint8(value))
			values[k] = float64(value)
		}
		rows = append(rows, code(values, draws)...)
	}
	return mat.NewDense(n, len(rows)/n, rows), factors
}

// A value of the code for each factor, and one of noise: everything is told apart.
func apart(values [3]float64, noise *rand.Rand) []float64 {
	return []float64{-values[1], 0.01 * noise.NormFloat64(), values[2] + 3, 2 * values[0]}
}

// Two factors are turned into each other by 45°, and the third is there twice.
func mixed(values [3]float64, _ *rand.Rand) []float64 {
	a, b := values[0]/3, values[1]/4
	return []float64{a + b, a - b, values[2], values[2]}
}

func TestApart(t *testing.T) {
	codes, factors := samples(4000, apart)
	if got := disentangle.MIG(codes, factors); got < 0.97 {
		t.Errorf("MIG %g, want 1", got)
	}
	if got := disentangle.FactorVAE(codes, factors, 1); got != 1 {
		t.Errorf("FactorVAE score %g, want 1", got)
	}
	if got := disentangle.DCI(codes, factors, 1); min(got.Disentanglement, got.Completeness, got.Informativeness) < 0.99 {
		t.Errorf("DCI %+v, want 1 each", got)
	}
}

func TestMixed(t *testing.T) {
	codes, factors := samples(4000, mixed)
	if got := disentangle.MIG(codes, factors); got > 0.1 {
		t.Errorf("MIG %g, want next to nothing", got)
	}
	got := disentangle.DCI(codes, factors, 1)
	// Each of the first two values is of two factors, so disentangled by 1 − log 2/log 3, and the others by 1; importances of a factor
	// add up to 1.
	want := (2*(1-math.Log(2)/math.Log(3)) + 1) / 3
	if math.Abs(got.Disentanglement-want) > 0.05 || got.Informativeness < 0.9 {
		t.Errorf("DCI %+v, want a disentanglement of %.3f, and factors that are told", got, want)
	}
}

// The mutual information of a table that is counted by hand: a code that is the factor's lowest bit.
func TestMIG(t *testing.T) {
	factors := &dataset.Factors{Names: []string{"a"}, Sizes: []int{4}, Values: []uint8{0, 1, 2, 3, 0, 1, 2, 3}}
	codes := mat.NewDense(8, 2, []float64{0, 5, 1, 5, 0, 5, 1, 5, 0, 5, 1, 5, 0, 5, 1, 5})
	// I = log 2 of log 4, and the second value knows nothing.
	if got := disentangle.MIG(codes, factors); math.Abs(got-0.5) > 1e-12 {
		t.Errorf("MIG %g, want 0.5", got)
	}
}

// Codes that never vary say nothing, and break nothing.
func TestConstant(t *testing.T) {
	codes, factors := samples(100, func([3]float64, *rand.Rand) []float64 { return []float64{1, 1} })
	if got := disentangle.MIG(codes, factors) + disentangle.FactorVAE(codes, factors, 1); got != 0 {
		t.Errorf("MIG and FactorVAE score add up to %g, want 0", got)
	}
	if got := disentangle.DCI(codes, factors, 1); got.Disentanglement != 0 || got.Completeness != 0 {
		t.Errorf("DCI %+v, want 0", got)
	}
}

// Of codes that have a value for each factor, all figures are 1.
func Example() {
	codes, factors := samples(4000, apart)
	fmt.Printf("%.2f %.2f\n", disentangle.MIG(codes, factors), disentangle.FactorVAE(codes, factors, 1))
	// Output: 1.00 1.00
}
