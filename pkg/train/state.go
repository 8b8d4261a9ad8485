package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
)

// State is everything that the rest of a run depends on, on the host. A run restored from it goes on with the same
// bits as one that was never stopped.
type State struct {
	// Step is the number of steps done.
	Step int
	// LossSum is the sum of the losses of the current epoch's steps, each times its number of images.
	LossSum float64
	// Tensors are the parameters, or their moving averages, then the optimizer's slots of each and, with averages, the parameters that
	// training goes on with.
	Tensors []Tensor
}

// Tensor is a named float32 array.
type Tensor struct {
	Name   string // "encoder.layer_1.weight"; a slot's is "encoder.layer_1.weight/slot_1", that of the parameter behind an average "…/trained"
	Dims   []int
	Values []float32
}

// OfTraining says that a tensor is none of the model's: an optimizer's slot, or a parameter behind its average.
func (t Tensor) OfTraining() bool { return strings.Contains(t.Name, "/") }

// Checksum is the SHA-256 of the tensors' values, as little-endian float32, in order: of the bits that two equal runs share.
func (s State) Checksum() string {
	digest := sha256.New()
	var bytes []byte
	for _, tensor := range s.Tensors {
		bytes = bytes[:0]
		for _, value := range tensor.Values {
			bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(value))
		}
		digest.Write(bytes)
	}
	return hex.EncodeToString(digest.Sum(nil))
}

// Weights returns the parameters of a state, which are its first tensors and must be these, on the host.
func (s State) Weights(params []model.Param) ([]*tensors.Tensor, error) {
	if len(s.Tensors) < len(params) {
		return nil, fmt.Errorf("state of step %d has %d tensors, but there are %d parameters", s.Step, len(s.Tensors), len(params))
	}
	var weights []*tensors.Tensor
	for i, want := range params {
		tensor := s.Tensors[i]
		if tensor.Name != want.Name || !slices.Equal(tensor.Dims, want.Dims) {
			return nil, fmt.Errorf("state's tensor %d is %s %v, but this model's is %s %v", i+1, tensor.Name, tensor.Dims, want.Name, want.Dims)
		}
		weights = append(weights, tensors.FromFlatDataAndDimensions(tensor.Values, tensor.Dims...))
	}
	return weights, nil
}

// names lists the state's tensors in order.
func (p *Program) names() []string {
	var names []string
	for _, param := range p.params {
		names = append(names, param.Name)
	}
	for slot := range p.optimizer.slots {
		for _, j := range p.learned() {
			names = append(names, fmt.Sprintf("%s/slot_%d", p.params[j].Name, slot+1))
		}
	}
	if p.averages() {
		for _, j := range p.learned() {
			names = append(names, p.params[j].Name+"/trained")
		}
	}
	return names
}

// State copies the run's state to the host. It waits for the device.
func (t *Trainer) State() (State, error) {
	state := State{Step: t.step, LossSum: t.lossSum}
	for i, name := range t.program.names() {
		values, err := tensors.CopyFlatData[float32](t.state[0][i])
		if err != nil {
			return State{}, fmt.Errorf("read %s from the device: %w", name, err)
		}
		state.Tensors = append(state.Tensors, Tensor{Name: name, Dims: t.state[0][i].Shape().Dimensions, Values: values})
	}
	return state, nil
}

// Restore puts a state in the place of the run's own; one of the last step may lack the optimizer's slots. A state of another
// model or optimizer is refused, with the first difference named, and changes nothing.
func (t *Trainer) Restore(state State) error {
	if state.Step < 0 || state.Step > t.steps {
		return fmt.Errorf("state of step %d: this run has only %d steps", state.Step, t.steps)
	}
	names := t.program.names()
	for i, tensor := range state.Tensors[:min(len(state.Tensors), len(names))] {
		want := t.program.stateShapes()[i]
		if tensor.Name != names[i] || !slices.Equal(tensor.Dims, want.Dimensions) || len(tensor.Values) != want.Size() {
			return fmt.Errorf("state's tensor %d is %s %v with %d values, but this model and optimizer need %s %v",
				i, tensor.Name, tensor.Dims, len(tensor.Values), names[i], want.Dimensions)
		}
	}
	switch n := len(state.Tensors); {
	case n == len(t.program.params) && state.Step == t.steps:
		state.Tensors = append(slices.Clone(state.Tensors), make([]Tensor, len(names)-n)...)
	case n != len(names):
		return fmt.Errorf("state with %d tensors, but this model and optimizer need %d", n, len(names))
	}
	t.setState(state.Tensors)
	t.step, t.lossSum, t.failure = state.Step, state.LossSum, nil
	return nil
}

// setState puts the state on each device. Tensors without values are zeros.
func (t *Trainer) setState(state []Tensor) {
	t.state = make([][]*tensors.Tensor, t.program.devices)
	for device := range t.state {
		for i, shape := range t.program.stateShapes() {
			if values := state[i].Values; values != nil {
				t.state[device] = append(t.state[device], tensors.FromFlatDataAndDimensions(values, shape.Dimensions...))
			} else {
				t.state[device] = append(t.state[device], tensors.FromShape(shape))
			}
		}
	}
}

// Weights are the parameters' tensors, or those of their moving averages, in the order of [model.Params]. They are valid until the next window.
func (t *Trainer) Weights() []*tensors.Tensor { return t.state[0][:len(t.program.params)] }

// drawn is the first state of a seed. The trials of a sweep share theirs.
type drawn struct {
	seed  random.Seed
	state []Tensor
}

// firstState draws the parameters' first values, but for those that the images decide; slots start at zero.
func (p *Program) firstState(seed random.Seed) []Tensor {
	if p.drawn.state != nil && p.drawn.seed == seed {
		return p.drawn.state
	}
	state := make([]Tensor, len(p.stateShapes()))
	var draws sync.WaitGroup
	first := model.Drawings(p.spec.Model, p.image, seed)
	for i, param := range p.params {
		values, found := p.start[param.Name]
		if !found {
			values, found = first[param.Name]
		}
		if found {
			state[i].Values = values
			continue
		}
		draws.Go(func() { state[i].Values = param.Init.Values(seed.Child(i), param.Size()) })
	}
	draws.Wait()
	if p.averages() {
		for i, j := range p.learned() {
			state[p.trained(i)].Values = state[j].Values
		}
	}
	p.drawn = drawn{seed, state}
	return state
}

// mean returns the images' mean: [height · width · channels], in the model's scale.
func mean(images *dataset.Samples) []float32 {
	images = images.Clean()
	sums := make([]float64, images.Size())
	for i := range images.Len() {
		images.At(i).AddTo(sums)
	}
	means := make([]float32, len(sums))
	for i, sum := range sums {
		means[i] = float32(images.Scale.At(i, sum/float64(images.Len())))
	}
	return means
}

// Memory is what training needs on a device, in bytes.
type Memory struct {
	Images int64
	State  int64 // parameters and the optimizer's slots, of all runs
	// Step estimates what a step needs beside, of all runs that are computed at once: activations, gradients and what else is not
	// yet or still needed, see trace.Trace.Peak. It is 0 of a step that cannot be recorded.
	Step int64
}

// Memory tells what so many runs need.
func (p *Program) Memory(runs int) Memory {
	m := Memory{Images: int64(p.inputShapes(1)[inputImages].ByteSize())}
	for _, shape := range p.stateShapes() {
		m.State += int64(runs) * int64(shape.ByteSize())
	}
	if traced, err := p.traced(); err == nil {
		m.Step = int64(slices.Max(p.parts(runs))) * traced.Peak() / int64(p.devices)
	}
	return m
}
