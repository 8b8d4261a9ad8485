package evaluate

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/model"
)

// Flow carries draws from the standard normal distribution, of model.Field's FieldSize values each, to codes of the model.
//
// It takes the midpoint method's steps from time 0 to 1: z ← z + h v(z + ½ h v(z, t), t + ½ h), of error O(h²) as a whole. The
// host drives them, so that a program holds two calls of the network however many steps there are.
func (e *Evaluator) Flow(ctx context.Context, weights []*tensors.Tensor, noise Codes) (Codes, error) {
	field, ok := e.spec.Model.(model.Field)
	if !ok {
		return Codes{}, fmt.Errorf("%T has no flow", e.spec.Model)
	}
	step, err := e.compileCodes(noise.Size, func(p *model.Pass, z *Node, more []*Node) *Node {
		t, h := BroadcastToDims(more[0], z.Shape().Dim(0)), more[1]
		half := MulScalar(h, 0.5)
		middle := Add(z, Mul(half, field.Velocity(p, z, t, e.image)))
		return Add(z, Mul(h, field.Velocity(p, middle, Add(t, half), e.image)))
	}, func(int) []shapes.Shape {
		return []shapes.Shape{shapes.Make(dtypes.Float32), shapes.Make(dtypes.Float32)}
	})
	if err != nil {
		return Codes{}, fmt.Errorf("build the flow: %w", err)
	}
	defer step.exec.Finalize()
	arrive, err := e.compileCodesFor(step.images, noise.Size, func(p *model.Pass, z *Node, _ []*Node) *Node { return field.Arrived(p, z) }, nil)
	if err != nil {
		return Codes{}, fmt.Errorf("build the flow's end: %w", err)
	}
	defer arrive.exec.Finalize()
	batch := step.images
	codes := Codes{Labels: noise.Labels}
	steps := field.FieldSteps()
	for first := 0; first < noise.Len(); first += batch {
		z := noise.batchFrom(first, batch)
		for i := range steps {
			if err := ctx.Err(); err != nil {
				return Codes{}, err
			}
			if z, err = callCodes(step, weights, z, float32(i)/float32(steps), 1/float32(steps)); err != nil {
				return Codes{}, fmt.Errorf("follow the flow: %w", err)
			}
		}
		if z, err = callCodes(arrive, weights, z); err != nil {
			return Codes{}, fmt.Errorf("follow the flow: %w", err)
		}
		if err := codes.take(z, batch, noise.Len()-first); err != nil {
			return Codes{}, err
		}
	}
	return codes, nil
}

// codesFunction makes images, or other codes, of codes: z is [images, values].
type codesFunction func(p *model.Pass, z *Node, more []*Node) *Node

// compileCodes compiles a program on codes of so many values, and inputs more, whose shapes for so many images are told.
func (e *Evaluator) compileCodes(size int, build codesFunction, more func(images int) []shapes.Shape) (*program, error) {
	images := e.fitting(func(n int) []shapes.Shape { return e.codesShapes(n, size, more) }, e.onCodes(build))
	return e.compileCodesFor(images, size, build, more)
}

// compileCodesFor is compileCodes for so many images.
func (e *Evaluator) compileCodesFor(images, size int, build codesFunction, more func(images int) []shapes.Shape) (*program, error) {
	return e.compileFor(images, e.codesShapes(images, size, more), e.onCodes(build))
}

func (e *Evaluator) codesShapes(images, size int, more func(images int) []shapes.Shape) []shapes.Shape {
	list := []shapes.Shape{shapes.Make(dtypes.Float32, images, size)}
	if more != nil {
		list = append(list, more(images)...)
	}
	for _, param := range e.params {
		list = append(list, shapes.Make(dtypes.Float32, param.Dims...))
	}
	return list
}

// onCodes is a program of the codes, the inputs more, and the parameters.
func (e *Evaluator) onCodes(build codesFunction) func(inputs []*Node) []*Node {
	return func(inputs []*Node) []*Node {
		others := len(inputs) - 1 - len(e.params)
		pass := &model.Pass{Weights: model.Weights{}}
		for i, param := range e.params {
			pass.Weights[param.Name] = inputs[1+others+i]
		}
		// Pure Go cannot run a program whose output is one of its inputs, as that of a model is whose codes are what arrives.
		return []*Node{Identity(build(pass, inputs[0], inputs[1:1+others]))}
	}
}

// callCodes runs a program of compileCodes.
func callCodes(p *program, weights []*tensors.Tensor, z *tensors.Tensor, more ...any) (*tensors.Tensor, error) {
	args := append([]any{z}, more...)
	for _, weight := range weights {
		args = append(args, weight)
	}
	return p.exec.Call1(args...)
}

// take appends the first of the codes that a program made for a batch, as many as are left.
func (c *Codes) take(z *tensors.Tensor, batch, left int) error {
	values, err := tensors.CopyFlatData[float32](z)
	if err != nil {
		return err
	}
	c.Size = len(values) / batch
	c.Values = append(c.Values, values[:c.Size*min(batch, left)]...)
	return nil
}

// batchFrom returns so many codes from the first-th on, zeros where there are no more: [batch, values].
func (c Codes) batchFrom(first, batch int) *tensors.Tensor {
	part := make([]float32, batch*c.Size)
	copy(part, c.Values[first*c.Size:])
	return tensors.FromFlatDataAndDimensions(part, batch, c.Size)
}
