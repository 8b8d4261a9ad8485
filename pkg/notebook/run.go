package notebook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
	"golang.org/x/term"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/report"
	"latent/pkg/rundir"
	"latent/pkg/survey"
	"latent/pkg/sweep"
)

// refresh is how often what changes is shown anew.
const refresh = 250 * time.Millisecond

// Run runs an experiment, with what a terminal would show and the curve of the loss in the cell while it goes on. In a plain
// program it is [experiment.Run] with progress on standard error.
func Run(ctx context.Context, e *config.Experiment) (*rundir.Run, error) {
	if !gonbui.IsNotebook {
		return experiment.Run(ctx, e, experiment.Options{Log: os.Stderr, Terminal: term.IsTerminal(int(os.Stderr.Fd()))})
	}
	return run(ctx, here(), gonbui.UniqueId(), e)
}

func run(ctx context.Context, p page, id string, e *config.Experiment) (*rundir.Run, error) {
	log := &screen{page: p, id: "progress-" + id, pause: refresh, now: time.Now}
	lab := experiment.NewLab(experiment.Options{Log: log, Terminal: true})
	defer lab.Close()
	session, err := lab.Start(ctx, []*config.Experiment{e}, nil)
	if err != nil {
		session.Close()
		return nil, errors.Join(err, log.end())
	}
	defer session.Close()
	folder := session.Folders()[0]
	for _, err = range session.Epochs(ctx) {
		if err == nil {
			err = showLoss(p, "loss-"+id, folder)
		}
		if err != nil {
			break
		}
	}
	return folder, errors.Join(err, log.end())
}

// showLoss shows a run's curve of the loss.
func showLoss(p page, id string, folder *rundir.Run) error {
	windows, epochs, err := folder.Metrics()
	if err != nil {
		return err
	}
	charts := report.Curves(windows, epochs)
	if len(charts) == 0 {
		return nil
	}
	data, err := charts[0].PNG(chartScale)
	if err != nil {
		return err
	}
	return p.picture(id, data)
}

// Sweep works a sweep to its end, with its table and the history of its first objective in the cell while it goes on. In a plain
// program it is [sweep.Sweep.Run] with progress on standard error. It has one worker: the program of a cell cannot be started again
// for others.
func Sweep(ctx context.Context, s *sweep.Sweep) error {
	if s.Config.Workers > 1 {
		return fmt.Errorf("the sweep wants %d workers, and here is one: set workers: 1, or run it by latent sweep and open it here", s.Config.Workers)
	}
	if !gonbui.IsNotebook {
		return s.Run(ctx, sweep.RunOptions{Log: os.Stderr})
	}
	return runSweep(ctx, here(), gonbui.UniqueId(), s)
}

// tableWidth is that of a sweep's table in a cell, in letters.
const tableWidth = 110

func runSweep(ctx context.Context, p page, id string, s *sweep.Sweep) error {
	ended := make(chan struct{})
	var shown sync.WaitGroup
	var showErr error
	told := -1
	update := func() error {
		state, err := s.Survey(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		table := survey.Table(state, tableWidth)
		if err := p.text("table-"+id, table, ""); err != nil {
			return err
		}
		over := 0
		for _, t := range state.Trials {
			if t.State == survey.Done || t.State == survey.Pruned {
				over++
			}
		}
		if over == told || over == 0 {
			return nil
		}
		told = over
		data, err := survey.History(state, 0).PNG(chartScale)
		if err != nil {
			return err
		}
		return p.picture("history-"+id, data)
	}
	shown.Go(func() {
		for ticker := time.NewTicker(2 * refresh); ; {
			select {
			case <-ended:
				ticker.Stop()
				showErr = update()
				return
			case <-ticker.C:
			}
			if err := update(); err != nil {
				showErr = err
				return
			}
		}
	})
	err := s.Run(ctx, sweep.RunOptions{Log: io.Discard})
	close(ended)
	shown.Wait()
	if showErr != nil {
		showErr = fmt.Errorf("show the sweep: %w", showErr)
	}
	return errors.Join(err, showErr)
}

// OpenSweep opens the newest sweep of a name in the folder sweeps, where the notebook's sweeps go; or the one in a folder. The caller
// closes it.
func OpenSweep(ctx context.Context, name string) (*sweep.Sweep, error) {
	folders, err := os.ReadDir(filepath.Join("sweeps", name))
	if errors.Is(err, fs.ErrNotExist) {
		return sweep.Open(ctx, name)
	}
	if err != nil {
		return nil, fmt.Errorf("open sweep: %w", err)
	}
	// Their names begin with the time.
	for _, folder := range slices.Backward(folders) {
		if folder.IsDir() {
			return sweep.Open(ctx, filepath.Join("sweeps", name, folder.Name()))
		}
	}
	return nil, fmt.Errorf("open sweep: there is none in %s", filepath.Join("sweeps", name))
}
