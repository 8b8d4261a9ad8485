package experiment

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"latent/pkg/rundir"
)

// Longer is what a run that goes on is given beside its config. The zero value gives it nothing.
type Longer struct {
	// Epochs is how many the run is to have in all; 0 leaves it at what it has.
	Epochs int
	// Schedule is how a learning rate that falls to the end goes on: restart, from the highest anew, or extend, as if the end had always been
	// the new one; "" where it does not fall.
	Schedule string
}

// The ways in which a schedule goes on.
const (
	ScheduleRestart = "restart"
	ScheduleExtend  = "extend"
)

// prolong gives a run more epochs, in its experiment and its manifest, and says whether it did. It is not written yet; see [run.keepLonger].
func (r *run) prolong(longer Longer, now time.Time) (bool, error) {
	t, p := &r.experiment.Train, r.manifest.Progress
	switch best := r.manifest.Result.BestEpoch; {
	case longer.Epochs == t.Epochs:
		return false, nil
	case longer.Epochs < t.Epochs:
		return false, fmt.Errorf("--epochs=%d: %s has %d already; want more", longer.Epochs, r.folder.Path, t.Epochs)
	case r.manifest.Imported != nil:
		return false, fmt.Errorf("%s: its weights were imported; nothing was trained that could go on", r.folder.Path)
	case t.MaxSteps > 0:
		return false, fmt.Errorf("%s ends after train.max_steps=%d steps, however many epochs it has; start a new run from its config", r.folder.Path, t.MaxSteps)
	case t.EarlyStopping > 0 && best > 0 && p.Epoch-best >= t.EarlyStopping:
		return false, fmt.Errorf("%s stops early: after epoch %d, %d epochs have been no better than epoch %d, and more would change nothing; start a new run without train.early_stopping",
			r.folder.Path, p.Epoch, p.Epoch-best, best)
	}
	switch falls := t.Schedule == "cosine"; {
	case falls && longer.Schedule == "":
		extended := *t
		extended.Epochs, extended.Extended = longer.Epochs, append(slices.Clone(t.Extended), t.Epochs)
		return false, fmt.Errorf("%s: by train.schedule cosine, the learning rate falls to 0 at the end of epoch %d, and how it goes on is not said: "+
			"--schedule restart begins again there, at %g, and falls to 0 at epoch %d; --schedule extend goes on as a cosine over %d epochs, which has %.3g there",
			r.folder.Path, t.Epochs, t.LearningRate, longer.Epochs, longer.Epochs, extended.RateAt(t.Epochs))
	case !falls && longer.Schedule != "":
		return false, fmt.Errorf("--schedule=%s: train.schedule of %s is %s, which does not depend on the end; leave it out", longer.Schedule, r.folder.Path, t.Schedule)
	}
	before, err := r.folder.Config()
	if err != nil {
		return false, err
	}
	change := rundir.Prolonged{Time: now, From: t.Epochs, Epochs: longer.Epochs, Schedule: longer.Schedule, ConfigSHA256: sha256Of(before)}
	r.apply(change)
	r.manifest.Prolonged = append(r.manifest.Prolonged, change)
	return true, nil
}

// apply changes the experiment.
func (r *run) apply(change rundir.Prolonged) {
	t := &r.experiment.Train
	switch change.Schedule {
	case ScheduleRestart:
		t.Restarts = append(slices.Clone(t.Restarts), change.From)
	case ScheduleExtend:
		t.Extended = append(slices.Clone(t.Extended), change.From)
	}
	t.Epochs = change.Epochs
}

// keepLonger writes a run that was given more: first the manifest, by which [run.makeUpConfig] can finish what was killed in between.
func (r *run) keepLonger() error {
	yaml, err := r.experiment.YAML()
	if err != nil {
		return err
	}
	m := r.manifest
	m.State, m.Finished, m.ConfigSHA256 = rundir.Interrupted, nil, sha256Of(yaml)
	m.Error = "given more epochs, which are still to be trained"
	if m.ConfigSections, err = decided(r.experiment); err != nil {
		return err
	}
	return errors.Join(r.folder.WriteManifest(m), r.folder.WriteConfig(yaml))
}

// makeUpConfig writes the config of a run that was given more, where that was killed after it had written the manifest.
func (r *run) makeUpConfig() error {
	n := len(r.manifest.Prolonged)
	if n == 0 {
		return nil
	}
	text, err := r.folder.Config()
	if err != nil || sha256Of(text) != r.manifest.Prolonged[n-1].ConfigSHA256 {
		return err
	}
	r.apply(r.manifest.Prolonged[n-1])
	yaml, err := r.experiment.YAML()
	if err != nil {
		return err
	}
	return r.folder.WriteConfig(yaml)
}

// prolong gives the session's runs more epochs: all that can go on, or none where one of them cannot. Nothing is written before [Session.keepLonger].
func (s *Session) prolong(longer Longer) error {
	switch {
	case longer.Epochs == 0 && longer.Schedule != "":
		return errors.New("--schedule says how the learning rate goes on to more epochs; add --epochs")
	case longer.Epochs == 0:
		return nil
	case longer.Schedule != "" && longer.Schedule != ScheduleRestart && longer.Schedule != ScheduleExtend:
		return fmt.Errorf("--schedule=%s: want restart or extend", longer.Schedule)
	}
	for _, r := range s.runs {
		if r.over && r.manifest.State != rundir.Done {
			continue // it diverged or was stopped
		}
		var err error
		if r.prolonged, err = r.prolong(longer, s.options.Now()); err != nil {
			return err
		}
		r.over = r.over && !r.prolonged
	}
	s.keepStep()
	return nil
}

// keepStep gives runs of a group that are over, and only trained along, as many epochs as those have that go on.
func (s *Session) keepStep() {
	active := s.active()
	if len(active) == 0 {
		return
	}
	for _, r := range s.runs {
		if lead := active[0].experiment.Train; r.over {
			t := &r.experiment.Train
			t.Epochs, t.Restarts, t.Extended = lead.Epochs, lead.Restarts, lead.Extended
		}
	}
}

// keepLonger writes the runs that were given more, once all that they go on from is there.
func (s *Session) keepLonger() error {
	for _, r := range s.runs {
		if !r.prolonged {
			continue
		}
		if r.checkpoint == nil && r.manifest.Trial == "" { // a trial may have been too short to keep one
			return InputError{fmt.Errorf("%s has no checkpoint to go on from to more epochs; start a new run from its config", r.folder.Path)}
		}
		if err := r.keepLonger(); err != nil {
			return err
		}
	}
	return nil
}
