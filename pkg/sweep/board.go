package sweep

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"latent/pkg/search"
	"latent/pkg/study"
	"latent/pkg/tensorboard"
)

// boardDir has the sweep for TensorBoard's HParams plugin: in itself which parameters and objectives there are, and a folder for
// each trial that is over, 0012, with its values and results. The runs' own events, in their folders, have no hyperparameters.
const boardDir = "tensorboard"

// board tells TensorBoard of the trials; where the experiment is not tracked so, it does nothing.
type board struct {
	sweep *Sweep
	on    bool
	seen  int64 // version of the last change that was told
}

// openBoard begins to tell of the sweep.
func (s *Sweep) openBoard() (*board, error) {
	base, err := s.Config.BaseExperiment()
	if err != nil || !base.Tracking.TensorBoard {
		return &board{sweep: s}, err
	}
	path := filepath.Join(s.Path, boardDir)
	if tensorboard.Has(path) {
		return &board{sweep: s, on: true}, nil // an earlier process has told of it
	}
	examples := map[string]any{}
	for i, parameter := range s.Config.SearchSpace() {
		examples[parameter.Name] = s.hyperparameter(i, parameter.Low)
	}
	var metrics []string
	for _, o := range s.Config.Objective {
		metrics = append(metrics, objectiveTag(o.Metric))
	}
	w := tensorboard.Create(path)
	return &board{sweep: s, on: true}, errors.Join(w.Experiment(s.Record.Started, examples, metrics), w.Close())
}

// objectiveTag is the tag of an objective's values.
func objectiveTag(metric string) string { return "objective/" + metric }

// hyperparameter is a value of the space's i-th parameter, as the plugin has it: a number, or the text of an option.
func (s *Sweep) hyperparameter(i int, value float64) any {
	text := s.Config.Dimensions()[i].Text(value)
	if s.Config.SearchSpace()[i].Kind == search.Choice {
		return text
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return number
}

// update tells of the trials that are over since.
func (b *board) update(ctx context.Context) error {
	if !b.on {
		return nil
	}
	all, err := b.sweep.Study.Trials(ctx)
	if err != nil {
		return err
	}
	newest := b.seen
	for _, t := range all {
		if t.Version <= b.seen {
			continue
		}
		newest = max(newest, t.Version)
		if !isOver(t.State) {
			continue
		}
		if err := b.sweep.writeTrial(t); err != nil {
			return err
		}
	}
	b.seen = newest
	return nil
}

// writeTrial writes a trial that is over, unless it is written already: the objective on the way by epochs, and its own values at
// the last. A trial that was pruned has none.
func (s *Sweep) writeTrial(t *study.Trial) error {
	path := filepath.Join(s.Path, boardDir, fmt.Sprintf("%04d", t.Number))
	if tensorboard.Has(path) {
		return nil
	}
	point, err := s.decodePoint(t.Params)
	if err != nil {
		return err
	}
	values := map[string]any{}
	space := s.Config.SearchSpace()
	for i, parameter := range space {
		if space.Has(point, i) && !isAbsent(point[i]) {
			values[parameter.Name] = s.hyperparameter(i, point[i])
		}
	}
	w := tensorboard.Create(path)
	errs := []error{w.Start(t.Started, fmt.Sprint("trial ", t.Number), values)}
	last := 0
	for _, report := range t.Curve {
		last = report.Step
		errs = append(errs, w.Scalars(report.Step, t.Finished, map[string]float64{"epoch/" + onTheWay(s.Config.Objective[0]): report.Value}))
	}
	if t.State == study.Done {
		figures := map[string]float64{}
		for i, o := range s.Config.Objective {
			figures[objectiveTag(o.Metric)] = t.Values[i]
		}
		errs = append(errs, w.Scalars(last, t.Finished, figures))
	}
	return errors.Join(append(errs, w.End(t.Finished, t.State != study.Failed), w.Close())...)
}
