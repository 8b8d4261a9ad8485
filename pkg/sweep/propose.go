package sweep

import (
	"fmt"
	"math"
	"slices"
	"time"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/search"
	"latent/pkg/study"
)

var absent = math.NaN()

func isAbsent(x float64) bool { return math.IsNaN(x) }

func isOver(state study.State) bool {
	return state == study.Done || state == study.Pruned || state == study.Failed
}

// proposer proposes the trials of a sweep. It keeps the strategy between calls, which only saves work.
type proposer struct {
	sweep    *Sweep
	now      func() time.Time
	strategy search.Strategy
	history  search.History
	versions []int64 // of the told trials, as they were told
	// over says that no trial will be proposed any more, whatever those that run will bring.
	over bool
}

func newProposer(s *Sweep, now func() time.Time) *proposer { return &proposer{sweep: s, now: now} }

// propose returns the next trials to run, or none, where the budget is used up or the generation before is not over. It is
// called inside the study's transaction.
func (p *proposer) propose(all []*study.Trial) ([]study.Proposal, error) {
	c, n := p.sweep.Config, len(all)
	limit := p.limit(all)
	p.over = n >= limit
	if p.over {
		return nil, nil
	}
	count := c.Stack
	if c.Deterministic {
		start := n / c.Generation * c.Generation
		for _, t := range all[:start] {
			if !isOver(t.State) {
				return nil, nil
			}
		}
		count = start + c.Generation - n
	}
	count = min(count, limit-n)
	if err := p.catchUp(all); err != nil {
		return nil, err
	}
	points, err := p.ask(n, count)
	if err != nil {
		return nil, err
	}
	return p.stack(points)
}

// limit is the number of trials that there may be.
func (p *proposer) limit(all []*study.Trial) int {
	c := p.sweep.Config
	limit := c.Budget.Trials
	if limit == 0 {
		limit = math.MaxInt32
	}
	if allowed := c.Budget.Duration(); allowed > 0 && Spent(all, p.now()) >= allowed {
		limit = min(limit, len(all))
	}
	if p.strategy == nil {
		p.strategy = mustStrategy(c)
	}
	if finite, ok := p.strategy.(search.Finite); ok {
		limit = min(limit, finite.Size())
	}
	return limit
}

// mustStrategy starts the strategy of a config that was checked.
func mustStrategy(c *config.Sweep) search.Strategy {
	strategy, err := c.Strategy.New(c.SearchSpace(), len(c.Objective), c.Seed)
	if err != nil {
		panic(fmt.Errorf("a sweep's config was checked, and yet: %w", err))
	}
	return strategy
}

// Spent is the time in which at least one trial ran.
func Spent(all []*study.Trial, now time.Time) time.Duration {
	type span struct{ from, to time.Time }
	var spans []span
	for _, t := range all {
		if t.Started.IsZero() {
			continue
		}
		to := t.Finished
		if to.IsZero() {
			to = now
		}
		spans = append(spans, span{t.Started, to})
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	total := time.Duration(0)
	var end time.Time
	for _, s := range spans {
		if s.from.Before(end) {
			s.from = end
		}
		if s.to.After(s.from) {
			total += s.to.Sub(s.from)
			end = s.to
		}
	}
	return total
}

// catchUp brings the history up to what the next trial may see: with deterministic, the trials of the generations before, by
// number; else all that are over, in the order of their results.
func (p *proposer) catchUp(all []*study.Trial) error {
	c := p.sweep.Config
	var told []*study.Trial
	if c.Deterministic {
		told = all[:len(all)/c.Generation*c.Generation]
	} else {
		for _, t := range all {
			if isOver(t.State) {
				told = append(told, t)
			}
		}
		slices.SortFunc(told, func(a, b *study.Trial) int { return int(a.Told - b.Told) })
	}
	same := len(p.versions) <= len(told)
	for i := range p.versions {
		same = same && p.versions[i] == told[i].Version
	}
	if !same {
		// A trial was run again: what was learned from its first result is wrong.
		p.strategy, p.history, p.versions = mustStrategy(c), search.History{}, nil
	}
	for _, t := range told[len(p.versions):] {
		trial, err := p.sweep.searchTrial(t)
		if err != nil {
			return err
		}
		p.history.Told = append(p.history.Told, trial)
		p.versions = append(p.versions, t.Version)
	}
	p.history.Pending = nil
	for _, t := range all[p.firstPending(all):] {
		if c.Deterministic || !isOver(t.State) {
			trial, err := p.sweep.searchTrial(t)
			if err != nil {
				return err
			}
			// What it has come to meanwhile is not to be seen by its own generation.
			p.history.Pending = append(p.history.Pending, search.Trial{Number: trial.Number, Point: trial.Point})
		}
	}
	return nil
}

func (p *proposer) firstPending(all []*study.Trial) int {
	if p.sweep.Config.Deterministic {
		return len(p.history.Told)
	}
	return 0
}

// ask returns the points of trials n to n + count - 1, each with those before it as pending.
func (p *proposer) ask(n, count int) ([]search.Point, error) {
	var points []search.Point
	for i := range count {
		point := p.strategy.Ask(n+i, &p.history)
		points = append(points, point)
		p.history.Pending = append(p.history.Pending, search.Trial{Number: n + i, Point: point})
	}
	return points, nil
}

// stack groups points that can train together, at most as many as the sweep stacks.
func (p *proposer) stack(points []search.Point) ([]study.Proposal, error) {
	type open struct{ first, size int }
	stacks := map[string]open{}
	var proposals []study.Proposal
	for i, point := range points {
		encoded, err := p.sweep.encodePoint(point)
		if err != nil {
			return nil, err
		}
		shape := fmt.Sprint("trial ", i) // of an experiment that is none: it will fail alone
		if e, err := p.sweep.Config.Experiment(point, 0); err == nil {
			if shape, err = experiment.Shape(e); err != nil {
				return nil, err
			}
		}
		s, found := stacks[shape]
		if !found || s.size == p.sweep.Config.Stack {
			s = open{first: i}
		}
		s.size++
		stacks[shape] = s
		proposals = append(proposals, study.Proposal{Params: encoded, Stack: s.first})
	}
	return proposals, nil
}

// searchTrial is a trial as a strategy sees it: less is better.
func (s *Sweep) searchTrial(t *study.Trial) (search.Trial, error) {
	point, err := s.decodePoint(t.Params)
	if err != nil {
		return search.Trial{}, fmt.Errorf("trial %d: %w", t.Number, err)
	}
	trial := s.outcome(t)
	trial.Point = point
	return trial, nil
}

// outcome is a trial as a pruner sees it: less is better, and what was tried does not matter.
func (s *Sweep) outcome(t *study.Trial) search.Trial {
	trial := search.Trial{Number: t.Number}
	switch t.State {
	case study.Done:
		trial.State = search.Done
	case study.Pruned:
		trial.State = search.Pruned
	case study.Failed:
		trial.State = search.Failed
	}
	for i, value := range t.Values {
		if math.IsNaN(value) {
			trial.State, trial.Values = search.Failed, nil
			break
		}
		trial.Values = append(trial.Values, s.lessIsBetter(i, value))
	}
	for _, report := range t.Curve {
		trial.Curve = append(trial.Curve, search.Report{Step: report.Step, Value: s.lessIsBetter(0, report.Value)})
	}
	return trial
}

// lessIsBetter turns a value of an objective into one that is better when it is less, and back.
func (s *Sweep) lessIsBetter(objective int, value float64) float64 {
	if s.Config.Objective[objective].Maximize() {
		return -value
	}
	return value
}

// prune says whether a trial is to stop, beside those that it may be compared with: with deterministic those of generations
// before and those that it trains together with, else all.
func (s *Sweep) prune(number int, all []*study.Trial) bool {
	c := s.Config
	if _, never := c.EarlyStopping.(*search.None); never {
		return false
	}
	own := s.outcome(all[number])
	if len(own.Curve) == 0 || math.IsNaN(own.Curve[len(own.Curve)-1].Value) {
		return false
	}
	start := number / c.Generation * c.Generation
	var others []search.Trial
	for _, t := range all {
		mate := t.Stack == all[number].Stack
		if t.Number == number || c.Deterministic && t.Number >= start && !mate {
			continue
		}
		trial := s.outcome(t)
		if c.Deterministic && mate {
			// How it stands depends on the order in which the stack is looked at; its curve does not.
			trial.State, trial.Values = search.Pending, nil
		}
		others = append(others, trial)
	}
	return c.EarlyStopping.Prune(own, others)
}
