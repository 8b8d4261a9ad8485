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
	number := shapes.Make(dtypes.Float32)
	step, err := e.compileCodes(noise.Size, func(p *model.Pass, z *Node, more []*Node) *Node {
		t, h := BroadcastToDims(more[0], batch), more[1]
		half := MulScalar(h, 0.5)
		middle := Add(z, Mul(half, field.Velocity(p, z, t, e.image)))
		return Add(z, Mul(h, field.Velocity(p, middle, Add(t, half), e.image)))
	}, number, number)
	if err != nil {
		return Codes{}, fmt.Errorf("build the flow: %w", err)
	}
	arrive, err := e.compileCodes(noise.Size, func(p *model.Pass, z *Node, _ []*Node) *Node { return field.Arrived(p, z) })
	if err != nil {
		return Codes{}, fmt.Errorf("build the flow's end: %w", err)
	}
	codes := Codes{Labels: noise.Labels}
	steps := field.FieldSteps()
	for first := 0; first < noise.Len(); first += batch {
		z := noise.batchFrom(first)
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
		values, err := tensors.CopyFlatData[float32](z)
		if err != nil {
			return Codes{}, err
		}
		codes.Size = len(values) / batch
		codes.Values = append(codes.Values, values[:codes.Size*min(batch, noise.Len()-first)]...)
	}
	return codes, nil
}

// compileCodes compiles a program on a batch of codes of so many values, and inputs more.
func (e *Evaluator) compileCodes(size int, build func(p *model.Pass, z *Node, more []*Node) *Node, more ...shapes.Shape) (*Exec, error) {
	exec, err := NewExec(e.backend, func(inputs []*Node) *Node {
		pass := &model.Pass{Weights: model.Weights{}}
		for i, param := range e.params {
			pass.Weights[param.Name] = inputs[1+len(more)+i]
		}
		// Pure Go cannot run a program whose output is one of its inputs, as that of a model is whose codes are what arrives.
		return Identity(build(pass, inputs[0], inputs[1:1+len(more)]))
	})
	if err != nil {
		return nil, err
	}
	list := append([]shapes.Shape{shapes.Make(dtypes.Float32, batch, size)}, more...)
	for _, param := range e.params {
		list = append(list, shapes.Make(dtypes.Float32, param.Dims...))
	}
	_, err = exec.Compile(list...)
	return exec, err
}

// callCodes runs a program of compileCodes.
func callCodes(exec *Exec, weights []*tensors.Tensor, z *tensors.Tensor, more ...any) (*tensors.Tensor, error) {
	args := append([]any{z}, more...)
	for _, weight := range weights {
		args = append(args, weight)
	}
	return exec.Call1(args...)
}

// batchFrom returns the codes from the first-th on, a batch with zeros where there are no more: [batch, values].
func (c Codes) batchFrom(first int) *tensors.Tensor {
	part := make([]float32, batch*c.Size)
	copy(part, c.Values[first*c.Size:])
	return tensors.FromFlatDataAndDimensions(part, batch, c.Size)
}
