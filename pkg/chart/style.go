package chart

import (
	_ "embed"
	"fmt"
	"html/template"
	"strings"
)

// colours of the style sheets, for light pages and for dark ones.
var colours = []struct{ name, light, dark string }{
	{"paper", "#ffffff", "#14171c"},
	{"ink", "#1d2129", "#e6e9ee"},
	{"soft", "#5b6472", "#9aa4b2"},
	{"rule", "#e1e5ea", "#2b313a"},
	{"panel", "#f6f7f9", "#1b1f26"},
	{"a", "#1f6fb4", "#6db3f2"},
	{"b", "#bd5418", "#f0a066"},
	{"c", "#6b7480", "#97a1ae"},
	{"good", "#1b7a43", "#6fcf97"},
	{"bad", "#b3261e", "#ff8a80"},
	// Shades of ranks: nine of the ten colours of viridis at even steps (matplotlib 2.0, Smith & van der Walt 2015), which
	// are told apart in grey and with any kind of colour blindness. The first stands out most on either paper; the one that
	// would hardly be seen is left out.
	{"h0", "#440154", "#fde725"},
	{"h1", "#482878", "#b5de2b"},
	{"h2", "#3e4989", "#6ece58"},
	{"h3", "#31688e", "#35b779"},
	{"h4", "#26828e", "#1f9e89"},
	{"h5", "#1f9e89", "#26828e"},
	{"h6", "#35b779", "#31688e"},
	{"h7", "#6ece58", "#3e4989"},
	{"h8", "#b5de2b", "#482878"},
	// Colours of curves that are told apart and have no order, each with a contrast of 3 to 1 on its paper at least.
	{"s0", "#1f6fb4", "#6db3f2"},
	{"s1", "#bd5418", "#f0a066"},
	{"s2", "#1b7a43", "#6fcf97"},
	{"s3", "#8e44a3", "#cf9be0"},
	{"s4", "#8a6d00", "#d9be4a"},
	{"s5", "#c2407f", "#f28fbf"},
	{"s6", "#007c89", "#4fc6d3"},
	{"s7", "#5b6472", "#b8c0cc"},
}

const (
	hues      = 8 // s0 to s7
	lineKinds = 3 // whole, dashed, dotted
)

// Distinct is the class of the i-th of several curves of equal rank: one of eight colours, with dashes from the ninth on, so that the first
// 24 differ.
func Distinct(i int) string {
	class := fmt.Sprintf("s%d", i%hues)
	if dash := i / hues % lineKinds; dash > 0 {
		class += fmt.Sprintf(" dash%d", dash)
	}
	return class
}

// Shades is the number of colours from best to worst.
const Shades = 9

// Shade is the class of a rank from 0, the best, to 1.
func Shade(rank float64) string {
	return fmt.Sprintf("h%d", min(max(int(rank*Shades), 0), Shades-1))
}

//go:embed page.css
var pageStyle string

//go:embed chart.css
var chartStyle string

//go:embed sort.js
var sortScript string

// Script sorts the tables of class sortable of a page by a click. The page works without it, and it asks for nothing.
var Script = template.JS(sortScript)

// Style is the style sheet of pages: their colours, texts and tables, and the charts on them.
var Style = template.CSS(colourStyle() + pageStyle + chartStyle + shadeStyle())

func colourStyle() string {
	var light, dark strings.Builder
	for _, c := range colours {
		fmt.Fprintf(&light, " --%s: %s;", c.name, c.light)
		fmt.Fprintf(&dark, " --%s: %s;", c.name, c.dark)
	}
	return fmt.Sprintf(":root {%s }\n@media (prefers-color-scheme: dark) { :root {%s } }\n", light.String(), dark.String())
}

func shadeStyle() string {
	var out strings.Builder
	for i := range Shades {
		fmt.Fprintf(&out, ".h%d { color: var(--h%[1]d); }\n", i)
	}
	for i := range hues {
		fmt.Fprintf(&out, ".s%d { color: var(--s%[1]d); }\n", i)
	}
	return out.String()
}

// fileStyle is the style sheet of a chart's own file. It has no variables, which programs other than browsers do not know.
func fileStyle() string {
	var values []string
	for _, c := range colours {
		values = append(values, "var(--"+c.name+")", c.light)
	}
	return strings.NewReplacer(values...).Replace(
		"text { font-family: system-ui, -apple-system, Roboto, sans-serif; }\n" + chartStyle + shadeStyle())
}
