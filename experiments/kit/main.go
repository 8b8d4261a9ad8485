// Command kit tries Latent on a machine with an NVIDIA card, and leaves a report. It is part of an archive that
// `sh .ci/cuda pack` makes, with all that it needs but Python; on the other machine the script run unpacks the archive and starts
// it. docs/cuda-kit.md is for those who use it.
//
//	sh build/cuda/run report
//
// Its steps are in [steps]: each is a function with a limit of time, and what goes wrong in one does not keep the others from
// running. The report is written again whenever something is known, so that it is whole at any moment.
//
// The program itself is pure Go, and starts where nothing else of the archive does. What needs XLA are its children.
//
// Exit status: 0 all steps passed; 1 some did not; 2 it could not start.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	k, remove, err := start(os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	status := 2
	switch {
	case errors.Is(err, flag.ErrHelp):
		status = 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "kit: %v\n", err)
	case k.run(ctx, steps):
		status = 0
	default:
		status = 1
	}
	stop()
	if k != nil {
		os.RemoveAll(k.temp)
	}
	if remove != "" {
		os.RemoveAll(remove)
	}
	os.Exit(status)
}

// Bounds and defaults of what the environment decides.
const (
	defaultBackend = "xla:cuda"
	defaultMinutes = 8.0
	mostParallel   = 4
)

// start reads the command line and the environment, and makes the folder of the report. remove is a folder to remove at the
// end, "" for none, whether or not there is an error.
func start(args []string, getenv func(string) string, stdout, stderr io.Writer) (k *kit, remove string, err error) {
	flags := flag.NewFlagSet("kit", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprintf(stderr, "usage: kit [flags] OUT\n"); flags.PrintDefaults() }
	root := flags.String("root", "", "folder of the unpacked archive; by default that of this program")
	removeRoot := flags.Bool("remove", false, "remove that folder at the end")
	started := flags.Int64("started", 0, "when MINUTES began, in seconds since 1970; 0 is now")
	if err := flags.Parse(args); err != nil {
		return nil, "", err
	}
	if *root == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, "", err
		}
		*root = filepath.Dir(self)
	}
	if *root, err = filepath.Abs(*root); err != nil {
		return nil, "", err
	}
	if *removeRoot {
		remove = *root
	}
	if flags.NArg() != 1 || flags.Arg(0) == "" {
		return nil, remove, errors.New("want one argument, the folder of the report")
	}
	s, err := readSettings(getenv)
	if err != nil {
		return nil, remove, err
	}
	s.root = *root
	s.started = time.Now()
	if *started != 0 {
		s.started = time.Unix(*started, 0)
	}
	if s.out, err = makeOut(flags.Arg(0)); err != nil {
		return nil, remove, err
	}
	if s.temp, err = os.MkdirTemp(s.root, "temp-"); err != nil {
		return nil, remove, err
	}
	return newKit(s, stdout, stderr), remove, nil
}

// settings are what a person decides of a run.
type settings struct {
	backend  string        // KIT_BACKEND: xla:cuda, or xla:cpu to try the kit itself without a card
	time     time.Duration // MINUTES: of everything
	python   string        // PYTHON: the interpreter, LATENT_PYTHON or python3 without it, by its whole path; "" where there is none
	packages []string      // PACKAGES: whose tests to run; nil for all that are in the archive
	parallel int           // PARALLEL: how many children compute at once, where a step has several

	root    string // the unpacked archive
	temp    string // a folder for runs and the like
	out     string // the report's folder
	started time.Time
}

// trial says that the kit itself is tried, without a card: all steps run, with a small part of their work.
func (s settings) trial() bool { return s.backend == "xla:cpu" }

// shortTime is the least time for which nothing is left out.
const shortTime = 6 * time.Minute

// short says that there is less time than a whole run takes.
func (s settings) short() bool { return !s.trial() && s.time < shortTime }

// readSettings reads the environment.
func readSettings(getenv func(string) string) (settings, error) {
	s := settings{backend: defaultBackend, parallel: max(1, min(mostParallel, runtime.NumCPU()/2))}
	if value := getenv("KIT_BACKEND"); value != "" {
		s.backend = value
	}
	if s.backend != defaultBackend && !s.trial() {
		return s, fmt.Errorf("KIT_BACKEND=%s: want xla:cuda, or xla:cpu to try the kit without a card", s.backend)
	}
	minutes := defaultMinutes
	if value := getenv("MINUTES"); value != "" {
		var err error
		if minutes, err = strconv.ParseFloat(value, 64); err != nil || !(minutes > 0 && minutes <= 24*60) {
			return s, fmt.Errorf("MINUTES=%s: want a number of minutes above 0, such as 8; 1440 at most", value)
		}
	}
	s.time = time.Duration(minutes * float64(time.Minute))
	if value := getenv("PARALLEL"); value != "" {
		var err error
		if s.parallel, err = strconv.Atoi(value); err != nil || s.parallel < 1 {
			return s, fmt.Errorf("PARALLEL=%s: want a whole number from 1", value)
		}
	}
	if names := strings.Fields(getenv("PACKAGES")); len(names) > 0 {
		s.packages = names
	}
	asked := cmp.Or(getenv("PYTHON"), getenv("LATENT_PYTHON"))
	path, err := exec.LookPath(cmp.Or(asked, "python3"))
	if err != nil && asked != "" {
		return s, fmt.Errorf("PYTHON=%s: %w", asked, err)
	}
	if err == nil {
		if s.python, err = filepath.Abs(path); err != nil {
			return s, err
		}
	}
	return s, nil
}

// makeOut makes the folder of the report, and refuses one that has a report.
func makeOut(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for _, name := range []string{markdownFile, jsonFile} {
		if _, err := os.Lstat(filepath.Join(path, name)); err == nil {
			return "", fmt.Errorf("%s: there is a report already; name another folder", path)
		}
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", fmt.Errorf("make the folder of the report: %w", err)
	}
	return path, nil
}
