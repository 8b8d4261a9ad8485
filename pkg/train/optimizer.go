package train

import (
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/model"
)

// optimizer is one way to turn a gradient into an update. The step calls update for each parameter.
type optimizer struct {
	// slots is how many tensors of the parameter's shape it keeps, all zero at first.
	slots int
	// update returns the parameter and its slots after a step.
	//
	//   - value, gradient, slots: one shape
	//   - rate: learning rate, scalar; step: number of this step counted from 1, float32 scalar
	update func(h hyper, param model.Param, value, gradient *Node, slots []*Node, rate, step *Node) (*Node, []*Node)
}

// optimizers holds every optimizer that Options.Optimizer can name.
var optimizers = map[string]optimizer{
	"adam":    {slots: 2, update: adam},
	"adamw":   {slots: 2, update: adamw},
	"sgd":     {slots: 1, update: sgd},
	"rmsprop": {slots: 1, update: rmsprop},
}

// hyper are the optimizer's numbers as inputs of the program, scalars each.
type hyper struct {
	beta1, beta2, epsilon, momentum, weightDecay, clipNorm, ema *Node
	factors                                                     []*Node // of Options.Rates
}

// hyperValues lists the numbers in the order of newHyper.
func hyperValues(o Options) []float32 {
	values := []float32{float32(o.Beta1), float32(o.Beta2), float32(o.Epsilon), float32(o.Momentum),
		float32(o.WeightDecay), float32(o.ClipNorm), float32(o.EMA)}
	for _, rate := range o.Rates {
		values = append(values, float32(rate.Factor))
	}
	return values
}

func newHyper(scalars []*Node) hyper {
	return hyper{scalars[0], scalars[1], scalars[2], scalars[3], scalars[4], scalars[5], scalars[6], scalars[7:]}
}

// adam is Kingma & Ba 2015, algorithm 1:
//
//	m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
//	θ ← θ − η m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
func adam(h hyper, _ model.Param, value, gradient *Node, slots []*Node, rate, step *Node) (*Node, []*Node) {
	m := Add(Mul(h.beta1, slots[0]), Mul(OneMinus(h.beta1), gradient))
	v := Add(Mul(h.beta2, slots[1]), Mul(OneMinus(h.beta2), Square(gradient)))
	// Both corrections are scalars: one division for the step size, and one for the root, instead of two per value.
	size := Div(rate, OneMinus(Pow(h.beta1, step)))
	root := Reciprocal(Sqrt(OneMinus(Pow(h.beta2, step))))
	value = Sub(value, Div(Mul(size, m), Add(Mul(Sqrt(v), root), h.epsilon)))
	return value, []*Node{m, v}
}

// adamw is adam after θ ← θ − η λ θ on weights (Loshchilov & Hutter 2019, algorithm 2, with PyTorch's scaling by η).
func adamw(h hyper, param model.Param, value, gradient *Node, slots []*Node, rate, step *Node) (*Node, []*Node) {
	if param.Decays {
		value = Mul(value, OneMinus(Mul(rate, h.weightDecay)))
	}
	return adam(h, param, value, gradient, slots, rate, step)
}

// sgd is b ← μ b + g, θ ← θ − η b: momentum as PyTorch writes it (Sutskever et al. 2013 fold η into b).
func sgd(h hyper, _ model.Param, value, gradient *Node, slots []*Node, rate, _ *Node) (*Node, []*Node) {
	b := Add(Mul(h.momentum, slots[0]), gradient)
	return Sub(value, Mul(rate, b)), []*Node{b}
}

// rmsprop is v ← β₂ v + (1 − β₂) g², θ ← θ − η g / (√v + ε) (Tieleman & Hinton 2012, lecture 6.5).
func rmsprop(h hyper, _ model.Param, value, gradient *Node, slots []*Node, rate, _ *Node) (*Node, []*Node) {
	v := Add(Mul(h.beta2, slots[0]), Mul(OneMinus(h.beta2), Square(gradient)))
	return Sub(value, Div(Mul(rate, gradient), Add(Sqrt(v), h.epsilon))), []*Node{v}
}

// movingAverage moves an average of a parameter's values, of decay h.ema, or less in the first steps (as TensorFlow's ExponentialMovingAverage
// does with its number of updates).
func movingAverage(h hyper, average, value, step *Node) *Node {
	decay := Min(h.ema, Div(OnePlus(step), AddScalar(step, 10)))
	return Add(Mul(decay, average), Mul(OneMinus(decay), value))
}

// clip scales the gradients so that their global L2 norm is at most limit (Pascanu et al. 2013), and returns that norm before, too.
func clip(gradients []*Node, limit *Node) (clipped []*Node, norm *Node) {
	sum := ScalarZero(limit.Graph(), limit.DType())
	for _, gradient := range gradients {
		sum = Add(sum, ReduceAllSum(Square(gradient)))
	}
	norm = Sqrt(sum)
	// limit / max(norm, limit) is 1 for short gradients, and never divides by zero.
	scale := Div(limit, Max(norm, limit))
	for _, gradient := range gradients {
		clipped = append(clipped, Mul(gradient, scale))
	}
	return clipped, norm
}
