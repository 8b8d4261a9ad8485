// Package random draws random numbers that depend on nothing but their key:
// the same on every backend, however often a run is cut and resumed.
//
// The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror & Shaw,
// "Parallel random numbers: as easy as 1, 2, 3", SC 2011), a bijection of a
// 64-bit counter under a 64-bit key, built from 32-bit additions, rotations and
// exclusive-ors. It keeps no state: element i of a draw is the generator's word
// i. [Seed] is a key on the host, [Key] the same key inside a graph:
//
//	root := random.NewSeed(42)                     // host; an input of the program, root[:]
//	noise := random.KeyFromNode(input)             // graph
//	ε := noise.At(step).Normal(batch, 28, 28, 1)   // another draw for every step
//
// Words are the same bits everywhere. Normals go through float32 arithmetic and
// agree between backends to rounding.
package random

import (
	"maps"
	"math"
	"math/bits"
	"slices"
)

// rotations are the rotation distances of Threefry-2x32: four rounds with the
// first row, four with the second, and again. Source: Salmon et al. 2011, table 4.
var rotations = [2][4]int{{13, 15, 26, 6}, {17, 29, 16, 24}}

// parity is Threefry's key-schedule constant for 32-bit words.
const parity uint32 = 0x1BD11BDA

// rounds is the number of rounds the paper recommends for Threefry-2x32.
const rounds = 20

// Seed is a key on the host.
type Seed [2]uint32

// NewSeed returns the root key of a seed.
func NewSeed(seed int64) Seed { return Seed{uint32(seed), uint32(uint64(seed) >> 32)} }

// Child returns the key of stream i below s. Keys of different streams share no draws, but for
// the chance of one in 2⁶⁴ that any two keys are equal.
func (s Seed) Child(i int) Seed { return s.Block(uint32(i), childMark) }

// childMark keeps the counters that derive keys apart from those that number a draw's words, whose second word is 0.
const childMark uint32 = 1

// Block returns the two words of the generator at the counter (c0, c1).
func (s Seed) Block(c0, c1 uint32) [2]uint32 {
	k0, k1, k2 := s[0], s[1], parity^s[0]^s[1]
	x0, x1 := c0+k0, c1+k1
	// Written out: with distances that the compiler knows, it is more than twice as fast as a loop over them.
	x0, x1 = fourRounds(x0, x1, 13, 15, 26, 6)
	x0, x1 = fourRounds(x0+k1, x1+k2+1, 17, 29, 16, 24)
	x0, x1 = fourRounds(x0+k2, x1+k0+2, 13, 15, 26, 6)
	x0, x1 = fourRounds(x0+k0, x1+k1+3, 17, 29, 16, 24)
	x0, x1 = fourRounds(x0+k1, x1+k2+4, 13, 15, 26, 6)
	return [2]uint32{x0 + k2, x1 + k0 + 5}
}

// fourRounds are rounds with these rotation distances, which are to be constants.
func fourRounds(x0, x1 uint32, a, b, c, d int) (uint32, uint32) {
	x0 += x1
	x1 = bits.RotateLeft32(x1, a) ^ x0
	x0 += x1
	x1 = bits.RotateLeft32(x1, b) ^ x0
	x0 += x1
	x1 = bits.RotateLeft32(x1, c) ^ x0
	x0 += x1
	x1 = bits.RotateLeft32(x1, d) ^ x0
	return x0, x1
}

// Uniform returns n numbers spread evenly over (-1, 1), none of them ±1 or 0: the odd multiples of 2⁻²³.
func (s Seed) Uniform(n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		word := s.Block(uint32(i), 0)[0]
		values[i] = (float32(word>>9)+0.5)*0x1p-22 - 1
	}
	return values
}

// Permutation returns the numbers 0 … n-1 in random order (Fisher–Yates). n is at most 2³¹.
func (s Seed) Permutation(n int) []int32 {
	order := make([]int32, n)
	for i := range order {
		j := s.Below(uint32(i), uint32(i)+1)
		order[i] = order[j]
		order[j] = int32(i)
	}
	return order
}

// Sample returns k of the numbers 0 … n-1 in rising order, every set of k equally likely, in time and memory that grow with k
// alone. k is at most n, and n at most 2³¹.
//
// Source: Floyd's algorithm; Bentley & Floyd, "A sample of brilliance", Communications of the ACM 30(9), 1987.
func (s Seed) Sample(n, k int) []int32 {
	taken := make(map[int32]bool, k)
	for last := n - k; last < n; last++ {
		number := int32(s.Below(uint32(last), uint32(last)+1))
		if taken[number] {
			number = int32(last)
		}
		taken[number] = true
	}
	return slices.Sorted(maps.Keys(taken))
}

// Below returns draw number c of numbers in [0, n). The product's high word favours some numbers by less than one in 2³² / n.
func (s Seed) Below(c, n uint32) uint32 {
	high, _ := bits.Mul32(s.Block(c, 0)[0], n)
	return high
}

// Normal returns n numbers from the normal distribution with mean 0 and this standard deviation.
//
// Box–Muller on pairs of words in float64.
func (s Seed) Normal(n int, deviation float64) []float32 {
	values := make([]float32, n)
	for i := range values {
		words := s.Block(uint32(i/2), 0)
		radius := math.Sqrt(-2 * math.Log((float64(words[0])+0.5)*0x1p-32))
		sin, cos := math.Sincos(2 * math.Pi * (float64(words[1]) + 0.5) * 0x1p-32)
		values[i] = float32(deviation * radius * [2]float64{cos, sin}[i%2])
	}
	return values
}
