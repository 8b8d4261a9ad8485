package survey

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"slices"
	"time"

	"latent/pkg/chart"
	"latent/pkg/search"
)

//go:embed sweep.html.tmpl
var pageText string

var page = template.Must(template.New("sweep").Parse(pageText))

// What a page shows at most; it says how much it leaves out.
const (
	mostRows       = 200
	mostFailed     = 50
	mostSlices     = 24
	mostBest       = 50
	mostPictures   = 12
	mostErrorText  = 2000
	largestPicture = 256 << 10
)

// Render writes the page of a sweep.
func Render(w io.Writer, s Sweep) error {
	if len(s.Objectives) == 0 {
		return fmt.Errorf("render the sweep %q: it has no objective, and needs one at least", s.Name)
	}
	data := content{Sweep: s, Style: chart.Style, Script: chart.Script, Counts: s.counts()}
	if !s.Started.IsZero() {
		data.Times = append(data.Times, "started "+s.Started.Format(time.RFC1123))
	}
	if elapsed := s.Updated.Sub(s.Started); !s.Started.IsZero() && elapsed > 0 {
		data.Times = append(data.Times, "as of "+duration(elapsed)+" later")
	}
	if left, known := s.timeLeft(); known && s.State == Running {
		data.Times = append(data.Times, "about "+duration(left)+" left")
	}
	for _, d := range s.dimensions() {
		data.Columns = append(data.Columns, column{d.short, d.Name, d.Kind == search.Choice})
	}
	best := s.bestTrials()
	data.BestRows = s.rows(best[:min(len(best), mostBest)])
	data.BestLeftOut = len(best) - len(data.BestRows)
	for _, t := range best {
		if len(t.Thumbnail) > 0 && len(t.Thumbnail) <= largestPicture && len(data.Pictures) < mostPictures {
			data.Pictures = append(data.Pictures, picture{fmt.Sprintf("trial %d", t.Number),
				template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(t.Thumbnail))})
		}
	}
	if c := s.Confirm; c != nil {
		data.Confirmed = withInterval(c.Mean, c.Interval)
		for i, v := range c.Values {
			if i < len(c.Seeds) {
				data.ConfirmedRows = append(data.ConfirmedRows, Fact{fmt.Sprint(c.Seeds[i]), value(v)})
			}
		}
	}
	data.draw(s)

	ordered := s.ordered()
	data.Rows = s.rows(ordered[:min(len(ordered), mostRows)])
	data.LeftOut = len(ordered) - len(data.Rows)
	var failed []Trial
	for _, t := range s.Trials {
		if t.State == Failed {
			failed = append(failed, t)
		}
	}
	slices.Reverse(failed)
	data.FailedLeftOut = max(0, len(failed)-mostFailed)
	failed = failed[:len(failed)-data.FailedLeftOut]
	for i := range failed {
		failed[i].Error = chart.Shorten(failed[i].Error, mostErrorText)
	}
	data.Failed = s.rows(failed)
	if err := page.Execute(w, data); err != nil {
		return fmt.Errorf("render the sweep %q: %w", s.Name, err)
	}
	return nil
}

// content is what the page shows.
type content struct {
	Sweep
	Style         template.CSS
	Script        template.JS
	Counts        string
	Times         []string
	Columns       []column
	BestRows      []row
	BestLeftOut   int
	Pictures      []picture
	Confirmed     string
	ConfirmedRows []Fact
	Overview      []chart.Chart // history, Pareto front, importance, curves
	Sections      []section     // of each objective
	Rows          []row
	LeftOut       int
	Failed        []row
	FailedLeftOut int
}

// column is a parameter's.
type column struct {
	Short, Name string
	Choice      bool
}

type picture struct {
	Name string
	Data template.URL
}

// section is what is drawn of an objective.
type section struct {
	Title         string
	Parallel      chart.Chart
	Slices        []chart.Chart
	SlicesLeftOut int
	Contours      []chart.Chart
}

// row is a trial in a table.
type row struct {
	Trial
	Link       string
	Best       bool
	Values     []string
	Parameters []string
	Time       string
	Epoch      string
}

// draw draws what there is something of.
func (c *content) draw(s Sweep) {
	n := len(s.Objectives)
	reported := slices.ContainsFunc(s.Trials, func(t Trial) bool { return len(t.Curve) > 0 })
	anyDone := false
	for k := range n {
		done := len(s.measured(k, Done)) > 0
		anyDone = anyDone || done
		if done || len(s.measured(k, Pruned)) > 0 {
			c.Overview = append(c.Overview, History(s, k))
		}
	}
	if anyDone {
		for i := range min(n, 3) {
			for j := i + 1; j < min(n, 3); j++ {
				c.Overview = append(c.Overview, Front(s, i, j))
			}
		}
	}
	if reported {
		c.Overview = append(c.Overview, Curves(s))
	}
	for k, o := range s.Objectives {
		if len(s.importances(k)) > 0 {
			c.Overview = append(c.Overview, Importances(s, k))
		}
		if len(s.measured(k, Done)) == 0 || len(s.Space) == 0 {
			continue
		}
		part := section{Title: o.name() + ": " + o.better(), Parallel: Parallel(s, k)}
		list := s.byImportance(k)
		shown := min(len(list), max(mostSlices/n, 1))
		part.SlicesLeftOut = len(list) - shown
		for _, d := range list[:shown] {
			part.Slices = append(part.Slices, Slice(s, k, d.index))
		}
		chosen := list[:min(len(list), 3)]
		for i, a := range chosen {
			for _, b := range chosen[i+1:] {
				if s.together(k, a, b) {
					part.Contours = append(part.Contours, Contour(s, k, a.index, b.index))
				}
			}
		}
		c.Sections = append(c.Sections, part)
	}
}

// together says that some trial with a value has both parameters: those under different choices have none.
func (s Sweep) together(objective int, a, b dimension) bool {
	return slices.ContainsFunc(s.measured(objective, Done), func(t Trial) bool { return finite(a.place(t)) && finite(b.place(t)) })
}

// ordered are the trials but those that failed, best first: Best, then those that are done by the first objective, then pruned
// ones by their last values, then what runs and what waits.
func (s Sweep) ordered() []Trial {
	order := []string{Done, Pruned, Running, Waiting}
	best := s.isBest()
	class := func(t Trial) int {
		if best[t.Number] {
			return -1
		}
		return slices.Index(order, t.State)
	}
	var trials []Trial
	for _, t := range s.Trials {
		if slices.Contains(order, t.State) {
			trials = append(trials, t)
		}
	}
	slices.SortStableFunc(trials, func(a, b Trial) int {
		if ca, cb := class(a), class(b); ca != cb {
			return ca - cb
		}
		return s.Objectives[0].compare(a.value(0), b.value(0))
	})
	return trials
}

func (s Sweep) rows(trials []Trial) []row {
	rows := make([]row, len(trials))
	dimensions, best := s.dimensions(), s.isBest()
	for i, t := range trials {
		rows[i] = s.row(t, dimensions)
		rows[i].Best = best[t.Number]
	}
	return rows
}

func (s Sweep) row(t Trial, dimensions []dimension) row {
	r := row{Trial: t}
	if t.Run != "" {
		// As a path alone: a colon or a question mark in a folder's name is none of a URL's.
		r.Link = (&url.URL{Path: t.Run}).String()
	}
	for k := range s.Objectives {
		r.Values = append(r.Values, value(t.value(k)))
	}
	for _, d := range dimensions {
		r.Parameters = append(r.Parameters, d.text(t))
	}
	if t.Seconds > 0 {
		r.Time = duration(seconds(t.Seconds))
	}
	if n := len(t.Curve); n > 0 {
		r.Epoch = fmt.Sprint(t.Curve[n-1].Step)
	}
	return r
}
