package survey

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"time"

	"latent/pkg/chart"
)

// Comparison is sweeps of one objective beside each other: how soon each found what.
type Comparison struct {
	Objective Objective
	Traces    []Trace
	// Keys are those of the sweeps' configs that differ; each trace has its values.
	Keys []string
}

// Trace is how the best value of a sweep came about.
type Trace struct {
	// Letter names the sweep in tables: A, B, ….
	Letter string
	// Name, Path and State are those of a [Sweep].
	Name, Path, State string
	// Results are of the trials that are over, in the order in which they ended.
	Results []Result
	// Values are those of Comparison.Keys, as text; "" of a key that the sweep does not have.
	Values []string
}

// Result is what came of a trial.
type Result struct {
	Trial int
	// Value is that of the objective; NaN of a trial that failed or was pruned, which is a trial spent all the same.
	Value float64
	// Spent is how long the sweep had run when the trial ended: the time in which at least one trial ran, without interruptions.
	Spent time.Duration
}

// Records are the places among the results of those that were better than all before.
func (t Trace) Records(o Objective) []int {
	var places []int
	for i, r := range t.Results {
		if n := len(places); finite(r.Value) && (n == 0 || o.compare(r.Value, t.Results[places[n-1]].Value) < 0) {
			places = append(places, i)
		}
	}
	return places
}

// Best is the place among the results of the best of the first n; -1 where none of them has a value.
func (t Trace) Best(n int, o Objective) int {
	best := -1
	for _, place := range t.Records(o) {
		if place < n {
			best = place
		}
	}
	return best
}

// BestText is the best value after n trials; a dash where there is none, or where the sweep has not come so far.
func (t Trace) BestText(n int, o Objective) string {
	best := t.Best(n, o)
	if best < 0 || n > len(t.Results) {
		return "—"
	}
	return value(t.Results[best].Value)
}

// Spent is how long the sweep had run when its last trial ended.
func (t Trace) Spent() time.Duration {
	if len(t.Results) == 0 {
		return 0
	}
	return t.Results[len(t.Results)-1].Spent
}

// mostMarks is after how many numbers of trials a table has the best.
const mostMarks = 4

// Marks are the numbers of trials after which a table has the best: the last four of 1, 2, 5, 10, 25, 50, 100, 250 … that are below the
// number of trials of the longest sweep.
func (c Comparison) Marks() []int {
	most := 0
	for _, t := range c.Traces {
		most = max(most, len(t.Results))
	}
	marks := []int{}
	for _, mark := range []int{1, 2, 5} {
		if mark < most {
			marks = append(marks, mark)
		}
	}
	for decade := 10; decade < most; decade *= 10 {
		for _, mark := range []int{decade, decade * 5 / 2, decade * 5} {
			if mark < most {
				marks = append(marks, mark)
			}
		}
	}
	return marks[max(0, len(marks)-mostMarks):]
}

// Table has a row for each sweep, the first row names the columns: the best after the marks, the best of all with its trial, the time in
// which it was found and that of the sweep, and what its config differs in.
func (c Comparison) Table() [][]string {
	head := []string{"", "sweep", "state", "trials"}
	marks := c.Marks()
	for _, mark := range marks {
		head = append(head, "after "+strconv.Itoa(mark))
	}
	rows := [][]string{append(head, "best "+c.Objective.name(), "trial", "found in", "time", "differs in")}
	for _, t := range c.Traces {
		row := []string{t.Letter, t.Path, t.State, strconv.Itoa(len(t.Results))}
		for _, mark := range marks {
			row = append(row, t.BestText(mark, c.Objective))
		}
		trial, found := "", ""
		best := t.Best(len(t.Results), c.Objective)
		if best >= 0 {
			trial, found = strconv.Itoa(t.Results[best].Trial), duration(t.Results[best].Spent)
		}
		var keys []string
		for i, key := range c.Keys {
			if t.Values[i] != "" && key != "name" { // which the path has
				keys = append(keys, key+"="+chart.Shorten(t.Values[i], 40))
			}
		}
		rows = append(rows, append(row, t.BestText(len(t.Results), c.Objective), trial, found, duration(t.Spent()), strings.Join(keys, " ")))
	}
	return rows
}

// BestSoFar draws the best value of each sweep after each number of trials or, with time, after each time.
func BestSoFar(c Comparison, time bool) chart.Chart {
	title, xName := "Best so far, over trials", "trials that are over"
	at := func(i int, _ Result) float64 { return float64(i + 1) }
	if time {
		title, xName = "Best so far, over time", "seconds in which trials ran"
		at = func(_ int, r Result) float64 { return r.Spent.Seconds() }
	}
	var across chart.Bounds
	var values []float64
	for _, t := range c.Traces {
		for i, r := range t.Results {
			across.Include(at(i, r))
		}
		for _, place := range t.Records(c.Objective) {
			values = append(values, t.Results[place].Value)
		}
	}
	if len(values) == 0 {
		return empty(title, noValue)
	}
	f := newFrame(narrow, tall)
	x, y := chart.FromZero(across), newValueAxis(values, c.Objective)
	ticks := y.Ticks(6)
	f.Room(ticks)
	f.Y(ticks)
	f.X(x.Ticks(6))
	f.XName(xName, "")
	f.YName(chart.Shorten(c.Objective.name(), 60), c.Objective.name())
	label := title
	var legend []chart.Entry
	for k, t := range c.Traces {
		records := t.Records(c.Objective)
		if len(records) == 0 {
			continue
		}
		var steps []chart.Point
		height := 0.0
		for i, place := range records {
			r := t.Results[place]
			if i > 0 { // level up to here, then a step
				steps = append(steps, f.At(x.Place(at(place, r)), height))
			}
			height = y.Place(r.Value)
			steps = append(steps, f.At(x.Place(at(place, r)), height))
		}
		last := len(t.Results) - 1
		steps = append(steps, f.At(x.Place(at(last, t.Results[last])), height))
		name := t.Letter + " " + t.Name
		f.Curve("curve "+chart.Distinct(k), steps, name)
		legend = append(legend, chart.Entry{Class: chart.Distinct(k), Name: name})
		label += fmt.Sprintf("; %s comes to %s", name, value(t.Results[records[len(records)-1]].Value))
	}
	drawn := f.Chart(title, label, legend...)
	drawn.Note = y.note()
	return drawn
}

//go:embed compare.html.tmpl
var comparisonText string

var comparisonPage = template.Must(template.New("comparison").Parse(comparisonText))

// RenderComparison writes the page of sweeps beside each other.
func RenderComparison(w io.Writer, c Comparison) error {
	table := c.Table()
	for i := range table { // what differs has a table of its own
		table[i] = table[i][:len(table[i])-1]
	}
	data := struct {
		Comparison
		Style  template.CSS
		Better string
		Head   []string
		Rows   [][]string
		Charts []chart.Chart
	}{c, chart.Style, c.Objective.better(), table[0], table[1:], []chart.Chart{BestSoFar(c, false), BestSoFar(c, true)}}
	if err := comparisonPage.Execute(w, data); err != nil {
		return fmt.Errorf("render the comparison of sweeps: %w", err)
	}
	return nil
}
