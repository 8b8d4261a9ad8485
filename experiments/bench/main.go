// Command bench compares Latent with PyTorch, JAX and onnxruntime on this machine, in the same work, side by side.
//
//	go run ./experiments/bench                        # everything, about 12 minutes, into docs/benchmark.md
//	go run ./experiments/bench --only epoch,denoise   # parts of it, printed
//	go run ./experiments/bench --peers none           # Latent alone, without Python
//	go run ./experiments/bench --backend xla:cuda --python python3 --rounds 3 --time 4m --out report.md --json report.json
//
// Contestants are processes that stay alive and do a piece of work when they are asked to (see [contestant]). Rounds go
// through all contestants, forwards and then backwards, and figures are compared only within a round, so that what slows
// the machine down for a while falls on all. The peers are scripts of the folder peers; they run in a virtual environment
// of their own, with the versions of requirements.txt, or in the Python that is named.
//
// On a card the parts are others ([cardParts]), and the peers compute there too. Nothing ends the whole there: a contestant
// that fails, or does not answer for as long as patience lasts, loses its figure, with the reason in the report; and the
// report is written after every part, so that what ends this program leaves what was measured. With --card, the same parts
// run on a CPU, to try them.
//
// It runs in the repository's root, or where a copy of configs is if the command latent is named, on Linux or macOS, with
// Python 3.11 or later. Exit status: 0 done, whether or not the bars were met; 1 failed, among others because a contestant's
// loss is not that of the others, or on a card because Latent has no figure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) >= 4 && os.Args[1] == workerCommand {
		err = work(ctx, os.Args[2:], os.Stdin, os.Stdout)
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// allImages are MNIST's training images. fewestImages leave more than a batch in the smallest part, on a CPU and on a card.
const (
	allImages        = 60000
	fewestImages     = 6000
	fewestCardImages = 1280
)

// reportPath is where the report of a whole run goes.
const reportPath = "docs/benchmark.md"

// fewestRounds is how many rounds the report of a whole run needs.
const fewestRounds = 5

// cardPatience is how long an answer may take on a card: PyTorch's import and compilation together take a minute on a slow disk.
const cardPatience = 90 * time.Second

// run executes a command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	b := &bench{setup: setup{log: stderr}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&b.backend, "backend", "xla:cpu", "what Latent computes on: xla:cpu, or xla:cuda, where the peers do too")
	flags.BoolVar(&b.card, "card", false, "the parts for a card, whatever the backend")
	flags.IntVar(&b.rounds, "rounds", fewestRounds, "rounds of each part, after one that warms up")
	flags.IntVar(&b.images, "images", allImages, "training images of an epoch; fewer for a quick look")
	limit := flags.Duration("time", 0, "end after this time, with what was measured; 0 is no limit. Parts of a card only")
	flags.DurationVar(&b.patience, "patience", cardPatience, "how long a contestant may take for an answer before it is left out. Parts of a card only")
	only := flags.String("only", "", "parts to run, by name or letter: "+partNames(parts)+"; on a card: "+partNames(cardParts))
	out := flags.String("out", "", "file for the report; by default a whole run on a CPU goes to "+reportPath)
	data := flags.String("json", "", "file for the report as JSON, with every sample")
	flags.StringVar(&b.data, "data", "", "folder with the four MNIST files; by default that of LATENT_DATA_DIR, or the cache, after a download")
	flags.StringVar(&b.latent, "latent", "", "the command latent; by default it is built")
	flags.StringVar(&b.python, "python", "", "a Python that has the peers; those that it lacks are left out. By default they are installed")
	flags.StringVar(&b.venv, "venv", "", "folder of the peers' virtual environment; by default in the user's cache folder")
	peers := flags.String("peers", "all", "all, or none: Latent alone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	known, fewest := parts, fewestImages
	b.card = b.card || b.backend != "xla:cpu"
	if b.card {
		known, fewest = cardParts, fewestCardImages
	} else {
		b.patience = 0
	}
	b.peers = *peers != "none"
	chosen, err := choose(known, *only)
	switch {
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("what is %q? all that bench takes are flags; see --help", flags.Arg(0))
	case b.backend != "xla:cpu" && b.backend != "xla:cuda":
		return fmt.Errorf("--backend=%s: want xla:cpu or xla:cuda", b.backend)
	case b.images < fewest || b.images > allImages:
		return fmt.Errorf("--images=%d: want %d to %d", b.images, fewest, allImages)
	case b.rounds < 1:
		return fmt.Errorf("--rounds=%d: want 1 or more", b.rounds)
	case *peers != "all" && *peers != "none":
		return fmt.Errorf("--peers=%s: want all or none", *peers)
	case *limit != 0 && !b.card:
		return errors.New("--time is for the parts of a card: add --card, or choose parts by --only")
	}

	if *limit > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, *limit, errTime)
		defer cancel()
		ctx = limited
	}
	report := b.newReport(ctx, command(flags)) // before this program itself is the machine's load
	defer func() { os.RemoveAll(b.temp) }()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	b.pool = &pool{ctx: ctx, members: map[string]*member{}}
	defer b.pool.close()
	report.versions = b.versions()
	if whole := len(chosen) == len(parts) && b.peers && b.rounds >= fewestRounds && b.images == allImages; *out == "" && whole && !b.card {
		*out = reportPath
	}
	for _, p := range chosen {
		b.logf("%s", p.title)
		result, err := b.compare(ctx, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		report.results = append(report.results, result)
		if b.card {
			if err := report.write(*out, *data); err != nil {
				return err
			}
		}
	}
	fmt.Fprint(stdout, report.markdown())
	if err := report.write(*out, *data); err != nil {
		return err
	}
	return report.failures()
}

// newReport begins the report with what it is about.
func (b *bench) newReport(ctx context.Context, command string) *report {
	r := &report{title: "Latent compared with PyTorch and JAX", machine: describeMachine(), command: command, rounds: b.rounds}
	rounds := "1 round"
	if b.rounds > 1 {
		rounds = fmt.Sprintf("%d rounds", b.rounds)
	}
	r.preface = fmt.Sprintf("Each part has %s over all contestants in turn, after a warm-up round. Ratios are computed within a\n"+
		"round. A ratio in bold is their median; above 1, Latent needs less. The contestants and measurements are defined in\n"+
		"[experiments/bench](../experiments/bench).\n", rounds)
	if b.card {
		r.title = "Latent on a GPU"
		if b.backend == "xla:cpu" {
			r.title = "Latent on a GPU, tried on a CPU"
		}
		r.machine = slices.Concat(describeCards(ctx), r.machine)
		r.preface = fmt.Sprintf("Each column has up to %s over all contestants in turn, after a warm-up round, and shows the median.\n"+
			"÷ is the time relative to the first row: the median of the rounds' ratios; above 1, the first row needs less.\n", rounds)
	}
	return r
}

// compare runs a part. On a card it is no error if that fails or there is no time for it: its result says so.
func (b *bench) compare(ctx context.Context, p part) (result, error) {
	if !b.card {
		r, err := p.run(b, ctx)
		r.part = p
		return r, err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < p.least {
		return result{part: p, missing: fmt.Errorf("%w: a part that takes %v or more is not begun", errTime, p.least)}, nil
	}
	r, err := p.run(b, ctx)
	r.part, r.missing = p, err
	if err == nil && !slices.ContainsFunc(r.races, func(r race) bool { return r.missing == nil }) {
		r.missing = r.races[0].missing
	}
	if r.missing != nil {
		b.logf("  not measured: %v", r.missing)
		return r, nil
	}
	r.tables, r.remarks = []table{grid(r.races)}, remarks(r.races)
	return r, nil
}

// command is how to make a report again: what was asked for, without where things lie on this machine.
func command(flags *flag.FlagSet) string {
	line := "go run ./experiments/bench"
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "data", "venv", "latent", "python", "out", "json":
		case "card":
			line += " --card"
		default:
			line += fmt.Sprintf(" --%s %s", f.Name, f.Value)
		}
	})
	return line
}
