package compare

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"latent/pkg/chart"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/report"
	"latent/pkg/rundir"
)

//go:embed compare.html.tmpl
var pageText string

var page = template.Must(template.New("compare").Parse(pageText))

// Render writes the page.
func (c *Comparison) Render(w io.Writer) error {
	data := content{Comparison: c, Style: chart.Style, Base: c.Runs[0], Curves: c.Curves(), Config: c.configTable(), Results: c.resultTable(), LossNote: c.lossNote()}
	var err error
	if data.Seeds, err = c.seedTable(); err != nil {
		return fmt.Errorf("render the comparison: %w", err)
	}
	if data.Grid, err = c.grid(); err != nil {
		return fmt.Errorf("render the comparison: %w", err)
	}
	data.Paired = c.pairedTable()
	for i, g := range c.Groups {
		data.Legend = append(data.Legend, chart.Entry{Class: chart.Distinct(i), Name: g.Name()})
		data.Bands = data.Bands || len(g.Runs) > 1
	}
	if err := page.Execute(w, data); err != nil {
		return fmt.Errorf("render the comparison: %w", err)
	}
	return nil
}

// content is what the page shows.
type content struct {
	*Comparison
	Style    template.CSS
	Base     *Run
	Legend   []chart.Entry
	Bands    bool // some group has several runs
	Curves   []chart.Chart
	LossNote string
	Config   *table
	Results  *table
	Seeds    *table
	Paired   *table
	Grid     *grid
}

// Images is how many test samples the base was measured on, with their noun.
func (c content) Images() string {
	return fmt.Sprintf("%d %s", c.Base.Measured.Images, c.Base.Manifest.Data.Noun())
}

// Apart are the letters of the runs that were measured on other samples than the base, or damaged otherwise; "" of none.
func (c content) Apart() string {
	var apart []*Run
	for _, r := range c.Runs {
		if r.Unpaired != "" && r.Measured != nil && c.Base.Measured != nil {
			apart = append(apart, r)
		}
	}
	return lettersOf(apart)
}

// Title names the run for people: its experiment's name and its TIME-ID.
func (r *Run) Title() string { return r.Manifest.Name + "/" + r.ID() }

// mostNamed is how many runs of a group a legend names.
const mostNamed = 5

// Name is the group in a legend: its letters, and the run's title or the name and the number of seeds.
func (g Group) Name() string {
	if len(g.Runs) == 1 {
		return g.Runs[0].Letter + " " + g.Runs[0].Title()
	}
	letters := lettersOf(g.Runs)
	if n := len(g.Runs); n > mostNamed {
		letters = lettersOf(g.Runs[:mostNamed-1]) + " … " + g.Runs[n-1].Letter
	}
	return fmt.Sprintf("%s %s, %d seeds", letters, g.Runs[0].Manifest.Name, len(g.Runs))
}

// lettersOf lists the runs' letters.
func lettersOf(all []*Run) string {
	letters := make([]string, len(all))
	for i, r := range all {
		letters[i] = r.Letter
	}
	return strings.Join(letters, ", ")
}

// lossNote says whose losses cannot be read on one axis; "" where all can, as far as it is known.
func (c *Comparison) lossNote() string {
	functions := map[string][]*Run{}
	for _, r := range c.Runs {
		if r.Measured != nil {
			functions[r.Measured.Loss] = append(functions[r.Measured.Loss], r)
		}
	}
	if len(functions) < 2 {
		return ""
	}
	var parts []string // those that have company
	for _, all := range functions {
		if len(all) > 1 {
			parts = append(parts, lettersOf(all))
		}
	}
	if len(parts) == 0 {
		return "No two losses are the same function: their heights cannot be compared."
	}
	slices.Sort(parts)
	return "Not all losses are the same function: their heights can be compared within " + strings.Join(parts, "; within ") + " alone."
}

// table is cells of text, with a head above and a name before each row.
type table struct {
	Head []string
	Rows []tableRow
}

type tableRow struct {
	Name  string
	Cells []cell
}

// cell is a value with its interval or what else is said of it, in small letters.
type cell struct {
	Text, Small string
	// Class is better or worse, where the value is, or "".
	Class string
}

// columnsAtMost is from how many runs on each has a row, and not a column.
const columnsAtMost = 8

// turned is a table with a column for each run, or that table on its side where there are too many.
func (c *Comparison) turned(t *table) *table {
	if len(c.Runs) <= columnsAtMost {
		return t
	}
	side := &table{}
	for _, row := range t.Rows {
		side.Head = append(side.Head, row.Name)
	}
	for i, name := range t.Head {
		row := tableRow{Name: name}
		for _, of := range t.Rows {
			row.Cells = append(row.Cells, of.Cells[i])
		}
		side.Rows = append(side.Rows, row)
	}
	return side
}

// letters are the runs', for a table's head.
func (c *Comparison) letters() []string {
	var all []string
	for _, r := range c.Runs {
		all = append(all, r.Letter)
	}
	return all
}

// configTable has the keys that differ; nil where none does.
func (c *Comparison) configTable() *table {
	if len(c.Config) == 0 {
		return nil
	}
	t := &table{Head: c.letters()}
	for _, d := range c.Config {
		row := tableRow{Name: d.Key}
		for _, value := range d.Values {
			row.Cells = append(row.Cells, cell{Text: chart.Shorten(ValueText(value), mostLetters)})
		}
		t.Rows = append(t.Rows, row)
	}
	return c.turned(t)
}

// mostLetters is how long the value of a key may be on the page, such as a list of files.
const mostLetters = 60

// ValueText is a value of a config in a table; a dash where there is none.
func ValueText(value any) string {
	switch value {
	case nil:
		return "–"
	case "":
		return `""`
	}
	return fmt.Sprint(value)
}

// resultTable has the figures of the test samples as the manifests have them, and what they cost.
func (c *Comparison) resultTable() *table {
	t := &table{Head: c.letters()}
	byName := map[string]int{}
	put := func(name string, run int, value cell) {
		at, found := byName[name]
		if !found {
			at = len(t.Rows)
			byName[name] = at
			t.Rows = append(t.Rows, tableRow{Name: name, Cells: slices.Repeat([]cell{{Text: "–"}}, len(c.Runs))})
		}
		t.Rows[at].Cells[run] = value
	}
	for i, r := range c.Runs {
		for name, value := range figureCells(r.Manifest.Result) {
			put(name, i, value)
		}
		if a := r.Manifest.Result.Anomaly; a != nil {
			for _, figure := range report.AnomalyFigures {
				if e, found := a.Figures[figure.Name]; found {
					put(figure.Title, i, cell{Text: fmt.Sprintf("%.4f", float64(e.Value)), Small: fmt.Sprintf("%.3f to %.3f", float64(e.Low), float64(e.High))})
				}
			}
		}
	}
	for i, r := range c.Runs {
		put("parameters", i, cell{Text: fmt.Sprint(r.Manifest.Model.Parameters)})
		put("epochs", i, cell{Text: fmt.Sprintf("%d of %d", r.Manifest.Progress.Epoch, r.Manifest.Progress.Epochs)})
		put("training, seconds", i, cell{Text: fmt.Sprintf("%.1f", r.Manifest.Timings["train"])})
	}
	return c.turned(t)
}

// figureCells are the figures of a result by their names in tables, in that order.
func figureCells(r rundir.Result) func(yield func(string, cell) bool) {
	return func(yield func(string, cell) bool) {
		for _, row := range report.Figures(r) {
			value := cell{Text: row.Value}
			if row.Interval != "" {
				value.Small = "± " + row.Interval
			}
			if !yield(strings.TrimSpace(row.Name+" "+row.Unit), value) {
				return
			}
		}
	}
}

// seedTable has the means over seeds of the groups with several runs; nil where there are none.
func (c *Comparison) seedTable() (*table, error) {
	t := &table{}
	for _, g := range c.Groups {
		if len(g.Runs) < 2 {
			continue
		}
		var folders []*rundir.Run
		for _, r := range g.Runs {
			folders = append(folders, &rundir.Run{Path: r.Path})
		}
		summary, err := experiment.Summarise(folders)
		if err != nil {
			return nil, err
		}
		row := tableRow{Name: fmt.Sprintf("%s, %d done", g.Name(), len(summary.Seeds)), Cells: slices.Repeat([]cell{{Text: "–"}}, len(t.Head))}
		for name, value := range figureCells(summary.Result) {
			at := slices.Index(t.Head, name)
			if at < 0 {
				at = len(t.Head)
				t.Head = append(t.Head, name)
				for i := range t.Rows {
					t.Rows[i].Cells = append(t.Rows[i].Cells, cell{Text: "–"})
				}
				row.Cells = append(row.Cells, cell{})
			}
			row.Cells[at] = value
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) == 0 {
		return nil, nil
	}
	return t, nil
}

// pairedTable has the differences from the base of all runs that can be paired; nil where none can.
func (c *Comparison) pairedTable() *table {
	t := &table{}
	for _, figure := range Figures {
		if slices.ContainsFunc(c.Runs, func(r *Run) bool { _, found := c.Differences(r)[figure.Name]; return found }) {
			t.Head = append(t.Head, strings.TrimSpace(figure.Label()+" "+figure.Unit))
		}
	}
	if len(t.Head) == 0 {
		return nil
	}
	for _, r := range c.Runs[1:] {
		all := c.Differences(r)
		if all == nil {
			continue
		}
		row := tableRow{Name: r.Letter + " − " + c.Runs[0].Letter}
		for _, figure := range Figures {
			if !slices.Contains(t.Head, strings.TrimSpace(figure.Label()+" "+figure.Unit)) {
				continue
			}
			d, found := all[figure.Name]
			if !found {
				row.Cells = append(row.Cells, cell{Text: "–"})
				continue
			}
			value := cell{Text: d.Text(), Small: "p " + d.PText()}
			if math.Abs(d.Mean) > d.Interval {
				value.Class = "worse"
				if d.Mean > 0 == figure.Higher {
					value.Class = "better"
				}
			}
			row.Cells = append(row.Cells, value)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// Text is the difference with its sign and its interval: "+0.123 ± 0.010".
func (p Paired) Text() string {
	mean, interval := evaluate.Figure{Mean: p.Mean, Interval: p.Interval}.Text()
	if p.Mean > 0 {
		mean = "+" + mean
	}
	switch {
	case interval != "":
		return mean + " ± " + interval
	case p.Interval == 0:
		return mean + " ± 0"
	}
	return mean
}

// PText is the probability with its sign: "= 0.021", "< 0.001".
func (p Paired) PText() string {
	switch {
	case math.IsNaN(p.P):
		return "= —"
	case p.P < 0.001:
		return "< 0.001"
	}
	return fmt.Sprintf("= %.3f", p.P)
}

// grid is the first test samples: what the models were given, what each made of it, and what it should be.
type grid struct {
	Head  []string
	Rows  [][]tile
	Width int // of a picture on the page
}

// tile is a picture with its PSNR; "" of the target.
type tile struct {
	Data template.URL
	PSNR string
}

// About how wide a picture is on the page: small ones are enlarged by a whole number.
const (
	tileWidth  = 84
	widestTile = 200
)

// grid draws the samples of the base and of the runs that can be paired with it; nil of rows of a table, and where the base was not
// measured.
func (c *Comparison) grid() (*grid, error) {
	base := c.Runs[0]
	if base.Measured == nil || base.Measured.First.Clean == nil {
		return nil, nil
	}
	first := base.Measured.First
	g := &grid{Width: min(first.Clean.Width*max(1, (tileWidth+first.Clean.Width/2)/first.Clean.Width), widestTile)}
	columns := []*dataset.Samples{}
	add := func(name string, images *dataset.Samples) {
		g.Head, columns = append(g.Head, name), append(columns, images)
	}
	if base.Measured.Damage != "" || first.Paired {
		add("input", first.Damaged)
	}
	n := first.Clean.Len()
	for _, r := range c.Runs {
		if r.Measured != nil && r.Unpaired == "" {
			add(r.Letter, r.Measured.First.Reconstructed)
			n = min(n, r.Measured.First.Clean.Len())
		}
	}
	add("target", first.Clean)
	for i := range n {
		var row []tile
		for _, images := range columns {
			png, err := evaluate.Tile(images, i)
			if err != nil {
				return nil, err
			}
			one := tile{Data: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(png))}
			if images != first.Clean {
				one.PSNR = fmt.Sprintf("%.1f dB", psnr(first.Clean.At(i).Uint8, images.At(i).Uint8))
			}
			row = append(row, one)
		}
		g.Rows = append(g.Rows, row)
	}
	return g, nil
}

// psnr is that of pictures of bytes, of which 255 is the peak; 100 of equal ones, as in pkg/evaluate.
func psnr(clean, y []uint8) float64 {
	squares := 0.0
	for i := range clean {
		d := (float64(y[i]) - float64(clean[i])) / 255
		squares += d * d
	}
	return min(-10*math.Log10(squares/float64(len(clean))), 100)
}
