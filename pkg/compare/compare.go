// Package compare shows runs beside each other: what their configs differ in, their curves, their figures, and whether a difference
// between two is more than an accident of the test samples.
//
//	found, err := compare.Open(entries)       // the first is the one that others are compared with
//	err = found.Measure(ctx, lab)             // sample by sample, on the same samples
//	err = found.Render(file)                  // one page
//
// Promised: runs are compared sample by sample only where they were measured on the same test samples, damaged by the same draws; else it
// is said why not. A run that cannot be measured is shown with what there is of it. Text from the runs' files is escaped. The page is one
// file without scripts, which asks for nothing from elsewhere.
//
// What is not here: how a model is measured (pkg/experiment, pkg/evaluate), and sweeps beside each other (pkg/survey).
package compare

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"latent/pkg/config"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
	"latent/pkg/runs"
)

// Comparison is runs beside each other.
type Comparison struct {
	// Runs are what is compared. The first is the base, from which the others' differences are taken.
	Runs []*Run
	// Config has the keys of their configs that differ, with a value for each run.
	Config []config.Difference
	// Groups are the runs that differ in their seed alone, in the order of their first.
	Groups []Group
}

// Run is one of the runs.
type Run struct {
	// Letter names the run in tables: A, B, ….
	Letter string
	runs.Entry
	Experiment *config.Experiment
	Windows    []rundir.Window
	Epochs     []rundir.Epoch
	// Measured is how it does on each test sample; nil before [Comparison.Measure], and where that failed.
	Measured *experiment.Measured
	// Unpaired says why it cannot be compared with the base sample by sample; "" where it can, and of the base.
	Unpaired string
	// Warnings are what of it could not be read or measured, and why.
	Warnings []string
}

// Group are runs that differ in their seed alone; one without such others is alone.
type Group struct {
	Runs []*Run
	key  string
}

// Open reads the runs in some folders; the same folder twice is an error of the caller.
func Open(entries []runs.Entry) (*Comparison, error) {
	c := &Comparison{}
	var experiments []*config.Experiment
	for i, entry := range entries {
		r := &Run{Letter: Letter(i), Entry: entry}
		if entry.State == runs.Damaged {
			return nil, experiment.InputError{Err: entry.Err}
		}
		folder := &rundir.Run{Path: entry.Path}
		var err error
		if r.Experiment, err = config.Load(folder.ConfigPath()); err != nil {
			return nil, err
		}
		if r.Windows, r.Epochs, err = folder.Metrics(); err != nil {
			r.warn("no curves: %v", err)
		}
		experiments = append(experiments, r.Experiment)
		c.Runs = append(c.Runs, r)
	}
	var err error
	if c.Config, err = config.Differences(experiments...); err != nil {
		return nil, err
	}
	c.Groups, err = groups(c.Runs)
	return c, err
}

// Letter names the i-th of some runs: A, B, …, and from the 27th on its number.
func Letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return strconv.Itoa(i + 1)
}

func (r *Run) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// groups puts runs together whose configs are the same but for the seed, the name, and where output goes.
func groups(all []*Run) ([]Group, error) {
	var list []Group
	for _, r := range all {
		rest, plain := *r.Experiment, config.Default()
		rest.Seed, rest.Name, rest.Output, rest.Tracking = plain.Seed, plain.Name, plain.Output, plain.Tracking
		text, err := rest.YAML()
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, func(g Group) bool { return g.key == string(text) })
		if i < 0 {
			i, list = len(list), append(list, Group{key: string(text)})
		}
		list[i].Runs = append(list[i].Runs, r)
	}
	return list, nil
}

// Bounds of the grid: how many samples it shows, and how many pixels all of its pictures have, about.
const (
	mostSamples = 8
	mostPixels  = 4 << 20
)

// Measure measures all runs on their test samples, and says which of them can be compared with the base sample by sample. A run that cannot
// be measured has a warning; the only error is that of the context.
func (c *Comparison) Measure(ctx context.Context, lab *experiment.Lab) error {
	order, err := c.order()
	if err != nil {
		return err
	}
	for _, r := range order {
		pixels := max(r.Manifest.Data.Height*r.Manifest.Data.Width, 1)
		n := min(max(mostPixels/pixels/(len(c.Runs)+2), 1), mostSamples)
		measured, err := lab.Measure(ctx, r.Path, n)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.warn("not measured: %v", err)
			continue
		}
		r.Measured = measured
		if measured.Changed {
			r.warn("the files of its data are others than when it was trained; it may have been trained on samples of the test")
		}
	}
	for _, r := range c.Runs[1:] {
		r.Unpaired = unpaired(c.Runs[0], r)
	}
	return nil
}

// order is that of measuring: the base first, and then runs of the same data and model one after another, which share what was loaded and
// compiled.
func (c *Comparison) order() ([]*Run, error) {
	keys := map[*Run][2]string{}
	for _, r := range c.Runs {
		sections, err := r.Experiment.Sections("data", "model")
		if err != nil {
			return nil, err
		}
		keys[r] = [2]string{sections["data"], sections["model"]}
	}
	base := c.Runs[0]
	far := func(r *Run) int { // how much of what the base needed is not this run's
		switch {
		case r == base:
			return 0
		case keys[r] == keys[base]:
			return 1
		case keys[r][0] == keys[base][0]:
			return 2
		}
		return 3
	}
	order := slices.Clone(c.Runs)
	slices.SortStableFunc(order, func(a, b *Run) int {
		return cmp.Or(cmp.Compare(far(a), far(b)), cmp.Compare(keys[a][0], keys[b][0]), cmp.Compare(keys[a][1], keys[b][1]))
	})
	return order, nil
}

// unpaired says why two runs cannot be compared sample by sample; "" where they can.
func unpaired(base, r *Run) string {
	switch {
	case base.Measured == nil:
		return base.Letter + " was not measured"
	case r.Measured == nil:
		return "it was not measured"
	case r.Measured.Samples != base.Measured.Samples:
		return "its test samples, or the scale of their values, are others"
	case r.Measured.Damage != base.Measured.Damage:
		return fmt.Sprintf("its test samples are damaged otherwise: %s, and those of %s: %s", damageText(r), base.Letter, damageText(base))
	}
	return ""
}

// damageText is what is done to the test samples of a run.
func damageText(r *Run) string {
	chain := r.Experiment.Measured()
	if chain.Identity() {
		return "not at all"
	}
	return fmt.Sprintf("%s, evaluate.seed %d", chain.Caption(), r.Experiment.Evaluate.Seed)
}

// Figures are those that runs are compared by, in the order of tables.
var Figures = []evaluate.Metric{
	metric("psnr"), metric("ssim"), metric("explained_variance"), metric("mse"), {Name: "loss", Title: "loss"},
}

// metric is one of those in pkg/evaluate.
func metric(name string) evaluate.Metric {
	all := slices.Concat(evaluate.Metrics, evaluate.VectorMetrics)
	return all[slices.IndexFunc(all, func(m evaluate.Metric) bool { return m.Name == name })]
}

// Differences are those of a run's figures from the base's over the same samples, by name; nil of the base and of a run that cannot be
// paired. Losses that are not the same function are left out.
func (c *Comparison) Differences(r *Run) map[string]Paired {
	base := c.Runs[0]
	if r == base || r.Unpaired != "" || r.Measured == nil {
		return nil
	}
	found := map[string]Paired{}
	for _, figure := range Figures {
		from, to := base.Measured.Each[figure.Name], r.Measured.Each[figure.Name]
		if from == nil || to == nil || figure.Name == "loss" && base.Measured.Loss != r.Measured.Loss {
			continue
		}
		found[figure.Name] = Pair(from, to)
	}
	return found
}

// Recorded is a figure of a run as its manifest has it, with its 95 % interval over samples.
func (r *Run) Recorded(figure string) (evaluate.Figure, bool) {
	result := r.Manifest.Result
	value, found := result.Test[figure]
	return evaluate.Figure{Mean: float64(value), Interval: float64(result.Interval["test"][figure])}, found
}
