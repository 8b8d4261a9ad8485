package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"latent/pkg/config"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
	"latent/pkg/survey"
)

// Confirmation is the best trial, run again with seeds that the sweep has not seen, and the base with the same seeds.
type Confirmation struct {
	Trial int     `json:"trial"`
	Seeds []int64 `json:"seeds"`
	// Best and Base are the first objective's: of the trial, and of the experiment as it was before the sweep.
	Best Confirmed `json:"best"`
	Base Confirmed `json:"base"`
}

// Confirmed is a metric over seeds.
type Confirmed struct {
	Values []float64 `json:"values"` // one for each seed
	Mean   float64   `json:"mean"`
	// Interval is half the width of the mean's 95 % confidence interval over seeds (Student's t).
	Interval float64 `json:"interval"`
	// Runs are the runs' folders.
	Runs []string `json:"runs"`
}

const (
	confirmFile = "confirm.json"
	confirmDir  = "confirm"
)

// Confirm runs a trial (-1: the best) with so many fresh seeds, and the base with the same, and keeps what came out.
func (s *Sweep) Confirm(ctx context.Context, number, seeds int, log io.Writer) (*Confirmation, error) {
	all, err := s.Study.Trials(ctx)
	if err != nil {
		return nil, err
	}
	if number < 0 {
		if number = s.best(all); number < 0 {
			return nil, fmt.Errorf("confirm: no trial of %s is done", s.Path)
		}
	}
	e, err := s.Experiment(ctx, number)
	if err != nil {
		return nil, err
	}
	base, err := s.Config.BaseExperiment()
	if err != nil {
		return nil, err
	}
	c := &Confirmation{Trial: number}
	for i := range seeds {
		c.Seeds = append(c.Seeds, e.Seed+int64(s.Config.Seeds+i))
	}
	if c.Best, err = s.confirm(ctx, e, "best", c.Seeds, log); err != nil {
		return nil, err
	}
	if c.Base, err = s.confirm(ctx, base, "base", c.Seeds, log); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	return c, rundir.WriteFile(filepath.Join(s.Path, confirmFile), append(text, '\n'))
}

func (s *Sweep) confirm(ctx context.Context, e *config.Experiment, name string, seeds []int64, log io.Writer) (Confirmed, error) {
	e.Name, e.Output.Dir = name, filepath.Join(s.Path, confirmDir)
	runs, err := experiment.RunSeeds(ctx, e, seeds, experiment.Options{Log: log, Command: s.program() + " sweep best --confirm"})
	if err != nil {
		return Confirmed{}, err
	}
	var c Confirmed
	for _, run := range runs {
		values, err := s.objectives([]*rundir.Run{run})
		if err != nil {
			return c, err
		}
		c.Values, c.Runs = append(c.Values, values[0]), append(c.Runs, run.Path)
	}
	figure := evaluate.OverRuns(c.Values)
	c.Mean, c.Interval = figure.Mean, figure.Interval
	return c, nil
}

// confirmation reads what Confirm has kept; nil where nobody has asked.
func (s *Sweep) confirmation() (*survey.Confirmation, error) {
	data, err := rundir.ReadFile(filepath.Join(s.Path, confirmFile), 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var c Confirmation
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; remove it, and confirm again", filepath.Join(s.Path, confirmFile), err)
	}
	return &survey.Confirmation{Trial: c.Trial, Seeds: c.Seeds, Values: c.Best.Values, Mean: c.Best.Mean, Interval: c.Best.Interval}, nil
}
