// Package train is the compiled training loop.
//
// A [Trainer] holds the data and the state of one run on the device. One call of the compiled program runs a window of
// steps: batches are gathered, scaled, damaged, reconstructed, compared, and the parameters updated, all without the
// host. The caller drives:
//
//	trainer, err := train.New(backend, spec, split.Train)
//	for window, err := range trainer.Windows(ctx) { // one call, many steps
//		...
//	}
//
// Promised: on one backend and machine the same spec and images give the same bits, however the run is cut into
// windows, and wherever it is stopped and restored.
//
// What is not here: measuring the model (pkg/evaluate) and files (pkg/rundir).
package train

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
)

// Spec is what decides a run, beside its images.
type Spec struct {
	Model   model.Model
	Corrupt corrupt.Chain
	Options
	Seed int64
}

// Trainer is one run.
type Trainer struct {
	// CompileTime is how long the program took to build and compile.
	CompileTime time.Duration

	spec    Spec
	seed    random.Seed
	program *program
	backend compute.Backend
	exec    *graph.Exec
	images  *tensors.Tensor
	order   *tensors.Tensor // of orderEpoch
	state   []*tensors.Tensor

	steps, stepsPerEpoch int
	orderEpoch           int
	step                 int
	lossSum              float64
	pace                 pace
}

// Window is what a call of the compiled program did.
type Window struct {
	Step         int       // steps of the run done at its end
	Epoch        int       // its epoch, counted from 1
	Losses       []float32 // of each of its steps
	LearningRate float64   // of its last step
	Images       int       // training images seen in it
	Duration     time.Duration
	EndsEpoch    bool
	EndsRun      bool
	EpochLoss    float64 // mean over the images of the epoch so far
}

// longestWindow bounds a window's steps, and so the losses that come back at its end.
const longestWindow = 1024

// New puts the images and the first state on the device and compiles the program.
//
// loops says that the backend can run a loop of steps in one call (see backend.Backend).
func New(b compute.Backend, loops bool, spec Spec, images *dataset.Images) (*Trainer, error) {
	if images.Len() == 0 {
		return nil, errors.New("train: no training images")
	}
	optimizer, ok := optimizers[spec.Optimizer]
	if !ok {
		return nil, fmt.Errorf("train.optimizer: unknown kind %q", spec.Optimizer)
	}
	image := model.Image{Height: images.Height, Width: images.Width, Channels: images.Channels}
	stepsPerEpoch := spec.StepsPerEpoch(images.Len())
	window := 1
	if loops {
		window = min(stepsPerEpoch, longestWindow)
	}
	t := &Trainer{
		spec:    spec,
		seed:    random.NewSeed(spec.Seed),
		backend: b,
		program: &program{
			model: spec.Model, corruption: spec.Corrupt,
			loss:      spec.LossFunction(),
			optimizer: optimizer, clips: spec.ClipNorm > 0,
			image: image, params: model.Params(spec.Model, image),
			batch: spec.BatchSize, images: images.Len(), window: window, loops: loops,
		},
		images: tensors.FromFlatDataAndDimensions(images.Pixels, images.Len(), image.Size()),
		steps:  spec.Steps(images.Len()), stepsPerEpoch: stepsPerEpoch,
		pace: pace{longest: window},
	}
	t.state = t.program.firstState(t.seed.Child(streamInit))

	start := time.Now()
	exec, err := graph.NewExec(b, t.program.build)
	if err != nil {
		return nil, fmt.Errorf("build the training step: %w", err)
	}
	if _, err := exec.Compile(t.program.inputShapes()...); err != nil {
		return nil, fmt.Errorf("build the training step: %w", bugOrError(err))
	}
	t.exec, t.CompileTime = exec, time.Since(start)
	return t, nil
}

// bugOrError returns err, unless it is a Go runtime error that the graph's builder caught: an index out of range is a
// bug of ours and must not look like a mistake in a config.
func bugOrError(err error) error {
	var bug runtime.Error
	if errors.As(err, &bug) {
		panic(bug)
	}
	return err
}

// Steps is the number of steps of the whole run.
func (t *Trainer) Steps() int { return t.steps }

// StepsPerEpoch is the number of steps that show each training image once.
func (t *Trainer) StepsPerEpoch() int { return t.stepsPerEpoch }

// Step is the number of steps done.
func (t *Trainer) Step() int { return t.step }

// ErrDiverged says that a loss was no finite number. It is wrapped with the step.
var ErrDiverged = errors.New("the loss is not a finite number")

// Windows runs the rest of the run, a window of steps at a time. It ends after the last step, at the first error, or
// with ctx's error at the end of the window in which ctx ends.
//
// A window never crosses the end of an epoch. How long it is decides nothing but when the caller hears of it.
func (t *Trainer) Windows(ctx context.Context) iter.Seq2[Window, error] {
	return func(yield func(Window, error) bool) {
		for t.step < t.steps {
			if err := ctx.Err(); err != nil {
				yield(Window{}, err)
				return
			}
			window, err := t.run(t.next())
			if !yield(window, err) || err != nil {
				return
			}
		}
	}
}

// next is the number of steps of the next window.
func (t *Trainer) next() int {
	left := min(t.stepsPerEpoch-t.step%t.stepsPerEpoch, t.steps-t.step)
	return min(left, t.pace.steps())
}

// run executes a window of n steps.
func (t *Trainer) run(n int) (Window, error) {
	start := time.Now()
	epoch, first := t.step/t.stepsPerEpoch, t.step%t.stepsPerEpoch
	if first == 0 {
		t.lossSum = 0
	}
	losses, err := t.execute(epoch, first, n)
	if err != nil {
		return Window{}, fmt.Errorf("train steps %d to %d: %w", t.step+1, t.step+n, err)
	}

	window := Window{Epoch: epoch + 1, Losses: losses, LearningRate: t.spec.rate(t.step+n-1, t.steps, t.stepsPerEpoch)}
	for i, loss := range losses {
		if math.IsNaN(float64(loss)) || math.IsInf(float64(loss), 0) {
			return Window{}, fmt.Errorf("step %d: %w", t.step+i+1, ErrDiverged)
		}
		images := t.batchImages(first + i)
		t.lossSum += float64(loss) * float64(images)
		window.Images += images
	}
	t.step += n
	window.Step = t.step
	window.EndsEpoch = t.step%t.stepsPerEpoch == 0
	window.EndsRun = t.step == t.steps
	window.EpochLoss = t.lossSum / float64(min((first+n)*t.spec.BatchSize, t.program.images))
	window.Duration = time.Since(start)
	t.pace.took(n, window.Duration)
	return window, nil
}

// batchImages is the number of images in a step of an epoch.
func (t *Trainer) batchImages(stepInEpoch int) int {
	return min(t.spec.BatchSize, t.program.images-stepInEpoch*t.spec.BatchSize)
}

// execute calls the compiled program for n steps from the first-th of the epoch, and replaces the state.
func (t *Trainer) execute(epoch, first, n int) ([]float32, error) {
	if t.order == nil || t.orderEpoch != epoch {
		order := make([]int32, t.stepsPerEpoch*t.spec.BatchSize)
		copy(order, t.seed.Child(streamShuffle).Child(epoch).Permutation(t.program.images))
		t.order, t.orderEpoch = tensors.FromFlatDataAndDimensions(order, len(order)), epoch
	}
	rates := make([]float32, t.program.window)
	for i := range n {
		rates[i] = float32(t.spec.rate(t.step+i, t.steps, t.stepsPerEpoch))
	}
	args := []any{
		inputImages:  t.images,
		inputOrder:   t.order,
		inputRates:   rates,
		inputScalars: append(hyperValues(t.spec.Options), t.spec.Corrupt.Strengths()...),
		inputSeed:    t.seed[:],
		inputCursor:  []int32{int32(t.step - first), int32(t.step), int32(t.step + n)},
	}
	for _, tensor := range t.state {
		donated, err := graph.DonateTensorBuffer(tensor, t.backend, 0)
		if err != nil {
			return nil, err
		}
		args = append(args, donated)
	}
	outputs, err := t.exec.Call(args...)
	if err != nil {
		return nil, err
	}
	t.state = outputs[1:]
	losses, err := tensors.CopyFlatData[float32](outputs[0])
	if err != nil {
		return nil, err
	}
	return losses[:n], nil
}

// Step runs exactly n steps, fewer at the end of an epoch or of the run. It is for tests and benchmarks; Windows chooses
// n by time.
func (t *Trainer) Advance(n int) (Window, error) {
	left := min(t.stepsPerEpoch-t.step%t.stepsPerEpoch, t.steps-t.step, t.program.window)
	return t.run(min(n, left))
}
