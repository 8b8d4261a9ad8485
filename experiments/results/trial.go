package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"latent/pkg/config"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

// trial is an experiment.
type trial struct {
	name, config string
	overrides    []string
}

// command is what runs it by hand.
func (t trial) command() string {
	return strings.Join(append([]string{"latent run " + t.config}, t.overrides...), " ")
}

// firstSeed is the seed of the first run of each experiment.
const firstSeed = 42

// Names of experiments that tables and bars are about.
const (
	dense     = "dense"
	unet      = "unet"
	conv      = "conv"
	unetLess  = "unet-0.3"
	watermark = "watermark"
	vae       = "vae"
	vaeShort  = "vae-short"
	iwae      = "iwae"
	rae       = "rae"
	flow      = "flow"
	masked    = "masked"
)

// generated asks for the comparison of generated images with the test images.
const generated = "evaluate.generated=10000"

// trials are all experiments.
var trials = []trial{
	{dense, "configs/mnist/denoise.yaml", []string{"corrupt.noise_factor=0.5"}},
	{unet, "configs/mnist/denoise-unet.yaml", nil},
	{conv, "configs/mnist/denoise-conv.yaml", []string{"evaluate.probe=true"}},
	{unetLess, "configs/mnist/denoise-unet.yaml", []string{"corrupt.noise_factor=0.3"}},
	{watermark, "configs/mnist/watermark.yaml", nil},
	{vae, "configs/mnist/vae.yaml", []string{generated}},
	{vaeShort, "configs/mnist/vae.yaml", []string{"train.epochs=50"}},
	{iwae, "configs/mnist/iwae.yaml", nil},
	{rae, "configs/mnist/rae.yaml", []string{generated}},
	{flow, "configs/mnist/flow.yaml", []string{generated}},
	{masked, "configs/mnist/masked.yaml", []string{"evaluate.probe=true"}},
}

// named is an experiment with a name, and the command that runs it by hand.
type named interface {
	title() string
	command() string
}

func (t trial) title() string { return t.name }

// choose returns the experiments that a list names, in its order; all for "".
func choose[E named](all []E, list string) ([]E, error) {
	if list == "" {
		return all, nil
	}
	var chosen []E
	for _, name := range strings.Split(list, ",") {
		is := func(e E) bool { return e.title() == name }
		i := slices.IndexFunc(all, is)
		if i < 0 {
			return nil, fmt.Errorf("--only: no experiment %q; see --list", name)
		}
		if !slices.ContainsFunc(chosen, is) {
			chosen = append(chosen, all[i])
		}
	}
	return chosen, nil
}

// outcome is what came out of a run.
type outcome struct {
	result   rundir.Result
	manifest *rundir.Manifest
	path     string // of the run
}

// measured are the outcomes of the experiments by their names, one for each seed.
type measured map[string][]outcome

// whole says that every experiment has as many runs as the document of everything needs.
func (m measured) whole() bool {
	return !slices.ContainsFunc(trials, func(t trial) bool { return len(m[t.name]) < fewestSeeds })
}

// sameFeatures refuses generated images that were compared by the features of different classifiers.
func sameFeatures(m measured) error {
	found := ""
	for _, name := range slices.Sorted(maps.Keys(m)) {
		for _, o := range m[name] {
			if o.result.Generated == nil {
				continue
			}
			if sum := o.result.Generated.FeaturesSHA256; found == "" {
				found = sum
			} else if sum != found {
				return fmt.Errorf("%s, seed %d: generated images were compared by another classifier than those of other runs; move its folder away, and run again",
					name, o.manifest.Seed)
			}
		}
	}
	return nil
}

// obtain returns the outcome of a trial with a seed: of a run that is there, or of a new one, or without one nil.
func obtain(ctx context.Context, t trial, seed int64, runs string, train bool, options experiment.Options) (*outcome, error) {
	overrides := append(slices.Clone(t.overrides), "seed="+strconv.FormatInt(seed, 10), "output.dir="+strconv.Quote(runs))
	e, err := config.Load(t.config, overrides...)
	if err != nil {
		return nil, err
	}
	run, sameEvaluation, err := find(e, runs)
	if err != nil {
		return nil, err
	}
	if run == nil && !train {
		return nil, nil
	}
	if run == nil {
		if run, err = experiment.Run(ctx, e, options); err != nil {
			return nil, err
		}
		sameEvaluation = true
	} else {
		fmt.Fprintf(options.Log, "found    %s\n", run.Path)
	}
	manifest, err := run.Manifest()
	if err != nil {
		return nil, err
	}
	if found := (outcome{manifest.Result, manifest, run.Path}); sameEvaluation && complete(t.name, found) {
		return &found, nil
	}
	section, err := evaluation(e)
	if err != nil {
		return nil, err
	}
	trained, err := experiment.Open(ctx, run.Path, section, options)
	if err != nil {
		return nil, err
	}
	defer trained.Close()
	result, _, err := trained.Evaluate(ctx, "", options)
	return &outcome{result, manifest, run.Path}, err
}

// find returns a run of an experiment that is done, and whether it was also measured as the experiment asks; nil where there is
// none.
func find(e *config.Experiment, runs string) (*rundir.Run, bool, error) {
	folders, err := filepath.Glob(filepath.Join(runs, e.Name, "*"))
	if err != nil {
		return nil, false, err
	}
	for _, folder := range folders {
		run, err := rundir.Open(folder)
		if err != nil {
			continue // a folder that is no run
		}
		manifest, err := run.Manifest()
		if err != nil || manifest.State != rundir.Done {
			continue
		}
		other, err := config.Load(run.ConfigPath())
		if err != nil {
			return nil, false, err
		}
		same, err := sameTraining(e, other)
		if err != nil || same {
			return run, reflect.DeepEqual(e.Evaluate, other.Evaluate), err
		}
	}
	return nil, false, nil
}

// sameTraining says that two experiments train the same: they differ in the sections evaluate and output at most.
func sameTraining(a, b *config.Experiment) (bool, error) {
	texts := [2]string{}
	for i, e := range []*config.Experiment{a, b} {
		trained := *e
		trained.Evaluate, trained.Output = evaluate.Options{}, config.Output{}
		text, err := trained.YAML()
		if err != nil {
			return false, err
		}
		texts[i] = string(text)
	}
	return texts[0] == texts[1], nil
}

// evaluation returns the override that sets the section evaluate to that of an experiment.
func evaluation(e *config.Experiment) ([]string, error) {
	sections, err := e.Sections("evaluate")
	if err != nil {
		return nil, err
	}
	var section yaml.Node
	if err := yaml.Unmarshal([]byte(sections["evaluate"]), &section); err != nil {
		return nil, err
	}
	inline(&section)
	text, err := yaml.Marshal(&section)
	return []string{"evaluate=" + strings.Join(strings.Fields(string(text)), " ")}, err
}

// inline writes a node in braces and brackets.
func inline(n *yaml.Node) {
	n.Style = yaml.FlowStyle
	for _, child := range n.Content {
		inline(child)
	}
}
