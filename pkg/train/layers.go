package train

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/model"
)

// Rate is a learning rate for some layers.
type Rate struct {
	// Layers is the name of a layer, or a prefix of the names of several, up to a dot: encoder, or encoder.layer_1. If several rates match
	// a layer, the longest name wins.
	Layers string `yaml:"layers" pattern:"^[a-z][a-z0-9_]*([.][a-z0-9_]+)*$"`

	// Factor multiplies the learning rate for these layers.
	Factor float64 `yaml:"factor" min:"0" max:"1000"`
}

// within says that a parameter's or layer's name is, or begins with, a name up to a dot.
func within(name, beginning string) bool {
	return name == beginning || strings.HasPrefix(name, beginning+".")
}

// Frozen says whether train.freeze keeps a parameter as it is.
func (o Options) Frozen(param string) bool {
	return slices.ContainsFunc(o.Freeze, func(layers string) bool { return within(param, layers) })
}

// Factor is what the learning rate is multiplied by for a parameter.
func (o Options) Factor(param string) float64 {
	if i := o.rateOf(param); i >= 0 {
		return o.Rates[i].Factor
	}
	return 1
}

// rateOf is the place of the parameter's rate in Rates; -1 where it has none.
func (o Options) rateOf(param string) int {
	place := -1
	for i, rate := range o.Rates {
		if within(param, rate.Layers) && (place < 0 || len(rate.Layers) > len(o.Rates[place].Layers)) {
			place = i
		}
	}
	return place
}

// CheckLayers reports names of layers that the model does not have, and a model with nothing left to train. key is the key of the config's
// section that is to blame.
func (o Options) CheckLayers(params []model.Param, report func(key, problem string)) {
	known := func(key, layers string) {
		if !slices.ContainsFunc(params, func(p model.Param) bool { return within(p.Name, layers) }) {
			report(key, fmt.Sprintf("the model has no layer %s; its layers are %s", layers, strings.Join(layerNames(params), ", ")))
		}
	}
	for i, layers := range o.Freeze {
		known(fmt.Sprintf("freeze.%d", i), layers)
	}
	for i, rate := range o.Rates {
		known(fmt.Sprintf("rates.%d.layers", i), rate.Layers)
	}
	if !slices.ContainsFunc(params, func(p model.Param) bool { return !p.Statistic && !o.Frozen(p.Name) }) {
		report("freeze", "nothing is left to train; leave a layer out")
	}
}

// layerNames lists the layers of parameters: their names without the last part.
func layerNames(params []model.Param) []string {
	var names []string
	for _, p := range params {
		names = append(names, LayerOf(p.Name))
	}
	return slices.Compact(names)
}

// LayerOf is the layer of a parameter: its name without the last part.
func LayerOf(param string) string {
	if i := strings.LastIndexByte(param, '.'); i >= 0 {
		return param[:i]
	}
	return param
}

// rateFor is a parameter's learning rate in the graph.
func (p *Program) rateFor(h hyper, param string, rate *Node) *Node {
	if i := p.spec.rateOf(param); i >= 0 {
		return Mul(rate, h.factors[i])
	}
	return rate
}

// layersStructure is the part of a program's structure that freeze and rates decide.
func (o Options) layersStructure() string {
	var names []string
	for _, rate := range o.Rates {
		names = append(names, rate.Layers)
	}
	return strings.Join(o.Freeze, " ") + "|" + strings.Join(names, " ")
}

// Begin puts values in the place of a run's first ones, by the names of parameters, before its first step. Their shapes must be those of the
// parameters.
func (t *Trainer) Begin(values map[string][]float32) error {
	p := t.program
	state := slices.Clone(p.firstState(t.seed.Child(streamInit)))
	learned := p.learned()
	for j, param := range p.params {
		begun, found := values[param.Name]
		if !found {
			continue
		}
		if len(begun) != param.Size() {
			return fmt.Errorf("begin with %s of %d values: this model needs %v", param.Name, len(begun), param.Dims)
		}
		state[j].Values = begun
		if i := slices.Index(learned, j); i >= 0 && p.averages() {
			state[p.trained(i)].Values = begun
		}
	}
	t.setState(state)
	return nil
}
