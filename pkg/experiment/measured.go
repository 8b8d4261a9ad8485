package experiment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"

	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/scale"
)

// Measured is how a trained model does on each of its run's test samples.
type Measured struct {
	// Images is the number of samples, whole pictures where the run was trained on patches.
	Images int
	// Each holds a value for each sample by the figure that their mean is; see [evaluate.Result]. There is no loss of runs with
	// train.perceptual, and none of models that compare the samples of a batch (model.Collective), where it is no sample's own.
	Each map[string][]float64
	// First are the first samples; of patches, the patches. It has none of rows of a table.
	First evaluate.Samples
	// Samples, Damage and Loss tell whether runs can be compared sample by sample: what is measured on are the same samples where Samples
	// is the same, damaged by the same draws where Damage is the same, and losses are the same function where Loss is the same.
	Samples, Damage, Loss string
	// Changed says that the files of the data are others than when the run was trained.
	Changed bool
}

// Measure measures the model of the run in a folder on the run's test samples, with the weights that its figures are of, and draws the
// first n of them. Runs of one structure and the same data share the samples and the program. All are measured on one backend, that of the
// first: two of them would round differently.
func (l *Lab) Measure(ctx context.Context, path string, n int) (*Measured, error) {
	t, err := Read(path, nil, l.options)
	if err != nil {
		return nil, err
	}
	l.options.busy("measuring %s", path)
	if l.backend == nil {
		alone := *t.Experiment
		alone.Train.Devices = 1 // of which measuring needs no more
		if _, err := l.open(ctx, &alone); err != nil {
			return nil, err
		}
	}
	split, err := l.load(ctx, t.Experiment)
	if err != nil {
		return nil, err
	}
	if got := imageOf(split.Test); got != t.Image || scaleKey(split.Test.Scale) != scaleKey(t.scale) {
		return nil, InputError{fmt.Errorf("%s: the data was changed after the run was trained: the samples are of another size or scale; put the files back", t.Run.ConfigPath())}
	}
	spec := evaluationOf(t.Experiment, max(split.Validation.Len(), split.Test.Len()))
	evaluator, err := l.evaluation(l.backend, spec, split)
	if err != nil {
		return nil, err
	}
	found, err := evaluator.Measure(ctx, t.Weights, split.Test)
	if err != nil {
		return nil, err
	}
	m := &Measured{Images: found.Images, Each: found.Each, Changed: !maps.Equal(split.Checksums, t.Manifest.Data.Checksums),
		Samples: samplesKey(split.Test), Loss: lossKey(t.Experiment, spec, len(found.Terms) > 0)}
	collective, ok := t.Experiment.Model.(model.Collective)
	if t.Experiment.Train.Perceptual > 0 || ok && collective.AcrossBatch() != "" {
		delete(m.Each, "loss")
	}
	if m.Damage, err = damageKey(spec); err != nil {
		return nil, InputError{err}
	}
	if !split.Test.Vectors() {
		m.First, err = evaluator.Sample(t.Weights, split.Test, n)
	}
	return m, err
}

// samplesKey is a checksum of samples, their targets and their scale.
func samplesKey(samples *dataset.Samples) string {
	sum := sha256.New()
	for _, side := range []*dataset.Samples{samples, samples.Clean()} {
		fmt.Fprintln(sum, side.Features, scaleKey(side.Scale))
		for i := range side.Pictures() {
			one := side.Picture(i)
			fmt.Fprintln(sum, one.Dims(), one.Values.Type())
			sum.Write(one.Values.Bytes())
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// scaleKey has all digits of a scale's numbers; that of bytes is the same however it is written.
func scaleKey(s scale.Scale) string {
	if s.IsBytes() {
		return "bytes"
	}
	type numbers scale.Scale // without the method String, which rounds
	return fmt.Sprint(numbers(s))
}

// damageKey is all that decides what is done to a sample at its place.
func damageKey(spec evaluate.Spec) (string, error) {
	if spec.Corrupt.Identity() {
		return "", nil
	}
	files, err := spec.Corrupt.Checksums()
	return fmt.Sprint(spec.Corrupt.Structure(), spec.Corrupt.Strengths(), files, spec.Seed), err
}

// lossKey is all that decides a loss, but for the model where that has no part in it. terms says that it has several.
func lossKey(e *config.Experiment, spec evaluate.Spec, terms bool) string {
	key := fmt.Sprint(spec.Loss.Kind, spec.Loss.Strengths(), spec.Loss.Damaged)
	if _, own := e.Model.(model.Objective); own || terms {
		key += fmt.Sprint(model.Structure(e.Model), model.Numbers(e.Model))
	}
	return key
}
