package random_test

import (
	"math"
	"os"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
)

// Of 10⁸ draws, over a hundred steps of a run, the first four moments and the tails to 5 σ lie within five standard errors
// of the normal distribution's, and neither steps nor neighbouring elements nor seeds are correlated. It takes half a
// minute: set LATENT_LONG=1.
func TestNormalHundredMillion(t *testing.T) {
	if os.Getenv("LATENT_LONG") == "" {
		t.Skip("SKIPPED: takes half a minute; set LATENT_LONG=1")
	}
	b := backendtest.XLA(t)
	const steps, rows, columns = 100, 1250, 800
	const n = steps * rows * columns
	exec, err := NewExec(b.Compute, func(seed, step *Node) *Node {
		return random.KeyFromNode(seed).Child(2).At(step).Normal(rows, columns)
	})
	if err != nil {
		t.Fatal(err)
	}
	draw := func(seed random.Seed, step uint32) []float32 {
		outputs, err := exec.Call(seed[:], step)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](outputs[0])
	}

	var moments [5]float64
	var beyond [6]float64
	correlations := map[string]float64{}
	var before []float32
	for step := range uint32(steps) {
		z, other := draw(random.NewSeed(42), step), draw(random.NewSeed(43), step)
		for i, v := range z {
			x := float64(v)
			square := x * x
			moments[1] += x
			moments[2] += square
			moments[3] += x * square
			moments[4] += square * square
			for limit := 1; limit < len(beyond) && math.Abs(x) > float64(limit); limit++ {
				beyond[limit]++
			}
			if i >= columns {
				correlations["next row"] += x * float64(z[i-columns])
			}
			if i > 0 {
				correlations["next element"] += x * float64(z[i-1])
			}
			if i%columns >= columns/2 {
				correlations["other half of the row"] += x * float64(z[i-columns/2])
			}
			correlations["next seed"] += x * float64(other[i])
			if before != nil {
				correlations["next step"] += x * float64(before[i])
			}
		}
		before = z
	}

	// The standard error of the k-th moment is √((E z²ᵏ − (E zᵏ)²) / n), with E z² = 1, E z⁴ = 3, E z⁶ = 15, E z⁸ = 105.
	for k, want := range map[int][2]float64{1: {0, 1}, 2: {1, 3 - 1}, 3: {0, 15}, 4: {3, 105 - 9}} {
		if got, bound := moments[k]/n, 5*math.Sqrt(want[1]/n); math.Abs(got-want[0]) > bound {
			t.Errorf("moment %d is %g, want %g ± %g", k, got, want[0], bound)
		}
	}
	for limit, count := range beyond[1:] {
		p := math.Erfc(float64(limit+1) / math.Sqrt2)
		if bound := 5 * math.Sqrt(n*p*(1-p)); math.Abs(count-n*p) > bound {
			t.Errorf("beyond %d σ: %g draws, want %g ± %g", limit+1, count, n*p, bound)
		}
	}
	for name, sum := range correlations {
		if bound := 5 / math.Sqrt(n); math.Abs(sum/n) > bound {
			t.Errorf("%s: correlation %g, want below %g", name, sum/n, bound)
		}
	}
}
