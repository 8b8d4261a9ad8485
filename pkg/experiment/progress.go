package experiment

import (
	"fmt"
	"io"
	"strings"
	"time"

	"latent/pkg/train"
)

// progress tells a person how training goes: one line that is written over and over on a terminal, else a line for each
// epoch.
type progress struct {
	out      io.Writer
	terminal bool
	epochs   int
	steps    int
	perEpoch int
	started  time.Time
	first    int // steps done when it started, by an earlier process
}

// barWidth is the width of the bar in characters.
const barWidth = 24

// window tells of a window on a terminal.
func (p *progress) window(w train.Window) {
	if !p.terminal {
		return
	}
	done := min(barWidth, barWidth*w.Step/p.steps)
	left := time.Duration(0)
	if ran := w.Step - p.first; ran > 0 {
		left = time.Since(p.started) * time.Duration(p.steps-w.Step) / time.Duration(ran)
	}
	fmt.Fprintf(p.out, "\r\x1b[Kepoch %d/%d %s%s loss %.4f  %s images/s  %s left",
		w.Epoch, p.epochs, strings.Repeat("█", done), strings.Repeat("░", barWidth-done),
		w.EpochLoss, thousands(int(float64(w.Images)/w.Duration.Seconds())), left.Round(time.Second))
}

// line writes a line of its own, above the bar on a terminal.
func (p *progress) line(format string, args ...any) {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// thousands writes a number with separators: 48,213.
func thousands(n int) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
