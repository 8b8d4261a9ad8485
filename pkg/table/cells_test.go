package table

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
)

// Cells come as they are written, with the number that each is or why it is none; a row of another length is refused.
func TestCells(t *testing.T) {
	path := write(t, "t.csv", "a,b\n1.5,x\n\n\"2, 5\",NA\ninf,1e99\n3")
	f, err := Open(path, Options{Header: "yes"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []string
	err = f.Cells(context.Background(), func(line int, cells []Cell) error {
		for _, cell := range cells {
			got = append(got, fmt.Sprintf("%d %s %g %s", line, cell.Text, cell.Number, cell.Problem))
			if (cell.Problem == "") == math.IsNaN(float64(cell.Number)) {
				t.Errorf("%s: %g", cell.Text, cell.Number)
			}
		}
		return nil
	})
	want := []string{"2 1.5 1.5 ", "2 x NaN not a number", "4 2, 5 NaN not a number", "4 NA NaN missing", "5 inf NaN infinite", "5 1e99 NaN beyond the range of float32"}
	if !slices.Equal(got, want) || err == nil || err.Error() != path+":6: the row has 1 cells, but the first line has 2" {
		t.Errorf("cells %q, error %v", got, err)
	}
	stop := errors.New("enough")
	if err := f.Cells(context.Background(), func(int, []Cell) error { return stop }); err != stop {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Cells(ctx, func(int, []Cell) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	array, err := Open(write(t, "t.npy", npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}", "abcd")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer array.Close()
	if err := array.Cells(context.Background(), nil); err == nil {
		t.Error("an array has cells")
	}
}
