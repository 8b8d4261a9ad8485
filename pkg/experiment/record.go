package experiment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/host"
	"latent/pkg/model"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// ledger sums where the time went, in seconds. Time that the runs of a session spend together is shared out evenly.
type ledger map[string]float64

// describe begins the manifest, or takes up that of the run that goes on, and writes it with the config.
func (r *run) describe() error {
	s, e := r.session, r.experiment
	yaml, err := e.YAML()
	if err != nil {
		return err
	}
	now := s.options.Now()
	m := rundir.NewManifest()
	m.Started, m.Command, m.ConfigSHA256 = now, s.options.Command, sha256Of(yaml)
	m.Directories = e.Directories()
	if m.ConfigSections, err = decided(e); err != nil {
		return err
	}
	if old := r.manifest; old != nil {
		m.Started, m.Command, m.Timings, m.Sweep = old.Started, old.Command, old.Timings, old.Sweep
		m.ConfigSHA256, m.ConfigSections, m.Directories = old.ConfigSHA256, old.ConfigSections, old.Directories
		m.Resumed, m.Perceptual, m.Prolonged, m.From = append(old.Resumed, now), old.Perceptual, old.Prolonged, old.From
		m.Trial = old.Trial
		m.Warnings = slices.DeleteFunc(slices.Clone(old.Warnings), func(w rundir.Warning) bool { return w.Epoch == 0 }) // those of its end
		m.Result.TrainLoss = old.Result.TrainLoss
		if now := describeHost(); e.Threads == 0 && old.Backend.Name == "xla:cpu" && old.Host.Cores != now.Cores {
			s.progress.line("%s was begun on %d cores and goes on with %d: sums are in another order, and the last bits differ from those of a run that was not moved. "+
				"With threads set, they would not", filepath.Base(r.folder.Path), old.Host.Cores, now.Cores)
		}
	} else if err := r.folder.WriteConfig(yaml); err != nil {
		return err
	}
	m.Name, m.Seed = e.Name, e.Seed
	if m.Sweep == "" {
		m.Sweep = s.options.Sweep
	}
	m.Versions = versions()
	m.Backend, m.Host = DescribeBackend(s.backend), describeHost()
	m.Git = s.lab.git()
	image := imageOf(s.split.Train)
	m.Data = rundir.Data{Dataset: e.DatasetName(), Height: image.Height, Width: image.Width, Channels: image.Channels, Features: s.split.Train.Features, Streamed: s.split.Train.Streamed,
		Classes: s.split.Classes, Train: s.split.Train.Len(), Validation: s.split.Validation.Len(),
		Test: s.split.Test.Len(), Calibration: s.split.Calibration.Len(), Checksums: s.split.Checksums, LeftOut: s.split.LeftOut, Skipped: s.split.Skipped}
	if train := s.split.Train; train.Values.Type() != dtypes.Uint8 || !train.Scale.IsBytes() {
		m.Data.Type, m.Data.Scale = strings.ToLower(train.Values.Type().String()), &train.Scale
	}
	m.Data.Network = describeNetwork(s.split.Network)
	m.Model = describeModel(e.Model, image)
	if r.begins != nil {
		m.From = r.begins.began(model.Params(e.Model, image), e.Train)
	}
	if m.Files, err = e.Files(); err != nil {
		return InputError{err}
	}
	if len(s.runs) > 1 {
		for _, other := range s.runs {
			m.Group = append(m.Group, filepath.Base(other.folder.Path))
		}
	}
	r.manifest = m
	return r.writeManifest()
}

// describeNetwork is what the manifest says of the network that made features; nil without one.
func describeNetwork(n *dataset.Network) *rundir.Network {
	if n == nil {
		return nil
	}
	return &rundir.Network{File: n.Path, SHA256: n.SHA256, Height: n.Height, Width: n.Width, Channels: n.Channels, Type: strings.ToLower(n.Type.String())}
}

func describeModel(m model.Model, image model.Image) rundir.Model {
	var described rundir.Model
	for _, layer := range m.Layers(image) {
		count := 0
		for _, param := range layer.Params {
			count += param.Size()
		}
		described.Parameters += count
		described.Layers = append(described.Layers, rundir.Layer{Name: layer.Name, Description: layer.Description, Parameters: count})
	}
	return described
}

// writeManifest writes the manifest as things stand; times since the last writing are moved from the ledger.
func (r *run) writeManifest() error {
	for what, seconds := range r.ledger {
		r.manifest.Timings[what] += seconds
	}
	clear(r.ledger)
	p := &r.manifest.Progress
	p.Epochs, p.Steps = r.experiment.Train.Epochs, r.experiment.Train.Steps(r.session.split.Train.Len())
	if r.trainer != nil {
		p.Step, p.Epoch = r.trainer.Step(), r.trainer.Step()/r.trainer.StepsPerEpoch()
	}
	if r.best.Epoch > 0 {
		r.manifest.Result.BestEpoch, r.manifest.Result.BestValidationLoss = r.best.Epoch, rundir.Number(r.best.Loss)
	}
	return r.folder.WriteManifest(r.manifest)
}

// meta is what a checkpoint keeps beside the tensors.
type meta struct {
	LossSum float64 `json:"loss_sum"`
	Best    best    `json:"best"`
}

func checkpointOf(state train.State, best best) (rundir.Checkpoint, error) {
	kept, err := json.Marshal(meta{LossSum: state.LossSum, Best: best})
	if err != nil {
		return rundir.Checkpoint{}, fmt.Errorf("save checkpoint: %w", err)
	}
	checkpoint := rundir.Checkpoint{Step: state.Step, Meta: kept}
	for _, tensor := range state.Tensors {
		checkpoint.Tensors = append(checkpoint.Tensors, rundir.Tensor(tensor))
	}
	return checkpoint, nil
}

func stateOf(checkpoint *rundir.Checkpoint) (train.State, best, error) {
	var kept meta
	if err := json.Unmarshal(checkpoint.Meta, &kept); err != nil {
		return train.State{}, best{}, fmt.Errorf("checkpoint of step %d: %w", checkpoint.Step, err)
	}
	state := train.State{Step: checkpoint.Step, LossSum: kept.LossSum}
	for _, tensor := range checkpoint.Tensors {
		state.Tensors = append(state.Tensors, train.Tensor(tensor))
	}
	return state, kept.Best, nil
}

// weightsOf returns the parameters of a checkpoint; see [train.State.Weights].
func weightsOf(checkpoint *rundir.Checkpoint, params []model.Param) ([]*tensors.Tensor, error) {
	state, _, err := stateOf(checkpoint)
	if err != nil {
		return nil, err
	}
	return state.Weights(params)
}

func sha256Of(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func describeHost() rundir.Host {
	return rundir.Host{OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: host.Processor(), Cores: runtime.NumCPU()}
}

// DescribeBackend is what a manifest says of a backend.
func DescribeBackend(b *backend.Backend) rundir.Backend {
	described := rundir.Backend{Name: b.Name, Device: b.Device, Plugin: b.Plugin, PluginVersion: b.PluginVersion,
		PluginSHA256: b.PluginSHA256, XLAFlags: b.XLAFlags, Reason: b.Reason}
	if b.GPU != nil {
		described.DeviceMemory, described.Driver = b.GPU.Memory, b.GPU.Driver
	}
	return described
}

// setFigures enters what was measured on the test images.
func setFigures(r *rundir.Result, result evaluate.Result) {
	r.Interval = map[string]map[string]rundir.Number{}
	enterFigures(r, "test", &r.Test, withLoss(result))
	enterFigures(r, "corrupted", &r.Corrupted, result.Corrupted)
	r.Features = nil
	for _, f := range result.Features {
		r.Features = append(r.Features, rundir.Feature{Name: f.Name, MSE: rundir.Number(f.MSE), ExplainedVariance: rundir.Number(f.ExplainedVariance)})
	}
}

// withLoss are the figures of reconstructions, and the loss.
func withLoss(result evaluate.Result) map[string]evaluate.Figure {
	figures := maps.Clone(result.Reconstructed)
	figures["loss"] = result.Loss
	return figures
}

// enterFigures enters the figures of a part of a result, and their intervals; nothing of no figures.
func enterFigures(r *rundir.Result, part string, into *map[string]rundir.Number, figures map[string]evaluate.Figure) {
	*into = means(figures)
	if figures == nil {
		return
	}
	r.Interval[part] = map[string]rundir.Number{}
	for name, figure := range figures {
		if figure.Interval > 0 {
			r.Interval[part][name] = rundir.Number(figure.Interval)
		}
	}
}

// means returns the figures' means for a record; nil of none.
func means(figures map[string]evaluate.Figure) map[string]rundir.Number {
	var all map[string]rundir.Number
	for name, figure := range figures {
		if all == nil {
			all = map[string]rundir.Number{}
		}
		all[name] = rundir.Number(figure.Mean)
	}
	return all
}

// number returns a metric for a record, and figure one of several by name, nil where it is not defined.
func number(value float64) *rundir.Number {
	n := rundir.Number(value)
	return &n
}

func figure(figures map[string]evaluate.Figure, name string) *rundir.Number {
	f, found := figures[name]
	if !found {
		return nil
	}
	return number(f.Mean)
}

// modules are those whose versions a run depends on.
var modules = map[string]string{
	"github.com/gomlx/gomlx": "gomlx", "github.com/gomlx/compute": "compute", "github.com/gomlx/go-xla": "go-xla",
}

func versions() map[string]string {
	v := map[string]string{"go": runtime.Version(), "latent": Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, module := range info.Deps {
		if name := modules[module.Path]; name != "" {
			v[name] = versionOf(module)
		}
	}
	if info.Main.Path != "" && info.Main.Path != self {
		v[info.Main.Path] = versionOf(&info.Main) // a program with kinds of its own
	}
	return v
}

// self is the path of Latent's module.
const self = "latent"

// release is the version of a released program, which the linker sets (.goreleaser.yaml).
var release string

// Version is Latent's: that of the release or of the module, in whichever program, or of the commit it was built from, or "devel".
func Version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return devel
	}
	for _, module := range info.Deps {
		if module.Path == self {
			return versionOf(module)
		}
	}
	if info.Main.Path == self {
		return versionOf(&info.Main)
	}
	return devel
}

// devel is the version of what is built from a folder.
const devel = "devel"

// versionOf is a module's version, or that of what replaces it.
func versionOf(module *debug.Module) string {
	if module.Replace != nil {
		module = module.Replace
	}
	if strings.HasPrefix(module.Version, "v") {
		return module.Version
	}
	return devel
}

// gitState is the state of the source of the program, Latent or one that uses it: that of the build where it is recorded, else of
// the working folder.
func gitState() (git rundir.Git) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				git.Commit = setting.Value
			case "vcs.modified":
				git.Dirty = setting.Value == "true"
			}
		}
	}
	if git.Commit != "" {
		return git
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output()
	if err != nil {
		return rundir.Git{} // no git, or no repository: there is nothing to record
	}
	status, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=no").Output()
	return rundir.Git{Commit: strings.TrimSpace(string(commit)), Dirty: err != nil || len(status) > 0}
}
