// Command bench compares Latent with PyTorch, JAX and onnxruntime on this machine, in the same work, side by side.
//
//	go run ./experiments/bench                        # everything, about 12 minutes, into docs/benchmark.md
//	go run ./experiments/bench --only epoch,denoise   # parts of it, printed
//	go run ./experiments/bench --peers none           # Latent alone, without Python
//
// Contestants are processes that stay alive and do a piece of work when they are asked to (see [contestant]). Rounds go
// through all contestants, forwards and then backwards, and figures are compared only within a round, so that what slows
// the machine down for a while falls on all. The peers are scripts of the folder peers; they run in a virtual environment
// of their own, with the versions of requirements.txt.
//
// It runs in the repository's root, on Linux or macOS, with Python 3.11 or later as python3. Exit status: 0 done, whether or not
// the bars were met; 1 failed, among others because a contestant's loss is not that of the others.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) == 3 && os.Args[1] == workerCommand {
		err = work(ctx, os.Args[2], os.Stdin, os.Stdout)
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// allImages are MNIST's training images. fewestImages leave more than a batch in the smallest part.
const (
	allImages    = 60000
	fewestImages = 6000
)

// reportPath is where the report of a whole run goes.
const reportPath = "docs/benchmark.md"

// fewestRounds is how many rounds the report of a whole run needs.
const fewestRounds = 5

// run executes a command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", fewestRounds, "rounds of each part, after one that warms up")
	images := flags.Int("images", allImages, "training images of an epoch; fewer for a quick look")
	only := flags.String("only", "", "parts to run, by name or letter: "+partNames())
	out := flags.String("out", "", "file for the report; by default a whole run goes to "+reportPath)
	data := flags.String("data", "", "folder with the four MNIST files; by default that of LATENT_DATA_DIR, or the cache, after a download")
	venv := flags.String("venv", "", "folder of the peers' virtual environment; by default in the user's cache folder")
	peers := flags.String("peers", "all", "all, or none: Latent alone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	switch {
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("what is %q? all that bench takes are flags; see --help", flags.Arg(0))
	case *images < fewestImages || *images > allImages:
		return fmt.Errorf("--images=%d: want %d to %d", *images, fewestImages, allImages)
	case *rounds < 1:
		return fmt.Errorf("--rounds=%d: want 1 or more", *rounds)
	case *peers != "all" && *peers != "none":
		return fmt.Errorf("--peers=%s: want all or none", *peers)
	}

	machine := describeMachine() // before this program itself is its load
	b := &bench{setup: setup{rounds: *rounds, images: *images, data: *data, venv: *venv, peers: *peers == "all", log: stderr}}
	defer func() { os.RemoveAll(b.temp) }()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	report := &report{machine: machine, versions: b.versions(), command: command(flags), rounds: *rounds}
	for _, p := range chosen {
		b.logf("%s", p.title)
		result, err := p.run(b, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		result.part = p
		report.results = append(report.results, result)
	}
	text := report.markdown()
	fmt.Fprint(stdout, text)

	path := *out
	if whole := len(chosen) == len(parts) && b.peers && *rounds >= fewestRounds && *images == allImages; path == "" && whole {
		path = reportPath
	}
	if path == "" {
		return nil
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// command is how to make a report again: what was asked for, without where things lie on this machine.
func command(flags *flag.FlagSet) string {
	line := "go run ./experiments/bench"
	flags.Visit(func(f *flag.Flag) {
		if f.Name != "data" && f.Name != "venv" && f.Name != "out" {
			line += fmt.Sprintf(" --%s %s", f.Name, f.Value)
		}
	})
	return line
}
