package notebook

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/random"
	"latent/pkg/rundir"
)

// rows is an experiment on rows near a line in three dimensions, every 20th away from it in b.
func rows(t *testing.T) *rundir.Run {
	t.Helper()
	var text strings.Builder
	text.WriteString("kind,a,b,c\n")
	z := random.NewSeed(1).Normal(4*400, 1)
	for i := range 400 {
		kind, x, b := "good", z[4*i], float32(0)
		if i%20 == 19 {
			kind, b = "bad", 7
		}
		fmt.Fprintf(&text, "%s,%g,%g,%g\n", kind, x+0.2*z[4*i+1], 2*x+0.2*z[4*i+2]+b, 0.2*z[4*i+3]-x)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "rows.csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOMLX_BACKEND", "")
	e, err := config.Parse("rows.yaml", fmt.Appendf(nil, `
data: {dataset: table, files: %q, label: kind, normal: [good], test_fraction: 0.3, calibration: 0.4}
model: {kind: dense, encoder: [8, 1], decoder: [8], latent_activation: linear, output: linear}
train: {batch_size: 8, epochs: 20, learning_rate: 0.01}
evaluate: {anomaly: {score: mse, alarm_rate: 0.05, baselines: [pca]}}
output: {dir: %q, grid: {rows: 2, columns: 2, every: 0}}
backend: go
`, file, dir))
	if err != nil {
		t.Fatal(err)
	}
	run, err := experiment.Run(t.Context(), e, experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestScore(t *testing.T) {
	run := rows(t)
	t.Run("score", func(t *testing.T) { testScore(t, run) })
	t.Run("at", func(t *testing.T) { testScoresAt(t, run) })
	t.Run("refused", func(t *testing.T) { testScoreRefused(t, run) })
}

// Scores are those of latent score, of the run's test and of a file, and the worst come first.
func testScore(t *testing.T, run *rundir.Run) {
	scores, err := Score(t.Context(), run, "", ScoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := run.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	anomalies := manifest.Result.Anomaly
	var alarms, normal float64
	for i, found := range scores.Found {
		if scores.Class(i) == "good" {
			normal++
			if found.Alarm {
				alarms++
			}
		}
	}
	if want := float64(anomalies.Threshold.FalseAlarms); alarms/normal != want || scores.Len() != anomalies.NormalSamples+anomalies.Anomalies {
		t.Errorf("%d scores, false alarms %g; the run has %d normal and %d others, and %g", scores.Len(), alarms/normal, anomalies.NormalSamples, anomalies.Anomalies, want)
	}

	worst := scores.Worst(anomalies.Anomalies)
	for k, i := range worst {
		if scores.Class(i) != "bad" || k > 0 && scores.Found[i].Score > scores.Found[worst[k-1]].Score {
			t.Errorf("worst %d is sample %d, %s, of score %g", k, i, scores.Class(i), scores.Found[i].Score)
		}
	}
	if n := len(scores.Worst(1 << 20)); n != scores.Len() || len(scores.Worst(-1)) != 0 {
		t.Errorf("worst of all are %d", n)
	}
	table := scores.Table(worst[0])
	if got, want := strings.Join(table.Head, "|"), "sample|class|score mse|p|alarm|adds most to its error"; got != want {
		t.Errorf("head %s, want %s", got, want)
	}
	if row := table.Rows[0]; row[0] != fmt.Sprint(worst[0]) || row[1] != "bad" || row[4] != "yes" || !strings.HasPrefix(row[5], "b ") || strings.Count(row[5], " %") != 3 {
		t.Errorf("the worst is %q, want a bad one, for its b", row)
	}

	file := filepath.Join(t.TempDir(), "new.csv")
	if err := os.WriteFile(file, []byte("c,a,b\n-1,1,2\n0,0,9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	others, err := Score(t.Context(), run, file, ScoreOptions{Kind: "weighted-mae", AlarmRate: 0.1, Top: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(others.Worst(9), []int{1, 0}) || others.Class(1) != "" || others.Kind() != "weighted-mae" {
		t.Errorf("worst %v of %+v", others.Worst(9), others.Found)
	}
	if row := others.Table(1).Rows[0]; row[0] != "1" || row[3] != "yes" || !strings.HasPrefix(row[4], "b ") || strings.Contains(row[4], ",") {
		t.Errorf("row %q", row)
	}

	// What the page of a run has is shown of it too.
	p := newRecorder(t)
	if err := showAnomalies(p, manifest.Result); err != nil {
		t.Fatal(err)
	}
	if p.pictures[""] == nil || !strings.Contains(p.texts[""], "threshold") {
		t.Errorf("shown is %q, and a histogram: %t", p.texts[""], p.pictures[""] != nil)
	}
	if text := Anomalies(manifest.Result).String(); !strings.HasPrefix(text, fmt.Sprintf("%d anomalies among %d  AUROC", anomalies.Anomalies, scores.Len())) ||
		!strings.Contains(text, "\nmodel, mse") || !strings.Contains(text, "\npca ") {
		t.Errorf("figures\n%s", text)
	}
}

// At another rate, scores and p-values are the same and alarms are those of p ≤ rate; there are none where the calibration is too small.
func testScoresAt(t *testing.T, run *rundir.Run) {
	scores, err := Score(t.Context(), run, "", ScoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before, err := scores.Threshold()
	if err != nil || before.Rate != 0.05 {
		t.Fatalf("%+v, %v", before, err)
	}
	for _, rate := range []float64{0.02, 0.1, 0.5} {
		other, err := scores.At(rate)
		if err != nil {
			t.Fatal(err)
		}
		for i, found := range other.Found {
			if want := found.P <= rate; found.Alarm != want || found.Score != scores.Found[i].Score {
				t.Errorf("rate %g, sample %d: %+v, was %+v", rate, i, found, scores.Found[i])
			}
		}
	}
	none, err := scores.At(0.001)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.Threshold(); err == nil || !strings.Contains(err.Error(), "needs 999 normal samples") {
		t.Errorf("a threshold for 0.001: %v", err)
	}
	if slices.ContainsFunc(none.Found, func(f experiment.Scored) bool { return f.Alarm }) {
		t.Error("alarms without a threshold")
	}
	if after, _ := scores.Threshold(); after != before {
		t.Errorf("the scores' own threshold is %+v, was %+v", after, before)
	}
}

// What cannot be scored is told.
func testScoreRefused(t *testing.T, run *rundir.Run) {
	for want, o := range map[string]ScoreOptions{"no score psnr: want one of mse": {Kind: "psnr"}, "alarm rate of 1;": {AlarmRate: 1}, "alarm rate of NaN;": {AlarmRate: math.NaN()}} {
		if _, err := Score(t.Context(), run, "", o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	if _, err := Score(t.Context(), run, filepath.Join(t.TempDir(), "none.csv"), ScoreOptions{}); err == nil || !strings.Contains(err.Error(), "none.csv: no such file") {
		t.Errorf("a file that is not there: %v", err)
	}
}
