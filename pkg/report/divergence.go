package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"latent/pkg/rundir"
)

// mostColumns is how many dimensions are drawn, those that diverge most.
const mostColumns = 128

// appendDivergence adds a chart of the divergence of each dimension of the code from the prior, the largest first. Dimensions
// without a finite figure are left out; with none there is no chart.
func appendDivergence(charts []chart, divergence []rundir.Number) []chart {
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
	c := chart{Title: title, Label: fmt.Sprintf("%s: from %s of dimension %d down to %s of dimension %d",
		title, tickText(first.nats), first.dimension, tickText(last.nats), last.dimension)}

	// A divergence is never negative; 0 is the axis.
	y := axis{bounds: bounds{min: 0, max: max(1.05*first.nats, 1e-9)}}
	py := func(v float64) float64 { return chartHeight - plotBottom - y.place(v)*(chartHeight-plotTop-plotBottom) }
	pitch := (chartWidth - plotLeft - plotRight) / float64(len(columns))
	width := min(0.8*pitch, 40)
	var svg strings.Builder
	for _, tick := range y.ticks() {
		fmt.Fprintf(&svg, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1[3]f"/>`, plotLeft, chartWidth-plotRight, py(tick))
		fmt.Fprintf(&svg, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, plotLeft-6, py(tick)+4, tickText(tick))
	}
	every := (len(columns) + labelled - 1) / labelled
	for i, column := range columns {
		middle, top := plotLeft+(float64(i)+0.5)*pitch, py(max(column.nats, 0))
		fmt.Fprintf(&svg, `<rect class="column" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>z%d: %s nats</title></rect>`,
			middle-width/2, top, width, py(0)-top, column.dimension, tickText(column.nats))
		if i%every == 0 {
			fmt.Fprintf(&svg, `<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">z%d</text>`, middle, chartHeight-plotBottom+16, column.dimension)
		}
	}
	fmt.Fprintf(&svg, `<line class="axis" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1[3]f"/>`, plotLeft, chartWidth-plotRight, py(0))
	fmt.Fprintf(&svg, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">dimension</text>`, chartWidth-plotRight, chartHeight-3)
	c.SVG = template.HTML(svg.String()) // numbers and constants alone
	return append(charts, c)
}

// labelled is how many columns have their dimension's name below, about.
const labelled = 16
