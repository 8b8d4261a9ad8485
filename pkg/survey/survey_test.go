package survey

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"

	"latent/pkg/chart"
	"latent/pkg/chart/charttest"
	"latent/pkg/search"
)

var update = flag.Bool("update", false, "write the golden files anew")

func render(t testing.TB, s Sweep) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Render(&out, s); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func parse(t testing.TB, page []byte) *html.Node {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// text is all the text of a page, words separated by one space.
func text(root *html.Node) string {
	var out strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			out.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// wellFormed reads XML to its end, strictly.
func wellFormed(t testing.TB, text []byte) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in\n%.2000s", err, text)
		}
	}
}

var svgElement = regexp.MustCompile(`(?s)<svg .*?</svg>`)

// A sweep in any state has a page, whose elements are all closed in order, and charts that are well-formed, without a
// coordinate that is none.
func TestPagesOfAllKinds(t *testing.T) {
	for name, s := range samples() {
		t.Run(name, func(t *testing.T) {
			page := render(t, s)
			if again := render(t, s); !bytes.Equal(page, again) {
				t.Error("the page of the same sweep is another")
			}
			if len(page) > 3<<20 {
				t.Errorf("%d bytes", len(page))
			}
			for _, svg := range svgElement.FindAll(page, -1) {
				wellFormed(t, svg)
			}
			if bytes.Contains(page, []byte("NaN\"")) || bytes.Contains(page, []byte("Inf\"")) || bytes.Contains(page, []byte("%!")) {
				t.Error("a number that is none became text of the page")
			}
			charttest.WellFormed(t, string(page))
		})
	}
}

// Many trials over many parameters for several objectives are a page that can be sent by mail, too.
func TestLargePage(t *testing.T) {
	if os.Getenv("LATENT_LONG") == "" {
		t.Skip("SKIPPED: a page of 10,000 trials over 40 parameters takes some seconds; set LATENT_LONG=1 to run it")
	}
	r := rand.New(rand.NewPCG(1, 1))
	s := Sweep{Name: "large", State: Done, Objectives: []Objective{{Metric: "a"}, {Metric: "b", Maximize: true}, {Metric: "c"}}}
	for i := range 40 {
		s.Space = append(s.Space, search.Parameter{Name: fmt.Sprintf("section.parameter_%d", i), Kind: search.Float, High: 1, Parent: -1})
	}
	for i := range 10000 {
		trial := Trial{Number: i, State: Done, Point: s.Space.Random(r), Values: []float64{r.Float64(), r.Float64(), r.Float64()}}
		for step := range 100 {
			trial.Curve = append(trial.Curve, search.Report{Step: step, Value: r.Float64()})
		}
		s.Trials = append(s.Trials, trial)
	}
	for i := range 500 {
		s.Best = append(s.Best, i) // a front of many
	}
	start := time.Now()
	page := render(t, s)
	t.Logf("%d bytes in %v", len(page), time.Since(start))
	if len(page) > 3<<20 {
		t.Errorf("%d bytes", len(page))
	}
}

func TestPageSays(t *testing.T) {
	all := maps.Clone(samples())
	for name, wants := range map[string][]string{
		"sixty": {
			"noise-lr done 60 of 60 trials: 47 done, 11 pruned, 2 failed",
			"Trial 30, run again on 3 fresh seeds: 0.0166 ± 0.0011", "seed 102: 0.01710",
			"History: val_loss", "On the way: val_loss", "Importance for val_loss", "Parallel coordinates: val_loss",
			"train.learning_rate", "Heat map: mean rank of the trials nearby",
			"train: the loss became NaN in step 7: lower train.learning_rate",
			"latent sweep configs/sweeps/noise-lr.yaml", "base: ../glyphs/denoise.yaml", "linux/amd64, 2 cores",
		},
		"two": {
			"beta running 42 of 60 trials: 40 done, 2 running", "about 3 min left", "The Pareto front",
			"the lowest reconstruction, nats; the highest probe_accuracy", "reconstruction and probe_accuracy",
			"On the way: val_loss", "running attempt 2",
		},
		"none":      {"0 of 20 trials", "No trial is done yet"},
		"failed":    {"12 failed", "No trial is done with a value yet", "set model.encoder"},
		"notfinite": {"15 done, 4 pruned, 1 failed", "No trial is done with a value yet"},
		"one":       {"1 of 1 trial: 1 done", "Dots: trials, in the colour of their value's rank."},
		"many": {
			"10000 of 10000 trials", "The best 100 trials and 300 of the other 6870, evenly taken.", "201 of 9565 curves",
			"9365 more are left out.", "385 earlier ones are left out.",
		},
	} {
		words := text(parse(t, render(t, all[name])))
		for _, want := range wants {
			if !strings.Contains(words, want) {
				t.Errorf("the page of %s lacks %q:\n%.3000s", name, want, words)
			}
		}
	}
	if err := Render(io.Discard, Sweep{Name: "x"}); err == nil || !strings.Contains(err.Error(), "needs one at least") {
		t.Errorf("a sweep without objective: %v", err)
	}
}

// Whatever text is in a sweep, its page runs no script but its own and asks for nothing from elsewhere; links go to runs.
func TestHostileText(t *testing.T) {
	const hostile = "\"'></title></svg><script src=\"https://example.org/x.js\"></script><img src=x onerror=alert(1)>\x00\x1b[2J\xff{{.}}"
	s := sample(30, 1)
	s.Name, s.State, s.Path, s.Command, s.Config, s.Curve = hostile, hostile, hostile, hostile, hostile, hostile
	s.Objectives = []Objective{{Metric: hostile, Unit: hostile}, {Metric: hostile}}
	for i := range s.Space {
		s.Space[i].Name = fmt.Sprint(i, hostile)
		for j := range s.Labels[i] {
			s.Labels[i][j] = hostile
		}
	}
	s.Importance = [][]Importance{{{hostile, 0.5, 0.1}}, {{s.Space[0].Name, 0.5, 0.1}}}
	s.Facts = []Fact{{hostile, hostile}}
	s.Confirm = &Confirmation{}
	runs := []string{"javascript:alert(1)", hostile, "trials/0001?x#y/report.html"}
	for i := range s.Trials {
		s.Trials[i].Error, s.Trials[i].Run = hostile, runs[i%3]
		s.Trials[i].Thumbnail = []byte(hostile)
		s.Trials[i].Values = append(s.Trials[i].Values, 1)
	}
	page := render(t, s)
	for _, svg := range svgElement.FindAll(page, -1) {
		wellFormed(t, svg)
	}
	links := 0
	for node := range parse(t, page).Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		switch node.Data {
		case "script":
			if text := node.FirstChild; text == nil || text.Data != string(chart.Script) || len(node.Attr) > 0 {
				t.Errorf("the page has a script: %v", text)
			}
		case "link", "iframe", "object", "base":
			t.Errorf("the page has a %s element", node.Data)
		}
		for _, a := range node.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "src" && !strings.HasPrefix(a.Val, "data:image/png;base64,"):
				t.Errorf("a %s element has %s=%q", node.Data, a.Key, a.Val)
			case a.Key == "href":
				links++
				if scheme, _, found := strings.Cut(a.Val, ":"); found && !strings.Contains(scheme, "/") || strings.ContainsAny(a.Val, "?#") {
					t.Errorf("a link goes to %q", a.Val)
				}
			}
		}
	}
	if links == 0 {
		t.Error("no link to a run")
	}
	for i, line := range strings.Split(Table(s, 100)+ImportanceTable(s, 100), "\n") {
		if strings.ContainsAny(line, "\x00\x1b\r") {
			t.Errorf("line %d would do something to the terminal: %q", i, line)
		}
	}
}

// points returns the points of the first curve of a class.
func points(t *testing.T, c chart.Chart, class string) [][2]float64 {
	t.Helper()
	_, after, found := strings.Cut(string(c.SVG), `class="`+class+`" points="`)
	if !found {
		t.Fatalf("no curve %s in %s", class, c.SVG)
	}
	list, _, _ := strings.Cut(after, `"`)
	var all [][2]float64
	for _, point := range strings.Fields(list) {
		var p [2]float64
		if _, err := fmt.Sscanf(point, "%f,%f", &p[0], &p[1]); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// dots returns where the dots of a class are, by trial.
func dots(t *testing.T, c chart.Chart, class string) map[int][2]float64 {
	t.Helper()
	all := map[int][2]float64{}
	one := regexp.MustCompile(`class="` + class + `" cx="([0-9.]+)" cy="([0-9.]+)" r="[0-9.]+"><title>trial (\d+)`)
	for _, match := range one.FindAllStringSubmatch(string(c.SVG), -1) {
		var p [2]float64
		var number int
		if _, err := fmt.Sscan(strings.Join(match[1:], " "), &p[0], &p[1], &number); err != nil {
			t.Fatal(err)
		}
		all[number] = p
	}
	return all
}

func valued(maximize bool, values ...float64) Sweep {
	s := Sweep{Objectives: []Objective{{Metric: "x", Maximize: maximize}}}
	for i, v := range values {
		s.Trials = append(s.Trials, Trial{Number: i, State: Done, Values: []float64{v}})
	}
	return s
}

// The best so far goes through the trials that were better than all before, level between them, and on to the end.
func TestHistory(t *testing.T) {
	for name, c := range map[string]struct {
		maximize bool
		through  []int // trials that were the best when they ended
	}{
		"lowest":  {false, []int{0, 2, 5}},
		"highest": {true, []int{0, 1, 4}},
	} {
		s := valued(c.maximize, 3, 4, 2, math.NaN(), 5, 1, 2)
		drawn := History(s, 0)
		at := dots(t, drawn, "dot a see")
		if len(at) != 6 {
			t.Fatalf("%d dots, want one for each finite value", len(at))
		}
		var want [][2]float64
		for i, number := range c.through {
			if i > 0 {
				want = append(want, [2]float64{at[number][0], at[c.through[i-1]][1]})
			}
			want = append(want, at[number])
		}
		last := want[len(want)-1]
		want = append(want, [2]float64{narrow - 12, last[1]})
		if got := points(t, drawn, "curve b"); !slices.Equal(got, want) {
			t.Errorf("%s: the best so far is %v, want %v", name, got, want)
		}
	}
}

// No corner of the front's line is better than what the trials at its ends have come to: it has the worse of each objective.
func TestFront(t *testing.T) {
	// On a circle around the worst corner, every trial is on the front.
	for _, directions := range [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} {
		s := Sweep{Objectives: []Objective{{Metric: "x", Maximize: directions[0]}, {Metric: "y", Maximize: directions[1]}}}
		for i := range 5 {
			a := math.Pi / 2 * float64(i) / 4
			v := []float64{math.Cos(a), math.Sin(a)}
			for k := range v {
				if !directions[k] {
					v[k] = -v[k]
				}
			}
			s.Trials = append(s.Trials, Trial{Number: i, State: Done, Values: v})
			s.Best = append(s.Best, i)
		}
		line := points(t, Front(s, 0, 1), "curve b thin")
		if len(line) != 9 {
			t.Fatalf("%d points, want five trials and four corners", len(line))
		}
		for i := 1; i < 9; i += 2 {
			from, corner, to := line[i-1], line[i], line[i+1]
			// Right is more of x; up is more of y, and less in the drawing's units.
			x, y := max(from[0], to[0]), min(from[1], to[1])
			if directions[0] {
				x = min(from[0], to[0])
			}
			if directions[1] {
				y = max(from[1], to[1])
			}
			if corner != [2]float64{x, y} {
				t.Errorf("maximize %v: the corner between %v and %v is %v", directions, from, to, corner)
			}
		}
	}
}

func TestRanking(t *testing.T) {
	for name, c := range map[string]struct {
		maximize bool
		values   []float64
		want     []float64 // ranks of the values
	}{
		// Of four others, none, one, ... are better.
		"lowest":  {false, []float64{5, 3, 1, 4, 2}, []float64{1, 0.5, 0, 0.75, 0.25}},
		"highest": {true, []float64{5, 3, 1, 4, 2}, []float64{0, 0.5, 1, 0.25, 0.75}},
		"ties":    {false, []float64{1, 1, 2, 2, 3}, []float64{0, 0, 0.5, 0.5, 1}},
		"ties up": {true, []float64{1, 1, 2, 2, 3}, []float64{0.75, 0.75, 0.25, 0.25, 0}},
		"alone":   {false, []float64{7}, []float64{0}},
	} {
		r := valued(c.maximize, c.values...).ranking(0)
		for i, v := range c.values {
			if got := r.of(v); got != c.want[i] {
				t.Errorf("%s: the rank of %g is %g, want %g", name, v, got, c.want[i])
			}
		}
		if got, want := r.at(0), slices.MinFunc(c.values, Objective{Maximize: c.maximize}.compare); got != want {
			t.Errorf("%s: the best is %g, want %g", name, got, want)
		}
	}
}

// Blur is the convolution with a Gaussian: of one cell it is the Gaussian itself, in any line of the grid.
func TestBlur(t *testing.T) {
	const n, apart, deviation = 21, 3, 2.5
	line := make([]float64, n*apart-apart+1)
	line[10*apart] = 1
	line[1] = 7 // of another line
	blur(line, apart, deviation)
	for i := range n {
		d := float64(i - 10)
		want := math.Exp(-d * d / (2 * deviation * deviation))
		if math.Abs(d) > 4*deviation {
			want = 0
		}
		if got := line[i*apart]; math.Abs(got-want) > 1e-12 {
			t.Errorf("cell %d is %g, want %g", i, got, want)
		}
	}
	if line[1] != 7 {
		t.Error("another line changed")
	}
}

// The map of a value that grows along one axis goes through the shades in their order from left to right, and is level from
// the bottom up.
func TestContour(t *testing.T) {
	s := Sweep{Objectives: []Objective{{Metric: "x"}}, Space: search.Space{
		{Name: "a", Kind: search.Float, Low: 0, High: 1, Parent: -1}, {Name: "b", Kind: search.Float, Low: 0, High: 1, Parent: -1},
	}}
	for i := range 400 {
		p := search.Point{(float64(i%20) + 0.5) / 20, (float64(i/20) + 0.5) / 20}
		s.Trials = append(s.Trials, Trial{Number: i, State: Done, Point: p, Values: []float64{math.Exp(5 * p[0])}})
	}
	cell := regexp.MustCompile(`class="cell h(\d)" x="([0-9.]+)" y="([0-9.]+)" width="[0-9.]+" height="([0-9.]+)"/>`)
	rows := map[string][]int{}
	for _, match := range cell.FindAllStringSubmatch(string(Contour(s, 0, 0, 1).SVG), -1) {
		var shade int
		fmt.Sscan(match[1], &shade)
		rows[match[3]] = append(rows[match[3]], shade)
	}
	if len(rows) != cellsUp {
		t.Fatalf("%d rows of cells, want %d", len(rows), cellsUp)
	}
	first := slices.Sorted(maps.Keys(rows))[0]
	for y, shades := range rows {
		if !slices.IsSorted(shades) || len(shades) < 8 {
			t.Errorf("at %s the shades are %v", y, shades)
		}
		if !slices.Equal(shades, rows[first]) {
			t.Errorf("at %s the shades are %v, and at %s %v", y, shades, first, rows[first])
		}
	}
	s.Trials = s.Trials[:enoughForMap-1]
	if c := Contour(s, 0, 0, 1); strings.Contains(string(c.SVG), "/><rect class=\"cell") || !strings.HasPrefix(c.Note, "Dots") {
		t.Errorf("a map of %d trials", len(s.Trials))
	}
}

// A trial passes below the axis of a parameter that it does not have, and through the place of one that it has.
func TestParallel(t *testing.T) {
	space, labels := denoising()
	s := Sweep{Objectives: []Objective{{Metric: "x"}}, Space: space, Labels: labels}
	nan := math.NaN()
	for i, p := range []search.Point{{0.01, 0.5, 0, 1, nan, 64}, {0.001, 0.1, 1, nan, 32, 64}} {
		s.Trials = append(s.Trials, Trial{Number: i, State: Done, Point: p, Values: []float64{float64(i)}})
	}
	c := Parallel(s, 0)
	lines := [][][2]float64{points(t, c, "curve thread h0"), points(t, c, "curve thread h8")}
	const foot, below = 380 - 18 - absent, 380 - 18.0 // of an axis, and of what is absent
	for i, line := range lines {
		for axis, p := range line[:len(space)] {
			gone := math.IsNaN(s.Trials[i].Point[axis])
			if gone != (p[1] == below) || !gone && p[1] > foot {
				t.Errorf("trial %d is at %v on axis %d", i, p, axis)
			}
		}
	}
	// 0.01 is two thirds of the way from 0.0001 to 0.1 in the logarithm.
	if want := foot - (foot-66)*(inset+(1-2*inset)*2/3); math.Abs(lines[0][0][1]-want) > 0.051 {
		t.Errorf("a learning rate of 0.01 is at %g, want %g", lines[0][0][1], want)
	}
}

// A few values far from the others do not push these together, and are counted.
func TestValueAxis(t *testing.T) {
	for name, c := range map[string]struct {
		values   []float64
		maximize bool
		beyond   int
	}{
		"even":      {[]float64{1, 2, 3, 4, 5}, false, 0},
		"one far":   {[]float64{1, 2, 3, 4, 1e6}, false, 1},
		"far below": {[]float64{1, 2, 3, 4, -1e6}, true, 1},
		"far good":  {[]float64{-1e6, 2, 3, 4, 5}, false, 0}, // a good one always has its place
		"same":      {[]float64{2, 2, 2, 2, 3}, false, 0},
		"one":       {[]float64{2}, false, 0},
	} {
		a := newValueAxis(c.values, Objective{Maximize: c.maximize})
		if a.beyond != c.beyond {
			t.Errorf("%s: %d beyond, want %d", name, a.beyond, c.beyond)
		}
		for _, v := range append(c.values, -1e9, 0, 1e9) {
			if p := a.Place(v); !(p >= 0 && p <= 1) {
				t.Errorf("%s: %g is at %g", name, v, p)
			}
		}
	}
}

func TestShortNames(t *testing.T) {
	s := Sweep{}
	for _, name := range []string{"train.learning_rate", "model.encoder.kind", "corrupt.kind", "seed", "kind.seed", "a.b.c", "b.c", "model.widths.0"} {
		s.Space = append(s.Space, search.Parameter{Name: name})
	}
	var got []string
	for i := range s.Space {
		got = append(got, s.short(i))
	}
	if want := []string{"learning_rate", "encoder.kind", "corrupt.kind", "seed", "kind.seed", "a.b.c", "b.c", "widths.0"}; !slices.Equal(got, want) {
		t.Errorf("short names %q, want %q", got, want)
	}
}

func TestText(t *testing.T) {
	for got, want := range map[string]string{
		value(0.0123456):                  "0.01235",
		value(0.02):                       "0.02000",
		value(-3):                         "−3",
		value(12345.6):                    "12346",
		value(1.5e-7):                     "1.5e−7",
		value(0.99999):                    "1.0000",
		value(math.Inf(1)):                "—",
		withInterval(0.01663, 0.00112):    "0.0166 ± 0.0011",
		withInterval(-20.5, 0):            "−20.50",
		withInterval(1234, 56):            "1234 ± 56",
		duration(1500 * time.Millisecond): "1.5 s",
		duration(99 * time.Second):        "99 s",
		duration(100 * time.Minute):       "100 min",
		duration(47 * time.Hour):          "47 h",
		duration(72 * time.Hour):          "3 days",
	} {
		if got != want {
			t.Errorf("wrote %q, want %q", got, want)
		}
	}
}

// Trials so far took 10 s in the mean. Two run, one of them since 4 s; three are to come: 6 + 10 + 30 s of work, two at a time.
func TestTimeLeft(t *testing.T) {
	s := Sweep{Budget: Budget{Trials: 8}, Started: started, Updated: started.Add(30 * time.Second), Trials: []Trial{
		{State: Done, Seconds: 12}, {State: Pruned, Seconds: 6}, {State: Failed, Seconds: 12},
		{State: Running, Seconds: 4}, {State: Running}, {State: Waiting},
	}}
	check := func(want time.Duration, known bool) {
		t.Helper()
		if left, ok := s.timeLeft(); left != want && known || ok != known {
			t.Errorf("left %v, %v; want %v, %v", left, ok, want, known)
		}
	}
	check(23*time.Second, true)
	s.Budget.Time = 40 * time.Second
	check(10*time.Second, true)
	s.Trials = nil
	check(10*time.Second, true)
	s.Budget.Time = 0
	check(0, false)
}

func TestTable(t *testing.T) {
	s := twoObjectives(3, 1)
	s.Best = []int{1}
	s.Trials[2].State, s.Trials[2].Values, s.Trials[2].Error = Failed, nil, "the loss became NaN\nin step 7"
	got := Table(s, 78)
	lines := strings.Split(got, "\n")
	// 55 trials of 20 s are to come, and 2 have 15 s to go; two at a time, that is 565 s.
	if want := "beta, running; 5 of 60 trials: 2 done, 1 failed, 2 running; about 9 min left"; lines[0] != want {
		t.Errorf("the head is %q, want %q", lines[0], want)
	}
	var order []string
	for _, line := range lines[2 : len(lines)-1] {
		if f := strings.Fields(line); len(f) > 1 {
			order = append(order, f[0]+" "+f[1])
		}
	}
	if list, want := strings.Join(order, ", "), "1 best, 3 running, 4 running, 2 failed, 0 done, without 2, trial 2"; list != want {
		t.Errorf("lines of %s, want %s in\n%s", list, want, got)
	}
	if !strings.Contains(got, "trial 2 failed: the loss became NaN in step 7\n") {
		t.Errorf("the error is not there:\n%s", got)
	}
}

// No table is wider than the terminal or higher than it says, whatever the sweep.
func TestTableFits(t *testing.T) {
	all := maps.Clone(samples())
	crowd := twoObjectives(40, 1)
	crowd.Name = strings.Repeat("long name ", 30)
	for i := range crowd.Trials[10:] {
		crowd.Trials[10+i].State = Running
	}
	crowd.Trials[9].State, crowd.Trials[9].Error = Failed, strings.Repeat("no ", 100)
	all["crowd"] = crowd
	for name, s := range all {
		for _, width := range []int{0, 20, 33, 80, 120, 400} {
			lines := strings.Split(strings.TrimSuffix(Table(s, width), "\n"), "\n")
			if len(lines) > 20 {
				t.Errorf("%s: %d lines", name, len(lines))
			}
			for _, line := range append(lines, strings.Split(ImportanceTable(s, width), "\n")...) {
				if n := utf8.RuneCountInString(line); n > max(width, 20) {
					t.Errorf("%s: a line of %d letters in a width of %d: %q", name, n, width, line)
				}
			}
		}
	}
}

func TestImportanceTable(t *testing.T) {
	s := Sweep{Objectives: []Objective{{Metric: "val_loss"}, {Metric: "unknown"}}, Importance: [][]Importance{{
		{"kind", 0.25, 0}, {"learning_rate", 0.75, 0.04}, {"noise", math.NaN(), 0},
	}}}
	// The bars have 13 of 40 letters: the names have 13, the shares 10, and 4 are between. Of 13, three quarters are 10, a quarter is 3.
	want := "importance for val_loss\n" +
		"learning_rate  ██████████     75 % ± 4 %\n" +
		"kind           ███            25 %\n"
	if got := ImportanceTable(s, 40); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The charts as they were when a person looked at them last; -update writes them anew.
func TestGolden(t *testing.T) {
	five, two := sample(5, 6), twoObjectives(12, 1)
	for name, c := range map[string]chart.Chart{
		"history": History(five, 0), "parallel": Parallel(five, 0), "slice": Slice(five, 0, 2), "contour": Contour(two, 0, 0, 1),
		"front": Front(two, 0, 1), "curves": Curves(five), "importances": Importances(five, 0), "empty": History(Sweep{Objectives: five.Objectives}, 0),
	} {
		file := filepath.Join("testdata", name+".svg")
		got := c.File()
		wellFormed(t, got)
		if _, err := c.PNG(1); err != nil {
			t.Errorf("%s as a PNG: %v", name, err)
		}
		if *update {
			if err := os.WriteFile(file, got, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is another; look at it, and run the test with -update if it is right", file)
		}
	}
}

func TestThin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		n, most := r.IntN(300), 1+r.IntN(50)
		list := make([]int, n)
		for i := range list {
			list[i] = i
		}
		got := thin(list, most)
		if len(got) != min(n, most) || n > 0 && got[len(got)-1] != n-1 || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("%d of %d are %v", most, n, got)
		}
	}
}

// BenchmarkRender is of a page of 10,000 trials.
func BenchmarkRender(b *testing.B) {
	s := sample(10000, 7)
	for b.Loop() {
		if err := Render(io.Discard, s); err != nil {
			b.Fatal(err)
		}
	}
}
