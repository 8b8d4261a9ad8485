package survey

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"latent/pkg/chart"
	"latent/pkg/message"
	"latent/pkg/search"
)

// mostAxes is how many parameters have an axis beside each other, and mostLines how many trials a line.
const (
	mostAxes  = 12
	mostLines = 400
)

// absent is how far below the axes those trials pass that do not have the parameter, in units.
const absent = 22.0

// Parallel draws each trial that is done as a line through its parameters to its value of an objective, in the colour of its
// rank. A trial without one of the parameters passes below that axis.
func Parallel(s Sweep, objective int) chart.Chart {
	o := s.Objectives[objective]
	title := "Parallel coordinates: " + o.name()
	trials := s.measured(objective, Done)
	if len(trials) == 0 || len(s.Space) == 0 {
		return empty(title, noValue)
	}
	ranks := s.ranking(objective)
	// The best come first in the list, and are drawn last.
	slices.SortStableFunc(trials, func(a, b Trial) int { return o.compare(a.value(objective), b.value(objective)) })
	all := len(trials)
	if all > mostLines {
		trials = slices.Concat(trials[:mostLines/4], thin(trials[mostLines/4:], mostLines-mostLines/4))
	}
	values := make([]float64, len(trials))
	for i, t := range trials {
		values[i] = t.value(objective)
	}
	list := s.byImportance(objective)
	hidden := max(0, len(list)-mostAxes)
	list = list[:len(list)-hidden]
	// In the order of the space, those that hang together stand together.
	slices.SortFunc(list, func(a, b dimension) int { return cmp.Compare(a.index, b.index) })

	describe := s.describer(list...)

	f := newFrame(broad, 380)
	f.Left, f.Right, f.Top, f.Bottom = 24, 96, 66, 18
	missing := false
	for _, d := range list {
		for _, t := range trials {
			missing = missing || !finite(d.place(t))
		}
	}
	if missing {
		f.Bottom += absent
	}
	y := newValueAxis(values, o)
	gap := 1 / float64(len(list))
	at := func(axis int, place float64) chart.Point {
		if !finite(place) {
			below := f.At(float64(axis)*gap, 0)
			return chart.Point{X: below.X, Y: below.Y + absent}
		}
		return f.At(float64(axis)*gap, place)
	}
	for i := len(trials) - 1; i >= 0; i-- {
		t := trials[i]
		points := make([]chart.Point, len(list)+1)
		for axis, d := range list {
			points[axis] = at(axis, d.place(t)+aside(d, t))
		}
		points[len(list)] = at(len(list), y.Place(t.value(objective)))
		class := "curve thread " + chart.Shade(ranks.of(t.value(objective)))
		about := ""
		if all <= oneByOne {
			about = describe(t)
		}
		f.Curve(class, points, about)
	}
	letters := max(int(f.PlotWidth()*gap/letter)-1, 4)
	for axis, d := range list {
		vertical(f, at(axis, 0), at(axis, 1), chart.Shorten(d.short, letters), d.Name, d.ticks(6, letters-2))
		if missing && s.Space[d.index].Parent >= 0 {
			below := at(axis, math.NaN())
			f.Text("tick halo", chart.Point{X: below.X + 5, Y: below.Y + 4}, chart.Start, "absent", "")
		}
	}
	vertical(f, at(len(list), 0), at(len(list), 1), chart.Shorten(o.Metric, 14), o.name(), y.Ticks(6))
	scale(f, ranks)
	c := f.Chart(title, fmt.Sprintf("%s: %s over %s; %s; the best is %s", title, message.Count(len(trials), "trial"), message.Count(len(list), "parameter"), o.better(),
		describe(trials[0])))
	c.Wide = true
	c.Note = "Colour: the rank of the trial's value."
	if all > len(trials) {
		c.Note += fmt.Sprintf(" The best %d trials and %d of the other %d, evenly taken.", mostLines/4, mostLines-mostLines/4, all-mostLines/4)
	}
	if hidden > 0 {
		c.Note += " " + counted(hidden, "less important parameter is", "less important parameters are") + " left out."
	}
	c.Note = join(c.Note, y.note())
	return c
}

// letter is the width that a letter of a tick's text is given.
const letter = 7.0

// vertical draws an axis of parallel coordinates; its texts have a halo, since the lines go behind them.
func vertical(f *chart.Frame, foot, head chart.Point, name, full string, ticks []chart.Tick) {
	f.Line("axis", foot, head)
	anchor, x := chart.Start, foot.X-4
	f.Text("name", chart.Point{X: x, Y: head.Y - 12}, anchor, name, full)
	free := foot.Y + 8
	for _, tick := range ticks {
		y := foot.Y + tick.Place*(head.Y-foot.Y)
		if y+12 > free+8 { // the text before is in the way
			continue
		}
		f.Line("axis", chart.Point{X: foot.X - 3, Y: y}, chart.Point{X: foot.X + 3, Y: y})
		f.Text("tick halo", chart.Point{X: foot.X + 5, Y: y + 4}, chart.Start, tick.Text, "")
		free = y - 4
	}
}

// scale draws what the colours of ranks mean, at the upper right: best to worst, with values at the ends, and at each colour's
// title.
func scale(f *chart.Frame, r ranking) {
	const width, height = 14.0, 9.0
	best, worst := "best "+value(r.at(0)), "worst "+value(r.at(1))
	x := f.Width - 7*float64(len(worst)) - chart.Shades*width - 8
	f.Text("tick", chart.Point{X: x - 6, Y: 12}, chart.End, best, "")
	for i := range chart.Shades {
		from, to := float64(i)/chart.Shades, float64(i+1)/chart.Shades
		f.Rect("cell "+chart.Shade(from+1e-9), chart.Point{X: x, Y: 3}, width, height,
			fmt.Sprintf("%s to %s", value(r.at(from)), value(r.at(to))))
		x += width
	}
	f.Text("tick", chart.Point{X: x + 6, Y: 12}, chart.Start, worst, "")
}

// Cells of a heat map, where an axis is of numbers.
const (
	cellsAcross = 44
	cellsUp     = 30
)

// enoughForMap is the number of trials from which on a contour is a map: with fewer, there is nothing between them.
const enoughForMap = 8

// Contour draws where an objective is good over two parameters, by their places in the space: a heat map of the mean rank of
// the trials nearby, with the trials as dots, or with few trials the dots alone. The rank, because a few values that are much
// worse than the others would hide all else in a mean of values.
//
// The mean of a place is weighted by a Gaussian of the distance, its deviation 0.2 n^(−1/6) of an axis for n trials, after Scott's
// rule (Scott 1992, equation 6.42, in two dimensions): a Nadaraya–Watson estimate. Where the weights come to less than that of
// one trial two and a half deviations away, the map is empty. Choices are not blurred with each other.
func Contour(s Sweep, objective, horizontal, vertical int) chart.Chart {
	o, all := s.Objectives[objective], s.dimensions()
	dx, dy := all[horizontal], all[vertical]
	title := dx.short + " and " + dy.short
	var trials []Trial
	for _, t := range s.measured(objective, Done) {
		if finite(dx.place(t)) && finite(dy.place(t)) {
			trials = append(trials, t)
		}
	}
	if len(trials) == 0 {
		return empty(title, "no trial with both has a value yet")
	}
	ranks, describe := s.ranking(objective), s.describer(dx, dy)
	f := newFrame(400, 330)
	f.Top = 46
	ticks := dy.ticks(6, 14)
	f.Room(ticks)
	f.Y(ticks)
	kind := "Dots: trials, in the colour of their value's rank."
	if len(trials) >= enoughForMap {
		heat(f, trials, dx, dy, func(t Trial) float64 { return ranks.of(t.value(objective)) })
		kind = "Heat map: mean rank of the trials nearby."
	}
	f.X(dx.ticks(6, optionLetters(f.PlotWidth(), dx)))
	f.XName(chart.Shorten(dx.short, 60), dx.Name)
	f.Text("tick", chart.Point{X: 0, Y: 36}, chart.Start, chart.Shorten(dy.short, 60), dy.Name)
	scale(f, ranks)
	at := func(t Trial) chart.Point { return f.At(dx.place(t)+aside(dx, t), dy.place(t)+aside(dy, t)) }
	leftOut := 0
	best := s.isBest()
	if len(trials) > oneByOne {
		points := make([]chart.Point, len(trials))
		for i, t := range trials {
			points[i] = at(t)
		}
		leftOut = f.Specks("speck mark", points)
	} else {
		for _, t := range trials {
			if len(trials) < enoughForMap {
				f.Dot("dot "+chart.Shade(ranks.of(t.value(objective))), at(t), 5, describe(t))
			} else {
				f.Dot("mark", at(t), 2.2, describe(t))
			}
		}
	}
	if len(best) <= mostMarked {
		for _, t := range trials {
			if best[t.Number] {
				f.Dot("ring b", at(t), 6, "")
			}
		}
	}
	c := f.Chart(title, fmt.Sprintf("%s over %s and %s: %s; %s", o.name(), dx.Name, dy.Name, message.Count(len(trials), "trial"), o.better()))
	c.Note = join(kind, leftOutNote(leftOut))
	if shown := slices.ContainsFunc(trials, func(t Trial) bool { return best[t.Number] }); shown && len(best) <= mostMarked {
		c.Legend = append(c.Legend, chart.Entry{Class: "ring b", Name: "best"})
	}
	if len(trials) >= enoughForMap {
		c.Legend = append([]chart.Entry{{Class: "ring mark", Name: "trial"}}, c.Legend...)
	}
	return c
}

// heat draws the map of a contour. Trials are counted into its cells first, so that the time does not grow with their number
// times that of the cells.
func heat(f *chart.Frame, trials []Trial, dx, dy dimension, rank func(t Trial) float64) {
	across, up := cells(dx, cellsAcross), cells(dy, cellsUp)
	sum, weight := make([]float64, across*up), make([]float64, across*up)
	for _, t := range trials {
		x := min(int(dx.place(t)*float64(across)), across-1)
		y := min(int(dy.place(t)*float64(up)), up-1)
		sum[y*across+x] += rank(t)
		weight[y*across+x]++
	}
	deviation := 0.2 * math.Pow(float64(len(trials)), -1.0/6)
	for _, grid := range [][]float64{sum, weight} {
		if dx.Kind != search.Choice {
			for y := range up {
				blur(grid[y*across:(y+1)*across], 1, deviation*float64(across))
			}
		}
		if dy.Kind != search.Choice {
			for x := range across {
				blur(grid[x:], across, deviation*float64(up))
			}
		}
	}
	for y := range up {
		for x := 0; x < across; {
			shade := cellShade(sum[y*across+x], weight[y*across+x])
			end := x + 1
			for end < across && cellShade(sum[y*across+end], weight[y*across+end]) == shade {
				end++
			}
			if shade != "" {
				corner := f.At(float64(x)/float64(across), float64(y+1)/float64(up))
				opposite := f.At(float64(end)/float64(across), float64(y)/float64(up))
				// A little farther than the cell, under those that are drawn after it: no seam shows where edges are rounded.
				width := min(opposite.X+seam, f.At(1, 0).X) - corner.X
				f.Rect("cell "+shade, corner, width, opposite.Y+seam-corner.Y, "")
			}
			x = end
		}
	}
}

// seam is how far cells go beneath their neighbours, in units.
const seam = 0.8

func cells(d dimension, numbers int) int {
	if d.Kind == search.Choice {
		return min(max(d.Options, 1), numbers)
	}
	return numbers
}

func cellShade(sum, weight float64) string {
	if weight < math.Exp(-2.5*2.5/2) {
		return ""
	}
	return chart.Shade(sum / weight)
}

// blur spreads each value of a line, whose values are so far apart in the slice, over its neighbours, with weight 1 for itself
// and e^(−d²/2σ²) at a distance d.
func blur(line []float64, apart int, deviation float64) {
	n := (len(line) + apart - 1) / apart
	before := make([]float64, n)
	for i := range before {
		before[i] = line[i*apart]
	}
	reach := int(4 * deviation)
	weights := make([]float64, reach+1)
	for d := range weights {
		weights[d] = math.Exp(-float64(d*d) / (2 * deviation * deviation))
	}
	for i := range n {
		sum := 0.0
		for j := max(0, i-reach); j <= min(n-1, i+reach); j++ {
			sum += before[j] * weights[max(i-j, j-i)]
		}
		line[i*apart] = sum
	}
}
