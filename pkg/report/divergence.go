package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"latent/pkg/chart"
	"latent/pkg/rundir"
)

// mostColumns is how many dimensions are drawn, those that diverge most.
const mostColumns = 128

// appendDivergence adds a chart of the divergence of each dimension of the code from the prior, the largest first. Dimensions
// without a finite figure are left out; with none there is no chart.
func appendDivergence(charts []chart.Chart, divergence []rundir.Number) []chart.Chart {
	type column struct {
		dimension int
		nats      float64
	}
	var columns []column
	for i, value := range divergence {
		if nats := float64(value); !math.IsNaN(nats) && !math.IsInf(nats, 0) {
			columns = append(columns, column{i + 1, nats})
		}
	}
	if len(columns) == 0 {
		return charts
	}
	slices.SortStableFunc(columns, func(a, b column) int { return cmp.Compare(b.nats, a.nats) })
	title := "KL of each dimension, nats, sorted"
	if len(columns) > mostColumns {
		columns = columns[:mostColumns]
		title = fmt.Sprintf("KL of the %d dimensions with most, nats, sorted", mostColumns)
	}
	first, last := columns[0], columns[len(columns)-1]
	label := fmt.Sprintf("%s: from %s of dimension %d down to %s of dimension %d", title,
		chart.Number(first.nats), first.dimension, chart.Number(last.nats), last.dimension)

	// A divergence is never negative; 0 is the axis.
	y := chart.Axis{Bounds: chart.Bounds{Min: 0, Max: max(1.05*first.nats, 1e-9)}}
	f := chart.NewFrame(chart.Width, chart.Height)
	f.Y(y.Ticks(6))
	pitch := 1 / float64(len(columns))
	width := min(0.8*pitch*f.PlotWidth(), 40)
	every := (len(columns) + labelled - 1) / labelled
	var ticks []chart.Tick
	for i, column := range columns {
		middle := (float64(i) + 0.5) * pitch
		top := f.At(middle, y.Place(max(column.nats, 0)))
		f.Rect("column", chart.Point{X: top.X - width/2, Y: top.Y}, width, f.At(0, 0).Y-top.Y,
			fmt.Sprintf("z%d: %s nats", column.dimension, chart.Number(column.nats)))
		if i%every == 0 {
			ticks = append(ticks, chart.Tick{Place: middle, Text: fmt.Sprintf("z%d", column.dimension)})
		}
	}
	f.X(ticks)
	f.XName("dimension", "")
	return append(charts, f.Chart(title, label))
}

// labelled is how many columns have their dimension's name below, about.
const labelled = 16
