package chart

import (
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Canvas is a drawing that grows, in units of its own, from the upper left. Whatever text it is given is escaped here.
type Canvas struct {
	Width, Height float64
	out           strings.Builder
}

// Point is a place on a canvas.
type Point struct{ X, Y float64 }

// Line draws a straight line.
func (c *Canvas) Line(class string, from, to Point) {
	c.open("line", class)
	c.number("x1", from.X)
	c.number("y1", from.Y)
	c.number("x2", to.X)
	c.number("y2", to.Y)
	c.out.WriteString("/>")
}

// Where a text stands at its point: it starts there, or its middle or its end is there.
const (
	Start  = "start"
	Middle = "middle"
	End    = "end"
)

// Text writes on one line. A title that says more, shown on hovering, may be "".
func (c *Canvas) Text(class string, at Point, anchor, text, title string) {
	c.open("text", class)
	c.number("x", at.X)
	c.number("y", at.Y)
	if anchor != Start {
		c.out.WriteString(` text-anchor="` + anchor + `"`)
	}
	c.out.WriteString(">" + escape(text))
	c.title(title)
	c.out.WriteString("</text>")
}

// Dot draws a circle.
func (c *Canvas) Dot(class string, at Point, radius float64, title string) {
	c.open("circle", class)
	c.number("cx", at.X)
	c.number("cy", at.Y)
	c.number("r", radius)
	c.end("circle", title)
}

// Rect draws a rectangle.
func (c *Canvas) Rect(class string, corner Point, width, height float64, title string) {
	c.open("rect", class)
	c.number("x", corner.X)
	c.number("y", corner.Y)
	c.number("width", max(width, 0))
	c.number("height", max(height, 0))
	c.end("rect", title)
}

// Curve joins points.
func (c *Canvas) Curve(class string, points []Point, title string) {
	c.points("polyline", class, points, title)
}

// Area fills what points are around.
func (c *Canvas) Area(class string, points []Point) { c.points("polygon", class, points, "") }

// points draws an element of points.
func (c *Canvas) points(element, class string, points []Point, title string) {
	c.open(element, class)
	c.out.WriteString(` points="`)
	for i, p := range points {
		if i > 0 {
			c.out.WriteByte(' ')
		}
		c.decimal(p.X)
		c.out.WriteByte(',')
		c.decimal(p.Y)
	}
	c.out.WriteByte('"')
	c.end(element, title)
}

// mostSpecks bounds the size of a picture of specks: some 9 bytes each.
const mostSpecks = 4000

// Specks draws points without titles, for when there are too many to look at one by one: to whole units, each place once,
// and not more than a few thousand of them, which are taken evenly. It returns how many places it left out. The class' stroke
// gives their size: it needs round ends.
func (c *Canvas) Specks(class string, points []Point) (leftOut int) {
	type place struct{ x, y int }
	seen := make(map[place]bool, len(points))
	var places []place
	for _, p := range points {
		at := place{int(math.Round(p.X)), int(math.Round(p.Y))}
		if !seen[at] {
			seen[at] = true
			places = append(places, at)
		}
	}
	drawn := min(len(places), mostSpecks)
	if drawn == 0 {
		return 0
	}
	c.open("path", class)
	c.out.WriteString(` d="`)
	for i := range drawn {
		at := places[i*len(places)/drawn]
		c.out.WriteString("M" + strconv.Itoa(at.x) + " " + strconv.Itoa(at.y) + "h0")
	}
	c.out.WriteString(`"/>`)
	return len(places) - drawn
}

// svg is the drawing so far: the content of an svg element.
func (c *Canvas) svg() template.HTML {
	// Classes are constants of the callers, numbers are formatted here, and text is escaped.
	return template.HTML(c.out.String())
}

func (c *Canvas) open(element, class string) {
	c.out.WriteString("<" + element)
	if class != "" {
		c.out.WriteString(` class="` + escape(class) + `"`)
	}
}

func (c *Canvas) end(element, title string) {
	if title == "" {
		c.out.WriteString("/>")
		return
	}
	c.out.WriteByte('>')
	c.title(title)
	c.out.WriteString("</" + element + ">")
}

func (c *Canvas) title(title string) {
	if title != "" {
		c.out.WriteString("<title>" + escape(title) + "</title>")
	}
}

func (c *Canvas) number(name string, x float64) {
	c.out.WriteString(" " + name + `="`)
	c.decimal(x)
	c.out.WriteByte('"')
}

// decimal writes a number to a tenth of a unit. What is not finite is 0: a place that nothing is drawn at on purpose.
func (c *Canvas) decimal(x float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		x = 0
	}
	tenths := math.Round(x*10)/10 + 0 // −0 + 0 is 0
	c.out.WriteString(strconv.FormatFloat(tenths, 'f', -1, 64))
}

// escape makes text safe in HTML and in XML, which has no place for control characters.
func escape(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return utf8.RuneError
		}
		return r
	}, text)
	return html.EscapeString(clean)
}

// Shorten cuts the middle out of a text that has more than n letters.
func Shorten(text string, n int) string {
	letters := []rune(text)
	if len(letters) <= n {
		return text
	}
	n = max(n, 3)
	end := (n - 1) / 2
	return string(letters[:n-1-end]) + "…" + string(letters[len(letters)-end:])
}
