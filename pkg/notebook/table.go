package notebook

import (
	"html"
	"strings"
	"unicode/utf8"
)

// Table is rows of texts under a head.
type Table struct {
	Head []string
	Rows [][]string
}

// String is the table in plain text, its columns aligned.
func (t Table) String() string {
	var widths []int
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return out.String()
}

// HTML is the table as an element of a page.
func (t Table) HTML() string {
	var out strings.Builder
	row := func(tag string, cells []string) {
		out.WriteString("<tr>")
		for _, cell := range cells {
			out.WriteString("<" + tag + ">" + html.EscapeString(cell) + "</" + tag + ">")
		}
		out.WriteString("</tr>\n")
	}
	out.WriteString("<table>\n<thead>")
	row("th", t.Head)
	out.WriteString("</thead>\n<tbody>\n")
	for _, cells := range t.Rows {
		row("td", cells)
	}
	out.WriteString("</tbody>\n</table>\n")
	return out.String()
}
