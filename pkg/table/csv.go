package table

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gomlx/compute/dtypes"
)

// csvSource reads .csv and .tsv files, packed by gzip or not.
type csvSource struct {
	packed    bool
	delimiter byte // 0: a comma or a semicolon, as the first line has
	header    bool
	columns   []string // of all
	features  []int
	label     int
}

// maxLine bounds a line of a file, and a row that a quoted cell spreads over several.
const maxLine = 16 << 20

// csvReader reads rows of cells.
type csvReader struct {
	path      string
	in        *bufio.Reader
	delimiter byte
	lines     int    // read
	first     int    // line that the row begins at
	long      []byte // a line that the buffer of in does not hold
	text      []byte // of the cells, one after another
	ends      []int  // of the cells in text
	quoted    []bool // which cells were in quotes
}

// open returns a reader of the file's rows, and a reader below it that sees all bytes of the file.
func (s *csvSource) open(f *File, below io.Reader) (*csvReader, error) {
	if s.packed {
		unpacked, err := gzip.NewReader(below)
		if err != nil {
			return nil, fmt.Errorf("read %s: not a gzip file, or truncated: %w", f.path, err)
		}
		below = unpacked
	}
	r := &csvReader{path: f.path, in: bufio.NewReaderSize(below, 64<<10), delimiter: s.delimiter}
	start, err := r.in.Peek(3)
	if err != nil && err != io.EOF {
		return nil, r.failed(err)
	}
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		r.in.Discard(3)
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return nil, fmt.Errorf("read %s: the text is UTF-16; save the file as UTF-8", f.path)
	}
	return r, nil
}

func (s *csvSource) head(f *File) error {
	r, err := s.open(f, io.NewSectionReader(f.file, 0, f.size))
	if err != nil {
		return err
	}
	if s.delimiter == 0 {
		if s.delimiter, err = r.sniff(); err != nil {
			return err
		}
		r.delimiter = s.delimiter
	}
	err = r.next()
	if err == io.EOF {
		return fmt.Errorf("read %s: an empty file", f.path)
	}
	if err != nil {
		return err
	}
	s.header = f.options.Header == "yes"
	s.columns = make([]string, len(r.ends))
	for i := range s.columns {
		cell := r.cell(i)
		s.columns[i] = string(cell)
		if f.options.Header == "" || f.options.Header == "auto" {
			_, _, problem := parseNumber(cell)
			s.header = s.header || problem != "" && !isMissing(cell)
		}
	}
	for i := range s.columns {
		if !s.header || s.columns[i] == "" {
			s.columns[i] = fmt.Sprintf("column_%d", i+1)
		}
	}
	cure := "rename one"
	if !f.options.Trained {
		cure += ", or set data.header: no if the first line has numbers"
	}
	if err := f.checkNames(s.columns, cure); err != nil {
		return err
	}
	if s.features, s.label, err = f.pickColumns(s.columns); err != nil {
		return err
	}
	f.names = make([]string, len(s.features))
	for i, column := range s.features {
		f.names[i] = s.columns[column]
	}
	f.dims, f.dtype = []int{len(s.features)}, dtypes.Float32
	return nil
}

func (s *csvSource) each(b *batch) error {
	f := b.file
	digest := sha256.New()
	r, err := s.open(f, io.TeeReader(io.NewSectionReader(f.file, 0, f.size), digest))
	if err != nil {
		return err
	}
	r.delimiter = s.delimiter
	for skip := s.header; ; skip = false {
		err := r.next()
		if err == io.EOF {
			f.sum = hex.EncodeToString(digest.Sum(nil))
			return nil
		}
		if err != nil {
			return err
		}
		if len(r.ends) != len(s.columns) {
			return fmt.Errorf("%s:%d: the row has %d cells, but the first line has %d", f.path, r.first, len(r.ends), len(s.columns))
		}
		if skip {
			continue
		}
		b.room(1)
		if err := s.row(b, r); err != nil {
			return err
		}
		if err := b.add(1); err != nil {
			return err
		}
	}
}

// row puts a row's cells in the batch.
func (s *csvSource) row(b *batch, r *csvReader) error {
	out := b.values.Float32[b.n*b.size:]
	for i, column := range s.features {
		cell := r.cell(column)
		x, rounded, problem := parseNumber(cell)
		switch {
		case problem == "":
			out[i] = x
			if rounded {
				b.rounded++
			}
		case !isMissing(cell) || !b.file.options.Missing:
			cure := b.file.cure(s.columns[column], isMissing(cell))
			switch {
			case isMissing(cell):
				problem = "missing"
			case decimalComma(cell):
				cure = "it has a decimal comma; save the file with decimal points"
			}
			return fmt.Errorf("%s:%d, column %s: %s is %s; %s", r.path, r.first, shown([]byte(s.columns[column])), shown(cell), problem, cure)
		default:
			out[i] = float32(math.NaN())
		}
	}
	if s.label >= 0 {
		cell := r.cell(s.label)
		if !utf8.Valid(cell) {
			return fmt.Errorf("%s:%d, column %s: %s is not UTF-8; save the file as UTF-8", r.path, r.first, shown([]byte(s.columns[s.label])), shown(cell))
		}
		text, err := labelText(string(cell))
		if err != nil {
			return fmt.Errorf("%s:%d, column %s: %w", r.path, r.first, shown([]byte(s.columns[s.label])), err)
		}
		b.labels = append(b.labels, text)
	}
	return nil
}

// shown is a cell in an error.
func shown(cell []byte) string {
	const most = 40
	if len(cell) > most {
		return strconv.Quote(string(cell[:most])) + "…"
	}
	return strconv.Quote(string(cell))
}

// parseNumber reads a number in decimals. rounded says that it is whole and float32 does not hold it; problem is what it is if it is
// no finite number.
func parseNumber(cell []byte) (x float32, rounded bool, problem string) {
	digits, whole := 0, true
	for i, c := range cell {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.', (c == 'e' || c == 'E') && digits > 0:
			whole = false
		case (c == '+' || c == '-') && (i == 0 || cell[i-1]|0x20 == 'e'):
		default:
			digits = -len(cell) // never a number
		}
	}
	if digits <= 0 {
		if name := strings.ToLower(strings.TrimLeft(string(cell[:min(len(cell), 9)]), "+-")); name == "inf" || name == "infinity" {
			return 0, false, "infinite"
		}
		return 0, false, "not a number"
	}
	wide, err := strconv.ParseFloat(string(cell), 32)
	if err != nil {
		if errors.Is(err, strconv.ErrRange) {
			return 0, false, "beyond the range of float32"
		}
		return 0, false, "not a number"
	}
	x = float32(wide)
	if whole && math.Abs(wide) >= 1<<24 {
		// A whole float32 has a decimal form without a fraction: the one that was read, if it is the same number.
		exact := strconv.FormatFloat(math.Abs(wide), 'f', 0, 64)
		rounded = exact != strings.TrimLeft(string(cell), "+-0")
	}
	return x, rounded, ""
}

// missingWords are what stands for a missing value, in small letters.
var missingWords = []string{"", "na", "n/a", "nan", "null", "none", "<na>", "#n/a", "?"}

// isMissing says whether a cell stands for a missing value.
func isMissing(cell []byte) bool {
	return len(cell) <= 4 && slices.Contains(missingWords, string(bytes.ToLower(cell)))
}

// decimalComma says whether a cell is a number but for a comma in the place of the point.
func decimalComma(cell []byte) bool {
	if bytes.Count(cell, []byte(",")) != 1 {
		return false
	}
	_, _, problem := parseNumber(bytes.Replace(cell, []byte(","), []byte("."), 1))
	return problem == ""
}

// cell is cell i of the row, without spaces around it.
func (r *csvReader) cell(i int) []byte {
	from := 0
	if i > 0 {
		from = r.ends[i-1]
	}
	cell := r.text[from:r.ends[i]]
	if r.quoted[i] {
		return cell
	}
	return bytes.Trim(cell, " \t")
}

// failed names the line where reading failed.
func (r *csvReader) failed(err error) error {
	if err == io.ErrUnexpectedEOF {
		err = errors.New("the file is truncated")
	}
	return fmt.Errorf("%s:%d: %w", r.path, r.lines+1, reason(err))
}

// line reads a line without its end; it is valid until the next call. more is room for how many bytes.
func (r *csvReader) line(more int) ([]byte, error) {
	r.long = r.long[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if len(r.long)+len(part) > more+len("\r\n") {
			return nil, fmt.Errorf("%s:%d: a row of more than %d MiB; check that the file is a table and that its quotes are closed", r.path, r.lines+1, maxLine>>20)
		}
		if err == bufio.ErrBufferFull {
			r.long = append(r.long, part...)
			continue
		}
		if err != nil && err != io.EOF {
			return nil, r.failed(err)
		}
		if len(r.long) > 0 {
			r.long = append(r.long, part...)
			part = r.long
		}
		if err == io.EOF && len(part) == 0 {
			return nil, io.EOF
		}
		r.lines++
		part = bytes.TrimSuffix(part, []byte("\n"))
		return bytes.TrimSuffix(part, []byte("\r")), nil
	}
}

// next reads the next row that is not an empty line. Its error is io.EOF after the last.
func (r *csvReader) next() error {
	r.text, r.ends, r.quoted = r.text[:0], r.ends[:0], r.quoted[:0]
	var line []byte
	for len(line) == 0 {
		var err error
		if line, err = r.line(maxLine); err != nil {
			return err
		}
	}
	r.first = r.lines
	for {
		quoted := false
		if start := bytes.TrimLeft(line, " "); len(start) > 0 && start[0] == '"' {
			quoted = true
			var err error
			if line, err = r.quotedCell(start[1:]); err != nil {
				return err
			}
		}
		end := bytes.IndexByte(line, r.delimiter)
		cell := line
		if end >= 0 {
			cell = line[:end]
		}
		if !quoted {
			r.text = append(r.text, cell...)
		} else if len(bytes.TrimLeft(cell, " ")) > 0 {
			return fmt.Errorf("%s:%d: %s after a quoted cell; double each quote inside a quoted cell", r.path, r.lines, shown(cell))
		}
		r.ends, r.quoted = append(r.ends, len(r.text)), append(r.quoted, quoted)
		if end < 0 {
			return nil
		}
		line = line[end+1:]
	}
}

// quotedCell reads a cell behind its first quote, which may go on in the next lines, and returns what is behind it in its last line.
func (r *csvReader) quotedCell(line []byte) (rest []byte, err error) {
	for {
		end := bytes.IndexByte(line, '"')
		if end < 0 {
			r.text = append(append(r.text, line...), '\n')
			if line, err = r.line(maxLine - len(r.text)); err != nil {
				if err == io.EOF {
					err = fmt.Errorf("%s:%d: a quote is not closed", r.path, r.first)
				}
				return nil, err
			}
			continue
		}
		r.text = append(r.text, line[:end]...)
		line = line[end+1:]
		if len(line) == 0 || line[0] != '"' {
			return line, nil
		}
		r.text, line = append(r.text, '"'), line[1:]
	}
}

// sniff tells from the first lines whether a semicolon divides cells, or a comma: that which gives them all the same number of cells,
// more than one. Where both do or none, it is a semicolon if the first line has one and all its commas stand between digits.
func (r *csvReader) sniff() (byte, error) {
	start, err := r.in.Peek(r.in.Size())
	if err != nil && err != io.EOF {
		return 0, r.failed(err)
	}
	semicolon, comma := divides(start, ';', err == io.EOF), divides(start, ',', err == io.EOF)
	if semicolon != comma {
		if semicolon {
			return ';', nil
		}
		return ',', nil
	}
	line, _, _ := bytes.Cut(bytes.TrimLeft(start, "\r\n"), []byte("\n"))
	for i, c := range line {
		if c == ',' && !(i > 0 && i+1 < len(line) && isDigit(line[i-1]) && isDigit(line[i+1])) {
			return ',', nil
		}
	}
	if bytes.IndexByte(line, ';') >= 0 {
		return ';', nil
	}
	return ',', nil
}

// divides says whether a delimiter gives the first rows of a text the same number of cells, more than one; whole, whether the text goes
// to its file's end.
func divides(start []byte, delimiter byte, whole bool) bool {
	const rows = 20
	if !whole {
		start = start[:bytes.LastIndexByte(start, '\n')+1] // what is behind it may be half a row
	}
	r := &csvReader{in: bufio.NewReaderSize(bytes.NewReader(start), 1<<12), delimiter: delimiter}
	cells := 0
	for range rows {
		err := r.next()
		if err != nil {
			return err == io.EOF && cells > 1
		}
		if cells != 0 && len(r.ends) != cells {
			return false
		}
		cells = len(r.ends)
	}
	return cells > 1
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
