package experiment

import (
	"slices"
	"strings"

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
	layers := e.Model.Layers(imageOf(r.session.split.Train))
	if slices.ContainsFunc(layers, func(l model.Layer) bool { return strings.HasSuffix(l.Name, ".batch_norm") }) {
		f.LastBatch = (r.session.split.Train.Len()-1)%e.Train.BatchSize + 1
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

// entriesOf is the number of entries of the one codebook that a model has; 0 of others.
func entriesOf(m model.Model) int {
	switch m := m.(type) {
	case *model.VQVAE:
		if m.Stages == 1 {
			return m.Entries
		}
	case *model.FSQ:
		product := 1
		for _, n := range m.Levels {
			product *= n
		}
		return product
	}
	return 0
}

const (
	// looked is how many samples outputs and layers are looked at of.
	looked = 64
	// mostLooked is the size of the largest sample whose layers are: those of larger ones take gigabytes.
	mostLooked = 64 * 64 * 3
)

// diagnose warns of what is wrong with a run that has trained to its end.
func (r *run) diagnose() error {
	f := r.facts()
	f.Entries = entriesOf(r.experiment.Model)
	if !r.session.options.Brief {
		if err := r.look(&f); err != nil {
			return err
		}
	}
	for _, w := range diagnose.Run(f) {
		r.warn(w)
	}
	return nil
}

// look adds what the model makes of held-out samples to the facts.
func (r *run) look(f *diagnose.Facts) error {
	images := r.session.split.Test
	if r.session.split.Validation.Len() >= looked {
		images = r.session.split.Validation
	}
	if images.Target == nil {
		samples, err := r.evaluator.Sample(r.trainer.Weights(), images, looked)
		if err != nil {
			return err
		}
		f.Clean, f.Made, f.Values = samples.Clean.Scaled(0, samples.Clean.Len()), samples.Reconstructed.Scaled(0, samples.Reconstructed.Len()), samples.Clean.Size()
		f.Centred = !images.Vectors()
	}
	if images.Size() > mostLooked {
		return nil
	}
	layers := r.experiment.Model.Layers(imageOf(images))
	activations, err := r.evaluator.Activations(r.trainer.Weights(), images)
	if err != nil {
		return err
	}
	f.Layers = layersOf(layers, activations)
	return nil
}

// layersOf are the hidden layers among those of a model: all but the last, which makes the output.
func layersOf(layers []model.Layer, activations map[string]evaluate.Activation) []diagnose.Layer {
	var hidden []diagnose.Layer
	for _, l := range layers[:len(layers)-1] {
		if a, seen := activations[l.Name]; seen {
			bounded := strings.HasSuffix(l.Description, "tanh") || strings.HasSuffix(l.Description, "sigmoid")
			hidden = append(hidden, diagnose.Layer{Name: l.Name, Values: a.Values, Units: a.Units, Bounded: bounded})
		}
	}
	return hidden
}

// diagnoseEpoch warns of what is wrong after an epoch.
func (r *run) diagnoseEpoch(epoch rundir.Epoch) {
	for _, w := range diagnose.Epoch(r.facts()) {
		w.Epoch = epoch.Epoch
		r.warn(w)
	}
}
