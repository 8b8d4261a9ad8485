package search

import "math"

// QuasiRandom spreads its points more evenly than random ones: of the first 2ᵏ points, each of 2ᵏ equal intervals of every parameter has
// one (Sobol), and so do many boxes of several parameters. It takes any space and any number of objectives, and results do not change what
// it proposes. Each parameter has a separate dimension, whether it is present in a point or not.
type QuasiRandom struct {
	// Sequence is sobol or halton. sobol is most even at powers of two; halton is equally even at any number of trials. From the 65th
	// parameter on sobol uses halton's bases from 3 on.
	//
	// Sobol has the direction numbers of Joe & Kuo 2008 and Owen's nested scrambling (Owen 1995), halton the random permutations of digits
	// of Owen 2017, "A randomized Halton algorithm in R". The seed decides both.
	Sequence string `yaml:"sequence" enum:"sobol,halton"`
}

// New starts it; it has no error.
func (q *QuasiRandom) New(space Space, _ int, seed int64) (Strategy, error) {
	return &quasi{space: space, dimensions: dimensions(q.Sequence, len(space), seed)}, nil
}

type quasi struct {
	space      Space
	dimensions []dimension
}

// dimension is one of a sequence of points in the unit cube: the place of point n in [0, 1).
type dimension interface{ at(n int) float64 }

// dimensions are so many of a sequence that the seed scrambles.
func dimensions(sequence string, count int, seed int64) []dimension {
	var all []dimension
	sobols, base := 0, 1
	if sequence == "sobol" {
		sobols, base = len(joeKuo)+1, 2 // base 2 is sobol's own
	}
	for i := range count {
		if i < sobols {
			all = append(all, newSobol(i, generator(seed, i).Uint64()))
			continue
		}
		base = nextPrime(base)
		all = append(all, newHalton(base, generator(seed, i).Perm))
	}
	return all
}

func (s *quasi) Ask(n int, _ *History) Point {
	p := make(Point, len(s.space))
	for i, parameter := range s.space {
		p[i] = math.NaN()
		if s.space.Has(p, i) {
			p[i] = parameter.At(s.dimensions[i].at(n))
		}
	}
	return p
}

// sobol is a dimension of the sequence of Sobol 1967, scrambled.
type sobol struct {
	directions [32]uint32
	key        uint64
}

// newSobol has the direction numbers of a dimension, from 0: v₍ⱼ₎ = mⱼ / 2ʲ with the first mⱼ of the table and
//
//	mⱼ = 2 a₁ mⱼ₋₁ ⊕ 4 a₂ mⱼ₋₂ ⊕ … ⊕ 2ˢ mⱼ₋ₛ ⊕ mⱼ₋ₛ
//
// where xˢ + a₁ xˢ⁻¹ + … + 1 is the dimension's polynomial over the field of two elements. Source: Joe & Kuo 2008,
// section 2.
func newSobol(dimension int, key uint64) *sobol {
	s := &sobol{key: key}
	for j := range s.directions {
		if dimension == 0 { // van der Corput's sequence
			s.directions[j] = 1 << (31 - j)
			continue
		}
		row := joeKuo[dimension-1]
		polynomial, start := row[0], row[1:]
		degree := len(start)
		if j < degree {
			s.directions[j] = start[j] << (31 - j)
			continue
		}
		v := s.directions[j-degree] ^ s.directions[j-degree]>>degree
		for k := 1; k < degree; k++ {
			if polynomial>>(degree-k)&1 == 1 {
				v ^= s.directions[j-k]
			}
		}
		s.directions[j] = v
	}
	return s
}

// bits is point n before it is scrambled, in 2⁻³², in the order of Gray's code (Antonov & Saleev 1979): the same points
// in each run of 2ᵏ as in the plain order.
func (s *sobol) bits(n uint32) uint32 {
	var x uint32
	gray := n ^ n>>1
	for j, v := range s.directions {
		if gray>>j&1 == 1 {
			x ^= v
		}
	}
	return x
}

// at scrambles: whether a bit is turned over is drawn for each value of the bits above it, so that intervals of 2⁻ᵏ
// change places and what is in them stays together. Below the 32 bits of the sequence it draws 20 more.
func (s *sobol) at(n int) float64 {
	x := s.bits(uint32(n))
	scrambled := x
	for level := range 32 {
		above := uint64(x) >> (32 - level)
		// The one above the bits says how many there are.
		if mix(s.key^mix(1<<level|above))&1 == 1 {
			scrambled ^= 1 << (31 - level)
		}
	}
	below := mix(s.key^mix(1<<32|uint64(x))) >> 44
	return float64(uint64(scrambled)<<20|below) / (1 << 52)
}

// mix spreads the bits of a number over all of it: the output function of SplitMix64 (Steele, Lea & Flood 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// halton is a dimension of the sequence of Halton 1960 with its digits permuted.
type halton struct {
	base   int
	digits [][]int // for each place behind the point, what becomes of a digit
}

// newHalton permutes the digits of as many places as float64 can tell apart. permute is rand's Perm.
func newHalton(base int, permute func(int) []int) *halton {
	h := &halton{base: base}
	for step := 1.0; step > 0x1p-52; step /= float64(base) {
		h.digits = append(h.digits, permute(base))
	}
	return h
}

// at is Σ π₍ₖ₎(dₖ) base⁻ᵏ⁻¹, n = Σ dₖ baseᵏ.
func (h *halton) at(n int) float64 {
	sum, step := 0.0, 1.0
	for _, permutation := range h.digits {
		step /= float64(h.base)
		sum += step * float64(permutation[n%h.base])
		n /= h.base
	}
	return math.Min(sum, 1-0x1p-53) // the sum of the largest digits may round to 1
}

// nextPrime is the first above n, from 1 on.
func nextPrime(n int) int {
next:
	for {
		n++
		for d := 2; d*d <= n; d++ {
			if n%d == 0 {
				continue next
			}
		}
		return n
	}
}
