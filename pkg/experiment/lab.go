package experiment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"

	"latent/pkg/backend"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/message"
	"latent/pkg/mlflow"
	"latent/pkg/picture"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// Lab keeps what runs of one process share, one session of them after another: the backend, images, and compiled programs. A
// session whose shapes the lab has seen before starts at once.
//
//	lab := experiment.NewLab(options)
//	defer lab.Close()
//	session, err := lab.Start(ctx, experiments, paths)
//	defer session.Close()
//	for ended, err := range session.Epochs(ctx) {
//		…
//	}
//
// One session at a time.
type Lab struct {
	options Options
	git     func() rundir.Git

	sender     *mlflow.Sender // nil where nothing is sent to MLflow
	backend    *backend.Backend
	opened     opened // how that was opened
	splits     []namedSplit
	programs   []program   // the last used first
	evaluators []evaluator // the same
}

// The most that a lab keeps. An evaluation's program is small; one for training has a copy of the images.
const (
	mostSplits     = 2
	mostPrograms   = 4
	mostEvaluators = 16
)

// opened is how a backend is opened.
type opened struct {
	name             string
	devices, threads int
	tf32             bool
}

// namedSplit is a dataset, and the section of the config that names it.
type namedSplit struct {
	section string
	split   *dataset.Split
}

// program is a compiled program for training, and what it was compiled for.
type program struct {
	structure train.Structure
	split     *dataset.Split
	program   *train.Program
}

// evaluator is the same for evaluation.
type evaluator struct {
	structure evaluate.Structure
	split     *dataset.Split
	evaluator *evaluate.Evaluator
}

// NewLab returns a lab that has nothing yet.
func NewLab(options Options) *Lab {
	return &Lab{options: options.withDefaults(), git: sync.OnceValue(gitState)}
}

// Close frees everything that the lab keeps, and gives what is on its way to MLflow a few seconds.
func (l *Lab) Close() {
	l.options.idle()
	l.endSending()
	l.closeBackend()
}

func (l *Lab) closeBackend() {
	l.forget()
	if l.backend != nil {
		l.backend.Close()
		l.backend = nil
	}
}

// forget frees the programs and the images.
func (l *Lab) forget() {
	for _, p := range l.programs {
		p.program.Close()
	}
	for _, e := range l.evaluators {
		e.evaluator.Close()
	}
	l.programs, l.evaluators, l.splits = nil, nil, nil
}

func (l *Lab) session() *Session { return &Session{lab: l, options: l.options} }

// Start begins runs of experiments that train together (see [train.Group]), and share all but the seed and numbers of the
// model, the corruption and the training. Each leaves a folder: that of its path, where nothing is yet, or, without paths, a
// new one in its output.dir.
func (l *Lab) Start(ctx context.Context, experiments []*config.Experiment, paths []string) (*Session, error) {
	s := l.session()
	for _, e := range experiments {
		s.runs = append(s.runs, newRun(s, e))
	}
	if err := s.open(ctx); err != nil {
		return s, err
	}
	for _, r := range s.runs {
		if _, err := r.experiment.Files(); err != nil { // before there is a folder
			return s, InputError{err}
		}
	}
	for i, r := range s.runs {
		var err error
		if paths == nil {
			err = r.create()
		} else {
			r.folder, err = rundir.CreateAt(paths[i], s.options.Brief)
		}
		if err != nil {
			return s, s.undo(InputError{err})
		}
	}
	return s, nil
}

// Resume goes on with the run in a folder, and with those that trained together with it, from the newest checkpoint that all
// of them have, under their own config. Of runs that are done, it writes the report again.
//
// A config, an image or a watermark that was changed after the run began is refused, but for what cannot change the bits of
// training: the name, output, tracking, evaluate but for its seed and corrupt, train.keep_checkpoints, train.from (but not the weights that it names) and data.resident. [Options.Longer] gives the runs
// more epochs first, also those that are done; of a trial of a sweep, to a copy in output.dir.
func (l *Lab) Resume(ctx context.Context, path string) (*Session, error) {
	s := l.session()
	run, err := s.promote(path)
	if err != nil {
		return s, InputError{err}
	}
	if err = s.resume(ctx, run); err != nil && run != path {
		err = errors.Join(err, s.dropCopy(run))
	}
	return s, err
}

// resume is Resume of a folder as it is.
func (s *Session) resume(ctx context.Context, path string) error {
	if err := s.reopen(path); err != nil {
		return InputError{err}
	}
	if err := s.takeUp(); err != nil {
		return InputError{err}
	}
	for _, r := range s.runs {
		if err := cmp.Or(r.makeUpConfig(), r.checkConfig()); err != nil {
			return InputError{err}
		}
	}
	if err := s.prolong(s.options.Longer); err != nil {
		return InputError{err}
	}
	if len(s.active()) == 0 {
		fmt.Fprintf(s.options.Log, "nothing is left to train; to train on: %[1]s run --resume %[2]s --epochs %[3]d; to measure or draw anew: %[1]s eval %[2]s, %[1]s generate %[2]s\n",
			rundir.Program(s.options.Command), message.Quote(path), 2*s.runs[0].experiment.Train.Epochs)
		return nil
	}
	if err := s.readCheckpoints(); err != nil {
		return InputError{err}
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	for _, r := range s.active() {
		if err := r.checkFiles(); err != nil {
			return err
		}
	}
	return s.keepLonger()
}

// open returns the backend of an experiment. Another than the one before takes its place, with all that was compiled for that.
func (l *Lab) open(ctx context.Context, e *config.Experiment) (*backend.Backend, error) {
	want := opened{e.Backend, e.Train.Devices, e.Threads, e.Train.TF32()}
	if l.backend != nil && l.opened == want {
		return l.backend, nil
	}
	l.closeBackend()
	b, err := backend.Open(ctx, e.Backend, backend.Options{Log: l.options.Log, Devices: want.devices, Threads: want.threads, TF32: want.tf32})
	if err != nil {
		return nil, InputError{err}
	}
	l.backend, l.opened = b, want
	return b, nil
}

// load returns an experiment's images.
func (l *Lab) load(ctx context.Context, e *config.Experiment) (*dataset.Split, error) {
	section, err := dataSection(e)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(l.splits, func(s namedSplit) bool { return s.section == section }); i >= 0 {
		return l.splits[i].split, nil
	}
	var bar io.Writer
	if l.options.Terminal {
		bar = l.options.Log
	}
	split, err := e.Data.Load(ctx, dataset.Options{Progress: bar})
	debug.FreeOSMemory() // what decoding needed, which is as much again as the samples
	if err != nil {
		return nil, InputError{fmt.Errorf("%w%s", err, e.Lookups())}
	}
	if others := picture.Others(split.LeftOut, "left out: "); others != "" {
		fmt.Fprintln(l.options.Log, others)
	}
	if n := len(split.Skipped); n > 0 {
		fmt.Fprintf(l.options.Log, "skipped %s that cannot be used, named in the manifest; the first: %s\n", message.Count(n, "picture"), split.Skipped[0])
	}
	if len(l.splits) == mostSplits {
		l.forget()
	}
	l.splits = append(l.splits, namedSplit{section, split})
	return split, nil
}

// dataSection is the section of the experiment's config that names its images.
func dataSection(e *config.Experiment) (string, error) {
	sections, err := e.Sections("data")
	return fmt.Sprintln(sections["data"], e.Directories()), err // of which its paths are seen
}

// training returns a program that can start runs with these specs.
func (l *Lab) training(b *backend.Backend, specs []train.Spec, split *dataset.Split) (*train.Program, error) {
	structure := specs[0].Structure()
	if i := slices.IndexFunc(l.programs, func(p program) bool { return p.structure == structure && p.split == split }); i >= 0 {
		found := l.programs[i]
		l.programs = slices.Insert(slices.Delete(l.programs, i, i+1), 0, found)
		return found.program, nil
	}
	compiled, err := train.Compile(b, specs[0], split.Train, len(specs))
	if err != nil {
		return nil, err
	}
	if len(l.programs) == mostPrograms {
		l.programs[mostPrograms-1].program.Close()
		l.programs = l.programs[:mostPrograms-1]
	}
	l.programs = slices.Insert(l.programs, 0, program{structure, split, compiled})
	return compiled, nil
}

// evaluation returns an evaluator by a spec.
func (l *Lab) evaluation(b *backend.Backend, spec evaluate.Spec, split *dataset.Split) (*evaluate.Evaluator, error) {
	structure := spec.Structure()
	if i := slices.IndexFunc(l.evaluators, func(e evaluator) bool { return e.structure == structure && e.split == split }); i >= 0 {
		found := l.evaluators[i]
		l.evaluators = slices.Insert(slices.Delete(l.evaluators, i, i+1), 0, found)
		return found.evaluator.With(spec)
	}
	compiled, err := evaluate.New(b.Compute, spec, split.Like())
	if err != nil {
		return nil, err
	}
	if len(l.evaluators) == mostEvaluators {
		l.evaluators[mostEvaluators-1].evaluator.Close()
		l.evaluators = l.evaluators[:mostEvaluators-1]
	}
	l.evaluators = slices.Insert(l.evaluators, 0, evaluator{structure, split, compiled})
	return compiled, nil
}

// Shape tells which experiments can train together: those with the same.
func Shape(e *config.Experiment) (string, error) {
	section, err := dataSection(e)
	if err != nil {
		return "", err
	}
	spec := train.Spec{Model: e.Model, Corrupt: e.Corrupt, Options: e.Train, Seed: e.Seed}
	return fmt.Sprintf("%+v %+v perceptual %v, %d epochs, %d steps, on %s with %d threads, %s", spec.Structure(), evaluationOf(e, 0).Structure(), e.Train.Perceptual > 0, e.Train.Epochs, e.Train.MaxSteps, e.Backend, e.Threads, section), nil
}
