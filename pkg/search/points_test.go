package search

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// tree is a space with every kind of parameter, and some that depend on others.
var tree = Space{
	{Name: "optimizer", Kind: Choice, Options: 3, Parent: -1},
	{Name: "rate", Kind: Float, Low: 1e-5, High: 1e-1, Log: true, Parent: -1},
	{Name: "momentum", Kind: Float, Low: 0, High: 0.9, Parent: 0, Option: 1},
	{Name: "layers", Kind: Int, Low: 1, High: 3, Parent: -1},
	{Name: "schedule", Kind: Choice, Options: 2, Parent: 0, Option: 1},
	{Name: "warmup", Kind: Int, Low: 1, High: 1000, Log: true, Parent: 4, Option: 1},
}

// Every strategy proposes points of the space, those of the same seed again, and as a function of the history: one that
// is shown all of it at once goes on as one that saw it grow.
func TestStrategies(t *testing.T) {
	for kind, method := range Strategies {
		t.Run(kind, func(t *testing.T) {
			start := func(seed int64) Strategy {
				s, err := method().New(tree, 1, seed)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			grown, other := start(1), start(2)
			same := true
			var h History
			for n := range 60 {
				p := grown.Ask(n, &h)
				for i, parameter := range tree {
					switch v := p[i]; {
					case !tree.Has(p, i):
						if !math.IsNaN(v) {
							t.Fatalf("trial %d has %s = %g, which is not there", n, parameter.Name, v)
						}
					case parameter.Kind == Choice && (v < 0 || v >= float64(parameter.Options)),
						parameter.Kind != Choice && !(v >= parameter.Low && v <= parameter.High),
						parameter.Kind != Float && v != math.Trunc(v):
						t.Fatalf("trial %d has %s = %g", n, parameter.Name, v)
					}
				}
				if n%7 == 0 {
					if again := start(1).Ask(n, &h); fmt.Sprint(again) != fmt.Sprint(p) {
						t.Fatalf("trial %d: a new strategy proposes %v, one that saw the history grow %v", n, again, p)
					}
				}
				same = same && fmt.Sprint(other.Ask(n, &h)) == fmt.Sprint(p)
				trial := Trial{Number: n, Point: p, State: Done, Values: []float64{math.Abs(math.Log(p[1] / 3e-3))}}
				switch n % 10 {
				case 3:
					trial.State, trial.Values = Failed, nil
				case 6:
					trial.State, trial.Curve = Pruned, []Report{{1, trial.Values[0]}}
				case 8:
					trial.Values[0] = math.NaN()
				}
				h.Told = append(h.Told, trial)
			}
			if same && kind != "grid" {
				t.Error("seeds 1 and 2 propose the same")
			}
		})
	}
}

// The draws of trials are independent of each other, though their generators differ by one: of 10,000 trials, each of 100
// boxes of two parameters of a trial, and of a parameter of one trial and the next, has its share, by χ² with 99 degrees
// of freedom (its 0.999 quantile is 148.2).
func TestRandomIsSpread(t *testing.T) {
	s, _ := (&Random{}).New(cube(2), 1, 7)
	var within, between [100]float64
	last := s.Ask(10000, nil)
	for n := range 10000 {
		p := s.Ask(n, nil)
		within[int(10*p[0])*10+int(10*p[1])]++
		between[int(10*p[0])*10+int(10*last[0])]++
		last = p
	}
	for name, counts := range map[string][100]float64{"within": within, "between": between} {
		sum := 0.0
		for _, count := range counts {
			sum += (count - 100) * (count - 100) / 100
		}
		if sum > 148.2 {
			t.Errorf("%s trials: χ² = %.1f", name, sum)
		}
	}
}

// The loops of a grid with a choice that decides what is there, written out.
func TestGridOrder(t *testing.T) {
	space := Space{
		{Name: "a", Kind: Choice, Options: 2, Parent: -1},
		{Name: "b", Kind: Int, Low: 1, High: 2, Parent: -1},
		{Name: "c", Kind: Float, Low: 1, High: 100, Log: true, Parent: 0, Option: 1},
	}
	want := "[[0 1 NaN] [0 2 NaN] [1 1 1] [1 1 10] [1 1 100] [1 2 1] [1 2 10] [1 2 100]]"
	s, err := (&Grid{Points: 3}).New(space, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	size := s.(Finite).Size()
	var points []Point
	for n := range size {
		points = append(points, s.Ask(n, nil))
	}
	for _, p := range points {
		p[2] = math.Round(p[2]*1e9) / 1e9
	}
	if got := fmt.Sprint(points); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if again := s.Ask(size, nil); fmt.Sprint(again) != fmt.Sprint(points[0]) {
		t.Errorf("after its end the grid goes on with %v", again)
	}
}

// A grid has no point twice, and shuffled has the same points in another order.
func TestGridIsWhole(t *testing.T) {
	// optimizer 0 and 2: 1 each; 1: 5 momenta, with schedule 0 (1) or 1 (5 warmups): 2 + 5·6; 5 rates, 3 layers.
	const want = (2 + 5*6) * 5 * 3
	var all [2][]string
	for i, shuffle := range []bool{false, true} {
		s, err := (&Grid{Points: 5, Shuffle: shuffle}).New(tree, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		if size := s.(Finite).Size(); size != want {
			t.Fatalf("size %d, want %d", size, want)
		}
		for n := range want {
			all[i] = append(all[i], fmt.Sprint(s.Ask(n, nil)))
		}
	}
	if slices.Equal(all[0], all[1]) {
		t.Error("shuffled is in the plain order")
	}
	for i := range all {
		slices.Sort(all[i])
		if n := len(slices.Compact(slices.Clone(all[i]))); n != want {
			t.Errorf("%d different points, want %d", n, want)
		}
	}
	if !slices.Equal(all[0], all[1]) {
		t.Error("shuffled has other points")
	}
}

func TestGridValues(t *testing.T) {
	for name, c := range map[string]struct {
		parameter Parameter
		points    int
		want      []float64
	}{
		"both ends":            {Parameter{Kind: Float, Low: 0.1, High: 0.3}, 3, []float64{0.1, 0.2, 0.3}},
		"one point":            {Parameter{Kind: Float, Low: 1, High: 100, Log: true}, 1, []float64{10}},
		"one value":            {Parameter{Kind: Float, Low: 0.1, High: 0.1, Log: true}, 4, []float64{0.1}},
		"few whole numbers":    {Parameter{Kind: Int, Low: 2, High: 4}, 5, []float64{2, 3, 4}},
		"many whole numbers":   {Parameter{Kind: Int, Low: 1, High: 9}, 3, []float64{1, 5, 9}},
		"whole numbers in log": {Parameter{Kind: Int, Low: 1, High: 256, Log: true}, 5, []float64{1, 4, 16, 64, 256}},
		"rounded to the same":  {Parameter{Kind: Int, Low: 1, High: 10, Log: true}, 9, []float64{1, 2, 3, 4, 6, 7, 10}},
		"choices":              {Parameter{Kind: Choice, Options: 7}, 2, []float64{0, 1, 2, 3, 4, 5, 6}},
	} {
		got := c.parameter.grid(c.points)
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b) }) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if _, err := Strategies["grid"]().New(cube(23), 1, 1); err == nil { // 5²³ > 2⁵³
		t.Error("a grid of 5²³ points is taken")
	}
}

// Unscrambled points are those of SciPy 1.17:
//
//	qmc.Sobol(64, scramble=False, bits=32).random(2048)[n, dimensions]
//	qmc.Halton(12, scramble=False).random(1001)[n, dimensions]
func TestQuasiAgainstSciPy(t *testing.T) {
	for n, want := range map[uint32][]float64{
		1:    {0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5},
		2:    {0.75, 0.25, 0.25, 0.25, 0.25, 0.25, 0.75},
		5:    {0.875, 0.875, 0.125, 0.875, 0.625, 0.375, 0.625},
		100:  {0.4140625, 0.2578125, 0.7734375, 0.0234375, 0.7578125, 0.7109375, 0.6484375},
		1023: {0.0009765625, 0.7529296875, 0.6123046875, 0.1396484375, 0.8662109375, 0.6318359375, 0.0400390625},
		2047: {0.00048828125, 0.62744140625, 0.93115234375, 0.11767578125, 0.35791015625, 0.79150390625, 0.98876953125},
	} {
		for i, dimension := range []int{0, 1, 2, 6, 20, 40, 63} {
			if got := float64(newSobol(dimension, 0).bits(n)) / (1 << 32); got != want[i] {
				t.Errorf("sobol point %d, dimension %d is %g, want %g", n, dimension, got, want[i])
			}
		}
	}
	plain := func(base int) []int {
		digits := make([]int, base)
		for i := range digits {
			digits[i] = i
		}
		return digits
	}
	for n, want := range map[int][]float64{
		10:   {0.3125, 0.37037037037037035, 0.08, 0.7692307692307693, 0.2702702702702703},
		100:  {0.1484375, 0.4115226337448559, 0.032, 0.7337278106508875, 0.704163623082542},
		1000: {0.0927734375, 0.3475080018289895, 0.00512, 0.9904415111515704, 0.04674945215485756},
	} {
		for i, base := range []int{2, 3, 5, 13, 37} {
			if got := newHalton(base, plain).at(n); math.Abs(got-want[i]) > 1e-15 {
				t.Errorf("halton point %d, base %d is %g, want %g", n, base, got, want[i])
			}
		}
	}
}

// quasiPoints are the first n points of a sequence in the unit cube.
func quasiPoints(t *testing.T, sequence string, d, n int, seed int64) []Point {
	t.Helper()
	s, err := (&QuasiRandom{Sequence: sequence}).New(cube(d), 1, seed)
	if err != nil {
		t.Fatal(err)
	}
	var points []Point
	for i := range n {
		points = append(points, s.Ask(i, nil))
	}
	return points
}

// Scrambled points keep their shares: of each bᵏ in a row, from a multiple of bᵏ on, each interval of b⁻ᵏ of a dimension
// of base b has one. Of Sobol's first two dimensions that holds for boxes of any 2ᵃ by 2ᵇ (a (0, m, 2)-net).
func TestScrambledStrata(t *testing.T) {
	one := func(name string, counts []int) {
		t.Helper()
		for box, count := range counts {
			if count != 1 {
				t.Fatalf("%s: box %d has %d points", name, box, count)
			}
		}
	}
	for seed := range int64(2) {
		points := quasiPoints(t, "sobol", 70, 1024, seed)
		for d := range 64 {
			for k := range 11 {
				counts := make([]int, 1<<k)
				for _, p := range points[1024-1<<k:] {
					counts[int(p[d]*float64(int(1)<<k))]++
				}
				one(fmt.Sprintf("seed %d, sobol, dimension %d, %d points", seed, d, 1<<k), counts)
			}
		}
		for a := range 11 {
			counts := make([]int, 1024)
			for _, p := range points {
				counts[int(p[0]*float64(int(1)<<a))<<(10-a)|int(p[1]*float64(int(1)<<(10-a)))]++
			}
			one(fmt.Sprintf("seed %d, sobol, boxes of 2^-%d", seed, a), counts)
		}
		for d, base := range []int{2, 3, 5, 7, 11, 13} {
			points := quasiPoints(t, "halton", 6, base*base, seed)
			counts := make([]int, base*base)
			for _, p := range points {
				counts[int(p[d]*float64(base*base))]++
			}
			one(fmt.Sprintf("seed %d, halton, base %d", seed, base), counts)
		}
		// Beyond the table: bases 3, 5, ….
		for d, base := range []int{3, 5, 7, 11, 13, 17} {
			counts := make([]int, base)
			for _, p := range points[:base] {
				counts[int(p[64+d]*float64(base))]++
			}
			one(fmt.Sprintf("seed %d, dimension %d", seed, 64+d), counts)
		}
	}
}

// Each place of a scrambled sequence is as likely as another: over seeds, the first point's mean is ½ and its variance
// 1/12, to five standard errors of 2000 seeds.
func TestScrambledIsUniform(t *testing.T) {
	const seeds = 2000
	for _, sequence := range []string{"sobol", "halton"} {
		for _, n := range []int{0, 37} {
			sum, squares, below := 0.0, 0.0, 0.0
			for seed := range int64(seeds) {
				s, _ := (&QuasiRandom{Sequence: sequence}).New(cube(3), 1, seed)
				u := s.Ask(n, nil)[2]
				sum += u / seeds
				_, fraction := math.Modf(u * (1 << 36))
				below += fraction / seeds
				squares += (u - 0.5) * (u - 0.5) / seeds
			}
			// The variance of u is 1/12, that of (u − ½)² 1/180.
			bound := 5 * math.Sqrt(1./12/seeds)
			if math.Abs(sum-0.5) > bound || math.Abs(below-0.5) > bound || math.Abs(squares-1./12) > 5*math.Sqrt(1./180/seeds) {
				t.Errorf("%s, point %d: mean %g, variance %g, mean of what is below 2^-36 %g", sequence, n, sum, squares, below)
			}
		}
	}
}

// The error of the mean of a smooth function over 128 points in 5 dimensions is far below that of random points, which is
// known: f = Π (1 + (u−½)/2) has mean 1 and variance (1 + 1/48)⁵ − 1. Measured: a 39th with sobol, a sixth with halton.
func TestQuasiIntegrates(t *testing.T) {
	const count, seeds = 128, 100
	random := math.Sqrt((math.Pow(1+1./48, 5) - 1) / count)
	for sequence, times := range map[string]float64{"sobol": 25, "halton": 4} {
		squares := 0.0
		for seed := range int64(seeds) {
			mean := 0.0
			for _, p := range quasiPoints(t, sequence, 5, count, seed) {
				product := 1.0
				for _, u := range p {
					product *= 1 + (u-0.5)/2
				}
				mean += product / count
			}
			squares += (mean - 1) * (mean - 1) / seeds
		}
		if got := math.Sqrt(squares); got*times > random {
			t.Errorf("%s: error %.2g, that of random points is %.2g", sequence, got, random)
		}
	}
}
