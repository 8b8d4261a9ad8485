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

// prolong gives a run more epochs, in its experiment and its manifest. It is not written yet; see [run.keepLonger].
func (r *run) prolong(longer Longer, now time.Time) error {
	t := &r.experiment.Train
	switch {
	case longer.Epochs == t.Epochs:
		return nil
	case longer.Epochs < t.Epochs:
		return fmt.Errorf("--epochs=%d: %s has %d already; want more", longer.Epochs, r.folder.Path, t.Epochs)
	case r.manifest.Imported != nil:
		return fmt.Errorf("%s: its weights were imported; nothing was trained that could go on", r.folder.Path)
	case t.MaxSteps > 0:
		return fmt.Errorf("%s ends after train.max_steps=%d steps, however many epochs it has; start a new run from its config", r.folder.Path, t.MaxSteps)
	case t.EarlyStopping > 0 && r.manifest.Progress.Epoch < t.Epochs && r.manifest.State == rundir.Done:
		return fmt.Errorf("%s stopped early, after epoch %d of %d: more epochs would change nothing; start a new run without train.early_stopping",
			r.folder.Path, r.manifest.Progress.Epoch, t.Epochs)
	}
	falls := t.Schedule == "cosine"
	switch {
	case falls && longer.Schedule == "":
		last := t.LearningRate
		extended := *t
		extended.Epochs, extended.Extended = longer.Epochs, append(slices.Clone(t.Extended), t.Epochs)
		return fmt.Errorf("%s: the learning rate fell to 0 at the end of epoch %d by train.schedule cosine, and how it goes on is not said: "+
			"--schedule restart begins again at %g and falls to 0 at epoch %d; --schedule extend goes on as a cosine over %d epochs, at %.3g now",
			r.folder.Path, t.Epochs, last, longer.Epochs, longer.Epochs, extended.RateAt(t.Epochs))
	case !falls && longer.Schedule != "":
		return fmt.Errorf("--schedule=%s: train.schedule of %s is %s, which does not depend on the end; leave it out", longer.Schedule, r.folder.Path, t.Schedule)
	}
	before, err := r.folder.Config()
	if err != nil {
		return err
	}
	change := rundir.Prolonged{Time: now, From: t.Epochs, Epochs: longer.Epochs, Schedule: longer.Schedule, ConfigSHA256: sha256Of(before)}
	r.apply(change)
	r.manifest.Prolonged = append(r.manifest.Prolonged, change)
	return nil
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
	m.Warnings = slices.DeleteFunc(m.Warnings, func(w rundir.Warning) bool { return w.Epoch == 0 }) // those of its end
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

// prolong gives the session's runs more epochs: all, or none where one of them cannot go on.
func (s *Session) prolong(longer Longer) error {
	if longer.Epochs == 0 {
		if longer.Schedule != "" {
			return errors.New("--schedule says how the learning rate goes on to more epochs; add --epochs")
		}
		return nil
	}
	if longer.Schedule != "" && longer.Schedule != ScheduleRestart && longer.Schedule != ScheduleExtend {
		return fmt.Errorf("--schedule=%s: want restart or extend", longer.Schedule)
	}
	for _, r := range s.runs {
		if err := r.prolong(longer, s.options.Now()); err != nil {
			return err
		}
	}
	for _, r := range s.runs {
		if n := len(r.manifest.Prolonged); n == 0 || r.manifest.Prolonged[n-1].Epochs != longer.Epochs {
			continue // it has as many
		}
		if r.manifest.State == rundir.Done {
			r.over = false
		}
		if err := r.keepLonger(); err != nil {
			return err
		}
	}
	return nil
}
