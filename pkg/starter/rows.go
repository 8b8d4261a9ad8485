package starter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/dataset"
	"latent/pkg/message"
	"latent/pkg/model"
	"latent/pkg/table"
)

// errEnough ends reading.
var errEnough = errors.New("enough was read")

// column is what was seen of a column.
type column struct {
	name    string
	numbers int
	missing int
	texts   int    // neither
	text    string // the first of them
	line    int    // that it stands in
	// Of the numbers:
	low, high  float64
	mean, sum2 float64 // the mean, and the sum of squared differences from it
	whole      bool
	counts     bool // each is one more than the one before it
	last       float64
	values     map[string]int // how often each cell occurs; nil where there are too many
}

// mostClasses is how many different values a column of classes has at most.
const mostClasses = 30

func newColumn(name string) *column {
	return &column{name: name, low: math.Inf(1), high: math.Inf(-1), whole: true, counts: true, values: map[string]int{}}
}

// number takes a number in.
func (c *column) number(x float64) {
	c.numbers++
	c.low, c.high = min(c.low, x), max(c.high, x)
	c.whole = c.whole && x == math.Trunc(x)
	c.counts = c.counts && c.whole && (c.numbers == 1 || x == c.last+1)
	c.last = x
	difference := x - c.mean
	c.mean += difference / float64(c.numbers)
	c.sum2 += difference * (x - c.mean)
}

// cell takes a cell as it is written in.
func (c *column) cell(text []byte) {
	if c.values == nil {
		return
	}
	c.values[string(text)]++
	if len(c.values) > mostClasses || len(text) > 200 {
		c.values = nil
	}
}

// deviation is the standard deviation.
func (c *column) deviation() float64 { return math.Sqrt(c.sum2 / float64(max(c.numbers, 1))) }

// far is how many standard deviations the farthest value is from the mean.
func (c *column) far() float64 {
	deviation := c.deviation()
	if !(deviation > 0) {
		return 0
	}
	return max(c.high-c.mean, c.mean-c.low) / deviation
}

// rowsSeen is what was seen of a table.
type rowsSeen struct {
	data    []string
	paths   []string
	names   bool // columns have names of their own
	columns []*column
	n       int
	whole   bool // all rows of all files were read
	header  string
	label   string
	classes map[string]int
	ignore  []key
	leftOut []string
}

// lookAtTable looks at the tables that data means.
func lookAtTable(ctx context.Context, data, paths []string) (*sight, error) {
	r := &rowsSeen{data: data, paths: paths}
	name := strings.ToLower(filepath.Base(paths[0]))
	for _, ending := range []string{".csv", ".tsv", ".csv.gz", ".tsv.gz"} {
		if strings.HasSuffix(name, ending) {
			if err := r.readText(ctx); err != nil {
				return nil, err
			}
			return r.sight()
		}
	}
	return r.readNumbers(ctx)
}

// readText reads the first rows of a .csv or .tsv file, whatever is in them.
func (r *rowsSeen) readText(ctx context.Context) error {
	path := r.paths[0]
	if err := r.chooseHeader(ctx, path); err != nil {
		return err
	}
	f, err := table.Open(path, table.Options{Header: r.header})
	if err != nil {
		return err
	}
	defer f.Close()
	for _, name := range f.Names() {
		r.columns = append(r.columns, newColumn(name))
	}
	most := min(mostRows, max(mostCells/len(r.columns), 100))
	r.whole = len(r.paths) == 1
	err = f.Cells(ctx, func(line int, cells []table.Cell) error {
		if r.n == most {
			r.whole = false
			return errEnough
		}
		r.n++
		for i, cell := range cells {
			r.columns[i].take(cell, line)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if r.n == 0 {
		return fmt.Errorf("look at %q: no rows but the first, which names the columns", path)
	}
	r.chooseLabel()
	return r.chooseColumns()
}

// chooseHeader finds out whether a first line of numbers and texts, which is taken for names otherwise, is a row like the others: if
// every text of it occurs again in its column.
func (r *rowsSeen) chooseHeader(ctx context.Context, path string) error {
	f, err := table.Open(path, table.Options{Header: "no"})
	if err != nil {
		return err
	}
	defer f.Close()
	if n := len(f.Names()); n > mostColumns {
		return fmt.Errorf("look at %q: %d columns, at most %d are looked at; is it a table of a sample a row?", path, n, mostColumns)
	}
	const enough = 10_000
	texts, n, numbers := map[int]string{}, 0, 0 // texts: those by their column that did not occur again
	err = f.Cells(ctx, func(_ int, cells []table.Cell) error {
		if n++; n == 1 {
			for i, cell := range cells {
				switch cell.Problem {
				case "":
					numbers++
				case "missing":
				default:
					texts[i] = string(cell.Text)
				}
			}
			if len(texts) == 0 || numbers == 0 {
				return errEnough
			}
			return nil
		}
		for i, text := range texts {
			if string(cells[i].Text) == text {
				delete(texts, i)
			}
		}
		if len(texts) == 0 {
			r.header = "no"
		}
		if len(texts) == 0 || n == enough {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

// take takes a cell in.
func (c *column) take(cell table.Cell, line int) {
	switch cell.Problem {
	case "":
		c.number(float64(cell.Number))
		c.cell(cell.Text)
	case "missing":
		c.missing++
	default:
		if c.texts++; c.texts == 1 {
			c.text, c.line = string(cell.Text), line
		}
		c.cell(cell.Text)
	}
}

// labelNames are what columns of classes are often named.
var labelNames = []string{"label", "class", "target", "y", "species", "category", "labels"}

// chooseLabel chooses a column of classes: one that is named so, or else the first of texts with few different values.
func (r *rowsSeen) chooseLabel() {
	fits := func(c *column) bool {
		return c.missing == 0 && c.values != nil && len(c.values) >= 2 && len(c.values) <= r.n/2 && (c.whole || c.numbers == 0)
	}
	for _, named := range []bool{true, false} {
		for i, c := range r.columns {
			if isNamed := slices.Contains(labelNames, strings.ToLower(c.name)); r.label != "" || !fits(c) || named != isNamed || !named && c.numbers > 0 {
				continue
			}
			if !utf8.ValidString(strings.Join(slices.Collect(keysOf(c.values)), "")) {
				continue
			}
			r.label, r.classes = c.name, c.values
			r.columns = slices.Delete(slices.Clone(r.columns), i, i+1)
			break
		}
	}
}

// keysOf are the keys of a map.
func keysOf(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range m {
			if !yield(name) {
				return
			}
		}
	}
}

// chooseColumns leaves out those that are no features.
func (r *rowsSeen) chooseColumns() error {
	var features []*column
	for _, c := range r.columns {
		why := ""
		switch {
		case c.texts > 0 && c.numbers > 0:
			why = fmt.Sprintf("%s no number, the first in line %d: %s", are(c.texts, "cell"), c.line, plain(c.text))
		case c.texts > 0 && c.values != nil:
			why = fmt.Sprintf("text of %s, such as %s", counted(len(c.values), "different value"), plain(c.text))
		case c.texts > 0:
			why = "text, such as " + plain(c.text)
		case c.numbers == 0:
			why = "no values"
		case c.counts && c.missing == 0 && c.numbers >= 10:
			why = fmt.Sprintf("counts the rows: %.10g, %.10g, …", c.low, c.low+1)
		case c.low == c.high && c.missing == 0:
			why = fmt.Sprintf("always %.6g", c.low)
		default:
			features = append(features, c)
			continue
		}
		r.ignore = append(r.ignore, key{value: quoted(c.name), comment: why})
	}
	r.columns = features
	if len(features) == 0 {
		why := "it has none but the classes"
		if len(r.ignore) > 0 {
			why = fmt.Sprintf("of the first, %s: %s", r.ignore[0].value, r.ignore[0].comment)
		}
		return fmt.Errorf("look at %q: no column of numbers that vary; %s", r.paths[0], why)
	}
	return nil
}

// are is "1 cell is", "2 cells are".
func are(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return counted(n, noun) + " are"
}

// readNumbers reads the first rows of a file that has numbers by its format.
func (r *rowsSeen) readNumbers(ctx context.Context) (*sight, error) {
	path := r.paths[0]
	options := table.Options{Missing: true}
	f, err := table.Open(path, options)
	if err != nil {
		if strings.Contains(err.Error(), "data.array") {
			err = fmt.Errorf("%w; write a config with latent init, without --data, and in it data: {dataset: table, files: %s, array: NAME}", err, quoted(path))
		}
		return nil, err
	}
	r.leftOut, r.names = f.LeftOut(), f.Names() != nil
	dims, dtype := f.Dims(), f.Type()
	named := f.Names()
	f.Close()
	r.labelled(ctx, path, named, dims)
	if r.label != "" {
		options.Label = r.label
	}
	if f, err = table.Open(path, options); err != nil {
		return nil, err
	}
	defer f.Close()
	r.leftOut = f.LeftOut() // without the labels
	if f.Len() == 0 {
		return nil, fmt.Errorf("look at %q: no rows", path)
	}
	dims = f.Dims()
	size := 1
	for _, dim := range dims {
		size *= dim
	}
	if len(dims) == 1 && size > mostColumns {
		return nil, fmt.Errorf("look at %q: rows of %d numbers, at most %d are looked at; pictures are arrays with 3 or 4 axes", path, size, mostColumns)
	}
	if len(dims) == 1 {
		for i := range size {
			name := fmt.Sprintf("x%d", i+1)
			if r.names {
				name = f.Names()[i]
			}
			r.columns = append(r.columns, newColumn(name))
		}
	}
	var values []float64 // of pictures
	most := max(min(mostRows, mostCells/size), 1)
	step := max(min(most, max(f.Len(), 1))*size/(mostDecoded*mostValues), 1) // of a picture's values that are kept
	if step%2 == 0 {
		step++
	}
	r.classes, r.whole = map[string]int{}, true
	nan, ends := false, 0
	err = f.Each(ctx, func(rows table.Rows) error {
		for i := range rows.Values.Len() / size {
			if r.n == most {
				r.whole = false
				return errEnough
			}
			r.n++
			if rows.Labels != nil && len(r.classes) <= mostClasses {
				r.classes[rows.Labels[i]]++
			}
			for j := range size {
				x := rows.Values.At(i*size + j)
				if len(dims) > 1 {
					nan = nan || math.IsNaN(x)
					if (i*size+j)%step == 0 {
						values = append(values, x)
						if x < 32 || x > 223 {
							ends++
						}
					}
					continue
				}
				c := r.columns[j]
				if math.IsNaN(x) {
					c.missing++
				} else {
					c.number(x)
				}
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if f.Len() > 0 {
		r.n = f.Len()
	}
	r.whole = r.whole && len(r.paths) == 1
	if len(dims) == 1 {
		if r.names {
			if err := r.chooseColumns(); err != nil {
				return nil, err
			}
		}
		return r.sight()
	}
	return r.pictures(dims, dtype, values, nan, ends)
}

// labelled chooses the labels: an array that is named so, or of Parquet and Arrow files a column.
func (r *rowsSeen) labelled(ctx context.Context, path string, names []string, dims []int) {
	var candidates []string
	switch {
	case strings.HasSuffix(strings.ToLower(path), ".npz"):
		candidates = []string{"y", "Y", "label", "labels", "target", "targets"}
	case names == nil:
		return
	}
	for _, name := range names {
		if slices.Contains(labelNames, strings.ToLower(name)) {
			candidates = append(candidates, name)
		}
	}
	for _, left := range r.leftOut { // "species (String)"
		if at := strings.LastIndex(left, " ("); names != nil && at > 0 {
			candidates = append(candidates, left[:at])
		}
	}
	for _, name := range candidates {
		if classes := classesIn(ctx, path, name); len(classes) >= 2 && len(classes) <= mostClasses {
			r.label = name
			return
		}
	}
}

// classesIn counts the labels of a column or an array in the first rows; nil where it has none, or others than classes.
func classesIn(ctx context.Context, path, name string) map[string]int {
	f, err := table.Open(path, table.Options{Label: name, Missing: true})
	if err != nil {
		return nil
	}
	defer f.Close()
	classes, n := map[string]int{}, 0
	err = f.Each(ctx, func(rows table.Rows) error {
		for _, label := range rows.Labels {
			classes[label]++
			if n++; n > mostRows || len(classes) > mostClasses {
				return errEnough
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) || len(classes) > n/2 {
		return nil
	}
	return classes
}

// keys begins the section data.
func (r *rowsSeen) keys() section {
	keys := section{{name: "dataset", value: "table"}, list("files", r.data)}
	if r.header != "" {
		keys = append(keys, key{name: "header", value: quoted(r.header), comment: "the first line is a row like the others"})
	}
	if r.label != "" {
		keys = append(keys, key{name: "label", value: quoted(r.label), comment: "classes, which the model does not see: " + frequent(r.classes, class)})
	}
	if r.ignore != nil {
		keys = append(keys, key{name: "ignore", items: r.ignore, comment: "columns that are left out"})
	}
	return keys
}

// rows says how many there are and were read.
func (r *rowsSeen) rows(s *sight) {
	s.n, s.exact, s.name = r.n, r.whole, dataset.RowName
	if len(r.paths) > 1 {
		s.notes = append(s.notes, fmt.Sprintf("%s, of which the first was looked at", counted(len(r.paths), "file")))
	} else if !r.whole {
		s.notes = append(s.notes, "only the first rows were looked at")
	}
	if r.leftOut != nil {
		s.notes = append(s.notes, "columns that are no numbers, and are left out: "+few(r.leftOut))
	}
}

// sight chooses what of the dataset fits rows of numbers.
func (r *rowsSeen) sight() (*sight, error) {
	features := len(r.columns)
	s := &sight{vectors: true, open: true, image: model.Image{Height: 1, Width: features, Channels: 1}, data: r.keys()}
	s.summary = fmt.Sprintf("%s of %s", counted(r.n, "row"), counted(features, "number"))
	if !r.whole {
		s.summary = "at least " + s.summary
	}
	if r.label != "" {
		s.summary += fmt.Sprintf(", %d %s in %s", len(r.classes), message.Choose(len(r.classes), "class", "classes"), plain(r.label))
	}
	r.rows(s)
	missing, far, constant := 0, []string{}, []string{}
	var with []string
	for _, c := range r.columns {
		if c.missing > 0 {
			missing += c.missing
			with = append(with, fmt.Sprintf("%s %s", grouped(c.missing), plain(c.name)))
		}
		const tail = 30
		if distance := c.far(); distance > tail {
			far = append(far, fmt.Sprintf("%s (%.0f)", plain(c.name), distance))
		}
		if c.low == c.high || c.numbers == 0 {
			constant = append(constant, c.name)
		}
		if c.numbers == 0 {
			return nil, fmt.Errorf("look at %q: column %s has no values; save the file without it", r.paths[0], plain(c.name))
		}
	}
	switch {
	case missing > 0:
		s.notes = append(s.notes, "missing values: "+few(with))
		s.data = append(s.data, key{name: "missing", value: "median", comment: fmt.Sprintf("%s missing", are(missing, "value"))})
	case !r.whole:
		s.data = append(s.data, key{name: "missing", value: "median", comment: "none was missing in what was looked at"})
	}
	if len(far) > 0 {
		s.notes = append(s.notes, "long tails, values so many standard deviations from the mean: "+few(far)+"; data.scale: {kind: percentile} is less drawn by them")
	}
	if len(constant) > 0 {
		s.notes = append(s.notes, "do not vary: "+few(constant))
	}
	if len(r.ignore) > 0 {
		s.notes = append(s.notes, fmt.Sprintf("%s left out", counted(len(r.ignore), "column")))
	}
	s.data = append(s.data, key{name: "scale", value: "{kind: standardise}", comment: "each column to a mean of 0 and a standard deviation of 1"})
	return s, nil
}

// pictures chooses what of the dataset fits pictures of an array.
func (r *rowsSeen) pictures(dims []int, dtype dtypes.DType, values []float64, nan bool, ends int) (*sight, error) {
	image := model.Image{Height: dims[0], Width: dims[1], Channels: 1}
	if len(dims) == 3 {
		image.Channels = dims[2]
		if (image.Height == 1 || image.Height == 3) && image.Channels > 4 {
			return nil, fmt.Errorf("look at %q: its axes are %d, %d, %d after the first, which looks like channels before height and width; save it as [samples, height, width, channels], for example with numpy.moveaxis(x, 1, -1)",
				r.paths[0], dims[0], dims[1], dims[2])
		}
	}
	if nan {
		return nil, fmt.Errorf("look at %q: pictures with values that are missing (NaN); replace them", r.paths[0])
	}
	s := &sight{image: image, data: r.keys()}
	s.summary = fmt.Sprintf("%s of %d×%d, %s, %s", counted(r.n, "picture"), image.Width, image.Height, counted(image.Channels, "channel"), depth[dtype])
	if r.label != "" {
		s.summary += fmt.Sprintf(", %d %s in %s", len(r.classes), message.Choose(len(r.classes), "class", "classes"), plain(r.label))
	}
	r.rows(s)
	before := len(s.data)
	if err := s.scale(values, dtype); err != nil {
		return nil, fmt.Errorf("look at %q: %w", r.paths[0], err)
	}
	if len(s.data) == before {
		s.data = append(s.data, key{name: "scale", value: "{kind: range}", comment: map[bool]string{true: "of the numbers' type, to -1 and 1", false: "from the least value to the greatest, to -1 and 1"}[dtype != dtypes.Float32]})
	}
	s.binary = dtype == dtypes.Uint8 && ends > len(values)*4/5
	return s, nil
}
