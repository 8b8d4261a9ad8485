package report

import (
	"maps"
	"slices"

	"latent/pkg/evaluate"
	"latent/pkg/rundir"
)

// Comparison is a table of sets of images beside the test images: a row for a set, a column for a figure.
type Comparison struct {
	// Columns are the figures' names.
	Columns []string
	Rows    []ComparedSet
}

// ComparedSet is a row of a [Comparison].
type ComparedSet struct {
	// Name is that of the sampler, [Floor] or [rundir.Reconstruction].
	Name string
	// Values are the figures, and Intervals half the widths of their intervals over runs, "" where there is only one.
	Values, Intervals []string
}

// Floor is the name of the training images among sets that are compared.
const Floor = "floor"

// CompareGenerated returns the table of a result's generated images, floor first; nil where there are none.
func CompareGenerated(r rundir.Result) *Comparison {
	g := r.Generated
	if g == nil {
		return nil
	}
	var table Comparison
	for _, metric := range evaluate.GeneratedMetrics {
		table.Columns = append(table.Columns, metric.Label())
	}
	add := func(name string, figures map[string]rundir.Number) {
		row := ComparedSet{Name: name}
		for _, metric := range evaluate.GeneratedMetrics {
			f := evaluate.Figure{Mean: float64(figures[metric.Name]), Interval: float64(r.Interval[IntervalOf(name)][metric.Name])}
			value, interval := f.Text()
			row.Values, row.Intervals = append(row.Values, value), append(row.Intervals, interval)
		}
		table.Rows = append(table.Rows, row)
	}
	add(Floor, g.Floor)
	for _, name := range slices.Sorted(maps.Keys(g.Samplers)) {
		add(name, g.Samplers[name])
	}
	return &table
}

// IntervalOf is the part of rundir.Result.Interval that a set's intervals over runs are in.
func IntervalOf(set string) string { return "generated." + set }
