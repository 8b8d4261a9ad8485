package survey

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"latent/pkg/chart"
)

// integer writes a whole number.
func integer(x float64) string {
	return strings.Replace(strconv.FormatFloat(x, 'f', 0, 64), "-", "−", 1)
}

// value writes one with four digits that count, the last zeros too, so that those of a column have the same length; — where
// there is none.
func value(x float64) string {
	if !finite(x) {
		return "—"
	}
	if x == math.Trunc(x) && math.Abs(x) < 1e6 {
		return integer(x)
	}
	if size := math.Abs(x); size < 1e-4 || size >= 1e6 {
		return chart.Number(x)
	}
	decimals := max(0, 3-int(math.Floor(math.Log10(math.Abs(x)))))
	return strings.Replace(strconv.FormatFloat(x, 'f', decimals, 64), "-", "−", 1)
}

// withInterval writes a mean to the place of the second digit of its interval.
func withInterval(mean, interval float64) string {
	if !finite(interval) || interval <= 0 || !finite(mean) {
		return value(mean)
	}
	decimals := int(min(max(1-math.Floor(math.Log10(interval)), 0), 9))
	return strings.Replace(fmt.Sprintf("%.*f ± %.*f", decimals, mean, decimals, interval), "-", "−", 1)
}

// duration writes a time to about two digits.
func duration(d time.Duration) string {
	seconds := d.Seconds()
	switch {
	case seconds < 0:
		return "0 s"
	case seconds < 9.95:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 99.5:
		return fmt.Sprintf("%.0f s", seconds)
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

func seconds(s float64) time.Duration {
	if !finite(s) {
		return 0
	}
	return time.Duration(min(max(s, 0), 1e9) * float64(time.Second))
}

// counted writes a number of things.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// counts says how many trials there are in each state.
func (s Sweep) counts() string {
	text := counted(len(s.Trials), "trial", "trials")
	if s.Budget.Trials > 0 {
		text = fmt.Sprintf("%d of %s", len(s.Trials), counted(s.Budget.Trials, "trial", "trials"))
	}
	var parts []string
	for _, state := range []string{Done, Pruned, Failed, Running, Waiting} {
		if n := s.count(state); n > 0 {
			parts = append(parts, strconv.Itoa(n)+" "+state)
		}
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

// timeLeft estimates how long a sweep goes on: the mean time of trials so far for each that is to come, as many at once as run
// now, or what is left of the time that it may take. There is no estimate before a trial has ended.
func (s Sweep) timeLeft() (time.Duration, bool) {
	left, known := time.Duration(math.MaxInt64), false
	if s.Budget.Time > 0 {
		left, known = max(0, s.Budget.Time-s.Updated.Sub(s.Started)), true
	}
	ended, total := 0, 0.0
	for _, t := range s.Trials {
		if (t.State == Done || t.State == Pruned || t.State == Failed) && t.Seconds > 0 && finite(t.Seconds) {
			ended++
			total += t.Seconds
		}
	}
	if s.Budget.Trials > 0 && ended > 0 {
		mean := total / float64(ended)
		work := mean * float64(max(0, s.Budget.Trials-len(s.Trials))+s.count(Waiting))
		running := 0
		for _, t := range s.Trials {
			if t.State == Running {
				running++
				work += max(0, mean-t.Seconds)
			}
		}
		left, known = min(left, seconds(work/float64(max(1, running)))), true
	}
	return left, known
}
