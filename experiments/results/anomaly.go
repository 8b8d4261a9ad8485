package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"latent/pkg/array"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/rundir"
	files "latent/pkg/table"
)

var (
	//go:embed peers/anomaly_side.py
	anomalyScript string
	//go:embed peers/anomaly-requirements.txt
	anomalyPackages string
)

const (
	// anomalyPath is where the document of anomalies in tables goes.
	anomalyPath   = "docs/results-anomaly.md"
	anomalyConfig = "configs/anomaly/table.yaml"
	// decidedBy is how many sets, the first by name, were looked at while config and score were chosen.
	decidedBy = 12
	// large is from how many rows on a set counts for the bar of time.
	large = 5000
)

// bench makes the document of anomalies in tables.
type bench struct {
	album
	seeds int
}

// set is a table of ADBench: its name, that of its file below $LATENT_DATA_DIR, and its config.
type set struct{ name, file, config string }

func (s set) title() string { return s.name }

// command is what runs its first seed by hand.
func (s set) command() string {
	return strings.Join(append([]string{"latent run " + s.config}, s.overrides(0)...), " ")
}

// overrides are those of a seed: as the peers, the model is fitted to the whole training part.
func (s set) overrides(seed int) []string {
	return []string{"data.files=" + s.file, "data.calibration=0", fmt.Sprintf("data.split_seed=%d", seed), "name=" + s.name}
}

// trial is its run with a seed.
func (s set) trial(seed int) trial { return trial{s.name, s.config, s.overrides(seed)} }

// sets lists the tables in a folder of $LATENT_DATA_DIR, in the order of their names.
func sets(folder, config string) ([]set, error) {
	paths, err := filepath.Glob(filepath.Join(os.Getenv("LATENT_DATA_DIR"), folder, "*.npz"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("$LATENT_DATA_DIR/%s has no .npz files; put those of ADBench there", folder)
	}
	slices.Sort(paths)
	var all []set
	for _, file := range paths {
		name := strings.TrimSuffix(filepath.Base(file), ".npz")
		all = append(all, set{name, folder + "/" + name + ".npz", config})
	}
	return all, nil
}

// detected is what was found on a set.
type detected struct {
	set                       set
	rows, features, anomalies int
	// aurocs of each detector over seeds: the model's own is "".
	aurocs map[string][]float64
	// seconds of the whole process, ours and PyOD's, of the first seed; 0 where they were not measured.
	ours, theirs float64
	version      string
	manifest     *rundir.Manifest
}

// part is a section of the document beside the tables, by the name that --only knows.
type part struct {
	name string
	// trials are its runs with the first seed, and write trains, measures and writes it: nothing where runs are missing.
	trials func() ([]trial, error)
	write  func(b *bench, ctx context.Context, out *bytes.Buffer) error
}

// parts are those beside the tables, in the document's order.
var parts = []part{
	{"digits", digitTrials, (*bench).digits},
	{"tiles", func() ([]trial, error) { return []trial{tilesTrial(0)}, nil }, (*bench).tiles},
	{"features", featureTrials, (*bench).features},
}

// partsOf divides what --only asks for into names of tables and parts; everything where it is empty.
func partsOf(only string) (tables string, asked []part) {
	if only == "" {
		return "", parts
	}
	var names []string
	for name := range strings.SplitSeq(only, ",") {
		if i := slices.IndexFunc(parts, func(p part) bool { return p.name == name }); i >= 0 {
			asked = append(asked, parts[i])
		} else {
			names = append(names, name)
		}
	}
	return strings.Join(names, ","), asked
}

// runAnomaly is run of the experiments on anomalies.
func runAnomaly(ctx context.Context, b *bench, only string, list bool, out string, stdout io.Writer) error {
	tables, asked := partsOf(only)
	var all, chosen []set
	if only == "" || tables != "" {
		var err error
		if all, err = sets("tabular", anomalyConfig); err != nil {
			return err
		}
		if chosen, err = choose(all, tables); err != nil {
			return err
		}
	}
	if list {
		return listAnomaly(stdout, chosen, asked)
	}
	if err := os.MkdirAll(b.runs, 0o755); err != nil {
		return err
	}
	var text bytes.Buffer
	if len(chosen) > 0 {
		if err := b.tables(ctx, chosen, all, &text); err != nil {
			return err
		}
	}
	for _, p := range asked {
		if err := p.write(b, ctx, &text); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if text.Len() == 0 {
		return fmt.Errorf("%s: none of the runs is there; leave out --found to train them", b.runs)
	}
	if out == "" && only == "" {
		out = anomalyPath
	}
	return deliver(text.Bytes(), out, stdout, b.options.Log)
}

// listAnomaly prints the experiments on tables, and those of parts.
func listAnomaly(out io.Writer, chosen []set, asked []part) error {
	if err := printTrials(out, chosen); err != nil {
		return err
	}
	for _, p := range asked {
		trials, err := p.trials()
		if err != nil {
			return err
		}
		if err := printTrials(out, trials); err != nil {
			return err
		}
	}
	return nil
}

// tables writes what was found on some of all tables.
func (b *bench) tables(ctx context.Context, chosen, all []set, text *bytes.Buffer) error {
	found, err := b.over(ctx, chosen, b.detect)
	if len(found) > 0 && err == nil {
		writeAnomaly(text, found, all, b.seeds)
	}
	return err
}

// over returns what a measurement finds on sets, but for those of which a run is missing.
func (b *bench) over(ctx context.Context, sets []set, measure func(context.Context, set) (*detected, error)) (found []detected, err error) {
	for i, s := range sets {
		fmt.Fprintf(b.options.Log, "\n%s, %d of %d\n", s.name, i+1, len(sets))
		d, err := measure(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		if d != nil {
			found = append(found, *d)
		}
	}
	return found, nil
}

// detect measures a set, and PyOD beside it; nil where a run is missing and nothing is to be trained.
func (b *bench) detect(ctx context.Context, s set) (*detected, error) {
	d, err := b.measure(ctx, s)
	if err != nil || d == nil {
		return nil, err
	}
	if err := b.beside(ctx, d); errors.Is(err, errNotKept) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := b.time(ctx, d); err != nil && !errors.Is(err, errNotKept) {
		return nil, err
	}
	return d, nil
}

// measure trains and measures a set with all seeds; nil where a run is missing and nothing is to be trained.
func (b *bench) measure(ctx context.Context, s set) (*detected, error) {
	d := &detected{set: s, aurocs: map[string][]float64{}}
	for seed := range b.seeds {
		o, err := obtain(ctx, s.trial(seed), int64(seed), b.runs, b.train, b.options)
		if err != nil || o == nil {
			return nil, err
		}
		a := o.result.Anomaly
		if a == nil {
			return nil, fmt.Errorf("%s has no figures of anomalies", o.path)
		}
		d.manifest = o.manifest
		d.features = len(o.manifest.Data.Features)
		d.aurocs[""] = append(d.aurocs[""], float64(a.Figures["auroc"].Value))
		for name, figures := range a.Baselines {
			d.aurocs[name] = append(d.aurocs[name], float64(figures["auroc"].Value))
		}
	}
	return d, nil
}

// errNotKept says that something is not there, and nothing is to be made.
var errNotKept = errors.New("not there; leave out --found to make it")

// pyodResult is what the script of PyOD printed.
type pyodResult struct {
	Version string `json:"version"`
	Torch   string `json:"torch"`
	Found   []struct {
		AUROC   float64 `json:"auroc"`
		Seconds float64 `json:"seconds"`
	} `json:"found"`
	Rows      int `json:"rows"`
	Anomalies int `json:"anomalies"`
}

// beside measures PyOD's autoencoder on the same splits. What it printed is kept beside the runs.
func (b *bench) beside(ctx context.Context, d *detected) error {
	var p pyodResult
	err := b.keep("pyod-"+d.set.name, &p, func() error {
		folder, err := os.MkdirTemp("", "latent-results-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		var folders []string
		for seed := range b.seeds {
			part := filepath.Join(folder, fmt.Sprintf("split-%d", seed))
			if p.Rows, p.Anomalies, err = writeSplit(ctx, d.set, seed, part); err != nil {
				return err
			}
			folders = append(folders, part)
		}
		text, err := b.pyod(ctx, folders)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &p)
	})
	if err != nil {
		return fmt.Errorf("PyOD: %w", err)
	}
	if len(p.Found) < b.seeds {
		return fmt.Errorf("PyOD: kept of %d seeds, and %d are asked for; remove %s.json in %s", len(p.Found), b.seeds, "pyod-"+d.set.name, b.runs)
	}
	d.rows, d.anomalies, d.version = p.Rows, p.Anomalies, p.Version
	for _, one := range p.Found[:b.seeds] {
		d.aurocs["pyod"] = append(d.aurocs["pyod"], one.AUROC)
	}
	return nil
}

// pyod runs the script of PyOD on folders.
func (b *bench) pyod(ctx context.Context, folders []string) ([]byte, error) {
	return askPython(ctx, "anomaly", anomalyPackages, anomalyScript, folders...)
}

// writeSplit writes the training and the test rows of a set, as a run with a seed has them, in the data's own units; and counts rows and
// anomalies of the set.
func writeSplit(ctx context.Context, s set, seed int, folder string) (rows, anomalies int, err error) {
	e, err := config.Load(s.config, s.overrides(seed)...)
	if err != nil {
		return 0, 0, err
	}
	split, err := e.Data.Load(ctx, dataset.Options{})
	if err != nil {
		return 0, 0, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return 0, 0, err
	}
	for name, part := range map[string]*dataset.Samples{"train": split.Train, "test": split.Test} {
		if err := files.Write(filepath.Join(folder, name+".npy"), nil, part.Values, part.Len(), part.Size()); err != nil {
			return 0, 0, err
		}
	}
	marks := array.Values{Uint8: make([]uint8, split.Test.Len())}
	for _, part := range []*dataset.Samples{split.Train, split.Test} {
		for i, label := range part.Labels {
			if split.Classes[label] == "0" {
				continue
			}
			anomalies++
			if part == split.Test {
				marks.Uint8[i] = 1
			}
		}
	}
	rows = split.Train.Len() + split.Test.Len()
	return rows, anomalies, files.Write(filepath.Join(folder, "anomalous.npy"), nil, marks, split.Test.Len(), 1)
}

// seconds are those of whole processes.
type seconds struct {
	Ours   float64 `json:"ours"`
	Theirs float64 `json:"theirs"`
}

// time measures whole processes on a large set, one after the other: latent run without baselines, and Python with PyOD's fit and scores.
func (b *bench) time(ctx context.Context, d *detected) error {
	if d.rows < large {
		return nil
	}
	var s seconds
	err := b.keep("seconds-"+d.set.name, &s, func() error {
		folder, err := os.MkdirTemp("", "latent-results-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		program := filepath.Join(folder, "latent")
		if err := exec.CommandContext(ctx, "go", "build", "-o", program, "./experiments/latent").Run(); err != nil {
			return fmt.Errorf("build latent: %w", err)
		}
		part := filepath.Join(folder, "split-0")
		if _, _, err := writeSplit(ctx, d.set, 0, part); err != nil {
			return err
		}
		if _, err := b.pyod(ctx, nil); err != nil { // so that nothing is installed while time is taken
			return err
		}
		start := time.Now()
		arguments := append([]string{"run", d.set.config, "seed=0", "evaluate.anomaly.baselines=[]", "output.dir=" + strconv.Quote(folder)}, d.set.overrides(0)...)
		if text, err := exec.CommandContext(ctx, program, arguments...).CombinedOutput(); err != nil {
			return fmt.Errorf("latent run: %w: %s", err, text)
		}
		s.Ours = time.Since(start).Seconds()
		start = time.Now()
		_, err = b.pyod(ctx, []string{part})
		s.Theirs = time.Since(start).Seconds()
		return err
	})
	d.ours, d.theirs = s.Ours, s.Theirs
	return err
}

// keep reads a value that is kept beside the runs, or makes it and keeps it.
func (b *bench) keep(name string, value any, make func() error) error {
	path := filepath.Join(b.runs, name+".json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !b.train {
			return fmt.Errorf("%s: %w", path, errNotKept)
		}
		fmt.Fprintf(b.options.Log, "%s\n", name)
		if err := make(); err != nil {
			return err
		}
		if text, err = json.Marshal(value); err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, value); err != nil {
		return fmt.Errorf("%s: %w; remove it to recreate it", path, err)
	}
	return nil
}

// besides are the other detectors in the order of the table.
var besides = []struct{ name, title string }{
	{"pyod", "PyOD AutoEncoder"}, {"pca", "PCA"}, {"mahalanobis", "Mahalanobis"}, {"knn", "kNN"}, {"lof", "LOF"}, {"iforest", "isolation forest"},
}

// meanOf is the mean AUROC of a detector over sets.
func meanOf(found []detected, name string) float64 {
	var means []float64
	for _, d := range found {
		means = append(means, stat.Mean(d.aurocs[name], nil))
	}
	return stat.Mean(means, nil)
}

// writeAnomaly writes the document.
func writeAnomaly(out *bytes.Buffer, found []detected, all []set, seeds int) {
	m := found[0].manifest
	fmt.Fprintf(out, `# Results on anomalies

Made by `+"`go run ./experiments/results --anomaly`"+` from MNIST and, in `+"`$LATENT_DATA_DIR`"+`, the tables of ADBench (Han et al. 2022) in `+"`tabular`"+`, its features of MVTec-AD
in `+"`features`"+` and magnetic tiles in `+"`tiles`"+`; all values except published ones are measured by it.

Each table is split 70/30, stratified by label. Labels are used only for evaluation: the training rows include anomalies. AUROC is computed on the test
rows and averaged over %d seeds, each with its own split and initial weights. All tables use one config,
`+"`%s`"+`, with its score %s. The first %d tables by name were used to choose the config, the others were not. The components of the score were chosen
from a dozen combinations on all tables (one split of each), so its mean is slightly better than on unseen tables.
PyOD's AutoEncoder has its defaults, features in [0, 1] and the same splits. The other detectors are those of pkg/anomaly, fitted to
the same rows on the model's scale (at most 10,000).

`, seeds, anomalyConfig, "`"+m.Result.Anomaly.Score+"`", decidedBy)
	fmt.Fprintf(out, "- processor: %s, %d cores\n- backend: %s\n- gomlx %s, go-xla %s, %s; PyOD %s\n\n## Tables\n\n", m.Host.CPU, m.Host.Cores, m.Backend.Name,
		m.Versions["gomlx"], m.Versions["go-xla"], m.Versions["go"], found[0].version)
	head, rule := "| table | rows × features | anomalies | Latent |", "| --- | ---: | ---: | ---: |"
	for _, other := range besides {
		head, rule = head+" "+other.title+" |", rule+" ---: |"
	}
	fmt.Fprintf(out, "%s\n%s\n", head, rule)
	var seen, unseen []detected
	for _, d := range found {
		fmt.Fprintf(out, "| %s | %d × %d | %.1f %% |", d.set.name, d.rows, d.features, 100*float64(d.anomalies)/float64(d.rows))
		for _, name := range append([]string{""}, names()...) {
			fmt.Fprintf(out, " %.3f |", stat.Mean(d.aurocs[name], nil))
		}
		fmt.Fprintln(out)
		if slices.IndexFunc(all, func(s set) bool { return s == d.set }) < decidedBy {
			seen = append(seen, d)
		} else {
			unseen = append(unseen, d)
		}
	}
	writeMeans(out, seen, unseen, names())
	if len(found) < len(all) {
		fmt.Fprintf(out, "\n%d more tables were not run; means and bars cover only those above.\n", len(all)-len(found))
	}
	writeAnomalyBars(out, found)
}

// writeMeans writes rows of means: of all sets, of those that the config was chosen with, and of the others.
func writeMeans(out *bytes.Buffer, seen, unseen []detected, others []string) {
	line := func(title string, of []detected) {
		if len(of) == 0 {
			return
		}
		fmt.Fprintf(out, "| **%s** | | | **%.3f** |", title, meanOf(of, ""))
		for _, other := range others {
			fmt.Fprintf(out, " %.3f |", meanOf(of, other))
		}
		fmt.Fprintln(out)
	}
	all := slices.Concat(seen, unseen)
	line(fmt.Sprintf("mean of %d", len(all)), all)
	line(fmt.Sprintf("mean of the %d used for tuning", len(seen)), seen)
	line(fmt.Sprintf("mean of the %d others", len(unseen)), unseen)
}

// names are those of the other detectors.
func names() (list []string) {
	for _, other := range besides {
		list = append(list, other.name)
	}
	return list
}

// writeAnomalyBars writes what was asked for, and whether it was reached.
func writeAnomalyBars(out *bytes.Buffer, found []detected) {
	ours, peer, best, bestName := meanOf(found, ""), meanOf(found, "pyod"), 0.0, ""
	for _, other := range besides[1:] {
		if mean := meanOf(found, other.name); mean > best {
			best, bestName = mean, other.title
		}
	}
	fmt.Fprintf(out, "\n### Bars\n\n| bar | reached | |\n| --- | --- | --- |\n")
	fmt.Fprintf(out, "| mean AUROC at least 0.03 above PyOD's AutoEncoder, %.3f | %.3f, %s | %s |\n", peer, ours, signed3(ours-peer), verdict(ours-peer >= 0.03))
	fmt.Fprintf(out, "| at most 0.01 below the best baseline, %s with %.3f | %s | %s |\n", bestName, best, signed3(ours-best), verdict(ours >= best-0.01))
	fmt.Fprintf(out, "\n### Time\n\nSeconds of the whole process with one seed, run sequentially on a machine with other load: `latent run` with scores and report, without baselines, and Python with PyOD's fit and scores on one thread. Tables with at least %d rows.\n\n", large)
	fmt.Fprintf(out, "| table | rows | Latent | PyOD AutoEncoder | times |\n| --- | ---: | ---: | ---: | ---: |\n")
	least := 0.0
	for _, d := range found {
		if d.ours == 0 {
			continue
		}
		times := d.theirs / d.ours
		if least == 0 || times < least {
			least = times
		}
		fmt.Fprintf(out, "| %s | %d | %.1f | %.1f | %.1f |\n", d.set.name, d.rows, d.ours, d.theirs, times)
	}
	fmt.Fprintf(out, "\nBar: three times as fast on each; the minimum is %.1f: %s.\n", least, verdict(least >= 3))
}

// signed3 writes a difference of AUROCs with its sign.
func signed3(difference float64) string {
	return strings.Replace(fmt.Sprintf("%+.3f", difference), "-", "−", 1)
}
