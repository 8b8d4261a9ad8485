package experiment

import (
	"fmt"
	"path/filepath"
	"time"

	"latent/pkg/message"
	"latent/pkg/mlflow"
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
	if options.MLflow != "" {
		// Read on its own beside the writing: what is sent is what is in the folder.
		folder := &rundir.Run{Path: r.folder.Path, Relaxed: r.session.options.Brief}
		following, err := r.session.lab.sending().Follow(options.MLflow, folder, r.experiment.Values)
		if err != nil {
			return err
		}
		r.following = following
	}
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
	return t.events.Scalars(w.Step, t.now(), scalars(w.Figures()))
}

// scalars are figures as TensorBoard has them.
func scalars(figures map[string]rundir.Number) map[string]float64 {
	values := map[string]float64{}
	for name, value := range figures {
		values[name] = float64(value)
	}
	return values
}

// tell tells of an epoch.
func (r *run) tell(epoch rundir.Epoch, state train.State) error {
	r.following.News()
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
	for layer, activation := range activations {
		distributions["activations/"+layer] = activation.Values
	}
	return r.tracker.events.Histograms(epoch.Step, r.tracker.now(), distributions)
}

// epoch tells of an epoch's validation.
func (t *tracker) epoch(e rundir.Epoch) error {
	return t.events.Scalars(e.Step, t.now(), scalars(e.Figures()))
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
	if figures := scalars(m.Result.Figures()); len(figures) > 0 {
		if err := t.events.Scalars(step, t.now(), figures); err != nil {
			return err
		}
	}
	if m.State == rundir.Interrupted || t.brief {
		return nil // it goes on; or, of a trial, its sweep tells
	}
	return t.events.End(t.now(), m.State == rundir.Done || m.State == rundir.Pruned)
}

// untrack tells TensorBoard nothing more where that failed.
func (r *run) untrack(err error) {
	if err == nil {
		return
	}
	r.warn(rundir.Warning{Kind: rundir.Lost, Part: "TensorBoard", Epoch: max(1, r.trainer.Step()/r.trainer.StepsPerEpoch()), Text: fmt.Sprintf("TensorBoard is told no more: %v", err)})
	r.tracker.close()
	r.tracker = nil
}

func (t *tracker) close() {
	if t != nil {
		t.events.Close()
	}
}

// sending is what sends the lab's runs to MLflow. It begins with the first that asks for it.
func (l *Lab) sending() *mlflow.Sender {
	if l.sender == nil {
		l.sender = mlflow.NewSender()
	}
	return l.sender
}

// sendingGrace is how long a process waits at its end for what is still to be sent.
const sendingGrace = 5 * time.Second

// endSending sends what is left, and says what could not be sent.
func (l *Lab) endSending() {
	if l.sender == nil {
		return
	}
	unsent := l.sender.Close(sendingGrace)
	l.sender = nil
	if len(unsent) == 0 {
		return
	}
	folder := unsent[0].Path
	for _, other := range unsent[1:] {
		for !within(folder, other.Path) {
			folder = filepath.Dir(folder)
		}
	}
	them := "it"
	if len(unsent) > 1 {
		them = fmt.Sprintf("the %d runs", len(unsent))
	}
	fmt.Fprintf(l.options.Log, "MLflow: %v; nothing is lost, send %s later: %s track sync %s\n", unsent[0].Err, them, rundir.Program(l.options.Command), message.Quote(folder))
}

// within says whether a path is the folder's or below it.
func within(folder, path string) bool {
	below, err := filepath.Rel(folder, path)
	return err != nil || filepath.IsLocal(below)
}

// tellSending says what a person should know of the sending by now.
func (s *Session) tellSending() {
	if s.lab.sender == nil {
		return
	}
	if note := s.lab.sender.Note(); note != "" {
		s.progress.line("MLflow: %s", note)
	}
}
