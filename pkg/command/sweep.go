package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"latent/pkg/compare"
	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/rundir"
	"latent/pkg/survey"
	"latent/pkg/sweep"
)

func newSweep(c *console) *cobra.Command {
	var out, launcher, resume string
	var workers, stack int
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "sweep SWEEP [key=value …]",
		Short: "Search for the values of an experiment's keys that make a metric best",
		Long: `Sweep tries values of an experiment's keys, as a sweep's file says, and leaves a folder with all trials, a page and the best
of them as a config.

Overrides change values of the sweep: budget.trials=20 strategy={kind: random} set.train.epochs=2

Ctrl-C saves what runs; "sweep resume NAME" goes on, and tries what an undisturbed sweep would have tried.

A sweep that was begun is named by the path of its folder; by its name, for the newest of that name; or by the beginning or the end of
TIME-ID, where only one sweep in the folder sweeps/ has it.`,
		Example: "  latent sweep configs/sweeps/noise-lr.yaml\n  latent sweep status noise-lr --json",
		Args:    cobra.ArbitraryArgs,
	}
	cmd.Flags().StringVar(&out, "out", "", "folder for all sweeps, instead of dir")
	cmd.Flags().IntVar(&workers, "workers", 1, "run trials in so many processes, instead of workers")
	cmd.Flags().IntVar(&stack, "stack", 1, "train so many trials together, instead of stack")
	cmd.Flags().StringVar(&launcher, "launcher", "local", "where workers run: local or slurm")
	cmd.Flags().StringVar(&resume, "resume", "", "go on with the sweep in this folder, as sweep resume does")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the first trials and how long the sweep may take, without running it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the sweep's status as JSON at the end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if resume != "" {
			if out != "" || dryRun || cmd.Flags().Changed("stack") {
				return usageError{errors.New("--resume takes the sweep's own config; leave SWEEP, --out, --stack and --dry-run out")}
			}
			return resumeSweep(cmd, c, resume, args, workersOf(cmd, workers), launcher, asJSON)
		}
		if len(args) == 0 {
			return usageError{fmt.Errorf("which sweep? for example: %s sweep configs/sweeps/noise-lr.yaml", program())}
		}
		overrides := args[1:]
		if cmd.Flags().Changed("workers") && workers < 1 {
			return usageError{fmt.Errorf("--workers=%d: want 1 or more", workers)}
		}
		if n := workersOf(cmd, workers); n != 0 {
			overrides = append(overrides, fmt.Sprintf("workers=%d", n))
		}
		if cmd.Flags().Changed("stack") {
			overrides = append(overrides, fmt.Sprintf("stack=%d", stack))
		}
		loaded, err := config.LoadSweep(args[0], overrides...)
		if _, statErr := os.Stat(args[0]); errors.Is(statErr, fs.ErrNotExist) {
			return noSweepFile(cmd, args[0], err)
		}
		if err != nil {
			return err
		}
		if out != "" {
			loaded.Dir = out
		}
		if dryRun {
			return drySweep(cmd.Context(), c, loaded, asJSON)
		}
		s, err := sweep.Create(cmd.Context(), loaded, commandLine(), time.Now())
		if err != nil {
			return experiment.InputError{Err: err}
		}
		defer s.Close()
		return runSweep(cmd.Context(), c, s, launcher, asJSON)
	}
	cmd.AddCommand(newSweepList(c), newSweepStatus(c), newSweepBest(c), newSweepResume(c), newSweepRerun(c), newSweepExport(c), newSweepCompare(c))
	return cmd
}

// noSweepFile is the error of a sweep's file that is not there: what was typed may have been meant as a command, or as a sweep that was begun.
func noSweepFile(cmd *cobra.Command, name string, err error) error {
	what := fmt.Sprintf("no file %s, which would be a sweep to begin", name)
	if _, findErr := sweep.Find(sweepsDir, name); findErr == nil {
		return usageError{fmt.Errorf("%s; one of that name was begun: %s sweep status %s, or resume, best, export", what, program(), name)}
	}
	if hint := suggestion(cmd, name); hint != "" && filepath.Ext(name) == "" {
		return usageError{fmt.Errorf("%s; %s", what, hint)}
	}
	return err
}

// workersOf is the flag's value; 0 where it was not given.
func workersOf(cmd *cobra.Command, workers int) int {
	if !cmd.Flags().Changed("workers") {
		return 0
	}
	return workers
}

// runSweep works a sweep to its end, and prints its status.
func runSweep(ctx context.Context, c *console, s *sweep.Sweep, launcher string, asJSON bool) error {
	fmt.Fprintf(c.stderr, "%s: %s\nfolder   %s\n", s.Config.Name, s.Plan(), s.Path)
	options := sweep.RunOptions{Log: c.stderr, Width: c.width(), Worker: func(name string) *exec.Cmd { return workerCommand(s.Path, name) }}
	var err error
	switch launcher {
	case "local":
		err = s.Run(ctx, options)
	case "slurm":
		err = s.RunSlurm(ctx, options, c.confirm)
	default:
		return usageError{fmt.Errorf("--launcher %s: want local or slurm", launcher)}
	}
	if asJSON {
		err = errors.Join(err, printStatus(context.WithoutCancel(ctx), c, s))
	}
	return err
}

// workerCommand is this program as a worker.
func workerCommand(path, name string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return exec.Command(self, "worker", "--sweep", path, "--name", name, "--parent")
}

// width is that of the terminal on standard error; 0 where it is none.
func (c *console) width() int {
	file := fileOf(c.stderr)
	if file == nil {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// sweepsDir is where sweeps are looked for unless a folder is given: what a sweep's dir is by default.
const sweepsDir = "sweeps"

// openSweep opens the sweep that an argument names; what is wrong with it is the input's.
func openSweep(ctx context.Context, name string) (*sweep.Sweep, error) {
	return openSweepBy(ctx, name, sweep.Open)
}

// lookAtSweep opens a sweep to be read; its folder need not be writable.
func lookAtSweep(ctx context.Context, name string) (*sweep.Sweep, error) {
	return openSweepBy(ctx, name, sweep.Look)
}

func openSweepBy(ctx context.Context, name string, open func(ctx context.Context, path string) (*sweep.Sweep, error)) (*sweep.Sweep, error) {
	path, err := sweep.Find(sweepsDir, name)
	if err != nil {
		return nil, experiment.InputError{Err: err}
	}
	s, err := open(ctx, path)
	if err != nil {
		return nil, experiment.InputError{Err: err}
	}
	return s, nil
}

func printStatus(ctx context.Context, c *console, s *sweep.Sweep) error {
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	return printJSON(c, status)
}

// sweepJSON is a sweep in a list, for programs.
type sweepJSON struct {
	Path    string         `json:"path"`
	Name    string         `json:"name"`
	Started time.Time      `json:"started"`
	Counts  map[string]int `json:"counts"`          // of trials, by state
	Budget  int            `json:"budget"`          // trials; 0 without such a limit
	Metric  string         `json:"metric"`          // the first objective's
	Best    *float64       `json:"best"`            // its best value; null where none is done, and with several objectives
	Error   string         `json:"error,omitempty"` // why nothing is known of the trials
}

func newSweepJSON(ctx context.Context, e sweep.Entry) sweepJSON {
	one := sweepJSON{Path: e.Path, Name: e.Name(), Started: e.Record.Started, Counts: map[string]int{}}
	status, err := e.Status(ctx)
	if err != nil {
		one.Error = err.Error()
		return one
	}
	one.Counts, one.Budget, one.Metric = status.Counts, status.Budget, status.Objectives[0].Metric
	if status.Best != nil {
		one.Best = status.Best.Value
	}
	return one
}

// states lists the trials of a sweep by state.
func (s sweepJSON) states() string {
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(s.Counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", s.Counts[state], state))
	}
	return strings.Join(parts, ", ")
}

func newSweepList(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list [DIR]",
		Short:   "List the sweeps below a folder, which is sweeps/ unless another is given",
		Example: "  latent sweep list\n  latent sweep list /scratch/sweeps --json",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a list of sweeps as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := sweepsDir
		if len(args) > 0 {
			dir = args[0]
		}
		entries, err := sweep.List(dir)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("there is no folder %s; which has the sweeps? %s sweep list DIR", dir, program())
		}
		if err != nil {
			return experiment.InputError{Err: err}
		}
		all := []sweepJSON{}
		for _, e := range entries {
			all = append(all, newSweepJSON(cmd.Context(), e))
		}
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		if asJSON {
			return printJSON(c, all)
		}
		if len(all) == 0 {
			fmt.Fprintln(c.stderr, "no sweeps")
			return nil
		}
		table := newTable(c)
		table.row("SWEEP", "BUDGET", "TRIALS", "METRIC", "BEST")
		for _, one := range all {
			budget, best := "", ""
			if one.Budget > 0 {
				budget = strconv.Itoa(one.Budget)
			}
			if one.Best != nil {
				best = fmt.Sprintf("%.5g", *one.Best)
			}
			table.row(one.Path, budget, cmp.Or(one.Error, one.states()), one.Metric, best)
		}
		return table.Flush()
	}
	return cmd
}

func newSweepStatus(c *console) *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:     "status SWEEP",
		Short:   "Say where a sweep stands",
		Example: "  latent sweep status noise-lr --json",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&all, "all", false, "show all trials, instead of the best, those that run and those that ended last")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print all trials and the best as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := lookAtSweep(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		defer s.Close()
		if asJSON {
			return printStatus(cmd.Context(), c, s)
		}
		shown, err := s.Survey(cmd.Context())
		if err != nil {
			return err
		}
		width := c.width()
		if width == 0 {
			width = 120
		}
		text, left := survey.Table(shown, width), 0
		if all {
			text = survey.FullTable(shown, width)
		} else {
			left = survey.LeftOut(shown)
		}
		fmt.Fprint(c.stdout, text)
		if left > 0 {
			fmt.Fprintf(c.stderr, "shown are the best trials, those that run and the last that ended; --all shows the other %d too\n", left)
		}
		if page, err := s.WritePage(cmd.Context()); err == nil {
			fmt.Fprintf(c.stderr, "page     %s\n", page)
		} else {
			fmt.Fprintf(c.stderr, "page     not written: %v\n", err)
		}
		return nil
	}
	return cmd
}

func newSweepBest(c *console) *cobra.Command {
	var whole, asJSON bool
	var confirm, trial int
	cmd := &cobra.Command{
		Use:   "best SWEEP",
		Short: "Write the best trial as a config that runs",
		Long: `Best writes the best trial as best.yaml into the sweep's folder, and prints what it changes of the sweep's base, and the command that
runs it. With --config, it prints all of best.yaml.

The best of many trials was lucky in part. With --confirm 5, it is run again with five seeds that the sweep has not seen, beside
the experiment as it was before the sweep.`,
		Example: "  latent sweep best noise-lr --confirm 5",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().IntVar(&confirm, "confirm", 0, "run it again with so many fresh seeds, and print the mean with its interval")
	cmd.Flags().IntVar(&trial, "trial", -1, "another trial than the best")
	cmd.Flags().BoolVar(&whole, "config", false, "print the whole config, instead of what differs from the base")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if confirm < 0 || confirm > maxSeeds {
			return usageError{fmt.Errorf("--confirm=%d: want 0 to %d", confirm, maxSeeds)}
		}
		s, err := lookAtSweep(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		defer s.Close()
		text, err := s.Best(cmd.Context(), trial)
		if err != nil {
			return experiment.InputError{Err: err}
		}
		if text == nil {
			return experiment.InputError{Err: fmt.Errorf("%s: no trial is done yet", s.Path)}
		}
		path, err := s.WriteBest(cmd.Context(), trial)
		if err != nil { // who only reads the folder sees it all the same
			fmt.Fprintf(c.stderr, "config   not written: %v\n", err)
			path = ""
		}
		status, err := s.Status(cmd.Context())
		if err != nil {
			return err
		}
		var confirmed *sweep.Confirmation
		if confirm > 0 {
			if confirmed, err = s.Confirm(cmd.Context(), trial, confirm, c.stderr); err != nil {
				return err
			}
			if _, err := s.WritePage(cmd.Context()); err != nil {
				return err
			}
		}
		best, err := readBest(s, path, text)
		if err != nil {
			return err
		}
		if asJSON {
			best.Best, best.Front, best.Confirmed = status.Best, status.Front, confirmed
			return printJSON(c, best)
		}
		if whole {
			_, err = c.stdout.Write(best.text)
		} else {
			err = best.print(c)
		}
		if err != nil {
			return err
		}
		if path != "" {
			fmt.Fprintf(c.stderr, "config   %s\n", path)
		}
		if confirmed != nil {
			printConfirmed(c.stderr, s, confirmed)
		}
		return nil
	}
	return cmd
}

// bestJSON is what sweep best has to tell.
type bestJSON struct {
	Config    string              `json:"config,omitempty"` // its path, where it could be written
	Command   string              `json:"command"`          // that runs it
	Changes   []baseChange        `json:"changes"`
	Best      *sweep.TrialStatus  `json:"best"`
	Front     []int               `json:"front,omitempty"`
	Confirmed *sweep.Confirmation `json:"confirmed,omitempty"`

	text []byte // of the config
}

// baseChange is a key that is not as it is in a sweep's base.
type baseChange struct {
	Key   string `json:"key"`
	Base  any    `json:"base"` // null where the base does not have the key; the same for value
	Value any    `json:"value"`
}

// readBest compares a config that sweep.WriteBest wrote with the sweep's base.
func readBest(s *sweep.Sweep, path string, text []byte) (*bestJSON, error) {
	best := &bestJSON{Config: path, Command: fmt.Sprintf("%s run %s", program(), message.Quote(path)), Changes: []baseChange{}, text: text}
	if path == "" { // the sweep's folder cannot be written to
		best.Command = fmt.Sprintf("%s sweep best %s --config > best.yaml && %[1]s run best.yaml", program(), message.Quote(s.Path))
	}
	base, err := s.Config.BaseExperiment()
	if err != nil {
		return nil, err
	}
	e, err := config.Parse(path, best.text)
	if err != nil {
		return nil, err
	}
	differences, err := config.Differences(base, e)
	for _, d := range differences {
		best.Changes = append(best.Changes, baseChange{d.Key, d.Values[0], d.Values[1]})
	}
	return best, err
}

// print prints the first line of the config, which says what it is, and what differs from the base.
func (b *bestJSON) print(c *console) error {
	head, _, _ := strings.Cut(string(b.text), "\n")
	fmt.Fprintln(c.stdout, message.Clean(strings.TrimPrefix(head, "# ")))
	table := newTable(c)
	if len(b.Changes) == 0 {
		table.row("all is as in the base")
	} else {
		table.row("CONFIG", "VALUE", "BASE")
	}
	for _, change := range b.Changes {
		table.row(change.Key, compare.ValueText(change.Value), compare.ValueText(change.Base))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "\n%s\n", b.Command)
	return err
}

func printConfirmed(w io.Writer, s *sweep.Sweep, c *sweep.Confirmation) {
	metric := s.Config.Objective[0].Metric
	if len(c.Seeds) == 1 { // which says nothing of others
		fmt.Fprintf(w, "\n%s with the fresh seed %d\ntrial %-4d %10.5g\nbase       %10.5g\n", metric, c.Seeds[0], c.Trial, c.Best.Mean, c.Base.Mean)
		return
	}
	fmt.Fprintf(w, "\n%s with fresh seeds %v, mean ± 95 %% over seeds\n", metric, c.Seeds)
	fmt.Fprintf(w, "trial %-4d %10.5g ± %.2g\n", c.Trial, c.Best.Mean, c.Best.Interval)
	fmt.Fprintf(w, "base       %10.5g ± %.2g\n", c.Base.Mean, c.Base.Interval)
}

func newSweepResume(c *console) *cobra.Command {
	var workers int
	var launcher string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "resume SWEEP [budget.trials=N …]",
		Short: "Go on with a sweep that was stopped, or give it a larger budget",
		Long: `Resume goes on with a sweep. It tries what it would have tried undisturbed.

Only what does not change that may be overridden: budget, workers, journal and slurm.`,
		Example: "  latent sweep resume noise-lr budget.trials=80",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().IntVar(&workers, "workers", 1, "run trials in so many processes, instead of workers")
	cmd.Flags().StringVar(&launcher, "launcher", "local", "where workers run: local or slurm")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the sweep's status as JSON at the end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return resumeSweep(cmd, c, args[0], args[1:], workersOf(cmd, workers), launcher, asJSON)
	}
	return cmd
}

func resumeSweep(cmd *cobra.Command, c *console, path string, overrides []string, workers int, launcher string, asJSON bool) error {
	s, err := openSweep(cmd.Context(), path)
	if err != nil {
		return err
	}
	defer s.Close()
	if workers != 0 {
		overrides = append(overrides, fmt.Sprintf("workers=%d", workers))
	}
	if err := s.Change(cmd.Context(), overrides); err != nil {
		return err
	}
	return runSweep(cmd.Context(), c, s, launcher, asJSON)
}

func newSweepRerun(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rerun SWEEP N",
		Short: "Run a trial of a sweep again, and take its new result",
		Long: `Rerun drops a trial's result and runs it again, from its first step, with those that it trained together with.

A trial that failed, of which the cause is mended, is brought in so. What was proposed after it stays.`,
		Example: "  latent sweep rerun noise-lr 12",
		Args:    cobra.ExactArgs(2),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the sweep's status as JSON at the end")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		number, err := strconv.Atoi(args[1])
		if err != nil {
			return usageError{fmt.Errorf("%s: want the number of a trial", args[1])}
		}
		s, err := openSweep(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		defer s.Close()
		if err := s.Rerun(cmd.Context(), number); err != nil {
			return experiment.InputError{Err: err}
		}
		return runSweep(cmd.Context(), c, s, "local", asJSON)
	}
	return cmd
}

func newSweepExport(c *console) *cobra.Command {
	var optuna string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "export SWEEP --optuna FILE",
		Short: "Write a sweep's trials as Optuna's journal, for optuna-dashboard and optuna.visualization",
		Long: `Export writes all trials as a journal that Optuna loads: JournalStorage(JournalFileBackend(FILE)). A sweep whose config has
journal: FILE writes one while it runs.`,
		Example: "  latent sweep export noise-lr --optuna study.log",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&optuna, "optuna", "", "the journal's file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the file and the study's name as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if optuna == "" {
			return usageError{errors.New("to which file? --optuna FILE")}
		}
		s, err := lookAtSweep(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		defer s.Close()
		if err := s.ExportOptuna(cmd.Context(), optuna); err != nil {
			return experiment.InputError{Err: err}
		}
		fmt.Fprintf(c.stderr, "wrote %s, study %s\n", optuna, s.Record.Study)
		if asJSON {
			return printJSON(c, struct {
				File  string `json:"file"`
				Study string `json:"study"`
			}{optuna, s.Record.Study})
		}
		return nil
	}
	return cmd
}

func newSweepCompare(c *console) *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare SWEEP SWEEP…",
		Short: "Compare how soon sweeps of one objective found what",
		Long: `Compare prints the best value that each sweep had after so many trials, its best of all and when it was found, such as several
strategies for the same objective. With -o, it writes a page with the best so far over trials and over time.`,
		Example: "  latent sweep compare sweeps/random/* sweeps/tpe/* -o page.html",
		Args:    cobra.MinimumNArgs(2),
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "write a page to this file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the comparison as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var sweeps []*sweep.Sweep
		var known folders
		for _, arg := range args {
			s, err := lookAtSweep(cmd.Context(), arg)
			if err != nil {
				return err
			}
			defer s.Close()
			at, err := known.add(s.Path)
			if err != nil {
				return experiment.InputError{Err: err}
			}
			if at >= 0 {
				fmt.Fprintf(c.stderr, "%s is the sweep %s, which is named before: it is compared once\n", message.Clean(arg), message.Clean(sweeps[at].Path))
				continue
			}
			sweeps = append(sweeps, s)
		}
		if len(sweeps) < 2 {
			return usageError{fmt.Errorf("one sweep, %s; a comparison needs two; see %s --help", sweeps[0].Path, cmd.CommandPath())}
		}
		if err := canPut(out); err != nil {
			return err
		}
		found, differences, err := sweep.Compare(cmd.Context(), sweeps)
		if err != nil {
			return experiment.InputError{Err: err}
		}
		if out != "" {
			if err := writePage(c, out, func(w io.Writer) error { return survey.RenderComparison(w, found) }); err != nil {
				return err
			}
		}
		if asJSON {
			return printJSON(c, newSweepComparisonJSON(found, differences, out))
		}
		table := newTable(c)
		for i, row := range found.Table() {
			if i == 0 {
				for column := range row {
					row[column] = strings.ToUpper(row[column])
				}
			}
			table.row(row...)
		}
		return table.Flush()
	}
	return cmd
}

// sweepComparisonJSON is a comparison of sweeps for programs.
type sweepComparisonJSON struct {
	Objective sweep.ObjectiveStatus `json:"objective"`
	Sweeps    []comparedSweepJSON   `json:"sweeps"`
	// Config has the keys that differ, with values in the order of the sweeps; those of the experiment that they vary begin with base.
	Config []difference `json:"config"`
	Page   string       `json:"page,omitempty"`
}

type comparedSweepJSON struct {
	Letter string `json:"letter"`
	Sweep  string `json:"sweep"` // its folder
	Name   string `json:"name"`
	State  string `json:"state"`
	// Trials are those that are over, in the order in which they ended.
	Trials []comparedTrialJSON `json:"trials"`
}

type comparedTrialJSON struct {
	Trial   int           `json:"trial"`
	Value   rundir.Number `json:"value"` // null where it failed or was pruned
	Best    rundir.Number `json:"best"`  // of the trials up to here
	Seconds float64       `json:"seconds"`
}

func newSweepComparisonJSON(found survey.Comparison, differences []config.Difference, page string) sweepComparisonJSON {
	direction := "min"
	if found.Objective.Maximize {
		direction = "max"
	}
	all := sweepComparisonJSON{Objective: sweep.ObjectiveStatus{Metric: found.Objective.Metric, Direction: direction}, Config: []difference{}, Page: page}
	for _, d := range differences {
		all.Config = append(all.Config, difference(d))
	}
	for _, t := range found.Traces {
		one := comparedSweepJSON{Letter: t.Letter, Sweep: t.Path, Name: t.Name, State: t.State, Trials: []comparedTrialJSON{}}
		best := math.NaN()
		records := t.Records(found.Objective)
		for i, r := range t.Results {
			if slices.Contains(records, i) {
				best = r.Value
			}
			one.Trials = append(one.Trials, comparedTrialJSON{r.Trial, rundir.Number(r.Value), rundir.Number(best), r.Spent.Seconds()})
		}
		all.Sweeps = append(all.Sweeps, one)
	}
	return all
}

func newWorker(c *console) *cobra.Command {
	var path, store, name, out string
	var limit int
	var parent bool
	cmd := &cobra.Command{
		Use:   "worker --sweep DIR | --store URL",
		Short: "Run trials of a sweep that was begun elsewhere",
		Long: `Worker runs trials of a sweep until it is over: of the sweep in a folder, or, on another machine, of one whose trials are in
PostgreSQL. Any number of workers may come and go.`,
		Example: "  latent worker --store postgres://latent@db.example/sweeps --sweep noise-lr/2026-11-24T10-15-30-7f3a --out /scratch/runs",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&path, "sweep", "", "the sweep's folder; with --store, its name in the store, NAME/TIME-ID, where it has several")
	cmd.Flags().StringVar(&store, "store", "", "postgres://USER@HOST/DATABASE; a password comes from PGPASSWORD or ~/.pgpass")
	cmd.Flags().StringVar(&out, "out", "sweeps", "with --store, the folder for this worker's runs, which go to OUT/NAME/TIME-ID")
	cmd.Flags().StringVar(&name, "name", "", "the worker's name, which no other has; without it, one is made up")
	cmd.Flags().IntVar(&limit, "limit", 0, "end after so many trials; 0 is no limit")
	cmd.Flags().BoolVar(&parent, "parent", false, "end, with the state saved, when standard input closes")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		var s *sweep.Sweep
		var err error
		switch {
		case store != "":
			if s, err = sweep.Join(ctx, store, path, out); err != nil {
				return experiment.InputError{Err: err}
			}
		case path != "":
			if s, err = openSweep(ctx, path); err != nil {
				return err
			}
		default:
			return usageError{errors.New("of which sweep? --sweep DIR, or --store URL")}
		}
		defer s.Close()
		if parent {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			defer cancel()
			go func() {
				io.Copy(io.Discard, os.Stdin)
				cancel()
			}()
		}
		return s.Work(ctx, sweep.WorkerOptions{Name: name, Log: c.stderr, Limit: limit})
	}
	return cmd
}

// drySweep prints what a sweep would do.
func drySweep(ctx context.Context, c *console, loaded *config.Sweep, asJSON bool) error {
	preview, err := sweep.Dry(ctx, loaded)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(c, preview)
	}
	for i, overrides := range preview.Trials {
		fmt.Fprintf(c.stdout, "trial %d  %s\n", i, strings.Join(overrides, "  "))
	}
	fmt.Fprintf(c.stdout, "\na trial takes about %s, its program %s to compile", seconds(preview.Each), seconds(preview.Compile))
	if preview.Limit > 0 {
		fmt.Fprintf(c.stdout, "; %s in turn about %s\n", message.Count(preview.Limit, "trial"), seconds(preview.Total))
	} else {
		fmt.Fprintf(c.stdout, "; the sweep ends after %s\n", seconds(preview.Total))
	}
	return nil
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
