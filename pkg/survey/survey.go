// Package survey shows a hyperparameter sweep: as a page, as charts, and as tables on a terminal.
//
//	err := survey.Render(file, sweep)                  // sweep.html
//	fmt.Print(survey.Table(sweep, 100))                // what it is doing now
//	os.WriteFile("history.svg", survey.History(sweep, 0).File(), 0o666)
//
// The page is one file, which asks for nothing from elsewhere; its one script sorts tables by a click, and it works without. It follows the reader's light or dark mode, and
// prints.
//
// Promised: the same sweep gives the same bytes. A sweep in any state has a page: without trials, with one, with failed ones
// alone, with values that are not finite. Text from the sweep is escaped. A page of 10,000 trials stays below 3 MB: where there
// are more trials than can be looked at, a part of them is shown, and the page says which.
//
// What is not here: where trials come from (pkg/study), which parameters are important, and which trials are best: the sweep
// says so.
package survey

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"latent/pkg/chart"
	"latent/pkg/search"
)

// Sweep is what is shown.
type Sweep struct {
	Name string
	// State is where it stands, in a word: running, done, interrupted, failed.
	State string
	// Path is its folder, Command the line that started it, Config its YAML, and Base that of the experiment whose keys it varies.
	Path, Command, Config, Base string
	// Objectives are what is looked for, at least one.
	Objectives []Objective
	Space      search.Space
	// Labels says, for each parameter that is a Choice, what its options are; nil for the others.
	Labels [][]string
	// Trials are by number.
	Trials []Trial
	// Budget is when the sweep ends.
	Budget Budget
	// Started and Updated are when it began, and when the trials were as they are here. Waits are not known: a sweep that
	// was interrupted for a day began a day earlier.
	Started, Updated time.Time
	// Best holds the numbers of the best trials: one, or with several objectives all that no other trial is better than in
	// everything.
	Best []int
	// Importance is, for each objective, how much each parameter matters; nil where that is not known.
	Importance [][]Importance
	// Curve is what the trials' curves show; "" stands for the first objective.
	Curve string
	// Confirm is how the best trial did on fresh seeds, nil where nobody has asked.
	Confirm *Confirmation
	// Facts are lines about where and with what the sweep was made.
	Facts []Fact
}

// Objective is a metric that the sweep makes small or large.
type Objective struct {
	Metric   string
	Maximize bool
	Unit     string // "" where it has none
}

// name is the metric with its unit.
func (o Objective) name() string {
	if o.Unit == "" {
		return o.Metric
	}
	return o.Metric + ", " + o.Unit
}

func (o Objective) better() string {
	if o.Maximize {
		return "higher is better"
	}
	return "lower is better"
}

// Budget is when a sweep ends; what is 0 is not limited.
type Budget struct {
	Trials int
	Time   time.Duration
}

// The states of a trial.
const (
	Waiting = "waiting"
	Running = "running"
	Done    = "done"
	Pruned  = "pruned"
	Failed  = "failed"
)

// Trial is a trial as its user reads it.
type Trial struct {
	Number int
	State  string
	// Point is in the sweep's space.
	Point search.Point
	// Values are those of the objectives, as they are measured: not negated where more is better.
	Values []float64
	// Curve is what was measured on the way, not negated either.
	Curve []search.Report
	// Seconds is how long it has run; Finished is when it ended, zero where that is not known.
	Seconds  float64
	Finished time.Time
	// Attempt is 1 for a trial that went through at once.
	Attempt int
	// Run is the way from the page to the report of its run: a relative path with slashes, or "".
	Run string
	// Error says why it failed.
	Error string
	// Thumbnail is a PNG picture, nil where there is none. The page shows those of the best trials, up to 256 KB each.
	Thumbnail []byte
}

// Importance is a parameter's part in what an objective's values differ by.
type Importance struct {
	Parameter string
	// Share is from 0 to 1, and Deviation its standard deviation over the estimate's trees or repetitions, 0 for unknown.
	Share, Deviation float64
}

// Confirmation is the best trial, run again on other seeds.
type Confirmation struct {
	Trial int
	Seeds []int64
	// Values are the first objective's, one for each seed; Mean is their mean, and Interval half the width of its 95 %
	// confidence interval.
	Values         []float64
	Mean, Interval float64
}

// Fact is a line about the sweep.
type Fact struct{ Name, Value string }

// value is that of an objective; NaN where there is none.
func (t Trial) value(objective int) float64 {
	if objective >= len(t.Values) || !finite(t.Values[objective]) {
		return math.NaN()
	}
	return t.Values[objective]
}

// parameter is the value of one; NaN where the trial does not have it.
func (t Trial) parameter(i int) float64 {
	if i >= len(t.Point) || !finite(t.Point[i]) {
		return math.NaN()
	}
	return t.Point[i]
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// measured are the trials in a state that have a value of the objective, by number.
func (s Sweep) measured(objective int, state string) []Trial {
	trials := make([]Trial, 0, s.count(state))
	for _, t := range s.Trials {
		if t.State == state && finite(t.value(objective)) {
			trials = append(trials, t)
		}
	}
	return trials
}

// bestTrials are those that Best names.
func (s Sweep) bestTrials() []Trial {
	var trials []Trial
	for _, number := range s.Best {
		if i := slices.IndexFunc(s.Trials, func(t Trial) bool { return t.Number == number }); i >= 0 {
			trials = append(trials, s.Trials[i])
		}
	}
	return trials
}

// isBest is a set of the best trials' numbers.
func (s Sweep) isBest() map[int]bool {
	set := make(map[int]bool, len(s.Best))
	for _, number := range s.Best {
		set[number] = true
	}
	return set
}

// count is how many trials are in a state.
func (s Sweep) count(state string) int {
	n := 0
	for _, t := range s.Trials {
		if t.State == state {
			n++
		}
	}
	return n
}

// curve is what the trials' curves show.
func (s Sweep) curve() Objective {
	switch {
	case len(s.Objectives) == 0:
		return Objective{Metric: s.Curve}
	case s.Curve == "" || s.Curve == s.Objectives[0].Metric:
		return s.Objectives[0]
	}
	return Objective{Metric: s.Curve}
}

// ranking says how good a value is among those of the trials that are done.
type ranking struct {
	sorted   []float64 // ascending
	maximize bool
}

func (s Sweep) ranking(objective int) ranking {
	r := ranking{maximize: s.Objectives[objective].Maximize}
	for _, t := range s.measured(objective, Done) {
		r.sorted = append(r.sorted, t.value(objective))
	}
	slices.Sort(r.sorted)
	return r
}

// of is the part of the other trials that are better than a value: 0 for the best, 1 for the worst.
func (r ranking) of(value float64) float64 {
	if len(r.sorted) < 2 {
		return 0
	}
	at, _ := slices.BinarySearch(r.sorted, value)
	if r.maximize {
		at, _ = slices.BinarySearch(r.sorted, math.Nextafter(value, math.Inf(1)))
		at = len(r.sorted) - at
	}
	return min(float64(at)/float64(len(r.sorted)-1), 1)
}

// at is the value of a rank.
func (r ranking) at(rank float64) float64 {
	i := int(math.Round(rank * float64(len(r.sorted)-1)))
	if r.maximize {
		i = len(r.sorted) - 1 - i
	}
	return r.sorted[i]
}

// compare orders values, the better first and what is not finite last.
func (o Objective) compare(a, b float64) int {
	if finite(a) != finite(b) {
		if finite(a) {
			return -1
		}
		return 1
	}
	if o.Maximize {
		a, b = b, a
	}
	return cmp.Compare(a, b)
}

// dimension is a parameter as it is shown.
type dimension struct {
	search.Parameter
	index  int    // in the space
	short  string // the end of its name that tells it from the others
	labels []string
}

func (s Sweep) dimensions() []dimension {
	list := make([]dimension, len(s.Space))
	for i, p := range s.Space {
		list[i] = dimension{Parameter: p, index: i, short: s.short(i)}
		if i < len(s.Labels) {
			list[i].labels = s.Labels[i]
		}
	}
	return list
}

// short is the shortest end of a parameter's name, after a dot, that no other parameter's name has; it does not begin with the
// number of an element.
func (s Sweep) short(i int) string {
	parts := strings.Split(s.Space[i].Name, ".")
	for n := 1; n < len(parts); n++ {
		end := strings.Join(parts[len(parts)-n:], ".")
		unique := !strings.ContainsAny(end[:min(1, len(end))], "0123456789")
		for j, other := range s.Space {
			if j != i && (other.Name == end || strings.HasSuffix(other.Name, "."+end)) {
				unique = false
			}
		}
		if unique {
			return end
		}
	}
	return s.Space[i].Name
}

// byImportance are the dimensions, those that matter most for an objective first; in the order of the space where that is not
// known.
func (s Sweep) byImportance(objective int) []dimension {
	list := s.dimensions()
	if objective >= len(s.Importance) {
		return list
	}
	share := make(map[string]float64)
	for _, importance := range s.Importance[objective] {
		share[importance.Parameter] = importance.Share
	}
	slices.SortStableFunc(list, func(a, b dimension) int { return cmp.Compare(share[b.Name], share[a.Name]) })
	return list
}

// inset keeps values at the bounds of a parameter off the edge of a plot: this part of it is free on each side.
const inset = 0.04

// place is where a value is on an axis of the parameter; NaN where the trial does not have it.
func (d dimension) place(t Trial) float64 {
	value := t.parameter(d.index)
	if !finite(value) {
		return math.NaN()
	}
	return d.placeOf(value)
}

func (d dimension) placeOf(value float64) float64 {
	place := d.Place(value)
	if !finite(place) {
		return math.NaN()
	}
	place = min(max(place, 0), 1) // whoever changed a sweep's bounds has trials beyond them
	if d.Kind == search.Choice {
		return place
	}
	return inset + place*(1-2*inset)
}

// ticks are the marks of an axis of the parameter, about n, or one for each choice.
func (d dimension) ticks(n, letters int) []chart.Tick {
	var ticks []chart.Tick
	if d.Kind == search.Choice {
		for option := range min(d.Options, mostOptions) {
			ticks = append(ticks, chart.Tick{Place: d.placeOf(float64(option)), Text: chart.Shorten(d.option(option), letters)})
		}
		return ticks
	}
	axis := chart.Axis{Bounds: chart.Bounds{Min: d.Low, Max: d.High, Any: true}, Log: d.Log && d.Low > 0 && d.High > d.Low}
	for _, tick := range axis.Values(n) {
		if d.Kind == search.Int && tick != math.Trunc(tick) {
			continue
		}
		ticks = append(ticks, chart.Tick{Place: d.placeOf(tick), Text: chart.Number(tick)})
	}
	return ticks
}

// mostOptions is how many choices have their names on an axis.
const mostOptions = 40

func (d dimension) option(i int) string {
	if i >= 0 && i < len(d.labels) {
		return d.labels[i]
	}
	return "option " + integer(float64(i))
}

// text is the value of a trial's parameter; "" where it does not have it.
func (d dimension) text(t Trial) string {
	value := t.parameter(d.index)
	switch {
	case !finite(value):
		return ""
	case d.Kind == search.Choice:
		return d.option(int(value))
	case d.Kind == search.Int:
		return integer(value)
	}
	return chart.Number(value)
}

// thin takes at most n of a list, evenly, the last one always.
func thin[T any](list []T, n int) []T {
	if len(list) <= n {
		return list
	}
	taken := make([]T, n)
	for i := range taken {
		taken[i] = list[(i+1)*len(list)/n-1]
	}
	return taken
}
