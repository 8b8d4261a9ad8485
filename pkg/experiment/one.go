package experiment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/message"
	"latent/pkg/mlflow"
	"latent/pkg/model"
	"latent/pkg/report"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// run is one run of a session, and the folder that it leaves.
type run struct {
	session    *Session
	experiment *config.Experiment
	folder     *rundir.Run
	manifest   *rundir.Manifest
	ledger     ledger
	evaluator  *evaluate.Evaluator
	trainer    *train.Trainer
	checkpoint *rundir.Checkpoint // to go on from; nil to start at the first step
	begins     *beginning         // what it starts with there; nil of what is drawn
	best       best
	epoch      *rundir.Epoch     // the record of the last epoch
	isBest     bool              // that epoch was the best so far
	tracker    *tracker          // nil where TensorBoard is not told
	following  *mlflow.Following // nil where MLflow is not told
	divergence error             // why it diverged, in an epoch whose others did not
	history    []rundir.Epoch    // the records of all epochs
	validation evaluate.Figure   // the last validation loss
	clipped    float64           // the share of the last epoch's steps whose gradient was clipped
	prolonged  bool              // it has just been given more epochs
	created    bool              // the folder was made by this session, in the config's output.dir
	around     []string          // folders that were made for it, the innermost first
	over       bool              // it is done or diverged, while others of the session may go on
}

// best is the epoch with the lowest validation loss so far. It is kept in every checkpoint.
type best struct {
	Epoch int     `json:"epoch"` // 0 before the first
	Loss  float64 `json:"loss"`
}

func newRun(s *Session, e *config.Experiment) *run {
	return &run{session: s, experiment: e, ledger: ledger{}}
}

// spend enters the time since start into the run's ledger.
func (r *run) spend(what string, start time.Time) { r.ledger[what] += time.Since(start).Seconds() }

// now is the time as records have it.
func (r *run) now() time.Time { return r.session.options.Now().UTC().Truncate(time.Millisecond) }

// restore puts the run where its checkpoint left it. Without one, it is at its first step, and draws the first picture.
func (r *run) restore() error {
	if r.checkpoint == nil {
		if err := cmp.Or(r.rewindMetrics(0), r.track(0)); err != nil {
			return err
		}
		if r.session.options.Brief {
			return nil
		}
		return r.draw("epoch-0000", r.trainer.Weights(), "before training")
	}
	state, kept, err := stateOf(r.checkpoint)
	if err == nil {
		err = r.trainer.Restore(state)
	}
	if err != nil {
		return InputError{fmt.Errorf("resume %s: %w", r.folder.Path, err)}
	}
	r.best = kept
	return cmp.Or(r.rewindMetrics(state.Step), r.track(state.Step))
}

// rewindMetrics drops the records after a step.
func (r *run) rewindMetrics(step int) error {
	warnings, err := r.folder.RewindMetrics(step)
	for _, warning := range warnings {
		r.session.progress.line("%s", warning)
	}
	if err == nil && step > 0 {
		_, r.history, err = r.folder.Metrics()
	}
	return err
}

// trained says that nothing is left to train: the steps are done, or the run stopped early.
func (r *run) trained() bool {
	return r.trainer.Step() == r.trainer.Steps() || r.stopsEarly(r.trainer.Step()/r.trainer.StepsPerEpoch())
}

// take records a window, and at the end of an epoch validates, draws and saves.
func (r *run) take(ctx context.Context, w train.Window) error {
	if w.Err != nil {
		return r.diverge(w.Err)
	}
	if err := r.record(w); err != nil {
		return err
	}
	if !w.EndsEpoch && !w.EndsRun {
		return nil
	}
	// Not to be interrupted: a checkpoint at an epoch's end means that the epoch was validated and recorded.
	if err := r.endEpoch(context.WithoutCancel(ctx), w); errors.Is(err, train.ErrDiverged) {
		return r.diverge(err)
	} else if err != nil {
		return err
	}
	return nil
}

// diverge ends a run that has diverged, while others of the session may go on.
func (r *run) diverge(err error) error {
	r.divergence = r.diverged(err)
	r.trainer.Stop()
	r.over, r.epoch = true, nil
	if len(r.session.runs) > 1 { // of one alone it is the session's error
		r.session.progress.line("%v", r.divergence)
	}
	return r.end(r.divergence)
}

// record writes a window's line.
func (r *run) record(w train.Window) error {
	defer r.spend("write", time.Now())
	record := recordOf(w)
	record.ImagesPerSecond, record.Time = rundir.Number(float64(w.Images)/w.Duration.Seconds()), r.now()
	err := r.folder.AppendWindow(record)
	r.untrack(r.tracker.window(record))
	r.following.News()
	return err
}

// recordOf is the record of a window but for its speed.
func recordOf(w train.Window) rundir.Window {
	mean := 0.0
	for _, loss := range w.Losses {
		mean += float64(loss) / float64(len(w.Losses))
	}
	return rundir.Window{Step: w.Step, Epoch: w.Epoch, Loss: rundir.Number(mean), LearningRate: rundir.Number(w.LearningRate)}
}

// validate returns the record of the epoch that ended, but for its time, and the state that the checksum in it is of.
func (r *run) validate(ctx context.Context, w train.Window) (rundir.Epoch, train.State, error) {
	state, err := r.trainer.State()
	if err != nil {
		return rundir.Epoch{}, train.State{}, err
	}
	checksum := make(chan string, 1)
	go func() { checksum <- state.Checksum() }() // beside the validation
	epoch := rundir.Epoch{Epoch: w.Epoch, Step: w.Step, TrainLoss: rundir.Number(w.EpochLoss), LearningRate: rundir.Number(w.LearningRate)}
	if validation := r.session.split.Validation; validation.Len() > 0 {
		result, err := r.measure(ctx, r.trainer.Weights(), validation)
		if err == nil {
			r.validation = result.Loss
			epoch.ValLoss = number(result.Loss.Mean)
			epoch.ValTerms = means(result.Terms)
			epoch.ValPSNR = figure(result.Reconstructed, "psnr")
			epoch.ValSSIM = figure(result.Reconstructed, "ssim")
			epoch.ValExplainedVariance = figure(result.Reconstructed, "explained_variance")
			epoch.CorruptedPSNR = figure(result.Corrupted, "psnr")
		} else if err := r.loseMeanwhile(ctx, "validation figures", err); err != nil {
			return rundir.Epoch{}, train.State{}, err
		}
	}
	epoch.StateSHA256 = <-checksum
	return epoch, state, nil
}

// endEpoch validates, draws and saves.
func (r *run) endEpoch(ctx context.Context, w train.Window) error {
	r.clipped = w.Clipped
	epoch, state, err := r.validate(ctx, w)
	if err != nil {
		return err
	}
	if loss := epoch.ValLoss; loss != nil && (math.IsNaN(float64(*loss)) || math.IsInf(float64(*loss), 0)) {
		return fmt.Errorf("epoch %d, on the validation images: %w", w.Epoch, train.ErrDiverged)
	}
	epoch.Seconds, epoch.Time = rundir.Number(r.session.epochTime.Seconds()), r.now()
	r.isBest = epoch.ValLoss != nil && (r.best.Epoch == 0 || float64(*epoch.ValLoss) < r.best.Loss)
	if r.isBest {
		r.best = best{Epoch: w.Epoch, Loss: float64(*epoch.ValLoss)}
	}
	if every := r.experiment.Output.Grid.Every; every > 0 && w.Epoch%every == 0 && !r.session.options.Brief {
		name := fmt.Sprintf("epoch-%04d", w.Epoch)
		if err := r.loseMeanwhile(ctx, "pictures of epochs", r.draw(name, r.trainer.Weights(), fmt.Sprintf("epoch %d", w.Epoch))); err != nil {
			return err
		}
	}
	defer r.spend("write", time.Now())
	if err := r.folder.AppendEpoch(epoch); err != nil {
		return err
	}
	r.untrack(r.tell(epoch, state))
	r.epoch = &epoch
	r.history = append(r.history, epoch)
	r.diagnoseEpoch(epoch)
	r.folder.Relaxed = r.session.options.Brief && r.manifest.Timings["train"]+r.ledger["train"] < relaxedSeconds
	r.manifest.Result.TrainLoss = epoch.TrainLoss
	if r.session.options.Brief && w.EndsRun {
		state.Tensors = state.Tensors[:len(r.trainer.Weights())] // nobody trains on from here
	}
	return r.save(state, r.isBest)
}

// relaxedSeconds is how long a brief run trains before it waits for the disk: a run shorter than that is soon made again.
const relaxedSeconds = 10

// stopsEarly says whether the validation loss has not improved for long enough.
func (r *run) stopsEarly(epoch int) bool {
	patience := r.experiment.Train.EarlyStopping
	return patience > 0 && r.best.Epoch > 0 && epoch-r.best.Epoch >= patience
}

// save writes a checkpoint of the trainer's state, and the manifest.
func (r *run) save(state train.State, isBest bool) error {
	checkpoint, err := checkpointOf(state, r.best)
	if err != nil {
		return err
	}
	keep := r.experiment.Train.KeepCheckpoints
	if len(r.session.runs) > 1 {
		// While the runs of a group save one after another, the step before is the newest that all of them have.
		keep = max(2, keep)
	}
	if err := r.folder.SaveCheckpoint(checkpoint, isBest, keep); err != nil {
		return err
	}
	if r.session.options.Brief && r.trained() {
		return nil // conclude writes it
	}
	return r.writeManifest()
}

// diverged says what to do about a loss that is no finite number.
func (r *run) diverged(err error) error {
	last := "there is no checkpoint before it"
	if checkpoint, _, e := r.folder.LatestCheckpoint(); e == nil {
		last = "the last good checkpoint is " + r.folder.CheckpointPath(checkpoint.Step)
	}
	return fmt.Errorf("%w; %s. Try a lower train.learning_rate (it is %g), train.clip_norm=1 or train.warmup_epochs=1",
		err, last, r.experiment.Train.LearningRate)
}

// conclude measures the chosen weights on the test images, once, and draws the final pictures. The run is over then, whatever of that is
// missing; only an interruption leaves it for [Resume].
func (r *run) conclude(ctx context.Context) error {
	if epoch := r.trainer.Step() / r.trainer.StepsPerEpoch(); r.stopsEarly(epoch) {
		r.session.progress.line("epoch %d: no better validation loss for %s; stopping early", epoch, message.Count(r.experiment.Train.EarlyStopping, "epoch"))
	}
	m := &r.manifest.Result
	m.Weights, m.Epoch = r.choice()
	options := r.session.options
	if options.Untested {
		r.over = true
		return r.end(nil)
	}
	weights, err := r.chosen()
	if err != nil {
		return err
	}
	options.busy("testing")
	if err := r.lose(ctx, partTest, r.test(ctx, weights, m)); err != nil {
		return r.session.stopped(ctx, err)
	}
	if !options.Brief {
		options.busy("drawing")
		if err := r.lose(ctx, pictureOf("final"), r.draw("final", weights, captionOf(*m, r.session.split.Test.Vectors()))); err != nil {
			return r.session.stopped(ctx, err)
		}
		if err := r.show(ctx, weights); err != nil {
			return r.session.stopped(ctx, err)
		}
	}
	if m.Weights != imported {
		if err := r.loseMeanwhile(ctx, "diagnosis", r.diagnose(weights)); err != nil {
			return r.session.stopped(ctx, err)
		}
	}
	r.over = true
	return r.end(nil)
}

// captionOf is that of the final picture of a run with this result.
func captionOf(r rundir.Result, vectors bool) string {
	caption := fmt.Sprintf("epoch %d", r.Epoch)
	if r.Weights == imported {
		caption = imported
	}
	label, name, format := "PSNR", "psnr", "%.2f dB"
	if vectors {
		label, name, format = "explained variance", "explained_variance", "%.4f"
	}
	if value, found := r.Test[name]; found {
		caption += " · test " + label + " " + fmt.Sprintf(format, float64(value))
	}
	if value, found := r.Corrupted[name]; found {
		caption += fmt.Sprintf(" (corrupted input "+format+")", float64(value))
	}
	return caption
}

// choice says which weights are to be measured, "best", "last" or "imported", and the epoch they are from.
func (r *run) choice() (name string, epoch int) {
	last := (r.trainer.Step() + r.trainer.StepsPerEpoch() - 1) / r.trainer.StepsPerEpoch()
	switch {
	case r.manifest.Imported != nil:
		return imported, 0
	case r.best.Epoch == 0:
		return "last", last
	case r.experiment.Evaluate.Weights == "last":
		return "last", last
	}
	return "best", r.best.Epoch
}

// chosen returns the weights of choice.
func (r *run) chosen() ([]*tensors.Tensor, error) {
	if name, epoch := r.choice(); name != "best" || epoch*r.trainer.StepsPerEpoch() >= r.trainer.Step() {
		return r.trainer.Weights(), nil
	}
	var weights []*tensors.Tensor
	checkpoint, err := r.folder.BestCheckpoint()
	if step := r.best.Epoch * r.trainer.StepsPerEpoch(); err == nil && checkpoint.Step != step {
		err = fmt.Errorf("checkpoint of step %d in the place of that of step %d", checkpoint.Step, step)
	}
	if err == nil {
		weights, err = weightsOf(checkpoint, model.Params(r.experiment.Model, imageOf(r.session.split.Train)))
	}
	if err != nil {
		return nil, fmt.Errorf("take the best epoch's weights: %w; to measure the last instead, set evaluate.weights: last in %s and resume the run",
			err, r.folder.ConfigPath())
	}
	return weights, nil
}

// measure evaluates weights, with its time in the ledger.
func (r *run) measure(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples) (evaluate.Result, error) {
	defer r.spend("evaluate", time.Now())
	return r.evaluator.Measure(ctx, weights, images)
}

// test measures weights on the test images, and enters the figures.
func (r *run) test(ctx context.Context, weights []*tensors.Tensor, into *rundir.Result) error {
	defer r.spend("evaluate", time.Now())
	s := r.session
	_, err := subject{
		experiment: r.experiment, evaluator: r.evaluator, backend: s.backend, weights: weights, images: s.split.Test, split: s.split, judge: s.judge,
		classes: s.split.Classes, folder: r.folder, load: func() (*dataset.Split, error) { return s.split, nil }, log: s.options.Log, brief: s.options.Brief, draws: !s.options.Brief, lost: r.lose,
	}.measure(ctx, into)
	return err
}

// draw saves a picture of the first held-out images: validation images during training, test images at its end.
func (r *run) draw(name string, weights []*tensors.Tensor, caption string) error {
	defer r.spend("write", time.Now())
	images := r.session.split.Test
	if name != "final" && r.session.split.Validation.Len() > 0 {
		images = r.session.split.Validation
	}
	png, err := drawGrid(r.evaluator, r.experiment, weights, images, caption)
	if err != nil {
		return err
	}
	tag := "samples/validation"
	if name == "final" {
		tag = "samples/test"
	}
	r.untrack(r.tracker.picture(r.trainer.Step(), tag, png))
	return r.folder.SaveSample(name, png)
}

// drawGrid draws the first of some images beside their reconstructions.
func drawGrid(evaluator *evaluate.Evaluator, e *config.Experiment, weights []*tensors.Tensor, images *dataset.Samples, caption string) ([]byte, error) {
	grid := e.Output.Grid
	samples, err := evaluator.Sample(weights, images, grid.Images(images))
	if err != nil {
		return nil, err
	}
	damage := ""
	if measured := e.Measured(); !measured.Identity() {
		damage = measured.Caption()
	}
	return grid.Draw(samples, e.Name+" · "+caption, damage)
}

// show saves the pictures of the model's codes that the config asks for.
func (r *run) show(ctx context.Context, weights []*tensors.Tensor) error {
	s := r.session
	trained := &Trained{
		Run: r.folder, Experiment: r.experiment, Manifest: r.manifest, Backend: s.backend, Image: imageOf(s.split.Train),
		Weights: weights, Step: r.trainer.Step(), split: s.split, evaluator: r.evaluator,
	}
	defer r.spend("write", time.Now())
	for _, name := range shown(r.experiment) {
		if err := r.lose(ctx, pictureOf(name), trained.save(ctx, name, s.options)); err != nil {
			return err
		}
	}
	return nil
}

// save draws a picture of the model's codes into the run's folder.
func (t *Trained) save(ctx context.Context, name string, options Options) error {
	png, err := t.Draw(ctx, name, DefaultDrawing(), options)
	if err != nil {
		return err
	}
	return t.Run.SavePicture(name, png)
}

// shown lists the pictures that a config asks for, in the order of a report.
func shown(e *config.Experiment) []string {
	return slices.DeleteFunc(slices.Clone(evaluate.Pictures), func(name string) bool {
		return !slices.Contains(e.Output.Show, name)
	})
}

// finish ends a run that is not over yet, and writes the report.
func (r *run) finish(failure error) error {
	if r.manifest == nil {
		return nil // it failed before there was anything to tell
	}
	if !r.over {
		if err := r.end(failure); err != nil {
			return err
		}
	}
	if r.session.options.Brief {
		return nil
	}
	err := report.Write(r.folder)
	if (err != nil) == r.manifest.IsMissing(partReport) {
		return nil
	}
	if err != nil {
		r.warn(missingPart(partReport, err))
	} else {
		r.manifest.Warnings = slices.DeleteFunc(r.manifest.Warnings, func(w rundir.Warning) bool { return w.IsMissing() && w.Part == partReport })
	}
	return r.folder.WriteManifest(r.manifest)
}

// end writes how the run ended into its manifest.
func (r *run) end(failure error) error {
	now := r.session.options.Now()
	m := r.manifest
	m.Finished = &now
	m.State, m.Error = rundir.Done, ""
	if failure != nil {
		m.Error = failure.Error()
	}
	switch {
	case errors.Is(failure, ErrInterrupted):
		m.State = rundir.Interrupted
	case errors.Is(failure, train.ErrDiverged):
		m.State = rundir.Diverged
	case errors.Is(failure, errPruned):
		m.State = rundir.Pruned
	case failure != nil:
		m.State = rundir.Failed
	}
	if r.trainer != nil {
		r.untrack(r.tracker.end(r.trainer.Step(), m))
	}
	return r.writeManifest()
}
