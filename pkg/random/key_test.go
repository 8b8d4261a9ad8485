package random_test

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
)

// draw runs build with the key of seed and returns what it draws.
func draw[T uint32 | int32 | float32](t testing.TB, b compute.Backend, seed random.Seed, build func(k random.Key) *Node) []T {
	t.Helper()
	output, err := ExecOnce(b, func(seed *Node) *Node { return build(random.KeyFromNode(seed)) }, seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[T](output)
}

// A key in a graph draws what the same seed draws on the host, for a child, a step, rows of an odd number of words, and a
// part of the rows.
func TestKeyDrawsAsSeed(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		seed := random.NewSeed(-7)
		const rows, words, pairs = 5, 7, 4
		var want []uint32
		for row := range uint32(rows) {
			for i := range uint32(words) {
				want = append(want, seed.Child(3).Child(5).Block(row*pairs+i%pairs, 0)[i/pairs])
			}
		}
		for first := range rows {
			got := draw[uint32](t, b.Compute, seed, func(k random.Key) *Node {
				constant := func(x uint32) *Node { return Const(k.Bits(1).Graph(), x) }
				return k.From(constant(uint32(first))).Child(3).At(constant(5)).Bits(rows-first, words)
			})
			if want := want[first*words:]; !slices.Equal(got, want) {
				t.Errorf("from row %d: got %x, want %x", first, got, want)
			}
		}
	})
}

// Numbers in (0, 1) and below n are those of the host's words, computed here in 64 bits, whatever part of the rows is drawn.
func TestUniformAndBelow(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		seed := random.NewSeed(77)
		const rows, words, pairs = 50, 5, 3
		const first = 20
		from := func(k random.Key) random.Key { return k.From(Const(k.Bits(1).Graph(), uint32(first))) }
		uniform := draw[float32](t, b.Compute, seed, func(k random.Key) *Node { return from(k).Uniform(rows-first, words) })
		for _, n := range []int{1, 3, 1000, 1 << 16} {
			below := draw[int32](t, b.Compute, seed, func(k random.Key) *Node { return from(k).Below(n, rows-first, words) })
			for i := range below {
				row, column := first+i/words, i%words
				word := seed.Block(uint32(row*pairs+column%pairs), 0)[column/pairs]
				if want := int32(uint64(word) * uint64(n) >> 32); below[i] != want {
					t.Fatalf("below %d: number %d is %d, want %d", n, i, below[i], want)
				}
				if want := (float32(word>>9) + 0.5) * 0x1p-23; uniform[i] != want || want <= 0 || want >= 1 {
					t.Fatalf("uniform: number %d is %v, want %v", i, uniform[i], want)
				}
			}
		}
		for _, n := range []int{0, 1<<16 + 1} {
			_, err := ExecOnce(b.Compute, func(seed *Node) *Node { return random.KeyFromNode(seed).Below(n, 1) }, seed[:])
			if err == nil {
				t.Errorf("drew below %d", n)
			}
		}
	})
}

// Rows in any order are those rows of the whole draw.
func TestRows(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		const words = 5
		places := []uint32{7, 0, 7, 3}
		whole := draw[float32](t, b.Compute, random.NewSeed(9), func(k random.Key) *Node { return k.Uniform(8, words) })
		got := draw[float32](t, b.Compute, random.NewSeed(9), func(k random.Key) *Node {
			return k.Rows(Const(k.Bits(1).Graph(), places)).Uniform(len(places), words)
		})
		for i, place := range places {
			if want := whole[place*words:][:words]; !slices.Equal(got[i*words:][:words], want) {
				t.Errorf("row %d: got %v, want %v", place, got[i*words:][:words], want)
			}
		}
	})
}

// The moments and tail quantiles of a million draws lie within five standard errors of the normal distribution's, and
// neighbouring elements, steps, streams and seeds are not correlated.
func TestNormal(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		const n, rowSize = 1 << 20, 1 << 10
		at := func(seed int64, stream int, step uint32) []float32 {
			return draw[float32](t, b.Compute, random.NewSeed(seed), func(k random.Key) *Node {
				k = k.Child(stream)
				return k.At(Const(k.Bits(1).Graph(), step)).Normal(n/rowSize, rowSize)
			})
		}
		z := at(1, 0, 0)

		moments := [5]float64{}
		beyond := map[float64]float64{1: 0, 2: 0, 3: 0, 4: 0}
		for _, v := range z {
			power := 1.0
			for i := range moments {
				moments[i] += power / n
				power *= float64(v)
			}
			for limit := range beyond {
				if math.Abs(float64(v)) > limit {
					beyond[limit]++
				}
			}
		}
		// The standard error of the k-th moment is √((E z²ᵏ − (E zᵏ)²) / n), with E z² = 1, E z⁴ = 3, E z⁶ = 15, E z⁸ = 105.
		for i, want := range map[int][2]float64{1: {0, 1}, 2: {1, 3 - 1}, 3: {0, 15}, 4: {3, 105 - 9}} {
			if bound := 5 * math.Sqrt(want[1]/n); math.Abs(moments[i]-want[0]) > bound {
				t.Errorf("moment %d: %g, want %g ± %g", i, moments[i], want[0], bound)
			}
		}
		for limit, count := range beyond {
			p := math.Erfc(limit / math.Sqrt2)
			if bound := 5 * math.Sqrt(n*p*(1-p)); math.Abs(count-n*p) > bound {
				t.Errorf("|z| > %g: %g draws, want %g ± %g", limit, count, n*p, bound)
			}
		}

		others := map[string][]float32{
			"next element":     append(z[1:len(z):len(z)], z[0]),
			"half a row on":    append(z[rowSize/2:len(z):len(z)], z[:rowSize/2]...),
			"next row":         append(z[rowSize:len(z):len(z)], z[:rowSize]...),
			"next step":        at(1, 0, 1),
			"next stream":      at(1, 1, 0),
			"next seed":        at(2, 0, 0),
			"seed 2³² further": at(1+1<<32, 0, 0),
		}
		for name, other := range others {
			sum := 0.0
			for i := range z {
				sum += float64(z[i]) * float64(other[i])
			}
			if correlation := sum / n; math.Abs(correlation) > 5/math.Sqrt(n) {
				t.Errorf("%s: correlation %g, want below %g", name, correlation, 5/math.Sqrt(n))
			}
		}
	})
}
