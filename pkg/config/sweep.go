package config

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"latent/pkg/search"
)

// Sweep is a search for values of an experiment's keys that make a metric best. What it tries is a function of its file and
// its seed.
type Sweep struct {
	// Name names the folder of the sweeps: letters, digits, '-', '_' and '.'. The default is the sweep file's name.
	Name string `yaml:"name" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"`

	// Seed is the seed of the strategy.
	Seed int64 `yaml:"seed" min:"0"`

	// Base is the experiment's file, relative to the sweep's file. Required.
	Base string `yaml:"base"`

	// Set holds values of the experiment that are the same for all trials. They override those of its file, such as set: {train:
	// {epochs: 3}}. A section that names its kind replaces the file's whole section.
	Set Mapping `yaml:"set"`

	// Objective is the metric to optimize, or a list of up to four.
	Objective []Objective `yaml:"objective" minitems:"1" maxitems:"4"`

	// Space has the keys of the experiment to search, each with its values: {uniform: [LOW, HIGH]}, {loguniform: [LOW, HIGH]},
	// {int: [LOW, HIGH]}, {logint: [LOW, HIGH]}, or {choice: [VALUE, VALUE]}. A choice's VALUE may be {value: VALUE, space: {…}},
	// with keys that are searched only if it is chosen.
	Space Mapping `yaml:"space"`

	// Strategy proposes the trials.
	Strategy search.Method `yaml:"strategy" kind:"kind"`

	// EarlyStopping stops unpromising trials by the objective's values after each epoch. For test.psnr and test.ssim it uses the
	// validation images' values, for other objectives without a value per epoch the validation loss. With several objectives it
	// uses the first.
	EarlyStopping search.Pruner `yaml:"early_stopping" kind:"kind"`

	// Budget limits the sweep.
	Budget Budget `yaml:"budget"`

	// Seeds is the number of runs of a trial, with the experiment's seed and the next ones. Their mean is the trial's value.
	Seeds int `yaml:"seeds" min:"1" max:"64"`

	// Workers is the number of processes that run trials at once on this machine. They share its cores. With set: {threads: 1}
	// each uses one core, and a trial's bits are the same on any machine. On two cores one worker is as fast as two
	// (docs/benchmark-sweep.md); more workers help on machines with many cores, or with a GPU for each.
	Workers int `yaml:"workers" min:"1" max:"256"`

	// Stack is the number of trials that a worker trains together in one compiled program. Trials of the same architecture train
	// together. This is faster for small models; large ones are compiled only once.
	Stack int `yaml:"stack" min:"1" max:"64"`

	// Deterministic makes proposals and early stopping independent of the order in which trials end. Trials are proposed in
	// generations of workers × stack, from the results of earlier generations. The cost: a generation waits for its slowest trial,
	// and the strategy learns later. Without it, each proposal uses the results available at the time. The default is true with
	// one worker and false with several.
	Deterministic bool `yaml:"deterministic"`

	// Generation is the number of trials proposed at a time with deterministic; 0 is workers × stack.
	Generation int `yaml:"generation" min:"0" max:"16384"`

	// Store is where trials are stored: empty for a file in the sweep's folder, or postgres://USER@HOST/DATABASE for workers on
	// many machines. The password is read from the environment variable PGPASSWORD or ~/.pgpass.
	Store string `yaml:"store"`

	// Journal is a file to which the sweep writes Optuna's journal while it runs, for optuna-dashboard; empty for none.
	Journal string `yaml:"journal"`

	// Dir is the folder for all sweeps; a sweep's own folder is DIR/NAME/TIME-ID.
	Dir string `yaml:"dir"`

	// Slurm holds the options of workers with --launcher slurm.
	Slurm Slurm `yaml:"slurm"`

	base       []byte // the experiment's file
	stored     bool   // it was written by Latent, with all keys
	baseName   string
	space      search.Space
	dimensions []Dimension // one for each parameter of the space
}

// Objective is a metric to optimize.
type Objective struct {
	// Metric is a value of the epoch whose weights are selected: val_loss, val_psnr, val_ssim, val_gain (val_psnr minus that of
	// the corrupted images, in dB), val_explained_variance (of tables), val_terms.NAME or train_loss. Or test.NAME or
	// generated.SAMPLER.NAME, a test metric as in the manifest, such as test.auroc if anomalies are evaluated (see
	// evaluate.anomaly). Or parameters, the number of the model's parameters. Or train_seconds.
	Metric string `yaml:"metric"`

	// Direction is min or max; the default is max for metrics for which higher is better, such as val_psnr, and min for others.
	Direction string `yaml:"direction" enum:"min,max"`
}

// Maximize says whether more is better.
func (o Objective) Maximize() bool {
	if o.Direction != "" {
		return o.Direction == "max"
	}
	return slices.ContainsFunc([]string{"psnr", "ssim", "explained", "auroc", "gain", "accuracy", "precision", "recall", "elbo", "perplexity", "active_units", "test.pro"}, func(word string) bool {
		return strings.Contains(o.Metric, word)
	})
}

// Budget limits a sweep.
type Budget struct {
	// Trials is the maximum number of trials; 0 is no limit.
	Trials int `yaml:"trials" min:"0" max:"1000000"`

	// Time is how long the sweep starts new trials, such as 90s, 30m or 1h30m, counted over all processes from the first to the
	// last; empty is no limit. Running trials are finished.
	Time string `yaml:"time"`
}

// Duration is the time; 0 for no limit.
func (b Budget) Duration() time.Duration {
	d, err := time.ParseDuration(b.Time)
	if err != nil {
		return 0 // empty: nothing else that is none passes the check
	}
	return d
}

// Slurm holds the options of sbatch for workers. Each worker is a task of a job array.
type Slurm struct {
	// Partition is the workers' partition; empty for the cluster's default.
	Partition string `yaml:"partition" pattern:"^[A-Za-z0-9_,.-]*$"`

	// GPUs is the number of GPUs of each worker.
	GPUs int `yaml:"gpus" min:"0" max:"64"`

	// CPUs is the number of cores of each worker; 0 for the cluster's default.
	CPUs int `yaml:"cpus" min:"0" max:"4096"`

	// Memory is the memory of each worker, such as 8G; empty for the cluster's default.
	Memory string `yaml:"memory" pattern:"^([0-9]+[KMGT]?)?$"`

	// TimeLimit is the time limit of each worker in Slurm's format, such as "30" (minutes), 4:00:00 or 1-12:00:00; empty for the
	// cluster's default. A worker that reaches it is submitted again.
	TimeLimit string `yaml:"time_limit" pattern:"^[0-9:-]*$"`

	// Environment holds environment variables of the workers, as NAME=VALUE.
	Environment []string `yaml:"environment" pattern:"^[A-Za-z_][A-Za-z0-9_]*=.*$" maxitems:"100"`

	// Options are further options of sbatch, such as --account=NAME.
	Options []string `yaml:"options" pattern:"^--[a-z].*$" maxitems:"50"`
}

// DefaultSweep returns a sweep by TPE of 40 trials without a space.
func DefaultSweep() *Sweep {
	return &Sweep{
		Name: "sweep", Strategy: search.Strategies["tpe"](), EarlyStopping: search.Pruners["none"](),
		Budget: Budget{Trials: 40}, Seeds: 1, Workers: 1, Stack: 1, Deterministic: true, Dir: "sweeps",
	}
}

// Mapping is YAML whose keys are not fixed.
type Mapping struct{ node *yaml.Node }

// LoadSweep reads a sweep from a file, and the experiment that is its base, with overrides of the sweep's keys such as
// "budget.trials=5" or "set.train.epochs=2". The error of a file or an override that is wrong is [Problems].
func LoadSweep(path string, overrides ...string) (*Sweep, error) {
	data, err := read(path)
	if err != nil {
		return nil, Problems{{File: path, Message: err.Error()}}
	}
	return parseSweep(path, data, nil, overrides)
}

// ParseSweep is [LoadSweep] for text that is already read, that of the base too, whatever the sweep says of its place.
func ParseSweep(name string, data, base []byte, overrides ...string) (*Sweep, error) {
	return parseSweep(name, data, base, overrides)
}

// NameOf is the kind of a strategy, as a config names it.
func NameOf(m search.Method) string {
	name, _ := kindsOf(reflect.TypeFor[search.Method]()).kindOf(m)
	return name
}

// parseSweep reads the base's file where base is nil.
func parseSweep(path string, data, base []byte, overrides []string) (*Sweep, error) {
	root, problems := parseYAML(path, data)
	if problems != nil {
		return nil, problems
	}
	if root == nil {
		return nil, Problems{{File: path, Line: 1, Column: 1, Message: "empty; write at least base, objective and space"}}
	}
	if hasKey(root, "model", "train", "corrupt", "data") && !hasKey(root, "base", "space", "objective") {
		return nil, Problems{{File: path, Line: 1, Column: 1, Message: "this is an experiment, not a sweep; run it with latent run, or write a sweep whose base it is"}}
	}
	d := newDecoder(path, root, sweepAliases)
	if root.Kind == yaml.MappingNode {
		for _, text := range overrides {
			d.problems = append(d.problems, d.override(text)...)
		}
	}
	s := DefaultSweep()
	s.Name, s.base, s.stored = nameOf(path), base, base != nil
	d.decode(s)
	s.check(d, path)
	if len(d.problems) > 0 {
		return nil, d.problems.sorted(overrides)
	}
	return s, nil
}

// sweepAliases are names that people know from elsewhere.
var sweepAliases = map[string][]string{
	"n_trials": {"budget.trials"}, "trials": {"budget.trials"}, "num_samples": {"budget.trials"}, "timeout": {"budget.time"}, "max_time": {"budget.time"},
	"sampler": {"strategy"}, "method": {"strategy"}, "algorithm": {"strategy"}, "search": {"strategy"}, "optimizer": {"strategy"},
	"pruner": {"early_stopping"}, "scheduler": {"early_stopping"}, "early_terminate": {"early_stopping"},
	"parameters": {"space"}, "params": {"space"}, "search_space": {"space"}, "config": {"base"}, "experiment": {"base"}, "program": {"base"},
	"direction": {"objective.direction"}, "metric": {"objective.metric"}, "goal": {"objective.direction"}, "n_jobs": {"workers"}, "storage": {"store"},
	"overrides": {"set"},
}

// check reads what the fields' tags cannot say: the space, the base, the objectives.
func (s *Sweep) check(d *decoder, path string) {
	if _, written := d.places["deterministic"]; !written {
		s.Deterministic = s.Workers == 1
	}
	if s.Generation == 0 {
		s.Generation = s.Workers * s.Stack
	}
	if s.Stack > s.Generation && s.Deterministic {
		d.contradiction(fmt.Sprintf("%d trials cannot train together in generations of %d; lower it, or raise generation", s.Stack, s.Generation), "stack", "generation")
	}
	s.checkObjectives(d)
	if allowed, err := time.ParseDuration(s.Budget.Time); s.Budget.Time != "" && (err != nil || allowed <= 0) {
		d.contradiction(fmt.Sprintf("found %q, want a time such as 90s, 30m or 1h30m", s.Budget.Time), "budget.time")
	}
	if s.Budget.Trials == 0 && s.Budget.Time == "" {
		d.contradiction("no end: give budget.trials, budget.time, or both", "budget")
	}
	if s.Store != "" && !strings.HasPrefix(s.Store, "postgres://") && !strings.HasPrefix(s.Store, "postgresql://") {
		d.contradiction("want postgres://USER@HOST/DATABASE, or leave it out for a file in the sweep's folder", "store")
	}
	if at, err := url.Parse(s.Store); err == nil && at.User != nil {
		if _, has := at.User.Password(); has {
			d.contradiction("a password, which would stand in the sweep's files; take it out, and give it in the environment variable PGPASSWORD or in ~/.pgpass", "store")
		}
	}
	if s.Space.node == nil || len(s.Space.node.Content) == 0 {
		d.contradiction("missing: nothing to search; write for example space: {train.learning_rate: {loguniform: [1e-4, 1e-2]}}", "space")
		return
	}
	d.dimensions(s, "space", "", s.Space.node, -1, 0)
	if s.Base == "" {
		d.contradiction("missing: the experiment's file, such as base: ../quickstart.yaml", "base")
		return
	}
	s.baseName = basePath(path, s.Base)
	if s.base == nil {
		var err error
		if s.base, err = read(s.baseName); err != nil {
			d.contradiction(fmt.Sprintf("%s: %v", s.baseName, err), "base")
			return
		}
	}
	if len(d.problems) > 0 {
		return
	}
	s.checkBase(d)
	if len(d.problems) > 0 {
		return
	}
	if _, err := s.Strategy.New(s.space, len(s.Objective), s.Seed); err != nil {
		d.contradiction(err.Error(), "strategy")
	}
	if h, ok := s.EarlyStopping.(*search.Hyperband); ok && h.MaxSteps > 0 && h.MaxSteps < h.MinSteps {
		d.contradiction(fmt.Sprintf("%d is below min_steps, which is %d", h.MaxSteps, h.MinSteps), "early_stopping.max_steps", "early_stopping")
	}
}

// metricNames are the metrics whose names are fixed, and metricSections the beginnings of the others'.
var (
	metricNames    = []string{"val_loss", "val_psnr", "val_ssim", "val_gain", "val_explained_variance", "train_loss", "parameters", "train_seconds"}
	metricSections = []string{"val_terms.", "test.", "generated."}
)

func (s *Sweep) checkObjectives(d *decoder) {
	for i, o := range s.Objective {
		s.Objective[i].Direction = map[bool]string{true: "max", false: "min"}[o.Maximize()]
	}
	if len(s.Objective) == 0 {
		d.contradiction("missing: write for example objective: {metric: val_psnr}", "objective")
	}
	for i, o := range s.Objective {
		key := fmt.Sprintf("objective.%d.metric", i)
		if slices.ContainsFunc(s.Objective[:i], func(other Objective) bool { return other.Metric == o.Metric }) {
			d.contradiction(fmt.Sprintf("%s is an objective already", o.Metric), key, "objective")
		}
		known := slices.Contains(metricNames, o.Metric) || slices.ContainsFunc(metricSections, func(section string) bool {
			return strings.HasPrefix(o.Metric, section) && len(o.Metric) > len(section)
		})
		if known {
			continue
		}
		cure := ""
		if near := closest(o.Metric, metricNames); near != "" {
			cure = "did you mean " + near + "? "
		}
		if o.Metric == "psnr" || o.Metric == "ssim" || o.Metric == "loss" {
			cure = "did you mean val_" + o.Metric + "? "
		}
		d.contradiction(fmt.Sprintf("found %q, want a metric of the run; %sthere are %s, %sNAME", o.Metric, cure,
			strings.Join(metricNames, ", "), strings.Join(metricSections, "NAME, ")), key, "objective")
	}
}

// checkBase reads the base with what is set, and tries values of the space on it.
func (s *Sweep) checkBase(d *decoder) {
	e, err := s.parse(s.Set.overrides(""))
	if d.blameSection(err, "set", s.Set.overrides("")) {
		return
	}
	for i, o := range s.Objective {
		if strings.HasPrefix(o.Metric, "val_") && e.Data.ValidationImages() == 0 {
			d.contradiction("the experiment holds out no images: set data.validation above 0", fmt.Sprintf("objective.%d.metric", i), "objective")
		}
		if strings.HasPrefix(o.Metric, "test.") && e.Data.ValidationImages() == 0 {
			d.contradiction("on their way trials are told by figures of held-out images, and the experiment holds out none: set data.validation above 0, such as set: {data: {validation: 100}}", fmt.Sprintf("objective.%d.metric", i), "objective")
		}
		if strings.HasPrefix(o.Metric, "generated.") && e.Evaluate.Generated == 0 {
			d.contradiction("the experiment generates no images: set evaluate.generated, such as set: {evaluate: {generated: 10000}}", fmt.Sprintf("objective.%d.metric", i), "objective")
		}
	}
	told := map[string]bool{}
	for i, parameter := range s.space {
		values := []float64{parameter.Low, parameter.High}
		if parameter.Kind == search.Choice {
			values = values[:0]
			for option := range parameter.Options {
				values = append(values, float64(option))
			}
		}
		for _, value := range values {
			p := make(search.Point, len(s.space))
			for j := range p {
				p[j] = absent
			}
			// The parameter alone, with the choices that it rests on, and those of the section that it is in.
			for j, v := i, value; j >= 0; j, v = s.space[j].Parent, float64(s.space[j].Option) {
				p[j] = v
			}
			for j, d := range s.dimensions {
				if s.space[j].Kind == search.Choice && s.space[j].Parent < 0 && math.IsNaN(p[j]) && strings.HasPrefix(s.dimensions[i].Key, d.Key+".") {
					p[j] = 0
				}
			}
			d.blameSpace(s, p, told)
			if told[s.dimensions[i].place.key] {
				break
			}
		}
	}
	if len(told) > 0 {
		return
	}
	for _, p := range probes(s.space) {
		if d.blameSpace(s, p, told); len(told) > 0 {
			return
		}
	}
}

// Experiment returns the experiment of a point and a seed of the runs, from 0.
func (s *Sweep) Experiment(p search.Point, seed int) (*Experiment, error) {
	e, err := s.parse(append(s.Set.overrides(""), s.Overrides(p)...))
	if err != nil {
		return nil, err
	}
	e.Seed += int64(seed)
	return e, nil
}

// SearchSpace is the space, for a strategy.
func (s *Sweep) SearchSpace() search.Space { return s.space }

// Dimensions tell what the parameters of the space are.
func (s *Sweep) Dimensions() []Dimension { return s.dimensions }

// Overrides are the values that a point gives to keys of the experiment, as KEY=VALUE: those of a section before those in it.
func (s *Sweep) Overrides(p search.Point) []string {
	var overrides []string
	for i := range s.space {
		if s.space.Has(p, i) && p[i] == p[i] {
			overrides = append(overrides, s.dimensions[i].Key+"="+s.dimensions[i].Text(p[i]))
		}
	}
	depth := func(override string) int {
		key, _, _ := strings.Cut(override, "=")
		return strings.Count(key, ".")
	}
	slices.SortStableFunc(overrides, func(a, b string) int { return cmp.Compare(depth(a), depth(b)) })
	return overrides
}

// YAML returns the fully resolved sweep: every key, in the order of the structs. base is what it names as its base; what it
// sets is in [Sweep.BaseYAML].
func (s *Sweep) YAML(base string) ([]byte, error) {
	resolved := *s
	resolved.Base, resolved.Set = base, Mapping{}
	node, err := encodeStruct(reflect.ValueOf(&resolved).Elem())
	if err != nil {
		return nil, fmt.Errorf("write the sweep as YAML: %w", err)
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(node); err != nil {
		return nil, fmt.Errorf("write the sweep as YAML: %w", err)
	}
	return text.Bytes(), nil
}

// basePath is where a sweep's base is: its path is seen from the sweep's file.
func basePath(sweep, base string) string {
	if filepath.IsAbs(base) {
		return base
	}
	return filepath.Join(filepath.Dir(sweep), base)
}

// BaseExperiment returns the experiment that the trials vary.
func (s *Sweep) BaseExperiment() (*Experiment, error) {
	return s.parse(s.Set.overrides(""))
}

// BaseYAML returns that experiment, fully resolved.
func (s *Sweep) BaseYAML() ([]byte, error) {
	e, err := s.BaseExperiment()
	if err != nil {
		return nil, err
	}
	return e.yaml(nil) // a trial may make use of a key that does nothing here
}

// parse reads the base with overrides. What was stored before may have keys that do nothing.
func (s *Sweep) parse(overrides []string) (*Experiment, error) {
	return parseText(s.baseName, s.base, overrides, !s.stored && !generated(s.baseName))
}
