package dashboard

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"latent/pkg/query"
	"latent/pkg/runs"
)

// view is what the table of runs shows: all of it is in the page's address.
type view struct {
	Where   string
	Sort    string // a field; see query.Order for which comes first
	Reverse bool
	Columns []string
	Group   string // a column; "" for no groups
	Page    int    // from 0
}

// rowsOnPage is how many runs a page of the table has.
const rowsOnPage = 200

// viewOf reads a view from an address.
func viewOf(values url.Values) view {
	v := view{Where: values.Get("where"), Sort: values.Get("sort"), Group: values.Get("group"), Reverse: values.Get("reverse") != ""}
	if v.Sort == "" {
		v.Sort = "started"
	}
	for column := range strings.SplitSeq(values.Get("columns"), ",") {
		if column = strings.TrimSpace(column); column != "" && len(v.Columns) < maxColumns {
			v.Columns = append(v.Columns, column)
		}
	}
	v.Page, _ = strconv.Atoi(values.Get("page")) // what is no number is the first page
	v.Page = max(v.Page, 0)
	return v
}

// maxColumns bounds the columns that an address asks for.
const maxColumns = 40

// address is that of the view with some values changed: pairs of names and values, "" for none.
func (v view) address(changes ...string) string {
	values := url.Values{}
	set := func(name, value string) {
		values.Del(name)
		if value != "" {
			values.Set(name, value)
		}
	}
	set("where", v.Where)
	if v.Sort != "started" || v.Reverse {
		set("sort", v.Sort)
	}
	if v.Reverse {
		set("reverse", "1")
	}
	set("columns", strings.Join(v.Columns, ","))
	set("group", v.Group)
	for i := 0; i+1 < len(changes); i += 2 {
		set(changes[i], changes[i+1])
	}
	if len(values) == 0 {
		return "/"
	}
	return "/?" + values.Encode()
}

// records are those of rows.
func records(rows []*Row) []*query.Record {
	list := make([]*query.Record, len(rows))
	for i, row := range rows {
		list[i] = row.Record
	}
	return list
}

// apply returns the rows that a view shows, in its order. Names of fields may be short, as everywhere.
func (v view) apply(rows []*Row, fields query.Fields) ([]*Row, error) {
	if v.Where != "" {
		condition, err := query.Compile(v.Where, fields)
		if err != nil {
			return nil, err
		}
		var kept []*Row
		for _, row := range rows {
			matches, err := condition.Match(row.Record)
			if err != nil {
				return nil, err
			}
			if matches {
				kept = append(kept, row)
			}
		}
		rows = kept
	}
	by, err := fields.Resolve(v.Sort)
	if err != nil {
		return nil, fmt.Errorf("sort: %w", err)
	}
	if by == "started" && !v.Reverse {
		return rows, nil // as the index has them
	}
	order := query.Order(by, v.Reverse)
	return slices.SortedStableFunc(slices.Values(rows), func(a, b *Row) int { return order(a.Record, b.Record) }), nil
}

// differing lists the config keys whose values are not the same in all rows, those with fewer values first, at most so many.
func differing(rows []*Row, most int) []string {
	values := map[string]map[any]bool{}
	counts := map[string]int{}
	for _, row := range rows {
		for key, value := range row.Config {
			if values[key] == nil {
				values[key] = map[any]bool{}
			}
			values[key][value] = true
			counts[key]++
		}
	}
	var keys []string
	for key, distinct := range values {
		if key != "seed" && len(distinct) > 1 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(len(values[a]), len(values[b])), strings.Compare(a, b))
	})
	return keys[:min(len(keys), most)]
}

// number prints a value of a column.
func number(value any) string {
	switch x := value.(type) {
	case nil:
		return ""
	case []string:
		return strings.Join(x, ", ")
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1e9 {
			return strconv.FormatFloat(x, 'f', -1, 64)
		}
		return strconv.FormatFloat(x, 'g', 5, 64)
	}
	return fmt.Sprint(value)
}

// duration prints seconds as a person would say them: 12 s, 3 min 20 s, 2 h 5 min.
func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	switch h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60; {
	case h > 0:
		return fmt.Sprintf("%d h %d min", h, m)
	case m > 0:
		return fmt.Sprintf("%d min %d s", m, s)
	case seconds < 10:
		return fmt.Sprintf("%.1f s", seconds)
	default:
		return fmt.Sprintf("%d s", s)
	}
}

// ago prints how long ago a moment was.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	switch d := time.Since(t); {
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return t.Format("2006-01-02")
}

func percent(part float64) string { return fmt.Sprintf("%.0f %%", 100*part) }

// spark is the points of a sparkline in a box of 72 × 18, for the attribute points of a polyline.
func spark(values []float64) string {
	if len(values) < 2 {
		return ""
	}
	low, high := slices.Min(values), slices.Max(values)
	var points []string
	for i, value := range values {
		y := 0.5
		if high > low {
			y = (high - value) / (high - low)
		}
		points = append(points, fmt.Sprintf("%.1f,%.1f", 1+70*float64(i)/float64(len(values)-1), 1+16*y))
	}
	return strings.Join(points, " ")
}

// Stopped says that the run ended before its end, or cannot be read.
func (r *Row) Stopped() bool {
	return slices.Contains([]string{"failed", "diverged", "interrupted", string(runs.Killed), string(runs.Damaged)}, string(r.State))
}

// Progress is the part of the run's steps that is done.
func (r *Row) Progress() float64 {
	p := r.Manifest.Progress
	return float64(p.Step) / float64(max(p.Steps, 1))
}
