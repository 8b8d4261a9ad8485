package chart

import "unicode/utf8"

// Frame is a canvas with a plot on it, the rectangle that the data is drawn in, and margins for what is written around it.
type Frame struct {
	Canvas
	Left, Right, Top, Bottom float64 // margins
}

// NewFrame returns an empty frame with the usual margins.
func NewFrame(width, height float64) *Frame {
	return &Frame{Canvas: Canvas{Width: width, Height: height}, Left: 58, Right: 12, Top: 10, Bottom: 34}
}

// At returns the point at a place of the plot: (0, 0) is its lower left corner, (1, 1) its upper right.
func (f *Frame) At(x, y float64) Point {
	return Point{f.Left + x*f.PlotWidth(), f.Height - f.Bottom - y*f.PlotHeight()}
}

// PlotWidth is the width of the plot.
func (f *Frame) PlotWidth() float64 { return f.Width - f.Left - f.Right }

// PlotHeight is the height of the plot.
func (f *Frame) PlotHeight() float64 { return f.Height - f.Top - f.Bottom }

// letter is about the width of a letter of a tick's text, and a little less than that of the widest.
const letter = 6.6

// textWidth is about the width of a tick's text.
func textWidth(text string) float64 { return letter * float64(utf8.RuneCountInString(text)) }

// Room makes the left margin as wide as the ticks' texts need.
func (f *Frame) Room(ticks []Tick) {
	f.Left = 34
	for _, tick := range ticks {
		f.Left = max(f.Left, textWidth(tick.Text)+14)
	}
}

// Y draws the grid and the texts of a vertical axis.
func (f *Frame) Y(ticks []Tick) {
	for _, tick := range ticks {
		at := f.At(0, tick.Place)
		f.Line("grid", at, f.At(1, tick.Place))
		f.Text("tick", Point{at.X - 6, at.Y + 4}, End, tick.Text, "")
	}
}

// X draws a horizontal axis and its texts, as many as do not overlap.
func (f *Frame) X(ticks []Tick) {
	free := 0.0
	for _, tick := range ticks {
		at := f.At(tick.Place, 0)
		half := textWidth(tick.Text) / 2
		// A text at the edge moves in.
		middle := min(max(at.X, half), f.Width-half)
		if middle-half < free {
			continue
		}
		f.Text("tick", Point{middle, at.Y + 16}, Middle, tick.Text, "")
		free = middle + half + letter
	}
	f.Line("axis", f.At(0, 0), f.At(1, 0))
}

// XName writes what the horizontal axis shows, at its end.
func (f *Frame) XName(text, title string) {
	f.Text("tick", Point{f.Width - f.Right, f.Height - 3}, End, text, title)
}

// YName writes what the vertical axis shows, above it; the upper margin has to have the room.
func (f *Frame) YName(text, title string) { f.Text("tick", Point{0, 12}, Start, text, title) }

// Chart is the chart as drawn, with its title and the words for those who do not see it.
func (f *Frame) Chart(title, label string, legend ...Entry) Chart {
	return Chart{Title: title, Label: label, Legend: legend, Width: f.Width, Height: f.Height, SVG: f.svg()}
}
