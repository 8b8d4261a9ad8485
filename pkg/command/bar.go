package command

import (
	"fmt"
	"io"
	"strings"
	"time"

	"latent/pkg/message"
)

// startOfLine takes away what stands on the terminal's last line.
const startOfLine = "\r\x1b[K"

// bar is a line on a terminal that tells how far a command is with its files; nothing elsewhere.
type bar struct {
	line
	total, skipped int // files
	start          time.Time
	done           int     // files that were read, or could not be
	part           float64 // of the file that is at work
	pixels         float64 // of all
	current        int     // pixels of the picture that is at work
	page, pages    int
}

func newBar(c *console, total int) *bar {
	return &bar{line: line{out: c.progress()}, total: total, start: time.Now(), pages: 1}
}

// begin tells of a picture of so many pixels, a page of a file.
func (b *bar) begin(pixels, page, pages int) {
	b.current, b.page, b.pages = pixels, page, pages
	b.within(0)
}

// end tells that the picture is done.
func (b *bar) end() { b.pixels, b.current = b.pixels+float64(b.current), 0 }

// next tells that a file is done.
func (b *bar) next() {
	b.done++
	b.part, b.current, b.page, b.pages = 0, 0, 0, 1
	b.draw(0)
}

// within tells which part of a picture is done.
func (b *bar) within(part float64) {
	b.part = (float64(b.page) + part) / float64(b.pages)
	b.draw(part)
}

// barWidth is the width of the bar in characters, and barEach the least time between two of its states.
const (
	barWidth = 24
	barEach  = 100 * time.Millisecond
)

func (b *bar) draw(part float64) {
	if !b.due() {
		return
	}
	files := float64(b.total - b.skipped)
	done := (float64(b.done) + b.part) / files
	seconds := time.Since(b.start).Seconds()
	left := "…"
	if done > 0 {
		left = (time.Duration(seconds * (1 - done) / done * float64(time.Second))).Round(time.Second).String() + " left"
	}
	full := min(barWidth, int(barWidth*done))
	b.show("%s%s %d/%d  %.2f megapixels/s  %s", strings.Repeat("█", full), strings.Repeat("░", barWidth-full),
		b.done+b.skipped, b.total, (b.pixels+part*float64(b.current))/1e6/seconds, left)
}

// line is one line on a terminal that is written over and over; nothing elsewhere.
type line struct {
	out   io.Writer // nil where there is no terminal
	drawn time.Time // zero where the line is not there
}

// due says whether the line is to be drawn again.
func (l *line) due() bool { return l.out != nil && time.Since(l.drawn) >= barEach }

// show draws the line.
func (l *line) show(format string, args ...any) {
	l.drawn = time.Now()
	message.Control(l.out, startOfLine)
	fmt.Fprintf(l.out, format, args...)
}

// clear takes the line away, for other text.
func (l *line) clear() {
	if l.out != nil && !l.drawn.IsZero() {
		message.Control(l.out, startOfLine)
		l.drawn = time.Time{}
	}
}
