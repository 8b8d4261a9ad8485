package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// Activate applies the named function to every value of x.
//
//   - relu: max(x, 0)
//   - leaky_relu: x, and 0.01 x below 0
//   - gelu: x Φ(x), exact (Hendrycks & Gimpel 2016)
//   - silu: x σ(x)
//   - elu: x, and eˣ − 1 below 0
//   - tanh, sigmoid, linear
func Activate(name string, x *Node) *Node {
	switch name {
	case "relu":
		return MaxScalar(x, 0)
	case "leaky_relu":
		return Max(x, MulScalar(x, 0.01))
	case "gelu":
		return Mul(x, MulScalar(OnePlus(Erf(MulScalar(x, 0.7071067811865476))), 0.5))
	case "silu":
		return Mul(x, Sigmoid(x))
	case "elu":
		// The exponent is cut at 0: where x is large, eˣ overflows and its gradient, infinity times zero, is no number.
		// GoMLX has no gradient of Expm1.
		return Where(GreaterThan(x, ZerosLike(x)), x, MinusOne(Exp(MinScalar(x, 0))))
	case "tanh":
		return Tanh(x)
	case "sigmoid":
		return Sigmoid(x)
	case "linear":
		return x
	}
	panic(fmt.Errorf("unknown activation %q", name))
}

// ToPixels maps the values of a last layer to pixels in [-1, 1], by the name that OutputActivation returns: tanh; sigmoid, whose
// (0, 1) is stretched; linear; or clip, linear between the ends.
func ToPixels(output string, logits *Node) *Node {
	if output == "clip" {
		return MinScalar(MaxScalar(logits, -1), 1)
	}
	y := Activate(output, logits)
	if output == "sigmoid" {
		y = AddScalar(MulScalar(y, 2), -1)
	}
	return y
}
