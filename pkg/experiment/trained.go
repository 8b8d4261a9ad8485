package experiment

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/rundir"
	"latent/pkg/weights"
)

// Trained is the model of a run that is done or was stopped, for use.
type Trained struct {
	Run        *rundir.Run
	Experiment *config.Experiment
	Manifest   *rundir.Manifest
	Backend    *backend.Backend
	Image      model.Image
	Weights    []*tensors.Tensor // in the order of [model.Params]
	// Step is the step of training that the weights are from.
	Step int

	// What was loaded, compiled or computed once already; nil before.
	split     *dataset.Split
	evaluator *evaluate.Evaluator
	testCodes *evaluate.Codes
}

// Open reads the run in a folder and opens its backend. The weights are those that its figures were measured with, or, where
// it has none yet, those of its newest checkpoint. overrides change values of the config; the weights stay as they are.
func Open(ctx context.Context, path string, overrides []string, options Options) (*Trained, error) {
	options = options.withDefaults()
	t, err := Read(path, overrides, options)
	if err != nil {
		return nil, err
	}
	t.Backend, err = backend.Open(ctx, t.Experiment.Backend, backend.Options{Log: options.Log, Threads: t.Experiment.Threads})
	if err != nil {
		return nil, InputError{err}
	}
	return t, nil
}

// Read is [Open] without a backend, for what needs only the weights.
func Read(path string, overrides []string, options Options) (*Trained, error) {
	t, err := readTrained(path, overrides, options.withDefaults())
	if err != nil {
		return nil, InputError{err}
	}
	return t, nil
}

func readTrained(path string, overrides []string, options Options) (*Trained, error) {
	folder, err := rundir.Open(path)
	if err != nil {
		return nil, err
	}
	t := &Trained{Run: folder}
	if t.Manifest, err = folder.Manifest(); err != nil {
		return nil, err
	}
	if err := warnChanged(folder, t.Manifest, options); err != nil {
		return nil, err
	}
	if t.Experiment, err = config.Load(folder.ConfigPath(), overrides...); err != nil {
		return nil, err
	}
	d := t.Manifest.Data
	t.Image = model.Image{Height: d.Height, Width: d.Width, Channels: d.Channels}
	if t.Image.Size() <= 0 {
		return nil, fmt.Errorf("%s: images of %v; the manifest was changed", folder.ManifestPath(), t.Image)
	}
	var checkpoint *rundir.Checkpoint
	if t.Manifest.Result.Weights == "best" && t.Experiment.Evaluate.Weights == "last" {
		t.Manifest.Result.Weights, t.Manifest.Result.Epoch = "last", t.Manifest.Progress.Epoch
	}
	if t.Manifest.Result.Weights == "best" {
		checkpoint, err = folder.BestCheckpoint()
	} else {
		var warnings []string
		checkpoint, warnings, err = folder.LatestCheckpoint()
		for _, warning := range warnings {
			fmt.Fprintln(options.Log, warning)
		}
	}
	if err != nil {
		return nil, err
	}
	t.Step = checkpoint.Step
	t.Weights, err = weightsOf(checkpoint, model.Params(t.Experiment.Model, t.Image))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Evaluate measures the model on held-out images: the run's own test images, or all pictures of a folder, scaled to the
// model's size, where dir is not "". On those, there is no probe, and no generated images are compared with them.
func (t *Trained) Evaluate(ctx context.Context, dir string, options Options) (rundir.Result, int, error) {
	options = options.withDefaults()
	s, err := t.subject(ctx, dir, options)
	if err != nil {
		return rundir.Result{}, 0, err
	}
	result := rundir.Result{Weights: t.Manifest.Result.Weights, Epoch: t.Manifest.Result.Epoch}
	if _, err := s.measure(ctx, &result); err != nil {
		return rundir.Result{}, 0, err
	}
	p := &progress{out: options.Log}
	p.figures(result, fmt.Sprintf("%s images", thousands(s.images.Len())))
	return result, s.images.Len(), nil
}

// subject is the model with the images of a folder, or the run's own.
func (t *Trained) subject(ctx context.Context, dir string, options Options) (subject, error) {
	s := subject{experiment: t.Experiment, weights: t.Weights}
	var err error
	if s.evaluator, err = t.compile(); err != nil {
		return s, err
	}
	if dir != "" {
		if s.images, err = t.pictures(ctx, dir); err != nil {
			return s, InputError{err}
		}
		return s, nil
	}
	if s.split, err = t.load(ctx, options); err != nil {
		return s, InputError{err}
	}
	s.images = s.split.Test
	if err := cmp.Or(checkScores(t.Experiment, s.split), checkProbe(t.Experiment, s.evaluator)); err != nil {
		return s, err
	}
	if n := t.Experiment.Evaluate.Generated; n > 0 {
		s.judge, err = newJudge(ctx, t.Backend, s.split, n, options)
	}
	return s, err
}

// pictures are those of a folder, scaled to the model's size.
func (t *Trained) pictures(ctx context.Context, dir string) (*dataset.Images, error) {
	folder := &dataset.Folder{Dir: dir, Height: t.Image.Height, Width: t.Image.Width, Colour: "grey"}
	if t.Image.Channels == 3 {
		folder.Colour = "rgb"
	}
	return folder.All(ctx)
}

// compile returns the evaluation of the model.
func (t *Trained) compile() (*evaluate.Evaluator, error) {
	if t.evaluator == nil {
		evaluator, err := evaluate.New(t.Backend.Compute, evaluationOf(t.Experiment), t.Image)
		if err != nil {
			return nil, err
		}
		t.evaluator = evaluator
	}
	return t.evaluator, nil
}

// load loads the images that the run was trained on.
func (t *Trained) load(ctx context.Context, options Options) (*dataset.Split, error) {
	if t.split != nil {
		return t.split, nil
	}
	var bar io.Writer
	if options.Terminal {
		bar = options.Log
	}
	split, err := t.Experiment.Data.Load(ctx, dataset.Options{Progress: bar})
	if err != nil {
		return nil, err
	}
	if got := imageOf(split.Test); got != t.Image {
		return nil, fmt.Errorf("the images are %v, the model's %v", got, t.Image)
	}
	if !maps.Equal(split.Checksums, t.Manifest.Data.Checksums) {
		fmt.Fprintf(options.Log, "%s: the images are others than those that the run was trained on\n", t.Run.ConfigPath())
	}
	if classes := model.Conditions(t.Experiment.Model); classes > 0 && len(split.Classes) > 0 && len(split.Classes) != classes {
		return nil, t.Experiment.Problem("data", "the images have %d classes, and model.classes is %d", len(split.Classes), classes)
	}
	t.split = split
	return split, nil
}

// Tensors are the weights by their names, as files of weights have them.
func (t *Trained) Tensors() ([]weights.Tensor, error) {
	var all []weights.Tensor
	for i, param := range model.Params(t.Experiment.Model, t.Image) {
		values, err := tensors.CopyFlatData[float32](t.Weights[i])
		if err != nil {
			return nil, err
		}
		all = append(all, weights.Tensor{Name: param.Name, Dims: param.Dims, Values: values})
	}
	return all, nil
}

// Close releases the backend.
func (t *Trained) Close() { t.Backend.Close() }
