package experiment

import (
	"context"
	"fmt"
	"io"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/rundir"
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
}

// Open reads the run in a folder and opens its backend. The weights are those that its figures were measured with, or, where
// it has none yet, those of its newest checkpoint. overrides change values of the config; the weights stay as they are.
func Open(ctx context.Context, path string, overrides []string, options Options) (*Trained, error) {
	options = options.withDefaults()
	t, err := readTrained(path, overrides, options)
	if err != nil {
		return nil, InputError{err}
	}
	t.Backend, err = backend.Open(ctx, t.Experiment.Backend, backend.Options{Log: options.Log})
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
// model's size, where dir is not "".
func (t *Trained) Evaluate(ctx context.Context, dir string, options Options) (rundir.Result, int, error) {
	options = options.withDefaults()
	images, err := t.images(ctx, dir, options)
	if err != nil {
		return rundir.Result{}, 0, InputError{err}
	}
	evaluator, err := evaluate.New(t.Backend.Compute, evaluationOf(t.Experiment), t.Image)
	if err != nil {
		return rundir.Result{}, 0, err
	}
	measured, err := evaluator.Measure(ctx, t.Weights, images)
	if err != nil {
		return rundir.Result{}, 0, err
	}
	if measured.MaskKnown, err = evaluator.MaskKnown(ctx, t.Weights, images); err != nil {
		return rundir.Result{}, 0, err
	}
	result := rundir.Result{Weights: t.Manifest.Result.Weights, Epoch: t.Manifest.Result.Epoch}
	e := t.Experiment.Evaluate
	likelihood, err := evaluator.Likelihood(ctx, t.Weights, images, e.NLLSamples, e.NLLImages)
	if err != nil {
		return rundir.Result{}, 0, err
	}
	setFigures(&result, measured, likelihood)
	p := &progress{out: options.Log}
	p.figures(result, fmt.Sprintf("%s images", thousands(images.Len())))
	return result, images.Len(), nil
}

func (t *Trained) images(ctx context.Context, dir string, options Options) (*dataset.Images, error) {
	if dir != "" {
		folder := &dataset.Folder{Dir: dir, Height: t.Image.Height, Width: t.Image.Width, Colour: "grey"}
		if t.Image.Channels == 3 {
			folder.Colour = "rgb"
		}
		return folder.All(ctx)
	}
	split, err := t.load(ctx, options)
	if err != nil {
		return nil, err
	}
	return split.Test, nil
}

// load loads the images that the run was trained on.
func (t *Trained) load(ctx context.Context, options Options) (*dataset.Split, error) {
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
	return split, nil
}

// Close releases the backend.
func (t *Trained) Close() { t.Backend.Close() }
