package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"latent/pkg/compare"
	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/query"
	"latent/pkg/report"
	"latent/pkg/rundir"
	"latent/pkg/runs"
)

// runsDir is where runs are looked for unless a folder is given: what output.dir is by default.
const runsDir = "runs"

func newRuns(c *console) *cobra.Command {
	group := &cobra.Command{
		Use:   "runs",
		Short: "List, show, tag and remove runs",
		Long: `Runs lists, shows, tags and removes the runs below a folder.

A RUN is the path of a run's folder; or the beginning or the end of TIME-ID, where only one run in the folder runs/ has it; or the
name of an experiment, for its newest run.`,
	}
	group.AddCommand(newRunsList(c), newRunsShow(c), newRunsTag(c), newRunsNote(c), newRunsRemove(c), newRunsClean(c))
	return group
}

// findRun returns the run that an argument names.
func findRun(name string) (runs.Entry, error) {
	entry, err := runs.Find(runsDir, name)
	if err != nil {
		return entry, experiment.InputError{Err: err}
	}
	return entry, nil
}

// pathOf returns the folder of the run that an argument names. What is there is taken as it is: whoever opens it says what is wrong
// with it.
func pathOf(name string) (string, error) {
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	entry, err := findRun(name)
	return entry.Path, err
}

// openRun opens the run that an argument names, for use.
func openRun(ctx context.Context, name string, overrides []string, options experiment.Options) (*experiment.Trained, error) {
	run, err := pathOf(name)
	if err != nil {
		return nil, err
	}
	return experiment.Open(ctx, run, overrides, options)
}

// listRuns returns the runs below the folder that the arguments name, or below runs/, and tells of folders that cannot be read.
func listRuns(c *console, args []string) ([]runs.Entry, error) {
	dir := runsDir
	if len(args) > 0 {
		dir = args[0]
	}
	entries, unread, err := runs.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, experiment.InputError{Err: fmt.Errorf("there is no folder %s; which has the runs? %s runs list DIR", dir, program())}
	}
	if err != nil {
		return nil, experiment.InputError{Err: err}
	}
	for _, err := range unread {
		fmt.Fprintf(c.stderr, "not listed: %v\n", err)
	}
	return entries, nil
}

// entryJSON is a run in a list, for programs.
type entryJSON struct {
	Path       string                   `json:"path"`
	Name       string                   `json:"name"`
	State      rundir.State             `json:"state"`
	Error      string                   `json:"error,omitempty"`
	Seed       int64                    `json:"seed"`
	Dataset    string                   `json:"dataset"`
	Started    *time.Time               `json:"started"` // null where it is not known
	Epoch      int                      `json:"epoch"`
	Epochs     int                      `json:"epochs"`
	Seconds    rundir.Number            `json:"seconds"`
	Parameters int                      `json:"parameters"`
	Test       map[string]rundir.Number `json:"test"`
	// Changed are the values of the config that are not the same for all listed runs of this name.
	Changed  map[string]any   `json:"changed,omitempty"`
	Warnings []rundir.Warning `json:"warnings,omitempty"`
	Tags     []string         `json:"tags,omitempty"`
	Note     string           `json:"note,omitempty"`
	// Trial is the run's place in its sweep, where that was asked for.
	Trial *query.Trial `json:"trial,omitempty"`
	// Config are the values of the config by their keys, in a list.
	Config map[string]any `json:"config,omitempty"`
}

func newEntryJSON(e *query.Record, changed map[string]any) entryJSON {
	m := e.Manifest
	entry := entryJSON{Path: e.Path, Name: m.Name, State: e.State, Error: m.Error, Seed: m.Seed, Dataset: m.Data.Dataset,
		Epoch: m.Progress.Epoch, Epochs: m.Progress.Epochs, Seconds: rundir.Number(e.Seconds()), Parameters: m.Model.Parameters, Test: m.Result.Test,
		Changed: changed, Warnings: m.Warnings, Tags: e.Labels.Tags, Note: e.Labels.Note, Trial: e.Trial, Config: e.Config}
	if e.Err != nil {
		entry.Error = e.Err.Error()
	}
	if !m.Started.IsZero() {
		entry.Started = &m.Started
	}
	return entry
}

// byFigure orders runs by a figure, the best first; those without it come last.
func byFigure(figure string) func(a, b runs.Entry) int {
	higher := config.Objective{Metric: figure}.Maximize()
	value := func(e runs.Entry) float64 {
		x, found := e.Figure(figure)
		switch {
		case !found || math.IsNaN(x):
			return math.Inf(1)
		case higher:
			return -x
		}
		return x
	}
	return func(a, b runs.Entry) int { return cmp.Compare(value(a), value(b)) }
}

// figuresOf lists the figures that at least one of the runs has.
func figuresOf(entries []runs.Entry) []string {
	names := map[string]bool{}
	for _, e := range entries {
		for name := range e.Manifest.Result.Test {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// checkFigure says, of a figure that no run has, which there are.
func checkFigure(flag, figure string, entries []runs.Entry, others ...string) error {
	known := append(others, figuresOf(entries)...)
	if len(entries) == 0 || slices.Contains(known, figure) {
		return nil
	}
	return usageError{fmt.Errorf("--%s=%s: no run has such a figure; there are %s", flag, figure, strings.Join(known, ", "))}
}

// columns are columns of text on standard output.
type columns struct{ *tabwriter.Writer }

func newTable(c *console) columns { return columns{tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)} }

// row writes a line. Text comes from files, and may have anything in it.
func (t columns) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = message.Clean(cell)
	}
	fmt.Fprintln(t, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

// amount is a number of bytes.
func amount(bytes int64) string {
	switch {
	case bytes >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	case bytes >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
	}
	return fmt.Sprintf("%d B", bytes)
}

// changeJSON is a key that is not at its default, for programs.
type changeJSON struct {
	Key     string `json:"key"`
	Default any    `json:"default"`
	Value   any    `json:"value"`
}

func newRunsShow(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show RUN",
		Short:   "Show a run: figures, what its config changes of the defaults, files",
		Example: "  latent runs show mnist-denoise\n  latent runs show runs/mnist-denoise/2026-11-24T10-15-30-7f3a --json",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the manifest, the changes of the config and the files as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		entry, err := findRun(args[0])
		if err != nil {
			return err
		}
		run := &rundir.Run{Path: entry.Path}
		record := readRecords(c, []runs.Entry{entry}, false)[0]
		changes := []changeJSON{}
		e, configErr := config.Load(run.ConfigPath())
		if configErr == nil {
			differences, err := e.Changes()
			if err != nil {
				return err
			}
			for _, d := range differences {
				changes = append(changes, changeJSON{d.Key, d.Values[0], d.Values[1]})
			}
		}
		files, err := run.Files()
		if err != nil {
			return err
		}
		if asJSON {
			shown := struct {
				entryJSON
				ConfigError string           `json:"config_error,omitempty"`
				Changes     []changeJSON     `json:"changes"`
				Files       []rundir.File    `json:"files"`
				Manifest    *rundir.Manifest `json:"manifest"` // null of a damaged run
			}{entryJSON: newEntryJSON(record, nil), Changes: changes, Files: files}
			if configErr != nil {
				shown.ConfigError = configErr.Error()
			}
			if entry.Err == nil {
				shown.Manifest = entry.Manifest
			}
			return printJSON(c, shown)
		}
		if err := showRun(c, record); err != nil {
			return err
		}
		fmt.Fprintln(c.stdout)
		table := newTable(c)
		switch {
		case configErr != nil:
			fmt.Fprintf(c.stderr, "the config cannot be read: %v\n", configErr)
		case len(changes) == 0:
			table.row("config", "all is as the defaults are")
		default:
			table.row("CONFIG", "VALUE", "DEFAULT")
		}
		for _, change := range changes {
			table.row(change.Key, compare.ValueText(change.Value), compare.ValueText(change.Default))
		}
		table.row()
		table.row("FILE", "SIZE")
		var sum int64
		for _, file := range files {
			table.row(file.Path, amount(file.Size))
			sum += file.Size
		}
		table.row("together", amount(sum))
		return table.Flush()
	}
	return cmd
}

// showRun prints what the manifest says.
func showRun(c *console, entry *query.Record) error {
	m := entry.Manifest
	table := newTable(c)
	line := func(name, format string, args ...any) {
		if text := strings.TrimSpace(fmt.Sprintf(format, args...)); text != "" {
			table.row(name, text)
		}
	}
	line("run", "%s", entry.Path)
	line("state", "%s", entry.State)
	line("tags", "%s", strings.Join(entry.Labels.Tags, ", "))
	for i, text := range strings.Split(entry.Labels.Note, "\n") {
		line([]string{"note", ""}[min(i, 1)], "%s", text)
	}
	if entry.Resumable() {
		line("", "go on with %s run --resume %s", program(), message.Quote(entry.Path))
	}
	if entry.Err != nil {
		line("error", "%v", entry.Err)
		return table.Flush()
	}
	line("error", "%s", m.Error)
	line("command", "%s", m.Command)
	if m.Started.IsZero() { // it has only just begun
		return table.Flush()
	}
	line("started", "%s", m.Started.Format(time.DateTime))
	if m.Finished != nil {
		line("finished", "%s", m.Finished.Format(time.DateTime))
	}
	line("epochs", "%d of %d", m.Progress.Epoch, m.Progress.Epochs)
	line("seed", "%d", m.Seed)
	line("images", "%s: %d training, %d validation, %d test", m.Data.Dataset, m.Data.Train, m.Data.Validation, m.Data.Test)
	line("parameters", "%d", m.Model.Parameters)
	line("backend", "%s on %s", m.Backend.Name, m.Backend.Device)
	line("latent", "%s %s", m.Versions["latent"], m.Git.Commit)
	for _, what := range []string{"start", "data", "compile", "train", "evaluate", "write"} {
		if s, found := m.Timings[what]; found {
			line(what, "%s", seconds(s))
		}
	}
	if m.Result.Epoch > 0 {
		line("weights", "%s, of epoch %d", m.Result.Weights, m.Result.Epoch)
	}
	if figures := report.Figures(m.Result); len(figures) > 0 {
		table.row()
		table.row("FIGURE", "TEST IMAGES", "± 95 %", "CORRUPTED INPUT")
		for _, f := range figures {
			table.row(f.Name, strings.TrimSpace(f.Value+" "+f.Unit), f.Interval, f.Corrupted)
		}
	}
	return table.Flush()
}

func newRunsRemove(c *console) *cobra.Command {
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:     "rm RUN…",
		Aliases: []string{"remove"},
		Short:   "Remove runs with all that is in their folders",
		Long: `Rm removes the folders of runs, after it has asked. All are looked at before the first is removed: what is no run, what is
running, and what belongs to a sweep is refused. A run is given by its path or TIME-ID, not by its name.`,
		Example: "  latent runs rm runs/mnist-denoise/2026-11-24T10-15-30-7f3a\n  latent runs rm 7f3a --yes",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "remove without asking")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was removed as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var removals []removal
		for _, arg := range args {
			entry, err := findRun(arg)
			if err != nil {
				return err
			}
			if filepath.Clean(arg) != entry.Path && arg == entry.Manifest.Name {
				return usageError{fmt.Errorf("%s is a name; say which of its runs: %s, or another", arg, entry.Path)}
			}
			if err := removable(entry); err != nil {
				return experiment.InputError{Err: err}
			}
			if slices.ContainsFunc(removals, func(r removal) bool { return r.Path == entry.Path }) {
				continue
			}
			r, err := wholeRun(entry, string(entry.State))
			if err != nil {
				return err
			}
			removals = append(removals, r)
		}
		printRemovals(c, removals)
		if !yes && !c.confirm(fmt.Sprintf("Remove %s, with all in them?", message.Count(len(removals), "run"))) {
			if !c.answers() {
				return usageError{errors.New("nothing was removed: nobody can be asked here; --yes removes without asking")}
			}
			fmt.Fprintln(c.stderr, "nothing was removed")
			return nil
		}
		return remove(c, removals, asJSON)
	}
	return cmd
}

// removable says why a run must stay.
func removable(e runs.Entry) error {
	if info, err := os.Lstat(e.Path); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is a link; give the run's own folder", e.Path)
	}
	if e.Linked {
		return fmt.Errorf("%s lies behind a link; give the run's own folder", e.Path)
	}
	if e.State == rundir.Running {
		return fmt.Errorf("%s is running; end it first", e.Path)
	}
	if sweep := sweepOf(e.Path); sweep != "" {
		return fmt.Errorf("%s belongs to the sweep %s, which needs it; remove the sweep's folder instead", e.Path, sweep)
	}
	return nil
}

// sweepOf returns the folder of the sweep that a run is a trial of, SWEEP/trials/RUN; "" where it is none.
func sweepOf(run string) string {
	absolute, err := filepath.Abs(run)
	if err != nil {
		return ""
	}
	trials := filepath.Dir(absolute)
	sweep := filepath.Dir(trials)
	if _, err := os.Lstat(filepath.Join(sweep, "sweep.json")); err != nil || filepath.Base(trials) != "trials" {
		return ""
	}
	return sweep
}

// removal is something that is removed: a run, or some files of it.
type removal struct {
	Path  string   `json:"path"`            // the run's folder
	Files []string `json:"files,omitempty"` // of the folder; none where all of it goes
	Why   string   `json:"why"`
	Bytes int64    `json:"bytes"`
	// do removes it.
	do func() error
}

func wholeRun(e runs.Entry, why string) (removal, error) {
	run := &rundir.Run{Path: e.Path}
	files, err := run.Files()
	if err != nil {
		return removal{}, err
	}
	return removal{Path: e.Path, Why: why, Bytes: sizeOf(files), do: run.Remove}, nil
}

// someFiles is a removal of some files of a run.
func someFiles(e runs.Entry, files []rundir.File, why string, do func() error) removal {
	r := removal{Path: e.Path, Why: why, Bytes: sizeOf(files), do: do}
	for _, file := range files {
		r.Files = append(r.Files, file.Path)
	}
	return r
}

func sizeOf(files []rundir.File) int64 {
	var sum int64
	for _, file := range files {
		sum += file.Size
	}
	return sum
}

// printRemovals lists what is to be removed, for a person.
func printRemovals(c *console, removals []removal) {
	for _, r := range removals {
		what := "all"
		if len(r.Files) > 0 {
			what = strings.Join(r.Files, " ")
		}
		fmt.Fprintf(c.stderr, "%-10s %s  %s: %s\n", amount(r.Bytes), message.Clean(r.Path), message.Clean(what), message.Clean(r.Why))
	}
}

// remove removes, and says how much that freed. What cannot be removed does not keep the rest.
func remove(c *console, removals []removal, asJSON bool) error {
	done, freed := []removal{}, int64(0)
	var failed error
	for _, r := range removals {
		if err := r.do(); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		done, freed = append(done, r), freed+r.Bytes
	}
	fmt.Fprintf(c.stderr, "removed %s\n", amount(freed))
	if asJSON {
		failed = errors.Join(failed, printJSON(c, removalsJSON{done, freed}))
	}
	return failed
}

// removalsJSON is what was removed, or would be.
type removalsJSON struct {
	Removed []removal `json:"removed"`
	Bytes   int64     `json:"bytes"`
}

func newRunsClean(c *console) *cobra.Command {
	var failed, checkpoints, yes, asJSON bool
	var keep int
	var by, older string
	cmd := &cobra.Command{
		Use:   "gc [DIR]",
		Short: "Remove what is no longer needed of the runs below a folder",
		Long: `Gc lists what can go of the runs below a folder, which is runs/ unless another is given, and removes it with --yes:

  always              files that a killed process left half-written
  --failed            runs that failed or diverged; damaged ones are for latent runs rm, one by one
  --keep-best N       of the runs of each name that are done, all but the best N by the figure of --by
  --checkpoints       of runs that are done, the checkpoints that their figures do not rest on: all but the best. Such a run
                      can still be measured, exported and used, but not with evaluate.weights=last
  --older 30d         of all this, only in runs that began so long ago

What runs, what can be resumed, and the trials of sweeps stay, but for the checkpoints of trials; and so does what trained
together with a run that can be resumed.`,
		Example: "  latent runs gc --checkpoints\n  latent runs gc --failed --keep-best 3 --by psnr --older 30d --yes",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&failed, "failed", false, "remove runs that failed or diverged")
	cmd.Flags().IntVar(&keep, "keep-best", 0, "remove the runs of a name that are done but for the best so many")
	cmd.Flags().StringVar(&by, "by", "psnr", "figure of the test images that says what is best, with --keep-best; a run without it stays")
	cmd.Flags().BoolVar(&checkpoints, "checkpoints", false, "remove the checkpoints of runs that are done but for the one that was measured")
	cmd.Flags().StringVar(&older, "older", "", "only of runs that began so long ago, such as 12h or 30d")
	cmd.Flags().BoolVar(&yes, "yes", false, "remove what is listed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was removed, or would be, as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		age, err := ageIn(older)
		if err != nil {
			return usageError{err}
		}
		if keep < 1 && cmd.Flags().Changed("keep-best") {
			return usageError{fmt.Errorf("--keep-best=%d: want 1 or more", keep)}
		}
		if keep == 0 && cmd.Flags().Changed("by") {
			return usageError{errors.New("--by says what --keep-best keeps; give that too")}
		}
		entries, err := listRuns(c, args)
		if err != nil {
			return err
		}
		if keep > 0 {
			if err := checkFigure("by", by, entries); err != nil {
				return err
			}
		}
		unneeded := map[string]string{} // why, by the run's path
		if failed {
			markFailed(unneeded, entries)
		}
		if keep > 0 {
			markWorse(unneeded, entries, by, keep)
		}
		protect(unneeded, entries)
		begun := time.Now().Add(-age)
		removals := []removal{}
		for _, e := range entries {
			if e.State == rundir.Running || e.Linked || older != "" && (e.Manifest.Started.IsZero() || e.Manifest.Started.After(begun)) {
				continue
			}
			found, err := unneededOf(e, unneeded[e.Path], checkpoints)
			if err != nil {
				fmt.Fprintf(c.stderr, "left as it is: %v\n", err)
			}
			removals = append(removals, found...)
		}
		printRemovals(c, removals)
		if len(removals) == 0 {
			fmt.Fprintln(c.stderr, "nothing to remove")
		}
		if yes && len(removals) > 0 {
			return remove(c, removals, asJSON)
		}
		var sum int64
		for _, r := range removals {
			sum += r.Bytes
		}
		if len(removals) > 0 {
			fmt.Fprintf(c.stderr, "nothing was removed yet; --yes removes these %s\n", amount(sum))
		}
		if asJSON {
			return printJSON(c, removalsJSON{removals, sum})
		}
		return nil
	}
	return cmd
}

// ageIn reads a length of time such as 30d; 0 of "".
func ageIn(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	number, isDays := strings.CutSuffix(text, "d")
	if isDays {
		days, err := strconv.ParseFloat(number, 64)
		if err == nil && days >= 0 && days <= 36500 {
			return time.Duration(days * float64(24*time.Hour)), nil
		}
	} else if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return age, nil
	}
	return 0, fmt.Errorf("--older=%s: want a length of time, such as 12h or 30d", text)
}

// markFailed marks runs that came to nothing, with why. A manifest that cannot be read says nothing of its run: it may be of a newer
// version, or for others' eyes.
func markFailed(unneeded map[string]string, entries []runs.Entry) {
	for _, e := range entries {
		if e.State == rundir.Failed || e.State == rundir.Diverged {
			unneeded[e.Path] = string(e.State)
		}
	}
}

// markWorse marks the runs of each name that are done, but for the best.
func markWorse(unneeded map[string]string, entries []runs.Entry, by string, keep int) {
	ranked := slices.Clone(entries)
	slices.SortStableFunc(ranked, byFigure(by))
	better := map[string]int{}
	for _, e := range ranked {
		x, found := e.Figure(by)
		if !found || math.IsNaN(x) || e.State != rundir.Done {
			continue
		}
		if better[e.Manifest.Name]++; better[e.Manifest.Name] > keep {
			unneeded[e.Path] = fmt.Sprintf("%s %.4g is number %d of %s", by, x, better[e.Manifest.Name], e.Manifest.Name)
		}
	}
}

// protect takes back the marks of what has to stay.
func protect(unneeded map[string]string, entries []runs.Entry) {
	for _, e := range entries {
		if removable(e) != nil {
			delete(unneeded, e.Path)
		}
		if e.Resumable() || e.State == rundir.Running {
			for _, name := range e.Manifest.Group {
				delete(unneeded, filepath.Join(filepath.Dir(e.Path), name))
			}
		}
	}
}

// unneededOf lists what of a run can go: all of it, where a reason is given, or files.
func unneededOf(e runs.Entry, why string, checkpoints bool) ([]removal, error) {
	if why != "" {
		r, err := wholeRun(e, why)
		return []removal{r}, err
	}
	run := &rundir.Run{Path: e.Path}
	var removals []removal
	half, err := run.HalfWritten()
	if err != nil {
		return nil, err
	}
	if len(half) > 0 {
		removals = append(removals, someFiles(e, half, "half-written", run.RemoveHalfWritten))
	}
	if checkpoints && e.State == rundir.Done {
		spare, err := run.SpareCheckpoints()
		if err != nil {
			return removals, err
		}
		if len(spare) > 0 {
			removals = append(removals, someFiles(e, spare, "not the checkpoint that was measured", run.RemoveSpareCheckpoints))
		}
	}
	return removals, nil
}
