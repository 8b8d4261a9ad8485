// Command results trains the experiments that Latent's figures rest on, with several seeds each, and writes what came out.
//
//	go run ./experiments/results                     # everything, about three hours on two cores, into docs/results.md
//	go run ./experiments/results --only vae,iwae     # parts of it, printed
//	go run ./experiments/results --list              # what there is
//	go run ./experiments/results --photos            # photographs, an hour, into docs/results-photos.md; needs $LATENT_DATA_DIR/bsd
//	go run ./experiments/results --anomaly           # anomalies, an hour, into docs/results-anomaly.md; needs the folders tabular, tiles and
//	                                                 # features in $LATENT_DATA_DIR
//	go run ./experiments/results --anomaly --only tiles # a part of it, printed: tables by name, digits, tiles, features
//	go run ./experiments/results --sae               # sparse dictionaries beside SAELens, into docs/results-sae.md
//	go run ./experiments/results --pictures          # colour pictures of 64×64 and 128×128, ten minutes, into docs/results-pictures.md
//	go run ./experiments/results --only papers       # rows of published tables, an hour, into docs/results-papers.md
//	go run ./experiments/results --papers --only iwae-5 # one of those that take hours
//
// Each run is one that `latent run` would make, and leaves the same folder. A run that is already there, done, with the same
// seed and the same sections data, corrupt, model and train, is not trained again; where its section evaluate differs, or figures
// are missing, its weights are measured again. So the command goes on where it was stopped, and a run that was stopped is resumed by hand, or
// trained from its start.
//
// It runs in the repository's root. Exit status: 0 done, whether or not the bars were met; 1 failed.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"latent/pkg/experiment"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "results: %v\n", err)
		os.Exit(1)
	}
}

// documentPath is where the document of everything goes.
const documentPath = "docs/results.md"

// fewestSeeds are the seeds that the document of everything needs.
const fewestSeeds = 3

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("results", flag.ContinueOnError)
	flags.SetOutput(stderr)
	seeds := flags.Int("seeds", fewestSeeds, "runs of each experiment, with seeds from 42 on")
	only := flags.String("only", "", "experiments to run, separated by commas; see --list")
	runs := flags.String("runs", "runs/results", "folder of the runs")
	out := flags.String("o", "", "file to write; by default everything goes to "+documentPath+", parts are printed, and photographs go to "+photosPath)
	ofPhotos := flags.Bool("photos", false, "the experiments on photographs, with one seed, and BM3D and PyTorch beside them; figures of others than --only stay")
	ofTables := flags.Bool("anomaly", false, "the experiments on tables with anomalies, with the seeds 0, 1 and 2, and PyOD beside them; writes "+anomalyPath+"; --only takes names of tables, digits, tiles and features")
	ofDictionaries := flags.Bool("sae", false, "the experiments on sparse dictionaries, and SAELens beside them; writes "+saePath)
	ofPapers := flags.Bool("papers", false, "rows of published tables, into "+papersPath+"; so does --only papers. What takes hours is trained only where --only names it")
	ofPictures := flags.Bool("pictures", false, "colour pictures of 64×64 and 128×128, with one seed; writes "+picturesPath)
	found := flags.Bool("found", false, "train nothing: write what the runs that are there say, however many")
	list := flags.Bool("list", false, "print the experiments' names and configs, and end")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("what is %q? all that results takes are flags; see --help", flags.Arg(0))
	case *seeds < 1 || *seeds > 100:
		return fmt.Errorf("--seeds=%d: want 1 to 100", *seeds)
	}
	options := experiment.Options{Log: stderr, Command: "go run ./experiments/results " + strings.Join(args, " ")}
	if *ofPhotos {
		return runPhotos(ctx, &album{*runs, !*found, options}, *only, *list, *out, stdout)
	}
	if *ofTables {
		return runAnomaly(ctx, &bench{album{*runs, !*found, options}, *seeds}, *only, *list, *out, stdout)
	}
	if *ofDictionaries {
		return runDictionaries(ctx, *runs, *only, *list, *seeds, !*found, options, *out, stdout)
	}
	if *ofPictures {
		return runPictures(ctx, *only, *runs, *list, !*found, options, *out, stdout)
	}
	if *only == "papers" {
		*ofPapers, *only = true, ""
	}
	if *ofPapers {
		return runPapers(ctx, *only, *runs, *list, !*found, *seeds, options, *out, stdout)
	}
	chosen, err := choose(trials, *only)
	if err != nil {
		return err
	}
	if *list {
		return printTrials(stdout, chosen)
	}
	all := measured{}
	for i, t := range chosen {
		for n := range *seeds {
			fmt.Fprintf(stderr, "\n%s, %d of %d, seed %d\n", t.name, i+1, len(chosen), firstSeed+n)
			m, err := obtain(ctx, t, int64(firstSeed+n), *runs, !*found, options)
			if err != nil {
				return fmt.Errorf("%s, seed %d: %w", t.name, firstSeed+n, err)
			}
			if m != nil {
				all[t.name] = append(all[t.name], *m)
			}
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("%s: none of the runs is there; leave out --found to train them", *runs)
	}
	if err := sameFeatures(all); err != nil {
		return err
	}
	if *out == "" && all.whole() {
		*out = documentPath
	}
	var baselines []baseline
	if slices.ContainsFunc(chosen, func(t trial) bool { return t.name == masked }) {
		fmt.Fprintf(stderr, "\nthe probe's baselines\n")
		if baselines, err = probeBaselines(ctx); err != nil {
			return fmt.Errorf("the probe's baselines: %w", err)
		}
	}
	var text bytes.Buffer
	write(&text, all, baselines)
	return deliver(text.Bytes(), *out, stdout, stderr)
}

// runPhotos is run of the experiments on photographs.
func runPhotos(ctx context.Context, a *album, only string, list bool, out string, stdout io.Writer) error {
	chosen, err := choose(photos, only)
	if err != nil {
		return err
	}
	if list {
		return printTrials(stdout, chosen)
	}
	if err := os.MkdirAll(a.runs, 0o755); err != nil {
		return err
	}
	if out == "" {
		out = photosPath
	}
	l, err := readLedger(ledgerOf(out))
	if err != nil {
		return err
	}
	if err := a.make(ctx, chosen, l); err != nil {
		return err
	}
	if err := l.write(ledgerOf(out)); err != nil {
		return err
	}
	var text bytes.Buffer
	writePhotos(&text, l)
	return deliver(text.Bytes(), out, stdout, a.options.Log)
}

// runDictionaries is run of the experiments on sparse dictionaries.
func runDictionaries(ctx context.Context, runs, only string, list bool, seeds int, fresh bool, options experiment.Options, out string, stdout io.Writer) error {
	chosen, err := choose(dictionaries, only)
	if err != nil {
		return err
	}
	if list {
		return printTrials(stdout, chosen)
	}
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := makeDictionaries(ctx, chosen, runs, seeds, fresh, options, &text); err != nil {
		return err
	}
	if out == "" && only == "" {
		out = saePath
	}
	return deliver(text.Bytes(), out, stdout, options.Log)
}

// printTrials prints the experiments' names and commands.
func printTrials[E named](out io.Writer, chosen []E) error {
	for _, e := range chosen {
		if _, err := fmt.Fprintf(out, "%-18s %s\n", e.title(), e.command()); err != nil {
			return err
		}
	}
	return nil
}

// deliver writes a document to a file, or prints it for "".
func deliver(text []byte, path string, stdout, log io.Writer) error {
	if path == "" {
		_, err := stdout.Write(text)
		return err
	}
	if err := os.WriteFile(filepath.FromSlash(path), text, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(log, "\nwrote %s\n", path)
	return nil
}
