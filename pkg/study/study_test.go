//go:build unix

package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var ctx = context.Background()

// proposals are of so many trials, each alone.
func proposals(n int) func([]*Trial) ([]Proposal, error) {
	return func(trials []*Trial) (all []Proposal, _ error) {
		for i := range n {
			all = append(all, Proposal{json.RawMessage(fmt.Sprint(len(trials) + i)), i})
		}
		return all, nil
	}
}

func claimOne(t *testing.T, s *Study, worker string) Trial {
	t.Helper()
	claimed, err := s.Claim(ctx, worker, proposals(1))
	if err != nil || len(claimed) != 1 {
		t.Fatalf("%s claims %+v, %v, want one trial", worker, claimed, err)
	}
	return claimed[0]
}

func create(t testing.TB, store *Store, name string) *Study {
	t.Helper()
	s, err := store.Create(ctx, name, "the config of "+name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// clock stands still until it is moved.
type clock struct{ now atomic.Int64 }

func (c *clock) Now() time.Time {
	return time.Unix(1_800_000_000, 0).UTC().Add(time.Duration(c.now.Load()))
}
func (c *clock) advance(after time.Duration) { c.now.Add(int64(after)) }

const lease = 10 * time.Second

// A worker is silent for longer than its lease; its trial is another's then, and what it tells late is refused.
func TestOrphanFinishesLate(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		var c clock
		s := create(t, open(t, where, Options{Lease: lease, Now: c.Now}), "orphans")
		first := claimOne(t, s, "first")
		if err := s.SetRun(ctx, first.Claim(), "runs/a"); err != nil {
			t.Fatal(err)
		}
		for step, value := range []float64{0.9, 0.8, 0.7} {
			if err := s.Report(ctx, first.Claim(), step+1, value); err != nil {
				t.Fatal(err)
			}
		}
		c.advance(lease - time.Microsecond)
		if other := claimOne(t, s, "second"); other.Number != 1 {
			t.Fatalf("the lease has a microsecond left, and trial %d is given away", other.Number)
		}
		if err := s.Keep(ctx, "second", []Claim{{1, 1}}); err != nil {
			t.Fatal(err)
		}
		c.advance(time.Microsecond)
		second := claimOne(t, s, "second")
		if second.Number != 0 || second.Attempt != 2 || second.Run != "runs/a" || len(second.Curve) != 3 {
			t.Fatalf("second claims %+v, want trial 0 again with its run and its curve", second)
		}
		want := &LostError{[]Loss{{Claim: Claim{0, 1}, Newest: 2, State: Running, Worker: "second"}}}
		for what, err := range map[string]error{
			"finish":      s.Finish(ctx, first.Claim(), Result{State: Done, Values: []float64{1}}),
			"report":      s.Report(ctx, first.Claim(), 4, 0.6),
			"keep":        s.Keep(ctx, "first", []Claim{first.Claim()}),
			"set the run": s.SetRun(ctx, first.Claim(), "runs/b"),
		} {
			if lost, ok := errors.AsType[*LostError](err); !ok || !cmp.Equal(lost, want) {
				t.Errorf("the orphan may %s: %v", what, err)
			}
		}

		// It goes on after step 1. What the orphan had told from there on is replaced, and not mixed with it.
		if err := s.Report(ctx, second.Claim(), 2, 0.5); err != nil {
			t.Fatal(err)
		}
		if err := s.Finish(ctx, second.Claim(), Result{State: Done, Values: []float64{2}}); err != nil {
			t.Fatal(err)
		}
		for _, claim := range []Claim{first.Claim(), second.Claim()} {
			err := s.Finish(ctx, claim, Result{State: Failed})
			lost, ok := errors.AsType[*LostError](err)
			if !ok || lost.Lost[0].State != Done || lost.Lost[0].Newest != 2 || lost.Lost[0].Claim != claim {
				t.Errorf("%+v finishes after the end: %v", claim, err)
			}
		}
		trials, err := s.Trials(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got := *trials[0]
		if got.State != Done || got.Told != 1 || !slices.Equal(got.Values, []float64{2}) ||
			!slices.Equal(got.Curve, []Report{{1, 0.9}, {2, 0.5}}) || !got.Finished.Equal(c.Now()) {
			t.Errorf("at the end it is %+v", got)
		}

		// Of two that it keeps, the one that is still its own is kept.
		c.advance(lease / 2)
		err = s.Keep(ctx, "second", []Claim{{0, 2}, {1, 1}})
		if lost, ok := errors.AsType[*LostError](err); !ok || len(lost.Lost) != 1 || lost.Lost[0].Number != 0 {
			t.Errorf("keeping a trial that is over: %v", err)
		}
		c.advance(lease - time.Microsecond)
		if other := claimOne(t, s, "third"); other.Number != 2 {
			t.Errorf("trial 1 was kept, and is given to another: %+v", other)
		}
	})
}

// Trials that are run together are claimed together, also after their worker died, and without those that are over.
func TestStacks(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		var c clock
		s := create(t, open(t, where, Options{Lease: lease, Now: c.Now}), "stacks")
		propose := func([]*Trial) (all []Proposal, _ error) {
			for _, stack := range []int{0, 1, 0, 0, 1} {
				all = append(all, Proposal{json.RawMessage(`{}`), stack})
			}
			return all, nil
		}
		wantClaim := func(worker string, want ...Claim) {
			t.Helper()
			claimed, err := s.Claim(ctx, worker, propose)
			var got []Claim
			for _, trial := range claimed {
				got = append(got, trial.Claim())
			}
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s claims %v, %v, want %v", worker, got, err, want)
			}
		}
		wantClaim("a", Claim{0, 1}, Claim{2, 1}, Claim{3, 1})
		wantClaim("b", Claim{1, 1}, Claim{4, 1})
		if err := s.Finish(ctx, Claim{2, 1}, Result{State: Pruned}); err != nil {
			t.Fatal(err)
		}
		// What is told of one trial keeps the whole stack: a part of it must not be claimed while the rest runs.
		c.advance(lease - time.Microsecond)
		if err := s.Report(ctx, Claim{3, 1}, 1, 0.5); err != nil {
			t.Fatal(err)
		}
		c.advance(lease - time.Microsecond)
		wantClaim("c", Claim{1, 2}, Claim{4, 2})
		c.advance(time.Second)
		wantClaim("d", Claim{0, 2}, Claim{3, 2})
		if released, err := s.Release(ctx, "c"); err != nil || released != 2 {
			t.Errorf("c releases %d, %v, want 2", released, err)
		}
		wantClaim("e", Claim{1, 3}, Claim{4, 3})
		wantClaim("f", Claim{5, 1}, Claim{7, 1}, Claim{8, 1})

		for name, bad := range map[string][]Proposal{
			"proposal 0: its stack begins with proposal 1":  {{Params: json.RawMessage(`1`), Stack: 1}, {Params: json.RawMessage(`1`), Stack: 1}},
			"proposal 2: its stack begins with proposal 1":  {{Params: json.RawMessage(`1`)}, {Params: json.RawMessage(`1`)}, {Params: json.RawMessage(`1`), Stack: 1}},
			"proposal 0: its stack begins with proposal -":  {{Params: json.RawMessage(`1`), Stack: -1}},
			"proposal 1: its parameters are not valid JSON": {{Params: json.RawMessage(`1`)}, {Params: json.RawMessage(`{a}`)}},
			"proposal 0: the parameters is not text":        {{Params: json.RawMessage("\"\xff\"")}},
		} {
			create := create(t, s.store, name)
			claimed, err := create.Claim(ctx, "a", func([]*Trial) ([]Proposal, error) { return bad, nil })
			if err == nil || !strings.Contains(err.Error(), name) || claimed != nil {
				t.Errorf("%v, want an error with %q", err, name)
			}
			if trials, err := create.Trials(ctx); err != nil || len(trials) != 0 {
				t.Errorf("%s: it added %d trials, %v", name, len(trials), err)
			}
		}
	})
}

// Everything comes back as it was told, to another who opens the store.
func TestRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		store := open(t, where, Options{})
		s := create(t, store, "Übung 'eins'; --")
		begin := time.Now().Add(-time.Minute)
		params := json.RawMessage(`{"train.learning_rate": 1e-3, "text": "\u0000 ‹ü› '"}`)
		claimed, err := s.Claim(ctx, "host-1", func([]*Trial) ([]Proposal, error) { return []Proposal{{params, 0}}, nil })
		if err != nil {
			t.Fatal(err)
		}
		claim := claimed[0].Claim()
		curve := []Report{{-1, math.NaN()}, {1, math.Inf(1)}, {2, math.Inf(-1)}, {1 << 40, 5e-324}}
		for _, at := range []int{2, 0, 3, 1} { // the curve is in the order of its steps
			if err := s.Report(ctx, claim, curve[at].Step, curve[at].Value); err != nil {
				t.Fatal(err)
			}
		}
		values := []float64{math.NaN(), math.Inf(-1), 0.1, math.Copysign(0, -1), math.MaxFloat64}
		attrs := map[string]json.RawMessage{"seconds": json.RawMessage("1.5"), "of": json.RawMessage(`{"a":[1,null]}`)}
		if err := s.SetRun(ctx, claim, "runs/ü/1"); err != nil {
			t.Fatal(err)
		}
		if err := s.Finish(ctx, claim, Result{State: Failed, Values: values, Error: "no \xff\x00 text", Attrs: attrs}); err != nil {
			t.Fatal(err)
		}
		other, err := open(t, where, Options{}).Study(ctx, s.Name)
		if err != nil || other.Config != s.Config {
			t.Fatal(err, other)
		}
		trials, err := other.Trials(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := []*Trial{{State: Failed, Attempt: 1, Params: params, Worker: "host-1", Run: "runs/ü/1", Values: values, Curve: curve,
			Attrs: attrs, Error: "no \ufffd\ufffd text", Told: 1, Version: 7}}
		if diff := cmp.Diff(want, trials, cmpopts.EquateNaNs(), cmpopts.IgnoreTypes(time.Time{})); diff != "" {
			t.Errorf("told and read differ:\n%s", diff)
		}
		if !math.Signbit(trials[0].Values[3]) {
			t.Error("−0 lost its sign")
		}
		got := *trials[0]
		for _, moment := range []time.Time{got.Asked, got.Started, got.Finished} {
			if moment.Before(begin) || moment.After(time.Now().Add(time.Minute)) || moment.Location() != time.UTC {
				t.Errorf("times are %v, %v and %v, want now", got.Asked, got.Started, got.Finished)
			}
		}

		if _, err := store.Create(ctx, s.Name, ""); !errors.Is(err, ErrTaken) {
			t.Errorf("a name is given twice: %v", err)
		}
		if _, err := store.Study(ctx, "none"); !errors.Is(err, ErrNone) {
			t.Errorf("a study that is not there: %v", err)
		}
		create(t, store, "another")
		if names, err := store.Names(ctx); err != nil || !slices.Equal(names, []string{s.Name, "another"}) {
			t.Errorf("the names are %q, %v", names, err)
		}
		for what, err := range map[string]error{
			"study \"\" to":        second(store.Create(ctx, "", "")),
			"the name is not text": second(store.Create(ctx, "\xff", "")),
			"worker's name is emp": second(s.Claim(ctx, "", nil)),
			"there is no trial 7":  s.Requeue(ctx, 7),
			"there is no trial 8":  s.Report(ctx, Claim{8, 1}, 1, 1),
			"state \"running\" is": s.Finish(ctx, claim, Result{State: Running}),
		} {
			if err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%v, want an error with %q", err, what)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

// Goroutines of two openings of a store claim at once: each trial goes to one, numbers have no gaps.
func TestClaimAtOnce(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		var stores [2]*Store
		var opening sync.WaitGroup
		for i := range stores { // at once too: the tables are made by one of them
			opening.Go(func() {
				var err error
				if stores[i], err = Open(ctx, where, Options{}); err != nil {
					t.Error(err)
				}
			})
		}
		opening.Wait()
		if t.Failed() {
			return
		}
		create(t, stores[0], "crowd")
		const trials = 120
		var claims [8]map[Claim]bool
		var workers sync.WaitGroup
		for i := range claims {
			claims[i] = make(map[Claim]bool)
			workers.Go(func() {
				s, err := stores[i%2].Study(ctx, "crowd")
				for err == nil {
					var claimed []Trial
					claimed, err = s.Claim(ctx, fmt.Sprint("worker ", i), func(known []*Trial) ([]Proposal, error) {
						return proposals(min(3, trials-len(known)))(known)
					})
					if len(claimed) == 0 {
						break
					}
					claims[i][claimed[0].Claim()] = true
					if i%3 == 0 && err == nil {
						err = s.Finish(ctx, claimed[0].Claim(), Result{State: Done})
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		workers.Wait()
		all := make(map[Claim]int)
		for _, own := range claims {
			for claim := range own {
				all[claim]++
			}
		}
		for number := range trials {
			if all[Claim{number, 1}] != 1 {
				t.Errorf("trial %d was given to %d workers", number, all[Claim{number, 1}])
			}
		}
		if len(all) != trials {
			t.Errorf("%d claims for %d trials", len(all), trials)
		}
		for _, store := range stores {
			store.Close()
		}
	})
}

// model is a study in memory: what the store must do, without a database.
type model struct {
	trials  []*modelTrial
	told    int64
	version int64
}

type modelTrial struct {
	Trial
	lease time.Time
	curve map[int]modelReport
}

type modelReport struct {
	value   float64
	attempt int
}

func (m *model) changed(t *modelTrial) {
	m.version++
	t.Version = m.version
}

// holds says whether the claim is the newest of a trial that runs.
func (m *model) holds(claim Claim) bool {
	t := m.trials[claim.Number]
	return t.State == Running && t.Attempt == claim.Attempt
}

func (m *model) claim(worker string, now time.Time, stacks []int) (claims []Claim) {
	stack := -1
	for _, t := range m.trials {
		if (t.State == Waiting || t.State == Running && !now.Before(t.lease)) && (stack < 0 || t.Stack < stack) {
			stack = t.Stack
		}
	}
	added := stack < 0 && len(stacks) > 0
	if added {
		stack = len(m.trials)
		for _, first := range stacks {
			number := len(m.trials)
			m.trials = append(m.trials, &modelTrial{Trial: Trial{Number: number, State: Waiting, Asked: now, Stack: stack + first,
				Params: json.RawMessage(fmt.Sprint(number))}, curve: make(map[int]modelReport)})
		}
	}
	for _, t := range m.trials {
		if t.Stack == stack && (t.State == Waiting || t.State == Running && !now.Before(t.lease)) {
			t.State, t.Worker, t.Started, t.lease = Running, worker, now, now.Add(lease)
			t.Attempt++
			m.changed(t)
			claims = append(claims, t.Claim())
		} else if added && t.Number >= stack {
			m.changed(t)
		}
	}
	return claims
}

// Random histories of a study, through two openings of the store, are those of the model.
func TestHistories(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		var c clock
		stores := []*Store{open(t, where, Options{Lease: lease, Now: c.Now}), open(t, where, Options{Lease: lease, Now: c.Now})}
		studies := 0
		rapid.Check(t, func(t *rapid.T) {
			studies++
			name := fmt.Sprint("study ", studies)
			if _, err := stores[0].Create(ctx, name, ""); err != nil {
				t.Fatal(err)
			}
			var handles []*Study
			for _, store := range stores {
				s, err := store.Study(ctx, name)
				if err != nil {
					t.Fatal(err)
				}
				handles = append(handles, s)
			}
			var m model
			var claims []Claim // all that were ever given
			study := func() *Study { return rapid.SampledFrom(handles).Draw(t, "handle") }
			worker := func() string { return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "worker") }
			claim := func() Claim {
				if len(claims) == 0 {
					t.Skip("nothing was claimed yet")
				}
				// The newest claims more often: they hold.
				return claims[max(0, len(claims)-1-rapid.IntRange(0, 8).Draw(t, "claim"))]
			}
			wantLost := func(err error, held bool, claim Claim) {
				lost, ok := errors.AsType[*LostError](err)
				if held && err != nil || !held && (!ok || lost.Lost[0].Claim != claim || lost.Lost[0].Newest != m.trials[claim.Number].Attempt ||
					lost.Lost[0].State != m.trials[claim.Number].State || lost.Lost[0].Worker != m.trials[claim.Number].Worker) {
					t.Fatalf("claim %+v, which holds: %v; %v", claim, held, err)
				}
			}
			seen := int64(0)
			t.Repeat(map[string]func(*rapid.T){
				"claim": func(t *rapid.T) {
					s, worker := study(), worker()
					stacks := rapid.SampledFrom([][]int{nil, {0}, {0, 1}, {0, 0}, {0, 1, 0, 1, 4}}).Draw(t, "stacks")
					claimed, err := s.Claim(ctx, worker, func(trials []*Trial) (all []Proposal, _ error) {
						for i, stack := range stacks {
							all = append(all, Proposal{json.RawMessage(fmt.Sprint(len(trials) + i)), stack})
						}
						return all, nil
					})
					if err != nil {
						t.Fatal(err)
					}
					var got []Claim
					for i := range claimed {
						got = append(got, claimed[i].Claim())
					}
					if want := m.claim(worker, c.Now(), stacks); !slices.Equal(got, want) {
						t.Fatalf("%s claims %v, want %v", worker, got, want)
					}
					for i := range claimed {
						if diff := cmp.Diff(m.trials[claimed[i].Number].want(), &claimed[i], same); diff != "" {
							t.Fatalf("claimed, want - and got +:\n%s", diff)
						}
					}
					claims = append(claims, got...)
				},
				"keep": func(t *rapid.T) {
					claim, worker := claim(), worker()
					held := m.holds(claim) && m.trials[claim.Number].Worker == worker
					wantLost(study().Keep(ctx, worker, []Claim{claim}), held, claim)
					if held {
						m.trials[claim.Number].lease = c.Now().Add(lease)
					}
				},
				"report": func(t *rapid.T) {
					claim, step, value := claim(), rapid.IntRange(1, 5).Draw(t, "step"), rapid.Float64().Draw(t, "value")
					held := m.holds(claim)
					wantLost(study().Report(ctx, claim, step, value), held, claim)
					if !held {
						return
					}
					trial := m.trials[claim.Number]
					maps.DeleteFunc(trial.curve, func(at int, r modelReport) bool { return at >= step && r.attempt < claim.Attempt })
					trial.curve[step] = modelReport{value, claim.Attempt}
					m.changed(trial)
					for _, other := range m.trials {
						if other.Stack == trial.Stack && other.State == Running && other.Worker == trial.Worker {
							other.lease = c.Now().Add(lease)
						}
					}
				},
				"set the run": func(t *rapid.T) {
					claim, run := claim(), rapid.StringMatching(`[a-z]{3}`).Draw(t, "run")
					held := m.holds(claim)
					wantLost(study().SetRun(ctx, claim, run), held, claim)
					if held {
						m.trials[claim.Number].Run = run
						m.changed(m.trials[claim.Number])
					}
				},
				"finish": func(t *rapid.T) {
					claim, state := claim(), rapid.SampledFrom([]State{Done, Pruned, Failed}).Draw(t, "state")
					values := rapid.SliceOfN(rapid.Float64(), 0, 2).Draw(t, "values")
					held := m.holds(claim)
					wantLost(study().Finish(ctx, claim, Result{State: state, Values: values, Error: "text"}), held, claim)
					if held {
						trial := m.trials[claim.Number]
						m.told++
						trial.State, trial.Values, trial.Error, trial.Finished, trial.Told = state, values, "text", c.Now(), m.told
						m.changed(trial)
					}
				},
				"release": func(t *rapid.T) {
					worker, want := worker(), 0
					for _, trial := range m.trials {
						if trial.State == Running && trial.Worker == worker {
							trial.State, trial.Worker, trial.Started = Waiting, "", time.Time{}
							m.changed(trial)
							want++
						}
					}
					if released, err := study().Release(ctx, worker); err != nil || released != want {
						t.Fatalf("%s releases %d, %v, want %d", worker, released, err, want)
					}
				},
				"requeue": func(t *rapid.T) {
					trial := m.trials[claim().Number]
					err := study().Requeue(ctx, trial.Number)
					if (err == nil) != trial.State.over() {
						t.Fatalf("trial %d is %s, and requeueing it says %v", trial.Number, trial.State, err)
					}
					if err == nil {
						trial.Trial = Trial{Number: trial.Number, State: Waiting, Attempt: trial.Attempt, Params: trial.Params,
							Stack: trial.Stack, Asked: trial.Asked}
						clear(trial.curve)
						m.changed(trial)
					}
				},
				"wait": func(t *rapid.T) {
					c.advance(rapid.SampledFrom([]time.Duration{time.Second, lease / 2, lease - time.Microsecond}).Draw(t, "time"))
				},
				// Without this, few histories have an orphan that speaks while another runs its trial.
				"take up what is silent": func(t *rapid.T) {
					c.advance(lease)
					claimed, err := study().Claim(ctx, "d", nil)
					want := m.claim("d", c.Now(), nil)
					if err != nil || len(claimed) != len(want) {
						t.Fatalf("d claims %d, %v, want %v", len(claimed), err, want)
					}
					claims = append(claims, want...)
				},
				"look at the changes": func(t *rapid.T) {
					changes, err := study().Changes(ctx, seen)
					if err != nil {
						t.Fatal(err)
					}
					var want []*Trial
					for _, trial := range m.trials {
						if trial.Version > seen {
							want = append(want, trial.want())
						}
					}
					slices.SortFunc(want, func(a, b *Trial) int { return int(a.Version - b.Version) })
					if diff := cmp.Diff(want, changes, same); diff != "" {
						t.Fatalf("changes, want - and got +:\n%s", diff)
					}
					seen = m.version
				},
				"": func(t *rapid.T) {
					trials, err := study().Trials(ctx)
					if err != nil {
						t.Fatal(err)
					}
					var want []*Trial
					for _, trial := range m.trials {
						want = append(want, trial.want())
					}
					if diff := cmp.Diff(want, trials, same); diff != "" {
						t.Fatalf("trials, want - and got +:\n%s", diff)
					}
				},
			})
		})
	})
}

var same = cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateNaNs()}

// want is the trial as the store has to return it.
func (t *modelTrial) want() *Trial {
	trial := t.Trial
	for _, step := range slices.Sorted(maps.Keys(t.curve)) {
		trial.Curve = append(trial.Curve, Report{step, t.curve[step].value})
	}
	return &trial
}

// A trial that was returned never changes, and what a claim that failed added is not there.
func TestSnapshots(t *testing.T) {
	each(t, func(t *testing.T, where string) {
		s := create(t, open(t, where, Options{}), "snapshots")
		one := claimOne(t, s, "a")
		before, err := s.Trials(ctx)
		if err != nil {
			t.Fatal(err)
		}
		failed := errors.New("no idea")
		if _, err := s.Claim(ctx, "a", func(trials []*Trial) ([]Proposal, error) { return nil, failed }); !errors.Is(err, failed) {
			t.Errorf("propose fails, and Claim says %v", err)
		}
		if err := s.Finish(ctx, one.Claim(), Result{State: Done}); err != nil {
			t.Fatal(err)
		}
		claimOne(t, s, "a")
		after, err := s.Trials(ctx)
		if err != nil || len(before) != 1 || before[0].State != Running || len(after) != 2 || after[0].State != Done {
			t.Errorf("before %+v, after %+v, %v", before, after, err)
		}
		stopped, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := s.Claim(stopped, "a", proposals(1)); !errors.Is(err, context.Canceled) {
			t.Errorf("a claim that was cancelled: %v", err)
		}
	})
}

// filled makes a study of so many trials that are done, each with a curve of three steps.
func filled(t testing.TB, where string, trials int) *Study {
	s := create(t, open(t, where, Options{}), "filled")
	err := s.change(ctx, func(c *change) error {
		rows, err := c.proposed(proposals(trials))
		for _, row := range rows {
			row.start("host-1", c.now, lease)
			for step := range 3 {
				if _, err := c.exec(s.store.statements.report, row.Number, row.Trial.Attempt, step+1, 0.5); err != nil {
					return err
				}
			}
			c.told++
			row.State, row.Values, row.Finished, row.Told = Done, []float64{0.5}, c.now, c.told
			if err := c.save(row); err != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// BenchmarkClaimFinish is what the store costs a trial, with 10,000 before it.
//
// Measured with go test -bench ClaimFinish -benchtime 2000x ./pkg/study on two idle cores of an AMD EPYC, ext4: 0.22 to 0.24 ms
// on the clock. With synchronous=FULL, in turns with it: 0.52 to 0.59 ms. With much other work on the cores and the disk
// (load 14): 2.7 and 3.6 ms, and 3.1 and 6.3 ms.
func BenchmarkClaimFinish(b *testing.B) {
	s := filled(b, filepath.Join(b.TempDir(), "study.db"), 10_000)
	before := processorTime(b)
	for b.Loop() {
		claimed, err := s.Claim(ctx, "host-1", proposals(1))
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Finish(ctx, claimed[0].Claim(), Result{State: Done, Values: []float64{0.5}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// processorTime is what this process has used, which is the same on a machine that has other work.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkOpen is what a worker or `status` pays to know 10,000 trials: 56 ms on the same machine.
func BenchmarkOpen(b *testing.B) {
	where := filepath.Join(b.TempDir(), "study.db")
	filled(b, where, 10_000)
	for b.Loop() {
		store, err := Open(ctx, where, Options{})
		if err != nil {
			b.Fatal(err)
		}
		s, err := store.Study(ctx, "filled")
		if err != nil {
			b.Fatal(err)
		}
		if trials, err := s.Trials(ctx); err != nil || len(trials) != 10_000 {
			b.Fatal(len(trials), err)
		}
		store.Close()
	}
}
