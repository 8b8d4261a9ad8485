package command

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"latent/pkg/compare"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/rundir"
	"latent/pkg/runs"
)

func newCompare(c *console) *cobra.Command {
	var base, out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare RUN RUN…",
		Short: "Compare runs: curves, config, figures, sample by sample",
		Long: `Compare measures the models of runs on their test samples, and compares each with the first run, or that of --base, sample by
sample: the mean difference of a figure over the same samples, with its 95 % interval and the p-value of the paired t-test. It does so
where the samples and what damages them are the same, and says where they are not.

With -o, it writes a page: curves over steps and over time, in which runs that differ in their seed alone are one, the keys of the config
that differ, the figures, and the first test images as each run reconstructs them. latent diff compares configs and environments without
measuring anything.`,
		Example: "  latent compare runs/mnist-denoise/* -o page.html\n  latent compare 7f3a 09bc --base mnist-denoise --json",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&base, "base", "", "the run that the others are compared with, instead of the first")
	cmd.Flags().StringVarP(&out, "out", "o", "", "write a page to this file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the comparison as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if base != "" {
			args = append([]string{base}, args...)
		}
		entries, err := openEntries(c, args, base != "")
		if err != nil {
			return err
		}
		if len(entries) < 2 {
			return usageError{fmt.Errorf("one run, %s; a comparison needs two; see %s --help", entries[0].Path, cmd.CommandPath())}
		}
		if err := canPut(out); err != nil {
			return err
		}
		found, err := compare.Open(entries)
		if err != nil {
			return err
		}
		lab := experiment.NewLab(experiment.Options{Log: c.stderr, Terminal: c.terminal()})
		err = found.Measure(cmd.Context(), lab)
		lab.Close()
		if err != nil {
			return err
		}
		for _, r := range found.Runs {
			for _, warning := range r.Warnings {
				fmt.Fprintf(c.stderr, "WARNING: %s: %s\n", message.Clean(r.Path), message.Clean(warning))
			}
		}
		if out != "" {
			if err := writePage(c, out, found.Render); err != nil {
				return err
			}
		}
		if asJSON {
			return printJSON(c, newComparisonJSON(found, out))
		}
		return printComparison(c, found)
	}
	return cmd
}

// openEntries opens the runs that arguments name, each once. based says that the first may be named again among the others.
func openEntries(c *console, names []string, based bool) ([]runs.Entry, error) {
	var entries []runs.Entry
	var known folders
	for _, name := range names {
		path, err := pathOf(name)
		if err != nil {
			return nil, err
		}
		entry, err := runs.Open(path)
		if err != nil {
			return nil, experiment.InputError{Err: err}
		}
		at, err := known.add(entry.Path)
		if err != nil {
			return nil, experiment.InputError{Err: err}
		}
		if at < 0 {
			entries = append(entries, entry)
		} else if !(based && at == 0) {
			fmt.Fprintf(c.stderr, "%s is the run %s, which is named before: it is compared once\n", message.Clean(name), message.Clean(entries[at].Path))
		}
	}
	return entries, nil
}

// folders are some, whatever paths they are named by.
type folders []os.FileInfo

// add adds a folder, or returns the place of the same among those before, and else -1.
func (f *folders) add(path string) (int, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if at := slices.IndexFunc(*f, func(known os.FileInfo) bool { return os.SameFile(known, info) }); at >= 0 {
		return at, nil
	}
	*f = append(*f, info)
	return -1, nil
}

// canPut says whether a page can be written there, before the work; "" is no page.
func canPut(page string) error {
	if page == "" {
		return nil
	}
	dir := filepath.Dir(page)
	info, err := os.Stat(page)
	switch {
	case err == nil && info.IsDir():
		err = errors.New("it is a folder")
	default:
		_, err = os.Stat(dir)
	}
	if err := cmp.Or(err, canWrite(dir)); err != nil {
		return experiment.InputError{Err: fmt.Errorf("write the page %s: %w; choose another with -o", page, err)}
	}
	return nil
}

// writePage writes a page, whole or not at all.
func writePage(c *console, path string, render func(w io.Writer) error) error {
	var page bytes.Buffer
	if err := render(&page); err != nil {
		return err
	}
	if err := rundir.WriteFile(path, page.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(c.stderr, "page     %s\n", path)
	return nil
}

// comparisonJSON is a comparison for programs.
type comparisonJSON struct {
	Base   string            `json:"base"`
	Runs   []comparedRunJSON `json:"runs"`
	Config []difference      `json:"config"` // values in the order of the runs
	Page   string            `json:"page,omitempty"`
}

type comparedRunJSON struct {
	Letter   string                              `json:"letter"`
	Run      string                              `json:"run"`
	Name     string                              `json:"name"`
	Seed     int64                               `json:"seed"`
	State    rundir.State                        `json:"state"`
	Test     map[string]rundir.Number            `json:"test"`
	Interval map[string]map[string]rundir.Number `json:"interval,omitempty"`
	// Group is the letter of the first run that differs from this in its seed alone, or its own.
	Group string `json:"group"`
	// Paired are the differences from the base over the same samples; null of the base, and where Unpaired says why not.
	Paired   map[string]pairedJSON `json:"paired"`
	Unpaired string                `json:"unpaired,omitempty"`
	Warnings []string              `json:"warnings,omitempty"`
}

type pairedJSON struct {
	Mean     rundir.Number `json:"mean"`
	Interval rundir.Number `json:"interval"`
	P        rundir.Number `json:"p"`
	Samples  int           `json:"samples"`
}

func newComparisonJSON(found *compare.Comparison, page string) comparisonJSON {
	all := comparisonJSON{Base: found.Runs[0].Path, Config: []difference{}, Page: page}
	for _, d := range found.Config {
		all.Config = append(all.Config, difference(d))
	}
	for _, r := range found.Runs {
		m := r.Manifest
		one := comparedRunJSON{Letter: r.Letter, Run: r.Path, Name: m.Name, Seed: m.Seed, State: r.State, Test: m.Result.Test, Interval: m.Result.Interval,
			Unpaired: r.Unpaired, Warnings: r.Warnings}
		for _, g := range found.Groups {
			if slices.Contains(g.Runs, r) {
				one.Group = g.Runs[0].Letter
			}
		}
		for name, d := range found.Differences(r) {
			if one.Paired == nil {
				one.Paired = map[string]pairedJSON{}
			}
			one.Paired[name] = pairedJSON{rundir.Number(d.Mean), rundir.Number(d.Interval), rundir.Number(d.P), d.Samples}
		}
		all.Runs = append(all.Runs, one)
	}
	return all
}

// printComparison prints the runs with their figures, and the differences sample by sample.
func printComparison(c *console, found *compare.Comparison) error {
	var recorded, paired []evaluate.Metric
	for _, figure := range compare.Figures {
		if slices.ContainsFunc(found.Runs, func(r *compare.Run) bool { _, has := r.Recorded(figure.Name); return has }) {
			recorded = append(recorded, figure)
		}
		if slices.ContainsFunc(found.Runs, func(r *compare.Run) bool { _, has := found.Differences(r)[figure.Name]; return has }) {
			paired = append(paired, figure)
		}
	}
	table := newTable(c)
	head := []string{"", "RUN", "STATE"}
	for _, figure := range recorded {
		head = append(head, heading(figure))
	}
	table.row(append(head, "DIFFERS IN")...)
	for i, r := range found.Runs {
		row := []string{r.Letter, r.Path, string(r.State)}
		for _, figure := range recorded {
			text := "–"
			if value, has := r.Recorded(figure.Name); has {
				mean, interval := value.Text()
				text = strings.TrimSuffix(mean+" ± "+interval, " ± ")
			}
			row = append(row, text)
		}
		var keys []string
		for _, d := range found.Config {
			if d.Values[i] != nil && d.Key != "name" && !strings.HasPrefix(d.Key, "output.") {
				keys = append(keys, fmt.Sprintf("%s=%s", d.Key, short(compare.ValueText(d.Values[i]))))
			}
		}
		table.row(append(row, strings.Join(keys, " "))...)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	table = newTable(c)
	table.row()
	base := found.Runs[0]
	head = []string{"SAMPLE BY SAMPLE"}
	for _, figure := range paired {
		head = append(head, heading(figure), "p")
	}
	table.row(head...)
	for _, r := range found.Runs[1:] {
		if r.Unpaired != "" {
			continue
		}
		row, differences := []string{r.Letter + " − " + base.Letter}, found.Differences(r)
		for _, figure := range paired {
			if d, has := differences[figure.Name]; has {
				row = append(row, d.Text(), strings.TrimPrefix(d.PText(), "= "))
			} else {
				row = append(row, "–", "")
			}
		}
		table.row(row...)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range found.Runs[1:] {
		if r.Unpaired != "" {
			fmt.Fprintf(c.stdout, "%s is left out: %s\n", r.Letter, message.Clean(r.Unpaired))
		}
	}
	if len(paired) > 0 {
		fmt.Fprintf(c.stderr, "mean differences over the same %d %s with 95 %% intervals and p of the paired t-test; the seed is a cause of its own\n",
			base.Measured.Images, base.Manifest.Data.Noun())
	}
	return nil
}

// heading is a figure's name with its unit at the head of a column.
func heading(figure evaluate.Metric) string {
	return strings.TrimSpace(strings.ToUpper(figure.Label()) + " " + figure.Unit)
}
