package survey

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// traceOf is a sweep whose trials had these values, one each second.
func traceOf(letter string, values ...float64) Trace {
	t := Trace{Letter: letter, Name: "sweep " + letter, Path: "sweeps/" + letter, State: Done, Values: []string{letter}}
	for i, v := range values {
		t.Results = append(t.Results, Result{Trial: 10 * i, Value: v, Spent: time.Duration(i+1) * time.Second})
	}
	return t
}

func TestTraceBest(t *testing.T) {
	nan := math.NaN()
	trace := traceOf("A", nan, 3, 5, 2, nan, 2, math.Inf(-1), 4)
	for n, want := range map[int]int{0: -1, 1: -1, 2: 1, 3: 1, 4: 3, 8: 3, 99: 3} {
		if got := trace.Best(n, Objective{}); got != want {
			t.Errorf("the least of the first %d is result %d, want %d", n, got, want)
		}
	}
	if got := trace.Best(8, Objective{Maximize: true}); got != 2 {
		t.Errorf("the highest is result %d, want 2", got)
	}
	if got := (Trace{}).Best(5, Objective{}); got != -1 {
		t.Errorf("of no trials the best is %d", got)
	}
}

func TestMarks(t *testing.T) {
	for trials, want := range map[int]string{0: "[]", 1: "[]", 6: "[1 2 5]", 30: "[2 5 10 25]", 60: "[5 10 25 50]", 100: "[5 10 25 50]", 101: "[10 25 50 100]", 3000: "[250 500 1000 2500]"} {
		c := Comparison{Traces: []Trace{{}, traceOf("A", make([]float64, trials)...)}}
		if got := fmt.Sprint(c.Marks()); got != want {
			t.Errorf("%d trials: marks %s, want %s", trials, got, want)
		}
	}
}

func TestComparisonTable(t *testing.T) {
	c := Comparison{Objective: Objective{Metric: "val_psnr", Maximize: true, Unit: "dB"}, Keys: []string{"strategy.kind"},
		Traces: []Trace{traceOf("A", 20, 21.5, math.NaN(), 21, 22.25, 22), traceOf("B", 21), {Letter: "C", Values: []string{""}}}}
	want := [][]string{
		{"", "sweep", "state", "trials", "after 1", "after 2", "after 5", "best val_psnr, dB", "trial", "found in", "time", "differs in"},
		{"A", "sweeps/A", "done", "6", "20", "21.50", "22.25", "22.25", "40", "5.0 s", "6.0 s", "strategy.kind=A"},
		{"B", "sweeps/B", "done", "1", "21", "—", "—", "21", "0", "1.0 s", "1.0 s", "strategy.kind=B"},
		{"C", "", "", "0", "—", "—", "—", "—", "", "", "0.0 s", ""},
	}
	if got := c.Table(); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("table\n%q, want\n%q", got, want)
	}
}

// The curve goes down in steps, at the trial that was better, and level to the sweep's end.
func TestBestSoFar(t *testing.T) {
	c := Comparison{Objective: Objective{Metric: "val_loss"}, Traces: []Trace{traceOf("A", 4, 5, 2, 3), traceOf("B", math.NaN())}}
	for _, overTime := range []bool{false, true} {
		drawn := BestSoFar(c, overTime)
		var curve struct {
			Polylines []struct {
				Points string `xml:"points,attr"`
			} `xml:"polyline"`
		}
		if err := xml.Unmarshal([]byte("<svg>"+string(drawn.SVG)+"</svg>"), &curve); err != nil {
			t.Fatal(err)
		}
		if len(curve.Polylines) != 1 || len(drawn.Legend) != 1 {
			t.Fatalf("%d curves, and %d in the legend; a sweep without a value has none", len(curve.Polylines), len(drawn.Legend))
		}
		var x, y []float64
		for _, point := range strings.Fields(curve.Polylines[0].Points) {
			var px, py float64
			if _, err := fmt.Sscanf(point, "%f,%f", &px, &py); err != nil {
				t.Fatal(err)
			}
			x, y = append(x, px), append(y, py)
		}
		if len(x) != 4 || x[1] != x[2] || y[0] != y[1] || y[2] != y[3] || !(y[2] > y[1]) || x[3] != narrow-12 {
			t.Errorf("points %v %v", x, y)
		}
	}
	if drawn := BestSoFar(Comparison{Traces: []Trace{{}}}, false); !strings.Contains(string(drawn.SVG), noValue) {
		t.Error("no word of there being no value")
	}
}

// The page is well-formed, whatever texts are in it.
func TestComparisonPage(t *testing.T) {
	const hostile = `"></td><script>alert('1')</script>` + "\x00\x1b"
	bad := traceOf(hostile, 1, 2)
	bad.Name, bad.Path, bad.State = hostile, hostile, hostile
	c := Comparison{Objective: Objective{Metric: hostile, Unit: hostile}, Keys: []string{hostile}, Traces: []Trace{bad, traceOf("B", 3, 1)}}
	var out bytes.Buffer
	if err := RenderComparison(&out, c); err != nil {
		t.Fatal(err)
	}
	page := out.String()
	if strings.Contains(page, "<script") || strings.Contains(page, "http") {
		t.Errorf("a script, or something from elsewhere:\n%s", page)
	}
	if got := strings.Count(page, "<svg"); got != 2 {
		t.Errorf("%d charts, want 2", got)
	}
}
