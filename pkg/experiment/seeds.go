package experiment

import (
	"fmt"

	"latent/pkg/evaluate"
	"latent/pkg/message"
	"latent/pkg/report"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// Summary is what came out over several runs that differ in their seeds alone.
type Summary struct {
	Seeds []int64 `json:"seeds"` // of the runs that are done
	// Result holds the means over runs, with half the widths of their 95 % confidence intervals over runs (Student's t).
	Result rundir.Result `json:"result"`
	// Diverged are the seeds whose loss became no finite number.
	Diverged []int64 `json:"diverged,omitempty"`
}

// Summarise takes the means over runs.
func Summarise(runs []*rundir.Run) (*Summary, error) {
	s := &Summary{}
	var results []rundir.Result
	for _, run := range runs {
		m, err := run.Manifest()
		if err != nil {
			return nil, err
		}
		switch m.State {
		case rundir.Done:
			s.Seeds = append(s.Seeds, m.Seed)
			results = append(results, m.Result)
		case rundir.Diverged:
			s.Diverged = append(s.Diverged, m.Seed)
		}
	}
	if len(results) == 0 {
		return s, nil
	}
	s.Result.Interval, s.Result.ComparedWith = map[string]map[string]rundir.Number{}, results[0].ComparedWith
	// What is missing of some runs is the mean over the others.
	part := func(name string, of func(rundir.Result) map[string]rundir.Number) map[string]rundir.Number {
		all := map[string][]float64{}
		for _, result := range results {
			for metric, value := range of(result) {
				all[metric] = append(all[metric], float64(value))
			}
		}
		if len(all) == 0 {
			return nil
		}
		means := map[string]rundir.Number{}
		s.Result.Interval[name] = map[string]rundir.Number{}
		for metric, values := range all {
			figure := evaluate.OverRuns(values)
			means[metric] = rundir.Number(figure.Mean)
			s.Result.Interval[name][metric] = rundir.Number(figure.Interval)
		}
		return means
	}
	s.Result.Test = part("test", func(r rundir.Result) map[string]rundir.Number { return r.Test })
	s.Result.Corrupted = part("corrupted", func(r rundir.Result) map[string]rundir.Number { return r.Corrupted })
	s.Result.Training = part("training", func(r rundir.Result) map[string]rundir.Number { return r.Training })
	s.Result.TrainingSamples = results[0].TrainingSamples
	s.Result.MaskKnown = part("mask_known", func(r rundir.Result) map[string]rundir.Number { return r.MaskKnown })
	for _, result := range results {
		if result.Generated == nil {
			continue
		}
		if s.Result.Generated == nil {
			generated := *result.Generated // all but the samplers is the same for all
			generated.Samplers = map[string]map[string]rundir.Number{}
			s.Result.Generated = &generated
		}
		for name := range result.Generated.Samplers {
			s.Result.Generated.Samplers[name] = nil
		}
	}
	if s.Result.Generated != nil {
		for name := range s.Result.Generated.Samplers {
			s.Result.Generated.Samplers[name] = part(report.IntervalOf(name), func(r rundir.Result) map[string]rundir.Number {
				if r.Generated == nil {
					return nil
				}
				return r.Generated.Samplers[name]
			})
		}
	}
	return s, nil
}

// summarise prints the result of the session's runs, and returns an error where some of them diverged.
func (s *Session) summarise() error {
	if s.progress == nil {
		s.progress = &progress{session: s, out: s.options.Log} // all runs were done before
	}
	if s.options.Brief {
		return nil
	}
	if len(s.runs) == 1 {
		s.progress.result(s.runs[0])
		return nil
	}
	summary, err := Summarise(s.Folders())
	if err != nil {
		return err
	}
	s.progress.line("")
	s.progress.figures(summary.Result, message.Count(len(summary.Seeds), "seed"))
	s.progress.line("")
	for _, r := range s.runs {
		s.progress.line("report   %s", r.folder.ReportPath())
	}
	if n := len(summary.Diverged); n > 0 {
		return fmt.Errorf("%d of %d runs diverged, with %s %v: %w", n, len(s.runs), message.Choose(n, "seed", "seeds"), summary.Diverged, train.ErrDiverged)
	}
	return nil
}
