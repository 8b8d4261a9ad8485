// Package feature compares sets of images by the features that a small classifier of the same dataset has of them: the
// Fréchet distance, and precision and recall.
//
//	classifier, err := feature.Open(ctx, backend, split, feature.Options{Log: os.Stderr}) // trained once for a dataset, then read
//	real, err := classifier.Describe(ctx, split.Test)
//	drawn, err := classifier.Describe(ctx, generated)
//	distance, err := feature.Frechet(feature.Fit(real.Features), feature.Fit(drawn.Features))
//
// Promised: one dataset and backend have one classifier on a machine, whatever is held out of training for validation; what
// is read from the cache is checked, and trained again where it was damaged.
//
// Figures are comparable where [Classifier.SHA256] is the same, and nowhere else. They are not the Fréchet Inception Distance,
// whose features are those of photographs in a thousand classes and say little of digits.
//
// What is not here: drawing images (pkg/experiment), and figures of single images (pkg/evaluate).
package feature

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/rundir"
	"latent/pkg/scale"
	"latent/pkg/train"
)

// Classifier is a trained classifier of a dataset's images.
type Classifier struct {
	// SHA256 is the checksum of its weights, see [train.State.Checksum].
	SHA256 string

	model   *model.Classifier
	image   model.Image
	weights []*tensors.Tensor
	exec    *Exec
}

// version is that of the classifier and its training: what was trained in another way has another file.
const version = 1

// features is the number of features. Their covariance has 2,080 values, which thousands of images determine well.
const features = 64

// architecture is the classifier for images of this size: convolutions until the longer side is at most 8.
func architecture(image model.Image, classes int) *model.Classifier {
	m := &model.Classifier{Features: features, Classes: classes}
	side, channels := max(image.Height, image.Width), 16
	for len(m.Channels) == 0 || side > 8 {
		m.Channels = append(m.Channels, channels)
		side, channels = (side+1)/2, min(2*channels, 64)
	}
	return m
}

// training is how it is trained: always the same.
func training(images int) train.Options {
	o := train.Defaults()
	o.Epochs, o.LearningRate, o.Schedule, o.BatchSize = 4, 0.004, "cosine", min(o.BatchSize, images)
	return o
}

// ErrNoLabels says that a dataset has no classes to tell apart.
var ErrNoLabels = errors.New("the dataset has no labels")

// Options is what Open needs beside the dataset. The zero value works.
type Options struct {
	// Dir is the folder with the classifiers; "" is one in the user's cache folder.
	Dir string
	// Log takes lines for people; nil discards them.
	Log io.Writer
}

func (o Options) logf(format string, args ...any) {
	if o.Log != nil {
		fmt.Fprintf(o.Log, format+"\n", args...)
	}
}

// Open returns the classifier of a dataset. Where the folder has none yet, or a damaged one, it is trained on the training
// images and those held out for validation, and kept there: 10 to 25 s for MNIST on two cores with XLA, most of an hour in pure
// Go. Processes that do so at once write the same file, each whole.
func Open(ctx context.Context, b *backend.Backend, split *dataset.Split, options Options) (*Classifier, error) {
	images, err := whole(split)
	if err != nil {
		return nil, err
	}
	m := architecture(imageOf(images), len(split.Classes))
	params := model.Params(m, imageOf(images))
	path, err := pathOf(options.Dir, b, images, m)
	if err != nil {
		return nil, err
	}
	state, err := read(path)
	var weights []*tensors.Tensor
	if err == nil {
		weights, err = state.Weights(params)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			options.logf("%v; training it again", err)
		}
		options.logf("training a classifier of the dataset, once, for the features by which images are compared")
		if state, err = learn(ctx, b, m, images); err != nil {
			return nil, err
		}
		if weights, err = state.Weights(params); err != nil {
			return nil, err
		}
		if err := write(path, state); err != nil {
			options.logf("%v; the classifier is not saved, and will be trained again the next time", err)
		}
	}
	c := &Classifier{SHA256: state.Checksum(), model: m, image: imageOf(images), weights: weights}
	return c, c.compile(b, m, params)
}

// Perceptual is a loss by the classifier's layers, of this weight. It has copies of the classifier's weights, for those belong to its backend.
func (c *Classifier) Perceptual(weight float64) (*model.Perceptual, error) {
	loss := &model.Perceptual{Weight: weight, Classifier: c.model, SHA256: c.SHA256}
	for _, tensor := range c.weights {
		clone, err := tensor.LocalClone()
		if err != nil {
			return nil, err
		}
		loss.Weights = append(loss.Weights, clone)
	}
	return loss, nil
}

func imageOf(images *dataset.Samples) model.Image {
	return model.Image{Height: images.Height, Width: images.Width, Channels: images.Channels}
}

// whole returns the images to train on and those held out for validation, in an order that does not depend on which is which:
// that of their pixels, as bytes.
func whole(split *dataset.Split) (*dataset.Samples, error) {
	if len(split.Classes) == 0 || split.Train.Labels == nil {
		return nil, ErrNoLabels
	}
	all := *split.Train.Shown()
	if split.Validation.Len() > 0 {
		all.Values = array.Values{}.Append(all.Values).Append(split.Validation.Shown().Values)
		all.Labels = slices.Concat(all.Labels, split.Validation.Labels)
	}
	order := make([]int, all.Len())
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		if c := all.At(i).Compare(all.At(j)); c != 0 {
			return c
		}
		return int(all.Labels[i]) - int(all.Labels[j])
	})
	return all.Select(order), nil
}

// pathOf is the classifier's file: its name is a checksum of everything that decides the weights but for the machine.
func pathOf(dir string, b *backend.Backend, images *dataset.Samples, m *model.Classifier) (string, error) {
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache folder for the classifier: %w; name one by XDG_CACHE_HOME", err)
		}
		dir = filepath.Join(cache, "latent", "classifiers")
	}
	digest := sha256.New()
	fmt.Fprintln(digest, version, b.Name, imageOf(images), model.Structure(m))
	digest.Write(images.Labels)
	digest.Write(images.Values.Bytes())
	return filepath.Join(dir, hex.EncodeToString(digest.Sum(nil))+".ckpt"), nil
}

func read(path string) (train.State, error) {
	checkpoint, err := rundir.ReadCheckpoint(path)
	if err != nil {
		return train.State{}, err
	}
	state := train.State{Step: checkpoint.Step}
	for _, tensor := range checkpoint.Tensors {
		state.Tensors = append(state.Tensors, train.Tensor(tensor))
	}
	return state, nil
}

func write(path string, state train.State) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	checkpoint := rundir.Checkpoint{Step: state.Step}
	for _, tensor := range state.Tensors {
		checkpoint.Tensors = append(checkpoint.Tensors, rundir.Tensor(tensor))
	}
	return rundir.WriteCheckpoint(path, checkpoint)
}

// learn trains the classifier, and returns its parameters.
func learn(ctx context.Context, b *backend.Backend, m *model.Classifier, images *dataset.Samples) (train.State, error) {
	spec := train.Spec{Model: m, Options: training(images.Len()), Seed: version}
	program, err := train.Compile(b, spec, images, 1)
	if err != nil {
		return train.State{}, fmt.Errorf("train the classifier: %w", err)
	}
	group, err := program.Start(spec)
	if err != nil {
		return train.State{}, fmt.Errorf("train the classifier: %w", err)
	}
	for _, err := range group.Windows(ctx) {
		switch {
		case errors.Is(err, train.ErrDiverged):
			// Not wrapped: it is not the run that diverged.
			return train.State{}, fmt.Errorf("train the classifier: %v; set evaluate.generated: 0 and train.perceptual: 0 to do without it", err)
		case err != nil:
			return train.State{}, fmt.Errorf("train the classifier: %w", err)
		}
	}
	state, err := group.Runs[0].State()
	if err != nil {
		return train.State{}, fmt.Errorf("train the classifier: %w", err)
	}
	state.Tensors = state.Tensors[:len(model.Params(m, imageOf(images)))]
	return state, nil
}

// batch is the number of images in a call.
const batch = 500

func (c *Classifier) compile(b *backend.Backend, m *model.Classifier, params []model.Param) error {
	exec, err := NewExec(b.Compute, func(inputs []*Node) []*Node {
		pass := &model.Pass{Weights: model.Weights{}}
		for i, param := range params {
			pass.Weights[param.Name] = inputs[1+i]
		}
		out := m.Apply(pass, model.Pixels(inputs[0], c.image, scale.Scale{}))
		return []*Node{out.Latent, ArgMax(out.Logits, 1, dtypes.Int32)}
	})
	if err != nil {
		return fmt.Errorf("build the classifier: %w", err)
	}
	inputs := []shapes.Shape{shapes.Make(dtypes.Uint8, batch, c.image.Size())}
	for _, param := range params {
		inputs = append(inputs, shapes.Make(dtypes.Float32, param.Dims...))
	}
	if _, err := exec.Compile(inputs...); err != nil {
		return fmt.Errorf("build the classifier: %w", err)
	}
	c.exec = exec
	return nil
}

// Description is what a classifier makes of images.
type Description struct {
	// Features are [images, 64].
	Features *mat.Dense
	// Classes are the likeliest class of each image.
	Classes []uint8
}

// Describe returns the features and classes of images.
func (c *Classifier) Describe(ctx context.Context, images *dataset.Samples) (Description, error) {
	if got := imageOf(images); got != c.image {
		return Description{}, fmt.Errorf("classify images of %v: the classifier was trained on %v", got, c.image)
	}
	images = images.Shown()
	n := images.Len()
	d := Description{Features: mat.NewDense(n, features, nil)}
	for first := 0; first < n; first += batch {
		if err := ctx.Err(); err != nil {
			return Description{}, err
		}
		count := min(batch, n-first)
		args := []any{images.Rows(first, batch)}
		for _, weight := range c.weights {
			args = append(args, weight)
		}
		outputs, err := c.exec.Call(args...)
		if err != nil {
			return Description{}, fmt.Errorf("classify images from %d on: %w", first, err)
		}
		values, err := tensors.CopyFlatData[float32](outputs[0])
		if err != nil {
			return Description{}, err
		}
		classes, err := tensors.CopyFlatData[int32](outputs[1])
		if err != nil {
			return Description{}, err
		}
		for i := range count {
			d.Classes = append(d.Classes, uint8(classes[i]))
			row := d.Features.RawRowView(first + i)
			for j := range row {
				row[j] = float64(values[i*features+j])
			}
		}
	}
	return d, nil
}

// Accuracy is the part of labels that are the classes.
func (d Description) Accuracy(labels []uint8) float64 {
	right := 0
	for i, class := range d.Classes {
		if class == labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(d.Classes))
}
