package model

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// The positive normal float32 are a power of two, from leastNormal on, plus so many halves of it as the mantissa has bits.
const (
	leastNormal  = 0x1p-126
	exponentBits = 8
	mantissaBits = 23
)

// largest keeps the k largest of the positive values of each row, or of all rows together, and makes the others 0: [batch, values] →
// the same. Values that are equal to the last that is kept are kept too. Its gradient is that of the values that are kept.
//
// k: a whole number, a float32 scalar.
func largest(x, k *Node, together bool) *Node {
	kept := GreaterOrEqual(StopGradient(x), threshold(x, k, together))
	return Where(kept, x, ZerosLike(x))
}

// threshold returns the k-th largest of the positive values of each row, or the least normal float32 where fewer are positive:
// [batch, values] → [batch, 1]. Of all rows together it is one, [1, 1]. It has no gradient. k: see [largest].
//
// It builds the threshold from its highest bit to its lowest, and in each of 31 steps counts the values that are as large as it would
// be. Sums of powers of two are exact, so that it needs neither integers nor a sort, and can be written as ONNX. The counts are products
// with a vector of ones, which XLA computes on a CPU several times faster than sums; they are exact up to 2²⁴ values of a row, or of all
// rows together. For rows of 256 to 1,024 values it takes a fifth to a half of a sort's time there; for 4,096, whose comparisons leave the
// processor's cache, three to four times as long: go test ./pkg/model -run '^$' -bench TopK.
func threshold(x, k *Node, together bool) *Node {
	return raised(x, k, together, leastNormal, exponentBits, mantissaBits)
}

// near is threshold of rows whose positive values lie from 1 to below 2, to so many bits: the threshold is at most 2^−bits too low, and
// values that are closer than that to the k-th count as equal to it.
func near(x, k *Node, bits int) *Node { return raised(x, k, false, 1, 0, bits) }

// raised is the threshold that begins as first, a power of two.
func raised(x, k *Node, together bool, first float64, exponentBits, mantissaBits int) *Node {
	x, k = StopGradient(x), Reshape(StopGradient(k), 1, 1)
	ones := OnesLike(Reshape(Slice(x, AxisElem(0)), -1, 1)) // [values, 1]
	count := func(t *Node) *Node {                          // like t
		n := MatMul(ConvertDType(GreaterOrEqual(x, t), x.DType()), ones)
		if together {
			n = ReduceAndKeep(n, ReduceSum, 0)
		}
		return n
	}
	t := MulScalar(OnesLike(Slice(x, AxisRange(), AxisRange(0, 1))), first)
	if together {
		t = Slice(t, AxisRange(0, 1), AxisRange())
	}
	k = BroadcastToDims(k, t.Shape().Dimensions...)
	raise := func(higher *Node) { t = Where(GreaterOrEqual(count(higher), k), higher, t) }
	for bit := exponentBits - 1; bit >= 0; bit-- {
		half := math.Ldexp(1, 1<<bit/2) // 2^128 is no float32, and its root is
		if bit == 0 {
			raise(MulScalar(t, 2))
			continue
		}
		raise(MulScalar(MulScalar(t, half), half))
	}
	power := t
	for bit := 1; bit <= mantissaBits; bit++ {
		raise(Add(t, MulScalar(power, math.Ldexp(1, -bit))))
	}
	return t
}
