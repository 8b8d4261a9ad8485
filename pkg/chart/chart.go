// Package chart draws charts as SVG, for pages without scripts.
//
//	loss := chart.Series{Class: "a", Name: "loss"}
//	loss.Add(1, 0.5)
//	drawn, ok := chart.Lines("Loss", "epoch", true, loss) // drawn.Element() goes on a page, drawn.File() into a file
//
// Promised: text that a chart is given is escaped, whatever it is, and a chart is well-formed XML. On a page with [Style] it
// follows the reader's light or dark mode; as a file it is light, on white.
//
// What is not here: what is drawn (pkg/report, pkg/survey).
package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Chart is a drawing.
type Chart struct {
	Title string
	// Label says in words what the chart shows, for those who do not see it.
	Label string
	// Legend says what the colours are.
	Legend []Entry
	// Note is a line below the chart, or "".
	Note string
	// Width and Height are its size in its own units; the page scales it.
	Width, Height float64
	// Wide says that it does not get narrower than its size: a page with less room scrolls it.
	Wide bool
	SVG  template.HTML
}

// Entry is a line of a legend.
type Entry struct{ Class, Name string }

// Element is the chart as an element of a page.
func (c Chart) Element() template.HTML {
	class := ""
	if c.Wide {
		class = ` class="keep"`
	}
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s"%s>`, c.Width, c.Height, escape(c.Label), class)) +
		c.SVG + "</svg>"
}

// File is the chart as a file of its own, with title, legend and note.
func (c Chart) File() []byte {
	const side, line = 12.0, 18.0
	head, foot := 30.0, 10.0
	var around Canvas
	around.Text("heading", Point{0, -12}, Start, c.Title, "")
	x, y := 0.0, c.Height+line
	for _, entry := range c.Legend {
		width := 26 + textWidth(entry.Name) + 14
		if x > 0 && x+width > c.Width {
			x, y = 0, y+line
		}
		mark(&around, entry.Class, Point{x, y - 4})
		around.Text("tick", Point{x + 26, y}, Start, entry.Name, "")
		x += width
	}
	if len(c.Legend) > 0 {
		foot += y - c.Height
	}
	for _, text := range wrap(c.Note, int(c.Width/letter*1.1)) {
		foot += line
		around.Text("tick", Point{0, c.Height + foot - 8}, Start, text, "")
	}
	var out strings.Builder
	width, height := c.Width+2*side, c.Height+head+foot
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="%g %g %g %g" width="%g" height="%g" role="img">`,
		-side, -head, width, height, width, height)
	fmt.Fprintf(&out, "<title>%s</title><desc>%s</desc><style>%s</style>", escape(c.Title), escape(c.Label), fileStyle())
	fmt.Fprintf(&out, `<rect class="paper" x="%g" y="%g" width="%g" height="%g"/>`, -side, -head, width, height)
	out.WriteString(string(c.SVG) + string(around.svg()) + "</svg>\n")
	return []byte(out.String())
}

// mark draws the sign of a legend's entry: a dot where its class says so, or else a piece of a curve.
func mark(c *Canvas, class string, at Point) {
	for _, dot := range []string{"dot ", "ring "} {
		if strings.HasPrefix(class, dot) {
			c.Dot(class, Point{at.X + 10, at.Y}, 4, "")
			return
		}
	}
	c.Curve("curve "+class, []Point{at, {at.X + 20, at.Y}}, "")
}

// wrap breaks a text into lines of at most n letters, but for longer words.
func wrap(text string, n int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		if last := len(lines) - 1; last >= 0 && len([]rune(lines[last]))+1+len([]rune(word)) <= n {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// Series is a curve: points with a finite y, in the order of x.
type Series struct {
	Class  string // of the style sheet
	Name   string
	X, Y   []float64
	Dotted bool // a point at each value
	// Low and High are the ends of a band around the curve, one for each of its points, finite; nil where it has none.
	Low, High []float64
}

// Add adds a point, where y is finite.
func (s *Series) Add(x, y float64) {
	if !math.IsNaN(y) && !math.IsInf(y, 0) {
		s.X, s.Y = append(s.X, x), append(s.Y, y)
	}
}

// Constant says that all values are the same.
func (s *Series) Constant() bool {
	for _, y := range s.Y {
		if y != s.Y[0] {
			return false
		}
	}
	return true
}

// Dimensions of a chart of curves.
const (
	Width, Height = 560.0, 280.0
)

// Lines draws curves over x, which is counted from 0 and has a name. Series without points are left out; with none there is no
// chart.
func Lines(title, xName string, mayBeLog bool, all ...Series) (Chart, bool) {
	var drawn []Series
	var horizontal, vertical Bounds
	for _, s := range all {
		if len(s.X) == 0 {
			continue
		}
		drawn = append(drawn, s)
		for i := range s.X {
			horizontal.Include(s.X[i])
			vertical.Include(s.Y[i])
		}
		for i := range s.Low {
			vertical.Include(s.Low[i])
			vertical.Include(s.High[i])
		}
	}
	if len(drawn) == 0 {
		return Chart{}, false
	}
	f := NewFrame(Width, Height)
	x, y := FromZero(horizontal), NewAxis(vertical, mayBeLog)
	f.Y(y.Ticks(6))
	f.X(x.wholeTicks(6))
	f.XName(xName, "")
	label := title
	var legend []Entry
	for _, s := range drawn {
		legend = append(legend, Entry{s.Class, s.Name})
		label += fmt.Sprintf("; %s from %s to %s", s.Name, Number(s.Y[0]), Number(s.Y[len(s.Y)-1]))
		points := make([]Point, len(s.X))
		for i := range s.X {
			points[i] = f.At(x.Place(s.X[i]), y.Place(s.Y[i]))
		}
		if n := len(s.Low); n > 0 {
			around := make([]Point, 2*n)
			for i := range n {
				around[i] = f.At(x.Place(s.X[i]), y.Place(s.High[i]))
				around[2*n-1-i] = f.At(x.Place(s.X[i]), y.Place(s.Low[i]))
			}
			f.Area("band "+s.Class, around)
		}
		f.Curve("curve "+s.Class, points, s.Name)
		if s.Dotted && len(s.X) <= 100 {
			for i, at := range points {
				f.Dot("dot "+s.Class, at, 3, fmt.Sprintf("%s %s: %s", xName, Number(s.X[i]), Number(s.Y[i])))
			}
		}
	}
	return f.Chart(title, label, legend...), true
}

// FromZero is an axis without margins for what is counted: steps, epochs, trials.
func FromZero(b Bounds) Axis {
	b.Include(0)
	if b.Max == 0 {
		b.Max = 1
	}
	return Axis{Bounds: b}
}

// wholeTicks returns those ticks that are whole numbers, where the axis is long enough to have some.
func (a Axis) wholeTicks(n int) []Tick {
	var ticks []Tick
	for _, value := range a.Values(n) {
		if value == math.Trunc(value) || a.Max < 2 {
			ticks = append(ticks, Tick{a.Place(value), Number(value)})
		}
	}
	return ticks
}
