package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// step is a part of what the kit does.
type step struct {
	name  string // of its entry in report.json
	title string
	log   string // a file, which steps may share: eight files at most are in the report's folder
	// share is its part of the time that is left when it begins, among its own and those of the steps after it. What a step
	// does not use goes to all that follow.
	share int
	// long steps are left out of a short run.
	long bool
	// run does it, and tells what it finds by the outcome while it goes on. It ends with ctx.
	run func(k *kit, ctx context.Context, o *outcome) error
}

// steps are all that the kit does, the most important first: where time is short, the last suffer.
var steps = []step{
	{name: "check", title: "Backend and device", log: "check.log", share: 5, run: (*kit).check},
	{name: "seed", title: "The seed's figures", log: "seed.log", share: 6, run: (*kit).seed},
	{name: "verify", title: "The seed again, to the bit", log: "seed.log", share: 3, run: (*kit).verify},
	{name: "resume", title: "Killed and resumed, to the bit", log: "seed.log", share: 5, run: (*kit).resume},
	{name: "tests", title: "Tests", log: "tests.log", share: 11, run: (*kit).tests},
	{name: "bench", title: "Benchmark", log: "bench.log", share: 13, run: (*kit).bench},
	{name: "kinds", title: "A config of each kind of model", log: "kinds.log", share: 7, long: true, run: (*kit).kinds},
	{name: "sweep", title: "A sweep of stacked trials", log: "kinds.log", share: 2, long: true, run: (*kit).sweep},
}

// state says where a step stands.
type state string

const (
	waiting     state = "waiting"
	running     state = "running"
	passed      state = "passed"
	failed      state = "failed"
	outOfTime   state = "out of time" // it was stopped at its limit, or had no time to begin
	interrupted state = "interrupted" // the whole run was stopped while it ran
	notRun      state = "not run"     // or before
	leftOut     state = "left out"    // of a short run
)

// loud is the state as people are shown it: what did not pass catches the eye.
func (s state) loud() string {
	if s == failed || s == outOfTime {
		return strings.ToUpper(string(s))
	}
	return string(s)
}

// outcome is what is known of a step.
type outcome struct {
	Name    string  `json:"name"`
	Title   string  `json:"title"`
	State   state   `json:"state"`
	Seconds float64 `json:"seconds"`
	Limit   float64 `json:"limit_seconds"`
	// Figure is the main thing that it found, in a few words.
	Figure   string    `json:"figure"`
	Problems []problem `json:"problems,omitempty"`
	Log      string    `json:"log,omitempty"` // a file beside the report
	// Data is what it found, for programs, and details the same for people, in Markdown.
	Data    any `json:"data,omitempty"`
	details string
}

// problem is something that went wrong.
type problem struct {
	Text string `json:"text"`
	// Output is the end of what a child said.
	Output string `json:"output,omitempty"`
}

// pace are times that no person decides.
type pace struct {
	closing      time.Duration // kept of the whole time for ending what runs and for the report
	leastLimit   time.Duration // with less, a step is not begun
	leastAttempt time.Duration // with less, what a crash has left of a package's tests is not begun
	grace        time.Duration // how long a child has to end after it was asked to, and its end waits for what it started
}

// kit is a run of all steps.
type kit struct {
	settings
	pace
	stdout, stderr io.Writer
	now            func() time.Time

	mu     sync.Mutex // of the report, which children at once fill
	report *report
	log    *logFile // the step's

	seedRun string // the folder of the seed's run, once it is done
}

func newKit(s settings, stdout, stderr io.Writer) *kit {
	return &kit{
		settings: s, stdout: stdout, stderr: stderr, now: time.Now,
		pace: pace{closing: 5 * time.Second, leastLimit: 3 * time.Second, leastAttempt: 5 * time.Second, grace: 3 * time.Second},
	}
}

// errLimit says that a step took longer than its limit.
var errLimit = errors.New("stopped at its limit of time")

// run does the steps in their order, and says whether all passed.
func (k *kit) run(ctx context.Context, steps []step) bool {
	k.report = newReport(k.settings, steps)
	k.save()
	k.report.Machine = k.describeMachine(ctx)
	deadline := k.started.Add(k.time - k.closing)
	all := true
	for i, s := range steps {
		o := k.report.Steps[i]
		if s.long && k.short() {
			o.State, o.Figure = leftOut, fmt.Sprintf("MINUTES is below %g", shortTime.Minutes())
			k.print(o)
			continue
		}
		limit := k.limit(deadline, steps[i:])
		switch {
		case ctx.Err() != nil:
			o.State = notRun
		case limit < k.leastLimit:
			o.State, o.Figure = outOfTime, "no time was left to begin"
		default:
			k.do(ctx, s, o, limit)
		}
		k.print(o)
		all = all && o.State == passed
	}
	k.report.Finished = true
	if err := k.save(); err != nil {
		fmt.Fprintf(k.stderr, "kit: %v\n", err)
		return false
	}
	fmt.Fprintf(k.stdout, "\n%s\n%s\n", k.report.verdict(), filepath.Join(k.out, markdownFile))
	return all
}

// limit is how long the first of the steps that are left may take.
func (k *kit) limit(deadline time.Time, left []step) time.Duration {
	shares := 0
	for _, s := range left {
		if !s.long || !k.short() {
			shares += s.share
		}
	}
	return deadline.Sub(k.now()) * time.Duration(left[0].share) / time.Duration(shares)
}

// do does a step.
func (k *kit) do(ctx context.Context, s step, o *outcome, limit time.Duration) {
	fmt.Fprintf(k.stderr, "%s, up to %.0f s …\n", s.title, limit.Seconds())
	k.change(func() { o.State, o.Limit = running, limit.Seconds() })
	begun := k.now()
	within, cancel := context.WithTimeoutCause(ctx, limit, errLimit)
	defer cancel()
	err := k.attempt(within, s, o)
	k.change(func() {
		o.Seconds = k.now().Sub(begun).Seconds()
		o.Problems = append(o.Problems, problems(err)...)
		switch {
		case ctx.Err() != nil:
			o.State = interrupted
		case errors.Is(context.Cause(within), errLimit) && len(o.Problems) > 0:
			o.State = outOfTime
		case len(o.Problems) > 0:
			o.State = failed
		default:
			o.State = passed
		}
	})
}

// attempt runs a step's function with its log. A panic there is the step's.
func (k *kit) attempt(ctx context.Context, s step, o *outcome) (err error) {
	if k.log, err = openLog(filepath.Join(k.out, s.log)); err != nil {
		return err
	}
	k.change(func() { o.Log = s.log })
	defer func() {
		if p := recover(); p != nil {
			err = errors.Join(err, fmt.Errorf("panic: %v", p))
		}
		err = errors.Join(err, k.log.Close())
	}()
	return s.run(k, ctx, o)
}

// change changes the report and writes it. That it cannot be written is told, and ends nothing.
func (k *kit) change(change func()) {
	k.mu.Lock()
	change()
	k.mu.Unlock()
	if err := k.save(); err != nil {
		fmt.Fprintf(k.stderr, "kit: %v\n", err)
	}
}

// together calls do with the numbers from 0 to n-1 in this order, as many at once as children are to compute at once. A panic
// there is one here.
func (k *kit) together(n int, do func(i int)) {
	numbers := make(chan int, n)
	for i := range n {
		numbers <- i
	}
	close(numbers)
	panics := make(chan any, k.parallel)
	var all sync.WaitGroup
	for range k.parallel {
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panics <- p
				}
			}()
			for i := range numbers {
				do(i)
			}
		})
	}
	all.Wait()
	if len(panics) > 0 {
		panic(<-panics)
	}
}

// print tells of a step that is over, in a line.
func (k *kit) print(o *outcome) {
	what := o.Figure
	if what == "" && len(o.Problems) > 0 {
		what = o.Problems[0].Text
	}
	fmt.Fprintf(k.stdout, "%-11s  %-6s  %6.1f s  %s\n", o.State.loud(), o.Name, o.Seconds, what)
}

// problems are the errors that were joined in one, with what their children said.
func problems(err error) []problem {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []problem
		for _, e := range joined.Unwrap() {
			all = append(all, problems(e)...)
		}
		return all
	}
	p := problem{Text: err.Error()}
	var child *childError
	if errors.As(err, &child) {
		p.Output = child.output
	}
	return []problem{p}
}
