package sweep

import (
	"cmp"
	"fmt"
	"maps"
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

// proposer proposes the trials of a sweep. All that it keeps between calls only saves work.
type proposer struct {
	sweep    *Sweep
	now      func() time.Time
	strategy search.Strategy
	history  search.History
	// known are the trials as they were last; a trial that has changed since is another. Of these, open are the numbers of those
	// that are not over, and untold those that are over and not in the history, in the order of their results.
	known  []*study.Trial
	open   map[int]bool
	untold []*study.Trial
	// over says that no trial will be proposed any more, whatever those that run will bring.
	over bool
}

func newProposer(s *Sweep, now func() time.Time) *proposer {
	p := &proposer{sweep: s, now: now}
	p.forget()
	return p
}

// forget begins anew.
func (p *proposer) forget() {
	p.strategy, p.history = mustStrategy(p.sweep.Config), search.History{}
	p.known, p.open, p.untold = nil, map[int]bool{}, nil
}

// look takes up what has changed since the last call. It looks at no other trial: with ten thousand, the processor waits a
// fifth of a millisecond for their memory.
func (p *proposer) look(all []*study.Trial) {
	for i, t := range p.known {
		if all[i] != t && isOver(t.State) {
			p.forget() // a trial was run again: what was learned from its first result is wrong
			break
		}
	}
	news := len(p.untold)
	for i, t := range all {
		if i < len(p.known) && p.known[i] == t {
			continue
		}
		if isOver(t.State) {
			delete(p.open, i)
			p.untold = append(p.untold, t)
		} else {
			p.open[i] = true
		}
	}
	slices.SortFunc(p.untold[news:], func(a, b *study.Trial) int { return cmp.Compare(a.Told, b.Told) })
	p.known = all
}

// propose returns the next trials to run, or none, where the budget is used up or the generation before is not over. It is
// called inside the study's transaction.
func (p *proposer) propose(all []*study.Trial) ([]study.Proposal, error) {
	c, n := p.sweep.Config, len(all)
	p.look(all)
	limit := p.limit(all)
	p.over = n >= limit
	if p.over {
		return nil, nil
	}
	count := c.Stack
	if c.Deterministic {
		start := n / c.Generation * c.Generation
		for number := range p.open {
			if number < start {
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
	if allowed := c.Budget.Duration(); allowed > 0 && len(all) > 0 {
		// No more can be spent than has passed, which is cheaper to know.
		if now := p.now(); now.Sub(all[0].Asked) >= allowed && Spent(all, now) >= allowed {
			limit = min(limit, len(all))
		}
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
func Spent(all []*study.Trial, now time.Time) time.Duration { return spentUntil(spells(all, now), now) }

// spell is a time in which at least one trial ran, in microseconds, as a study has them.
type spell struct{ from, to int64 }

// spells are all of them, one after another.
func spells(all []*study.Trial, now time.Time) []spell {
	var list []spell
	for _, t := range all {
		if t.Started.IsZero() {
			continue
		}
		to := t.Finished
		if to.IsZero() {
			to = now
		}
		list = append(list, spell{t.Started.UnixMicro(), to.UnixMicro()})
	}
	slices.SortFunc(list, func(a, b spell) int { return cmp.Compare(a.from, b.from) })
	var apart []spell
	for _, s := range list {
		last := len(apart) - 1
		if last >= 0 && s.from <= apart[last].to {
			apart[last].to = max(apart[last].to, s.to)
		} else if s.to > s.from {
			apart = append(apart, s)
		}
	}
	return apart
}

// spentUntil is how much of spells lies before a time.
func spentUntil(list []spell, at time.Time) time.Duration {
	total, until := int64(0), at.UnixMicro()
	for _, s := range list {
		total += max(0, min(s.to, until)-s.from)
	}
	return time.Duration(total) * time.Microsecond
}

// catchUp brings the history up to what the next trial may see: with deterministic, the trials of the generations before, by
// number; else all that are over, in the order of their results.
func (p *proposer) catchUp(all []*study.Trial) error {
	c := p.sweep.Config
	told, pending := p.untold, slices.Sorted(maps.Keys(p.open))
	if c.Deterministic {
		before, start := len(p.history.Told), len(all)/c.Generation*c.Generation
		told, pending = all[before:start], nil
		for number := start; number < len(all); number++ {
			pending = append(pending, number)
		}
	}
	p.untold = nil
	for _, t := range told {
		trial, err := p.sweep.searchTrial(t)
		if err != nil {
			return err
		}
		p.history.Told = append(p.history.Told, trial)
	}
	p.history.Pending = nil
	for _, number := range pending {
		point, err := p.sweep.decodePoint(all[number].Params)
		if err != nil {
			return fmt.Errorf("trial %d: %w", number, err)
		}
		// What it has come to meanwhile is not to be seen by its own generation.
		p.history.Pending = append(p.history.Pending, search.Trial{Number: number, Point: point})
	}
	return nil
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
		shape, err := p.shape(i, point)
		if err != nil {
			return nil, err
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

// shape tells which of the points, this being the one at i, can train together.
func (p *proposer) shape(i int, point search.Point) (string, error) {
	alone := fmt.Sprint("trial ", i)
	if p.sweep.Config.Stack == 1 {
		return alone, nil
	}
	e, err := p.sweep.Config.Experiment(point, 0)
	if err != nil {
		return alone, nil // an experiment that is none: it will fail by itself
	}
	return experiment.Shape(e)
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
