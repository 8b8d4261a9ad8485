package sweep

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"latent/pkg/compare"
	"latent/pkg/config"
	"latent/pkg/study"
	"latent/pkg/survey"
)

// Compare reads how sweeps came to their best values, and what their configs differ in. They have one objective, and all the same.
func Compare(ctx context.Context, sweeps []*Sweep) (c survey.Comparison, differences []config.Difference, err error) {
	first := sweeps[0].Config.Objective
	for _, s := range sweeps {
		switch of := s.Config.Objective; {
		case len(of) > 1:
			return c, nil, fmt.Errorf("%s looks for %s: the best so far is that of one objective alone; look at the sweep's own page", s.Path, objectivesText(of))
		case of[0].Metric != first[0].Metric || of[0].Maximize() != first[0].Maximize():
			return c, nil, fmt.Errorf("%s looks for %s, and %s for %s: compare sweeps of one objective", sweeps[0].Path, objectivesText(first), s.Path, objectivesText(of))
		}
	}
	c.Objective = objective(first[0])
	configs := make([]*config.Sweep, len(sweeps))
	for i, s := range sweeps {
		configs[i] = s.Config
		trace, err := s.trace(ctx)
		if err != nil {
			return c, nil, err
		}
		trace.Letter = compare.Letter(i)
		c.Traces = append(c.Traces, trace)
	}
	if differences, err = config.SweepDifferences(configs...); err != nil {
		return c, nil, err
	}
	for _, d := range differences {
		c.Keys = append(c.Keys, d.Key)
		for i, value := range d.Values {
			text := ""
			if value != nil {
				text = compare.ValueText(value)
			}
			c.Traces[i].Values = append(c.Traces[i].Values, text)
		}
	}
	return c, differences, nil
}

// objectivesText says what is looked for.
func objectivesText(all []config.Objective) string {
	var parts []string
	for _, o := range all {
		word := "the least "
		if o.Maximize() {
			word = "the highest "
		}
		parts = append(parts, word+o.Metric)
	}
	return strings.Join(parts, " and ")
}

// trace is how the sweep's best value came about, without letter and values of keys.
func (s *Sweep) trace(ctx context.Context) (survey.Trace, error) {
	all, err := s.Study.Trials(ctx)
	if err != nil {
		return survey.Trace{}, err
	}
	t := survey.Trace{Name: s.Config.Name, Path: s.Path, State: s.state(all)}
	ran := spells(all, time.Now())
	var over []*study.Trial
	for _, trial := range all {
		if isOver(trial.State) {
			over = append(over, trial)
		}
	}
	slices.SortFunc(over, func(a, b *study.Trial) int { return cmp.Compare(a.Told, b.Told) })
	for _, trial := range over {
		r := survey.Result{Trial: trial.Number, Value: math.NaN(), Spent: spentUntil(ran, trial.Finished)}
		if trial.State == study.Done && len(trial.Values) > 0 {
			r.Value = trial.Values[0]
		}
		t.Results = append(t.Results, r)
	}
	return t, nil
}
