package experiment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"latent/pkg/backend"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
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
	// Classifiers is the folder of the classifiers that evaluate.generated needs; "" is one in the user's cache folder.
	Classifiers string
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

// Run trains, evaluates and draws an experiment, and returns the folder that it leaves. Where it fails after the folder
// was made, it returns both the folder and the error.
func Run(ctx context.Context, e *config.Experiment, options Options) (*rundir.Run, error) {
	runs, err := RunSeeds(ctx, e, []int64{e.Seed}, options)
	if len(runs) == 0 {
		return nil, err
	}
	return runs[0], err
}

// RunSeeds is Run for several seeds at once: their runs train together (see [train.Group]), and each leaves a folder of its
// own. One that diverges does not end the others.
func RunSeeds(ctx context.Context, e *config.Experiment, seeds []int64, options Options) ([]*rundir.Run, error) {
	s := newSession(options)
	defer s.close()
	for _, seed := range seeds {
		seeded := *e
		seeded.Seed = seed
		s.runs = append(s.runs, newRun(s, &seeded))
	}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	for _, r := range s.runs {
		folder, err := rundir.Create(r.experiment.Output.Dir, r.experiment.Name, s.options.Now())
		if err != nil {
			return s.folders(), InputError{err}
		}
		r.folder = folder
	}
	return s.folders(), s.finish(s.start(ctx))
}

// Resume goes on with the run in a folder, and with those that trained together with it, from the newest checkpoint that all
// of them have, under their own config. Of runs that are done, it writes the report again.
//
// A config, an image or a watermark that was changed after the run began is refused, but for what cannot change the bits of
// training: the name, output, evaluate without its seed, and train.keep_checkpoints.
func Resume(ctx context.Context, path string, options Options) ([]*rundir.Run, error) {
	s := newSession(options)
	defer s.close()
	if err := s.reopen(path); err != nil {
		return nil, InputError{err}
	}
	if err := s.takeUp(); err != nil {
		return nil, InputError{err}
	}
	for _, r := range s.runs {
		if err := r.checkConfig(); err != nil {
			return nil, InputError{err}
		}
	}
	if len(s.active()) == 0 {
		fmt.Fprintf(s.options.Log, "nothing is left to train; to measure or draw anew: latent eval %[1]s, latent generate %[1]s\n", path)
		return s.folders(), s.finish(nil)
	}
	if err := s.readCheckpoints(); err != nil {
		return nil, InputError{err}
	}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	for _, r := range s.active() {
		if err := r.checkFiles(); err != nil {
			return nil, err
		}
	}
	return s.folders(), s.finish(s.start(ctx))
}

// session is what the runs of this process share.
type session struct {
	options   Options
	runs      []*run
	progress  *progress
	backend   *backend.Backend
	split     *dataset.Split
	group     *train.Group
	evaluator *evaluate.Evaluator
	judge     *judge        // nil without evaluate.generated
	epochTime time.Duration // of training in the current epoch
}

func newSession(options Options) *session { return &session{options: options.withDefaults()} }

// spend enters the time since start into the ledgers of the runs that are not over, a share for each.
func (s *session) spend(what string, start time.Time) {
	active := s.active()
	for _, r := range active {
		r.ledger[what] += time.Since(start).Seconds() / float64(len(active))
	}
}

// active are the runs that are not over.
func (s *session) active() []*run {
	var active []*run
	for _, r := range s.runs {
		if !r.over {
			active = append(active, r)
		}
	}
	return active
}

func (s *session) folders() []*rundir.Run {
	var folders []*rundir.Run
	for _, r := range s.runs {
		if r.folder != nil {
			folders = append(folders, r.folder)
		}
	}
	return folders
}

// open opens the backend and loads the data.
func (s *session) open(ctx context.Context) (err error) {
	e, start := s.runs[0].experiment, time.Now()
	options := backend.Options{Log: s.options.Log, Devices: e.Train.Devices}
	if s.backend, err = backend.Open(ctx, e.Backend, options); err != nil {
		return InputError{err}
	}
	s.spend("start", start)
	defer s.spend("data", time.Now())
	var bar io.Writer
	if s.options.Terminal {
		bar = s.options.Log
	}
	if s.split, err = e.Data.Load(ctx, dataset.Options{Progress: bar}); err != nil {
		return InputError{err}
	}
	return s.checkAgainstData()
}

// checkAgainstData finds values of the config that do not fit the images or the backend.
func (s *session) checkAgainstData() error {
	e, train, validation := s.runs[0].experiment, s.split.Train.Len(), s.split.Validation.Len()
	switch {
	case e.Train.BatchSize > train:
		return InputError{e.Problem("train.batch_size", "%d is more than the %d training images", e.Train.BatchSize, train)}
	case model.Conditions(e.Model) > 0 && model.Conditions(e.Model) != len(s.split.Classes):
		return InputError{e.Problem("model.classes", "%d classes, but the dataset has %d", model.Conditions(e.Model), len(s.split.Classes))}
	case e.Train.EarlyStopping > 0 && validation == 0:
		return InputError{e.Problem("train.early_stopping", "needs held-out images; set data.validation")}
	case len(e.Output.Show) > 0 && min(train, s.split.Test.Len()) < leastDrawn:
		return InputError{e.Problem("output.show", "needs at least %d images to train on and %[1]d for the test, and there are %d and %d; leave it out", leastDrawn, train, s.split.Test.Len())}
	case e.Train.Devices > s.backend.Compute.NumDevices():
		return InputError{e.Problem("train.devices", "%d devices, but %s has %d", e.Train.Devices, s.backend.Name, s.backend.Compute.NumDevices())}
	}
	return checkScores(e, s.split)
}

func (s *session) close() {
	for _, r := range s.runs {
		if r.folder != nil {
			r.folder.Close()
		}
	}
	if s.backend != nil {
		s.backend.Close()
	}
}

// start compiles, restores the checkpoints if there are any, trains, and measures the results.
func (s *session) start(ctx context.Context) error {
	s.progress = s.newProgress()
	for _, r := range s.active() {
		if err := r.describe(); err != nil {
			return err
		}
	}
	if err := s.compile(); err != nil {
		return err
	}
	if err := s.restore(); err != nil {
		return err
	}
	s.announce()
	if err := s.openJudge(ctx); err != nil {
		return s.stopped(ctx, err)
	}
	return s.train(ctx)
}

// openJudge makes ready what generated images are compared by, which may be a classifier to train, before the runs train: what
// is wrong with it shows at once.
func (s *session) openJudge(ctx context.Context) (err error) {
	defer s.spend("evaluate", time.Now())
	if n := s.runs[0].experiment.Evaluate.Generated; n > 0 {
		s.judge, err = newJudge(ctx, s.backend, s.split, n, s.options)
	}
	return err
}

// compile builds the programs for training and evaluation, both at once, and begins the runs.
func (s *session) compile() error {
	defer s.spend("compile", time.Now())
	var programs errgroup.Group
	programs.Go(s.compileTraining)
	programs.Go(s.compileEvaluation)
	return programs.Wait()
}

func (s *session) compileTraining() error {
	var specs []train.Spec
	for _, r := range s.runs {
		e := r.experiment
		specs = append(specs, train.Spec{Model: e.Model, Corrupt: e.Corrupt, Options: e.Train, Seed: e.Seed})
	}
	program, err := train.Compile(s.backend.Compute, s.backend.Loops, specs[0], s.split.Train, len(specs))
	if err != nil {
		return err
	}
	if s.group, err = program.Start(specs...); err != nil {
		return err
	}
	for i, r := range s.runs {
		r.trainer = s.group.Runs[i]
	}
	return nil
}

func (s *session) compileEvaluation() (err error) {
	e := s.runs[0].experiment
	if s.evaluator, err = evaluate.New(s.backend.Compute, evaluationOf(e), imageOf(s.split.Train)); err != nil {
		return err
	}
	return checkProbe(e, s.evaluator)
}

// evaluationOf is how an experiment is measured: with the corruptions that held-out images get.
func evaluationOf(e *config.Experiment) evaluate.Spec {
	return evaluate.Spec{Model: e.Model, Corrupt: e.Corrupt.HeldOut(), Loss: e.Train.LossFunction(), Seed: e.Evaluate.Seed}
}

func imageOf(images *dataset.Images) model.Image {
	return model.Image{Height: images.Height, Width: images.Width, Channels: images.Channels}
}

// train is the loop: a window of steps at a time, and at the end of each epoch the validation, the picture and the
// checkpoint of each run. A run whose training ends is concluded at once.
func (s *session) train(ctx context.Context) error {
	for _, r := range s.active() {
		// Where it was stopped after its last epoch, there is nothing left to train.
		if r.trained() {
			if err := r.conclude(ctx); err != nil {
				return err
			}
		}
	}
	if len(s.active()) == 0 {
		return nil
	}
	for windows, err := range s.windows(ctx) {
		if err != nil {
			return s.stopped(ctx, err)
		}
		s.progress.window(windows)
		for i, window := range windows {
			if r := s.runs[i]; !r.over {
				if err := r.take(ctx, window); err != nil {
					return err
				}
			}
		}
		if windows[0].EndsEpoch || windows[0].EndsRun {
			s.progress.epoch()
			s.epochTime = 0
		}
		if len(s.active()) == 0 {
			return nil
		}
	}
	return nil
}

// windows are the group's, with their time in the ledger.
func (s *session) windows(ctx context.Context) func(yield func([]train.Window, error) bool) {
	return func(yield func([]train.Window, error) bool) {
		start := time.Now()
		for windows, err := range s.group.Windows(ctx) {
			s.spend("train", start)
			s.epochTime += time.Since(start)
			if !yield(windows, err) {
				return
			}
			start = time.Now()
		}
	}
}

// stopped turns the error that ended training into one that says what to do, and saves the runs that were interrupted.
func (s *session) stopped(ctx context.Context, err error) error {
	active := s.active()
	switch {
	case errors.Is(err, train.ErrDiverged):
		return active[0].diverged(err)
	case ctx.Err() != nil:
		for _, r := range active {
			state, err := r.trainer.State()
			if err == nil {
				err = r.save(state, false)
			}
			if err != nil {
				return fmt.Errorf("save the interrupted run: %w", err)
			}
		}
		t := active[0].trainer
		return fmt.Errorf("%w after step %d of %d; go on with: latent run --resume %s", ErrInterrupted, t.Step(), t.Steps(), active[0].folder.Path)
	}
	return err
}

// finish writes how the runs ended: the manifests and the reports.
func (s *session) finish(failure error) error {
	for _, r := range s.runs {
		if err := r.finish(failure); err != nil {
			failure = errors.Join(failure, err)
		}
	}
	if failure == nil {
		failure = s.summarise()
	}
	return failure
}
