package experiment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/gomlx/compute/dtypes"
	"golang.org/x/sync/errgroup"

	"latent/pkg/backend"
	"latent/pkg/config"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/feature"
	"latent/pkg/host"
	"latent/pkg/message"
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
	// Brief leaves out what a trial among many does without: pictures and the report; the optimizer's slots in the checkpoint of
	// the last step, two thirds of it with Adam; and waiting for the disk, while a run is short (see [rundir.Run]).
	Brief bool
	// Sweep is the name of the folder of the sweep that the runs are trials of, for their manifests.
	Sweep string
	// Untested leaves out the figures of the test images.
	Untested bool
	// Longer gives a run that goes on more epochs.
	Longer Longer
	// Classifiers is the folder of the classifiers that evaluate.generated needs; "" is one in the user's cache folder.
	Classifiers string
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if _, already := o.Log.(*statusLine); o.Terminal && !already {
		o.Log = &statusLine{out: o.Log}
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

// Error is that of the error itself.
func (e InputError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e InputError) Unwrap() error { return e.Err }

// Run trains, evaluates and draws an experiment, and returns the folder that it leaves. Where it fails after the folder
// was made, it returns both the folder and the error; of an [InputError] before the first step, it leaves no folder.
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
	lab := NewLab(options)
	defer lab.Close()
	var seeded []*config.Experiment
	for _, seed := range seeds {
		one := *e
		one.Seed = seed
		seeded = append(seeded, &one)
	}
	session, err := lab.Start(ctx, seeded, nil)
	return session.finished(ctx, err)
}

// Resume is [Lab.Resume] to the end.
func Resume(ctx context.Context, path string, options Options) ([]*rundir.Run, error) {
	lab := NewLab(options)
	defer lab.Close()
	session, err := lab.Resume(ctx, path)
	return session.finished(ctx, err)
}

// finished follows the session to its end, unless it could not begin.
func (s *Session) finished(ctx context.Context, err error) ([]*rundir.Run, error) {
	defer s.Close()
	if err == nil {
		for _, err = range s.Epochs(ctx) {
		}
	}
	return s.Folders(), err
}

// Session is runs that train together, one or several, in a [Lab].
type Session struct {
	lab       *Lab
	options   Options
	runs      []*run
	progress  *progress
	backend   *backend.Backend
	split     *dataset.Split
	group     *train.Group
	judge     *judge              // nil without evaluate.generated
	features  *feature.Classifier // what train.perceptual compares by; nil without it
	epochTime time.Duration       // of training in the current epoch
}

// Ended is an epoch that a run of a session has just ended.
type Ended struct {
	Run   int // its place in the session
	Epoch rundir.Epoch
}

// spend enters the time since start into the ledgers of the runs that are not over, a share for each.
func (s *Session) spend(what string, start time.Time) {
	active := s.active()
	for _, r := range active {
		r.ledger[what] += time.Since(start).Seconds() / float64(len(active))
	}
}

// active are the runs that are not over.
func (s *Session) active() []*run {
	var active []*run
	for _, r := range s.runs {
		if !r.over {
			active = append(active, r)
		}
	}
	return active
}

// Folders are those of the runs, as far as they were made.
func (s *Session) Folders() []*rundir.Run {
	var folders []*rundir.Run
	for _, r := range s.runs {
		if r.folder != nil {
			folders = append(folders, r.folder)
		}
	}
	return folders
}

// open opens the backend and loads the data.
func (s *Session) open(ctx context.Context) (err error) {
	e, start := s.runs[0].experiment, time.Now()
	s.options.busy("starting the backend")
	if s.backend, err = s.lab.open(ctx, e); err != nil {
		return err
	}
	s.spend("start", start)
	defer s.spend("data", time.Now())
	s.options.busy("loading data")
	if s.split, err = s.lab.load(ctx, e); err != nil {
		return err
	}
	for _, r := range s.runs {
		if err := s.checkAgainstData(r.experiment); err != nil {
			return err
		}
	}
	return s.begin()
}

// codedOf says that a model has codes, which are not the images themselves.
func codedOf(m model.Model) bool {
	_, coded := m.(model.Coded)
	return coded
}

// byteLikelihood says that a model's likelihood is one of bytes.
func byteLikelihood(m model.Model) bool {
	density, ok := m.(model.Density)
	return ok && density.Observed() == "byte"
}

// checkAgainstData finds values of the config that do not fit the images or the backend.
func (s *Session) checkAgainstData(e *config.Experiment) error {
	train, validation := s.split.Train.Len(), s.split.Validation.Len()
	switch {
	case e.Train.BatchSize > train:
		return InputError{e.Problem("train.batch_size", "%d is more than the %d training images", e.Train.BatchSize, train)}
	case model.Conditions(e.Model) > 0 && model.Conditions(e.Model) != len(s.split.Classes):
		return InputError{e.Problem("model.classes", "%d %s, but the dataset has %d", model.Conditions(e.Model), message.Choose(model.Conditions(e.Model), "class", "classes"), len(s.split.Classes))}
	case s.split.Train.Patches != nil && !model.AnySize(e.Model, imageOf(s.split.Train)):
		return InputError{e.Problem("data.patch", "whole pictures are measured, and this model is one for %v alone; take unet or dncnn, or scale the pictures by data.height and data.width",
			imageOf(s.split.Train))}
	case s.split.Train.Patches != nil && codedOf(e.Model):
		return InputError{e.Problem("data.patch", "codes, likelihoods and entries are those of pictures of one size, and this kind of model has them; take unet or dncnn, or scale the pictures by data.height and data.width")}
	case byteLikelihood(e.Model) && (s.split.Train.Values.Type() != dtypes.Uint8 || !s.split.Train.Scale.IsBytes()):
		return InputError{e.Problem("model.likelihood", "logistic is of pictures of 8 bits on the scale of bytes, and these are others; take likelihood: gaussian")}
	case e.Train.Perceptual > 0 && (s.split.Train.Vectors() || s.split.Train.Patches != nil):
		return InputError{e.Problem("train.perceptual", "compares pictures of one size by a classifier of them; write 0")}
	case s.split.Train.Vectors() && e.Evaluate.Generated > 0:
		return InputError{e.Problem("evaluate.generated", "compares pictures in the features of a classifier, and these are vectors; write 0")}
	case e.Train.EarlyStopping > 0 && validation == 0:
		return InputError{e.Problem("train.early_stopping", "needs held-out images; set data.validation")}
	case len(e.Output.Show) > 0 && min(train, s.split.Test.Len()) < leastDrawn:
		return InputError{e.Problem("output.show", "needs at least %d images to train on and %[1]d for the test, and there are %d and %d; leave it out", leastDrawn, train, s.split.Test.Len())}
	case e.Train.Devices > s.backend.Compute.NumDevices():
		return InputError{e.Problem("train.devices", "%s, but %s has %d", message.Count(e.Train.Devices, "device"), s.backend.Name, s.backend.Compute.NumDevices())}
	}
	if s.split.Train.Vectors() {
		if err := checkVectors(e); err != nil {
			return err
		}
	}
	if err := s.checkLayers(e); err != nil {
		return err
	}
	return checkScores(e, s.split)
}

// checkLayers finds names of layers in the section train that the model does not have.
func (s *Session) checkLayers(e *config.Experiment) (err error) {
	e.Train.CheckLayers(model.Params(e.Model, imageOf(s.split.Train)), func(key, problem string) {
		if err == nil {
			err = InputError{e.Problem("train."+key, "%s", problem)}
		}
	})
	return err
}

// checkVectors finds kinds that make sense of pictures alone.
func checkVectors(e *config.Experiment) error {
	if key := model.PictorialBy(e.Model); key != "" {
		return InputError{e.Problem("model."+key, "it looks at values beside each other, and the features of a table have no neighbours; take dense, or ae, vae, rae, wae, aae, vqvae, fsq or flow with a dense backbone")}
	}
	for i, corruption := range slices.Concat(e.Corrupt, e.Evaluate.Corrupt) {
		if _, pictorial := corruption.(corrupt.Pictorial); pictorial {
			section := "corrupt"
			if i >= len(e.Corrupt) {
				section = "evaluate.corrupt"
			}
			return InputError{e.Problem(section, "%s is for pictures; of a table's rows take gaussian, masking, salt-and-pepper or swap", corruption.Caption())}
		}
	}
	return nil
}

// Close ends writing to the runs' folders.
func (s *Session) Close() {
	for _, r := range s.runs {
		r.tracker.close()
		r.following.Over()
		if r.folder != nil {
			r.folder.Close()
		}
	}
}

// Epochs compiles, restores the checkpoints if there are any, trains, and measures the results. It yields the runs that ended
// an epoch, after each; there the caller may [Session.Stop] some. A run whose training is over is concluded by then. Of runs
// that go on, or were over before, the first yield has the last epoch once more: whoever was told of it may have died of it. The
// last yield has the error where there is one; whatever it is, how each run ended is in its folder. A caller that breaks off
// interrupts the runs.
func (s *Session) Epochs(ctx context.Context) iter.Seq2[[]Ended, error] {
	return func(yield func([]Ended, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		broken := false
		tell := func(ended []Ended) {
			if !broken && !yield(ended, nil) {
				broken = true
				cancel()
			}
		}
		if err := s.finish(s.start(ctx, tell)); err != nil && !broken {
			yield(nil, err)
		}
	}
}

// Stop ends a run that is not over as pruned.
func (s *Session) Stop(run int) error {
	r := s.runs[run]
	if r.over {
		return nil
	}
	r.trainer.Stop()
	r.over = true
	return r.end(errPruned)
}

// Over says whether a run is done, diverged or stopped.
func (s *Session) Over(run int) bool { return s.runs[run].over }

// errPruned is how a run ended that was stopped.
var errPruned = errors.New("stopped before its end: not worth going on with")

// start compiles, restores, trains, and tells of epochs.
func (s *Session) start(ctx context.Context, tell func([]Ended)) error {
	if len(s.active()) == 0 { // all were done before
		return s.tellAgain(tell)
	}
	s.progress = s.newProgress()
	for _, r := range s.active() {
		if err := r.describe(); err != nil {
			return err
		}
	}
	if err := s.compile(ctx); err != nil {
		return err
	}
	if err := s.restore(); err != nil {
		return err
	}
	s.announce()
	if err := s.tellAgain(tell); err != nil {
		return err
	}
	if err := s.openJudge(ctx); err != nil {
		return s.stopped(ctx, err)
	}
	return s.train(ctx, tell)
}

// tellAgain tells of the last epoch of each run that was there before, unless it stands in the middle of another.
func (s *Session) tellAgain(tell func([]Ended)) error {
	var ended []Ended
	for i, r := range s.runs {
		if !r.over && r.checkpoint == nil {
			continue
		}
		epochs := r.history
		if r.over {
			var err error
			if _, epochs, err = r.folder.Metrics(); err != nil {
				return err
			}
		}
		if n := len(epochs); n > 0 && !r.over {
			r.manifest.Result.TrainLoss = epochs[n-1].TrainLoss // it may have been killed before it wrote that
		}
		if n := len(epochs); n > 0 && (r.over || epochs[n-1].Step == r.checkpoint.Step) {
			ended = append(ended, Ended{Run: i, Epoch: epochs[n-1]})
		}
	}
	if len(ended) > 0 {
		tell(ended)
	}
	return nil
}

// openJudge makes ready what generated images are compared by, which may be a classifier to train, before the runs train: what
// is wrong with it shows at once.
func (s *Session) openJudge(ctx context.Context) (err error) {
	defer s.spend("evaluate", time.Now())
	if n := s.runs[0].experiment.Evaluate.Generated; n > 0 {
		s.judge, err = newJudge(ctx, s.backend, s.split, n, s.options)
	}
	return err
}

// openFeatures makes ready what train.perceptual compares by.
func (s *Session) openFeatures(ctx context.Context) (err error) {
	if !slices.ContainsFunc(s.runs, func(r *run) bool { return r.experiment.Train.Perceptual > 0 }) || s.features != nil {
		return nil
	}
	e := s.runs[0].experiment
	if s.split.Train.Labels == nil || len(s.split.Classes) < 2 {
		return InputError{e.Problem("train.perceptual", "compares by a classifier of the images, which needs labels; write 0, or sort the folder's files into a subfolder for each class")}
	}
	defer s.spend("features", time.Now())
	if s.features, err = feature.Open(ctx, s.backend, s.split, feature.Options{Dir: s.options.Classifiers, Log: s.options.Log}); err != nil {
		return err
	}
	for _, r := range s.runs {
		if m := r.manifest; m != nil && m.Perceptual != "" && m.Perceptual != s.features.SHA256 {
			return InputError{e.Problem("train.perceptual", "the run was begun with a classifier of SHA-256 %.12s…, and this machine has %.12s…: it would not go on as it began; run it anew", m.Perceptual, s.features.SHA256)}
		}
		if r.manifest != nil {
			r.manifest.Perceptual = s.features.SHA256
		}
	}
	return nil
}

// perceptual is the loss by features of an experiment; nil without one.
func (s *Session) perceptual(e *config.Experiment) (*model.Perceptual, error) {
	if e.Train.Perceptual == 0 {
		return nil, nil
	}
	return s.features.Perceptual(e.Train.Perceptual)
}

// compile builds the programs for training and evaluation, both at once, and begins the runs.
func (s *Session) compile(ctx context.Context) error {
	if err := s.openFeatures(ctx); err != nil {
		return err
	}
	defer s.spend("compile", time.Now())
	s.options.busy("compiling for %s", s.backend.Name)
	var programs errgroup.Group
	programs.Go(s.compileTraining)
	programs.Go(s.compileEvaluation)
	return programs.Wait()
}

func (s *Session) compileTraining() error {
	var specs []train.Spec
	for _, r := range s.runs {
		e := r.experiment
		perceptual, err := s.perceptual(e)
		if err != nil {
			return err
		}
		specs = append(specs, train.Spec{Model: e.Model, Corrupt: e.Corrupt, Options: e.Train, Seed: e.Seed, Features: perceptual})
	}
	program, err := s.lab.training(s.backend, specs, s.split)
	if err != nil {
		return err
	}
	if err := s.checkMemory(program); err != nil {
		return err
	}
	if s.group, err = program.Start(specs...); err != nil {
		return err
	}
	for i, r := range s.runs {
		r.trainer = s.group.Runs[i]
		if r.begins != nil {
			if err := r.trainer.Begin(r.begins.values); err != nil {
				return err
			}
		}
	}
	return nil
}

// surely is the part of the estimate of a step's memory that it needs at the least; see trace.Trace.Peak.
const surely = 0.7

// checkMemory refuses runs that need more memory than there is, before they train.
func (s *Session) checkMemory(program *train.Program) error {
	where, have := "this machine", host.Available()
	if gpu := s.backend.GPU; gpu != nil {
		where, have = "the GPU", gpu.Memory
	}
	return memoryProblem(program.Memory(len(s.runs)), where, have, s.runs[0].experiment.Train.BatchSize)
}

// memoryProblem is an error where so much memory, or 0 where that is not known, is surely too little.
func memoryProblem(m train.Memory, where string, have int64, batchSize int) error {
	if need := float64(m.Images+m.State) + surely*float64(m.Step); have == 0 || need <= float64(have) {
		return nil
	}
	return InputError{fmt.Errorf("training needs about %s of memory (images %s, parameters and optimizer %s, a step %s) and %s has %s; "+
		"lower train.batch_size, which is %d, the images' height and width, or the model's layers",
		megabytes(m.Images+m.State+m.Step), megabytes(m.Images), megabytes(m.State), megabytes(m.Step), where, megabytes(have), batchSize)}
}

func (s *Session) compileEvaluation() (err error) {
	for _, r := range s.runs {
		spec := evaluationOf(r.experiment, max(s.split.Validation.Len(), s.split.Test.Len()))
		if spec.Loss.Perceptual, err = s.perceptual(r.experiment); err != nil {
			return err
		}
		if r.evaluator, err = s.lab.evaluation(s.backend, spec, s.split); err != nil {
			return err
		}
		if err := checkProbe(r.experiment, r.evaluator); err != nil {
			return err
		}
	}
	return nil
}

// evaluationOf is how an experiment is measured: with the corruptions that held-out images get. images is the number in the larger of its held-out
// sets.
func evaluationOf(e *config.Experiment, images int) evaluate.Spec {
	measured, loss := e.Measured(), e.Train.LossFunction()
	loss.Damaged = loss.Damaged && measured.Local() // not where training alone damages them
	return evaluate.Spec{
		Model: e.Model, Corrupt: measured, Loss: loss, Seed: e.Evaluate.Seed, Recover: e.Evaluate.Recover, Memory: int64(e.Evaluate.Memory) << 20, Images: images,
	}
}

func imageOf(images *dataset.Samples) model.Image {
	return model.Image{Height: images.Height, Width: images.Width, Channels: images.Channels}
}

// train is the loop: a window of steps at a time, and at the end of each epoch the validation, the picture and the
// checkpoint of each run. A run whose training ends is concluded at once.
func (s *Session) train(ctx context.Context, tell func([]Ended)) error {
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
		var ended []Ended
		for i, window := range windows {
			r := s.runs[i]
			if r.over {
				continue
			}
			if err := r.take(ctx, window); err != nil {
				return err
			}
			if r.epoch != nil {
				ended = append(ended, Ended{Run: i, Epoch: *r.epoch})
			}
		}
		if windows[0].EndsEpoch || windows[0].EndsRun {
			s.progress.epoch()
			for _, r := range s.active() {
				if r.trained() {
					if err := r.conclude(ctx); err != nil {
						return err
					}
				}
			}
			s.tellSending()
			s.epochTime = 0
			tell(ended)
		}
		if len(s.active()) == 0 {
			return s.divergence()
		}
	}
	return nil
}

// divergence is the error of runs that have all diverged.
func (s *Session) divergence() error {
	for _, r := range s.runs {
		if r.divergence == nil {
			return nil
		}
	}
	return s.runs[0].divergence
}

// windows are the group's, with their time in the ledger.
func (s *Session) windows(ctx context.Context) func(yield func([]train.Window, error) bool) {
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
func (s *Session) stopped(ctx context.Context, err error) error {
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
		return fmt.Errorf("%w after step %d of %d; go on with: %s run --resume %s", ErrInterrupted, t.Step(), t.Steps(),
			rundir.Program(s.options.Command), message.Quote(active[0].folder.Path))
	}
	return err
}

// finish writes how the runs ended: the manifests and the reports.
func (s *Session) finish(failure error) error {
	for _, r := range s.runs {
		if err := r.finish(failure); err != nil {
			failure = errors.Join(failure, err)
		}
	}
	if failure == nil {
		failure = s.summarise()
	}
	if failure == nil && !s.options.Brief { // of a trial, its sweep looks at the figures
		for _, r := range s.runs {
			failure = errors.Join(failure, r.untested())
		}
	}
	return s.undo(failure)
}
