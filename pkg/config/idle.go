package config

import (
	"fmt"
	"reflect"

	"gopkg.in/yaml.v3"

	"latent/pkg/dataset"
	"latent/pkg/model"
)

// idleKey is a key that does nothing in an experiment, whatever its value.
type idleKey struct {
	key string
	by  string // the key that decides that
	why string
}

// idle lists the keys that do nothing in this experiment. They are refused where they are written, and left out of what YAML writes.
func (e *Experiment) idle() []idleKey {
	var idle []idleKey
	when := func(condition bool, by, why string, keys ...string) {
		for _, key := range keys {
			if condition {
				idle = append(idle, idleKey{key, by, why})
			}
		}
	}
	t := e.Train
	kind, _ := kindsOf(reflect.TypeFor[model.Model]()).kindOf(e.Model)
	_, own := e.Model.(model.Objective)
	when(own, "model.kind", fmt.Sprintf("model kind %s has a loss of its own", kind), "train.loss", "train.huber_delta")
	when(!own && t.Loss != "huber", "train.loss", "train.loss is "+t.Loss, "train.huber_delta")
	adam := t.Optimizer == "adam" || t.Optimizer == "adamw"
	when(!adam, "train.optimizer", t.Optimizer+" has none", "train.beta1")
	when(!adam && t.Optimizer != "rmsprop", "train.optimizer", t.Optimizer+" has none", "train.beta2", "train.epsilon")
	if m, ok := e.Model.(*model.VAE); ok {
		of := "likelihood " + m.Likelihood
		when(m.Likelihood == "bernoulli", "model.likelihood", of+" has no deviation", "model.deviation", "model.spread")
		when(m.Likelihood != "bernoulli", "model.likelihood", of+" takes pixels as they are", "model.binarise")
		when(m.Bound != "miwae" && m.Bound != "piwae", "model.bound", "bound "+m.Bound+" has no groups", "model.groups")
		when(m.Bound != "ciwae", "model.bound", "bound "+m.Bound+" mixes nothing", "model.mix")
		when(m.Bound != "elbo", "model.bound", "bound "+m.Bound+" has none", "model.beta", "model.beta_warmup", "model.free_bits")
	}
	if m, ok := e.Model.(*model.Dense); ok {
		when(m.SparsityWeight == 0, "model.sparsity_weight", "model.sparsity_weight is 0", "model.sparsity_target")
	}
	if m, ok := e.Model.(*model.SAE); ok {
		of := "activation " + m.Activation
		counted := m.Activation == "topk" || m.Activation == "batchtopk"
		when(counted, "model.activation", of+" has as many latents as k says, and no penalty", "model.sparsity", "model.sparsity_warmup")
		when(!counted, "model.activation", of+" keeps as many latents as there are", "model.k")
		when(m.Activation != "jumprelu", "model.activation", of+" has no thresholds that are learned", "model.bandwidth", "model.first_threshold", "model.target_l0")
	}
	density, likely := e.Model.(model.Density)
	likely = likely && density.Observed() != ""
	when(!likely, "model.kind", fmt.Sprintf("model kind %s has no likelihood", kind), "evaluate.nll_samples", "evaluate.nll_images")
	when(likely && e.Evaluate.NLLSamples == 0, "evaluate.nll_samples", "evaluate.nll_samples is 0", "evaluate.nll_images")
	when(!e.Tracking.TensorBoard, "tracking.tensorboard", "tracking.tensorboard is false", "tracking.histograms")
	if d, ok := e.Data.(*dataset.Folder); ok {
		when(d.Patch > 0, "data.patch", "with data.patch, pictures keep their sizes", "data.height", "data.width", "data.fit")
		when(d.Patch == 0, "data.patch", "without data.patch, pictures are taken whole", "data.patches_per_image")
		when(len(d.Test) > 0, "data.test", "the samples of the test are those of data.test", "data.test_fraction")
	}
	return idle
}

// reportIdle reports keys that do nothing and are written, but for those of a file that an override has made so: a base for others has keys for
// all of them.
func (d *decoder) reportIdle(e *Experiment) {
	for _, key := range e.idle() {
		at, written := d.places[key.key]
		decided := source{d.file, d.places}.nearest(key.by)
		if written && (at.isOverride() || !decided.isOverride()) {
			d.contradiction(fmt.Sprintf("does nothing: %s; leave it out", key.why), key.key, key.by)
		}
	}
}

// without removes a key, such as train.loss, from a mapping.
func without(node *yaml.Node, path []string) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value != path[0] {
			continue
		}
		if len(path) > 1 {
			without(node.Content[i+1], path[1:])
		} else {
			node.Content = append(node.Content[:i], node.Content[i+2:]...)
		}
		return
	}
}
