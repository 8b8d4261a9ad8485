package experiment

import (
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/dataset"
	"latent/pkg/diagnose"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/rundir"
)

// facts are what is known of the training so far.
func (r *run) facts() diagnose.Facts {
	e := r.experiment
	f := diagnose.Facts{
		Epochs: r.history, Warmup: warmupOf(e.Model), LearningRate: e.Train.LearningRate,
		Clipped: r.clipped, ClipNorm: e.Train.ClipNorm, Result: r.manifest.Result,
	}
	if sorted, ok := e.Data.(dataset.Sorted); ok {
		f.Strange = len(sorted.NormalClasses()) > 0
	}
	layers := e.Model.Layers(imageOf(r.session.split.Train))
	if slices.ContainsFunc(layers, func(l model.Layer) bool { return strings.HasSuffix(l.Name, ".batch_norm") }) {
		f.LastBatch = (r.session.split.Train.Len()-1)%e.Train.BatchSize + 1
	}
	if vae, ok := e.Model.(*model.VAE); ok {
		f.Binarised = vae.Likelihood == "bernoulli" && vae.Binarise != "none" && r.session.split.Train.Channels == 3
	}
	if e.Evaluate.Weights == "best" {
		f.Validation, f.ValidationLoss, f.ValidationInterval = r.session.split.Validation.Len(), r.validation.Mean, r.validation.Interval
	}
	return f
}

// warmupOf is how many epochs have another loss than the later ones.
func warmupOf(m model.Model) float64 {
	switch m := m.(type) {
	case *model.VAE:
		return m.BetaWarmup
	case *model.SAE:
		return m.SparsityWarmup
	}
	return 0
}

// entriesOf is the number of entries of the one codebook that a model has, and how often codes of so many values choose one; 0 of others.
func entriesOf(m model.Model, values int) (entries, choices int) {
	switch m := m.(type) {
	case *model.VQVAE:
		if m.Stages <= 1 {
			return m.Entries, values / m.EntrySize
		}
	case *model.FSQ:
		entries = 1
		for _, n := range m.Levels {
			entries *= n
		}
		return entries, values / len(m.Levels)
	}
	return 0, 0
}

// diagnose warns of what is wrong with a run that has trained to its end, and is measured with these weights.
func (r *run) diagnose(weights []*tensors.Tensor) error {
	f := r.facts()
	f.Entries, f.Choices = entriesOf(r.experiment.Model, r.evaluator.CodeSize()*r.session.split.Test.Len())
	if !r.session.options.Brief {
		if err := r.look(weights, &f); err != nil {
			return err
		}
	}
	for _, w := range diagnose.Run(f) {
		r.warn(w)
	}
	return nil
}

// looked is how many samples outputs are looked at of.
const looked = 64

// look adds what the model makes of held-out samples to the facts.
func (r *run) look(weights []*tensors.Tensor, f *diagnose.Facts) error {
	images, m := r.session.split.Test, r.experiment.Model
	if r.session.split.Validation.Len() >= looked {
		images = r.session.split.Validation
	}
	if images.Target == nil {
		samples, err := r.evaluator.Sample(weights, images, looked)
		if err != nil {
			return err
		}
		f.Clean, f.Made, f.Values = samples.Clean.Scaled(0, samples.Clean.Len()), samples.Reconstructed.Scaled(0, samples.Reconstructed.Len()), samples.Clean.Size()
		f.Bounded = !images.Vectors() && m.OutputActivation() != "linear"
	}
	if _, dictionary := m.(*model.SAE); dictionary {
		return nil // whose latents have figures of their own
	}
	activations, err := r.evaluator.Activations(weights, images)
	if err != nil {
		return err
	}
	for _, l := range m.Layers(imageOf(images)) {
		a, seen := activations[l.Name]
		if !seen || isOutput(a, images.Size()) {
			continue
		}
		bounded := strings.HasSuffix(l.Description, "tanh") || strings.HasSuffix(l.Description, "sigmoid")
		f.Layers = append(f.Layers, diagnose.Layer{Name: l.Name, Values: a.Values, Units: a.Units, Bounded: bounded})
	}
	return nil
}

// isOutput says whether a layer makes as many values as a sample has, or two for each: what it makes is the output, which may well stand at
// its ends.
func isOutput(a evaluate.Activation, size int) bool {
	values := len(a.Values) / a.Samples
	return values == size || values == 2*size
}

// diagnoseEpoch warns of what is wrong after an epoch.
func (r *run) diagnoseEpoch(epoch rundir.Epoch) {
	for _, w := range diagnose.Epoch(r.facts()) {
		w.Epoch = epoch.Epoch
		r.warn(w)
	}
}
