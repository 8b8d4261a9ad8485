package command

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"latent/pkg/compare"
	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
	"latent/pkg/runs"
)

func newDiff(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff RUN RUN…",
		Short: "Show how runs differ: config, environment, results",
		Long: `Diff compares runs with the first of them: the keys of their configs that are not the same, what they ran on, and what came out.
A config file may stand in the place of a run; it has a config alone, and beside one run nothing is said of what that ran on.

A result with a * differs from the first run's by more than the 95 % intervals of both together would let two draws of test images
differ. The runs saw the same images, so that less is often no accident either, which latent compare tells; and another seed changes
figures too, which only runs of several seeds show.`,
		Example: "  latent diff runs/mnist-denoise/2026-11-24T10-15-30-7f3a runs/mnist-denoise/2026-11-24T11-02-11-09bc\n" +
			"  latent diff mnist-denoise configs/mnist/denoise.yaml",
		Args: cobra.MinimumNArgs(2),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the differences as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var sides []side
		for _, arg := range args {
			s, err := openSide(arg)
			if err != nil {
				return err
			}
			sides = append(sides, s)
		}
		found, err := differ(sides)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c, found)
		}
		return found.print(c)
	}
	return cmd
}

// side is one of what is compared.
type side struct {
	path       string
	experiment *config.Experiment
	manifest   *rundir.Manifest // nil of a config file
}

// openSide opens the run or the config file that an argument names.
func openSide(arg string) (side, error) {
	if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() {
		e, err := config.Load(arg)
		return side{path: arg, experiment: e}, err
	}
	entry, err := findRun(arg)
	if err != nil {
		return side{}, err
	}
	if entry.State == runs.Damaged {
		return side{}, experiment.InputError{Err: entry.Err}
	}
	e, err := config.Load((&rundir.Run{Path: entry.Path}).ConfigPath())
	return side{entry.Path, e, entry.Manifest}, err
}

// differences are what differ finds. Lists of values are in the order of the runs.
type differences struct {
	Runs        []string     `json:"runs"`
	Config      []difference `json:"config"`
	Environment []difference `json:"environment"`
	Results     []compared   `json:"results"`
	alone       bool         // there are no two runs whose environments could differ
}

// difference is a key with several values; null where one has it not.
type difference struct {
	Key    string `json:"key"`
	Values []any  `json:"values"`
}

// compared is a figure; null where a run has it not, and in Differences of the first run.
type compared struct {
	Figure string           `json:"figure"`
	Values []*rundir.Number `json:"values"`
	// Intervals are half the widths of 95 % intervals over images.
	Intervals   []*rundir.Number `json:"intervals"`
	Differences []*rundir.Number `json:"differences"` // from the first run
	// Beyond says whether the difference is larger than the intervals of both together.
	Beyond []*bool `json:"beyond"`
}

func differ(sides []side) (*differences, error) {
	found := &differences{Config: []difference{}, Environment: []difference{}, Results: []compared{}}
	var experiments []*config.Experiment
	var environments []map[string]any
	for _, s := range sides {
		found.Runs = append(found.Runs, s.path)
		experiments = append(experiments, s.experiment)
		if s.manifest != nil {
			environments = append(environments, environment(s.manifest))
		} else {
			environments = append(environments, nil)
		}
	}
	all, err := config.Differences(experiments...)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		found.Config = append(found.Config, difference(d))
	}
	keys := map[string]bool{}
	found.alone = len(slices.DeleteFunc(slices.Clone(environments), func(e map[string]any) bool { return e == nil })) < 2
	for _, environment := range environments {
		for key := range environment {
			keys[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		d := difference{Key: key}
		var known []any // a config file ran on nothing, which is no difference
		for _, environment := range environments {
			d.Values = append(d.Values, environment[key])
			if environment != nil {
				known = append(known, environment[key])
			}
		}
		if slices.ContainsFunc(known, func(value any) bool { return value != known[0] }) {
			found.Environment = append(found.Environment, d)
		}
	}
	found.Results = results(sides)
	return found, nil
}

// environment is what a run ran on, by keys.
func environment(m *rundir.Manifest) map[string]any {
	values := map[string]any{
		"backend.name": m.Backend.Name, "backend.device": m.Backend.Device, "backend.plugin_sha256": m.Backend.PluginSHA256,
		"backend.xla_flags": m.Backend.XLAFlags, "host.os": m.Host.OS, "host.arch": m.Host.Arch, "host.cpu": m.Host.CPU,
		"host.cores": m.Host.Cores, "git.commit": m.Git.Commit, "git.dirty": m.Git.Dirty,
	}
	for name, version := range m.Versions {
		values["versions."+name] = version
	}
	for name, sum := range m.Data.Checksums {
		values["data."+name] = sum
	}
	for name, sum := range m.Files {
		values["files."+name] = sum
	}
	return values
}

// results compares the figures, those of the test images first.
func results(sides []side) []compared {
	parts := []struct {
		name string
		of   func(r rundir.Result) map[string]rundir.Number
	}{
		{"test", func(r rundir.Result) map[string]rundir.Number { return r.Test }},
		{"corrupted", func(r rundir.Result) map[string]rundir.Number { return r.Corrupted }},
		{"mask_known", func(r rundir.Result) map[string]rundir.Number { return r.MaskKnown }},
		{"validation", func(r rundir.Result) map[string]rundir.Number {
			if r.BestEpoch == 0 {
				return nil
			}
			return map[string]rundir.Number{"best_loss": r.BestValidationLoss, "best_epoch": rundir.Number(r.BestEpoch)}
		}},
	}
	found := []compared{}
	for _, part := range parts {
		names := map[string]bool{}
		for _, s := range sides {
			if s.manifest != nil {
				for name := range part.of(s.manifest.Result) {
					names[name] = true
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			r := compared{Figure: part.name + "." + name}
			for _, s := range sides {
				var value, interval *rundir.Number
				if s.manifest != nil {
					value = numberIn(part.of(s.manifest.Result), name)
					interval = numberIn(s.manifest.Result.Interval[part.name], name)
				}
				r.add(value, interval)
			}
			found = append(found, r)
		}
	}
	return found
}

func numberIn(figures map[string]rundir.Number, name string) *rundir.Number {
	if x, found := figures[name]; found {
		return &x
	}
	return nil
}

// add appends a run's value, with how it compares with the first run's.
func (r *compared) add(value, interval *rundir.Number) {
	r.Values, r.Intervals = append(r.Values, value), append(r.Intervals, interval)
	var gap *rundir.Number
	var beyond *bool
	if first := r.Values[0]; len(r.Values) > 1 && first != nil && value != nil {
		x := *value - *first
		gap = &x
		if r.Intervals[0] != nil && interval != nil {
			// The interval of the difference of two independent means.
			is := math.Abs(float64(x)) > math.Hypot(float64(*r.Intervals[0]), float64(*interval))
			beyond = &is
		}
	}
	r.Differences, r.Beyond = append(r.Differences, gap), append(r.Beyond, beyond)
}

// print writes three tables.
func (d *differences) print(c *console) error {
	table := newTable(c)
	head := []string{""}
	for i, path := range d.Runs {
		table.row(compare.Letter(i), path)
		head = append(head, compare.Letter(i))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	section := func(title string, of []difference) {
		table.row()
		if len(of) == 0 {
			table.row(strings.ToLower(title) + ": the same")
			return
		}
		head[0] = title
		table.row(slices.Clone(head)...)
		for _, difference := range of {
			row := []string{difference.Key}
			for _, value := range difference.Values {
				row = append(row, short(compare.ValueText(value)))
			}
			table.row(row...)
		}
	}
	table = newTable(c)
	section("CONFIG", d.Config)
	if err := table.Flush(); err != nil {
		return err
	}
	table = newTable(c)
	if !d.alone {
		section("ENVIRONMENT", d.Environment)
	}
	if err := table.Flush(); err != nil || len(d.Results) == 0 {
		return err
	}
	table = newTable(c)
	table.row()
	head = []string{"RESULT"}
	for i := range d.Runs {
		head = append(head, compare.Letter(i))
		if i > 0 {
			head = append(head, compare.Letter(i)+" − "+compare.Letter(0))
		}
	}
	table.row(head...)
	anyBeyond := false
	for _, r := range d.Results {
		row := []string{r.Figure}
		for i, value := range r.Values {
			text := "–"
			if value != nil {
				text = fmt.Sprintf("%.5g", float64(*value))
			}
			if value != nil && r.Intervals[i] != nil {
				text += fmt.Sprintf(" ± %.2g", float64(*r.Intervals[i]))
			}
			row = append(row, text)
			if i == 0 {
				continue
			}
			text = ""
			if gap := r.Differences[i]; gap != nil {
				text = fmt.Sprintf("%+.3g", float64(*gap))
			}
			if beyond := r.Beyond[i]; beyond != nil && *beyond {
				text += " *"
				anyBeyond = true
			}
			row = append(row, text)
		}
		table.row(row...)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if anyBeyond {
		fmt.Fprintln(c.stderr, "* more than the 95 % intervals over images of both; the seed is a cause of its own")
	}
	return nil
}

// short cuts a long value, such as a checksum.
func short(text string) string {
	const most = 40
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
