package experiment

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"latent/pkg/rundir"
	"latent/pkg/train"
)

// promote returns the folder of a run that goes on to more epochs: of a trial of a sweep, which the sweep's results rest on, that of a copy,
// which is a run of its own; of any other run, its own.
func (s *Session) promote(path string) (string, error) {
	folder, err := rundir.Open(path)
	if err != nil {
		return "", err
	}
	m, err := folder.Manifest()
	if err != nil || m.Sweep == "" || s.options.Longer.Epochs == 0 {
		return path, err
	}
	// Whether it can go on is found before there is a copy.
	trial := s.lab.session()
	if err := trial.reopenOne(path); err != nil {
		return "", err
	}
	r := trial.runs[0]
	if err := cmp.Or(r.checkConfig(), trial.prolong(s.options.Longer)); err != nil {
		return "", err
	}
	if !r.prolonged {
		return path, nil // it has as many already
	}
	if m.State != rundir.Done {
		return "", fmt.Errorf("%s is %s: a trial that is done can be given more epochs; go on with its sweep, or start a new run from its config", path, m.State)
	}
	to, err := rundir.Create(r.experiment.Output.Dir, r.experiment.Name, s.options.Now())
	if err != nil {
		return "", err
	}
	defer to.Close()
	complete := func(c *rundir.Checkpoint) bool {
		return slices.ContainsFunc(c.Tensors, func(t rundir.Tensor) bool { return train.Tensor(t).OfTraining() })
	}
	m.Trial, m.Sweep, m.Group = filepath.Clean(path), "", nil
	if err := cmp.Or(folder.CopyTo(to, complete), to.WriteManifest(m)); err != nil {
		return "", errors.Join(err, to.Close(), to.Remove())
	}
	fmt.Fprintf(s.options.Log, "a copy of %s goes on, as a run of its own: the sweep keeps its trial\n", path)
	return to.Path, nil
}

// dropCopy removes the copy of a trial that cannot go on.
func (s *Session) dropCopy(path string) error {
	var err error
	for _, r := range s.runs {
		err = errors.Join(err, r.folder.Close())
	}
	s.runs = nil
	return errors.Join(err, (&rundir.Run{Path: path}).Remove())
}
