package experiment

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"latent/pkg/report"
	"latent/pkg/rundir"
	"latent/pkg/train"
)

// progress tells a person how training goes: one line that is written over and over on a terminal, else a line for each
// epoch.
type progress struct {
	out      io.Writer
	terminal bool
	epochs   int
	steps    int
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

// epoch tells of a finished epoch.
func (p *progress) epoch(e rundir.Epoch, isBest bool) {
	line := fmt.Sprintf("epoch %d/%d  loss %.4f", e.Epoch, p.epochs, float64(e.TrainLoss))
	if e.ValLoss != nil {
		line += fmt.Sprintf("  validation %.4f", float64(*e.ValLoss))
	}
	if e.ValPSNR != nil {
		line += fmt.Sprintf("  PSNR %.2f dB", float64(*e.ValPSNR))
	}
	line += fmt.Sprintf("  %.1f s", float64(e.Seconds))
	if isBest {
		line += "  best"
	}
	p.line("%s", line)
}

// result prints the test figures beside the corrupted input's.
func (p *progress) result(r rundir.Result, run *rundir.Run) {
	p.line("")
	p.line("%-11s %13s%-10s%16s", "test images", "reconstructed", "", onlyIf(r.Corrupted != nil, "corrupted input"))
	for _, row := range report.Figures(r) {
		line := fmt.Sprintf("%-11s %13s ± %-7s", row.Name, row.Value, row.Interval)
		if row.Corrupted != "" {
			line += fmt.Sprintf("%16s", row.Corrupted)
		}
		p.line("%s %s", line, row.Unit)
	}
	p.line("")
	p.line("weights  %s, of epoch %d", r.Weights, r.Epoch)
	p.line("picture  %s", filepath.Join(run.Path, "samples", "final.png"))
	p.line("report   %s", run.ReportPath())
}

func onlyIf(condition bool, text string) string {
	if condition {
		return text
	}
	return ""
}
