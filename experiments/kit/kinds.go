package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"latent/pkg/rundir"
)

// kindRun is a run of one of the kinds of model.
type kindRun struct {
	Kind    string        `json:"kind"`
	Config  string        `json:"config"`
	State   string        `json:"state"`
	Seconds float64       `json:"seconds"` // of the whole command
	Epoch   rundir.Number `json:"epoch_seconds"`
	Loss    rundir.Number `json:"train_loss"`
	PSNR    rundir.Number `json:"psnr"`
}

// kinds trains a config of each kind of model for an epoch.
func (k *kit) kinds(ctx context.Context, o *outcome) error {
	kindOf, err := k.kindsOfConfigs(ctx)
	if err != nil {
		return err
	}
	chosen := chooseConfigs(kindOf)
	runs := make([]*kindRun, len(chosen))
	for i, config := range chosen {
		runs[i] = &kindRun{Kind: kindOf[config], Config: config, State: "waiting"}
	}
	show := func(change func()) {
		k.change(func() {
			change()
			o.Data = runs
			o.Figure, o.details = k.describeKinds(runs)
		})
	}
	errs := make([]error, len(runs))
	k.together(len(runs), func(i int) {
		r := runs[i]
		if ctx.Err() != nil {
			errs[i] = fmt.Errorf("%s: no time was left for it", r.Config)
			return
		}
		show(func() { r.State = "running" })
		begun := time.Now()
		run, err := k.train(ctx, r.Config, k.epochOf(r.Config)...)
		errs[i] = err
		show(func() {
			r.Seconds, r.State = time.Since(begun).Seconds(), "failed"
			if err == nil {
				r.State = string(run.Manifest.State)
				r.Epoch = rundir.Number(run.epochSeconds())
				r.Loss, r.PSNR = run.Manifest.Result.TrainLoss, run.Manifest.Result.Test["psnr"]
			}
		})
	})
	return errors.Join(errs...)
}

// A trial without a card takes few steps with few images.
const (
	trialSteps = "train.max_steps=3"
	trialData  = "data={dataset: glyphs, train: 600, validation: 100, test: 100}"
)

// epochOf are the arguments that train a config for an epoch, without what takes long at its end.
func (k *kit) epochOf(config string) []string {
	arguments := []string{
		"run", config, "backend=" + k.backend, "--out", filepath.Join(k.temp, "kinds"),
		"train.epochs=1", "evaluate.generated=0", "evaluate.probe=false", "output.grid.every=0", "output.show=[]",
	}
	if text, err := os.ReadFile(config); err == nil && strings.Contains(string(text), "kind: vae") {
		arguments = append(arguments, "evaluate.nll_images=20")
	}
	if k.trial() {
		arguments = append(arguments, trialSteps, trialData)
	}
	return arguments
}

// describeKinds is the step's figure and table.
func (k *kit) describeKinds(runs []*kindRun) (figure, details string) {
	done := 0
	t := table{header: []string{"kind", "config", "state", "s in all", "s of the epoch", "training loss", "test PSNR, dB"}}
	for _, r := range runs {
		if r.State != string(rundir.Done) {
			t.add(r.Kind, r.Config, r.State, fmt.Sprintf("%.1f", r.Seconds), "", "", "")
			continue
		}
		done++
		t.add(r.Kind, r.Config, r.State, fmt.Sprintf("%.1f", r.Seconds), fmt.Sprintf("%.2f", float64(r.Epoch)), fmt.Sprintf("%.5g", float64(r.Loss)), fmt.Sprintf("%.2f", float64(r.PSNR)))
	}
	details = t.String()
	if k.parallel > 1 {
		details += fmt.Sprintf("\n%d ran at a time, so that the seconds are not those of one alone.\n", k.parallel)
	}
	if k.trial() {
		details += "\nThis is a trial without a card: a few steps with few glyphs stand for an epoch.\n"
	}
	return fmt.Sprintf("%d of %d kinds train", done, len(runs)), details
}

// kindsOfConfigs asks latent for the kind of each config's model.
func (k *kit) kindsOfConfigs(ctx context.Context) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(k.root, "configs", "mnist", "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("no configs/mnist/*.yaml in the archive; pack it again")
	}
	kindOf := map[string]string{}
	for _, file := range files {
		config, err := filepath.Rel(k.root, file)
		if err != nil {
			return nil, err
		}
		out, err := k.execute(ctx, k.latent("latent config show", "config", "show", config))
		if err != nil {
			return nil, err
		}
		if kindOf[config], err = kindOfModel(out); err != nil {
			return nil, fmt.Errorf("latent config show %s: %w", config, err)
		}
	}
	return kindOf, nil
}

// kindOfModel is model.kind of a resolved config.
func kindOfModel(text []byte) (string, error) {
	var shown struct {
		Model struct {
			Kind string `yaml:"kind"`
		} `yaml:"model"`
	}
	if err := yaml.Unmarshal(text, &shown); err != nil {
		return "", err
	}
	if shown.Model.Kind == "" {
		return "", errors.New("no model.kind")
	}
	return shown.Model.Kind, nil
}

// chooseConfigs returns a config for each kind, in the kinds' order: the one that is named after it, or else the first by name.
func chooseConfigs(kindOf map[string]string) []string {
	chosen := map[string]string{}
	for _, config := range slices.Sorted(maps.Keys(kindOf)) {
		kind := kindOf[config]
		if chosen[kind] == "" || strings.TrimSuffix(filepath.Base(config), ".yaml") == kind {
			chosen[kind] = config
		}
	}
	var configs []string
	for _, kind := range slices.Sorted(maps.Keys(chosen)) {
		configs = append(configs, chosen[kind])
	}
	return configs
}

// The sweep, and how many of its trials train together in one program.
const (
	sweepConfig = "configs/sweeps/noise-lr.yaml"
	sweepTrials = 16
)

// sweep runs trials that train together.
func (k *kit) sweep(ctx context.Context, o *outcome) error {
	arguments := []string{
		"sweep", sweepConfig, "--out", filepath.Join(k.temp, "sweep"), "--stack", fmt.Sprint(sweepTrials), "--json",
		fmt.Sprintf("budget.trials=%d", sweepTrials), "set.backend=" + k.backend,
	}
	if k.trial() {
		arguments = append(arguments, "set."+trialSteps, "set."+trialData)
	}
	begun := time.Now()
	out, err := k.execute(ctx, k.latent("latent sweep", arguments...))
	var status struct {
		Objectives []struct {
			Metric string `json:"metric"`
		} `json:"objectives"`
		Counts map[string]int `json:"counts"`
		Spent  float64        `json:"spent_seconds"`
		Best   *struct {
			Number int            `json:"number"`
			Value  float64        `json:"value"`
			Params map[string]any `json:"params"`
		} `json:"best"`
		Trials []struct {
			Number  int      `json:"number"`
			State   string   `json:"state"`
			Value   *float64 `json:"value"`
			Seconds float64  `json:"seconds"`
			Stack   int      `json:"stack"`
			Error   string   `json:"error,omitempty"`
		} `json:"trials"`
	}
	if jsonErr := json.Unmarshal(out, &status); jsonErr != nil {
		return errors.Join(err, fmt.Errorf("latent sweep --json: %w", jsonErr))
	}
	seconds := time.Since(begun).Seconds()
	k.change(func() {
		o.Data = status
		o.Figure = fmt.Sprintf("%d of %d trials done together in %.1f s", status.Counts["done"], sweepTrials, seconds)
		if status.Best != nil && len(status.Objectives) == 1 {
			o.Figure += fmt.Sprintf("; best %s %.2f", status.Objectives[0].Metric, status.Best.Value)
		}
	})
	if err != nil {
		return err
	}
	if status.Counts["done"] != sweepTrials {
		var errs []error
		for _, t := range status.Trials {
			if t.State != "done" {
				errs = append(errs, fmt.Errorf("trial %d is %s: %s", t.Number, t.State, t.Error))
			}
		}
		return errors.Join(append(errs, fmt.Errorf("%d of %d trials are done", status.Counts["done"], sweepTrials))...)
	}
	return nil
}
