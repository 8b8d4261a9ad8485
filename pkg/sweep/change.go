package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/rundir"
)

// changeable are the keys that a sweep may be given other values of once it has begun: they do not change what it tries.
var changeable = []string{"budget", "workers", "journal", "slurm"}

// Change gives keys of the config other values, as KEY=VALUE: only those that do not change what the sweep tries. Its error is
// [config.Problems], or [experiment.InputError].
func (s *Sweep) Change(ctx context.Context, overrides []string) error {
	var kept definition
	if err := json.Unmarshal([]byte(s.Study.Config), &kept); err != nil {
		return fmt.Errorf("change the sweep: the study's config is damaged: %w", err)
	}
	if err := s.checkFiles(kept); err != nil || len(overrides) == 0 {
		return err
	}
	for _, text := range overrides {
		key, _, _ := strings.Cut(text, "=")
		section, _, _ := strings.Cut(key, ".")
		if !slices.Contains(changeable, section) {
			return experiment.InputError{Err: fmt.Errorf("override %s: it would change what the sweep tries; a sweep that has begun takes %s alone. Begin a new one: %s sweep %s",
				text, strings.Join(changeable, ", "), s.program(), message.Quote(filepath.Join(s.Path, configFile)))}
		}
	}
	changed, err := config.ParseSweep(filepath.Join(s.Path, configFile), []byte(kept.Sweep), []byte(kept.Base), overrides...)
	if err != nil {
		return err
	}
	text, err := changed.YAML(baseFile)
	if err != nil {
		return err
	}
	kept.Sweep = string(text)
	encoded, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := s.Study.SetConfig(ctx, string(encoded)); err != nil {
		return err
	}
	s.Config = changed
	return rundir.WriteFile(filepath.Join(s.Path, configFile), text)
}

// checkFiles refuses to go on where the config's files in the folder are not those that the sweep goes by, which are in its
// store. Those that are gone are written again.
func (s *Sweep) checkFiles(kept definition) error {
	for _, file := range []struct{ name, text string }{{configFile, kept.Sweep}, {baseFile, kept.Base}} {
		path, text := filepath.Join(s.Path, file.name), file.text
		there, err := rundir.ReadFile(path, 1<<20)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := rundir.WriteFile(path, []byte(text)); err != nil {
				return err
			}
		case err != nil:
			return experiment.InputError{Err: err}
		case string(there) != text:
			return experiment.InputError{Err: fmt.Errorf("%[1]s was changed after the sweep began, which goes on as it began. Remove the file, and it is written again; change %[2]s by overrides: %[3]s sweep resume %[4]s budget.trials=80; or begin a new sweep: %[3]s sweep %[1]s",
				path, strings.Join(changeable, ", "), s.program(), s.Path)}
		}
	}
	return nil
}

// Rerun drops a trial's result: it waits to be run again, from its first step.
func (s *Sweep) Rerun(ctx context.Context, number int) error { return s.Study.Requeue(ctx, number) }

// Plan says in a line what the sweep does.
func (s *Sweep) Plan() string {
	c := s.Config
	var metrics []string
	for _, o := range c.Objective {
		metrics = append(metrics, map[bool]string{true: "most", false: "least"}[o.Maximize()]+" "+o.Metric)
	}
	budget := ""
	if c.Budget.Trials > 0 {
		budget = ", " + message.Count(c.Budget.Trials, "trial")
	}
	if c.Budget.Time != "" {
		budget += ", " + c.Budget.Time
	}
	if c.Seeds > 1 {
		budget += fmt.Sprintf(" of %d seeds", c.Seeds)
	}
	return fmt.Sprintf("%s over %s by %s%s", strings.Join(metrics, " and "), message.Count(len(c.SearchSpace()), "key"), config.NameOf(c.Strategy), budget)
}
