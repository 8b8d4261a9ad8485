package table

import (
	"context"
	"fmt"
	"io"
	"math"
)

// Cell is a cell of a .csv or .tsv file as it is written, and the number that it is.
type Cell struct {
	Text   []byte  // valid during the call that it is given to
	Number float32 // NaN where it is none
	// Problem is why it is not a number: "missing", "not a number", "infinite" or "beyond the range of float32"; "" of a number.
	Problem string
}

// Cells calls do with the rows of a .csv or .tsv file as they are written, all of its columns, and the line that each begins at,
// whatever is in them: for a look at a file that Each refuses. The names of the columns are no row, nor are they all in Names where
// the options leave columns out. It stops at the first error that do returns, and returns it as it is.
func (f *File) Cells(ctx context.Context, do func(line int, cells []Cell) error) error {
	s, ok := f.source.(*csvSource)
	if !ok {
		return fmt.Errorf("read %s: only .csv and .tsv files have cells", f.path)
	}
	r, err := s.open(f, interruptible{ctx, io.NewSectionReader(f.file, 0, f.size)})
	if err != nil {
		return err
	}
	r.delimiter = s.delimiter
	cells := make([]Cell, len(s.columns))
	for skip := s.header; ; skip = false {
		err := r.next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case len(r.ends) != len(s.columns):
			return fmt.Errorf("%s:%d: the row has %d cells, but the first line has %d", f.path, r.first, len(r.ends), len(s.columns))
		case skip:
			continue
		}
		for i := range cells {
			text := r.cell(i)
			number, _, problem := parseNumber(text)
			if problem != "" {
				number = float32(math.NaN())
				if isMissing(text) {
					problem = "missing"
				}
			}
			cells[i] = Cell{text, number, problem}
		}
		if err := do(r.first, cells); err != nil {
			return err
		}
	}
}
