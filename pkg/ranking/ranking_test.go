package ranking

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"latent/pkg/random"
)

func rank(t testing.TB, scores []float64, anomalous []bool) *Ranking {
	t.Helper()
	r, err := New(scores, anomalous)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// marks reads a string of anomalies (1) and normal samples (0).
func marks(text string) []bool {
	all := make([]bool, len(text))
	for i := range all {
		all[i] = text[i] == '1'
	}
	return all
}

// Small cases, by hand.
func TestByHand(t *testing.T) {
	for name, test := range map[string]struct {
		scores                        []float64
		marks                         string
		auroc, precision, alarms, top float64
		low, high                     float64 // of AUROC, where it does not rest on the normal distribution
		intervalKnown                 bool
	}{
		// Pairs: 4 above 3, 1; 2 above 1: 3 of 4. Precision 1 at recall ½, 2/3 at recall 1.
		"one mistake": {scores: []float64{4, 3, 2, 1}, marks: "1010", auroc: 0.75, precision: 0.5 + 0.5*2/3, alarms: 0.5, top: 0.5},
		// k = 2 pairs: 0.025^(1/2).
		"perfect": {scores: []float64{4, 3, 2, 1}, marks: "1100", auroc: 1, precision: 1, top: 1, low: math.Sqrt(0.025), high: 1, intervalKnown: true},
		// Precision 1/3 at recall ½, ½ at recall 1.
		"upside down": {scores: []float64{4, 3, 2, 1}, marks: "0011", precision: 0.5/3 + 0.25, alarms: 1, high: 1 - math.Sqrt(0.025), intervalKnown: true},
		// One step: precision is the part of anomalies, and the best two are any.
		"all equal": {scores: []float64{7, 7, 7, 7, 7}, marks: "11000", auroc: 0.5, precision: 0.4, alarms: 1, top: 0.4, low: 0.5, high: 0.5, intervalKnown: true},
		"one anomaly": {scores: []float64{1, 2, 3}, marks: "010", auroc: 0.5, precision: 0.5, alarms: 0.5, low: 0, high: 1,
			intervalKnown: true},
		// Place 2 is that of one of two.
		"tie at n": {scores: []float64{3, 2, 2, 1}, marks: "1100", auroc: 3.5 / 4, precision: 0.5 + 0.5*2/3, alarms: 0.5, top: 0.75},
		"zeros":    {scores: []float64{0, math.Copysign(0, -1)}, marks: "10", auroc: 0.5, precision: 0.5, alarms: 1, top: 0.5, low: 0.5, high: 0.5, intervalKnown: true},
	} {
		r := rank(t, test.scores, marks(test.marks))
		got := []float64{r.AUROC().Value, r.AveragePrecision(), r.FalseAlarms95(), r.PrecisionAtN()}
		for i, want := range []float64{test.auroc, test.precision, test.alarms, test.top} {
			if math.Abs(got[i]-want) > 1e-12 {
				t.Errorf("%s: %g, want %g %g %g %g", name, got, test.auroc, test.precision, test.alarms, test.top)
				break
			}
		}
		auroc := r.AUROC()
		if !(0 <= auroc.Low && auroc.Low <= auroc.Value && auroc.Value <= auroc.High && auroc.High <= 1) {
			t.Errorf("%s: AUROC %+v", name, auroc)
		}
		if test.intervalKnown && (math.Abs(auroc.Low-test.low) > 1e-12 || math.Abs(auroc.High-test.high) > 1e-12) {
			t.Errorf("%s: AUROC %+v, want from %g to %g", name, auroc, test.low, test.high)
		}
	}
}

// 95 % recall of 20 anomalies is 19 of them, not 20, and of 21 it is 20.
func TestFalseAlarms95(t *testing.T) {
	for text, want := range map[string]float64{
		strings.Repeat("1", 19) + "01":   0,
		strings.Repeat("1", 18) + "0110": 0.5,
		strings.Repeat("1", 19) + "011":  1,
	} {
		scores := make([]float64, len(text))
		for i := range scores {
			scores[i] = -float64(i)
		}
		if got := rank(t, scores, marks(text)).FalseAlarms95(); got != want {
			t.Errorf("%s: %g, want %g", text, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(-1)
	for want, test := range map[string]struct {
		scores []float64
		marks  string
	}{
		"3 scores, but 2 marks":         {[]float64{1, 2, 3}, "10"},
		"the score of sample 2 is NaN":  {[]float64{1, 2, nan}, "101"},
		"the score of sample 1 is -Inf": {[]float64{1, inf, nan}, "101"},
		"none of 2 is an anomaly":       {[]float64{1, 2}, "00"},
		"all 3 are anomalies":           {[]float64{1, 2, 3}, "111"},
		"there are none":                {nil, ""},
	} {
		if _, err := New(test.scores, marks(test.marks)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// Draws of scores whose AUROC is known, Φ(1/√2) for two normal distributions that lie 1 apart: DeLong's interval holds it in about
// 95 % of them, and a test of two equally good scores finds a difference in about 5 %.
func TestCoverage(t *testing.T) {
	const draws, m, n = 1000, 30, 100
	truth := math.Erfc(-1/math.Sqrt2/math.Sqrt2) / 2
	anomalous := make([]bool, m+n)
	for i := range m {
		anomalous[i] = true
	}
	held, found := 0, 0
	for draw := range draws {
		seed := random.NewSeed(1).Child(draw)
		var both [2]*Ranking
		common := seed.Child(2).Normal(m+n, math.Sqrt(0.5))
		for s := range both {
			scores := make([]float64, m+n)
			for i, z := range seed.Child(s).Normal(m+n, math.Sqrt(0.5)) {
				scores[i] = float64(z) + float64(common[i])
				if anomalous[i] {
					scores[i]++
				}
			}
			both[s] = rank(t, scores, anomalous)
		}
		if auroc := both[0].AUROC(); auroc.Low <= truth && truth <= auroc.High {
			held++
		}
		comparison, err := Compare(both[0], both[1])
		if err != nil {
			t.Fatal(err)
		}
		if comparison.P < 0.05 {
			found++
		}
		if significant := comparison.Low > 0 || comparison.High < 0; significant != (comparison.P < 0.05) {
			t.Fatalf("%+v: P and interval disagree", comparison)
		}
	}
	// Three standard errors of 5 % in 1,000 draws are 2 %, and DeLong's variance of 30 anomalies is not exact.
	if held < 930 || held > 975 {
		t.Errorf("%d of %d intervals hold the true area, want about 950", held, draws)
	}
	if found < 25 || found > 75 {
		t.Errorf("%d of %d tests find a difference where there is none, want about 50", found, draws)
	}
}

func TestCompare(t *testing.T) {
	anomalous := marks("1100")
	perfect, equal := rank(t, []float64{4, 3, 2, 1}, anomalous), rank(t, []float64{1, 1, 1, 1}, anomalous)
	if same, err := Compare(perfect, perfect); err != nil || same != (Comparison{P: 1}) {
		t.Errorf("the same scores: %+v, error %v", same, err)
	}
	for want, other := range map[string]*Ranking{
		"does not apply":        equal,
		"beside 1 and 3":        rank(t, []float64{1, 2, 3, 4}, marks("1110")),
		"2 normal and 2 anomal": rank(t, []float64{1, 2, 3}, marks("110")),
	} {
		if _, err := Compare(perfect, other); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	single := rank(t, []float64{1, 2}, marks("10"))
	if _, err := Compare(single, single); err == nil || !strings.Contains(err.Error(), "two or more of each") {
		t.Errorf("one sample of each kind: error %v", err)
	}
}

// large returns a ranking of so many samples, one in twenty an anomaly.
func large(t testing.TB, samples int) *Ranking {
	scores, anomalous := make([]float64, samples), make([]bool, samples)
	for i, z := range random.NewSeed(1).Normal(samples, 1) {
		scores[i], anomalous[i] = float64(z), i%20 == 0
		if anomalous[i] {
			scores[i]++
		}
	}
	return rank(t, scores, anomalous)
}

// The bootstrap gives the same bits on every number of cores and with every order of rounds, and no samples' order matters for values.
func TestBootstrap(t *testing.T) {
	r := large(t, 2000)
	want := r.Bootstrap(100, random.NewSeed(3))
	cores := runtime.GOMAXPROCS(1)
	alone := r.Bootstrap(100, random.NewSeed(3))
	runtime.GOMAXPROCS(cores)
	if alone != want {
		t.Errorf("on one core %+v, on %d %+v", alone, cores, want)
	}
	for name, e := range map[string]Estimate{"average precision": want.AveragePrecision, "false alarms": want.FalseAlarms95, "precision at n": want.PrecisionAtN} {
		if !(e.Low < e.Value && e.Value < e.High) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if want.AveragePrecision.Value != r.AveragePrecision() || want.FalseAlarms95.Value != r.FalseAlarms95() || want.PrecisionAtN.Value != r.PrecisionAtN() {
		t.Errorf("values %+v are not those without intervals", want)
	}
	if r.Bootstrap(100, random.NewSeed(4)) == want {
		t.Error("another seed draws the same")
	}
}

func TestRegions(t *testing.T) {
	mask := marks("" +
		"1100001" +
		"0010001" +
		"0000000" +
		"1010111" +
		"0100101" +
		"0000111")
	got, count := Regions(mask, 7)
	want := []int32{
		1, 1, 0, 0, 0, 0, 2,
		0, 0, 1, 0, 0, 0, 2,
		0, 0, 0, 0, 0, 0, 0,
		3, 0, 3, 0, 4, 4, 4,
		0, 3, 0, 0, 4, 0, 4,
		0, 0, 0, 0, 4, 4, 4,
	}
	if count != 4 || !slices.Equal(got, want) {
		t.Errorf("%d regions: %v", count, got)
	}
}

// By hand: ten normal pixels, a region of one pixel and one of two. Going down: the small region at rate 0, then half of the large
// one at 0.2, all at 1.
func TestPixels(t *testing.T) {
	pixels := Pixels{Most: 13}
	if err := pixels.Add([]float32{9, 0, 7, 5, 0, 0, 1}, marks("1001001"), 7); err != nil {
		t.Fatal(err)
	}
	// Regions so far: pixel 0; pixel 3; pixel 6. A picture without any:
	if err := pixels.Add([]float32{8, -1, -2, -3, -4, -5}, marks("000000"), 3); err != nil {
		t.Fatal(err)
	}
	got, err := pixels.Figures()
	if err != nil {
		t.Fatal(err)
	}
	// Pairs: 9 above all 10; 5 above 8 (not 8, 7); 1 above 8 too: 26 of 30.
	if want := 26. / 30; math.Abs(got.AUROC-want) > 1e-12 {
		t.Errorf("AUROC %g, want %g", got.AUROC, want)
	}
	// Overlap 1/3 from rate 0 to 0.2, then 1 from 0.2, where 5 and 1 come without a false alarm: (0.2/3 + 0.1·1)/0.3. The step from
	// rate 0.2 to the next, 0.5 (three zeros), is straight at overlap 1.
	if want := (0.2/3 + 0.1) / 0.3; math.Abs(got.PRO-want) > 1e-12 {
		t.Errorf("PRO %g, want %g", got.PRO, want)
	}
	if got.Normal != 10 || got.Anomalous != 3 || got.Regions != 3 {
		t.Errorf("%+v", got)
	}
	again, err := pixels.Figures()
	if err != nil || again != got {
		t.Errorf("asked again: %+v, error %v", again, err)
	}
	for want, add := range map[string]func() error{
		"1 more after 13 exceed the limit of 13":   func() error { return pixels.Add([]float32{1}, marks("0"), 1) },
		"2 scores and a mask of 3":                 func() error { return new(Pixels).Add([]float32{1, 2}, marks("000"), 1) },
		"must both be rows of 2":                   func() error { return new(Pixels).Add([]float32{1, 2, 3}, marks("000"), 2) },
		"rows of 0":                                func() error { return new(Pixels).Add(nil, nil, 0) },
		"the pixel in row 1, column 0 is NaN":      func() error { return new(Pixels).Add([]float32{1, 2, float32(math.NaN()), 0}, marks("0000"), 2) },
		"figures need normal and anomalous pixels": func() error { _, err := new(Pixels).Figures(); return err },
	} {
		if err := add(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// Placements of equal scores count half on both sides: their means are the area, by normal and by anomalous samples.
func TestPlacements(t *testing.T) {
	p := rank(t, []float64{3, 2, 2, 2, 1, 1}, marks("101101")).placements()
	// Anomalous 3, 2, 2, 1 beside normal 2, 1: above both; above 1, equal to 2; the same; equal to 1.
	if want := []float64{1, 0.75, 0.75, 0.25}; !slices.Equal(p[1], want) {
		t.Errorf("anomalous samples %g, want %g", p[1], want)
	}
	if want := []float64{(1 + 1) / 4., (3 + 0.5) / 4}; !slices.Equal(p[0], want) {
		t.Errorf("normal samples %g, want %g", p[0], want)
	}
}

// A region is followed to the left and upwards, and does not go around the picture's edge.
func TestRegionsTurn(t *testing.T) {
	got, count := Regions(marks(""+
		"00010"+
		"00100"+
		"10010"+
		"01100"+
		"00001"), 5)
	want := []int32{
		0, 0, 0, 1, 0,
		0, 0, 1, 0, 0,
		1, 0, 0, 1, 0,
		0, 1, 1, 0, 0,
		0, 0, 0, 0, 2,
	}
	if count != 2 || !slices.Equal(got, want) {
		t.Errorf("%d regions: %v", count, got)
	}
	if _, count := Regions(marks("001"+"100"), 3); count != 2 {
		t.Errorf("%d regions around the edge, want 2", count)
	}
}

// Where all scores are equal the curve is the straight line from (0, 0) to (1, 1): AUROC ½, and the area up to 0.3 is 0.045.
func TestPixelsAllEqual(t *testing.T) {
	var pixels Pixels
	if err := pixels.Add(make([]float32, 9), marks("110000001"), 3); err != nil {
		t.Fatal(err)
	}
	got, err := pixels.Figures()
	if err != nil || got.AUROC != 0.5 || math.Abs(got.PRO-0.15) > 1e-12 {
		t.Errorf("%+v, error %v, want AUROC 0.5 and PRO 0.15", got, err)
	}
}

// Keys keep the order of scores, and sort like any numbers.
func TestKeys(t *testing.T) {
	scores := []float32{-math.MaxFloat32, -3, -1e-45, 0, 1e-45, 2, math.MaxFloat32}
	for i := range scores[1:] {
		if orderly(scores[i]) >= orderly(scores[i+1]) {
			t.Errorf("%g is not below %g", scores[i], scores[i+1])
		}
	}
	if orderly(float32(math.Copysign(0, -1))) != orderly(0) {
		t.Error("-0 is not 0")
	}
	keys := make([]uint32, 10_000)
	for i := range keys {
		keys[i] = random.NewSeed(5).Block(uint32(i), 0)[0] >> (i % 32)
	}
	want := slices.Sorted(slices.Values(keys))
	if sortKeys(keys); !slices.Equal(keys, want) {
		t.Error("not sorted")
	}
}

func BenchmarkBootstrap(b *testing.B) {
	r := large(b, 50_000)
	for b.Loop() {
		r.Bootstrap(1000, random.NewSeed(1))
	}
}

func BenchmarkPixels(b *testing.B) {
	const side = 1000
	scores, mask := make([]float32, side*side), make([]bool, side*side)
	for i := range scores {
		mask[i] = i%side < 300 && i/side < 100
	}
	for b.Loop() {
		var pixels Pixels
		for picture := range 10 {
			copy(scores, random.NewSeed(int64(picture)).Uniform(len(scores)))
			if err := pixels.Add(scores, mask, side); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := pixels.Figures(); err != nil {
			b.Fatal(err)
		}
	}
}
