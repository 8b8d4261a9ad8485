package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/study"
)

// RunOptions is how a sweep is run and shown.
type RunOptions struct {
	// Log takes what a person reads; nil discards it.
	Log io.Writer
	// Width is that of the terminal that Log is, in characters, for a table that changes; 0 where it is none: then each result is
	// a line.
	Width int
	// Worker makes the command that starts a worker process of a name, without its input and outputs, which belong to Run. With
	// one worker it is not needed.
	Worker func(name string) *exec.Cmd
}

// launcher keeps workers at work until the sweep is over or ctx ends.
type launcher func(ctx context.Context) error

// Run works the sweep to its end with workers on this machine: in this process where it is one, else in as many processes. It
// shows how it goes, keeps Optuna's journal where the config names one, and writes the page and the best trial.
//
// When ctx ends, what runs is saved, and the error wraps [experiment.ErrInterrupted].
func (s *Sweep) Run(ctx context.Context, options RunOptions) error {
	if err := s.releaseDead(ctx); err != nil {
		return err
	}
	if s.Config.Workers == 1 {
		return s.follow(ctx, options, "", func(ctx context.Context) error { return s.Work(ctx, WorkerOptions{}) })
	}
	return s.follow(ctx, options, "", func(ctx context.Context) error { return s.processes(ctx, options) })
}

// refresh is how often what is shown is brought up to date, and pageEvery how often the page is.
const (
	refresh   = 500 * time.Millisecond
	pageEvery = 30 * time.Second
)

// follow shows the sweep while it is worked on. flags are those with which it is gone on with.
func (s *Sweep) follow(ctx context.Context, options RunOptions, flags string, work launcher) error {
	if options.Log == nil {
		options.Log = io.Discard
	}
	view := &view{sweep: s, out: options.Log, width: options.Width}
	if err := view.begin(ctx); err != nil {
		return err
	}
	journal, err := s.openJournal(ctx)
	if err != nil {
		return experiment.InputError{Err: err}
	}
	board, err := s.openBoard()
	if err != nil {
		return err
	}
	over := make(chan error, 1)
	go func() { over <- work(ctx) }()
	page := time.Now()
	for working := true; working; {
		select {
		case err = <-over:
			working = false
		case <-time.After(refresh):
		}
		if ctx.Err() != nil && working {
			view.lines = 0 // a question may stand below the table
			continue
		}
		// What was told last belongs to it, also where ctx has ended.
		ctx := context.WithoutCancel(ctx)
		if showErr := errors.Join(view.update(ctx), journal.update(ctx), board.update(ctx)); showErr != nil && working {
			fmt.Fprintf(options.Log, "%v\n", showErr)
		}
		if time.Since(page) > pageEvery && working {
			page = time.Now()
			if _, pageErr := s.WritePage(ctx); pageErr != nil {
				fmt.Fprintf(options.Log, "%v\n", pageErr)
			}
		}
	}
	ctx = context.WithoutCancel(ctx)
	_, pageErr := s.WritePage(ctx)
	best, bestErr := s.WriteBest(ctx, -1)
	err = errors.Join(err, journal.Close(), pageErr, bestErr)
	if errors.Is(err, experiment.ErrInterrupted) {
		return fmt.Errorf("%w; go on with: %s sweep resume %s%s", err, s.program(), message.Quote(s.Path), flags)
	}
	view.end(ctx, best)
	if err := s.tellUnsent(options.Log); err != nil {
		return err
	}
	return errors.Join(err, s.verdict(ctx, err))
}

// verdict is an error where all trials have failed, and nobody has said so.
func (s *Sweep) verdict(ctx context.Context, told error) error {
	all, err := s.Study.Trials(ctx)
	if err != nil || told != nil || len(all) == 0 {
		return err
	}
	for _, t := range all {
		if t.State != study.Failed {
			return nil
		}
	}
	last := all[len(all)-1]
	return fmt.Errorf("%s failed, the last with: %s", message.Choose(len(all), "the only trial", fmt.Sprintf("all %d trials", len(all))), last.Error)
}

// restarts is how often a worker that died is started again without a trial having ended in between.
const restarts = 5

// processes keeps as many worker processes running as the config says.
func (s *Sweep) processes(ctx context.Context, options RunOptions) error {
	if err := os.MkdirAll(filepath.Join(s.Path, workersDir), 0o755); err != nil {
		return err
	}
	var group errgroup.Group
	for i := range s.Config.Workers {
		group.Go(func() error { return s.process(ctx, i, options) })
	}
	return group.Wait()
}

const workersDir = "workers"

// process keeps a worker process running until it says that the sweep is over.
func (s *Sweep) process(ctx context.Context, place int, options RunOptions) error {
	log, err := os.OpenFile(filepath.Join(s.Path, workersDir, fmt.Sprintf("%d.log", place)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	deaths, told := 0, 0
	for {
		name := newName()
		err := s.live(ctx, options.Worker(name), log)
		if err == nil {
			return nil
		}
		// Its trials wait for nobody's lease: that it is dead is certain.
		if _, releaseErr := s.Study.Release(context.WithoutCancel(ctx), name); releaseErr != nil {
			return releaseErr
		}
		if ctx.Err() != nil {
			return experiment.ErrInterrupted
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			return fmt.Errorf("worker %d ended with status %d; %s says why", place, exit.ExitCode(), log.Name())
		}
		all, readErr := s.Study.Trials(ctx)
		if readErr != nil {
			return readErr
		}
		now := 0
		for _, t := range all {
			if isOver(t.State) {
				now++
			}
		}
		if now > told {
			deaths = 0
		}
		if deaths, told = deaths+1, now; deaths > restarts {
			return fmt.Errorf("worker %d was killed %d times with no trial done in between: %w; %s may say why", place, deaths, err, log.Name())
		}
		fmt.Fprintf(options.Log, "worker %d died (%v); starting it again\n", place, err)
	}
}

// live runs a worker process to its end. When ctx ends, it is asked to stop, and has its runs saved. Where this process dies, its
// standard input closes, by which it knows.
func (s *Sweep) live(ctx context.Context, cmd *exec.Cmd, log io.Writer) error {
	cmd.Stdout, cmd.Stderr = log, log
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { input.Close() })
	defer stop()
	return cmd.Wait()
}
