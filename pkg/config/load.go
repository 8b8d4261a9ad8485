// Package config holds an experiment as a Go struct, and reads it from YAML.
//
//	e, err := config.Load("configs/mnist/denoise.yaml", "train.epochs=3", "model.encoder=[256,64]")
//	fmt.Println(e.Train.Epochs, e.Data)
//
// Promised: reading is strict, and an error of a config is [Problems], all mistakes at once with their places and what to
// write instead; [Experiment.YAML] and [Parse] are each other's inverse; the JSON Schema and the reference are made from
// the structs, their tags and their comments.
//
// What is not here: the kinds of datasets, corruptions and models and their keys, which are the structs in the tables
// named Kinds of pkg/dataset, pkg/corrupt and pkg/model, which [AddKind] adds to; the keys of `train:` and `evaluate:`, which pkg/train and
// pkg/evaluate own; and checks that need the data, which report through [Experiment.Problem].
package config

//go:generate go test . -run TestGenerated -update

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Load reads an experiment from a file, with overrides such as "train.epochs=3" or "corrupt={kind: none}".
//
// What the file doesn't name keeps its value of [Default], and the name is the file's. An override replaces the key's
// whole value in the file. The error of a file or override that is wrong is [Problems].
func Load(path string, overrides ...string) (*Experiment, error) {
	data, err := read(path)
	if err != nil {
		return nil, Problems{{File: path, Message: err.Error()}}
	}
	return Parse(path, data, overrides...)
}

// read reads no more than tells that a file is too long.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err != nil {
		return nil, reason(err)
	}
	return data, nil
}

// reason leaves out what the problem's place says already.
func reason(err error) error {
	if pathError := (*fs.PathError)(nil); errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// Parse is [Load] for text that is already read; name is the file's in problems.
func Parse(name string, data []byte, overrides ...string) (*Experiment, error) {
	return parseText(name, data, overrides, !generated(name))
}

// generated says whether a file is one that Latent wrote into the folder of a run or of a sweep.
func generated(name string) bool {
	beside := map[string]string{"config.yaml": "manifest.json", "base.yaml": "sweep.yaml"}[filepath.Base(name)]
	if beside == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(filepath.Dir(name), beside))
	return err == nil
}

// parseText refuses keys that do nothing where it is strict: what Latent writes, or has written, may have all keys.
func parseText(name string, data []byte, overrides []string, strict bool) (*Experiment, error) {
	e, d, problems := decode(name, data, overrides, strict)
	if problems != nil {
		return nil, problems
	}
	d.blame(name, data, overrides, strict)
	if len(d.problems) >= maxProblems {
		return nil, append(d.problems.sorted(overrides), Problem{File: name, Message: "there may be more; mend these first"})
	}
	if len(d.problems) > 0 {
		return nil, d.problems.sorted(overrides)
	}
	e.source, e.paths = source{file: name, places: d.places}, d.paths
	return e, nil
}

// decode reads the text of a file and its overrides. Where there is nothing to decode, there are problems and no decoder.
func decode(name string, data []byte, overrides []string, strict bool) (*Experiment, *decoder, Problems) {
	root, problems := parseYAML(name, data)
	if problems != nil {
		return nil, nil, problems
	}
	if root == nil {
		return nil, nil, Problems{{File: name, Line: 1, Column: 1, Message: "empty; write what differs from the defaults, such as name: my-experiment"}}
	}
	if hasKey(root, "space", "objective") && !hasKey(root, "model", "train") {
		return nil, nil, Problems{{File: name, Line: 1, Column: 1, Message: "this is a sweep, not an experiment; run it with latent sweep, check it with latent sweep --dry-run"}}
	}
	d := newDecoder(name, root, aliases)
	if root.Kind == yaml.MappingNode {
		for _, text := range overrides {
			d.problems = append(d.problems, d.override(text)...)
		}
	}
	e := Default()
	e.Name = nameOf(name)
	d.decode(e)
	e.check(d.contradiction)
	if strict {
		d.reportIdle(e)
	}
	return e, d, nil
}

// blame gives each contradiction that is told at a place of the file to the first override without which it is not there: a
// value from the command line is what was changed last.
func (d *decoder) blame(name string, data []byte, overrides []string, strict bool) {
	if len(d.contradictions) == 0 {
		return
	}
	for i, text := range overrides {
		_, without, problems := decode(name, data, slices.Delete(slices.Clone(overrides), i, i+1), strict)
		if problems != nil {
			return // the file is in order: it was read before
		}
		for _, k := range d.contradictions {
			problem := &d.problems[k]
			if !strings.HasPrefix(problem.File, overridePrefix) && !without.contradicts(problem.Key) {
				problem.File, problem.Line, problem.Column = overridePrefix+text, 0, 0
			}
		}
	}
}

// contradicts says whether a contradiction of the key was found.
func (d *decoder) contradicts(key string) bool {
	return slices.ContainsFunc(d.contradictions, func(k int) bool { return d.problems[k].Key == key })
}

// aliases are names that people know from elsewhere. Names that a config has, but in another place, need no entry.
var aliases = map[string][]string{
	"batch":         {"train.batch_size"},
	"bottleneck":    {"model.encoder"},
	"code_size":     {"model.encoder", "model.latent"},
	"criterion":     {"train.loss"},
	"device":        {"backend"},
	"filters":       {"model.channels"},
	"grad_clip":     {"train.clip_norm"},
	"hidden":        {"model.encoder", "model.decoder"},
	"hidden_dims":   {"model.encoder", "model.decoder"},
	"hidden_layers": {"model.encoder", "model.decoder"},
	"hidden_sizes":  {"model.encoder", "model.decoder"},
	"latent_dim":    {"model.encoder", "model.latent"},
	"latent_size":   {"model.encoder", "model.latent"},
	"kernel_size":   {"model.kernel"},
	"layers":        {"model.encoder", "model.decoder"},
	"lr":            {"train.learning_rate"},
	"lr_schedule":   {"train.schedule"},
	"n_epochs":      {"train.epochs"},
	"noise":         {"corrupt.noise_factor"},
	"noise_level":   {"corrupt.noise_factor"},
	"noise_std":     {"corrupt.noise_factor"},
	"num_epochs":    {"train.epochs"},
	"optim":         {"train.optimizer"},
	"patience":      {"train.early_stopping"},
	"scheduler":     {"train.schedule"},
	"warmup":        {"train.warmup_epochs"},
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// nameOf turns a file's name into an experiment's: "configs/my first.yaml" into "my-first".
func nameOf(path string) string {
	name := filepath.Base(path)
	name = notInName.ReplaceAllString(strings.TrimSuffix(name, filepath.Ext(name)), "-")
	name = strings.TrimLeft(name, "._-")
	if name = name[:min(len(name), 100)]; name == "" {
		return Default().Name
	}
	return name
}

// hasKey says whether a mapping has any of these keys.
func hasKey(root *yaml.Node, keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return root.Kind == yaml.MappingNode && indexOf(root, key) >= 0 })
}
