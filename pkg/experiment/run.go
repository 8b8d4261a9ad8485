package experiment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/report"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// Options is what a run needs beside its experiment. The zero value works: it is silent.
type Options struct {
	// Log takes what a person reads; nil discards it.
	Log io.Writer
	// Terminal says that Log is one, so that progress may be a line that changes.
	Terminal bool
	// Command is the command line that started the run, for the report.
	Command string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// ErrInterrupted is wrapped by the error of a run that the context ended; its state is saved.
var ErrInterrupted = errors.New("interrupted")

// InputError is an error of what the run was given: the config's values against the data, or files that are missing or
// damaged.
type InputError struct{ Err error }

func (e InputError) Error() string { return e.Err.Error() }
func (e InputError) Unwrap() error { return e.Err }

// session is a run in this process.
type session struct {
	options    Options
	experiment *config.Experiment
	backend    *backend.Backend
	split      *dataset.Split
	trainer    *train.Trainer
	evaluator  *evaluate.Evaluator
	run        *rundir.Run
	manifest   *rundir.Manifest
	progress   *progress
	last       record // of the newest checkpoint
}

// Run trains, evaluates and draws an experiment, and returns the folder that it leaves.
func Run(ctx context.Context, e *config.Experiment, options Options) (*rundir.Run, error) {
	s := &session{options: options.withDefaults(), experiment: e}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	defer s.backend.Close()
	if err := s.create(); err != nil {
		return nil, err
	}
	defer s.run.Close()
	return s.run, s.finish(s.all(ctx, nil))
}
