package sweep

import (
	"context"
	"time"

	"latent/pkg/config"
	"latent/pkg/experiment"
)

// Preview is what a sweep would do.
type Preview struct {
	// Trials are the first, as overrides of the experiment: those that rest on no result.
	Trials [][]string `json:"trials"`
	// Limit is how many trials there may be; 0 where only the time says.
	Limit int `json:"limit"`
	// Each is an estimate of a trial's time in seconds, from a few steps of the first, after its program is compiled, which takes
	// Compile.
	Each    float64 `json:"seconds_each"`
	Compile float64 `json:"compile_seconds"`
	// Total estimates the sweep's time in seconds: of all trials in turn, with as many programs as the first trials have
	// architectures.
	Total float64 `json:"seconds"`
}

// firstTrials is how many a preview shows.
const firstTrials = 5

// Dry proposes the first trials and measures a few steps, without a folder.
func Dry(ctx context.Context, c *config.Sweep) (*Preview, error) {
	s := &Sweep{Config: c}
	p := newProposer(s, time.Now)
	preview := &Preview{Limit: p.limit(nil)}
	points, err := p.ask(0, min(firstTrials, preview.Limit))
	if err != nil {
		return nil, err
	}
	shapes := map[string]bool{}
	var first *config.Experiment
	for _, point := range points {
		preview.Trials = append(preview.Trials, c.Overrides(point))
		e, err := c.Experiment(point, 0)
		if err != nil {
			return nil, err
		}
		shape, err := experiment.Shape(e)
		if err != nil {
			return nil, err
		}
		if shapes[shape] = true; first == nil {
			first = e
		}
	}
	pace, err := experiment.Time(ctx, first, experiment.Options{})
	if err != nil {
		return nil, err
	}
	preview.Each = pace.Run.Seconds() * float64(c.Seeds)
	preview.Compile = pace.Compile.Seconds()
	limit := preview.Limit
	if c.Budget.Trials == 0 {
		preview.Limit = 0
		preview.Total = c.Budget.Duration().Seconds()
		return preview, nil
	}
	preview.Total = preview.Each*float64(limit) + preview.Compile*float64(len(shapes))
	if allowed := c.Budget.Duration().Seconds(); allowed > 0 {
		preview.Total = min(preview.Total, allowed+preview.Each)
	}
	return preview, nil
}
