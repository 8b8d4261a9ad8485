package dashboard

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"latent/pkg/query"
	"latent/pkg/report"
	"latent/pkg/rundir"
)

// render writes a page.
func (s *Server) render(w http.ResponseWriter, status int, name string, data any) {
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, name, data); err != nil {
		s.options.Log.Error("render", "page", name, "cause", err)
		http.Error(w, "the page could not be made; the server's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(out.Bytes()) // a reader who is gone misses nothing
}

// head is what every page has.
type head struct{ Title string }

// problem is a page that says what is wrong.
func (s *Server) problem(w http.ResponseWriter, status int, format string, args ...any) {
	s.render(w, status, "problem.tmpl", struct {
		head
		Text string
	}{head{Title: "Not found"}, fmt.Sprintf(format, args...)})
}

// column is one of the table's.
type column struct {
	Name, Label, Address string
	Number               bool
	Sorted               bool // the view is sorted by it
}

// labels of columns; the others have their names.
var labels = map[string]string{
	"name": "run", "duration": "time", "test.psnr": "PSNR, dB", "gain": "gain, dB", "test.ssim": "SSIM", "test.mse": "MSE", "test.explained_variance": "explained variance",
	"val.loss": "best val. loss",
}

// group is the runs of a table that have one value of a column.
type group struct {
	Name string
	Rows []*Row
}

// runsPage shows the table of runs.
func (s *Server) runsPage(w http.ResponseWriter, r *http.Request) {
	v := viewOf(r.URL.Query())
	all, version := s.index.all()
	data := struct {
		head
		view
		Problem       string
		Fields        []string
		Columns       []column
		Groups        []group
		Count, All    int
		From, To      int
		Before, After string
		Version       int64
		Asked         []string
	}{head: head{"Runs"}, view: v, All: len(all), Version: version, Asked: v.Columns}
	fields := s.index.fields()
	data.Fields = fields.Names()
	rows, err := v.apply(all, fields)
	names := v.Columns
	for i := range names {
		if err == nil {
			names[i], err = fields.Resolve(names[i])
		}
	}
	by := ""
	if err == nil && v.Group != "" {
		by, err = fields.Resolve(v.Group)
	}
	if err != nil {
		data.Problem, rows = err.Error(), nil
	}
	data.Count = len(rows)
	first := min(v.Page*rowsOnPage, len(rows)/rowsOnPage*rowsOnPage)
	last := min(first+rowsOnPage, len(rows))
	data.From, data.To = first+1, last
	if first > 0 {
		data.Before = v.address("page", fmt.Sprint(first/rowsOnPage-1))
	}
	if last < len(rows) {
		data.After = v.address("page", fmt.Sprint(first/rowsOnPage+1))
	}
	rows = rows[first:last]
	if len(names) == 0 {
		names = usual(rows)
	}
	for _, name := range append([]string{"name", "state", "started", "duration"}, names...) {
		data.Columns = append(data.Columns, v.column(name, fields))
	}
	if slices.ContainsFunc(rows, func(row *Row) bool { return len(row.Labels.Tags) > 0 }) {
		data.Columns = append(data.Columns, v.column("tags", fields))
	}
	data.Groups = grouped(rows, by)
	s.render(w, http.StatusOK, "runs.tmpl", data)
}

// column is one of the view, whose head sorts by it, or the other way round where the view is sorted by it.
func (v view) column(name string, fields query.Fields) column {
	c := column{Name: name, Label: cmp.Or(labels[name], name), Number: fields[name] == query.Number}
	reverse := ""
	if sorted, err := fields.Resolve(v.Sort); err == nil && sorted == name {
		c.Sorted = true
		reverse = map[bool]string{false: "1"}[v.Reverse]
	}
	c.Address = v.address("sort", name, "reverse", reverse)
	return c
}

// usual are the columns of a table that nobody chose: what differs between its runs, and the figures that most of them have.
func usual(rows []*Row) []string {
	names := differing(rows, 4)
	for _, name := range []string{"test.psnr", "gain", "test.explained_variance", "val.loss"} {
		if slices.ContainsFunc(rows, func(row *Row) bool { return row.Value(name) != nil }) {
			names = append(names, name)
		}
	}
	return names
}

// grouped divides rows by their values of a column.
func grouped(rows []*Row, column string) []group {
	if column == "" {
		return []group{{Rows: rows}}
	}
	var groups []group
	for _, row := range rows {
		name := column + " = " + number(row.Value(column))
		i := slices.IndexFunc(groups, func(g group) bool { return g.Name == name })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{Name: name})
		}
		groups[i].Rows = append(groups[i].Rows, row)
	}
	return groups
}

// Value is the row's in a column, as the table shows it.
func (c column) Value(row *Row) string {
	switch c.Name {
	case "started":
		return ago(row.Manifest.Started)
	case "duration":
		return duration(row.Seconds())
	}
	text := number(row.Value(c.Name))
	if name, isTest := strings.CutPrefix(c.Name, "test."); isTest {
		if interval, found := row.Manifest.Result.Interval["test"][name]; found && text != "" {
			text += " ± " + number(round(float64(interval), 2))
		}
	}
	return text
}

// round keeps so many significant digits.
func round(x float64, digits int) float64 {
	if x == 0 {
		return 0
	}
	unit := math.Pow(10, float64(digits)-math.Ceil(math.Log10(math.Abs(x))))
	return math.Round(x*unit) / unit
}

// open returns the row and the folder of the run that a request names, or answers that there is none.
func (s *Server) open(w http.ResponseWriter, r *http.Request) (*Row, *rundir.Run) {
	row := s.index.row(r.PathValue("key"))
	if row == nil {
		s.problem(w, http.StatusNotFound, "There is no run %s. It may have been removed or moved.", r.PathValue("key"))
		return nil, nil
	}
	return row, folder(row.Path)
}

// runPage shows a run.
func (s *Server) runPage(w http.ResponseWriter, r *http.Request) {
	row, run := s.open(w, r)
	if row == nil {
		return
	}
	data := struct {
		head
		*Row
		Manifest *rundir.Manifest
		Text     string // of the config
		Results  []report.Row
		Samples  []string
		Pictures []string
		Problem  string
		Again    string // the command that does it again
		Go       string // the one that goes on
	}{head: head{row.Manifest.Name}, Row: row}
	m, err := run.Manifest()
	if err != nil {
		data.Problem = err.Error()
		m = rundir.NewManifest()
	}
	data.Manifest, data.Results = m, report.Figures(m.Result)
	if text, err := run.Config(); err == nil {
		data.Text = string(text)
	} else if data.Problem == "" {
		data.Problem = err.Error()
	}
	data.Samples, data.Pictures = namesOf(run.Samples()), namesOf(run.Pictures())
	program := rundir.Program(m.Command)
	data.Again = program + " run " + run.ConfigPath()
	if row.Stopped() {
		data.Go = program + " run --resume " + run.Path
	}
	s.render(w, http.StatusOK, "run.tmpl", data)
}

// namesOf are those of pictures; none where they cannot be listed.
func namesOf(pictures []rundir.Picture, err error) []string {
	var names []string
	for _, p := range pictures {
		names = append(names, p.Name)
	}
	return names
}

// comparePage shows curves of several runs over each other, and the keys in which their configs differ.
func (s *Server) comparePage(w http.ResponseWriter, r *http.Request) {
	var rows []*Row
	for _, key := range r.URL.Query()["run"] {
		if row := s.index.row(key); row != nil && len(rows) < maxCompared {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		s.problem(w, http.StatusBadRequest, "Choose runs in the table of runs, and compare them from there.")
		return
	}
	s.render(w, http.StatusOK, "compare.tmpl", struct {
		head
		Rows    []*Row
		Keys    []string
		Figures []string
	}{head{"Compare"}, rows, differing(rows, 60), commonFigures(rows)})
}

// maxCompared bounds the runs of a comparison.
const maxCompared = 100

// commonFigures are those of the test that any of the runs has.
func commonFigures(rows []*Row) []string {
	var names []string
	for _, row := range rows {
		for name := range row.Manifest.Result.Test {
			if !slices.Contains(names, "test."+name) {
				names = append(names, "test."+name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// Cell is a row's value of a column.
func (r *Row) Cell(name string) string { return column{Name: name}.Value(r) }

// maxPicture bounds a picture that is sent, in bytes.
const maxPicture = 64 << 20

// picture sends a picture of a run: only those that the run itself lists.
func (s *Server) picture(w http.ResponseWriter, r *http.Request) {
	row := s.index.row(r.PathValue("key"))
	if row == nil {
		http.NotFound(w, r)
		return
	}
	run := folder(row.Path)
	list := run.Samples
	if r.PathValue("folder") == "pictures" {
		list = run.Pictures
	}
	pictures, err := list()
	i := slices.IndexFunc(pictures, func(p rundir.Picture) bool { return p.Name == r.PathValue("name") })
	if err != nil || i < 0 {
		http.NotFound(w, r)
		return
	}
	data, err := rundir.ReadFile(pictures[i].Path, maxPicture)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", modified(pictures[i].Path), bytes.NewReader(data))
}

// modified is when a file was last written.
func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// events tells of changes of the index as server-sent events, one with each new version.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	flusher := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for {
		next := s.index.next()
		_, version := s.index.all()
		if _, err := fmt.Fprintf(w, "data: %d\n\n", version); err != nil || flusher.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-next:
		case <-time.After(20 * time.Second): // keeps the connection
		}
	}
}

// rowJSON is a run for programs.
type rowJSON struct {
	Key    string         `json:"key"`
	Path   string         `json:"path"`
	Fields map[string]any `json:"fields"` // those that it has, by name; see pkg/query
}

func (r *Row) json() rowJSON {
	values := map[string]any{}
	for name := range query.FieldsOf([]*query.Record{r.Record}) {
		if value := r.Value(name); value != nil {
			values[name] = value
		}
	}
	return rowJSON{r.Key, r.Path, values}
}

// apiRuns sends the rows of a view as JSON, a page of them at a time.
func (s *Server) apiRuns(w http.ResponseWriter, r *http.Request) {
	v := viewOf(r.URL.Query())
	all, _ := s.index.all()
	rows, err := v.apply(all, s.index.fields())
	if err != nil {
		sendJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	list := []rowJSON{}
	for _, row := range rows[min(v.Page*rowsOnPage, len(rows)):min((v.Page+1)*rowsOnPage, len(rows))] {
		list = append(list, row.json())
	}
	sendJSON(w, http.StatusOK, map[string]any{"count": len(rows), "page": v.Page, "runs": list})
}

// apiRun sends a run's row and manifest as JSON.
func (s *Server) apiRun(w http.ResponseWriter, r *http.Request) {
	row := s.index.row(r.PathValue("key"))
	if row == nil {
		sendJSON(w, http.StatusNotFound, map[string]string{"error": "there is no run " + r.PathValue("key")})
		return
	}
	m, err := folder(row.Path).Manifest()
	if err != nil {
		sendJSON(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	sendJSON(w, http.StatusOK, map[string]any{"run": row.json(), "manifest": m})
}

func sendJSON(w http.ResponseWriter, status int, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(data, '\n'))
}
