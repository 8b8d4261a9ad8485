package random

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Key is a [Seed] inside a graph. The zero Key is not valid; see [KeyFromNode].
type Key struct {
	k0, k1 *Node // uint32 scalars
	row    *Node // uint32, the first row of draws, a scalar; or each row, a vector; nil for the rows from 0 on
}

// KeyFromNode returns the key held by a node: [2] uint32, as Seed holds it. A key that enters the program as an input
// leaves the program the same for every seed.
func KeyFromNode(seed *Node) Key {
	seed.AssertDims(2)
	word := func(i int) *Node { return Reshape(Slice(seed, AxisElem(i))) }
	return Key{k0: word(0), k1: word(1)}
}

// Child returns the key of stream i below k, the same as [Seed.Child].
func (k Key) Child(i int) Key { return k.At(Scalar(k.k0.Graph(), dtypes.Uint32, uint32(i))) }

// At returns the key of a stream whose number is known only when the program runs, such as the step.
// i: uint32 scalar.
func (k Key) At(i *Node) Key {
	x0, x1 := k.block(i, Scalar(i.Graph(), dtypes.Uint32, childMark))
	return Key{k0: x0, k1: x1, row: k.row}
}

// From returns the key for a part of each draw: the rows from first on, where a row is an element of the first axis. A
// batch that is split over devices so gets the noise of the whole one. first: uint32 scalar.
func (k Key) From(first *Node) Key {
	k.row = first
	return k
}

// Rows returns the key for draws of these rows, in this order: row r of a draw is the same wherever it is drawn.
// rows: [rows] uint32, as many as the first axis of the draws to come.
func (k Key) Rows(rows *Node) Key {
	rows.AssertRank(1)
	k.row = rows
	return k
}

// block is [Seed.Block] on nodes of one shape, or scalars.
func (k Key) block(c0, c1 *Node) (x0, x1 *Node) {
	g := c0.Graph()
	keys := [3]*Node{k.k0, k.k1, BitwiseXor(Scalar(g, dtypes.Uint32, parity), BitwiseXor(k.k0, k.k1))}
	x0, x1 = Add(c0, keys[0]), Add(c1, keys[1])
	for round := range rounds {
		x0 = Add(x0, x1)
		x1 = BitwiseXor(rotateLeft(x1, rotations[round/4%2][round%4]), x0)
		if round%4 == 3 {
			i := round/4 + 1
			x0 = Add(x0, keys[i%3])
			x1 = Add(x1, AddScalar(keys[(i+1)%3], uint32(i)))
		}
	}
	return x0, x1
}

func rotateLeft(x *Node, n int) *Node {
	return BitwiseOr(BitwiseShiftLeftScalar(x, uint32(n)), BitwiseShiftRightLogicalScalar(x, uint32(32-n)))
}

// Bits draws uint32 words, row by row, a row being an element of the first axis. With p pairs a row, row r has the counters
// from p r on; the first half of its words (rounded up) are the generator's first outputs, the rest its second outputs, at
// the same counters.
func (k Key) Bits(dims ...int) *Node {
	shape := shapes.Make(dtypes.Uint32, dims...)
	rows, words := dims[0], shape.Size()/dims[0]
	pairs := (words + 1) / 2
	counter := Iota(k.k0.Graph(), shapes.Make(dtypes.Uint32, rows*pairs), 0)
	switch {
	case k.row != nil && k.row.IsScalar():
		counter = Add(counter, MulScalar(k.row, uint32(pairs)))
	case k.row != nil:
		pair := Iota(k.k0.Graph(), shapes.Make(dtypes.Uint32, rows, pairs), 1)
		counter = Add(pair, MulScalar(ExpandAxes(k.row, -1), uint32(pairs)))
	}
	counter = Reshape(counter, rows, pairs)
	x0, x1 := k.block(counter, ZerosLike(counter))
	both := Concatenate([]*Node{x0, x1}, 1) // [rows, 2 · pairs]
	if words%2 == 1 {
		both = Slice(both, AxisRange(), AxisRange(0, words))
	}
	return Reshape(both, dims...)
}

// Uniform draws float32 numbers spread evenly over (0, 1), neither end among them: the odd multiples of 2⁻²⁴. [Seed.Uniform]
// spreads the same words over (-1, 1).
func (k Key) Uniform(dims ...int) *Node {
	step := ConvertDType(BitwiseShiftRightLogicalScalar(k.Bits(dims...), uint32(9)), dtypes.Int32)
	return MulScalar(AddScalar(ConvertDType(step, dtypes.Float32), 0.5), 0x1p-23)
}

// Below draws int32 numbers from 0 … n-1, the same as the host's: the high word of the product of a word and n. n is from 1
// to 2¹⁶, so that the product can be made of halves that 32 bits hold.
func (k Key) Below(n int, dims ...int) *Node {
	if n < 1 || n > 1<<16 {
		panic(fmt.Errorf("random: draw below %d, want 1 to 65536", n))
	}
	word := k.Bits(dims...)
	high := BitwiseShiftRightLogicalScalar(word, uint32(16))
	low := BitwiseAnd(word, Scalar(word.Graph(), dtypes.Uint32, uint32(0xffff)))
	// ⌊(2¹⁶ high + low) n / 2³²⌋: below 2¹⁶ · (2¹⁶ - 1) + 2¹⁶, so the sum does not overflow.
	carry := BitwiseShiftRightLogicalScalar(MulScalar(low, uint32(n)), uint32(16))
	return ConvertDType(BitwiseShiftRightLogicalScalar(Add(MulScalar(high, uint32(n)), carry), uint32(16)), dtypes.Int32)
}

// Normal draws float32 numbers from the standard normal distribution.
//
// Each takes one 32-bit word: a sign, and 31 bits of the probability p = P(|ε| ≥ |z|) of the tails, whose float32 is
// precise to 2⁻²⁴ relative however small p is. The largest magnitude that can come is 6.3 (p = 2⁻³²).
func (k Key) Normal(dims ...int) *Node {
	word := k.Bits(dims...)
	negative := BitwiseShiftRightLogicalScalar(word, uint32(31))
	magnitude := ConvertDType(BitwiseAnd(word, Scalar(word.Graph(), dtypes.Uint32, uint32(math.MaxInt32))), dtypes.Int32)
	p := MulScalar(AddScalar(ConvertDType(magnitude, dtypes.Float32), 0.5), 0x1p-31)
	z := normalQuantile(p)
	return Where(ConvertDType(negative, dtypes.Bool), Neg(z), z)
}

// normalQuantile returns z ≥ 0 with P(|ε| ≥ z) = p for a standard normal ε: √2 erf⁻¹(1 − p). p in (0, 1].
//
// With x = 1 − p and w = −log(1 − x²) = −log(p (2 − p)), erf⁻¹(x) is x times a polynomial in w − 2.5 where w < 5, and in
// √w − 3 beyond; the relative error is below 4·10⁻⁷.
//
// Source: Giles, "Approximating the erfinv function", GPU Computing Gems 2 (2012), single precision.
func normalQuantile(p *Node) *Node {
	w := Neg(Log(Mul(p, AddScalar(Neg(p), 2))))
	centre := polynomial(AddScalar(w, -2.5), 2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06,
		0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941)
	tail := polynomial(AddScalar(Sqrt(w), -3), -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844,
		0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682)
	x := OneMinus(p)
	return MulScalar(Mul(x, Where(LessThan(w, Scalar(w.Graph(), w.DType(), 5)), centre, tail)), math.Sqrt2)
}

// polynomial evaluates one at x, the coefficient of the highest power first (Horner).
func polynomial(x *Node, coefficients ...float64) *Node {
	sum := Scalar(x.Graph(), x.DType(), coefficients[0])
	for _, coefficient := range coefficients[1:] {
		sum = AddScalar(Mul(sum, x), coefficient)
	}
	return sum
}
