package experiment_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"latent/pkg/backend/backendtest"
	"latent/pkg/conformal"
	"latent/pkg/experiment"
	"latent/pkg/random"
	"latent/pkg/rundir"
)

// writeRows writes a table of rows on a line in four dimensions, with noise, some of which are anomalies away from it.
func writeRows(t *testing.T, path string, n int, seed int64) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("a,b,c,d,kind\n")
	z := random.NewSeed(seed).Normal(5*n, 1)
	for i := range n {
		at := z[5*i:]
		row := []float32{at[0], 2 * at[0], -at[0], 0.5 * at[0]}
		kind := "good"
		for j := range row {
			row[j] += 0.3 * at[1+j]
		}
		if i%25 == 24 {
			kind = "bad"
			row[i%4] += 6
		}
		fmt.Fprintf(&text, "%g,%g,%g,%g,%s\n", row[0], row[1], row[2], row[3], kind)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// rowsConfig is an experiment on such rows.
func rowsConfig(file string) string {
	return fmt.Sprintf(`
data: {dataset: table, files: %q, label: kind, normal: [good], test_fraction: 0.8, calibration: 0.4, validation: 60}
model: {kind: dense, encoder: [8, 2], decoder: [8], output: linear}
train: {batch_size: 32, epochs: 20, learning_rate: 0.005}
output: {grid: {rows: 2, columns: 2, every: 0}}
`, file)
}

// What latent score promises, of the scores of a real model: over 200 splits of normal rows that it never saw into calibration and new rows,
// false alarms are at most the rate in the mean, and spread as the beta distribution does.
func TestAlarmRate(t *testing.T) {
	b := backendtest.XLA(t)
	ctx := context.Background()
	run, err := experiment.Run(ctx, load(t, b, rowsConfig(writeRows(t, filepath.Join(t.TempDir(), "rows.csv"), 3000, 1)), "evaluate.anomaly.baselines=[]"), experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	trained, err := experiment.Open(ctx, run.Path, nil, experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer trained.Close()
	whole, err := trained.HeldWhole(ctx, "", experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const rate, n, splits = 0.05, 199, 200
	for _, kind := range []string{"mse", "ranks"} {
		scorer, err := trained.Scorer(ctx, kind, rate, experiment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var scores []float64
		if err := scorer.Each(ctx, whole.Samples, 0, func(some []experiment.Scored) error {
			for _, one := range some {
				if whole.Labels[len(scores)] == 0 { // bad comes first by name
					one.Score = math.NaN()
				}
				scores = append(scores, one.Score)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		scores = slices.DeleteFunc(scores, func(s float64) bool { return s != s })
		rates := make([]float64, splits)
		held := 0
		for split := range splits {
			order := random.NewSeed(3).Child(split).Permutation(len(scores))
			calibration := make([]float64, n)
			for i := range calibration {
				calibration[i] = scores[order[i]]
			}
			c, err := conformal.New(calibration)
			if err != nil {
				t.Fatal(err)
			}
			threshold, err := c.Threshold(rate)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range order[n:] {
				if threshold.Alarm(scores[i]) {
					rates[split] += 1 / float64(len(scores)-n)
				}
			}
			if low, high := threshold.Realised(); low <= rates[split] && rates[split] <= high {
				held++
			}
		}
		beta := distuv.Beta{Alpha: 10, Beta: 190} // k = ⌊0.05 · 200⌋
		mean, bound := stat.Mean(rates, nil), 4*beta.StdDev()/math.Sqrt(splits)
		t.Logf("%s: %d normal rows, mean rate of false alarms %.4f, %d of %d within the range of one calibration", kind, len(scores), mean, held, splits)
		if math.Abs(mean-rate) > bound {
			t.Errorf("%s: mean rate of false alarms %.4f, want %g within %.4f", kind, mean, rate, bound)
		}
		if held < 180 {
			t.Errorf("%s: %d of %d rates lie in the range for one calibration, want about 190", kind, held, splits)
		}
	}
}

// A run on normal rows alone finds the others, says so in figures with intervals, and keeps what scores rest on: they need the run's data no
// more, and are the same to the bit however many rows are scored together. What is damaged or of other weights is made anew.
func TestScoreAnomalies(t *testing.T) {
	b := backendtest.XLA(t)
	ctx := context.Background()
	dir := t.TempDir()
	file := writeRows(t, filepath.Join(dir, "rows.csv"), 1500, 2)
	var log bytes.Buffer
	options := experiment.Options{Log: &log}
	run, err := experiment.Run(ctx, load(t, b, rowsConfig(file)), options)
	if err != nil {
		t.Fatal(err)
	}
	m := manifestOf(t, run)
	found := m.Result.Anomaly
	if m.Data.Train != 137 || m.Data.Validation != 60 || m.Data.Test != 1212 { // of 288 good rows that are not in the test, 0.4 of 228 calibrate
		t.Errorf("%d rows to train on, %d for validation, %d for the test", m.Data.Train, m.Data.Validation, m.Data.Test)
	}
	if found.NormalSamples != 1152 || found.Anomalies != 60 || !slices.Equal(found.Normal, []string{"good"}) {
		t.Errorf("%+v", found)
	}
	auroc := found.Figures["auroc"]
	if !(auroc.Value > 0.9 && auroc.Low < auroc.Value && auroc.Value < auroc.High) || m.Result.Test["auroc"] != auroc.Value {
		t.Errorf("AUROC %+v, among the test's figures %g", auroc, m.Result.Test["auroc"])
	}
	if len(found.Baselines) != 5 || found.Baselines["pca"]["auroc"].Value < 0.9 {
		t.Errorf("baselines %+v", found.Baselines)
	}
	if th := found.Threshold; th != nil || !strings.Contains(found.Missing, "needs 99 normal samples to calibrate, but there are 91") {
		t.Errorf("threshold %+v, %q", th, found.Missing)
	}
	for _, want := range []string{"60 anomalies", "\nmodel, ranks ", "\niforest ", "no threshold: "} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the terminal lacks %q:\n%s", want, log.String())
		}
	}
	if page := read(t, run, "report.html"); !strings.Contains(page, "<h2>Anomalies</h2>") || !strings.Contains(page, "Scores of test samples, parts of each kind") {
		t.Error("the report has no anomalies")
	}

	scoresOf := func(kind string, part int) (scores []float64, scorer *experiment.Scorer) {
		t.Helper()
		trained, err := experiment.Open(ctx, run.Path, nil, options)
		if err != nil {
			t.Fatal(err)
		}
		defer trained.Close()
		if scorer, err = trained.Scorer(ctx, kind, 0.05, options); err != nil {
			t.Fatal(err)
		}
		other := writeRows(t, filepath.Join(dir, "new.csv"), 700, 3)
		whole, err := trained.HeldWhole(ctx, other, options)
		if err != nil {
			t.Fatal(err)
		}
		for first := 0; first < whole.Len(); first += part {
			places := []int{}
			for i := first; i < min(first+part, whole.Len()); i++ {
				places = append(places, i)
			}
			if err := scorer.Each(ctx, whole.Samples.Select(places), 2, func(some []experiment.Scored) error {
				for _, one := range some {
					if len(one.Top) != 2 || !(one.Top[0].Share >= one.Top[1].Share) || one.Alarm != (scorer.Threshold.Alarm(one.Score)) || one.Alarm != (one.P <= 0.05) {
						t.Errorf("%+v", one)
					}
					scores = append(scores, one.Score)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		return scores, scorer
	}
	whole, scorer := scoresOf("", 700)
	if scorer.By != "calibration" || scorer.Threshold.Size != 91 {
		t.Errorf("calibrated by %d of %s", scorer.Threshold.Size, scorer.By)
	}
	if err := os.Remove(file); err != nil { // from here on only what is kept helps
		t.Fatal(err)
	}
	log.Reset()
	if parts, _ := scoresOf("", 333); !slices.Equal(parts, whole) {
		t.Error("in parts, without the run's data, scores are others")
	}
	for _, kind := range []string{"mse", "mae", "weighted-mse", "weighted-mae", "whitened-mse", "mahalanobis", "neighbours", "forest"} {
		scores, _ := scoresOf(kind, 700)
		good, bad := 0.0, 0.0
		for i, score := range scores {
			if i%25 == 24 {
				bad += score / 28
			} else {
				good += score / 672
			}
		}
		if !(bad > good) {
			t.Errorf("%s: anomalies score %g, normal rows %g", kind, bad, good)
		}
	}
	kept := run.CalibrationPath()
	text, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	trained, err := experiment.Open(ctx, run.Path, nil, options)
	if err != nil {
		t.Fatal(err)
	}
	defer trained.Close()
	for name, change := range map[string]func() []byte{
		"cut off":  func() []byte { return text[:len(text)/2] },
		"changed":  func() []byte { return append(slices.Clone(text[:len(text)-1]), text[len(text)-1]^1) },
		"no file":  func() []byte { return []byte("LATENT\x00\x01") },
		"nothing":  func() []byte { return nil },
		"of a run": func() []byte { return []byte(read(t, run, "checkpoints/best.ckpt")) },
	} {
		if err := os.WriteFile(kept, change(), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := trained.Scorer(ctx, "", 0.05, options); err == nil || !strings.Contains(err.Error(), "rows.csv") {
			t.Errorf("%s: error %v, want one of the run's data that is not there", name, err)
		}
	}
	writeRows(t, file, 1500, 2)
	log.Reset()
	if again, _ := scoresOf("", 700); !slices.Equal(again, whole) {
		t.Error("what was made anew gives other scores")
	}
	if _, err := rundir.ReadCheckpoint(kept); err != nil {
		t.Error(err)
	}
}
