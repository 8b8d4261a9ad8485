package command

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"latent/pkg/compare"
	"latent/pkg/experiment"
	"latent/pkg/query"
	"latent/pkg/rundir"
	"latent/pkg/runs"
	"latent/pkg/sweep"
)

// listing is what is asked of a list of runs.
type listing struct {
	sort, states, name, where, columns, sweep string
	reverse, fields, csv, asJSON              bool
	limit                                     int
}

func newRunsList(c *console) *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "list [DIR]",
		Short: "List the runs below a folder, which is runs/ unless another is given",
		Long: `List prints the runs below a folder, the newest first, also those of sweeps: latent runs list sweeps. With --sweep NAME it prints the
trials of a sweep with their objectives.

A run that says it is running, though no process holds it, is "killed"; latent run --resume goes on with it. One whose manifest
cannot be read is "damaged". GAIN is how many dB a reconstruction is above its damaged input, ! the number of warnings, and CHANGED has the keys of the config that
differ between the listed runs of a name, but for seed and epochs, which have columns.

--where keeps the runs that meet a condition: == != < <= > >= of fields, numbers and texts; contains, startsWith, endsWith, matches and in; && || ! and
parentheses; has(FIELD). Words need no quotes beside a field. What compares a field that a run does not have is false. Fields are keys of the
config, figures such as test.psnr (or psnr), val.loss and gain, and state, name, seed, started, duration, best_epoch, warnings, tags and more, which
--fields lists. --columns and --sort take the same fields.`,
		Example: "  latent runs list --state done --sort psnr --limit 10\n  latent runs list sweeps --name 'noise-*' --json\n" +
			"  latent runs list --where 'train.learning_rate > 0.001 && model.kind == vae && good in tags'\n" +
			"  latent runs list --columns name,state,train.learning_rate,test.psnr --csv\n  latent runs list --sweep noise-lr --sort objective",
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&l.sort, "sort", "started", "by a field: of figures the best first, of started the newest, of duration the longest, else the smallest; -FIELD is the other way round")
	cmd.Flags().BoolVar(&l.reverse, "reverse", false, "the other way round")
	cmd.Flags().StringVar(&l.states, "state", "", "only runs that are done, running, failed, interrupted, diverged, pruned, killed or damaged; several with commas")
	cmd.Flags().StringVar(&l.name, "name", "", "only runs of experiments with this name, in which * stands for any text")
	cmd.Flags().StringVar(&l.where, "where", "", "only runs that meet a condition, such as 'test.psnr > 20 && model.kind == vae'")
	cmd.Flags().StringVar(&l.columns, "columns", "", "columns instead of the usual ones: fields, with commas")
	cmd.Flags().StringVar(&l.sweep, "sweep", "", "the trials of this sweep: its folder, or its name below DIR, which then is sweeps/, for the newest of that name")
	cmd.Flags().BoolVar(&l.fields, "fields", false, "list the fields that there are, instead of the runs")
	cmd.Flags().IntVar(&l.limit, "limit", 0, "only so many of the first; 0 is all")
	cmd.Flags().BoolVar(&l.csv, "csv", false, "print CSV, with the columns of --columns, or all that any of the runs has")
	cmd.Flags().BoolVar(&l.asJSON, "json", false, "print a list of runs as JSON, with their configs")
	cmd.MarkFlagsMutuallyExclusive("csv", "json")
	cmd.MarkFlagsMutuallyExclusive("columns", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		wanted, err := l.check()
		if err != nil {
			return usageError{err}
		}
		folder := ""
		if l.sweep != "" {
			dir := sweepsDir
			if len(args) > 0 {
				dir = args[0]
			}
			if folder, err = sweep.Find(dir, l.sweep); err != nil {
				return experiment.InputError{Err: fmt.Errorf("--sweep: %w", err)}
			}
			args = []string{filepath.Join(folder, "trials")}
		}
		entries, err := listRuns(c, args)
		if err != nil {
			return err
		}
		usual := l.where == "" && l.columns == "" && l.sort == "started" && !l.asJSON && !l.csv && !l.fields
		records := readRecords(c, entries, !usual || len(entries) <= mostCompared)
		fields := query.FieldsOf(records)
		if l.fields {
			return printFields(c, fields, l.asJSON)
		}
		view, err := l.resolve(fields)
		if err != nil {
			return usageError{err}
		}
		if folder != "" || slices.ContainsFunc(view.names(), query.OfTrial) {
			readTrials(cmd.Context(), c, records)
		}
		if view.condition != nil {
			if records, err = view.condition.Select(records); err != nil {
				return err
			}
		}
		records = slices.DeleteFunc(records, func(r *query.Record) bool {
			matches, _ := path.Match(l.name, r.Manifest.Name)
			return len(wanted) > 0 && !slices.Contains(wanted, r.State) || l.name != "" && !matches
		})
		slices.SortStableFunc(records, query.Order(view.sort, l.reverse))
		if l.limit > 0 {
			records = records[:min(l.limit, len(records))]
		}
		switch {
		case l.asJSON:
			all := make([]entryJSON, len(records))
			changed := changes(records)
			for i, r := range records {
				all[i] = newEntryJSON(r, changed[i])
			}
			return printJSON(c, all)
		case l.csv:
			return printCSV(c, records, view.columns, fields)
		case len(records) == 0:
			fmt.Fprintln(c.stderr, "no runs")
			return nil
		case len(view.columns) > 0:
			return printColumns(c, records, view.columns)
		}
		extra, isFigure := strings.CutPrefix(view.sort, "test.")
		if !isFigure || slices.Contains(listed, extra) {
			extra = ""
		}
		return printEntries(c, records, extra)
	}
	return cmd
}

// check looks at what needs no runs, and returns the states that are wanted.
func (l *listing) check() ([]rundir.State, error) {
	if field, reversed := strings.CutPrefix(l.sort, "-"); reversed {
		l.sort, l.reverse = field, !l.reverse
	}
	var wanted []rundir.State
	for _, word := range strings.FieldsFunc(l.states, func(r rune) bool { return r == ',' }) {
		if !slices.Contains(runs.States, rundir.State(word)) {
			return nil, fmt.Errorf("--state=%s: want some of %s", l.states, strings.Trim(fmt.Sprint(runs.States), "[]"))
		}
		wanted = append(wanted, rundir.State(word))
	}
	if l.limit < 0 {
		return nil, fmt.Errorf("--limit=%d: want 0 or more", l.limit)
	}
	if _, err := path.Match(l.name, ""); err != nil {
		return nil, fmt.Errorf("--name=%s: a [ without its ]", l.name)
	}
	return wanted, nil
}

// view is what is asked of a list, by fields that there are.
type view struct {
	sort      string
	columns   []string
	condition *query.Condition // nil where all are wanted
}

func (v view) names() []string {
	names := append([]string{v.sort}, v.columns...)
	if v.condition != nil {
		names = append(names, v.condition.Names()...)
	}
	return names
}

// resolve finds the fields that are asked for.
func (l *listing) resolve(fields query.Fields) (view, error) {
	var v view
	var err error
	explain := func(flag, value string, err error) error {
		if unknown, is := errors.AsType[query.UnknownField](err); is {
			and := ";"
			if unknown.Near != "" {
				and = "" // it ends with a question
			}
			return fmt.Errorf("--%s=%s: %w%s all fields are listed by %s runs list --fields", flag, value, err, and, program())
		}
		return fmt.Errorf("--%s=%s: %w", flag, value, err)
	}
	sort := l.sort
	if sort == "seconds" { // what duration is called in --json
		sort = "duration"
	}
	if v.sort, err = fields.Resolve(sort); err != nil {
		return v, explain("sort", l.sort, err)
	}
	for _, name := range strings.FieldsFunc(l.columns, func(r rune) bool { return r == ',' }) {
		name, err := fields.Resolve(strings.TrimSpace(name))
		if err != nil {
			return v, explain("columns", l.columns, err)
		}
		v.columns = append(v.columns, name)
	}
	if l.where != "" {
		if v.condition, err = query.Compile(l.where, fields); err != nil {
			return v, explain("where", l.where, err)
		}
	}
	return v, nil
}

// readRecords reads what a list needs of runs beside their manifests, and tells of labels that cannot be read.
func readRecords(c *console, entries []runs.Entry, configs bool) []*query.Record {
	records := query.Read(entries, configs)
	for _, r := range records {
		if r.LabelsErr != nil {
			fmt.Fprintf(c.stderr, "without its tags: %v\n", r.LabelsErr)
		}
	}
	return records
}

// readTrials asks the sweeps that runs are trials of what they know of them. A sweep that cannot be read is told of.
func readTrials(ctx context.Context, c *console, records []*query.Record) {
	sweeps := map[string]*sweep.Status{}
	for _, r := range records {
		folder := sweepOf(r.Path)
		if folder == "" {
			continue
		}
		status, asked := sweeps[folder]
		if !asked {
			var err error
			if status, err = sweep.StatusOf(ctx, folder); err != nil {
				fmt.Fprintf(c.stderr, "without objectives: %v\n", err)
			}
			sweeps[folder] = status
		}
		number, _, _ := strings.Cut(r.ID(), "-") // NUMBER-SEED
		n, err := strconv.Atoi(number)
		if status == nil || err != nil || n < 0 || n >= len(status.Trials) {
			continue
		}
		r.Trial = &query.Trial{Number: n, Objective: rundir.Number(math.NaN()), Maximize: status.Objectives[0].Direction == "max"}
		if value := status.Trials[n].Value; value != nil {
			r.Trial.Objective = rundir.Number(*value)
		}
	}
}

// fieldJSON is a field of runs, for programs.
type fieldJSON struct {
	Name string     `json:"name"`
	Kind query.Kind `json:"kind"`
}

// printFields lists the fields that there are.
func printFields(c *console, fields query.Fields, asJSON bool) error {
	var all []fieldJSON
	table := newTable(c)
	table.row("FIELD", "VALUES")
	for _, name := range fields.Names() {
		all = append(all, fieldJSON{name, fields[name]})
		table.row(name, string(fields[name]))
	}
	if asJSON {
		return printJSON(c, all)
	}
	return table.Flush()
}

// printColumns prints a table of some fields.
func printColumns(c *console, records []*query.Record, names []string) error {
	table := newTable(c)
	var head []string
	for _, name := range names {
		head = append(head, strings.ToUpper(name))
	}
	table.row(head...)
	for _, r := range records {
		var row []string
		for _, name := range names {
			row = append(row, fieldText(name, r.Value(name)))
		}
		table.row(row...)
	}
	return table.Flush()
}

// fieldText is a field's value for a person; figures are rounded.
func fieldText(name string, value any) string {
	x, isNumber := value.(float64)
	section, _, _ := strings.Cut(name, ".")
	switch {
	case !isNumber:
		if tags, are := value.([]string); are {
			return strings.Join(tags, ",")
		}
		return compare.ValueText(value)
	case name == "duration":
		return seconds(x)
	case name == "gain":
		return fmt.Sprintf("%+.2f", x)
	case slices.Contains([]string{"test", "val", "corrupted", "generated", "objective"}, section):
		return fmt.Sprintf("%.4g", x)
	}
	return exactly(x)
}

// exactly writes a number so that it can be read again.
func exactly(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// printCSV prints fields as RFC 4180 has them: lines that end with CR LF, and quotes where they are needed. Without names, it is all fields
// that at least one run has.
func printCSV(c *console, records []*query.Record, names []string, fields query.Fields) error {
	if len(names) == 0 {
		names = slices.DeleteFunc(fields.Names(), func(name string) bool {
			return !slices.ContainsFunc(records, func(r *query.Record) bool { return r.Value(name) != nil })
		})
	}
	w := csv.NewWriter(c.stdout)
	w.UseCRLF = true
	lines := [][]string{names}
	for _, r := range records {
		var line []string
		for _, name := range names {
			text := ""
			switch value := r.Value(name).(type) {
			case nil:
			case float64:
				text = exactly(value)
			case []string:
				text = strings.Join(value, ",")
			default:
				text = fmt.Sprint(value)
			}
			line = append(line, text)
		}
		lines = append(lines, line)
	}
	return w.WriteAll(lines)
}

// listed are the figures in a list's columns.
var listed = []string{"psnr", "mse"}

// printEntries prints a table of runs, with one figure more where that is not "". Columns that would be empty are left out.
func printEntries(c *console, entries []*query.Record, extra string) error {
	figures := listed
	if extra != "" {
		figures = append(slices.Clone(listed), extra)
	}
	changed := changes(entries)
	head := []string{"RUN", "STATE", "EPOCHS", "SEED", "OBJECTIVE", "GAIN"}
	for _, name := range figures {
		head = append(head, strings.ToUpper(name))
	}
	rows := [][]string{append(head, "TIME", "!", "TAGS", "CHANGED")}
	for i, e := range entries {
		m := e.Manifest
		row := []string{e.Path, string(e.State), "", "", "", ""}
		if !m.Started.IsZero() {
			row[2], row[3] = fmt.Sprintf("%d/%d", m.Progress.Epoch, m.Progress.Epochs), strconv.FormatInt(m.Seed, 10)
		}
		for column, name := range map[int]string{4: "objective", 5: "gain"} {
			if value := e.Value(name); value != nil {
				row[column] = fieldText(name, value)
			}
		}
		for _, name := range figures {
			text := ""
			if x, found := e.Figure(name); found {
				text = fmt.Sprintf("%.4g", x)
			}
			row = append(row, text)
		}
		took, warnings := "", ""
		if s := e.Seconds(); s > 0 {
			took = seconds(s)
		}
		if n := len(m.Warnings); n > 0 {
			warnings = strconv.Itoa(n)
		}
		var keys []string
		for _, key := range slices.Sorted(maps.Keys(changed[i])) {
			keys = append(keys, fmt.Sprintf("%s=%v", key, changed[i][key]))
		}
		rows = append(rows, append(row, took, warnings, strings.Join(e.Labels.Tags, ","), strings.Join(keys, " ")))
	}
	table := newTable(c)
	for _, row := range rows {
		var cells []string
		for column, cell := range row {
			if slices.ContainsFunc(rows[1:], func(row []string) bool { return row[column] != "" }) {
				cells = append(cells, cell)
			}
		}
		table.row(cells...)
	}
	return table.Flush()
}

// mostCompared is of how many runs configs are compared where nothing else needs them: reading one takes about a millisecond.
const mostCompared = 1000

// changes are the values of each run's config, of keys that all of these runs with its name have, that are not the same for all; seed and epochs
// are left out. A config that cannot be read changes nothing, nor do more than [mostCompared].
func changes(entries []*query.Record) []map[string]any {
	changed := make([]map[string]any, len(entries))
	if len(entries) > mostCompared {
		return changed
	}
	named := map[string]*keysOfName{}
	for _, e := range entries {
		if e.Config == nil {
			continue
		}
		of := named[e.Manifest.Name]
		if of == nil {
			of = &keysOfName{first: e.Config, runs: map[string]int{}, differs: map[string]bool{}}
			named[e.Manifest.Name] = of
		}
		of.all++
		for key, value := range e.Config {
			of.runs[key]++
			of.differs[key] = of.differs[key] || !reflect.DeepEqual(of.first[key], value)
		}
	}
	for i, e := range entries {
		changed[i] = map[string]any{}
		for key, value := range e.Config {
			of := named[e.Manifest.Name]
			if of.differs[key] && of.runs[key] == of.all && key != "seed" && key != "train.epochs" {
				changed[i][key] = value
			}
		}
	}
	return changed
}

// keysOfName are the keys of the runs of a name.
type keysOfName struct {
	all     int            // runs
	first   map[string]any // values of the first
	runs    map[string]int // that have a key
	differs map[string]bool
}
