package main

import (
	"fmt"
	"slices"
	"strings"
)

// report is what a run of this program found, for people.
type report struct {
	machine, versions []string // lines of a list
	command           string
	rounds            int
	results           []result
}

// result is what came of a part.
type result struct {
	part   part
	notes  []string // paragraphs above the tables
	tables []table
	bars   []bar
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

// compare is the table of some figure of all series, each beside the first's.
func compare(all []series, figure, format string, of func(series) []float64) table {
	t := table{header: []string{"", figure + ", median", "lowest", "÷ " + all[0].name, "pair by pair"}}
	first := of(all[0])
	for i, s := range all {
		values := of(s)
		row := []string{s.name, fmt.Sprintf(format, median(values)), fmt.Sprintf(format, slices.Min(values)), "1", ""}
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

// markdown is the table as Markdown; all columns but the first are numbers.
func (t table) markdown() string {
	var text strings.Builder
	line := func(cells []string) { fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.header)
	line(append([]string{"---"}, slices.Repeat([]string{"---:"}, len(t.header)-1)...))
	for _, row := range t.rows {
		line(row)
	}
	return text.String()
}

// markdown is the whole report.
func (r *report) markdown() string {
	rounds := "1 round"
	if r.rounds > 1 {
		rounds = fmt.Sprintf("%d rounds", r.rounds)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# Latent beside PyTorch and JAX\n\nMade by `%s`; every figure here is computed, none written by hand.\n", r.command)
	fmt.Fprintf(&text, "Each part has %s through all contestants in turn, after one that warms up. Ratios are formed within a\n", rounds)
	fmt.Fprintf(&text, "round; a ratio in bold is their median, and above 1 where Latent needs less. What the contestants are and what is\n")
	fmt.Fprintf(&text, "measured: [experiments/bench](../experiments/bench).\n\n")
	for _, line := range slices.Concat(r.machine, r.versions) {
		fmt.Fprintf(&text, "- %s\n", line)
	}
	if bars := r.bars(); len(bars.rows) > 0 {
		fmt.Fprintf(&text, "\n## Bars\n\n%s", bars.markdown())
	}
	for _, result := range r.results {
		fmt.Fprintf(&text, "\n## %s\n", result.part.title)
		for _, note := range result.notes {
			fmt.Fprintf(&text, "\n%s\n", note)
		}
		for _, table := range result.tables {
			fmt.Fprintf(&text, "\n%s", table.markdown())
		}
	}
	return text.String()
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
