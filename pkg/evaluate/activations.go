package evaluate

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/trace"
)

// watched are numbers of images that activations may be of: as many as fit into the spec's memory.
var watched = []int{100, 50, 20, 10, 5, 2, 1}

// watcher is the program of Activations, for so many images.
type watcher struct {
	program *program
	layers  []string // of the outputs
	units   []int    // the same
}

// Activation is what a layer makes of some samples: [Samples, places…, Units].
type Activation struct {
	Values         []float32
	Samples, Units int
}

// Activations returns what the layers make of the first images, 100 at most and no more than fit into memory, damaged as where they are measured: the values after
// each layer's activation, by its name; see model.Pass.Watch. What a layer makes when it is applied again is left out.
func (e *Evaluator) Activations(weights []*tensors.Tensor, images *dataset.Samples) (map[string]Activation, error) {
	n := min(trace.Fitting(e.spec.Memory, watched, e.inputShapes, e.buildActivations), images.Len())
	w := &e.later.watcher
	if w.program == nil || w.program.images != n {
		if w.program != nil {
			w.program.exec.Finalize()
		}
		program, err := e.compileFor(n, e.inputShapes(n), e.buildActivations)
		if err != nil {
			return nil, fmt.Errorf("build the activations: %w", err)
		}
		w.program = program
	}
	outputs, err := e.call(w.program, weights, images, 0, 0)
	if err != nil {
		return nil, err
	}
	all := map[string]Activation{}
	for i, layer := range w.layers {
		values, err := tensors.CopyFlatData[float32](outputs[i])
		if err != nil {
			return nil, err
		}
		all[layer] = Activation{values, n, w.units[i]}
	}
	return all, nil
}

func (e *Evaluator) buildActivations(inputs []*Node) []*Node {
	in := e.read(inputs)
	damaged, mask := e.damage(in)
	pass := in.pass(streamModel)
	var layers []string
	var units []int
	var outputs []*Node
	seen := map[string]bool{}
	pass.Watch = func(layer string, y *Node) {
		if !seen[layer] {
			seen[layer] = true
			layers, units = append(layers, layer), append(units, y.Shape().Dim(-1))
			outputs = append(outputs, ConvertDType(y, dtypes.Float32))
		}
	}
	model.Learn(e.spec.Model, pass, e.spec.Loss, in.loss, in.images, damaged, mask)
	e.later.watcher.layers, e.later.watcher.units = layers, units
	return outputs
}
