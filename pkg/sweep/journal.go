package sweep

import (
	"context"
	"encoding/json"
	"path/filepath"

	"latent/pkg/optuna"
	"latent/pkg/search"
	"latent/pkg/study"
)

// journal keeps Optuna's journal up to date while a sweep runs; without one it does nothing.
type journal struct {
	sweep   *Sweep
	journal *optuna.Journal
	seen    int64 // version of the last change that was told
}

// openJournal opens the journal that the config names. It knows what it was told by an earlier process.
func (s *Sweep) openJournal(ctx context.Context) (*journal, error) {
	j := &journal{sweep: s}
	if s.Config.Journal == "" {
		return j, nil
	}
	var err error
	j.journal, err = optuna.Open(ctx, s.Config.Journal, s.optunaStudy())
	return j, err
}

// update tells what has changed.
func (j *journal) update(ctx context.Context) error {
	if j.journal == nil {
		return nil
	}
	all, err := j.sweep.Study.Trials(ctx)
	if err != nil {
		return err
	}
	var changed []optuna.Trial
	newest := j.seen
	for _, t := range all {
		if t.Version <= j.seen {
			continue
		}
		trial, err := j.sweep.optunaTrial(t)
		if err != nil {
			return err
		}
		changed = append(changed, trial)
		newest = max(newest, t.Version)
	}
	if len(changed) == 0 {
		return nil
	}
	if err := j.journal.Append(ctx, changed...); err != nil {
		return err
	}
	j.seen = newest
	return nil
}

// Close ends writing.
func (j *journal) Close() error {
	if j.journal == nil {
		return nil
	}
	return j.journal.Close()
}

// ExportOptuna writes all trials as Optuna's journal, in the place of the file that is there.
func (s *Sweep) ExportOptuna(ctx context.Context, path string) error {
	all, err := s.Study.Trials(ctx)
	if err != nil {
		return err
	}
	trials := make([]optuna.Trial, len(all))
	for i, t := range all {
		if trials[i], err = s.optunaTrial(t); err != nil {
			return err
		}
	}
	return optuna.Export(ctx, path, s.optunaStudy(), trials)
}

func (s *Sweep) optunaStudy() optuna.Study {
	told := optuna.Study{Name: s.Record.Study, Attrs: map[string]any{"latent.sweep": s.Path}}
	for _, o := range s.Config.Objective {
		told.Maximize = append(told.Maximize, o.Maximize())
		told.Metrics = append(told.Metrics, o.Metric)
	}
	for i, p := range s.Config.SearchSpace() {
		kind := map[search.Kind]optuna.Kind{search.Float: optuna.Float, search.Int: optuna.Int, search.Choice: optuna.Categorical}[p.Kind]
		told.Space = append(told.Space, optuna.Parameter{Name: p.Name, Kind: kind, Low: p.Low, High: p.High, Log: p.Log, Options: s.Config.Dimensions()[i].Options})
	}
	return told
}

func (s *Sweep) optunaTrial(t *study.Trial) (optuna.Trial, error) {
	states := map[study.State]optuna.State{study.Waiting: optuna.Waiting, study.Running: optuna.Running, study.Done: optuna.Done,
		study.Pruned: optuna.Pruned, study.Failed: optuna.Failed}
	told := optuna.Trial{Number: t.Number, State: states[t.State], Values: t.Values, Attrs: map[string]any{}, Started: t.Started, Finished: t.Finished}
	if err := json.Unmarshal(t.Params, &told.Params); err != nil {
		return told, err
	}
	for _, report := range t.Curve {
		told.Curve = append(told.Curve, optuna.Report{Step: report.Step, Value: report.Value})
	}
	if t.Run != "" {
		told.Attrs["run"] = filepath.Join(s.Path, filepath.FromSlash(t.Run))
	}
	if t.Error != "" {
		told.Attrs["error"] = t.Error
	}
	if isOver(t.State) {
		told.Attrs["seconds"] = seconds(t)
	}
	return told, nil
}
