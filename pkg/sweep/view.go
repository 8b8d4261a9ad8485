package sweep

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"latent/pkg/message"
	"latent/pkg/study"
	"latent/pkg/survey"
)

// view shows a sweep to a person: on a terminal a table that changes, else a line for each result.
type view struct {
	sweep *Sweep
	out   io.Writer
	width int
	seen  int64 // version of the last change that was told of
	lines int   // of the table that stands on the terminal
}

// begin passes over what was told by an earlier process.
func (v *view) begin(ctx context.Context) error {
	all, err := v.sweep.Study.Trials(ctx)
	for _, t := range all {
		v.seen = max(v.seen, t.Version)
	}
	return err
}

// update shows what has changed.
func (v *view) update(ctx context.Context) error {
	changed, err := v.sweep.Study.Changes(ctx, v.seen)
	if err != nil || len(changed) == 0 && v.width == 0 {
		return err
	}
	if n := len(changed); n > 0 {
		v.seen = changed[n-1].Version
	}
	if v.width > 0 {
		return v.table(ctx)
	}
	all, err := v.sweep.Study.Trials(ctx)
	if err != nil {
		return err
	}
	best := -1
	if len(v.sweep.Config.Objective) == 1 {
		best = v.sweep.best(all)
	}
	slices.SortFunc(changed, func(a, b *study.Trial) int { return int(a.Told - b.Told) })
	for _, t := range changed {
		if isOver(t.State) {
			fmt.Fprintf(v.out, "%s%s\n", v.line(t), onlyIf(t.Number == best, "  best"))
		}
	}
	return nil
}

// line tells of a trial that is over.
func (v *view) line(t *study.Trial) string {
	line := fmt.Sprintf("trial %-4d %-7s", t.Number, t.State)
	for i, value := range t.Values {
		line += fmt.Sprintf("  %s %s", v.sweep.Config.Objective[i].Metric, short(value))
	}
	if t.State == study.Failed {
		line += "  " + t.Error
	}
	if point, err := v.sweep.decodePoint(t.Params); err == nil {
		for i, d := range v.sweep.Config.Dimensions() {
			if !isAbsent(point[i]) {
				text := d.Text(point[i])
				if d.Options == nil {
					text = short(point[i])
				}
				line += fmt.Sprintf("  %s=%s", d.Key, text)
			}
		}
	}
	return line + fmt.Sprintf("  %.1f s", seconds(t))
}

// short writes a number with five digits.
func short(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e6 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.5g", x)
}

// table draws the table in the place of the one before.
func (v *view) table(ctx context.Context) error {
	s, err := v.sweep.survey(ctx, time.Now())
	if err != nil {
		return err
	}
	text := strings.TrimRight(survey.Table(s, v.width-1), "\n") + "\n"
	if v.lines > 0 {
		message.Control(v.out, fmt.Sprintf("\x1b[%dA\x1b[J", v.lines))
	}
	v.lines = strings.Count(text, "\n")
	_, err = io.WriteString(v.out, text)
	return err
}

// end tells where everything is.
func (v *view) end(ctx context.Context, best string) {
	all, err := v.sweep.Study.Trials(ctx)
	if err != nil {
		return // what went wrong is told by what reads it first
	}
	fmt.Fprintln(v.out)
	if len(v.sweep.Config.Objective) > 1 {
		fmt.Fprintf(v.out, "front    trials %s\n", strings.Trim(fmt.Sprint(v.sweep.front(all)), "[]"))
	} else if n := v.sweep.best(all); n >= 0 {
		fmt.Fprintf(v.out, "best     %s\n", strings.Join(strings.Fields(v.line(all[n])), " "))
	}
	if best != "" {
		fmt.Fprintf(v.out, "config   %s\n", best)
	}
	fmt.Fprintf(v.out, "page     %s\n", v.sweep.PagePath())
}

func onlyIf(condition bool, text string) string {
	if condition {
		return text
	}
	return ""
}
