package corrupt

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// Range is a strength that is drawn anew for each image, spread evenly from the first number to the second, or one fixed
// number where both are equal. A config writes 0.3, or [0.1, 0.6].
//
// Both numbers are inputs of the program: it is the same for a fixed strength and for a range.
type Range [2]float64

// Fixed is the range of one number.
func Fixed(x float64) Range { return Range{x, x} }

// String returns "0.3", or "0.1…0.6".
func (r Range) String() string {
	if r[0] == r[1] {
		return fmt.Sprintf("%g", r[0])
	}
	return fmt.Sprintf("%g…%g", r[0], r[1])
}

// Ends lists the ends of ranges, as [Corruption.Strengths] returns them.
func Ends(ranges ...Range) []float32 {
	var ends []float32
	for _, r := range ranges {
		ends = append(ends, float32(r[0]), float32(r[1]))
	}
	return ends
}

// Between maps u in (0, 1) to the i-th of the ranges that strengths hold. Fixed ranges give their number exactly.
func Between(strengths []*Node, i int, u *Node) *Node {
	low, high := strengths[2*i], strengths[2*i+1]
	return Add(low, Mul(Sub(high, low), u))
}
