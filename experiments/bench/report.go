package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// report is what a run of this program found.
type report struct {
	title             string
	preface           string   // how it was measured
	machine, versions []string // lines of a list
	command           string
	rounds            int
	results           []result
}

// result is what came of a part.
type result struct {
	part    part
	notes   []string // paragraphs above the tables
	races   []race
	tables  []table
	remarks []string // lines below them
	bars    []bar
	missing error // why nothing was measured
}

// race is entries that were measured beside each other.
type race struct {
	name    string // "" where the part has one only
	figure  figure
	series  []series
	missing error // why there are none
}

// figure is what a table shows of samples.
type figure struct {
	unit   string
	format string
	of     func(sample) float64
}

func seconds(format string) figure {
	return figure{"s", format, func(s sample) float64 { return s.Seconds }}
}

func milliseconds(unit, format string) figure {
	return figure{unit, format, func(s sample) float64 { return 1e3 * s.Seconds }}
}

// rate is how much is done in the unit's time by what does n in a sample of one second.
func rate(unit string, n float64) figure {
	return figure{unit, "%.0f", func(s sample) float64 { return n / s.Seconds }}
}

// table is rows of cells below a header.
type table struct {
	header []string
	rows   [][]string
}

// bar is a ratio that Latent holds itself to.
type bar struct {
	text   string
	ratios []float64 // pair by pair
	limit  float64
	below  bool // the ratio must be at most the limit, not at least
}

// met says whether the median of the pairs is on the right side of the limit.
func (b bar) met() bool {
	if b.below {
		return median(b.ratios) <= b.limit
	}
	return median(b.ratios) >= b.limit
}

// compare is the table of a figure of all series, each beside the first's.
func compare(all []series, f figure) table {
	t := table{header: []string{"", f.unit + ", median", "lowest", "÷ " + all[0].name, "pair by pair"}}
	first := all[0].column(f.of)
	for i, s := range all {
		values := s.column(f.of)
		row := []string{s.name, fmt.Sprintf(f.format, median(values)), fmt.Sprintf(f.format, slices.Min(values)), "1", ""}
		if i > 0 {
			ratios := pairs(values, first)
			row[3], row[4] = fmt.Sprintf("**%.2f**", median(ratios)), list("%.2f", ratios)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// withLosses adds the column of mean losses, where there are any.
func (t table) withLosses(all []series) table {
	t.header = append(t.header, "loss, mean")
	for i, s := range all {
		cell := ""
		if loss := mean(s.losses()); loss > 0 {
			cell = fmt.Sprintf("%.4f", loss)
		}
		t.rows[i] = append(t.rows[i], cell)
	}
	return t
}

func list(format string, values []float64) string {
	var words []string
	for _, value := range values {
		words = append(words, fmt.Sprintf(format, value))
	}
	return strings.Join(words, " ")
}

// markdown is the table as Markdown, aligned for those who read it as it is; all columns but the first are numbers.
func (t table) markdown() string {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	line := func(cells []string) {
		for i, cell := range cells {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				cell += space
			} else {
				cell = space + cell
			}
			fmt.Fprintf(&text, "| %s ", cell)
		}
		fmt.Fprintln(&text, "|")
	}
	rule := make([]string, len(t.header))
	for i := range rule {
		widths[i] = max(widths[i], 4)
		rule[i] = strings.Repeat("-", widths[i]-1) + ":"
	}
	rule[0] = strings.Repeat("-", widths[0])
	line(t.header)
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
	return text.String()
}

// markdown is the whole report.
func (r *report) markdown() string {
	var text strings.Builder
	fmt.Fprintf(&text, "# %s\n\nMade by `%s`; all values are measured by it.\n%s\n", r.title, r.command, r.preface)
	for _, line := range slices.Concat(r.machine, r.versions) {
		fmt.Fprintf(&text, "- %s\n", line)
	}
	if bars := r.bars(); len(bars.rows) > 0 {
		fmt.Fprintf(&text, "\n## Bars\n\n%s", bars.markdown())
	}
	var missing []string
	for _, result := range r.results {
		if result.missing != nil {
			missing = append(missing, fmt.Sprintf("- %s: %s", result.part.name, brief(result.missing)))
			continue
		}
		fmt.Fprintf(&text, "\n## %s\n", result.part.title)
		for _, note := range result.notes {
			fmt.Fprintf(&text, "\n%s\n", note)
		}
		for _, table := range result.tables {
			fmt.Fprintf(&text, "\n%s", table.markdown())
		}
		for i, remark := range result.remarks {
			if i == 0 {
				fmt.Fprintln(&text)
			}
			fmt.Fprintf(&text, "- %s\n", remark)
		}
	}
	if missing != nil {
		fmt.Fprintf(&text, "\n## Not measured\n\n%s\n", strings.Join(missing, "\n"))
	}
	return text.String()
}

// failures are what must not be, whatever the figures are: a race without a figure of its first entry, which is Latent's, or
// with another loss, and a part that failed. That there was no time is none.
func (r *report) failures() error {
	var errs []error
	for _, result := range r.results {
		note := func(err error) {
			if err != nil && !errors.Is(err, errTime) {
				errs = append(errs, fmt.Errorf("%s: %w", result.part.name, err))
			}
		}
		note(result.missing)
		for _, race := range result.races {
			for i, s := range race.series {
				note(s.astray)
				if i == 0 {
					note(s.failure)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// bars is the table of all bars.
func (r *report) bars() table {
	t := table{header: []string{"", "bar", "measured", "pair by pair", ""}}
	for _, result := range r.results {
		for _, b := range result.bars {
			side, verdict := "≥", "**MISSED**"
			if b.below {
				side = "≤"
			}
			if b.met() {
				verdict = "met"
			}
			t.rows = append(t.rows, []string{b.text, fmt.Sprintf("%s %.4g", side, b.limit), fmt.Sprintf("%.2f", median(b.ratios)), list("%.2f", b.ratios), verdict})
		}
	}
	return t
}

// brief is an error in a line: its first, and its last, where a program that failed says why.
func brief(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	if len(lines) == 1 {
		return lines[0]
	}
	return lines[0] + ": " + strings.TrimSpace(lines[len(lines)-1])
}
