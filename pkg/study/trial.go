package study

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// State is where a trial stands.
type State string

// The states of a trial. Claim makes it run, Finish ends it, Release makes it wait again while it runs, and Requeue when it is
// over.
const (
	Waiting State = "waiting"
	Running State = "running"
	Done    State = "done"
	Pruned  State = "pruned" // stopped before its end, because it was not worth it
	Failed  State = "failed"
)

// over says that the trial has its result.
func (s State) over() bool { return s == Done || s == Pruned || s == Failed }

// Trial is one thing to be tried, and what came of it. Times are whole microseconds in UTC, zero where there is none.
type Trial struct {
	// Number is from 0, in the order of proposing, without gaps.
	Number int
	State  State
	// Attempt counts the claims: 1 while it runs for the first time, 0 before.
	Attempt int
	// Params is what is to be run.
	Params json.RawMessage
	// Stack is the number of the first of the trials that are run together; its own where it is alone.
	Stack int
	// Worker runs it, or ran it to its end; empty while it waits.
	Worker string
	// Run is the run's folder, relative to the sweep's; empty until a worker says it.
	Run string
	// Values are the objectives', in the sweep's order; NaN and infinities are allowed.
	Values []float64
	// Curve is what was reported on the way, steps ascending. It outlives the attempts that ended without a result.
	Curve []Report
	// Attrs is anything else that the worker told with the result.
	Attrs map[string]json.RawMessage
	// Error says why it failed.
	Error string
	// Asked is when it was proposed, Started when its last attempt began, Finished when it was over.
	Asked, Started, Finished time.Time
	// Told is the place in the order of results: growing over the study, from 1, each given once. 0 without a result.
	Told int64
	// Version is that of the last change, growing over the study, each given once. A heartbeat is no change.
	Version int64
}

// Report is a value that a trial had on its way, after so many steps.
type Report struct {
	Step  int
	Value float64
}

// Proposal is a trial that is to be added.
type Proposal struct {
	Params json.RawMessage
	// Stack is the place, among the proposals of this call, of the first trial that this one is run together with; its own
	// place where it is alone, or the first.
	Stack int
}

// Claim is the right to run a trial, until another claims it.
type Claim struct{ Number, Attempt int }

// Claim returns the claim that the trial is run under.
func (t *Trial) Claim() Claim { return Claim{t.Number, t.Attempt} }

// Result is what came of a trial.
type Result struct {
	// State is Done, Pruned or Failed.
	State  State
	Values []float64
	// Error says why it failed. Bytes that are no text are replaced.
	Error string
	Attrs map[string]json.RawMessage
}

// row is a trial as it is stored.
type row struct {
	Trial
	lease time.Time // while it runs: when another may claim it
}

const columns = `number, state, attempt, params, stack, worker, run, objectives, attrs, error, asked, started, finished, told,
	version, lease`

// scan reads the columns. What no store of ours writes is an error.
func scan(rows interface{ Scan(...any) error }) (*row, error) {
	var (
		t                                 row
		params, values, attrs             string
		asked, started, finished, leaseTo int64
	)
	err := rows.Scan(&t.Number, &t.State, &t.Attempt, &params, &t.Stack, &t.Worker, &t.Run, &values, &attrs, &t.Error,
		&asked, &started, &finished, &t.Told, &t.Version, &leaseTo)
	if err != nil {
		return nil, err
	}
	if t.State != Waiting && t.State != Running && !t.State.over() {
		return nil, fmt.Errorf("trial %d is damaged: its state is %q", t.Number, t.State)
	}
	if t.Number < 0 || t.Stack < 0 || t.Stack > t.Number || t.Attempt < 0 || !json.Valid([]byte(params)) {
		return nil, fmt.Errorf("trial %d is damaged: stack %d, attempt %d, parameters of %d bytes",
			t.Number, t.Stack, t.Attempt, len(params))
	}
	t.Params = json.RawMessage(params)
	for word := range strings.FieldsSeq(values) {
		value, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, fmt.Errorf("trial %d is damaged: a value is %q", t.Number, word)
		}
		t.Values = append(t.Values, value)
	}
	if attrs != "" {
		if err := json.Unmarshal([]byte(attrs), &t.Attrs); err != nil {
			return nil, fmt.Errorf("trial %d is damaged: its attributes: %w", t.Number, err)
		}
	}
	t.Asked, t.Started, t.Finished, t.lease = fromMicro(asked), fromMicro(started), fromMicro(finished), fromMicro(leaseTo)
	return &t, nil
}

// save writes the trial, new or not, as a change of the study.
func (c *change) save(t *row) error {
	words := make([]string, len(t.Values))
	for i, value := range t.Values {
		words[i] = strconv.FormatFloat(value, 'g', -1, 64)
	}
	attrs := ""
	if len(t.Attrs) > 0 {
		data, err := json.Marshal(t.Attrs)
		if err != nil {
			return fmt.Errorf("trial %d: attributes: %w", t.Number, err)
		}
		attrs = string(data)
	}
	if err := errors.Join(checkText("the run's folder", t.Run), checkText("an attribute", attrs)); err != nil {
		return fmt.Errorf("trial %d: %w", t.Number, err)
	}
	c.version++
	t.Version = c.version
	_, err := c.exec(c.study.store.statements.save, t.Number, t.State, t.Attempt, string(t.Params), t.Stack, t.Worker, t.Run,
		strings.Join(words, " "), attrs, t.Error, micro(t.Asked), micro(t.Started), micro(t.Finished), t.Told, t.Version, micro(t.lease))
	return err
}

// start makes the trial the worker's.
func (t *row) start(worker string, now time.Time, lease time.Duration) {
	t.State, t.Worker, t.Started, t.lease = Running, worker, now, now.Add(lease)
	t.Attempt++
}

// wait makes the trial wait for another worker.
func (t *row) wait() {
	t.State, t.Worker, t.Started, t.lease = Waiting, "", time.Time{}, time.Time{}
}

// curves reads curves, by the trial's number.
func curves(ctx context.Context, statement *sql.Stmt, args ...any) (map[int][]Report, error) {
	rows, err := statement.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[int][]Report)
	for rows.Next() {
		var number, step int
		var value sql.NullFloat64 // SQLite keeps NaN as NULL
		if err := rows.Scan(&number, &step, &value); err != nil {
			return nil, err
		}
		if !value.Valid {
			value.Float64 = math.NaN()
		}
		all[number] = append(all[number], Report{step, value.Float64})
	}
	return all, rows.Err()
}

// number is how a report's value is stored.
func number(value float64) sql.NullFloat64 {
	return sql.NullFloat64{Float64: value, Valid: !math.IsNaN(value)}
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// checkText refuses what PostgreSQL cannot keep as text.
func checkText(what, text string) error {
	if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
		return fmt.Errorf("%s is not text: %.60q; it must be UTF-8 without zero bytes", what, text)
	}
	return nil
}
