package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"latent/pkg/config"
	"latent/pkg/importance"
	"latent/pkg/report"
	"latent/pkg/rundir"
	"latent/pkg/search"
	"latent/pkg/study"
	"latent/pkg/survey"
)

// PagePath is the path of sweep.html.
func (s *Sweep) PagePath() string { return filepath.Join(s.Path, pageFile) }

// WritePage writes sweep.html, with a report for each run of a trial that is over. It returns the page's path.
func (s *Sweep) WritePage(ctx context.Context) (string, error) {
	all, err := s.Study.Trials(ctx)
	if err != nil {
		return "", err
	}
	shown, err := s.survey(ctx, time.Now())
	if err != nil {
		return "", err
	}
	if shown.Importance, err = s.importances(all); err != nil {
		return "", err
	}
	for i, t := range all {
		if isOver(t.State) && t.Run != "" {
			link, err := s.writeReport(t.Run)
			if err != nil {
				return "", err
			}
			shown.Trials[i].Run = link
		}
	}
	var page bytes.Buffer
	if err := survey.Render(&page, shown); err != nil {
		return "", err
	}
	return s.PagePath(), rundir.WriteFile(s.PagePath(), page.Bytes())
}

// writeReport writes the report of a run that has none, and returns the way to it; "" for a run that is on another machine or is
// gone.
func (s *Sweep) writeReport(run string) (string, error) {
	path := filepath.Join(s.Path, filepath.FromSlash(run))
	folder, err := rundir.Open(path)
	if err != nil {
		return "", nil
	}
	if _, err := os.Stat(folder.ReportPath()); errors.Is(err, fs.ErrNotExist) {
		if err := report.Write(folder); err != nil {
			return "", nil // the run was damaged since; the trial's result is not its
		}
	}
	return run + "/" + filepath.Base(folder.ReportPath()), nil
}

// Survey is the sweep as pkg/survey shows it.
func (s *Sweep) Survey(ctx context.Context) (survey.Sweep, error) { return s.survey(ctx, time.Now()) }

// survey is the sweep as it is shown.
func (s *Sweep) survey(ctx context.Context, now time.Time) (survey.Sweep, error) {
	all, err := s.Study.Trials(ctx)
	if err != nil {
		return survey.Sweep{}, err
	}
	trials, err := s.trials(all)
	if err != nil {
		return survey.Sweep{}, err
	}
	text, err := s.Config.YAML(baseFile)
	if err != nil {
		return survey.Sweep{}, err
	}
	base, err := s.Config.BaseYAML()
	if err != nil {
		return survey.Sweep{}, err
	}
	shown := survey.Sweep{
		Name: s.Config.Name, State: s.state(all), Path: s.Path, Command: s.Record.Command, Config: string(text), Base: string(base),
		Space: s.Config.SearchSpace(), Budget: survey.Budget{Trials: s.Config.Budget.Trials, Time: s.Config.Budget.Duration()},
		Started: s.Record.Started, Updated: now, Curve: onTheWay(s.Config.Objective[0]),
	}
	for _, o := range s.Config.Objective {
		shown.Objectives = append(shown.Objectives, objective(o))
	}
	for _, d := range s.Config.Dimensions() {
		shown.Labels = append(shown.Labels, d.Options)
	}
	for _, t := range trials {
		one := survey.Trial{Number: t.Number, State: string(t.State), Point: t.Point, Values: t.Values, Seconds: seconds(t.Trial),
			Finished: t.Finished, Attempt: t.Attempt, Error: t.Error}
		for _, r := range t.Curve {
			one.Curve = append(one.Curve, search.Report{Step: r.Step, Value: r.Value})
		}
		if t.State == study.Running {
			one.Seconds = now.Sub(t.Started).Seconds()
		}
		shown.Trials = append(shown.Trials, one)
	}
	if len(s.Config.Objective) > 1 {
		shown.Best = s.front(all)
	} else if best := s.best(all); best >= 0 {
		shown.Best = []int{best}
	}
	if shown.Confirm, err = s.confirmation(); err != nil {
		return survey.Sweep{}, err
	}
	shown.Facts = append(shown.Facts, survey.Fact{Name: "study", Value: s.Record.Study}, survey.Fact{Name: "trials in", Value: s.Record.Store},
		survey.Fact{Name: "seeds of a trial", Value: fmt.Sprint(s.Config.Seeds)})
	return shown, nil
}

// objective is one as it is shown.
func objective(o config.Objective) survey.Objective {
	unit := ""
	if strings.HasSuffix(o.Metric, "psnr") || o.Metric == "val_gain" {
		unit = "dB"
	}
	return survey.Objective{Metric: o.Metric, Maximize: o.Maximize(), Unit: unit}
}

// state is where the sweep stands, in a word.
func (s *Sweep) state(all []*study.Trial) string {
	running, waiting := false, false
	for _, t := range all {
		running = running || t.State == study.Running
		waiting = waiting || t.State == study.Waiting
	}
	p := newProposer(s, time.Now)
	switch {
	case running:
		return "running"
	case waiting || len(all) < p.limit(all):
		return "interrupted"
	}
	return "done"
}

// leastForImportance is the number of results that say anything of what matters.
const leastForImportance = 8

// importances say how much each parameter matters to each objective; nil of too few results.
func (s *Sweep) importances(all []*study.Trial) ([][]survey.Importance, error) {
	var points []search.Point
	var values [][]float64
	for _, t := range all {
		trial, err := s.searchTrial(t)
		if err != nil {
			return nil, err
		}
		if trial.State == search.Done && len(trial.Values) == len(s.Config.Objective) {
			points, values = append(points, trial.Point), append(values, trial.Values)
		}
	}
	if len(points) < leastForImportance {
		return nil, nil
	}
	var found [][]survey.Importance
	for i := range s.Config.Objective {
		var column []float64
		for _, v := range values {
			column = append(column, v[i])
		}
		of, err := importance.FANOVA(s.Config.SearchSpace(), points, column, importance.Options{Seed: s.Config.Seed})
		if err != nil {
			return nil, nil // all values are the same, say: nothing matters
		}
		var list []survey.Importance
		for _, share := range of {
			list = append(list, survey.Importance{Parameter: share.Name, Share: share.Value, Deviation: share.Deviation})
		}
		found = append(found, list)
	}
	return found, nil
}
