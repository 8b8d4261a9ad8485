package train

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/random"
)

// State is everything that the rest of a run depends on, on the host. A run restored from it goes on with the same
// bits as one that was never stopped.
type State struct {
	// Step is the number of steps done.
	Step int
	// LossSum is the sum of the losses of the current epoch's steps, each times its number of images.
	LossSum float64
	// Tensors are the parameters, then the optimizer's slots of each.
	Tensors []Tensor
}

// Tensor is a named float32 array.
type Tensor struct {
	Name   string // "encoder.layer_1.weight"; a slot's is "encoder.layer_1.weight/slot_1"
	Dims   []int
	Values []float32
}

// names lists the state's tensors in order.
func (p *program) names() []string {
	var names []string
	for slot := range 1 + p.optimizer.slots {
		for _, param := range p.params {
			name := param.Name
			if slot > 0 {
				name = fmt.Sprintf("%s/slot_%d", param.Name, slot)
			}
			names = append(names, name)
		}
	}
	return names
}

// State copies the run's state to the host. It waits for the device.
func (t *Trainer) State() (State, error) {
	state := State{Step: t.step, LossSum: t.lossSum}
	for i, name := range t.program.names() {
		values, err := tensors.CopyFlatData[float32](t.state[i])
		if err != nil {
			return State{}, fmt.Errorf("read %s from the device: %w", name, err)
		}
		state.Tensors = append(state.Tensors, Tensor{Name: name, Dims: t.state[i].Shape().Dimensions, Values: values})
	}
	return state, nil
}

// Restore puts a state in the place of the run's own. A state of another model or optimizer is refused, with the first
// difference named, and changes nothing.
func (t *Trainer) Restore(state State) error {
	if state.Step < 0 || state.Step > t.steps {
		return fmt.Errorf("state of step %d: this run has %d steps", state.Step, t.steps)
	}
	names := t.program.names()
	if len(state.Tensors) != len(names) {
		return fmt.Errorf("state with %d tensors: this model and optimizer have %d", len(state.Tensors), len(names))
	}
	for i, tensor := range state.Tensors {
		want := t.program.inputShapes()[inputState+i]
		if tensor.Name != names[i] || !slices.Equal(tensor.Dims, want.Dimensions) || len(tensor.Values) != want.Size() {
			return fmt.Errorf("state's tensor %d is %s %v with %d values: this model and optimizer have %s %v",
				i, tensor.Name, tensor.Dims, len(tensor.Values), names[i], want.Dimensions)
		}
	}
	for i, tensor := range state.Tensors {
		t.state[i] = tensors.FromFlatDataAndDimensions(tensor.Values, tensor.Dims...)
	}
	t.step, t.lossSum = state.Step, state.LossSum
	return nil
}

// Weights are the parameters' tensors, in the order of [model.Params]. They are valid until the next window.
func (t *Trainer) Weights() []*tensors.Tensor { return t.state[:len(t.program.params)] }

// firstState draws the parameters' first values; slots start at zero.
func (p *program) firstState(seed random.Seed) []*tensors.Tensor {
	var state []*tensors.Tensor
	for i, param := range p.params {
		state = append(state, tensors.FromFlatDataAndDimensions(param.Init.Values(seed.Child(i), param.Size()), param.Dims...))
	}
	for _, shape := range p.inputShapes()[inputState+len(p.params):] {
		state = append(state, tensors.FromShape(shape))
	}
	return state
}

// StateBytes is the size of the parameters and the optimizer's slots on the device, in bytes.
func (t *Trainer) StateBytes() int64 {
	total := int64(0)
	for _, shape := range t.program.inputShapes()[inputState:] {
		total += int64(shape.ByteSize())
	}
	return total
}
