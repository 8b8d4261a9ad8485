package report

import (
	"fmt"
	"slices"

	"latent/pkg/chart"
	"latent/pkg/evaluate"
	"latent/pkg/rundir"
)

// AnomalyFigures are the figures of scores of anomalies by their names in a result, in the order of tables.
var AnomalyFigures = []struct {
	Name, Title string
	Higher      bool
}{
	{"auroc", "AUROC", true},
	{"average_precision", "average precision", true},
	{"false_alarms_95", "false alarms at 95 % recall", false},
	{"precision_at_n", "precision at n", true},
}

// overRuns are the figures of anomalies as metrics, for means over runs: a run's own have a table with intervals.
func overRuns(r rundir.Result) (metrics []evaluate.Metric) {
	if r.Anomaly != nil {
		return nil
	}
	for _, figure := range AnomalyFigures {
		metrics = append(metrics, evaluate.Metric{Name: figure.Name, Title: figure.Title, Higher: figure.Higher})
	}
	return metrics
}

// AnomalyTable is the figures of the model's score and of the baselines, as text.
type AnomalyTable struct {
	Columns []string
	Rows    []AnomalyRow
	// Threshold says what the threshold does, in a sentence; Pixels what heat maps find, "" where no masks tell.
	Threshold, Pixels string
}

// AnomalyRow is a detector: its figures, and their intervals.
type AnomalyRow struct {
	Name              string
	Values, Intervals []string
}

// Anomalies returns the table of a result; nil of one without anomalies.
func Anomalies(r rundir.Result) *AnomalyTable {
	a := r.Anomaly
	if a == nil {
		return nil
	}
	t := &AnomalyTable{Threshold: thresholdText(a), Pixels: pixelsText(a.Pixels)}
	for _, figure := range AnomalyFigures {
		t.Columns = append(t.Columns, figure.Title)
	}
	t.add("model, "+a.Score, a.Figures)
	names := make([]string, 0, len(a.Baselines))
	for name := range a.Baselines {
		names = append(names, name)
	}
	slices.SortFunc(names, func(one, other string) int { // the best first
		if a.Baselines[one]["auroc"].Value > a.Baselines[other]["auroc"].Value {
			return -1
		}
		return 1
	})
	for _, name := range names {
		t.add(name, a.Baselines[name])
	}
	return t
}

// add adds a detector.
func (t *AnomalyTable) add(name string, figures map[string]rundir.Estimate) {
	row := AnomalyRow{Name: name}
	for _, figure := range AnomalyFigures {
		e := figures[figure.Name]
		row.Values = append(row.Values, fmt.Sprintf("%.4f", float64(e.Value)))
		row.Intervals = append(row.Intervals, fmt.Sprintf("%.3f to %.3f", float64(e.Low), float64(e.High)))
	}
	t.Rows = append(t.Rows, row)
}

// thresholdText says what the threshold of a result does.
func thresholdText(a *rundir.Anomaly) string {
	t := a.Threshold
	if t == nil {
		return "no threshold: " + a.Missing
	}
	return fmt.Sprintf("threshold %.6g for false alarms in %.3g %% of normal samples (%.2g to %.2g %% with %d samples of the %s): %.2f %% of the normal test samples are above it, and %.1f %% of the anomalies",
		float64(t.Score), 100*float64(t.Rate), 100*float64(t.Low), 100*float64(t.High), t.Samples, t.By, 100*float64(t.FalseAlarms), 100*float64(t.Found))
}

// pixelsText says what heat maps find.
func pixelsText(p *rundir.Pixels) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("heat maps of all test pictures beside %d masks with %d regions, %.2g %% of the pixels: AUROC of pixels %.4f, PRO %.4f",
		p.Masks, p.Regions, 100*float64(p.Part), float64(p.AUROC), float64(p.PRO))
}

// Histogram draws that of the model's scores: parts of the normal samples and of the anomalies, with the threshold. A result without
// anomalies has none.
func Histogram(r rundir.Result) (drawn chart.Chart, some bool) {
	a := r.Anomaly
	if a == nil || a.Histogram == nil {
		return chart.Chart{}, false
	}
	h := a.Histogram
	n := len(h.Normal)
	if n == 0 || len(h.Anomalous) != n || len(h.Edges) != n+1 || a.NormalSamples < 1 || a.Anomalies < 1 || !(h.Edges[n] > h.Edges[0]) {
		return chart.Chart{}, false // a manifest that was changed
	}
	part := func(count, all int) float64 { return float64(count) / float64(all) }
	highest := 0.0
	for i := range n {
		highest = max(highest, part(h.Normal[i], a.NormalSamples), part(h.Anomalous[i], a.Anomalies))
	}
	y := chart.Axis{Bounds: chart.Bounds{Min: 0, Max: max(1.05*highest, 1e-9)}}
	f := chart.NewFrame(chart.Width, chart.Height)
	f.Y(y.Ticks(6))
	for i := range n {
		left, right := f.At(float64(i)/float64(n), 0), f.At(float64(i+1)/float64(n), 0)
		for kind, bar := range []struct {
			class, name string
			count, all  int
		}{{"column", "normal", h.Normal[i], a.NormalSamples}, {"column b", "anomalies", h.Anomalous[i], a.Anomalies}} {
			half := (right.X - left.X) / 2
			top := f.At(0, y.Place(part(bar.count, bar.all)))
			f.Rect(bar.class, chart.Point{X: left.X + half*float64(kind), Y: top.Y}, 0.9*half, left.Y-top.Y,
				fmt.Sprintf("%s, score %s to %s: %d of %d", bar.name, chart.Number(float64(h.Edges[i])), chart.Number(float64(h.Edges[i+1])), bar.count, bar.all))
		}
	}
	x := chart.Axis{Bounds: chart.Bounds{Min: float64(h.Edges[0]), Max: float64(h.Edges[n])}}
	f.X(x.Ticks(6))
	f.XName("score "+a.Score, "")
	label := fmt.Sprintf("Scores %s of %d normal and %d anomalous test samples, AUROC %.3f", a.Score, a.NormalSamples, a.Anomalies, float64(a.Figures["auroc"].Value))
	legend := []chart.Entry{{Class: "a", Name: "normal"}, {Class: "b", Name: "anomalies"}}
	if t := a.Threshold; t != nil {
		if at := x.Place(float64(t.Score)); at >= 0 && at <= 1 {
			f.Line("curve c", f.At(at, 0), f.At(at, 1))
			legend = append(legend, chart.Entry{Class: "c", Name: "threshold"})
		}
	}
	return f.Chart("Scores of test samples, parts of each kind", label, legend...), true
}
