package experiment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/report"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// Options is what a run needs beside its experiment. The zero value works: it is silent.
type Options struct {
	// Log takes what a person reads; nil discards it.
	Log io.Writer
	// Terminal says that Log is a terminal, so that progress may be a line that changes.
	Terminal bool
	// Command is the command line that started the run, for its manifest and report.
	Command string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// ErrInterrupted is wrapped by the error of a run that its context ended; the run's state is saved.
var ErrInterrupted = errors.New("interrupted")

// InputError wraps an error of what the run was given: the config's values against the data, or files that are missing,
// damaged or not what they should be.
type InputError struct{ Err error }

func (e InputError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e InputError) Unwrap() error { return e.Err }

// session is a run in this process.
type session struct {
	options    Options
	experiment *config.Experiment
	ledger     ledger
	progress   *progress

	backend   *backend.Backend
	split     *dataset.Split
	run       *rundir.Run
	manifest  *rundir.Manifest
	trainer   *train.Trainer
	evaluator *evaluate.Evaluator
	best      best
	epochTime time.Duration // of training in the current epoch
}

// best is the epoch with the lowest validation loss so far. It is kept in every checkpoint.
type best struct {
	Epoch int     `json:"epoch"` // 0 before the first
	Loss  float64 `json:"loss"`
}

// Run trains, evaluates and draws an experiment, and returns the folder that it leaves. Where it fails after the folder
// was made, it returns both the folder and the error.
func Run(ctx context.Context, e *config.Experiment, options Options) (*rundir.Run, error) {
	s := &session{options: options.withDefaults(), experiment: e, ledger: ledger{}}
	defer s.close()
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	run, err := rundir.Create(e.Output.Dir, e.Name, s.options.Now())
	if err != nil {
		return nil, InputError{err}
	}
	s.run = run
	return run, s.finish(s.start(ctx, nil))
}

// Resume goes on with the run in a folder from its newest usable checkpoint, under the run's own config.
func Resume(ctx context.Context, path string, options Options) (*rundir.Run, error) {
	s := &session{options: options.withDefaults(), ledger: ledger{}}
	defer s.close()
	run, err := rundir.Open(path)
	if err != nil {
		return nil, InputError{err}
	}
	if s.experiment, err = config.Load(run.ConfigPath()); err != nil {
		return nil, InputError{err}
	}
	if err := run.Lock(); err != nil {
		return nil, InputError{err}
	}
	s.run = run
	checkpoint, warnings, err := run.LatestCheckpoint()
	for _, warning := range warnings {
		fmt.Fprintln(s.options.Log, warning)
	}
	if errors.Is(err, rundir.ErrNoCheckpoint) {
		fmt.Fprintf(s.options.Log, "%v: starting at the first step\n", err)
	} else if err != nil {
		return nil, InputError{err}
	}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return run, s.finish(s.start(ctx, checkpoint))
}

// open opens the backend and loads the data.
func (s *session) open(ctx context.Context) (err error) {
	e := s.experiment
	start := time.Now()
	if s.backend, err = backend.Open(ctx, e.Backend, backend.Options{Log: s.options.Log}); err != nil {
		return InputError{err}
	}
	s.ledger.since("start", start)
	defer s.ledger.since("data", time.Now())
	var bar io.Writer
	if s.options.Terminal {
		bar = s.options.Log
	}
	if s.split, err = e.Data.Load(ctx, dataset.Options{Progress: bar}); err != nil {
		return InputError{err}
	}
	return s.checkAgainstData()
}

// checkAgainstData finds values of the config that do not fit the images.
func (s *session) checkAgainstData() error {
	e, train, validation := s.experiment, s.split.Train.Len(), s.split.Validation.Len()
	switch {
	case e.Train.BatchSize > train:
		return InputError{e.Problem("train.batch_size", "%d is more than the %d training images", e.Train.BatchSize, train)}
	case e.Train.EarlyStopping > 0 && validation == 0:
		return InputError{e.Problem("train.early_stopping", "needs held-out images; set data.validation")}
	}
	return nil
}

func (s *session) close() {
	if s.run != nil {
		s.run.Close()
	}
	if s.backend != nil {
		s.backend.Close()
	}
}

// start compiles, restores the checkpoint if there is one, trains, and measures the result.
func (s *session) start(ctx context.Context, from *rundir.Checkpoint) error {
	if err := s.describe(from); err != nil {
		return err
	}
	if err := s.compile(); err != nil {
		return err
	}
	if err := s.restore(from); err != nil {
		return err
	}
	s.announce()
	if err := s.train(ctx); err != nil {
		return err
	}
	return s.conclude(ctx)
}

// compile builds the programs for training and evaluation.
func (s *session) compile() (err error) {
	defer s.ledger.since("compile", time.Now())
	e := s.experiment
	s.trainer, err = train.New(s.backend.Compute, s.backend.Loops, train.Spec{Model: e.Model, Corrupt: e.Corrupt, Options: e.Train, Seed: e.Seed}, s.split.Train)
	if err != nil {
		return err
	}
	s.evaluator, err = evaluate.New(s.backend.Compute, evaluationSpec(e), imageOf(s.split.Train))
	return err
}

func evaluationSpec(e *config.Experiment) evaluate.Spec {
	return evaluate.Spec{Model: e.Model, Corrupt: e.Corrupt, Loss: e.Train.LossFunction(), Seed: e.Evaluate.Seed}
}

func imageOf(images *dataset.Images) model.Image {
	return model.Image{Height: images.Height, Width: images.Width, Channels: images.Channels}
}

// restore puts the run where its checkpoint left it. Without one, it is at its first step, and draws the first picture.
func (s *session) restore(from *rundir.Checkpoint) error {
	if from == nil {
		if err := s.run.RewindMetrics(0); err != nil {
			return err
		}
		return s.draw("epoch-0000", s.trainer.Weights(), "before training")
	}
	state, kept, err := stateOf(from)
	if err == nil {
		err = s.trainer.Restore(state)
	}
	if err != nil {
		return InputError{fmt.Errorf("resume %s: %w", s.run.Path, err)}
	}
	s.best = kept
	return s.run.RewindMetrics(state.Step)
}

// train is the loop: a window of steps at a time, and at the end of each epoch the validation, the picture and the
// checkpoint.
func (s *session) train(ctx context.Context) error {
	if s.stopsEarly(s.trainer.Step() / s.trainer.StepsPerEpoch()) {
		return nil // it had stopped before it was resumed
	}
	for window, err := range s.windows(ctx) {
		if err != nil {
			return s.stopped(ctx, err)
		}
		if err := s.record(window); err != nil {
			return err
		}
		if window.EndsEpoch || window.EndsRun {
			// Not to be interrupted: a checkpoint at an epoch's end means that the epoch was validated and recorded.
			if err := s.endEpoch(context.WithoutCancel(ctx), window); err != nil {
				return err
			}
			if s.stopsEarly(window.Epoch) {
				s.progress.line("epoch %d: no better validation loss for %d epochs; stopping early", window.Epoch, s.experiment.Train.EarlyStopping)
				break
			}
		}
	}
	return nil
}

// windows are the trainer's, with their time in the ledger.
func (s *session) windows(ctx context.Context) func(yield func(train.Window, error) bool) {
	return func(yield func(train.Window, error) bool) {
		start := time.Now()
		for window, err := range s.trainer.Windows(ctx) {
			s.ledger.since("train", start)
			s.epochTime += time.Since(start)
			if !yield(window, err) {
				return
			}
			start = time.Now()
		}
	}
}

// record tells of a window.
func (s *session) record(w train.Window) error {
	defer s.ledger.since("write", time.Now())
	s.progress.window(w)
	mean := 0.0
	for _, loss := range w.Losses {
		mean += float64(loss) / float64(len(w.Losses))
	}
	return s.run.AppendWindow(rundir.Window{
		Step: w.Step, Epoch: w.Epoch, Loss: rundir.Number(mean), LearningRate: rundir.Number(w.LearningRate),
		ImagesPerSecond: rundir.Number(float64(w.Images) / w.Duration.Seconds()),
	})
}

// endEpoch validates, draws and saves.
func (s *session) endEpoch(ctx context.Context, w train.Window) error {
	epoch := rundir.Epoch{
		Epoch: w.Epoch, Step: w.Step, Seconds: rundir.Number(s.epochTime.Seconds()),
		TrainLoss: rundir.Number(w.EpochLoss), LearningRate: rundir.Number(w.LearningRate),
	}
	s.epochTime = 0
	isBest := false
	if s.split.Validation.Len() > 0 {
		result, err := s.measure(ctx, s.trainer.Weights(), s.split.Validation)
		if err != nil {
			return err
		}
		loss := result.Loss.Mean
		if isBest = s.best.Epoch == 0 || loss < s.best.Loss; isBest {
			s.best = best{Epoch: w.Epoch, Loss: loss}
		}
		epoch.ValLoss = number(loss)
		epoch.ValPSNR = figure(result.Reconstructed, "psnr")
		epoch.ValSSIM = figure(result.Reconstructed, "ssim")
		epoch.CorruptedPSNR = figure(result.Corrupted, "psnr")
	}
	s.progress.epoch(epoch, isBest)
	if every := s.experiment.Output.Grid.Every; every > 0 && w.Epoch%every == 0 {
		if err := s.draw(fmt.Sprintf("epoch-%04d", w.Epoch), s.trainer.Weights(), fmt.Sprintf("epoch %d", w.Epoch)); err != nil {
			return err
		}
	}
	defer s.ledger.since("write", time.Now())
	if err := s.run.AppendEpoch(epoch); err != nil {
		return err
	}
	s.manifest.Result.TrainLoss = epoch.TrainLoss
	return s.save(isBest)
}

// stopsEarly says whether the validation loss has not improved for long enough.
func (s *session) stopsEarly(epoch int) bool {
	patience := s.experiment.Train.EarlyStopping
	return patience > 0 && s.best.Epoch > 0 && epoch-s.best.Epoch >= patience
}

// save writes a checkpoint of the trainer's state, and the manifest.
func (s *session) save(isBest bool) error {
	state, err := s.trainer.State()
	if err != nil {
		return err
	}
	checkpoint, err := checkpointOf(state, s.best)
	if err != nil {
		return err
	}
	if err := s.run.SaveCheckpoint(checkpoint, isBest, s.experiment.Train.KeepCheckpoints); err != nil {
		return err
	}
	return s.writeManifest()
}

// stopped turns the error that ended training into one that says what to do, and saves the state of a run that was
// interrupted.
func (s *session) stopped(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, train.ErrDiverged):
		last := "there is no checkpoint before it"
		if checkpoint, _, e := s.run.LatestCheckpoint(); e == nil {
			last = "the last good checkpoint is " + s.run.CheckpointPath(checkpoint.Step)
		}
		return fmt.Errorf("%w; %s. Try a lower train.learning_rate (it is %g), train.clip_norm=1 or train.warmup_epochs=1",
			err, last, s.experiment.Train.LearningRate)
	case ctx.Err() != nil:
		if err := s.save(false); err != nil {
			return fmt.Errorf("save the interrupted run: %w", err)
		}
		return fmt.Errorf("%w after step %d of %d; go on with: latent run --resume %s",
			ErrInterrupted, s.trainer.Step(), s.trainer.Steps(), s.run.Path)
	}
	return err
}

// conclude measures the chosen weights on the test images, once, and draws the final picture.
func (s *session) conclude(ctx context.Context) error {
	weights, name, epoch, err := s.chosen()
	if err != nil {
		return err
	}
	result, err := s.measure(ctx, weights, s.split.Test)
	if err != nil {
		return s.stopped(ctx, err)
	}
	r := &s.manifest.Result
	r.Weights, r.Epoch = name, epoch
	setFigures(r, result)
	psnr := result.Reconstructed["psnr"].Mean
	caption := fmt.Sprintf("epoch %d · test PSNR %.2f dB", epoch, psnr)
	if result.Corrupted != nil {
		caption += fmt.Sprintf(" (corrupted input %.2f dB)", result.Corrupted["psnr"].Mean)
	}
	return s.draw("final", weights, caption)
}

// chosen returns the weights to measure, "best" or "last", and the epoch they are from.
func (s *session) chosen() (weights []*tensors.Tensor, name string, epoch int, err error) {
	last := (s.trainer.Step() + s.trainer.StepsPerEpoch() - 1) / s.trainer.StepsPerEpoch()
	if s.experiment.Evaluate.Weights == "last" || s.best.Epoch == 0 || s.best.Epoch == last {
		name = s.experiment.Evaluate.Weights
		if s.best.Epoch == 0 {
			name = "last"
		}
		return s.trainer.Weights(), name, last, nil
	}
	checkpoint, err := s.run.BestCheckpoint()
	if err != nil {
		return nil, "", 0, err
	}
	return weightsOf(checkpoint, len(s.trainer.Weights())), "best", s.best.Epoch, nil
}

// measure evaluates weights, with its time in the ledger.
func (s *session) measure(ctx context.Context, weights []*tensors.Tensor, images *dataset.Images) (evaluate.Result, error) {
	defer s.ledger.since("evaluate", time.Now())
	return s.evaluator.Measure(ctx, weights, images)
}

// draw saves a picture of the first held-out images: validation images during training, test images at its end.
func (s *session) draw(name string, weights []*tensors.Tensor, caption string) error {
	defer s.ledger.since("write", time.Now())
	images := s.split.Test
	if name != "final" && s.split.Validation.Len() > 0 {
		images = s.split.Validation
	}
	grid := s.experiment.Output.Grid
	samples, err := s.evaluator.Sample(weights, images, grid.Images())
	if err != nil {
		return err
	}
	damage := ""
	if !s.experiment.Corrupt.Identity() {
		damage = s.experiment.Corrupt.Caption()
	}
	png, err := grid.Draw(samples, s.experiment.Name+" · "+caption, damage)
	if err != nil {
		return err
	}
	return s.run.SaveSample(name, png)
}

// finish writes how the run ended: the manifest and the report.
func (s *session) finish(failure error) error {
	if s.manifest == nil {
		return failure
	}
	now := s.options.Now()
	s.manifest.Finished = &now
	s.manifest.State, s.manifest.Error = rundir.Done, ""
	if failure != nil {
		s.manifest.Error = failure.Error()
	}
	switch {
	case errors.Is(failure, ErrInterrupted):
		s.manifest.State = rundir.Interrupted
	case errors.Is(failure, train.ErrDiverged):
		s.manifest.State = rundir.Diverged
	case failure != nil:
		s.manifest.State = rundir.Failed
	}
	if err := s.writeManifest(); err != nil {
		return errors.Join(failure, err)
	}
	if err := report.Write(s.run); err != nil {
		return errors.Join(failure, err)
	}
	if failure == nil {
		s.progress.result(s.manifest.Result, s.run)
	}
	return failure
}
