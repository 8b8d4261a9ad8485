package train

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Group is runs of one architecture that train together, a window of steps of each in turn. Runs of a model too small to
// keep the device busy share the calls of the compiled program, and so cost less each.
type Group struct {
	// Runs are at the same step, always.
	Runs []*Trainer

	program *Program
	pace    pace
}

// Memory tells what the group needs on a device.
func (s *Group) Memory() Memory { return s.program.Memory(len(s.Runs)) }

// Window is what a call of the compiled program did for a run.
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
	Clipped      float64 // share of the epoch's steps so far whose gradient was clipped
	// Err is ErrDiverged with the step, or ErrStopped, in this window or an earlier one, while other runs of the group go on.
	Err error
}

// ErrDiverged says that a loss was no finite number. It is wrapped with the step.
var ErrDiverged = errors.New("the loss is not a finite number")

// ErrStopped says that a run was stopped by [Trainer.Stop].
var ErrStopped = errors.New("the run was stopped")

// Windows runs the rest of the runs, a window of steps at a time, and yields what it did for each. It ends after the last
// step, at the first error, or with ctx's error at the end of the window in which ctx ends. A run that diverges or was
// stopped is an error when no other is left.
//
// A window never crosses the end of an epoch. How long it is decides nothing but when the caller hears of it.
func (s *Group) Windows(ctx context.Context) iter.Seq2[[]Window, error] {
	return func(yield func([]Window, error) bool) {
		for _, run := range s.Runs {
			if run.step != s.Runs[0].step {
				yield(nil, fmt.Errorf("runs of a group are at steps %d and %d; they can only train from the same step", s.Runs[0].step, run.step))
				return
			}
		}
		if stream := s.program.stream; stream != nil {
			stream.ended.Store(false)
			defer context.AfterFunc(ctx, func() { stream.ended.Store(true) })() // an epoch that is being dealt is not waited for
		}
		for s.Runs[0].step < s.Runs[0].steps {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			windows, err := s.Advance(s.pace.steps())
			if !yield(windows, err) || err != nil {
				return
			}
		}
	}
}

// Advance runs at most n steps, fewer at the end of an epoch or of the runs. It is for tests and benchmarks; Windows chooses
// n by time.
func (s *Group) Advance(n int) ([]Window, error) {
	start := time.Now()
	lead := s.Runs[0]
	first := lead.step % lead.stepsPerEpoch
	n = min(n, lead.stepsPerEpoch-first, lead.steps-lead.step, s.program.window)
	if ready := lead.ready(); ready > 0 {
		n = min(n, ready)
	}
	told, err := s.execute(n)
	if err != nil {
		return nil, fmt.Errorf("train steps %d to %d: %w", lead.step+1, lead.step+n, err)
	}
	took := time.Since(start)
	s.pace.took(n, took)
	windows := make([]Window, len(s.Runs))
	var failures []error
	for k, run := range s.Runs {
		windows[k] = run.account(n, told[k], took)
		if run.failure != nil {
			failures = append(failures, run.failure)
		}
	}
	if len(failures) == len(s.Runs) {
		return nil, errors.Join(failures...)
	}
	return windows, nil
}

// told is what a run's steps tell: their losses, and the norms of their gradients before these are clipped; none where they are not.
type told struct{ losses, norms []float32 }

// execute moves the runs on by n steps, call by call, and returns what each run's tell: nothing of a call that no run needs any
// more.
func (s *Group) execute(n int) ([]told, error) {
	var all []told
	for _, count := range s.program.parts(len(s.Runs)) {
		runs := s.Runs[len(all):][:count]
		if !slices.ContainsFunc(runs, func(t *Trainer) bool { return t.failure == nil }) {
			all = append(all, make([]told, count)...)
			continue
		}
		part, err := s.program.call(runs, n, s.pace.steps())
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}

// call executes the compiled program for n steps of some runs, replaces their states, and returns what they tell. expected is about how
// many steps the next call will have.
func (p *Program) call(runs []*Trainer, n, expected int) ([]told, error) {
	lead := runs[0]
	epochStart := lead.step - lead.step%lead.stepsPerEpoch
	images := p.images
	if p.stream != nil {
		window := p.stream.window(lead, n) // a run alone: see parts
		if window.err != nil {
			return nil, window.err
		}
		images = window.perDevice
		defer p.stream.drop(window)
	}
	var args []any
	for device := range p.devices {
		row := device * p.local()
		args = append(args, images[device], p.labels[device], []int32{int32(epochStart), int32(lead.step), int32(lead.step + n), int32(row)})
		for _, run := range runs {
			inputs, err := run.inputs(device, n)
			if err != nil {
				return nil, err
			}
			args = append(args, inputs...)
		}
	}
	if p.stream != nil {
		p.stream.ahead(lead, n, expected)
	}
	outputs, err := p.exec.Call(args...)
	if err != nil {
		return nil, err
	}
	all := make([]told, len(runs))
	own := 1 + len(p.stateShapes())
	for device := range p.devices {
		for k, run := range runs {
			mine := outputs[(device*len(runs)+k)*own:][:own]
			run.state[device] = mine[1:]
			if device > 0 {
				continue // the same losses
			}
			values, err := tensors.CopyFlatData[float32](mine[0])
			if err != nil {
				return nil, err
			}
			all[k].losses = values[:n]
			if p.spec.ClipNorm > 0 {
				all[k].norms = values[len(values)/2:][:n]
			}
		}
	}
	return all, nil
}

// inputs are the run's own inputs for n steps on a device. Its state there is given away: it comes back as an output.
func (t *Trainer) inputs(device, n int) ([]any, error) {
	rates := make([]float32, t.program.window)
	for i := range n {
		rates[i] = float32(t.spec.rate(t.step+i, t.steps, t.stepsPerEpoch))
	}
	args := []any{
		inputOrder:   t.epochOrder(t.step / t.stepsPerEpoch)[device],
		inputRates:   rates,
		inputScalars: t.spec.scalars(),
		inputSeed:    t.seed[:],
	}
	for _, tensor := range t.state[device] {
		donated, err := graph.DonateTensorBuffer(tensor, t.program.backend, compute.DeviceNum(device))
		if err != nil {
			return nil, err
		}
		args = append(args, donated)
	}
	return args, nil
}

// permutation is the order of the images in an epoch, padded to whole batches.
func (t *Trainer) permutation(epoch int) []int32 {
	whole := make([]int32, t.stepsPerEpoch*t.spec.BatchSize)
	copy(whole, t.seed.Child(streamShuffle).Child(epoch).Permutation(t.program.count))
	return whole
}

// epochOrder returns each device's part of the epoch's permutation, batch by batch, padded to whole batches.
func (t *Trainer) epochOrder(epoch int) []*tensors.Tensor {
	if t.orderEpoch == epoch {
		return t.order
	}
	p, whole := t.program, t.permutation(epoch)
	t.order, t.places, t.orderEpoch = nil, nil, epoch
	for device := range p.devices {
		var part []int32
		for step := range t.stepsPerEpoch {
			part = append(part, whole[step*t.spec.BatchSize+device*p.local():][:p.local()]...)
		}
		t.order, t.places = append(t.order, tensors.FromFlatDataAndDimensions(part, len(part))), append(t.places, part)
	}
	return t.order
}

// account moves the run on by n steps, which told this, and tells of them.
func (t *Trainer) account(n int, told told, took time.Duration) Window {
	first := t.step % t.stepsPerEpoch
	if first == 0 {
		t.lossSum, t.clipped, t.seen = 0, 0, 0
	}
	window := Window{Epoch: t.step/t.stepsPerEpoch + 1, Losses: told.losses, Duration: took,
		LearningRate: t.spec.rate(t.step+n-1, t.steps, t.stepsPerEpoch)}
	for i, loss := range told.losses {
		if t.failure == nil && (math.IsNaN(float64(loss)) || math.IsInf(float64(loss), 0)) {
			t.failure = fmt.Errorf("step %d: %w", t.step+i+1, ErrDiverged)
		}
		images := min(t.spec.BatchSize, t.program.count-(first+i)*t.spec.BatchSize)
		t.lossSum += float64(loss) * float64(images)
		window.Images += images
	}
	for _, norm := range told.norms {
		if float64(norm) > t.spec.ClipNorm {
			t.clipped++
		}
	}
	t.seen += n
	window.Clipped = float64(t.clipped) / float64(t.seen)
	t.step += n
	window.Step = t.step
	window.EndsEpoch = t.step%t.stepsPerEpoch == 0
	window.EndsRun = t.step == t.steps
	window.EpochLoss = t.lossSum / float64(min((first+n)*t.spec.BatchSize, t.program.count))
	window.Err = t.failure
	return window
}
