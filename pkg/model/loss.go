package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// Loss is how a reconstruction is compared with the clean image.
type Loss struct {
	// Kind is mse, mae, bce or huber.
	Kind string
	// HuberDelta is the error at which huber turns from squared to linear.
	HuberDelta float64
	// Damaged takes the mean over the pixels that were damaged, not over all.
	Damaged bool
	// Perceptual is compared beside it, also beside a loss that a model has of its own; nil for none.
	Perceptual *Perceptual
}

// Strengths lists the numbers that enter the compiled program as inputs, so that another value compiles nothing anew.
func (l Loss) Strengths() []float32 {
	var strengths []float32
	if l.Kind == "huber" {
		strengths = append(strengths, float32(l.HuberDelta))
	}
	if l.Perceptual != nil { // the last
		strengths = append(strengths, float32(l.Perceptual.Weight))
	}
	return strengths
}

// Features tells which classifier the loss compares by, "" without one: what is compiled for one is not for another.
func (l Loss) Features() string {
	if l.Perceptual == nil {
		return ""
	}
	return l.Perceptual.SHA256
}

// PerImage returns the loss of each image: the mean over its pixels or, with Damaged, over those where mask is 1, on all
// channels; 0 where there are none. What a masked autoencoder learns is what it did not see (He et al. 2022, section 3).
//
//	mse    (y − x)²
//	mae    |y − x|
//	huber  ½ (y − x)² where |y − x| ≤ δ, else δ (|y − x| − ½ δ)    (Huber 1964; PyTorch's HuberLoss)
//	bce    −t log σ(ℓ) − (1 − t) log(1 − σ(ℓ)),  t = (x + 1)/2      in nats
//
// x: [batch, height, width, channels], pixels in [-1, 1]; mask: [batch, height, width, 1], 1 or 0, which only Damaged needs;
// strengths: scalars, as many as Strengths returns; returns [batch]. bce uses out.Logits, the others out.Image. Grey pixels under
// bce are no likelihood: its minimum is their entropy, not 0.
func (l Loss) PerImage(x *Node, out Output, mask *Node, strengths []*Node) *Node {
	if !l.Damaged {
		return ReduceMean(l.perPixel(x, out, strengths), 1, 2, 3)
	}
	sum := ReduceSum(Mul(l.perPixel(x, out, strengths), mask), 1, 2, 3)
	values := MulScalar(ReduceSum(mask, 1, 2, 3), x.Shape().Dim(-1))
	return Div(sum, MaxScalar(values, 1))
}

func (l Loss) perPixel(x *Node, out Output, strengths []*Node) *Node {
	switch l.Kind {
	case "mse":
		return Square(Sub(out.Image, x))
	case "mae":
		return Abs(Sub(out.Image, x))
	case "huber":
		size := Abs(Sub(out.Image, x))
		// With c = min(|e|, δ), both branches are c (|e| − ½ c).
		c := Min(size, strengths[0])
		return Mul(c, Sub(size, MulScalar(c, 0.5)))
	case "bce":
		return crossEntropy(MulScalar(OnePlus(x), 0.5), out.Logits)
	}
	panic(fmt.Errorf("train.loss: unknown kind %q", l.Kind))
}
