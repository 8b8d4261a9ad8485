// Package train is the compiled training loop.
//
// A [Program] is compiled for one architecture; it starts runs, which train together as a [Group], of one run or of many
// with seeds and learning rates of their own. One call of the program runs a window of steps: batches are gathered, scaled,
// damaged, reconstructed, compared, and the parameters updated, all without the host. The caller drives:
//
//	program, err := train.Compile(backend, spec, split.Train, 1)
//	group, err := program.Start(spec)
//	for windows, err := range group.Windows(ctx) { // one call, many steps
//		fmt.Println(windows[0].Step, windows[0].EpochLoss)
//	}
//
// Promised: on one backend and machine the same spec, images and number of runs give the same bits, however the run is cut
// into windows, and wherever it is stopped and restored.
//
// What is not here: measuring the model (pkg/evaluate) and files (pkg/rundir).
package train

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/corrupt"
	"latent/pkg/model"
	"latent/pkg/random"
)

// Spec is what decides a run, beside its images.
type Spec struct {
	Model   model.Model
	Corrupt corrupt.Chain
	Options
	Seed int64
	// Features are what train.perceptual compares by; nil without it.
	Features *model.Perceptual
}

// LossFunction is the loss that the options name.
func (s Spec) LossFunction() model.Loss {
	loss := s.Options.LossFunction()
	loss.Perceptual = s.Features
	return loss
}

// scalars are the numbers that enter the program as inputs, in the order of numbers.
func (s Spec) scalars() []float32 {
	return slices.Concat(hyperValues(s.Options), s.LossFunction().Strengths(), model.Numbers(s.Model), s.Corrupt.Strengths())
}

// numbers are the scalars in a graph.
type numbers struct {
	hyper                hyper
	loss, model, corrupt []*Node
}

func (s Spec) numbers(scalars []*Node) numbers {
	take := func(n int) []*Node {
		taken := scalars[:n]
		scalars = scalars[n:]
		return taken
	}
	return numbers{
		hyper: newHyper(take(len(hyperValues(s.Options)))),
		loss:  take(len(s.LossFunction().Strengths())),
		model: take(len(model.Numbers(s.Model))), corrupt: take(len(s.Corrupt.Strengths())),
	}
}

// Trainer is one run of a group.
type Trainer struct {
	spec    Spec
	seed    random.Seed
	program *Program
	order   []*tensors.Tensor   // of orderEpoch, for each device
	state   [][]*tensors.Tensor // for each device, all the same

	steps, stepsPerEpoch int
	orderEpoch           int
	step                 int
	lossSum              float64
	clipped, seen        int   // steps of the epoch whose gradient was clipped, of those that this process has seen
	failure              error // once it diverged or was stopped

	places [][]int32 // of orderEpoch, for each device, on the host
	next   *gathered // the images of the next window, where they are streamed
	dealer *dealer   // of the images, where they are dealt out
}

// Stop leaves the run out of what follows: it keeps step with its group, and is trained only where it shares a call with a run
// that goes on. Its state no longer counts.
func (t *Trainer) Stop() { t.failure = ErrStopped }

// Steps is the number of steps of the whole run.
func (t *Trainer) Steps() int { return t.steps }

// StepsPerEpoch is the number of steps that show each training image once.
func (t *Trainer) StepsPerEpoch() int { return t.stepsPerEpoch }

// Step is the number of steps done.
func (t *Trainer) Step() int { return t.step }
