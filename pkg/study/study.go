// Package study keeps the trials of a sweep: what is to be tried, who runs it, and what came of it.
//
//	store, err := study.Open(ctx, "sweep/study.db", study.Options{}) // or postgres://latent@db.example/sweeps
//	sweep, err := store.Create(ctx, "noise", config)
//	trials, err := sweep.Claim(ctx, "host-4711", propose) // run them, with Keep beside
//	err = sweep.Finish(ctx, trials[0].Claim(), study.Result{State: study.Done, Values: []float64{0.3}})
//
// A worker claims trials for the time of a lease, and renews it while it lives. When it is silent for longer, the next worker
// that claims takes the trial up as its next attempt, and what the first worker tells from then on is refused with a
// [LostError].
//
// Promised: a trial is never lost, and its result is taken once, from whoever claimed it last. Processes may be killed at any
// moment: a change is made whole or not at all, and one that was made stays (what a power cut may take back is said at
// openFile). The same on SQLite, in one file, and on PostgreSQL. A damaged file is an error.
//
// What is not here: what parameters and values mean and who stops a trial that fails at each attempt (pkg/sweep), and what to
// try next (pkg/search).
package study

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Study is the trials of one sweep. It may be used by many goroutines at once.
type Study struct {
	Name string
	// Config is what Create was given.
	Config string

	store *Store
	id    int64

	// What is known of the trials: those of a version, by number. Neither the slice nor a trial in it is ever changed.
	mutex   sync.Mutex
	trials  []*Trial
	version int64
}

// LostError is the error of a worker that speaks of trials which are not its own, or no longer.
type LostError struct{ Lost []Loss }

// Loss is a claim that does not hold. A worker whose connection broke while it told a result, and that tells it again, finds
// here that the trial is over and Newest is its own attempt: its result was taken.
type Loss struct {
	Claim
	Newest int    // the newest attempt
	State  State  // where the trial stands
	Worker string // who has it, or had it at its end
}

// Error names the trials, their newest attempts and who has them.
func (e *LostError) Error() string {
	var texts []string
	for _, l := range e.Lost {
		text := fmt.Sprintf("attempt %[2]d of trial %[1]d does not, or no longer, belong to this worker: ", l.Number, l.Claim.Attempt)
		switch l.State {
		case Waiting:
			text += "it is waiting to be run again"
		case Running:
			text += fmt.Sprintf("attempt %d is running on %s", l.Newest, l.Worker)
		default:
			text += fmt.Sprintf("it is %s since attempt %d on %s", l.State, l.Newest, l.Worker)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

// Trials returns all trials, by number. Neither the slice nor a trial in it may be changed; neither changes later.
//
// Its time grows with what changed since the last call, and for 10,000 trials it copies 80 KB if anything did.
func (s *Study) Trials(ctx context.Context) ([]*Trial, error) {
	var trials []*Trial
	err := s.store.read(ctx, func(tx *sql.Tx) (err error) {
		trials, err = s.refresh(ctx, tx)
		return err
	})
	if err != nil {
		return nil, s.failed("read the trials", err)
	}
	return trials, nil
}

// Changes returns the trials that changed after a version, as they are now, in the order of their versions.
func (s *Study) Changes(ctx context.Context, after int64) ([]*Trial, error) {
	var trials []*Trial
	err := s.store.read(ctx, func(tx *sql.Tx) (err error) {
		trials, err = s.changed(ctx, tx, after)
		return err
	})
	if err != nil {
		return nil, s.failed("read the changes", err)
	}
	return trials, nil
}

// Claim gives the worker trials to run: those of the first stack that has one which waits, or whose worker's lease ran out. A
// trial that was begun before comes with its Run and its Curve, and Attempt above 1.
//
// Where there is none, propose is called with all trials, and what it returns is added; the first stack of it is claimed. No
// other process changes the study meanwhile, and propose must not call the study or the store: it would wait for itself. If it
// proposes nothing, or is nil, Claim returns nothing: there is nothing to do now.
//
// The name of a worker is that of one living process, on all machines.
func (s *Study) Claim(ctx context.Context, worker string, propose func(trials []*Trial) ([]Proposal, error)) ([]Trial, error) {
	if worker == "" {
		return nil, s.failed("claim", errors.New("the worker's name is empty"))
	}
	if err := checkText("the worker's name", worker); err != nil {
		return nil, s.failed("claim", err)
	}
	var claimed []Trial
	err := s.change(ctx, func(c *change) error {
		rows, err := c.rows(s.store.statements.claimable, micro(c.now))
		if err != nil {
			return err
		}
		if len(rows) == 0 && propose != nil {
			if rows, err = c.proposed(propose); err != nil {
				return err
			}
		}
		for _, t := range rows {
			if t.Stack == rows[0].Stack {
				t.start(worker, c.now, s.store.options.Lease)
			}
			if err := c.save(t); err != nil {
				return err
			}
			if t.State == Waiting {
				continue
			}
			if t.Attempt > 1 {
				found, err := curves(ctx, c.prepared(s.store.statements.curve), s.id, t.Number)
				if err != nil {
					return err
				}
				t.Curve = found[t.Number]
			}
			claimed = append(claimed, t.Trial)
		}
		return nil
	})
	if err != nil {
		return nil, s.failed("claim", err)
	}
	return claimed, nil
}

// proposed returns the trials that propose wants to be added.
func (c *change) proposed(propose func([]*Trial) ([]Proposal, error)) ([]*row, error) {
	trials, err := c.study.refresh(c.ctx, c.tx)
	if err != nil {
		return nil, err
	}
	proposals, err := propose(trials)
	if err != nil {
		return nil, fmt.Errorf("propose: %w", err)
	}
	rows := make([]*row, len(proposals))
	for i, p := range proposals {
		if p.Stack < 0 || p.Stack > i || proposals[p.Stack].Stack != p.Stack {
			return nil, fmt.Errorf("proposal %d: its stack begins with proposal %d, which does not begin a stack", i, p.Stack)
		}
		if !json.Valid(p.Params) {
			return nil, fmt.Errorf("proposal %d: its parameters are not valid JSON: %.60q", i, p.Params)
		}
		if err := checkText("the parameters", string(p.Params)); err != nil {
			return nil, fmt.Errorf("proposal %d: %w", i, err)
		}
		rows[i] = &row{Trial: Trial{Number: c.trials + i, State: Waiting, Params: p.Params, Stack: c.trials + p.Stack, Asked: c.now}}
	}
	c.trials += len(rows)
	return rows, nil
}

// Keep renews the leases of a worker's trials. Those that are not its own are told by a LostError; the others are renewed all
// the same.
func (s *Study) Keep(ctx context.Context, worker string, claims []Claim) error {
	var lost LostError
	err := s.change(ctx, func(c *change) error {
		for _, claim := range claims {
			t, err := c.own(claim)
			if err == nil && t.Worker != worker {
				err = t.lost(claim)
			}
			if loss, ok := errors.AsType[*LostError](err); ok {
				lost.Lost = append(lost.Lost, loss.Lost...)
				continue
			}
			if err != nil {
				return err
			}
			if _, err := c.exec(s.store.statements.renew, t.Number, micro(c.now.Add(s.store.options.Lease))); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(lost.Lost) > 0 {
		err = &lost
	}
	return s.failed("keep trials", err)
}

// Report adds a value to a trial's curve, and renews the leases of the trials that the worker runs stacked with it. A step that
// is told again gets the new value; what earlier attempts told of this step and those after it is dropped.
func (s *Study) Report(ctx context.Context, claim Claim, step int, value float64) error {
	err := s.change(ctx, func(c *change) error {
		t, err := c.own(claim)
		if err != nil {
			return err
		}
		if t.Attempt > 1 {
			if _, err := c.exec(s.store.statements.drop, t.Number, t.Attempt, step); err != nil {
				return err
			}
		}
		if _, err := c.exec(s.store.statements.report, t.Number, t.Attempt, step, number(value)); err != nil {
			return err
		}
		t.lease = c.now.Add(s.store.options.Lease)
		if err := c.save(t); err != nil {
			return err
		}
		_, err = c.exec(s.store.statements.renewStack, t.Stack, t.Worker, micro(t.lease))
		return err
	})
	return s.failed("report", err)
}

// SetRun says where the trial's run is.
func (s *Study) SetRun(ctx context.Context, claim Claim, run string) error {
	err := s.change(ctx, func(c *change) error {
		t, err := c.own(claim)
		if err != nil {
			return err
		}
		t.Run = run
		return c.save(t)
	})
	return s.failed("say where the run is", err)
}

// Finish gives a trial its result, once: while it runs, and from the last who claimed it.
func (s *Study) Finish(ctx context.Context, claim Claim, result Result) error {
	if !result.State.over() {
		return s.failed("finish", fmt.Errorf("trial %d: state %q is not final; must be %q, %q or %q", claim.Number, result.State, Done, Pruned, Failed))
	}
	err := s.change(ctx, func(c *change) error {
		t, err := c.own(claim)
		if err != nil {
			return err
		}
		c.told++
		t.State, t.Values, t.Attrs, t.Finished, t.Told, t.lease = result.State, result.Values, result.Attrs, c.now, c.told, time.Time{}
		t.Error = strings.ReplaceAll(strings.ToValidUTF8(result.Error, "\ufffd"), "\x00", "\ufffd")
		return c.save(t)
	})
	return s.failed("finish", err)
}

// Release makes the trials that the worker runs wait for another, and returns how many those are. They keep their runs and
// curves.
func (s *Study) Release(ctx context.Context, worker string) (int, error) {
	released := 0
	err := s.change(ctx, func(c *change) error {
		rows, err := c.rows(s.store.statements.running, worker)
		if err != nil {
			return err
		}
		for _, t := range rows {
			t.wait()
			if err := c.save(t); err != nil {
				return err
			}
		}
		released = len(rows)
		return nil
	})
	if err != nil {
		return 0, s.failed("release", err)
	}
	return released, nil
}

// Requeue makes a trial that is over wait to be run anew: its result, its curve and the place of its run are dropped. Its
// attempts go on counting.
func (s *Study) Requeue(ctx context.Context, number int) error {
	err := s.change(ctx, func(c *change) error {
		t, err := c.trial(number)
		if err != nil {
			return err
		}
		if !t.State.over() {
			return fmt.Errorf("trial %d is %s; only a finished trial can be run again", number, t.State)
		}
		if _, err := c.exec(s.store.statements.drop, number, t.Attempt+1, minStep); err != nil {
			return err
		}
		t.wait()
		t.Values, t.Attrs, t.Error, t.Run, t.Finished, t.Told = nil, nil, "", "", time.Time{}, 0
		return c.save(t)
	})
	return s.failed("requeue", err)
}

// minStep is before every step.
const minStep = -1 << 63

// failed says of an error what it stopped, and in which study.
func (s *Study) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("study %s: %s: %w", s.Name, what, s.store.explain(err))
}

// refresh brings what is known of the trials up to the transaction's moment. In one that changes the study it comes first: what
// is known then was committed by others, and stays true if this one is undone.
func (s *Study) refresh(ctx context.Context, tx *sql.Tx) ([]*Trial, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	changed, err := s.changed(ctx, tx, s.version)
	if err != nil || len(changed) == 0 {
		return s.trials, err
	}
	version := changed[len(changed)-1].Version
	trials := make([]*Trial, len(s.trials), len(s.trials)+len(changed))
	copy(trials, s.trials)
	slices.SortFunc(changed, func(a, b *Trial) int { return a.Number - b.Number })
	for _, t := range changed {
		switch {
		case t.Number < len(trials):
			trials[t.Number] = t
		case t.Number == len(trials):
			trials = append(trials, t)
		default:
			return nil, fmt.Errorf("the store is damaged: it has trial %d and no trial %d", t.Number, len(trials))
		}
	}
	s.trials, s.version = trials, version
	return trials, nil
}

// changed reads the trials that changed after a version, with their curves.
func (s *Study) changed(ctx context.Context, tx *sql.Tx, after int64) (trials []*Trial, err error) {
	rows, err := scanAll(tx.StmtContext(ctx, s.store.statements.changed).QueryContext(ctx, s.id, after))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	found, err := curves(ctx, tx.StmtContext(ctx, s.store.statements.changedCurves), s.id, after)
	if err != nil {
		return nil, err
	}
	for _, t := range rows {
		t.Curve = found[t.Number]
		trials = append(trials, &t.Trial)
	}
	return trials, nil
}

func scanAll(rows *sql.Rows, err error) (all []*row, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		t, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}

// change is a transaction that holds the study: nobody else changes it until the end.
type change struct {
	ctx   context.Context
	tx    *sql.Tx
	study *Study
	now   time.Time

	// The study's counters: trials, results, and changes so far.
	trials        int
	told, version int64
}

// change runs act on the study, all of it or nothing.
func (s *Study) change(ctx context.Context, act func(*change) error) error {
	return s.store.write(ctx, func(tx *sql.Tx) error {
		c := &change{ctx: ctx, tx: tx, study: s}
		var now int64
		err := c.prepared(s.store.statements.counters).QueryRowContext(ctx, s.id).Scan(&c.trials, &c.told, &c.version, &now)
		if errors.Is(err, sql.ErrNoRows) {
			return errors.New("it is no longer in the store")
		}
		if err != nil {
			return err
		}
		c.now = fromMicro(now)
		if s.store.options.Now != nil {
			c.now = fromMicro(s.store.options.Now().UnixMicro())
		}
		before := c.version
		if err := act(c); err != nil || c.version == before {
			return err
		}
		_, err = c.exec(s.store.statements.setCounters, c.trials, c.told, c.version)
		return err
	})
}

func (c *change) prepared(statement *sql.Stmt) *sql.Stmt { return c.tx.StmtContext(c.ctx, statement) }

func (c *change) exec(statement *sql.Stmt, args ...any) (sql.Result, error) {
	return c.prepared(statement).ExecContext(c.ctx, append([]any{c.study.id}, args...)...)
}

func (c *change) rows(statement *sql.Stmt, args ...any) ([]*row, error) {
	return scanAll(c.prepared(statement).QueryContext(c.ctx, append([]any{c.study.id}, args...)...))
}

func (c *change) trial(number int) (*row, error) {
	rows, err := c.rows(c.study.store.statements.trial, number)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("there is no trial %d; the last is %d", number, c.trials-1)
	}
	return rows[0], nil
}

// own returns a trial if the claim holds.
func (c *change) own(claim Claim) (*row, error) {
	t, err := c.trial(claim.Number)
	if err == nil && (t.State != Running || t.Attempt != claim.Attempt) {
		err = t.lost(claim)
	}
	return t, err
}

func (t *row) lost(claim Claim) error {
	return &LostError{[]Loss{{Claim: claim, Newest: t.Trial.Attempt, State: t.State, Worker: t.Worker}}}
}
