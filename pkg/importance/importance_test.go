package importance

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"latent/pkg/search"
)

// golden is what Optuna and scikit-learn say; testdata/golden.py made it.
type golden struct {
	Small struct {
		Points        []search.Point
		Values        []float64
		Trees         []sklearnTree
		TreeVariances []float64    `json:"tree_variances"`
		Variances     [][]float64  // [trees, parameters]
		Importance    [][2]float64 // mean and deviation
	}
	Single struct {
		X       [][]float64
		Y       []float64
		Weights []int
		Tree    sklearnTree
	}
	Large struct {
		Points          []search.Point
		Values          []float64
		Mean, Deviation []float64
	}
}

type sklearnTree struct {
	Feature, Left, Right []int
	Threshold, Value     []float64
}

func (s sklearnTree) tree() *tree {
	t := &tree{}
	for i := range s.Feature {
		t.nodes = append(t.nodes, node{column: max(-1, s.Feature[i]), threshold: s.Threshold[i], left: s.Left[i], right: s.Right[i], value: s.Value[i]})
	}
	return t
}

func readGolden(t *testing.T) *golden {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return &g
}

// goldenSpace is that of golden.py.
var goldenSpace = search.Space{
	{Name: "a", Low: -1, High: 1, Parent: -1},
	{Name: "b", Low: 1e-4, High: 1e-1, Log: true, Parent: -1},
	{Name: "c", Kind: search.Int, Low: 1, High: 8, Parent: -1},
	{Name: "d", Kind: search.Choice, Options: 3, Parent: -1},
	{Name: "e", High: 1, Parent: -1},
	{Name: "f", Kind: search.Choice, Options: 2, Parent: -1},
}

// On the trees that scikit-learn has grown for Optuna, variances and their parts are Optuna's, to rounding.
func TestFANOVAOfOptunasTrees(t *testing.T) {
	g := readGolden(t).Small
	f, err := fit(goldenSpace, g.Points, g.Values, Options{Trees: 1})
	if err != nil {
		t.Fatal(err)
	}
	for k, theirs := range g.Trees {
		p := f.partition(theirs.tree())
		if want := g.TreeVariances[k]; math.Abs(p.variance-want) > 1e-9*want {
			t.Errorf("tree %d: variance %v, want %v", k, p.variance, want)
		}
		for i, want := range g.Variances[k] {
			if got := p.marginal(f.columns[i]); math.Abs(got-want) > 1e-9*g.TreeVariances[k] {
				t.Errorf("tree %d: of %s %v, want %v", k, goldenSpace[i].Name, got, want)
			}
		}
	}
	parts := make([][]float64, len(goldenSpace))
	for i := range parts {
		for k := range g.Trees {
			parts[i] = append(parts[i], g.Variances[k][i]/g.TreeVariances[k])
		}
	}
	shares, err := f.shares(parts)
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, importance := range g.Importance {
		total += importance[0]
	}
	for i, want := range g.Importance {
		if math.Abs(shares[i].Value-want[0]/total) > 1e-12 || math.Abs(shares[i].Deviation-want[1]/total) > 1e-12 {
			t.Errorf("%+v, want %v of %v", shares[i], want, total)
		}
	}
}

// A tree is that of scikit-learn, node by node; drawn twice counts twice. At a depth of 3, no two splits are as good.
func TestTreeOfScikitLearn(t *testing.T) {
	g := readGolden(t).Single
	x := make([][]float64, len(g.X[0]))
	orders := make([][]int32, len(x))
	for c := range x {
		for i := range g.X {
			x[c] = append(x[c], g.X[i][c])
			orders[c] = append(orders[c], int32(i))
		}
		slices.SortFunc(orders[c], func(a, b int32) int { return int(math.Copysign(1, x[c][a]-x[c][b])) })
	}
	got := growTree(x, g.Y, orders, g.Weights, 3, rand.New(rand.NewPCG(0, 0)))
	want := g.Tree.tree()
	if len(got.nodes) != len(want.nodes) {
		t.Fatalf("%d nodes, want %d", len(got.nodes), len(want.nodes))
	}
	for i, w := range want.nodes {
		n := got.nodes[i]
		if n.column != w.column || math.Abs(n.value-w.value) > 1e-12 || w.column >= 0 && (math.Abs(n.threshold-w.threshold) > 1e-12 ||
			n.left != w.left || n.right != w.right) {
			t.Errorf("node %d is %+v, want %+v", i, n, w)
		}
	}
}

// On the same 150 trials, with forests of our own: Optuna's mean share over ten seeds, within four standard errors of both means.
func TestFANOVAAgainstOptuna(t *testing.T) {
	g := readGolden(t).Large
	got := make([][]float64, len(goldenSpace))
	const seeds = 10
	for seed := range int64(seeds) {
		shares, err := FANOVA(goldenSpace, g.Points, g.Values, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		for i, share := range shares {
			got[i] = append(got[i], share.Value)
		}
	}
	for i, want := range g.Mean {
		mean, deviation := stat.MeanStdDev(got[i], nil)
		if limit := 4 * math.Hypot(deviation, g.Deviation[i]) / math.Sqrt(seeds); math.Abs(mean-want) > limit {
			t.Errorf("%s: %.4f ± %.4f, Optuna %.4f ± %.4f, limit %.4f", goldenSpace[i].Name, mean, deviation, want, g.Deviation[i], limit)
		}
	}
}

// trials draws points at random and their values.
func trials(space search.Space, n int, f func(search.Point) float64) (points []search.Point, values []float64) {
	r := rand.New(rand.NewPCG(7, 7))
	for range n {
		points = append(points, space.Random(r))
		values = append(values, f(points[len(points)-1]))
	}
	return points, values
}

// Of an additive function, shares of the variance are known. Of the mean squared error after a permutation, the growth by a
// parameter is twice its variance, hence the same shares.
func TestClosedForms(t *testing.T) {
	unit := func(name string) search.Parameter { return search.Parameter{Name: name, High: 1, Parent: -1} }
	for name, test := range map[string]struct {
		space   search.Space
		f       func(search.Point) float64
		options Options
		want    []float64 // FANOVA
		permute []float64
		within  float64
	}{
		// Var(3x) : Var(2y) : Var(z) = 9 : 4 : 1; the last does nothing.
		"linear": {
			space: search.Space{unit("x"), unit("y"), unit("z"), unit("nothing")},
			f:     func(p search.Point) float64 { return 3*p[0] + 2*p[1] + p[2] },
			want:  []float64{9. / 14, 4. / 14, 1. / 14, 0}, permute: []float64{9. / 14, 4. / 14, 1. / 14, 0}, within: 0.03,
		},
		// Var(x²) = 4/45, Var(y) = 1/12.
		"square": {
			space: search.Space{unit("x"), unit("y")},
			f:     func(p search.Point) float64 { return p[0]*p[0] + p[1] },
			want:  []float64{16. / 31, 15. / 31}, permute: []float64{16. / 31, 15. / 31}, within: 0.03,
		},
		// In its logarithm, log₁₀ of 10⁻⁴ … 1 has a variance of 4²/12; 4y the same.
		"logarithm": {
			space:   search.Space{{Name: "x", Low: 1e-4, High: 1, Log: true, Parent: -1}, unit("y")},
			f:       func(p search.Point) float64 { return math.Log10(p[0]) + 4*p[1] },
			options: Options{Log: true},
			want:    []float64{0.5, 0.5}, permute: []float64{0.5, 0.5}, within: 0.03,
		},
		// The variance of a choice among two, 0 or 1, is ¼; y's is 1/12.
		"choice": {
			space: search.Space{{Name: "x", Kind: search.Choice, Options: 2, Parent: -1}, unit("y"), {Name: "single", Kind: search.Choice, Options: 1, Parent: -1}},
			f:     func(p search.Point) float64 { return p[0] + p[1] },
			want:  []float64{0.75, 0.25, 0}, permute: []float64{0.75, 0.25, 0}, within: 0.03,
		},
		// y is there where x is 1, and f = x·y, so 0 elsewhere. Means over the other are x/2 and y/2, with variances 1/16 and 1/48.
		// A permutation of x makes every fourth trial 0 instead of y, an error of E[y²] = 1/3, and of every fourth ½ instead of 0:
		// 7/48. One of y, where it is there, ½·2·Var(y) = 4/48.
		"condition": {
			space: search.Space{{Name: "x", Kind: search.Choice, Options: 2, Parent: -1}, {Name: "y", High: 1, Parent: 0, Option: 1}},
			f: func(p search.Point) float64 {
				if p[0] == 0 {
					return 0
				}
				return p[1]
			},
			want: []float64{0.75, 0.25}, permute: []float64{7. / 11, 4. / 11}, within: 0.03,
		},
	} {
		t.Run(name, func(t *testing.T) {
			points, values := trials(test.space, 800, test.f)
			for method, of := range map[string]struct {
				shares func(search.Space, []search.Point, []float64, Options) ([]Share, error)
				want   []float64
			}{"FANOVA": {FANOVA, test.want}, "permutation": {Permutation, test.permute}} {
				shares, err := of.shares(test.space, points, values, test.options)
				if err != nil {
					t.Fatal(err)
				}
				total := 0.0
				for i, share := range shares {
					total += share.Value
					if share.Name != test.space[i].Name || math.Abs(share.Value-of.want[i]) > test.within || share.Deviation > 0.2 {
						t.Errorf("%s: %+v, want %.3f", method, share, of.want[i])
					}
				}
				if math.Abs(total-1) > 1e-12 {
					t.Errorf("%s: a sum of %v", method, total)
				}
			}
		})
	}
}

// Trees learn the noise of the trials that they have drawn, by any parameter; of the others', they foretell nothing by it.
func TestPermutationOfNoise(t *testing.T) {
	space := search.Space{{Name: "x", High: 1, Parent: -1}, {Name: "nothing", High: 1, Parent: -1}}
	r := rand.New(rand.NewPCG(1, 1))
	points, values := trials(space, 300, func(p search.Point) float64 { return p[0] + 0.3*r.NormFloat64() })
	shares, err := Permutation(space, points, values, Options{})
	if err != nil || shares[1].Value > 0.05 {
		t.Errorf("%+v, %v", shares, err)
	}
}

// The same trials and seed give the same bits; another seed, others; and a shift, a scale of the values, and values that are not
// finite change nothing that matters.
func TestSame(t *testing.T) {
	g := readGolden(t).Large
	for _, shares := range []func(search.Space, []search.Point, []float64, Options) ([]Share, error){FANOVA, Permutation} {
		of := func(values []float64, points []search.Point, seed int64) []Share {
			t.Helper()
			found, err := shares(goldenSpace, points, values, Options{Seed: seed, Trees: 8})
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		first := of(g.Values, g.Points, 1)
		if !slices.Equal(first, of(g.Values, g.Points, 1)) {
			t.Error("another result of the same")
		}
		if slices.Equal(first, of(g.Values, g.Points, 2)) {
			t.Error("the seed does nothing")
		}
		more := append(slices.Clone(g.Values), math.NaN(), math.Inf(1))
		if !slices.Equal(first, of(more, append(slices.Clone(g.Points), g.Points[0], g.Points[1]), 1)) {
			t.Error("values that are not finite count")
		}
		for _, scale := range []float64{1e-30, 1 << 40} {
			scaled := slices.Clone(g.Values)
			floats.Scale(scale, scaled)
			for i, share := range of(scaled, g.Points, 1) {
				if math.Abs(share.Value-first[i].Value) > 0.02 {
					t.Errorf("with values times %v: %+v, want %+v", scale, share, first[i])
				}
			}
		}
	}
}

// Values that differ by less than 1e-7 do differ: learning rates of 10⁻⁹ … 10⁻⁸.
func TestSmallNumbers(t *testing.T) {
	space := search.Space{{Name: "x", Low: 1e-9, High: 1e-8, Parent: -1}, {Name: "y", High: 1, Parent: -1}}
	points, values := trials(space, 200, func(p search.Point) float64 { return 1e8 * p[0] })
	shares, err := FANOVA(space, points, values, Options{})
	if err != nil || shares[0].Value < 0.95 {
		t.Errorf("%+v, %v", shares, err)
	}
}

func TestErrors(t *testing.T) {
	space := search.Space{{Name: "x", High: 1, Parent: -1}, {Name: "d", Kind: search.Choice, Options: 2, Parent: -1}}
	good := []search.Point{{0, 0}, {1, 1}, {0.5, 0}}
	for want, test := range map[string]struct {
		space  search.Space
		points []search.Point
		values []float64
		flat   bool
	}{
		"3 points and 2 values":                        {space, good, []float64{1, 2}, false},
		"1 trials have a finite value, but at least 2": {space, good, []float64{1, math.NaN(), math.Inf(1)}, false},
		"all 3 values are 5":                           {space, good, []float64{5, 5, 5}, true},
		"no tree of 2 trials splits":                   {space, []search.Point{{1, 1}, {1, 1}}, []float64{1, 2}, true},
		"x is 2, outside [0, 1]":                       {space, []search.Point{{2, 0}}, []float64{1}, false},
		"d is 2, but has 2 options":                    {space, []search.Point{{1, 2}}, []float64{1}, false},
		"point 0: it has 1 values":                     {space, []search.Point{{1}}, []float64{1}, false},
		"every parameter has only one value":           {search.Space{{Name: "x", Low: 1, High: 1, Parent: -1}}, []search.Point{{1}}, []float64{1}, false},
	} {
		_, err := FANOVA(test.space, test.points, test.values, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ErrFlat) != test.flat {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Permutation(space, []search.Point{{1, 1}, {1, 1}, {1, 1}}, []float64{1, 2, 3}, Options{}); !errors.Is(err, ErrFlat) {
		t.Errorf("permutation of trials that are all the same: %v", err)
	}
}

// 1,000 trials with 8 parameters.
func many() (search.Space, []search.Point, []float64) {
	space := slices.Concat(goldenSpace, search.Space{{Name: "g", High: 1, Parent: -1}, {Name: "h", Kind: search.Choice, Options: 12, Parent: -1}})
	points, values := trials(space, 1000, func(p search.Point) float64 { return p[0]*p[0] + math.Log(p[1]) + p[2]*p[6] + p[7] })
	return space, points, values
}

// A report waits for it: a second at most, of the processor's time, as the clock's depends on what else runs.
func TestSpeed(t *testing.T) {
	space, points, values := many()
	processor := func() time.Duration {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			t.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano())
	}
	began := processor()
	if _, err := FANOVA(space, points, values, Options{}); err != nil {
		t.Fatal(err)
	}
	if took := processor() - began; took > time.Second {
		t.Errorf("1,000 trials with 8 parameters took %v", took)
	}
}

func BenchmarkFANOVA(b *testing.B) {
	space, points, values := many()
	for b.Loop() {
		if _, err := FANOVA(space, points, values, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPermutation(b *testing.B) {
	space, points, values := many()
	for b.Loop() {
		if _, err := Permutation(space, points, values, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
