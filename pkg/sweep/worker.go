package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/rundir"
	"latent/pkg/study"
	"latent/pkg/train"
)

// WorkerOptions is how a worker works. The zero value works.
type WorkerOptions struct {
	// Name tells the worker from all others; "" makes one up of the host, the process and a random number.
	Name string
	// Log takes what a person reads; nil discards it.
	Log io.Writer
	// Limit ends the worker after so many trials were claimed; 0 is none.
	Limit int
}

// worker runs trials, a stack at a time.
type worker struct {
	sweep    *Sweep
	options  WorkerOptions
	lab      *experiment.Lab
	proposer *proposer
	now      func() time.Time
}

// mostAttempts is how often a trial is begun that comes to nothing.
const mostAttempts = 5

// poll is how often a worker that has nothing to do looks again.
const poll = 200 * time.Millisecond

// Work runs trials until the budget is used up and all are over, or ctx ends: then what runs is saved, and waits for the next
// worker; the error is [experiment.ErrInterrupted].
func (s *Sweep) Work(ctx context.Context, options WorkerOptions) error {
	w := &worker{sweep: s, options: options, now: time.Now}
	if w.options.Name == "" {
		w.options.Name = newName()
	}
	if w.options.Log == nil {
		w.options.Log = io.Discard
	}
	w.proposer = newProposer(s, w.now)
	w.lab = experiment.NewLab(experiment.Options{
		Log: io.Discard, Brief: true, Untested: !s.tests(), Sweep: filepath.Base(s.Path), Command: s.program() + " sweep resume " + s.Path,
	})
	defer w.lab.Close()
	for claimed := 0; w.options.Limit == 0 || claimed < w.options.Limit; {
		trials, err := s.Study.Claim(ctx, w.options.Name, w.proposer.propose)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			return w.interrupted()
		}
		if len(trials) == 0 {
			done, err := w.allOver(ctx)
			if done || err != nil && ctx.Err() == nil {
				return err
			}
			select {
			case <-ctx.Done():
			case <-time.After(poll):
			}
			continue
		}
		claimed += len(trials)
		if err := w.run(ctx, trials); err != nil {
			if ctx.Err() != nil {
				return w.interrupted()
			}
			return err
		}
	}
	return nil
}

// interrupted gives back what the worker has not finished.
func (w *worker) interrupted() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := w.sweep.Study.Release(ctx, w.options.Name); err != nil {
		return fmt.Errorf("%w; giving back its trials failed, and they wait for their lease to run out: %w", experiment.ErrInterrupted, err)
	}
	return experiment.ErrInterrupted
}

// allOver says whether nothing is left to do for anybody.
func (w *worker) allOver(ctx context.Context) (bool, error) {
	all, err := w.sweep.Study.Trials(ctx)
	if err != nil {
		return false, err
	}
	return w.proposer.over && !slices.ContainsFunc(all, func(t *study.Trial) bool { return !isOver(t.State) }), nil
}

// newName makes up a worker's name: of the host, this process and a random number.
func newName() string { return fmt.Sprintf("%s-%d-%s", hostName(), os.Getpid(), rundir.NewID()) }

func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "host"
	}
	return host
}

// isDead says whether a worker's name is one of newName, of a process of this machine that is no more.
func isDead(name string) bool {
	rest, ours := strings.CutPrefix(name, hostName()+"-")
	digits, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(digits)
	if !ours || err != nil {
		return false
	}
	process, err := os.FindProcess(pid)
	return err != nil || errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// releaseDead gives back what workers of this machine ran that are no more: nobody has to wait for their leases.
func (s *Sweep) releaseDead(ctx context.Context) error {
	all, err := s.Study.Trials(ctx)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.State == study.Running && isDead(t.Worker) {
			if _, err := s.Study.Release(ctx, t.Worker); err != nil {
				return err
			}
		}
	}
	return nil
}

// tests says whether an objective is a figure of the test images.
func (s *Sweep) tests() bool {
	return slices.ContainsFunc(s.Config.Objective, func(o config.Objective) bool {
		return strings.HasPrefix(o.Metric, "test.") || strings.HasPrefix(o.Metric, "generated.")
	})
}

// stack is trials that train together, in a session.
type stack struct {
	worker  *worker
	claimed study.Trial    // the first that this worker was given
	trials  []*study.Trial // all of the stack, by number; the study's, as they were claimed
	mutex   sync.Mutex
	claims  []study.Claim // of those that are this worker's to finish; under the mutex
	session *experiment.Session
	places  [][]int // of each trial, the places of its runs in the session
	started time.Time
}

// held are the claims that the worker has not told a result of.
func (k *stack) held() []study.Claim {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return slices.Clone(k.claims)
}

// claim returns the trial's, if it is this worker's to finish.
func (k *stack) claim(number int) (study.Claim, bool) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	i := slices.IndexFunc(k.claims, func(c study.Claim) bool { return c.Number == number })
	if i < 0 {
		return study.Claim{}, false
	}
	return k.claims[i], true
}

// finish tells a trial's result, and gives up its claim.
func (k *stack) finish(ctx context.Context, claim study.Claim, result study.Result) error {
	// Not while the lease is renewed: that would find the trial over.
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if err := k.worker.sweep.Study.Finish(ctx, claim, result); err != nil {
		return err
	}
	k.claims = slices.DeleteFunc(k.claims, func(c study.Claim) bool { return c == claim })
	return nil
}

// keep renews the leases of what is held.
func (k *stack) keep(ctx context.Context) error {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return k.worker.sweep.Study.Keep(ctx, k.worker.options.Name, k.claims)
}

// run runs the trials of a stack to their ends. Its error ends the worker: what goes wrong with a trial is the trial's.
func (w *worker) run(ctx context.Context, claimed []study.Trial) error {
	all, err := w.sweep.Study.Trials(ctx)
	if err != nil {
		return err
	}
	k := &stack{worker: w, claimed: claimed[0], started: w.now()}
	for _, t := range all {
		if t.Stack == claimed[0].Stack {
			k.trials = append(k.trials, t)
		}
	}
	for _, t := range claimed {
		k.claims = append(k.claims, t.Claim())
	}
	if t := claimed[0]; t.Attempt > mostAttempts && len(t.Curve) == 0 {
		return k.fail(ctx, fmt.Errorf("its %d attempts all ended before the first epoch: the process was killed each time, perhaps for want of memory", t.Attempt-1))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		k.renew(ctx, cancel)
	}()
	err = k.train(ctx)
	cancel(nil)
	<-kept
	if lost := ((*study.LostError)(nil)); errors.As(err, &lost) || errors.As(context.Cause(ctx), &lost) {
		fmt.Fprintf(w.options.Log, "%v\n", lost)
		return nil // another has taken the trials up
	}
	return err
}

// renew renews the leases until ctx ends, and cancels it where another has the trials now.
func (k *stack) renew(ctx context.Context, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(k.worker.sweep.Study.Lease() / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := k.keep(ctx); err != nil && ctx.Err() == nil {
			if lost := ((*study.LostError)(nil)); errors.As(err, &lost) {
				cancel(lost)
				return
			}
			fmt.Fprintf(k.worker.options.Log, "renew the lease: %v\n", err)
		}
	}
}

// train trains the stack and tells the study of it.
func (k *stack) train(ctx context.Context) error {
	err := k.open(ctx)
	if err == nil {
		err = k.follow(ctx)
	}
	if k.session != nil {
		k.session.Close()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil && !errors.Is(err, train.ErrDiverged) && !errors.Is(err, train.ErrStopped):
		return k.fail(ctx, err)
	}
	for _, t := range k.trials {
		claim, mine := k.claim(t.Number)
		if !mine {
			continue
		}
		if err := k.conclude(ctx, claim); err != nil {
			return err
		}
	}
	return nil
}

// fail ends the trials of the stack with what went wrong. If nothing but failures came before, or the runs have not what is to
// become best, it ends the worker too: what is wrong is not the trial.
func (k *stack) fail(ctx context.Context, failure error) error {
	w := k.worker
	for _, claim := range k.held() {
		if err := k.finish(ctx, claim, study.Result{State: study.Failed, Error: failure.Error()}); err != nil {
			return err
		}
		fmt.Fprintf(w.options.Log, "trial %d failed: %v\n", claim.Number, failure)
	}
	if missing := (*missingError)(nil); errors.As(failure, &missing) {
		return experiment.InputError{Err: failure}
	}
	all, err := w.sweep.Study.Trials(ctx)
	if err != nil {
		return err
	}
	failed := 0
	for _, t := range all {
		switch t.State {
		case study.Failed:
			failed++
		case study.Done, study.Pruned:
			return nil
		}
	}
	if failed >= 3 {
		return fmt.Errorf("the first %d trials failed, the last with: %w; mend it, and go on with: %s sweep resume %s", failed, failure, w.sweep.program(), message.Quote(w.sweep.Path))
	}
	return nil
}

// runName is the name of a run's folder.
func runName(trial int, seed int64, attempt int) string {
	name := fmt.Sprintf("%04d-%d", trial, seed)
	if attempt > 1 {
		name += fmt.Sprintf("-%d", attempt)
	}
	return name
}

// runTrial is the trial that a run's folder is of.
func runTrial(name string) (int, error) {
	digits, _, _ := strings.Cut(name, "-")
	return strconv.Atoi(digits)
}

// open begins the session of the stack, or goes on with the runs that an earlier attempt has left.
func (k *stack) open(ctx context.Context) error {
	w := k.worker
	if run := k.claimed.Run; run != "" {
		session, err := w.resume(ctx, filepath.Join(w.sweep.Path, filepath.FromSlash(run)))
		if err == nil {
			k.session = session
			return k.assign()
		}
		session.Close()
		if ctx.Err() != nil {
			return err
		}
		// Its worker still writes it, or it is damaged, or on another machine: the trials begin again.
		fmt.Fprintf(w.options.Log, "trial %d begins again: %v\n", k.claimed.Number, err)
	}
	experiments, err := k.experiments()
	if err != nil {
		return err
	}
	session, err := w.lab.Start(ctx, experiments, k.freePaths(experiments))
	k.session = session
	if err != nil {
		return err
	}
	if err := k.assign(); err != nil {
		return err
	}
	for i, t := range k.trials {
		if claim, mine := k.claim(t.Number); mine {
			run := trialsDir + "/" + filepath.Base(session.Folders()[k.places[i][0]].Path)
			if err := w.sweep.Study.SetRun(ctx, claim, run); err != nil {
				return err
			}
		}
	}
	return nil
}

// lockPatience is how long a worker waits for the one before it to save what it ran.
const lockPatience = 5 * time.Second

// resume goes on with the runs in a folder.
func (w *worker) resume(ctx context.Context, path string) (*experiment.Session, error) {
	for start := w.now(); ; {
		session, err := w.lab.Resume(ctx, path)
		if !errors.Is(err, rundir.ErrLocked) || w.now().Sub(start) > lockPatience || ctx.Err() != nil {
			return session, err
		}
		session.Close()
		time.Sleep(poll)
	}
}

// experiments are those of the stack's runs: all seeds of the first trial, then those of the next.
func (k *stack) experiments() ([]*config.Experiment, error) {
	s := k.worker.sweep
	var experiments []*config.Experiment
	for _, t := range k.trials {
		point, err := s.decodePoint(t.Params)
		if err != nil {
			return nil, err
		}
		for seed := range s.Config.Seeds {
			e, err := s.Config.Experiment(point, seed)
			if err != nil {
				return nil, err
			}
			e.Name = s.Config.Name
			experiments = append(experiments, e)
		}
	}
	return experiments, nil
}

// freePaths are folders for the runs where nothing is yet. An earlier attempt may have left some.
func (k *stack) freePaths(experiments []*config.Experiment) []string {
	for attempt := k.claimed.Attempt; ; attempt++ {
		var paths []string
		taken := false
		for i, e := range experiments {
			trial := k.trials[i/k.worker.sweep.Config.Seeds]
			path := filepath.Join(k.worker.sweep.Path, trialsDir, runName(trial.Number, e.Seed, attempt))
			_, err := os.Lstat(path)
			taken = taken || err == nil
			paths = append(paths, path)
		}
		if !taken {
			return paths
		}
	}
}

// assign finds the runs of each trial in the session.
func (k *stack) assign() error {
	k.places = make([][]int, len(k.trials))
	for place, folder := range k.session.Folders() {
		number, err := runTrial(filepath.Base(folder.Path))
		i := slices.IndexFunc(k.trials, func(t *study.Trial) bool { return t.Number == number })
		if err != nil || i < 0 {
			return fmt.Errorf("%s: no run of trials %d to %d", folder.Path, k.trials[0].Number, k.trials[len(k.trials)-1].Number)
		}
		k.places[i] = append(k.places[i], place)
	}
	return nil
}

func (k *stack) runsOf(number int) []*rundir.Run {
	i := slices.IndexFunc(k.trials, func(t *study.Trial) bool { return t.Number == number })
	var runs []*rundir.Run
	for _, place := range k.places[i] {
		runs = append(runs, k.session.Folders()[place])
	}
	return runs
}

// follow trains, reports each epoch, and stops what is not worth going on with.
func (k *stack) follow(ctx context.Context) error {
	w := k.worker
	metric := onTheWay(w.sweep.Config.Objective[0])
	for ended, err := range k.session.Epochs(ctx) {
		if err != nil {
			return err
		}
		// Also where ctx has ended meanwhile: the run is saved in the middle of its next epoch then, and none tells of this one again.
		ctx := context.WithoutCancel(ctx)
		if err := k.report(ctx, metric, ended); err != nil {
			return err
		}
		if err := k.prune(ctx, ended); err != nil {
			return err
		}
	}
	return nil
}

// report tells the study of the epoch that trials have ended: the mean over their seeds.
func (k *stack) report(ctx context.Context, metric string, ended []experiment.Ended) error {
	for i, t := range k.trials {
		claim, mine := k.claim(t.Number)
		if !mine {
			continue
		}
		var values []float64
		epoch := 0
		for _, e := range ended {
			if !slices.Contains(k.places[i], e.Run) {
				continue
			}
			epoch = e.Epoch.Epoch
			value, err := epochValue(metric, e.Epoch)
			if err != nil {
				return err
			}
			values = append(values, value)
		}
		if len(values) < len(k.places[i]) {
			continue // a seed has ended before the others: what is left is no mean over all
		}
		if err := k.worker.sweep.Study.Report(ctx, claim, epoch, mean(values)); err != nil {
			return err
		}
	}
	return nil
}

// prune stops the trials that are not worth going on with. All are judged before one is stopped.
func (k *stack) prune(ctx context.Context, ended []experiment.Ended) error {
	s := k.worker.sweep
	all, err := s.Study.Trials(ctx)
	if err != nil {
		return err
	}
	var stopped []int
	for i, t := range k.trials {
		_, mine := k.claim(t.Number)
		unfinished := slices.ContainsFunc(k.places[i], func(place int) bool { return !k.session.Over(place) })
		reported := slices.ContainsFunc(ended, func(e experiment.Ended) bool { return slices.Contains(k.places[i], e.Run) })
		if mine && unfinished && reported && s.prune(t.Number, all) {
			stopped = append(stopped, i)
		}
	}
	for _, i := range stopped {
		for _, place := range k.places[i] {
			if err := k.session.Stop(place); err != nil {
				return err
			}
		}
		number := k.trials[i].Number
		claim, _ := k.claim(number)
		curve := all[number].Curve
		result := study.Result{State: study.Pruned, Attrs: k.worker.attrs(k.started)}
		// What was watched on the way may be another figure than the objective.
		if o := s.Config.Objective; len(o) == 1 && onTheWay(o[0]) == o[0].Metric {
			result.Values = []float64{curve[len(curve)-1].Value}
		}
		if err := k.finish(ctx, claim, result); err != nil {
			return err
		}
		fmt.Fprintf(k.worker.options.Log, "trial %d stopped early after epoch %d\n", number, curve[len(curve)-1].Step)
	}
	return nil
}

// attrs are what a trial's result says beside its values.
func (w *worker) attrs(started time.Time) map[string]json.RawMessage {
	seconds, err := json.Marshal(w.now().Sub(started).Seconds())
	if err != nil {
		panic(err) // a number
	}
	return map[string]json.RawMessage{"seconds": seconds}
}

// conclude takes a trial's result from its runs.
func (k *stack) conclude(ctx context.Context, claim study.Claim) error {
	w := k.worker
	values, err := w.sweep.objectives(k.runsOf(claim.Number))
	result := study.Result{State: study.Done, Values: values, Attrs: w.attrs(k.started)}
	if err != nil {
		result = study.Result{State: study.Failed, Error: err.Error(), Attrs: result.Attrs}
	}
	if finishErr := k.finish(ctx, claim, result); finishErr != nil {
		return finishErr
	}
	fmt.Fprintf(w.options.Log, "trial %d %s%s\n", claim.Number, result.State, valuesText(result))
	if missing := (*missingError)(nil); errors.As(err, &missing) {
		return experiment.InputError{Err: err}
	}
	return nil
}

func valuesText(r study.Result) string {
	if r.State != study.Done {
		return ": " + r.Error
	}
	text := ""
	for _, value := range r.Values {
		text += fmt.Sprintf("  %.5g", value)
	}
	return text
}

// objectives are the means of the objectives over a trial's runs.
func (s *Sweep) objectives(runs []*rundir.Run) ([]float64, error) {
	values := make([]float64, len(s.Config.Objective))
	for i, o := range s.Config.Objective {
		var over []float64
		for _, run := range runs {
			m, err := run.Manifest()
			if err != nil {
				return nil, err
			}
			if m.State != rundir.Done {
				return nil, fmt.Errorf("the run with seed %d is %s: %s", m.Seed, m.State, m.Error)
			}
			_, epochs, err := run.Metrics()
			if err != nil {
				return nil, err
			}
			v, err := value(o.Metric, m, epochs)
			if lost := slices.IndexFunc(m.Warnings, rundir.Warning.IsMissing); err != nil && lost >= 0 {
				err = fmt.Errorf("objective %s: %s", o.Metric, m.Warnings[lost].Text) // another trial may have it
			}
			if err != nil {
				return nil, err
			}
			over = append(over, v)
		}
		values[i] = mean(over)
	}
	return values, nil
}
