package survey

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"latent/pkg/search"
)

var pages = flag.String("pages", "", "a folder to write the sample pages and charts into, to be looked at")

// started is when the sample sweeps began.
var started = time.Date(2026, time.November, 24, 10, 15, 0, 0, time.UTC)

// denoising is a space with a choice, parameters under it, whole numbers and logarithms.
func denoising() (search.Space, [][]string) {
	return search.Space{
			{Name: "train.learning_rate", Kind: search.Float, Low: 1e-4, High: 1e-1, Log: true, Parent: -1},
			{Name: "corrupt.noise_factor", Kind: search.Float, Low: 0, High: 1, Parent: -1},
			{Name: "model.kind", Kind: search.Choice, Options: 2, Parent: -1},
			{Name: "model.encoder", Kind: search.Choice, Options: 3, Parent: 2, Option: 0},
			{Name: "model.channels", Kind: search.Int, Low: 8, High: 128, Log: true, Parent: 2, Option: 1},
			{Name: "train.batch_size", Kind: search.Int, Low: 16, High: 512, Log: true, Parent: -1},
		}, [][]string{nil, nil, {"dense", "convolution"},
			{"[256, 64]", "[256, 128, 64]", "[1024, 512, 256, 128, 64]"}, nil, nil}
}

// loss is a smooth function of a point of denoising, best at a learning rate of 0.003, with few parameters that matter.
func loss(p search.Point, r *rand.Rand) float64 {
	x := math.Log10(p[0] / 0.003)
	v := 0.02 + 0.03*x*x + 0.05*(p[1]-0.3)*(p[1]-0.3)
	if p[2] == 1 {
		v *= 0.8 + 0.1*math.Abs(math.Log2(p[4]/48))
	} else {
		v *= 1.1 - 0.1*p[3]
	}
	if p[0] > 0.05 {
		v *= 40 // about to diverge
	}
	return v * math.Exp(0.05*r.NormFloat64())
}

// sample is a sweep of n trials that goes on near the better third of those before, as TPE does, and prunes what is worse
// than the median on its way.
func sample(n int, seed uint64) Sweep {
	space, labels := denoising()
	s := Sweep{
		Name: "noise-lr", State: Done, Path: "runs/noise-lr", Command: "latent sweep configs/sweeps/noise-lr.yaml",
		Config: "base: ../glyphs/denoise.yaml\nobjective: val_loss\n", Objectives: []Objective{{Metric: "val_loss"}},
		Space: space, Labels: labels, Budget: Budget{Trials: n}, Started: started,
		Facts: []Fact{{"machine", "linux/amd64, 2 cores"}, {"strategy", "tpe"}},
	}
	r := rand.New(rand.NewPCG(seed, 1))
	var done []Trial
	var ends []float64 // values in the middle of the trials so far
	at := started
	for i := range n {
		p := space.Random(r)
		if len(done) > 10 && i%5 != 0 {
			good := done[r.IntN(len(done)/3+1)].Point
			for j, parameter := range space {
				p[j] = math.NaN()
				if !space.Has(p, j) {
					continue
				}
				u := r.Float64()
				if !math.IsNaN(good[j]) && (parameter.Kind != search.Choice || r.IntN(10) > 0) {
					u = parameter.Place(good[j])
					if parameter.Kind != search.Choice {
						u = min(max(u+0.08*r.NormFloat64(), 0), 1)
					}
				}
				p[j] = parameter.At(u)
			}
		}
		t := Trial{Number: i, Point: p, State: Done, Attempt: 1, Seconds: 8 + 4*r.Float64(), Run: fmt.Sprintf("trials/%04d/report.html", i)}
		final := loss(p, r)
		for epoch := 1; epoch <= 10; epoch++ {
			t.Curve = append(t.Curve, search.Report{Step: epoch, Value: final + 0.15*math.Exp(-float64(epoch)/2)*(1+0.1*r.NormFloat64())})
		}
		middle := t.Curve[4].Value
		switch {
		case i%23 == 17:
			t.State, t.Curve, t.Error = Failed, nil, "train: the loss became NaN in step 7: lower train.learning_rate"
		case len(ends) > 5 && middle > ends[len(ends)/2]*1.1:
			t.State, t.Curve = Pruned, t.Curve[:5]
			t.Values, t.Seconds = []float64{middle}, t.Seconds/2
		default:
			t.Values = []float64{final}
			at, _ := slices.BinarySearchFunc(done, final, func(a Trial, v float64) int { return cmp.Compare(a.Values[0], v) })
			done = slices.Insert(done, at, t)
		}
		if t.State != Failed {
			at, _ := slices.BinarySearch(ends, middle)
			ends = slices.Insert(ends, at, middle)
		}
		at = at.Add(time.Duration(t.Seconds * float64(time.Second)))
		t.Finished = at
		s.Trials = append(s.Trials, t)
	}
	s.Updated = at
	if len(done) > 0 {
		s.Best = []int{done[0].Number}
	}
	s.Importance = [][]Importance{{
		{"train.learning_rate", 0.71, 0.04}, {"model.kind", 0.12, 0.02}, {"corrupt.noise_factor", 0.1, 0.03},
		{"model.channels", 0.04, 0.01}, {"model.encoder", 0.02, 0.01}, {"train.batch_size", 0.01, 0.005},
	}}
	return s
}

// confirmed is a sample with what comes after the last trial.
func confirmed() Sweep {
	s := sample(60, 1)
	s.Confirm = &Confirmation{Trial: s.Best[0], Seeds: []int64{101, 102, 103}, Values: []float64{0.0162, 0.0171, 0.0166},
		Mean: 0.01663, Interval: 0.00112}
	picture := image.NewGray(image.Rect(0, 0, 96, 32))
	for i := range picture.Pix {
		picture.SetGray(i%96, i/96, color.Gray{Y: uint8(i * i / 7)})
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		panic(err)
	}
	s.Trials[s.Best[0]].Thumbnail = out.Bytes()
	return s
}

// twoObjectives is a sweep over β: the reconstruction's error grows with it, and the accuracy has its best on the way.
func twoObjectives(n int, seed uint64) Sweep {
	s := Sweep{
		Name: "beta", State: Running, Objectives: []Objective{{Metric: "reconstruction", Unit: "nats"}, {Metric: "probe_accuracy", Maximize: true}},
		Space: search.Space{
			{Name: "model.beta", Kind: search.Float, Low: 0.1, High: 30, Log: true, Parent: -1},
			{Name: "model.latent", Kind: search.Int, Low: 2, High: 12, Parent: -1},
		},
		Budget: Budget{Trials: 60}, Started: started, Updated: started.Add(20 * time.Minute), Curve: "val_loss",
	}
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range n {
		p := s.Space.Random(r)
		latent := math.Log(p[1])
		values := []float64{
			80 + 6*p[0] - 8*latent + 2*r.NormFloat64(),
			0.7 + 0.06*math.Log(p[0])*latent/2 - 0.012*math.Pow(math.Log(p[0]), 2) + 0.02*r.NormFloat64(),
		}
		s.Trials = append(s.Trials, Trial{Number: i, State: Done, Attempt: 1, Point: p, Values: values, Seconds: 20,
			Finished: started.Add(time.Duration(i*20) * time.Second)})
	}
	for i := range 2 {
		s.Trials = append(s.Trials, Trial{Number: n + i, State: Running, Attempt: 1 + i, Point: s.Space.Random(r), Seconds: 5,
			Curve: []search.Report{{Step: 1, Value: 120}}})
	}
	for _, a := range s.Trials[:n] {
		if !slices.ContainsFunc(s.Trials[:n], func(b Trial) bool {
			return b.Values[0] <= a.Values[0] && b.Values[1] >= a.Values[1] && b.Number != a.Number
		}) {
			s.Best = append(s.Best, a.Number)
		}
	}
	return s
}

// samples are sweeps in states of all kinds.
var samples = sync.OnceValue(func() map[string]Sweep {
	space, labels := denoising()
	none := Sweep{Name: "none", State: Running, Objectives: []Objective{{Metric: "val_loss"}}, Space: space, Labels: labels,
		Started: started, Updated: started, Budget: Budget{Trials: 20}}
	failed := sample(12, 3)
	failed.Name, failed.State, failed.Best = "failed", Failed, nil
	for i := range failed.Trials {
		failed.Trials[i].State, failed.Trials[i].Values, failed.Trials[i].Curve = Failed, nil, nil
		failed.Trials[i].Error = "build encoder.layer_1: input [128, 784] does not fit weights [256, 64]\nset model.encoder"
	}
	notFinite := sample(20, 4)
	notFinite.Name, notFinite.Best = "not finite", nil
	for i := range notFinite.Trials {
		for j := range notFinite.Trials[i].Values {
			notFinite.Trials[i].Values[j] = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[i%3]
		}
		for j := range notFinite.Trials[i].Curve {
			notFinite.Trials[i].Curve[j].Value = math.NaN()
		}
	}
	notFinite.Importance = [][]Importance{{{"train.learning_rate", math.NaN(), math.NaN()}}}
	one := sample(1, 5)
	one.Trials[0].Point = one.Trials[0].Point[:2] // of a smaller space
	return map[string]Sweep{
		"sixty": confirmed(), "two": twoObjectives(40, 1), "none": none, "failed": failed, "notfinite": notFinite, "one": one,
		"five": sample(5, 6), "many": sample(10000, 7), "nospace": {Objectives: []Objective{{Metric: "x"}}, Trials: []Trial{{State: Done, Values: []float64{1}}}},
	}
})

// With -pages DIR, the samples are written there.
func TestWritePages(t *testing.T) {
	if *pages == "" {
		return
	}
	for name, s := range samples() {
		var out bytes.Buffer
		if err := Render(&out, s); err != nil {
			t.Fatal(err)
		}
		write := func(file string, data []byte) {
			if err := os.WriteFile(filepath.Join(*pages, file), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		write(name+".html", out.Bytes())
		if name == "sixty" {
			write("history.svg", History(s, 0).File())
			write("contour.svg", Contour(s, 0, 0, 1).File())
			write("parallel.svg", Parallel(s, 0).File())
		}
		t.Logf("%s: %d bytes\n%s\n%s", name, out.Len(), Table(s, 100), ImportanceTable(s, 80))
	}
}
