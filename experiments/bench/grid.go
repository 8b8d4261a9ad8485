package main

import (
	"fmt"
	"slices"
	"strings"
)

// grid is a table of races beside each other: a row for each entry's name, and for each race that was measured the figure's
// median and the time beside that of the race's first entry.
func grid(races []race) table {
	t := table{header: []string{""}}
	for _, r := range races {
		if r.missing != nil {
			continue
		}
		columns := len(t.header)
		t.header = append(t.header, r.heading(), "÷")
		for _, s := range r.series {
			at := slices.IndexFunc(t.rows, func(row []string) bool { return row[0] == s.name })
			if at < 0 {
				at = len(t.rows)
				t.rows = append(t.rows, []string{s.name})
			}
			t.rows[at] = append(padded(t.rows[at], columns), r.cells(s)...)
		}
	}
	for i := range t.rows {
		t.rows[i] = padded(t.rows[i], len(t.header))
	}
	return t
}

// padded is a row with empty cells behind it, so many in all.
func padded(row []string, cells int) []string {
	return append(row, make([]string, cells-len(row))...)
}

// heading is that of the race's column in a grid.
func (r race) heading() string {
	if r.name == "" {
		return r.figure.unit
	}
	return r.name + ", " + r.figure.unit
}

// cells are those of a series in a grid.
func (r race) cells(s series) []string {
	if !s.measured() {
		return []string{"–", ""}
	}
	cell, ratio := fmt.Sprintf(r.figure.format, median(s.column(r.figure.of))), ""
	if s.astray != nil {
		cell += " (another loss)"
	}
	switch first := r.series[0]; {
	case s.name == first.name:
		ratio = "1"
	case first.measured():
		ratio = fmt.Sprintf("**%.2f**", median(pairs(s.seconds(), first.seconds())))
	}
	return []string{cell, ratio}
}

// remarks tell of races what a grid does not show: how far the losses are apart, and why there is no figure.
func remarks(races []race) []string {
	var apart, astray, failures []string
	where := map[string][]string{} // the races of a failure
	for _, r := range races {
		if r.missing != nil {
			failures = append(failures, fmt.Sprintf("%s: %s", r.name, brief(r.missing)))
		}
		furthest := 0.0
		for _, s := range r.series {
			switch furthest = max(furthest, s.apart); {
			case s.astray != nil:
				astray = append(astray, fmt.Sprintf("%s: %s", r.name, s.astray))
			case s.failure != nil:
				failure := fmt.Sprintf("%s: %s", s.name, brief(s.failure))
				if where[failure] == nil {
					failures = append(failures, failure)
				}
				where[failure] = append(where[failure], r.name)
			}
		}
		if furthest > 0 {
			apart = append(apart, fmt.Sprintf("%.3g %% (%s)", 100*furthest, r.name))
		}
	}
	lines := astray
	if apart != nil {
		lines = append(lines, "Losses differ from the first row's by at most "+strings.Join(apart, ", ")+".")
	}
	for _, failure := range failures {
		if names := strings.Join(where[failure], ", "); names != "" {
			failure = names + ": " + failure
		}
		lines = append(lines, failure)
	}
	return lines
}
