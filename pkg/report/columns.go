package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"latent/pkg/chart"
	"latent/pkg/rundir"
)

const (
	mostColumns = 128 // that are drawn
	labelled    = 16  // columns that have their name below, about
)

// column is a bar of a chart.
type column struct {
	name  string
	value float64
}

// sorted are the columns that can be drawn, by their values, and at most mostColumns of them; more says that there were others.
func sorted(columns []column, compare func(a, b float64) int) (first []column, more bool) {
	columns = slices.DeleteFunc(columns, func(c column) bool { return math.IsNaN(c.value) || math.IsInf(c.value, 0) })
	slices.SortStableFunc(columns, func(a, b column) int { return compare(a.value, b.value) })
	n := min(len(columns), mostColumns)
	return columns[:n], n < len(columns)
}

// drawColumns draws bars from 0 up in their order; those below 0 have no height. unit stands behind a number.
func drawColumns(title, label, axis, unit string, columns []column) chart.Chart {
	highest := slices.MaxFunc(columns, func(a, b column) int { return cmp.Compare(a.value, b.value) }).value
	y := chart.Axis{Bounds: chart.Bounds{Min: 0, Max: max(1.05*highest, 1e-9)}}
	f := chart.NewFrame(chart.Width, chart.Height)
	f.Y(y.Ticks(6))
	pitch := 1 / float64(len(columns))
	width := min(0.8*pitch*f.PlotWidth(), 40)
	every := (len(columns) + labelled - 1) / labelled
	var ticks []chart.Tick
	for i, column := range columns {
		middle := (float64(i) + 0.5) * pitch
		top := f.At(middle, y.Place(max(column.value, 0)))
		f.Rect("column", chart.Point{X: top.X - width/2, Y: top.Y}, width, f.At(0, 0).Y-top.Y,
			fmt.Sprintf("%s: %s%s", column.name, chart.Number(column.value), unit))
		if i%every == 0 {
			ticks = append(ticks, chart.Tick{Place: middle, Text: chart.Shorten(column.name, 10)})
		}
	}
	f.X(ticks)
	f.XName(axis, "")
	return f.Chart(title, label)
}

// appendDivergence adds a chart of the divergence of each dimension of the code from the prior, the largest first. Dimensions
// without a finite figure are left out; with none there is no chart.
func appendDivergence(charts []chart.Chart, divergence []rundir.Number) []chart.Chart {
	var columns []column
	for i, value := range divergence {
		columns = append(columns, column{fmt.Sprintf("z%d", i+1), float64(value)})
	}
	columns, more := sorted(columns, func(a, b float64) int { return cmp.Compare(b, a) })
	if len(columns) == 0 {
		return charts
	}
	title := "KL of each dimension, nats, sorted"
	if more {
		title = fmt.Sprintf("KL of the %d dimensions with most, nats, sorted", mostColumns)
	}
	first, last := columns[0], columns[len(columns)-1]
	label := fmt.Sprintf("%s: from %s of dimension %s down to %s of dimension %s", title,
		chart.Number(first.value), first.name[1:], chart.Number(last.value), last.name[1:])
	return append(charts, drawColumns(title, label, "dimension", " nats", columns))
}

// appendFeatures adds a chart of how much of each feature's variance is reconstructed, the least first. Features that do not vary are
// left out; with none there is no chart.
func appendFeatures(charts []chart.Chart, features []rundir.Feature) []chart.Chart {
	var columns []column
	for _, f := range features {
		columns = append(columns, column{f.Name, float64(f.ExplainedVariance)})
	}
	columns, more := sorted(columns, cmp.Compare[float64])
	if len(columns) == 0 {
		return charts
	}
	title := "Explained variance of each feature, of the test rows, sorted"
	if more {
		title = fmt.Sprintf("Explained variance of the %d features with least, of the test rows, sorted", mostColumns)
	}
	first, last := columns[0], columns[len(columns)-1]
	label := fmt.Sprintf("%s: from %s of %s up to %s of %s", title, chart.Number(first.value), first.name, chart.Number(last.value), last.name)
	return append(charts, drawColumns(title, label, "feature", "", columns))
}

// appendRates adds a chart of how often each latent of a sparse dictionary is not 0, the most often first, by powers of ten. Latents that
// always are 0 are counted in its title; with none there is no chart.
func appendRates(charts []chart.Chart, rates []rundir.Number) []chart.Chart {
	var fired []float64
	for _, rate := range rates {
		if rate > 0 {
			fired = append(fired, float64(rate))
		}
	}
	slices.SortFunc(fired, func(a, b float64) int { return cmp.Compare(b, a) })
	series := chart.Series{Class: "a", Name: "part of the test samples in which a latent is not 0"}
	for i, rate := range fired {
		series.Add(float64(i+1), rate)
	}
	title := fmt.Sprintf("Firing rates of %d latents, sorted; %d never fire", len(rates), len(rates)-len(fired))
	if drawn, some := chart.Lines(title, "latent", true, series); some {
		charts = append(charts, drawn)
	}
	return charts
}
