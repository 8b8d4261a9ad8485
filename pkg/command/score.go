package command

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/spf13/cobra"

	"latent/pkg/array"
	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/report"
	"latent/pkg/rundir"
	"latent/pkg/table"
)

// scoreFlags are those of latent score.
type scoreFlags struct {
	out, kind, maps        string
	rate                   float64
	top                    int
	compare, force, asJSON bool
}

func newScore(c *console) *cobra.Command {
	var f scoreFlags
	cmd := &cobra.Command{
		Use:   "score RUN [DATA]",
		Short: "Score how unlike what a run was trained on samples are, and raise alarms",
		Long: `Score writes a row for each sample, in their order: its number or name, its score (higher is more anomalous), whether it raises an
alarm, the part of normal samples that score as high, and the features or pixels that add most to its error. DATA is a table, an array
or a folder of pictures; without it, the samples are those of the run's test.

An alarm is a score above a threshold that at most --alarm-rate of new normal samples pass, found by samples that the run was not trained
on: its calibration part (data.calibration), or those held out for validation. What this rests on is kept in the run's folder, so that the
next call needs none of the run's data. docs/anomaly.md has the formulas, and when the rate holds.

Files are .csv, .tsv, .npy, .npz or .parquet, as the name of -o ends. The last three hold numbers alone: the sample's number from 0, the
alarm as 0 or 1, and features and pixels by their place from 0, row by row; names of pictures are written beside, into a file whose name
has .samples.csv behind that of the scores. Of pictures, --maps writes where the error is: NAME.tiff with the
squared error of each pixel, smoothed (evaluate.anomaly.smooth), and NAME.png with its colours over the picture, on one scale for all, in
the middle of which is what one normal picture in a hundred reaches. --compare measures all kinds of scores instead, where labels say which
samples are normal (evaluate.anomaly.normal, or data.normal).`,
		Example: "  latent score runs/pumps/2026-11-24T10-15-30-7f3a today.csv -o scores.csv --alarm-rate 0.001\n" +
			"  latent score runs/tiles/2026-11-24T10-15-30-7f3a camera/ -o scores.csv --maps maps\n" +
			"  latent score runs/pumps/2026-11-24T10-15-30-7f3a --compare",
		Args: cobra.RangeArgs(1, 2),
	}
	cmd.Flags().StringVarP(&f.out, "output", "o", "", "file for the scores; must be given but with --compare")
	cmd.Flags().StringVar(&f.kind, "score", "", "kind of score: "+strings.Join(experiment.ScoreKinds, ", ")+"; without it that of the run's config (evaluate.anomaly.score)")
	cmd.Flags().Float64Var(&f.rate, "alarm-rate", 0, "part of normal samples that may raise an alarm; without it that of the run's config (evaluate.anomaly.alarm_rate, 0.01)")
	cmd.Flags().StringVar(&f.maps, "maps", "", "folder for heat maps of pictures")
	cmd.Flags().IntVar(&f.top, "top", 3, "how many features or pixels are named of each sample, 0 for none")
	cmd.Flags().BoolVar(&f.compare, "compare", false, "measure all kinds of scores on samples with labels, and write no file")
	cmd.Flags().BoolVar(&f.force, "force", false, "write over the file of --output, and those in --maps, where there are such")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print what was found as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(cmd.Flags().Changed("alarm-rate")); err != nil {
			return err
		}
		if err := checkApart(args[1:], f.out); err != nil {
			return err
		}
		options := experiment.Options{Log: c.stderr, Terminal: c.terminal()}
		trained, err := openRun(cmd.Context(), args[0], nil, options)
		if err != nil {
			return err
		}
		defer trained.Close()
		data := ""
		if len(args) > 1 {
			data = args[1]
		}
		if f.compare {
			return compareScores(cmd.Context(), c, trained, data, f, options)
		}
		return writeScores(cmd.Context(), c, trained, data, f, options)
	}
	return cmd
}

// mostTop is how many values can be named of each sample.
const mostTop = 100

// check finds flags that cannot be, before anything is computed.
func (f scoreFlags) check(rateGiven bool) error {
	switch {
	case f.kind != "" && !slices.Contains(experiment.ScoreKinds, f.kind):
		return usageError{fmt.Errorf("--score=%s: want one of %s", f.kind, strings.Join(experiment.ScoreKinds, ", "))}
	case rateGiven && !(f.rate > 0 && f.rate < 1):
		return usageError{fmt.Errorf("--alarm-rate=%g: want a part between 0 and 1, such as 0.01", f.rate)}
	case f.top < 0 || f.top > mostTop:
		return usageError{fmt.Errorf("--top=%d: want 0 to %d", f.top, mostTop)}
	case f.compare && (f.out != "" || f.maps != ""):
		return usageError{fmt.Errorf("--compare writes no files; leave --output and --maps out")}
	case f.compare:
		return nil
	}
	if err := checkTable(f.out, f.force); err != nil {
		return err
	}
	if extension := strings.ToLower(filepath.Ext(f.out)); extension == ".csv" || extension == ".tsv" {
		return nil
	}
	if err := checkFree(samplesBeside(f.out), f.force); err != nil {
		return experiment.InputError{Err: fmt.Errorf("the names of samples go beside their scores: %w", err)}
	}
	return nil
}

// scoresJSON is a file of scores that was written, for programs.
type scoresJSON struct {
	Run     string         `json:"run"`
	File    string         `json:"file"`
	Rows    int            `json:"rows"`
	Score   string         `json:"score"`
	Alarms  int            `json:"alarms"`
	Rate    float64        `json:"alarm_rate,omitempty"`
	Above   *rundir.Number `json:"threshold"` // null where none could be found
	Reason  string         `json:"no_threshold,omitempty"`
	By      string         `json:"calibrated_by,omitempty"`
	Samples int            `json:"calibration_samples,omitempty"`
}

// writeScores writes the file of scores.
func writeScores(ctx context.Context, c *console, trained *experiment.Trained, data string, f scoreFlags, options experiment.Options) error {
	scorer, err := trained.Scorer(ctx, f.kind, f.rate, options)
	if err != nil {
		return err
	}
	var maps *mapWriter
	if f.maps != "" {
		if maps, err = newMapWriter(f.maps, data, f.force, trained.Like()); err != nil {
			return experiment.InputError{Err: err}
		}
		scorer.Maps = true
	}
	f.top = min(f.top, trained.Image.Size())
	w, err := createScores(f.out, f.top, trained.ValueName)
	if err != nil {
		return experiment.InputError{Err: err}
	}
	var bar *rowsBar
	alarms := 0
	err = trained.ScoreFile(ctx, scorer, data, f.top, options, func(n int, names []string) { bar, w.names = newRows(c, n), names },
		func(some []experiment.Scored) error {
			for _, one := range some {
				if one.Alarm {
					alarms++
				}
				if maps != nil {
					if err := maps.add(one, w.names); err != nil {
						return err
					}
				}
			}
			bar.add(len(some))
			return w.add(some)
		})
	if err != nil {
		w.abort()
		return err
	}
	if err := w.close(); err != nil {
		return err
	}
	if w.numbers != nil {
		if err := writeBeside(samplesBeside(f.out), w.names, experiment.Marked{}); err != nil {
			return err
		}
	}
	tellFilled(c, trained, scorer)
	bar.end("score", fmt.Sprintf("%s in %s", scorer.Kind, f.out))
	if maps != nil {
		fmt.Fprintf(c.stderr, "heat maps of %s in %s\n", message.Count(maps.count, "picture"), f.maps)
	}
	out := scoresJSON{Run: trained.Run.Path, File: f.out, Rows: bar.done, Score: scorer.Kind, Alarms: alarms, By: scorer.By}
	if t := scorer.Threshold; t != nil {
		low, high := t.Realised()
		above := rundir.Number(t.Score)
		out.Above, out.Rate, out.Samples = &above, t.Rate, t.Size
		fmt.Fprintf(c.stderr, "%d alarms: scores above %.6g, which %.3g %% of normal rows pass (%s to %s %%, by %d of the %s)\n", alarms, t.Score, 100*t.Rate,
			percent(low), percent(high), t.Size, scorer.By)
	} else {
		out.Reason = scorer.Missing.Error()
		fmt.Fprintf(c.stderr, "no alarms: %v\n", scorer.Missing)
	}
	if !f.asJSON {
		return nil
	}
	return printJSON(c, out)
}

// tellFilled says which features were missing in the rows that were scored.
func tellFilled(c *console, trained *experiment.Trained, scorer *experiment.Scorer) {
	var told []string
	for j, part := range scorer.Filled() {
		if part > 0 {
			told = append(told, fmt.Sprintf("%s (%s %%)", trained.ValueName(j, trained.Image.Width), percent(part)))
		}
	}
	const most = 8
	if n := len(told); n > most {
		told = append(told[:most], fmt.Sprintf("and %d more", n-most))
	}
	if told != nil {
		fmt.Fprintf(c.stderr, "missing values, for which medians of the training rows stand and which raise no score: %s\n", strings.Join(told, ", "))
	}
}

// percent is a part in percent, with two digits or, where it has more, without a power of ten.
func percent(part float64) string {
	if 100*part >= 10 {
		return strconv.FormatFloat(100*part, 'f', 0, 64)
	}
	return strconv.FormatFloat(100*part, 'g', 2, 64)
}

// compareScores prints how well each kind of score tells anomalies.
func compareScores(ctx context.Context, c *console, trained *experiment.Trained, data string, f scoreFlags, options experiment.Options) error {
	whole, err := trained.HeldWhole(ctx, data, options)
	if err != nil {
		return err
	}
	var asked []string
	if f.kind != "" {
		asked = []string{f.kind}
	}
	all, err := trained.Compare(ctx, whole, asked, options)
	if err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(c, struct {
			Run    string                  `json:"run"`
			Scores []experiment.Comparison `json:"scores"`
		}{trained.Run.Path, all})
	}
	fmt.Fprintf(c.stderr, "%-14s", "score")
	for _, figure := range report.AnomalyFigures {
		fmt.Fprintf(c.stderr, " %-28s", figure.Title)
	}
	fmt.Fprintf(c.stderr, " %s\n", "AUROC below the best's")
	for _, one := range all {
		fmt.Fprintf(c.stderr, "%-14s", one.Kind)
		for _, figure := range report.AnomalyFigures {
			fmt.Fprintf(c.stderr, " %-28s", estimateText(one.Figure[figure.Name]))
		}
		if one.Less != nil {
			fmt.Fprintf(c.stderr, " %s, p %.2g", estimateText(*one.Less), one.P)
		}
		fmt.Fprintln(c.stderr)
	}
	fmt.Fprintln(c.stderr, "95 % intervals over samples; p is DeLong's, for each kind beside the best. The best of several on one set of samples looks better than it is: choose on other samples than those that you report.")
	return nil
}

// estimateText writes a figure with its interval.
func estimateText(e rundir.Estimate) string {
	return fmt.Sprintf("%.4f (%.3f to %.3f)", float64(e.Value), float64(e.Low), float64(e.High))
}

// scoresWriter writes a file of scores: text with names, or numbers alone.
type scoresWriter struct {
	top   int
	name  func(value, width int) string
	names []string // of the samples; nil numbers them
	rows  int

	numbers *table.Writer // of files of numbers
	text    *csv.Writer   // of others
	buffer  *bufio.Writer
	file    *os.File
	path    string
}

// columns are the names of a file's columns.
func (w *scoresWriter) columns() []string {
	columns := []string{"sample", "score", "alarm", "p"}
	for k := range w.top {
		columns = append(columns, fmt.Sprintf("top_%d", k+1), fmt.Sprintf("share_%d", k+1))
	}
	return columns
}

// createScores begins a file, which has its name when it is whole.
func createScores(path string, top int, name func(value, width int) string) (*scoresWriter, error) {
	w := &scoresWriter{top: top, name: name, path: path}
	extension := strings.ToLower(filepath.Ext(path))
	var err error
	if extension != ".csv" && extension != ".tsv" {
		columns := w.columns()
		w.numbers, err = table.Create(path, columns, dtypes.Float32, len(columns))
		return w, err
	}
	if w.file, err = os.CreateTemp(filepath.Dir(path), ".latent-*"); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	w.buffer = bufio.NewWriterSize(w.file, 64<<10)
	w.text = csv.NewWriter(w.buffer)
	if extension == ".tsv" {
		w.text.Comma = '\t'
	}
	return w, w.text.Write(w.columns())
}

// mostNumbered is how many samples float32 can number.
const mostNumbered = 1 << 24

// add writes rows.
func (w *scoresWriter) add(some []experiment.Scored) error {
	if w.numbers == nil {
		return w.addText(some)
	}
	if w.rows+len(some) > mostNumbered {
		return experiment.InputError{Err: fmt.Errorf("write %s: more than %d rows cannot be numbered there; write .csv", w.path, mostNumbered)}
	}
	var values []float32
	for _, one := range some {
		alarm := float32(0)
		if one.Alarm {
			alarm = 1
		}
		values = append(values, float32(w.rows), float32(one.Score), alarm, float32(one.P))
		for _, c := range one.Top {
			values = append(values, float32(c.Value), float32(c.Share))
		}
		w.rows++
	}
	return w.numbers.Append(array.Values{Float32: values})
}

// addText writes rows of text.
func (w *scoresWriter) addText(some []experiment.Scored) error {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 32) }
	for _, one := range some {
		sample := strconv.Itoa(w.rows)
		if w.names != nil {
			sample = w.names[w.rows]
		}
		alarm, p := "0", ""
		if one.Alarm {
			alarm = "1"
		}
		if !math.IsNaN(one.P) {
			p = number(one.P)
		}
		row := []string{sample, number(one.Score), alarm, p}
		for _, c := range one.Top {
			row = append(row, w.name(c.Value, one.Width), number(c.Share))
		}
		if err := w.text.Write(row); err != nil {
			return fmt.Errorf("write %s: %w", w.path, err)
		}
		w.rows++
	}
	return nil
}

// close gives the file its name.
func (w *scoresWriter) close() error {
	if w.numbers != nil {
		return w.numbers.Close()
	}
	defer os.Remove(w.file.Name()) // fails once the file has its name
	w.text.Flush()
	err := cmp.Or(w.text.Error(), w.buffer.Flush(), w.file.Chmod(0o644), w.file.Close())
	if err == nil {
		err = os.Rename(w.file.Name(), w.path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", w.path, err)
	}
	return nil
}

// abort leaves no file.
func (w *scoresWriter) abort() {
	if w.numbers != nil {
		w.numbers.Abort()
		return
	}
	w.file.Close()
	os.Remove(w.file.Name())
}
