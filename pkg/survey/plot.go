package survey

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"latent/pkg/chart"
	"latent/pkg/message"
	"latent/pkg/search"
)

// Dimensions of the charts: narrow ones stand side by side, wide ones have the page's width.
const (
	narrow, tall = 480.0, 300.0
	small        = 250.0
	broad        = 1120.0
)

// oneByOne is how many trials a chart draws with a title each; of more, it draws specks. mostMarked is the same of best ones,
// which may be many with several objectives. A title takes some 200 bytes, and a page may have more than 30 such charts.
const (
	oneByOne   = 300
	mostMarked = 60
)

// newFrame is a frame with room above for the name of the vertical axis.
func newFrame(width, height float64) *chart.Frame {
	f := chart.NewFrame(width, height)
	f.Top = 26
	return f
}

// valueAxis is an axis of values. A few that are much worse than the others would push these together: they are drawn at its
// end, and beyond says how many they are.
type valueAxis struct {
	chart.Axis
	beyond int
}

// farther is how many times as far as four fifths of the values, from the best, an axis goes.
const farther = 8

func newValueAxis(values []float64, o Objective) valueAxis {
	sorted := slices.Clone(values)
	slices.SortFunc(sorted, o.compare)
	best, most := sorted[0], sorted[(len(sorted)-1)*4/5]
	limit := best + farther*(most-best)
	var a valueAxis
	var b chart.Bounds
	for _, v := range sorted {
		if most != best && o.compare(v, limit) > 0 {
			a.beyond++
			continue
		}
		b.Include(v)
	}
	a.Axis = chart.NewAxis(b, true)
	return a
}

// Place is that of a value on the axis, or at its end.
func (a valueAxis) Place(v float64) float64 {
	if a.Log {
		v = max(v, a.Min)
	}
	return min(max(a.Axis.Place(v), 0), 1)
}

func (a valueAxis) note() string {
	if a.beyond == 0 {
		return ""
	}
	return counted(a.beyond, "trial is", "trials are") + " beyond the axis, and drawn at its end."
}

// wholeTicks are the marks of an axis of what is counted.
func wholeTicks(a chart.Axis) []chart.Tick {
	var ticks []chart.Tick
	for _, v := range a.Values(6) {
		if v == math.Trunc(v) {
			ticks = append(ticks, chart.Tick{Place: a.Place(v), Text: integer(v)})
		}
	}
	return ticks
}

// mostTold is how many parameters the title of a trial tells.
const mostTold = 12

// describer names trials, with their values and those of some parameters, where they have them.
func (s Sweep) describer(dimensions ...dimension) func(t Trial) string {
	dimensions = dimensions[:min(len(dimensions), mostTold)]
	return func(t Trial) string {
		var out strings.Builder
		fmt.Fprintf(&out, "trial %d", t.Number)
		for i, o := range s.Objectives {
			fmt.Fprintf(&out, "\n%s %s", o.Metric, value(t.value(i)))
		}
		for _, d := range dimensions {
			if text := d.text(t); text != "" {
				fmt.Fprintf(&out, "\n%s %s", d.short, chart.Shorten(text, 60))
			}
		}
		return out.String()
	}
}

// scatter draws trials at their points: pruned ones as rings behind, then the others, then the best.
func (s Sweep) scatter(f *chart.Frame, trials []Trial, at func(t Trial) chart.Point, describe func(t Trial) string) (leftOut int) {
	best := s.isBest()
	var behind, before, marked []Trial
	for _, t := range trials {
		switch {
		case best[t.Number]:
			marked = append(marked, t)
		case t.State == Pruned:
			behind = append(behind, t)
		default:
			before = append(before, t)
		}
	}
	for _, layer := range []struct {
		trials     []Trial
		tooMany    bool
		one, speck string
	}{
		{behind, len(trials) > oneByOne, "ring c", "speck c"},
		{before, len(trials) > oneByOne, "dot a see", "speck a"},
		{marked, len(marked) > mostMarked, "dot b", "speck b"},
	} {
		if layer.tooMany {
			points := make([]chart.Point, len(layer.trials))
			for i, t := range layer.trials {
				points[i] = at(t)
			}
			leftOut += f.Specks(layer.speck, points)
			continue
		}
		for _, t := range layer.trials {
			f.Dot(layer.one, at(t), 3.2, describe(t))
		}
	}
	if len(marked) <= mostMarked {
		for _, t := range marked {
			f.Dot("ring b", at(t), 6, "")
		}
	}
	return leftOut
}

// trialLegend explains the signs of scatter.
func trialLegend(trials []Trial, best map[int]bool) []chart.Entry {
	var done, pruned, marked bool
	for _, t := range trials {
		done = done || t.State == Done
		pruned = pruned || t.State == Pruned
		marked = marked || best[t.Number]
	}
	var legend []chart.Entry
	if done {
		legend = append(legend, chart.Entry{Class: "dot a", Name: "trial"})
	}
	if pruned {
		legend = append(legend, chart.Entry{Class: "ring c", Name: "pruned: its last value"})
	}
	if marked {
		legend = append(legend, chart.Entry{Class: "ring b", Name: "best"})
	}
	return legend
}

func join(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(note string) bool { return note == "" }), " ")
}

func leftOutNote(n int) string {
	if n == 0 {
		return ""
	}
	return counted(n, "point is", "points are") + " left out, evenly."
}

// empty is a chart of nothing, which says so.
func empty(title, why string) chart.Chart {
	f := newFrame(narrow, 120)
	f.Text("tick", chart.Point{X: narrow / 2, Y: 64}, chart.Middle, why, "")
	return f.Chart(title, title+": "+why)
}

const noValue = "no trial has a value yet"

// History draws each trial's value of an objective, and the best so far.
func History(s Sweep, objective int) chart.Chart {
	o := s.Objectives[objective]
	title := "History: " + o.name()
	done, pruned := s.measured(objective, Done), s.measured(objective, Pruned)
	trials := slices.Concat(done, pruned)
	if len(trials) == 0 {
		return empty(title, noValue)
	}
	var numbers chart.Bounds
	var values []float64
	for _, t := range trials {
		numbers.Include(float64(t.Number))
		values = append(values, t.value(objective))
	}
	f := newFrame(narrow, tall)
	x, y := chart.FromZero(numbers), newValueAxis(values, o)
	ticks := y.Ticks(6)
	f.Room(ticks)
	f.Y(ticks)
	f.X(wholeTicks(x))
	f.XName("trial", "")
	f.YName(chart.Shorten(o.name(), 60), o.name())
	at := func(t Trial) chart.Point { return f.At(x.Place(float64(t.Number)), y.Place(t.value(objective))) }
	leftOut := s.scatter(f, trials, at, s.describer(s.byImportance(objective)...))
	legend := trialLegend(trials, s.isBest())
	label := title
	if len(done) > 0 {
		var steps []chart.Point
		best := done[0]
		for _, t := range done {
			if o.compare(t.value(objective), best.value(objective)) < 0 {
				// Level up to here, then a step.
				steps = append(steps, chart.Point{X: at(t).X, Y: at(best).Y})
				best = t
			}
			if best.Number == t.Number {
				steps = append(steps, at(t))
			}
		}
		steps = append(steps, chart.Point{X: f.At(1, 0).X, Y: at(best).Y})
		f.Curve("curve b", steps, "best so far")
		legend = append(legend, chart.Entry{Class: "b", Name: "best so far"})
		label += fmt.Sprintf("; %s from %s to %s, of trial %d", o.better(), value(done[0].value(objective)),
			value(best.value(objective)), best.Number)
	}
	c := f.Chart(title, label, legend...)
	c.Note = join(y.note(), leftOutNote(leftOut))
	return c
}

// Slice draws the values of an objective over a parameter, by its place in the space.
func Slice(s Sweep, objective, parameter int) chart.Chart {
	o, d := s.Objectives[objective], s.dimensions()[parameter]
	title := d.Name
	var trials []Trial
	var values []float64
	for _, state := range []string{Done, Pruned} {
		for _, t := range s.measured(objective, state) {
			if finite(d.place(t)) {
				trials = append(trials, t)
				values = append(values, t.value(objective))
			}
		}
	}
	if len(trials) == 0 {
		return empty(title, "no trial with it has a value yet")
	}
	f := newFrame(390, small)
	y := newValueAxis(values, o)
	ticks := y.Ticks(5)
	f.Room(ticks)
	f.Y(ticks)
	f.X(d.ticks(5, optionLetters(f.PlotWidth(), d)))
	f.XName(chart.Shorten(d.short, 50), d.Name)
	f.YName(chart.Shorten(o.name(), 50), o.name())
	leftOut := s.scatter(f, trials, func(t Trial) chart.Point {
		return f.At(d.place(t)+aside(d, t), y.Place(t.value(objective)))
	}, s.describer(d))
	best := slices.MinFunc(trials, func(a, b Trial) int { return o.compare(a.value(objective), b.value(objective)) })
	c := f.Chart(title, fmt.Sprintf("%s over %s: %s; the best, %s, at %s", o.name(), d.Name, o.better(),
		value(best.value(objective)), d.text(best)))
	c.Note = join(y.note(), leftOutNote(leftOut))
	return c
}

// aside moves trials of one choice apart, so that they do not cover each other: by a part of the choice's room that depends
// on the trial's number, evenly spread (multiples of the golden ratio).
func aside(d dimension, t Trial) float64 {
	if d.Kind != search.Choice {
		return 0
	}
	_, part := math.Modf(float64(t.Number) * math.Phi)
	return (part - 0.5) * 0.5 / float64(max(d.Options, 1))
}

// optionLetters is how many letters of each option's name there is room for along an axis.
func optionLetters(width float64, d dimension) int {
	return max(int(width/7/float64(max(d.Options, 1))), 4)
}

// Importances draws how much each parameter matters for an objective.
func Importances(s Sweep, objective int) chart.Chart {
	title := "Importance for " + s.Objectives[objective].Metric
	list := s.importances(objective)
	if len(list) == 0 {
		return empty(title, "not known yet")
	}
	list = list[:min(len(list), mostImportances)]
	const row = 22.0
	f := newFrame(narrow, 12+row*float64(len(list))+34)
	f.Top, f.Left, f.Right = 6, 150, 56
	var b chart.Bounds
	for _, importance := range list {
		b.Include(importance.Share + importance.Deviation)
	}
	x := chart.FromZero(b)
	var ticks []chart.Tick
	for _, share := range x.Values(5) {
		ticks = append(ticks, chart.Tick{Place: x.Place(share), Text: chart.Number(100*share) + " %"})
	}
	f.X(ticks)
	label := title
	for i, importance := range list {
		middle := f.Top + row*(float64(i)+0.5)
		text := percent(importance)
		end := f.At(x.Place(importance.Share), 0).X
		title := importance.Parameter + ": " + text
		f.Text("name", chart.Point{X: f.Left - 8, Y: middle + 4}, chart.End, chart.Shorten(s.shortName(importance.Parameter), 20), title)
		f.Rect("column", chart.Point{X: f.Left, Y: middle - 7}, end-f.Left, 14, title)
		if importance.Deviation > 0 {
			from := f.At(x.Place(max(0, importance.Share-importance.Deviation)), 0).X
			end = f.At(x.Place(importance.Share+importance.Deviation), 0).X
			f.Line("whisker", chart.Point{X: from, Y: middle}, chart.Point{X: end, Y: middle})
		}
		f.Text("tick", chart.Point{X: end + 6, Y: middle + 4}, chart.Start, fmt.Sprintf("%.0f %%", 100*importance.Share), "")
		label += fmt.Sprintf("; %s %s", importance.Parameter, text)
	}
	return f.Chart(title, label)
}

const mostImportances = 20

// importances are those of an objective, the largest first.
func (s Sweep) importances(objective int) []Importance {
	if objective >= len(s.Importance) {
		return nil
	}
	var list []Importance
	for _, importance := range s.Importance[objective] {
		if finite(importance.Share) {
			if !finite(importance.Deviation) {
				importance.Deviation = 0
			}
			importance.Share = max(0, importance.Share)
			list = append(list, importance)
		}
	}
	slices.SortStableFunc(list, func(a, b Importance) int { return cmp.Compare(b.Share, a.Share) })
	return list
}

func (s Sweep) shortName(parameter string) string {
	for i, p := range s.Space {
		if p.Name == parameter {
			return s.short(i)
		}
	}
	return parameter
}

func percent(i Importance) string {
	text := fmt.Sprintf("%.0f %%", 100*i.Share)
	if i.Deviation > 0 {
		text += fmt.Sprintf(" ± %.0f %%", 100*i.Deviation)
	}
	return text
}

// Front draws two objectives against each other, with the line beyond which no trial of Best is.
func Front(s Sweep, horizontal, vertical int) chart.Chart {
	ox, oy := s.Objectives[horizontal], s.Objectives[vertical]
	title := fmt.Sprintf("%s and %s", ox.Metric, oy.Metric)
	var trials []Trial
	var xs, ys []float64
	for _, t := range s.measured(horizontal, Done) {
		if finite(t.value(vertical)) {
			trials = append(trials, t)
			xs, ys = append(xs, t.value(horizontal)), append(ys, t.value(vertical))
		}
	}
	if len(trials) == 0 {
		return empty(title, noValue)
	}
	f := newFrame(narrow, 340)
	x, y := newValueAxis(xs, ox), newValueAxis(ys, oy)
	ticks := y.Ticks(6)
	f.Room(ticks)
	f.Y(ticks)
	f.X(x.Ticks(6))
	f.XName(chart.Shorten(ox.name(), 50)+" ("+ox.better()+")", ox.name())
	f.YName(chart.Shorten(oy.name(), 50)+" ("+oy.better()+")", oy.name())
	at := func(t Trial) chart.Point { return f.At(x.Place(t.value(horizontal)), y.Place(t.value(vertical))) }
	best := s.isBest()
	var front []Trial
	for _, t := range trials {
		if best[t.Number] {
			front = append(front, t)
		}
	}
	// With a third objective, what is not on the line may well be best.
	if len(s.Objectives) == 2 && len(front) > 1 {
		slices.SortStableFunc(front, func(a, b Trial) int { return cmp.Compare(a.value(horizontal), b.value(horizontal)) })
		var line []chart.Point
		for i, t := range front {
			if i > 0 {
				// Between two neighbours the corner that both are at least as good as.
				corner := chart.Point{X: at(t).X, Y: at(front[i-1]).Y}
				if ox.Maximize {
					corner = chart.Point{X: at(front[i-1]).X, Y: at(t).Y}
				}
				line = append(line, corner)
			}
			line = append(line, at(t))
		}
		f.Curve("curve b thin", line, "")
	}
	leftOut := s.scatter(f, trials, at, s.describer(s.byImportance(horizontal)...))
	legend := []chart.Entry{{Class: "dot a", Name: "trial"}}
	if len(front) > 0 {
		legend = append(legend, chart.Entry{Class: "ring b", Name: "no other trial is better in everything"})
	}
	c := f.Chart(title, fmt.Sprintf("%s: %s, %d of them on the Pareto front", title, message.Count(len(trials), "trial"), len(front)), legend...)
	c.Note = join(x.note(), y.note(), leftOutNote(leftOut))
	return c
}

// mostCurves is how many curves are drawn, and mostPoints how many points of each.
const (
	mostCurves = 200
	mostPoints = 80
)

// Curves draws what the trials measured on their way, pruned ones pale.
func Curves(s Sweep) chart.Chart {
	o := s.curve()
	title := "On the way: " + o.name()
	type curve struct {
		trial  Trial
		points []search.Report
	}
	var curves []curve
	var steps chart.Bounds
	best := s.isBest()
	for _, t := range s.Trials {
		points := slices.DeleteFunc(slices.Clone(t.Curve), func(r search.Report) bool { return !finite(r.Value) })
		if len(points) > 0 {
			curves = append(curves, curve{t, points})
			steps.Include(float64(points[len(points)-1].Step))
		}
	}
	if len(curves) == 0 {
		return empty(title, "no trial has reported a value yet")
	}
	// What is drawn last is seen best: pruned and failed ones first, then the others, the best at the end.
	layer := func(c curve) int {
		switch {
		case best[c.trial.Number]:
			return 2
		case c.trial.State == Pruned || c.trial.State == Failed:
			return 0
		}
		return 1
	}
	all := len(curves)
	slices.SortStableFunc(curves, func(a, b curve) int { return cmp.Compare(layer(a), layer(b)) })
	// The best are thinned apart from the others, so that they stay.
	first := slices.IndexFunc(curves, func(c curve) bool { return layer(c) == 2 })
	if first < 0 {
		first = len(curves)
	}
	curves = slices.Concat(thin(curves[:first], mostCurves), thin(curves[first:], mostCurves))
	var values []float64
	for _, c := range curves {
		for _, p := range c.points {
			values = append(values, p.Value)
		}
	}
	f := newFrame(narrow, tall)
	x, y := chart.FromZero(steps), newValueAxis(values, o)
	ticks := y.Ticks(6)
	f.Room(ticks)
	f.Y(ticks)
	f.X(wholeTicks(x))
	f.XName("epoch", "")
	f.YName(chart.Shorten(o.name(), 60), o.name())
	classes := []string{"curve pale", "curve a thin", "curve b"}
	names := []string{"pruned or failed", "trial", "best"}
	seen := [3]bool{}
	for _, c := range curves {
		kind := layer(c)
		seen[kind] = true
		var points []chart.Point
		for _, p := range thin(c.points, mostPoints) {
			points = append(points, f.At(x.Place(float64(p.Step)), y.Place(p.Value)))
		}
		last := c.points[len(c.points)-1]
		name := fmt.Sprintf("trial %d, %s: %s after epoch %d", c.trial.Number, c.trial.State, value(last.Value), last.Step)
		if len(points) == 1 {
			f.Dot([]string{"ring c", "dot a see", "dot b"}[kind], points[0], 2.5, name)
			continue
		}
		f.Curve(classes[kind], points, name)
	}
	var legend []chart.Entry
	for i, name := range names {
		if seen[i] {
			legend = append(legend, chart.Entry{Class: []string{"pale", "a", "b"}[i], Name: name})
		}
	}
	drawn := f.Chart(title, fmt.Sprintf("%s: %s, %s", title, counted(all, "curve", "curves"), o.better()), legend...)
	if all > len(curves) {
		drawn.Note = fmt.Sprintf("%d of %d curves, evenly taken.", len(curves), all)
	}
	if y.beyond > 0 {
		drawn.Note = join(drawn.Note, counted(y.beyond, "value is", "values are")+" beyond the axis, and drawn at its end.")
	}
	return drawn
}
