package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"latent/pkg/rundir"
)

// chart is a drawing of curves over epochs.
type chart struct {
	Title string
	// Label says in words what the curves show, for those who do not see them.
	Label  string
	Legend []legendEntry
	SVG    template.HTML
}

type legendEntry struct{ Class, Name string }

// series is a curve: points with a finite y, in the order of x.
type series struct {
	class  string // of the style sheet
	name   string
	x, y   []float64
	dotted bool // a point at each value
}

// Dimensions of a chart in its own units; the page scales it.
const (
	chartWidth, chartHeight = 560.0, 280.0
	plotLeft, plotRight     = 58.0, 12.0
	plotTop, plotBottom     = 10.0, 34.0
)

// curves draws what the records hold: the loss, the PSNR, and the learning rate where it changes.
func curves(windows []rundir.Window, epochs []rundir.Epoch) []chart {
	steps := stepsPerEpoch(windows, epochs)
	loss := series{class: "faint", name: "training, each window"}
	rate := series{class: "a", name: "learning rate"}
	for _, w := range windows {
		loss.add(float64(w.Step)/steps, float64(w.Loss))
		rate.add(float64(w.Step)/steps, float64(w.LearningRate))
	}
	train := series{class: "a", name: "training, mean of the epoch", dotted: true}
	validation := series{class: "b", name: "validation", dotted: true}
	psnr := series{class: "b", name: "reconstructed", dotted: true}
	corrupted := series{class: "c", name: "corrupted input"}
	for _, e := range epochs {
		x := float64(e.Step) / steps
		train.add(x, float64(e.TrainLoss))
		validation.addIf(x, e.ValLoss)
		psnr.addIf(x, e.ValPSNR)
		corrupted.addIf(x, e.CorruptedPSNR)
	}
	var charts []chart
	charts = appendChart(charts, "Loss", "", true, loss, train, validation)
	charts = appendChart(charts, "PSNR of validation images", "dB", false, psnr, corrupted)
	if !rate.constant() {
		charts = appendChart(charts, "Learning rate", "", false, rate)
	}
	return charts
}

// stepsPerEpoch is read from the first epoch's record, so that both kinds of records share the axis; without one, the axis
// counts steps.
func stepsPerEpoch(windows []rundir.Window, epochs []rundir.Epoch) float64 {
	if len(epochs) > 0 && epochs[0].Epoch > 0 && epochs[0].Step > 0 {
		return float64(epochs[0].Step) / float64(epochs[0].Epoch)
	}
	return 1
}

func (s *series) add(x, y float64) {
	if !math.IsNaN(y) && !math.IsInf(y, 0) {
		s.x, s.y = append(s.x, x), append(s.y, y)
	}
}

func (s *series) addIf(x float64, y *rundir.Number) {
	if y != nil {
		s.add(x, float64(*y))
	}
}

func (s *series) constant() bool {
	for _, y := range s.y {
		if y != s.y[0] {
			return false
		}
	}
	return true
}

// appendChart adds a chart of the series that have points; with none there is no chart.
func appendChart(charts []chart, title, unit string, mayBeLog bool, all ...series) []chart {
	var drawn []series
	low, high := bounds{}, bounds{}
	for _, s := range all {
		if len(s.x) == 0 {
			continue
		}
		drawn = append(drawn, s)
		for i := range s.x {
			low.include(s.x[i])
			high.include(s.y[i])
		}
	}
	if len(drawn) == 0 {
		return charts
	}
	low.include(0)
	if low.max == 0 {
		low.max = 1
	}
	y := newAxis(high, mayBeLog)
	c := chart{Title: title, Label: title}
	if unit != "" {
		c.Title += ", " + unit
	}
	var svg strings.Builder
	px := func(x float64) float64 {
		return plotLeft + (x-low.min)/(low.max-low.min)*(chartWidth-plotLeft-plotRight)
	}
	py := func(v float64) float64 { return chartHeight - plotBottom - y.place(v)*(chartHeight-plotTop-plotBottom) }
	for _, tick := range y.ticks() {
		fmt.Fprintf(&svg, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1[3]f"/>`, plotLeft, chartWidth-plotRight, py(tick))
		fmt.Fprintf(&svg, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, plotLeft-6, py(tick)+4, tickText(tick))
	}
	for _, tick := range linearTicks(low, 6) {
		if tick == math.Trunc(tick) || low.max < 2 {
			fmt.Fprintf(&svg, `<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, px(tick), chartHeight-plotBottom+16, tickText(tick))
		}
	}
	fmt.Fprintf(&svg, `<line class="axis" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1[3]f"/>`, plotLeft, chartWidth-plotRight, chartHeight-plotBottom)
	fmt.Fprintf(&svg, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">epoch</text>`, chartWidth-plotRight, chartHeight-3)
	for _, s := range drawn {
		c.Legend = append(c.Legend, legendEntry{s.class, s.name})
		c.Label += fmt.Sprintf("; %s from %s to %s", s.name, significant(s.y[0]), significant(s.y[len(s.y)-1]))
		var points strings.Builder
		for i := range s.x {
			fmt.Fprintf(&points, "%.1f,%.1f ", px(s.x[i]), py(s.y[i]))
		}
		fmt.Fprintf(&svg, `<polyline class="curve %s" points="%s"/>`, s.class, strings.TrimSpace(points.String()))
		if s.dotted && len(s.x) <= 100 {
			for i := range s.x {
				fmt.Fprintf(&svg, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="3"><title>epoch %.4g: %s</title></circle>`,
					s.class, px(s.x[i]), py(s.y[i]), s.x[i], significant(s.y[i]))
			}
		}
	}
	// Every part is a number or a constant of this file: nothing of the run's text is in it.
	c.SVG = template.HTML(svg.String())
	return append(charts, c)
}

// bounds are the smallest and largest of the numbers included.
type bounds struct {
	min, max float64
	any      bool
}

func (b *bounds) include(x float64) {
	if !b.any {
		*b = bounds{x, x, true}
	}
	b.min, b.max = min(b.min, x), max(b.max, x)
}

// axis places values between 0 and 1, evenly or by their logarithms.
type axis struct {
	bounds
	log bool
}

// logFrom is the ratio of the largest to the smallest value from which on an axis is logarithmic.
const logFrom = 8

func newAxis(b bounds, mayBeLog bool) axis {
	a := axis{bounds: b, log: mayBeLog && b.min > 0 && b.max/b.min >= logFrom}
	if a.log {
		a.min, a.max = a.min/1.1, a.max*1.1
		return a
	}
	margin := 0.06 * (a.max - a.min)
	if margin == 0 {
		margin = max(math.Abs(a.max)*0.1, 1e-9)
	}
	a.min, a.max = a.min-margin, a.max+margin
	return a
}

func (a axis) place(y float64) float64 {
	if a.log {
		return math.Log(y/a.min) / math.Log(a.max/a.min)
	}
	return (y - a.min) / (a.max - a.min)
}

func (a axis) ticks() []float64 {
	if !a.log {
		return linearTicks(a.bounds, 6)
	}
	var ticks []float64
	for decade := math.Pow(10, math.Floor(math.Log10(a.min))); decade <= a.max; decade *= 10 {
		for _, step := range []float64{1, 2, 5} {
			if tick := decade * step; tick >= a.min && tick <= a.max {
				ticks = append(ticks, tick)
			}
		}
	}
	return ticks
}

// linearTicks returns at most n + 1 round numbers within the bounds: multiples of 1, 2 or 5 times a power of ten.
func linearTicks(b bounds, n int) []float64 {
	rough := (b.max - b.min) / float64(n)
	if rough <= 0 {
		return []float64{b.min}
	}
	decade := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * decade
	for _, factor := range []float64{1, 2, 5} {
		if rough <= decade*factor*(1+1e-9) {
			step = decade * factor
			break
		}
	}
	var ticks []float64
	for i := math.Ceil(b.min / step); i*step <= b.max*(1+1e-12); i++ {
		ticks = append(ticks, i*step+0) // −0 + 0 is 0
	}
	return ticks
}

// tickText writes a round number without the noise of its arithmetic.
func tickText(x float64) string { return strings.Replace(fmt.Sprintf("%.4g", x), "-", "−", 1) }
