// Package sweep searches for the values of an experiment's keys that make a metric best: it runs trials, on one machine or
// many, and loses none.
//
//	s, err := sweep.Create(ctx, config, "latent sweep …", time.Now())
//	defer s.Close()
//	err = s.Work(ctx, sweep.WorkerOptions{})
//	status, err := s.Status(ctx)
//
// A sweep is a folder:
//
//	sweep.yaml    fully resolved: running it again tries the same
//	base.yaml     the experiment whose keys are searched
//	study.db      the trials, see pkg/study; elsewhere with a store of its own
//	trials/       a run's folder for each trial and seed: 0012-42
//	best.yaml     the best trial as an experiment that runs
//	sweep.html    one page: trials, plots, importances
//	tensorboard/  parameters and objectives of all trials, where the experiment has tracking.tensorboard
//	sweep.json    what made it, and where its trials are kept
//
// Promised: what trial n tries is a function of the sweep's file, its seed and the results of the trials that it may see (see
// [config.Sweep]): the same whether the sweep runs in one go, is killed and resumed, or ends and is given a larger budget. A
// worker that dies loses nothing that its runs have saved: another takes its trials up from their checkpoints. The result of
// a trial is taken once.
//
// What is not here: what is proposed (pkg/search), where trials are kept (pkg/study), how one runs (pkg/experiment).
package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"latent/pkg/config"
	"latent/pkg/rundir"
	"latent/pkg/search"
	"latent/pkg/study"
)

// Sweep is a sweep's folder, opened.
type Sweep struct {
	// Path is the folder. Of a worker that has joined from elsewhere, it is the one for its runs.
	Path   string
	Config *config.Sweep
	// Record is what sweep.json says.
	Record Record
	// Study has the trials.
	Study *study.Study

	store *study.Store
	reads bool // the store is only read
}

// Record is sweep.json.
type Record struct {
	Version int    `json:"version"` // of this format: 1
	Study   string `json:"study"`   // the name of the study in its store
	// Store is where the trials are kept: study.db, or the URL of PostgreSQL without a password.
	Store   string    `json:"store"`
	Command string    `json:"command,omitempty"`
	Started time.Time `json:"started"`
	// Directories are where relative paths of the base were looked for; see [rundir.Manifest].
	Directories []string `json:"directories,omitempty"`
}

const (
	recordVersion = 1
	recordFile    = "sweep.json"
	configFile    = "sweep.yaml"
	baseFile      = "base.yaml"
	studyFile     = "study.db"
	trialsDir     = "trials"
	bestFile      = "best.yaml"
	pageFile      = "sweep.html"
)

// definition is the config that a study keeps: all that a worker needs that joins from elsewhere.
type definition struct {
	Sweep string `json:"sweep"` // YAML
	Base  string `json:"base"`  // the same
}

// Create makes the folder of a new sweep, DIR/NAME/TIME-ID, and its study. command is the command line that did it.
func Create(ctx context.Context, c *config.Sweep, command string, now time.Time) (*Sweep, error) {
	text, err := c.YAML(baseFile)
	if err != nil {
		return nil, err
	}
	base, err := c.BaseYAML()
	if err != nil {
		return nil, err
	}
	experiment, err := c.BaseExperiment()
	if err != nil {
		return nil, err
	}
	path, err := rundir.MakeFolder(c.Dir, c.Name, now)
	if err != nil {
		return nil, err
	}
	record := Record{Version: recordVersion, Study: c.Name + "/" + filepath.Base(path), Store: c.Store, Command: command, Started: now, Directories: experiment.Directories()}
	if c.Store == "" {
		record.Store = studyFile
	}
	s := &Sweep{Path: path, Config: c, Record: record}
	if err := s.openStore(ctx); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	kept, err := json.Marshal(definition{string(text), string(base)})
	if err != nil {
		return nil, err
	}
	if s.Study, err = s.store.Create(ctx, record.Study, string(kept)); err != nil {
		s.Close()
		return nil, err
	}
	encoded, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return nil, err
	}
	// The record comes last: a folder that has one is whole.
	for _, file := range []struct {
		name string
		data []byte
	}{{configFile, text}, {baseFile, base}, {recordFile, append(encoded, '\n')}} {
		if err := rundir.WriteFile(filepath.Join(path, file.name), file.data); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// Open opens the sweep in a folder.
func Open(ctx context.Context, path string) (*Sweep, error) { return open(ctx, path, false) }

// Look opens the sweep in a folder to see where it stands, also where nothing there can be written: what would write then returns an error.
func Look(ctx context.Context, path string) (*Sweep, error) {
	s, err := open(ctx, path, false)
	if err == nil {
		return s, nil
	}
	if s, readErr := open(ctx, path, true); readErr == nil {
		return s, nil
	}
	return nil, err
}

func open(ctx context.Context, path string, reads bool) (*Sweep, error) {
	record, err := readRecord(path)
	if err != nil {
		return nil, err
	}
	s := &Sweep{Path: path, Record: record, reads: reads}
	if s.Record.Store == studyFile {
		info, err := os.Stat(filepath.Join(path, studyFile))
		if err == nil && info.Size() == 0 {
			err = fmt.Errorf("%s is empty", filepath.Join(path, studyFile))
		}
		if err != nil {
			return nil, fmt.Errorf("open sweep: its trials are gone: %w; put %s back", err, studyFile)
		}
	}
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	if err := s.openStudy(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Join opens a sweep by its store, for a worker that cannot see its folder; its runs go below path/NAME, as a sweep's do.
// Without a name, it is the only sweep in the store.
func Join(ctx context.Context, store, name, path string) (*Sweep, error) {
	s := &Sweep{Record: Record{Version: recordVersion, Study: name, Store: store}}
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	if name == "" {
		names, err := s.store.Names(ctx)
		if err == nil && len(names) != 1 {
			err = fmt.Errorf("join: the store has %d sweeps: %s; name one with --sweep", len(names), strings.Join(names, ", "))
		}
		if err != nil {
			s.Close()
			return nil, err
		}
		s.Record.Study = names[0]
	}
	// Of its own: a run that a trial speaks of is looked for below it, and must not be another sweep's.
	s.Path = filepath.Join(path, filepath.FromSlash(s.Record.Study))
	if err := s.openStudy(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Sweep) openStore(ctx context.Context) (err error) {
	where := s.Record.Store
	if where == studyFile {
		where = filepath.Join(s.Path, studyFile)
	}
	s.store, err = study.Open(ctx, where, study.Options{ReadOnly: s.reads})
	return err
}

// openStudy reads the study and its config.
func (s *Sweep) openStudy(ctx context.Context) (err error) {
	if s.Study, err = s.store.Study(ctx, s.Record.Study); err != nil {
		return err
	}
	var kept definition
	if err := json.Unmarshal([]byte(s.Study.Config), &kept); err != nil {
		return fmt.Errorf("open sweep: the study's config is damaged: %w", err)
	}
	s.Config, err = config.ParseSweep(filepath.Join(s.Path, configFile), []byte(kept.Sweep), []byte(kept.Base))
	return err
}

// Close lets go of the store.
func (s *Sweep) Close() error {
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}

// Trial is a trial with what its study keeps as text.
type Trial struct {
	*study.Trial
	Point search.Point
}

// params is what a study keeps of a point: the values of the parameters that are there, by name; of a choice, its place.
type params map[string]float64

func (s *Sweep) encodePoint(p search.Point) (json.RawMessage, error) {
	values := params{}
	for i, parameter := range s.Config.SearchSpace() {
		if !isAbsent(p[i]) {
			values[parameter.Name] = p[i]
		}
	}
	return json.Marshal(values)
}

func (s *Sweep) decodePoint(text json.RawMessage) (search.Point, error) {
	var values params
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("parameters of a trial: %w", err)
	}
	space := s.Config.SearchSpace()
	p := make(search.Point, len(space))
	for i, parameter := range space {
		value, found := values[parameter.Name]
		if p[i] = value; !found {
			p[i] = absent
		}
		outside := parameter.Kind == search.Choice && (value < 0 || value >= float64(parameter.Options) || value != float64(int(value))) ||
			parameter.Kind != search.Choice && (value < parameter.Low || value > parameter.High)
		if found && outside {
			return nil, fmt.Errorf("parameters of a trial: %s is %g, which is not in the space", parameter.Name, value)
		}
	}
	return p, nil
}

// trials decodes all trials.
func (s *Sweep) trials(all []*study.Trial) ([]Trial, error) {
	decoded := make([]Trial, len(all))
	for i, t := range all {
		p, err := s.decodePoint(t.Params)
		if err != nil {
			return nil, fmt.Errorf("trial %d: %w", t.Number, err)
		}
		decoded[i] = Trial{t, p}
	}
	return decoded, nil
}

// program is the name of the program that began the sweep, for the advice to go on with.
func (s *Sweep) program() string { return rundir.Program(s.Record.Command) }
