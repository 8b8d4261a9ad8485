package experiment

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"latent/pkg/config"
	"latent/pkg/message"
	"latent/pkg/rundir"
)

// decided returns the SHA-256 of each section of an experiment, of what decides the bits of its training and the choice of the
// best epoch. It leaves out the rest, which may be changed while a run is stopped: the name, output, tracking, evaluate but for
// its seed and corrupt, train.keep_checkpoints, train.from and data.resident. train.epochs decides: a schedule reaches to the last step.
func decided(e *config.Experiment) (map[string]string, error) {
	rest, plain := *e, config.Default()
	rest.Name, rest.Output, rest.Tracking, rest.Evaluate = plain.Name, plain.Output, plain.Tracking, plain.Evaluate
	rest.Evaluate.Seed, rest.Evaluate.Corrupt = e.Evaluate.Seed, e.Evaluate.Corrupt
	rest.Train.KeepCheckpoints, rest.Train.From = plain.Train.KeepCheckpoints, plain.Train.From // its checksum is in the manifest
	sections, err := rest.Sections()
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for name, section := range sections {
		switch name {
		case "data":
			section = resident.ReplaceAllString(section, "")
		case "train":
			section = younger.ReplaceAllString(section, "")
		}
		sums[name] = sha256Of([]byte(section))
	}
	return sums, nil
}

// resident is the key that says where samples lie while a model trains, which decides no bit.
var resident = regexp.MustCompile(`(?m)^\s*resident: \w+\n?`)

// younger are keys with the values that they had, without a word, in runs that are older than they are.
var younger = regexp.MustCompile(`(?m)^(restarts: \[\]|extended: \[\]|checkpoint_activations: false|from: ""|freeze: \[\]|rates: \[\])\n`)

// changed says whether a run's config.yaml is another than the one it began with.
func changed(folder *rundir.Run, manifest *rundir.Manifest) (bool, error) {
	text, err := folder.Config()
	if err != nil {
		return false, err
	}
	return sha256Of(text) != manifest.ConfigSHA256, nil
}

// warnChanged tells of a config.yaml that was changed after the run began.
func warnChanged(folder *rundir.Run, manifest *rundir.Manifest, options Options) error {
	other, err := changed(folder, manifest)
	if other {
		fmt.Fprintf(options.Log, "%s was changed after the run began: this is the model that it trained, used as the file says now\n", folder.ConfigPath())
	}
	return err
}

// checkConfig refuses to go on with a run whose config.yaml was changed in what decides its training.
func (r *run) checkConfig() error {
	other, err := changed(r.folder, r.manifest)
	if err != nil || !other {
		return err
	}
	now, err := decided(r.experiment)
	if err != nil {
		return err
	}
	sections := differing(r.manifest.ConfigSections, now)
	if len(sections) == 0 {
		return nil
	}
	where := " in " + strings.Join(sections, ", ")
	if r.manifest.ConfigSections == nil {
		where = "" // an older run: its manifest does not tell
	}
	return fmt.Errorf("%s was changed%s after the run began, which would end as another; undo the change, or start a new run: %s run %s",
		r.folder.ConfigPath(), where, rundir.Program(r.session.options.Command), message.Quote(r.folder.ConfigPath()))
}

// checkFiles refuses to go on with a run whose images or watermarks are others than it began with.
func (r *run) checkFiles() error {
	names := differing(r.manifest.Data.Checksums, r.session.split.Checksums)
	if r.manifest.Files != nil {
		files, err := r.experiment.Files()
		if err != nil {
			return InputError{err}
		}
		names = append(names, differing(r.manifest.Files, files)...)
	}
	if len(names) == 0 {
		return nil
	}
	return InputError{fmt.Errorf("resume %s: not what the run began with, by its SHA-256 in the manifest: %s; put it back as it was, or start a new run: %s run %s",
		r.folder.Path, strings.Join(names, ", "), rundir.Program(r.session.options.Command), message.Quote(r.folder.ConfigPath()))}
}

// differing lists the keys whose values are not the same in both.
func differing(before, now map[string]string) []string {
	all := maps.Clone(now)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, before)
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if before[key] != now[key] {
			keys = append(keys, key)
		}
	}
	return keys
}
