package dataset

import (
	"math"
	"slices"
	"testing"

	"latent/pkg/random"
	"latent/pkg/scale"
)

// synthSAE is a small world.
func synthSAE(change func(d *SynthSAE)) *SynthSAE {
	d := Kinds["synthsae"]().(*SynthSAE)
	d.Train, d.Test, d.Validation, d.Features, d.Dims, d.Orthogonal = 100, 20000, 10, 60, 16, 0
	change(d)
	return d
}

func loadSynthSAE(t *testing.T, d *SynthSAE) *Split {
	t.Helper()
	split, err := d.Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return split
}

// firing is how often a feature fires, and two fire together.
func firing(known *Known, n, a, b int) (first, second, both float64) {
	for i := range n {
		x, y := known.Fires.Has(i, a), known.Fires.Has(i, b)
		if x {
			first += 1 / float64(n)
		}
		if y {
			second += 1 / float64(n)
		}
		if x && y {
			both += 1 / float64(n)
		}
	}
	return first, second, both
}

// Without hierarchy, each feature fires as often as its probability says, correlated or not: a copula changes no marginal. Bounds are
// five standard deviations.
func TestSynthSAEFiring(t *testing.T) {
	for _, rank := range []int{0, 20} {
		d := synthSAE(func(d *SynthSAE) { d.Roots, d.Rank, d.Correlation, d.Deviation = 0, rank, 0.1, 0 })
		known := loadSynthSAE(t, d).Known
		for i := range d.Features {
			want := d.probability(i)
			got, _, _ := firing(known, d.Test, i, i)
			if bound := 5 * math.Sqrt(want*(1-want)/float64(d.Test)); math.Abs(got-want) > bound {
				t.Errorf("rank %d: feature %d fires in %g of the samples, want %g ± %g", rank, i, got, want, bound)
			}
		}
		if first, last := d.probability(0), d.probability(d.Features-1); first != d.Often || math.Abs(last-d.Seldom) > 1e-12 {
			t.Errorf("probabilities from %g to %g", first, last)
		}
	}
}

// In a hierarchy too: those below others make up for it, where they do not exclude each other.
func TestSynthSAECompensation(t *testing.T) {
	d := synthSAE(func(d *SynthSAE) {
		d.Roots, d.Branching, d.Depth, d.Rank, d.Exclusive, d.Often, d.Seldom = 4, 3, 2, 0, false, 0.6, 0.05
	})
	known := loadSynthSAE(t, d).Known
	for i := range d.Features {
		want := d.probability(i)
		got, _, _ := firing(known, d.Test, i, i)
		if bound := 5 * math.Sqrt(want*(1-want)/float64(d.Test)); math.Abs(got-want) > bound {
			t.Errorf("feature %d fires in %g of the samples, want %g ± %g", i, got, want, bound)
		}
	}
	// Two siblings of parts a and b of their parent, which exclude each other: each is to fire 1 + the other's part as often.
	two := &SynthSAE{Features: 3, Often: 0.5, Seldom: 0.1, Exponent: 1, Exclusive: true}
	a, b := two.probability(1)/0.5, two.probability(2)/0.5
	if got, want := two.conditional([]int32{-1, 0, 0}), []float64{0.5, a * (1 + b), b * (1 + a)}; !slices.EqualFunc(got, want, func(x, y float64) bool { return math.Abs(x-y) < 1e-12 }) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Features of one cause with a strong loading fire together more often than chance, or less.
func TestSynthSAECorrelation(t *testing.T) {
	d := synthSAE(func(d *SynthSAE) {
		d.Roots, d.Rank, d.Correlation, d.Features, d.Often, d.Seldom = 0, 1, 0.7, 4, 0.3, 0.2
	})
	w := newWorld(d)
	known := loadSynthSAE(t, d).Known
	told := 0
	for a := range d.Features {
		for b := range a {
			shared := w.loadings[a] * w.loadings[b] // the correlation of their normal draws
			if math.Abs(shared) < 0.1 {
				continue
			}
			told++
			first, second, both := firing(known, d.Test, a, b)
			if lift := both - first*second; lift*shared < 0 || math.Abs(lift) < 0.003 {
				t.Errorf("features %d and %d correlate by %.2f, and fire together by %.4f more than by chance", b, a, shared, lift)
			}
		}
	}
	if told == 0 {
		t.Fatal("no features correlate: the case says nothing")
	}
}

// In a hierarchy, a feature fires only where that above it does, and of those below one at most fires, each as often as its siblings
// where they are as probable.
func TestSynthSAEHierarchy(t *testing.T) {
	d := synthSAE(func(d *SynthSAE) { d.Roots, d.Branching, d.Depth, d.Rank, d.Often, d.Seldom = 3, 3, 2, 0, 0.6, 0.5 })
	w := newWorld(d)
	if want := []int32{-1, -1, -1, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4}; !slices.Equal(w.parents[:16], want) {
		t.Errorf("parents %v, want %v", w.parents[:16], want)
	}
	if last := slices.Max(w.parents); last != 11 {
		t.Errorf("feature %d has others below it, in a forest of two levels below 3 roots", last)
	}
	known := loadSynthSAE(t, d).Known
	counts := make([]float64, d.Features)
	for n := range d.Test {
		seen := map[int32]bool{}
		for i := range d.Features {
			if !known.Fires.Has(n, i) {
				continue
			}
			counts[i]++
			parent := w.parents[i]
			if parent < 0 {
				continue
			}
			if !known.Fires.Has(n, int(parent)) {
				t.Fatalf("sample %d: feature %d fires without %d above it", n, i, parent)
			}
			if seen[parent] {
				t.Fatalf("sample %d: feature %d fires beside another below %d", n, i, parent)
			}
			seen[parent] = true
		}
	}
	if spread := counts[3]/counts[5] - 1; math.Abs(spread) > 0.1 {
		t.Errorf("siblings fire %v times", counts[3:6])
	}
}

// A vector is the sum of its features, with magnitudes about their means; rows have unit length.
func TestSynthSAESum(t *testing.T) {
	d := synthSAE(func(d *SynthSAE) { d.Deviation, d.Test = 0, 200 })
	split := loadSynthSAE(t, d)
	w := newWorld(d)
	for n := range d.Test {
		want := make([]float64, d.Dims)
		for i := range d.Features {
			if split.Known.Fires.Has(n, i) {
				for j, x := range split.Known.At(i) {
					want[j] += w.means[i] * float64(x)
				}
			}
		}
		for j, got := range split.Test.At(n).Float32 {
			if math.Abs(float64(got)-want[j]) > 1e-4 {
				t.Fatalf("vector %d: %g, want %g", n, got, want[j])
			}
		}
	}
	for i := range d.Features {
		square := 0.0
		for _, x := range split.Known.At(i) {
			square += float64(x) * float64(x)
		}
		if math.Abs(square-1) > 1e-5 {
			t.Errorf("feature %d has length² %g", i, square)
		}
	}
	if w.means[0] != d.Magnitude || w.means[d.Features-1] != d.LastMagnitude {
		t.Errorf("magnitudes from %g to %g", w.means[0], w.means[d.Features-1])
	}
}

// The steps that move rows apart lower the sum of their squared products, which is at least features² / dims.
func TestOrthogonal(t *testing.T) {
	overlap := func(rows []float32, size int) (sum float64) {
		for a := 0; a < len(rows); a += size {
			for b := 0; b < len(rows); b += size {
				dot := 0.0
				for j := range size {
					dot += float64(rows[a+j]) * float64(rows[b+j])
				}
				sum += dot * dot
			}
		}
		return sum
	}
	const features, dims = 60, 16
	rows := unitRows(random.NewSeed(3).Normal(features*dims, 1), dims)
	before := overlap(rows, dims)
	for range 300 {
		next := apart(rows, dims)
		if overlap(next, dims) > overlap(rows, dims)+1e-4 {
			t.Fatal("a step moves rows towards each other")
		}
		rows = next
	}
	if least := float64(features*features) / dims; overlap(rows, dims) > least+0.2*(before-least) {
		t.Errorf("overlap %g at first, %g at last, %g at least", before, overlap(rows, dims), least)
	}
}

// A draw is below a probability exactly where it is, whether the table or the function decides it.
func TestInTail(t *testing.T) {
	for i, x := range random.NewSeed(1).Normal(20000, 3) {
		u := float64(random.NewSeed(2).Block(uint32(i), 0)[0]) * 0x1p-32
		if i%2 == 0 {
			u = tail(float64(x)) * (1 + 1e-9*float64(i%5-2)) // next to it
		}
		if got, want := inTail(u, float64(x)), u < tail(float64(x)); got != want {
			t.Fatalf("inTail(%g, %g) = %v", u, x, got)
		}
	}
	if !inTail(0.5, -100) || inTail(1e-9, 100) {
		t.Error("far out")
	}
}

// The parts are divided, scaled and named as those of other datasets, and a limit decides no vector.
func TestSynthSAELoad(t *testing.T) {
	all := loadSynthSAE(t, synthSAE(func(d *SynthSAE) { d.Test = 10 }))
	few := loadSynthSAE(t, synthSAE(func(d *SynthSAE) { d.Test, d.Train = 5, 50 }))
	if all.Train.Len() != 90 || all.Validation.Len() != 10 || all.Test.Len() != 10 || !all.Train.Vectors() {
		t.Errorf("%d, %d and %d vectors", all.Train.Len(), all.Validation.Len(), all.Test.Len())
	}
	if !slices.Equal(few.Test.At(4).Float32, all.Test.At(4).Float32) {
		t.Error("other numbers of vectors give other vectors")
	}
	if again := loadSynthSAE(t, synthSAE(func(d *SynthSAE) { d.Test = 10 })); again.Checksums["train"] != all.Checksums["train"] {
		t.Error("the same gives other vectors")
	}
	normed := loadSynthSAE(t, synthSAE(func(d *SynthSAE) { d.Scale = scale.Options{Kind: "norm"}; d.Train = 2000 }))
	square := 0.0
	for _, x := range normed.Train.Scaled(0, normed.Train.Len()) {
		square += float64(x) * float64(x) / float64(normed.Train.Len()*16)
	}
	if math.Abs(square-1) > 0.01 {
		t.Errorf("mean square %g of scale norm", square)
	}
}
