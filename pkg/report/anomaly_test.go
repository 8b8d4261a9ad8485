package report

import (
	"strings"
	"testing"

	"latent/pkg/rundir"
)

// anomalous is a result with anomalies.
func anomalous() rundir.Result {
	figures := func(auroc rundir.Number) map[string]rundir.Estimate {
		return map[string]rundir.Estimate{"auroc": {Value: auroc, Low: auroc - 0.1, High: auroc + 0.1}, "average_precision": {Value: 0.5, Low: 0.4, High: 0.6}}
	}
	return rundir.Result{Anomaly: &rundir.Anomaly{
		Score: "ranks", Normal: []string{"0"}, NormalSamples: 90, Anomalies: 10, Figures: figures(0.8),
		Baselines: map[string]map[string]rundir.Estimate{"pca": figures(0.7), "knn": figures(0.75)},
		Threshold: &rundir.Threshold{Score: 1.5, Rate: 0.01, Low: 0.002, High: 0.02, Samples: 500, By: "calibration", FalseAlarms: 0.0125, Found: 0.6},
		Histogram: &rundir.Histogram{Edges: []rundir.Number{0, 1, 2}, Normal: []int{80, 10}, Anomalous: []int{2, 8}},
	}}
}

// The model stands first, then the baselines, the best first; the threshold is a sentence with its parts.
func TestAnomalies(t *testing.T) {
	table := Anomalies(anomalous())
	var names []string
	for _, row := range table.Rows {
		names = append(names, row.Name+" "+row.Values[0]+" "+row.Intervals[0])
	}
	if got := strings.Join(names, "; "); got != "model, ranks 0.8000 0.700 to 0.900; knn 0.7500 0.650 to 0.850; pca 0.7000 0.600 to 0.800" {
		t.Error(got)
	}
	if want := "threshold 1.5 for false alarms in 1 % of normal samples (0.2 to 2 % with 500 samples of the calibration): 1.25 % of the normal test samples are above it, and 60.0 % of the anomalies"; table.Threshold != want {
		t.Errorf("%s, want\n%s", table.Threshold, want)
	}
	if Anomalies(rundir.Result{}) != nil {
		t.Error("a table of no anomalies")
	}
	histogram, some := Histogram(anomalous())
	if !some {
		t.Fatal("no histogram")
	}
	page := string(histogram.Element())
	for _, want := range []string{"AUROC 0.800", "normal, score 0 to 1: 80 of 90", "anomalies, score 1 to 2: 8 of 10", `class="curve c"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the histogram lacks %q: %s", want, page)
		}
	}
}

// A manifest that was changed draws nothing that is not there.
func TestAnomaliesOfChangedManifest(t *testing.T) {
	for name, change := range map[string]func(a *rundir.Anomaly){
		"few edges":  func(a *rundir.Anomaly) { a.Histogram.Edges = a.Histogram.Edges[:2] },
		"other bins": func(a *rundir.Anomaly) { a.Histogram.Anomalous = nil },
		"no samples": func(a *rundir.Anomaly) { a.NormalSamples = 0 },
		"one edge":   func(a *rundir.Anomaly) { a.Histogram.Edges = []rundir.Number{1, 1, 1} },
		"nothing":    func(a *rundir.Anomaly) { a.Histogram = nil },
	} {
		r := anomalous()
		change(r.Anomaly)
		if _, some := Histogram(r); some {
			t.Errorf("%s: a histogram", name)
		}
	}
}
