package experiment

import (
	"path/filepath"
	"time"

	"latent/pkg/rundir"
	"latent/pkg/tensorboard"
	"latent/pkg/train"
)

// tracker tells other tools of a run. A nil tracker tells nobody.
type tracker struct {
	events     *tensorboard.Writer
	histograms bool
	brief      bool
	now        func() time.Time
}

// track begins to tell of the run, which goes on after a step.
func (r *run) track(step int) error {
	options := r.experiment.Tracking
	if !options.TensorBoard {
		return nil
	}
	events, err := tensorboard.Open(r.folder.TensorBoardPath(), step)
	if err != nil {
		return err
	}
	r.tracker = &tracker{events: events, histograms: options.Histograms, brief: r.session.options.Brief, now: r.session.options.Now}
	if step > 0 || r.session.options.Brief {
		return nil // it was told at the run's first step; or, of a trial, its sweep tells
	}
	values, err := r.experiment.Values()
	if err != nil {
		return err
	}
	// Runs that train together differ in their seeds, and are shown as one.
	group := r.experiment.Name + "/" + filepath.Base(r.session.runs[0].folder.Path)
	return events.Start(r.manifest.Started, group, values)
}

func (t *tracker) window(w rundir.Window) error {
	if t == nil {
		return nil
	}
	return t.events.Scalars(w.Step, t.now(), map[string]float64{
		"train/loss": float64(w.Loss), "train/learning_rate": float64(w.LearningRate), "train/images_per_second": float64(w.ImagesPerSecond),
	})
}

// tell tells of an epoch.
func (r *run) tell(epoch rundir.Epoch, state train.State) error {
	if r.tracker == nil {
		return nil
	}
	if err := r.tracker.epoch(epoch); err != nil || !r.tracker.histograms {
		return err
	}
	distributions := map[string][]float32{}
	for _, tensor := range state.Tensors[:len(r.trainer.Weights())] {
		distributions["weights/"+tensor.Name] = tensor.Values
	}
	images := r.session.split.Validation
	if images.Len() == 0 {
		images = r.session.split.Train
	}
	activations, err := r.evaluator.Activations(r.trainer.Weights(), images)
	if err != nil {
		return err
	}
	for layer, values := range activations {
		distributions["activations/"+layer] = values
	}
	return r.tracker.events.Histograms(epoch.Step, r.tracker.now(), distributions)
}

// epoch tells of an epoch's validation.
func (t *tracker) epoch(e rundir.Epoch) error {
	figures := map[string]float64{"epoch/train_loss": float64(e.TrainLoss)}
	for tag, value := range map[string]*rundir.Number{
		"validation/loss": e.ValLoss, "validation/psnr": e.ValPSNR, "validation/ssim": e.ValSSIM, "validation/corrupted_psnr": e.CorruptedPSNR,
	} {
		if value != nil {
			figures[tag] = float64(*value)
		}
	}
	for name, value := range e.ValTerms {
		figures["validation/"+name] = float64(value)
	}
	return t.events.Scalars(e.Step, t.now(), figures)
}

func (t *tracker) picture(step int, tag string, png []byte) error {
	if t == nil {
		return nil
	}
	return t.events.Picture(step, t.now(), tag, png)
}

// end tells of the figures on the test images, if there are any, and how the run ended.
func (t *tracker) end(step int, m *rundir.Manifest) error {
	if t == nil {
		return nil
	}
	figures := map[string]float64{}
	for name, value := range m.Result.Test {
		figures["test/"+name] = float64(value)
	}
	for name, value := range m.Result.Corrupted {
		figures["test/corrupted_"+name] = float64(value)
	}
	if len(figures) > 0 {
		if err := t.events.Scalars(step, t.now(), figures); err != nil {
			return err
		}
	}
	if m.State == rundir.Interrupted || t.brief {
		return nil // it goes on; or, of a trial, its sweep tells
	}
	return t.events.End(t.now(), m.State == rundir.Done || m.State == rundir.Pruned)
}

func (t *tracker) close() {
	if t != nil {
		t.events.Close()
	}
}
