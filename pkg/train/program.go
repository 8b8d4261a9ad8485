package train

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/corrupt"
	"latent/pkg/model"
	"latent/pkg/random"
)

// Streams of the run's seed. Their numbers are part of what a seed means: changing one changes every result.
const (
	streamInit = iota
	streamShuffle
	streamCorrupt
)

// program builds the compiled part of training: a window of steps.
//
// Whatever may change without compiling anew is an input; the fields below are what the program is compiled for.
type program struct {
	model      model.Model
	corruption corrupt.Chain
	loss       model.Loss
	optimizer  optimizer
	clips      bool
	image      model.Image
	params     []model.Param
	batch      int
	images     int // training images
	window     int // the longest window, in steps
	loops      bool
}

// Inputs of the program, before the state.
const (
	inputImages  = iota // [images, pixels] uint8, resident
	inputOrder          // [steps of an epoch · batch] int32, the epoch's permutation, padded at the end
	inputRates          // [window] float32, the learning rate of each step of the window
	inputScalars        // [hyperCount + strengths] float32
	inputSeed           // [2] uint32, the run's root key
	inputCursor         // [3] int32: the steps of the run at which the epoch and the window begin, and the window ends
	inputState          // first of the state: parameters, then the optimizer's slots of each
)

// inputShapes lists the shapes of all inputs.
func (p *program) inputShapes() []shapes.Shape {
	stepsPerEpoch := (p.images + p.batch - 1) / p.batch
	list := []shapes.Shape{
		inputImages:  shapes.Make(dtypes.Uint8, p.images, p.image.Size()),
		inputOrder:   shapes.Make(dtypes.Int32, stepsPerEpoch*p.batch),
		inputRates:   shapes.Make(dtypes.Float32, p.window),
		inputScalars: shapes.Make(dtypes.Float32, hyperCount+len(p.corruption.Strengths())),
		inputSeed:    shapes.Make(dtypes.Uint32, 2),
		inputCursor:  shapes.Make(dtypes.Int32, 3),
	}
	for range 1 + p.optimizer.slots {
		for _, param := range p.params {
			list = append(list, shapes.Make(dtypes.Float32, param.Dims...))
		}
	}
	return list
}

// Elements of inputCursor.
const (
	cursorEpoch = iota
	cursorFirst
	cursorEnd
)

// build returns the losses of the window's steps, [window], and the state after them.
//
// With loops, the steps are one loop in the graph; without, the window is a single step.
func (p *program) build(inputs []*Node) []*Node {
	first := element(inputs[inputCursor], cursorFirst)
	if !p.loops {
		loss, state := p.step(inputs, first)
		return append([]*Node{Reshape(loss, 1)}, state...)
	}

	// The loop's state: the step, the losses, and all inputs; its body may not see anything else. GoMLX keeps one node
	// for each scalar constant of a graph, whichever function it was made in, so there may be no constant out here that
	// the body uses too: the losses start as the rates, a vector of the right shape at hand, and each that counts is
	// overwritten.
	start := append([]*Node{first, inputs[inputRates]}, inputs...)
	parameters := func(g *Graph) (step, losses *Node, inputs []*Node) {
		nodes := make([]*Node, len(start))
		for i, node := range start {
			nodes[i] = Parameter(g, "", node.Shape())
		}
		return nodes[0], nodes[1], nodes[2:]
	}
	g := first.Graph()
	more := NewClosure(g, func(g *Graph) []*Node {
		step, _, inputs := parameters(g)
		return []*Node{LessThan(step, element(inputs[inputCursor], cursorEnd))}
	})
	body := NewClosure(g, func(g *Graph) []*Node {
		step, losses, inputs := parameters(g)
		loss, state := p.step(inputs, step)
		place := Sub(step, element(inputs[inputCursor], cursorFirst))
		next := []*Node{AddScalar(step, 1), DynamicUpdateSlice(losses, Reshape(loss, 1), []*Node{place})}
		next = append(next, inputs[:inputState]...)
		return append(next, state...)
	})
	end := While(more, body, start...)
	return append([]*Node{end[1]}, end[2+inputState:]...)
}

// step is one step of training, number step of the run (from 0): it returns the batch's loss and the new state.
func (p *program) step(inputs []*Node, step *Node) (loss *Node, state []*Node) {
	g := step.Graph()
	stepInEpoch := Sub(step, element(inputs[inputCursor], cursorEpoch))
	stepInWindow := Sub(step, element(inputs[inputCursor], cursorFirst))
	rate := Reshape(Gather(inputs[inputRates], Reshape(stepInWindow, 1)))
	scalars := elements(inputs[inputScalars])
	h, strengths := newHyper(scalars[:hyperCount]), scalars[hyperCount:]
	key := random.KeyFromNode(inputs[inputSeed]).Child(streamCorrupt).At(ConvertDType(step, dtypes.Uint32))
	values := inputs[inputState:][:len(p.params)]

	// The batch: its places in the epoch's order, the images there, and 1 for each that is an image, 0 for padding.
	place := Add(MulScalar(stepInEpoch, p.batch), Iota(g, shapes.Make(dtypes.Int32, p.batch), 0)) // [batch]
	index := Gather(inputs[inputOrder], ExpandAxes(place, -1))                                    // [batch]
	rows := Gather(inputs[inputImages], ExpandAxes(index, -1))                                    // [batch, pixels] uint8
	counts := ConvertDType(LessThan(place, Scalar(g, dtypes.Int32, p.images)), dtypes.Float32)    // [batch]

	x := model.Pixels(rows, p.image)                 // [batch, height, width, channels]
	damaged := p.corruption.Apply(x, strengths, key) // the same
	weights := model.Weights{}
	for j, param := range p.params {
		weights[param.Name] = values[j]
	}
	out := p.model.Apply(weights, damaged)
	losses := p.loss.PerImage(x, out) // [batch]
	loss = Div(ReduceAllSum(Mul(losses, counts)), ReduceAllSum(counts))

	gradients := Gradient(loss, values...)
	if p.clips {
		gradients = clip(gradients, h.clipNorm)
	}
	return loss, p.update(h, inputs[inputState:], gradients, rate, ConvertDType(AddScalar(step, 1), dtypes.Float32))
}

// update returns the state after the optimizer's step number count (from 1).
func (p *program) update(h hyper, state, gradients []*Node, rate, count *Node) []*Node {
	n := len(p.params)
	next := make([]*Node, len(state))
	for j, param := range p.params {
		slots := make([]*Node, p.optimizer.slots)
		for k := range slots {
			slots[k] = state[(1+k)*n+j]
		}
		next[j], slots = p.optimizer.update(h, param, state[j], gradients[j], slots, rate, count)
		for k := range slots {
			next[(1+k)*n+j] = slots[k]
		}
	}
	return next
}

// element returns vector[i] as a scalar.
func element(vector *Node, i int) *Node { return Reshape(Slice(vector, AxisElem(i))) }

// elements returns the values of a vector as scalars.
func elements(vector *Node) []*Node {
	scalars := make([]*Node, vector.Shape().Dim(0))
	for i := range scalars {
		scalars[i] = element(vector, i)
	}
	return scalars
}
