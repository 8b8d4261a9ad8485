package experiment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"latent/pkg/rundir"
)

// create makes the folder of a new run in the config's output.dir.
func (r *run) create() (err error) {
	dir := filepath.Join(r.experiment.Output.Dir, r.experiment.Name)
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		r.around = append(r.around, at)
	}
	r.folder, err = rundir.Create(r.experiment.Output.Dir, r.experiment.Name, r.session.options.Now())
	r.created = r.folder != nil
	return err
}

// undo removes the folders of new runs whose input was found to be wrong before the first step: they hold nothing that the error does
// not say, and would be in every list. Of other errors, and of a run that was there before or has a checkpoint, it removes nothing.
func (s *Session) undo(failure error) error {
	var input InputError
	if !errors.As(failure, &input) {
		return failure
	}
	for _, r := range s.runs {
		if r.trainer != nil && r.trainer.Step() > 0 {
			return failure
		}
	}
	for _, r := range s.runs {
		if !r.created {
			continue
		}
		if _, _, err := r.folder.LatestCheckpoint(); !errors.Is(err, rundir.ErrNoCheckpoint) {
			continue
		}
		r.tracker.close()
		r.following.Over()
		r.tracker, r.following = nil, nil
		if err := errors.Join(r.folder.Close(), r.folder.Remove()); err != nil {
			failure = errors.Join(failure, err)
			continue
		}
		r.folder, r.created = nil, false
		for _, made := range r.around {
			os.Remove(made) // fails where something else is in it
		}
	}
	return failure
}
