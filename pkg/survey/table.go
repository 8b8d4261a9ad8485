package survey

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How many trials a table on a terminal shows of each kind.
const (
	tableBest    = 3
	tableRunning = 8
	tableEnded   = 3
)

// Table is what a sweep is doing, in plain text: how many trials are in which state and how long it may take, the best trials,
// those that run, and those that ended last. It is meant to be drawn again and again: no line is longer than the width, at
// least 20, and there are 20 lines at most. With more parameters than there is room for, the most important are shown.
func Table(s Sweep, width int) string {
	best, running, ended := s.phases(tableBest, tableRunning, tableEnded)
	return s.table(best, running, ended, width)
}

// FullTable is Table with all trials: the best, those that run, those that ended, the last first, and those that wait.
func FullTable(s Sweep, width int) string {
	best, running, rest := s.phases(len(s.Trials), len(s.Trials), len(s.Trials))
	for _, t := range s.Trials {
		if t.State == Waiting {
			rest = append(rest, t)
		}
	}
	return s.table(best, running, rest, width)
}

// LeftOut is how many trials Table does not show.
func LeftOut(s Sweep) int {
	best, running, ended := s.phases(tableBest, tableRunning, tableEnded)
	return len(s.Trials) - len(best) - len(running) - len(ended)
}

// phases are so many at most of the best trials, of those that run, and of the others that ended, the last first.
func (s Sweep) phases(mostBest, mostRunning, mostEnded int) (best, running, ended []Trial) {
	best = s.bestTrials()
	for _, t := range s.Trials {
		switch t.State {
		case Running:
			running = append(running, t)
		case Done, Pruned, Failed:
			ended = append(ended, t)
		}
	}
	slices.SortStableFunc(ended, func(a, b Trial) int {
		return cmp.Or(b.Finished.Compare(a.Finished), cmp.Compare(b.Number, a.Number))
	})
	best = best[:min(len(best), mostBest)]
	ended = slices.DeleteFunc(ended, func(t Trial) bool { // each once
		return slices.ContainsFunc(best, func(b Trial) bool { return b.Number == t.Number })
	})
	return best, running[:min(len(running), mostRunning)], ended[:min(len(ended), mostEnded)]
}

// table is a table of these trials.
func (s Sweep) table(best, running, ended []Trial, width int) string {
	width = max(width, 20)
	head := s.Name
	if s.State != "" {
		head += ", " + s.State
	}
	head += "; " + s.counts()
	if left, known := s.timeLeft(); known && s.State == Running {
		head += "; about " + duration(left) + " left"
	}
	lines := fold(plain(head), width, 2)
	shown := slices.Concat(best, running, ended)
	if len(shown) == 0 {
		return strings.Join(append(lines, "no trial yet"), "\n") + "\n"
	}

	var columns [][]string // each with its head first
	add := func(head string, cell func(i int, t Trial) string) {
		texts := []string{plain(head)}
		for i, t := range shown {
			texts = append(texts, plain(cell(i, t)))
		}
		columns = append(columns, texts)
	}
	add("trial", func(_ int, t Trial) string { return strconv.Itoa(t.Number) })
	add("state", func(i int, t Trial) string {
		if i < len(best) {
			return "best"
		}
		return t.State
	})
	for k, o := range s.Objectives {
		add(brief(o.name()), func(_ int, t Trial) string { return value(t.value(k)) })
	}
	if slices.ContainsFunc(shown, func(t Trial) bool { return len(t.Curve) > 0 }) {
		add("epoch", func(_ int, t Trial) string {
			if len(t.Curve) == 0 {
				return ""
			}
			return strconv.Itoa(t.Curve[len(t.Curve)-1].Step)
		})
		// What the trials that run have come to: they have no value yet.
		if len(running) > 0 {
			add("now", func(_ int, t Trial) string {
				if t.State != Running || len(t.Curve) == 0 {
					return ""
				}
				return value(t.Curve[len(t.Curve)-1].Value)
			})
		}
	}
	add("time", func(_ int, t Trial) string {
		if !(t.Seconds > 0) {
			return ""
		}
		return duration(seconds(t.Seconds))
	})
	used := -2
	for _, texts := range columns {
		used += 2 + widest(texts)
	}
	hidden := 0
	for _, d := range s.byImportance(0) {
		before := len(columns)
		add(brief(d.short), func(_ int, t Trial) string { return brief(d.text(t)) })
		if wide := 2 + widest(columns[before]); used+wide <= width {
			used += wide
		} else {
			columns, hidden = columns[:before], hidden+1
		}
	}
	lines = append(lines, align(columns, width)...)
	if more := s.count(Running) - len(running); more > 0 {
		lines = append(lines, cut(fmt.Sprintf("and %d more that run", more), width))
	}
	if hidden > 0 {
		lines = append(lines, cut(fmt.Sprintf("without %s, for want of room", counted(hidden, "parameter", "parameters")), width))
	}
	if i := slices.IndexFunc(ended, func(t Trial) bool { return t.State == Failed && t.Error != "" }); i >= 0 {
		lines = append(lines, cut(plain(fmt.Sprintf("trial %d failed: %s", ended[i].Number, ended[i].Error)), width))
	}
	return strings.Join(lines, "\n") + "\n"
}

// ImportanceTable is how much each parameter matters for each objective, in plain text; "" where that is not known.
func ImportanceTable(s Sweep, width int) string {
	width = max(width, 20)
	var lines []string
	for k, o := range s.Objectives {
		list := s.importances(k)
		if len(list) == 0 {
			continue
		}
		lines = append(lines, cut(plain("importance for "+o.Metric), width))
		names, shares := make([]string, len(list)), make([]string, len(list))
		for i, importance := range list {
			names[i], shares[i] = cut(plain(importance.Parameter), width/2), percent(importance)
		}
		room := min(width-widest(names)-widest(shares)-4, 40)
		for i, importance := range list {
			bar := ""
			if room >= 4 {
				full := strings.Repeat("█", int(math.Round(min(importance.Share, 1)*float64(room))))
				bar = "  " + pad(full, -room)
			}
			lines = append(lines, cut(strings.TrimRight(pad(names[i], -widest(names))+bar+"  "+shares[i], " "), width))
		}
	}
	if lines == nil {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// plain makes a text one line that does nothing to a terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsGraphic(r):
			return utf8.RuneError
		}
		return r
	}, text)
}

// brief is a text as short as a column is wide at most.
func brief(text string) string { return cut(text, 20) }

func cut(text string, n int) string {
	if letters := []rune(text); len(letters) > n {
		return string(letters[:n-1]) + "…"
	}
	return text
}

// fold breaks a text into lines at its spaces; the last of so many is cut.
func fold(text string, width, most int) []string {
	var lines []string
	letters := []rune(text)
	for len(letters) > width && len(lines) < most-1 {
		at := width
		for i := width; i > width/2; i-- {
			if letters[i] == ' ' {
				at = i
				break
			}
		}
		lines = append(lines, string(letters[:at]))
		letters = []rune(strings.TrimLeft(string(letters[at:]), " "))
	}
	return append(lines, cut(string(letters), width))
}

func widest(texts []string) int {
	most := 0
	for _, text := range texts {
		most = max(most, utf8.RuneCountInString(text))
	}
	return most
}

// pad fills a text to a width with spaces before it, or after it where the width is negative.
func pad(text string, width int) string {
	spaces := strings.Repeat(" ", max(0, max(width, -width)-utf8.RuneCountInString(text)))
	if width < 0 {
		return text + spaces
	}
	return spaces + text
}

// align writes columns as lines, texts to the right but for the state.
func align(columns [][]string, width int) []string {
	lines := make([]string, len(columns[0]))
	for c, texts := range columns {
		wide := widest(texts)
		for i, text := range texts {
			if c > 0 {
				lines[i] += "  "
			}
			if c == 1 {
				lines[i] += pad(text, -wide)
			} else {
				lines[i] += pad(text, wide)
			}
		}
	}
	for i := range lines {
		lines[i] = cut(strings.TrimRight(lines[i], " "), width)
	}
	return lines
}
