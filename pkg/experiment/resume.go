package experiment

import (
	"errors"
	"fmt"
	"path/filepath"

	"latent/pkg/config"
	"latent/pkg/rundir"
)

// reopen opens the run in a folder, and those that trained together with it.
func (s *Session) reopen(path string) error {
	path = filepath.Clean(path)
	folder, err := rundir.Open(path)
	if err != nil {
		return err
	}
	manifest, err := folder.Manifest()
	if err != nil {
		return err
	}
	paths := []string{path}
	if len(manifest.Group) > 0 {
		paths = nil
		for _, name := range manifest.Group {
			if name != filepath.Base(name) || !filepath.IsLocal(name) {
				return fmt.Errorf("read manifest: %s: group has %q, want the names of folders beside it", folder.ManifestPath(), name)
			}
			paths = append(paths, filepath.Join(filepath.Dir(path), name))
		}
	}
	for _, path := range paths {
		if err := s.reopenOne(path); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) reopenOne(path string) error {
	folder, err := rundir.Open(path)
	if err != nil {
		return err
	}
	e, err := config.Load(folder.ConfigPath())
	if err != nil {
		return err
	}
	r := newRun(s, e)
	r.folder = folder
	s.runs = append(s.runs, r)
	r.manifest, err = folder.Manifest()
	return err
}

// takeUp locks the runs, to go on with those that are not over.
func (s *Session) takeUp() error {
	for _, r := range s.runs {
		if err := r.folder.Lock(); err != nil {
			return err
		}
		// Only now does nobody else write it.
		manifest, err := r.folder.Manifest()
		if err != nil {
			return err
		}
		r.manifest = manifest
		// A run that ended early alone is asked for again; one of a group is left as it is.
		ended := manifest.State == rundir.Diverged || manifest.State == rundir.Pruned
		r.over = manifest.State == rundir.Done || ended && len(s.runs) > 1
	}
	s.keepStep()
	return nil
}

// readCheckpoints reads the newest checkpoint that all runs have, but for those that are over. Where there is none they
// start at their first step.
func (s *Session) readCheckpoints() error {
	var folders []*rundir.Run
	for _, r := range s.active() {
		folders = append(folders, r.folder)
	}
	checkpoints, warnings, err := rundir.CommonCheckpoint(folders)
	for _, warning := range warnings {
		fmt.Fprintln(s.options.Log, warning)
	}
	if errors.Is(err, rundir.ErrNoCheckpoint) {
		fmt.Fprintf(s.options.Log, "%v: starting at the first step\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	for i, r := range s.active() {
		r.checkpoint = checkpoints[i]
	}
	return nil
}

// restore puts the runs where their checkpoints left them. One that is over only has to keep step with the others, whose
// program trains it along: what it holds no longer counts.
func (s *Session) restore() error {
	lead := s.active()[0]
	for _, r := range s.runs {
		if !r.over {
			if err := r.restore(); err != nil {
				return err
			}
			continue
		}
		if lead.checkpoint != nil {
			state, _, err := stateOf(lead.checkpoint)
			if err == nil {
				err = r.trainer.Restore(state)
			}
			if err != nil {
				return InputError{fmt.Errorf("resume %s: %w", lead.folder.Path, err)}
			}
		}
		r.trainer.Stop()
	}
	return nil
}
