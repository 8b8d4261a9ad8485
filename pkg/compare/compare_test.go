package compare

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"latent/pkg/array"
	"latent/pkg/chart/charttest"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
	"latent/pkg/runs"
)

// newRuns returns folders of runs that are done: each is changed, numbered from 0, before it is written.
func newRuns(t *testing.T, n int, change func(i int, e *config.Experiment, m *rundir.Manifest)) []runs.Entry {
	t.Helper()
	var entries []runs.Entry
	for i := range n {
		run, err := rundir.Create(t.TempDir(), "trial", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		defer run.Close()
		e, m := config.Default(), rundir.NewManifest()
		e.Name, e.Seed = "trial", int64(i)
		m.Started, m.ConfigSHA256, m.State = time.Now(), "0", rundir.Done
		m.Result.Test = map[string]rundir.Number{"psnr": rundir.Number(20 + i), "mse": 0.04}
		m.Result.Interval = map[string]map[string]rundir.Number{"test": {"psnr": 0.03}}
		change(i, e, m)
		m.Name, m.Seed = e.Name, e.Seed
		text, err := e.YAML()
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{run.WriteManifest(m), run.WriteConfig(text)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for step := 10; step <= 100; step += 10 {
			if err := run.AppendWindow(rundir.Window{Step: step, Loss: rundir.Number(float64(1+i) / float64(step))}); err != nil {
				t.Fatal(err)
			}
		}
		for epoch := 1; epoch <= 2; epoch++ {
			loss, psnr := rundir.Number(0.1*float64(1+i)), rundir.Number(20+i)
			if err := run.AppendEpoch(rundir.Epoch{Epoch: epoch, Step: 50 * epoch, Seconds: rundir.Number(2 + i), ValLoss: &loss, ValPSNR: &psnr}); err != nil {
				t.Fatal(err)
			}
		}
		entry, err := runs.Open(run.Path)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	return entries
}

func open(t *testing.T, entries []runs.Entry) *Comparison {
	t.Helper()
	c, err := Open(entries)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pictures are two of 2 × 2 pixels of one shade each.
func pictures(shade uint8) *dataset.Samples {
	s := &dataset.Samples{Height: 2, Width: 2, Channels: 1, Values: array.Values{Uint8: slices.Repeat([]uint8{shade}, 8)}}
	return s
}

// measured is a run's model whose PSNR is so much more than that of others.
func measured(gain float64) *experiment.Measured {
	return &experiment.Measured{Images: 2, Samples: "the same", Damage: "noise", Loss: "mse",
		Each:  map[string][]float64{"psnr": {20 + gain, 22 + 2*gain}, "loss": {0.1, 0.2}},
		First: evaluate.Samples{Clean: pictures(200), Damaged: pictures(10), Reconstructed: pictures(200 - uint8(gain))}}
}

func render(t *testing.T, c *Comparison) *html.Node {
	t.Helper()
	var out bytes.Buffer
	if err := c.Render(&out); err != nil {
		t.Fatal(err)
	}
	charttest.WellFormed(t, out.String())
	root, err := html.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// The page has what differs, the figures, the differences and the samples; two seeds are one curve with a band.
func TestPage(t *testing.T) {
	c := open(t, newRuns(t, 3, func(i int, e *config.Experiment, m *rundir.Manifest) {
		if i == 2 {
			e.Train.BatchSize = 32
		}
	}))
	for i, r := range c.Runs {
		r.Measured = measured(float64(i))
	}
	if got := fmt.Sprint(c.Groups[0].Name(), "; ", c.Groups[1].Name()); len(c.Groups) != 2 || got != "A, B trial, 2 seeds; C trial/"+c.Runs[2].ID() {
		t.Errorf("groups %s", got)
	}
	root := render(t, c)
	all := charttest.Text(root)
	for _, want := range []string{
		"seed 0 1 2",
		"train.batch_size 128 128 32",
		"PSNR dB 20.000 ± 0.030 21.000 ± 0.030 22.000 ± 0.030",
		"A, B trial, 2 seeds, 2 done 0.04000 20.5 ± 6.4", // t(1) = 12.7 times 1/√2 · √½
		"B − A +1.5 ± 6.4 p = 0.205 0 ± 0 p = 1.000",     // t = 3 at one degree of freedom: p = 1 − 2 atan(3)/π
		"damaged by the same draws",
		"input A B C target",
		"in a band from the lowest",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the page lacks %q:\n%s", want, all)
		}
	}
	if got := charttest.Count(root, "img"); got != 2*5 {
		t.Errorf("%d pictures, want 2 samples with 5", got)
	}
	if got := charttest.Count(root, "polygon"); got != 6 {
		t.Errorf("%d bands, want one in each of 6 charts", got)
	}
	if got := charttest.Count(root, "polyline"); got != 12 {
		t.Errorf("%d curves, want two in each of 6 charts", got)
	}
}

// Whatever a run's files say is text on the page.
func TestHostileText(t *testing.T) {
	const hostile = `"></td><script>alert('1')</script><img src=x onerror=alert(1)>`
	c := open(t, newRuns(t, 2, func(i int, e *config.Experiment, m *rundir.Manifest) {
		e.Output.Dir = hostile + fmt.Sprint(i)
		m.Result.Weights = hostile
	}))
	for _, r := range c.Runs {
		r.Path, r.Manifest.Name, r.Unpaired = "/"+hostile, hostile, hostile
		r.State = hostile
		r.warn("%s", hostile)
	}
	c.Groups = []Group{{Runs: c.Runs[:1]}, {Runs: c.Runs[1:]}} // whose folders are not read
	root := render(t, c)
	if n := charttest.Count(root, "script") + charttest.Count(root, "img"); n != 0 {
		t.Errorf("%d elements of the text", n)
	}
	if !strings.Contains(charttest.Text(root), hostile) {
		t.Error("the text is not there")
	}
}

// Runs are compared sample by sample only where that makes sense, and losses only where they are the same function.
func TestUnpaired(t *testing.T) {
	c := open(t, newRuns(t, 2, func(i int, e *config.Experiment, m *rundir.Manifest) {}))
	a, b := c.Runs[0], c.Runs[1]
	for name, test := range map[string]struct {
		change func(a, b *experiment.Measured)
		want   string
	}{
		"the same":      {func(a, b *experiment.Measured) {}, ""},
		"other samples": {func(a, b *experiment.Measured) { b.Samples = "others" }, "its test samples, or the scale of their values, are others"},
		"other damage":  {func(a, b *experiment.Measured) { b.Damage = "" }, "its test samples are damaged otherwise: not at all, and those of A: not at all"},
	} {
		a.Measured, b.Measured = measured(0), measured(1)
		test.change(a.Measured, b.Measured)
		if b.Unpaired = unpaired(a, b); b.Unpaired != test.want {
			t.Errorf("%s: %q, want %q", name, b.Unpaired, test.want)
		}
		if got := c.Differences(b) != nil; got != (test.want == "") {
			t.Errorf("%s: differences %v", name, got)
		}
	}
	a.Measured, b.Measured, b.Unpaired = measured(0), measured(1), ""
	b.Measured.Loss = "another"
	if _, found := c.Differences(b)["loss"]; found || len(c.Differences(b)) != 1 {
		t.Errorf("losses of two functions were compared: %v", c.Differences(b))
	}
	if got := c.lossNote(); !strings.HasPrefix(got, "No two losses") {
		t.Errorf("note %q", got)
	}
	b.Measured = nil
	if got := unpaired(a, b); got != "it was not measured" {
		t.Errorf("without figures: %q", got)
	}
	if got := unpaired(b, a); got != "B was not measured" {
		t.Errorf("without those of the base: %q", got)
	}
	render(t, c)
}

// A page of many runs has each in a row of its own.
func TestManyRuns(t *testing.T) {
	c := open(t, newRuns(t, 50, func(i int, e *config.Experiment, m *rundir.Manifest) { e.Train.BatchSize = 16 + i }))
	for i, r := range c.Runs {
		r.Measured = measured(float64(i))
	}
	all := charttest.Text(render(t, c))
	for _, want := range []string{"seed train.batch_size A 0 16", " 50 49 65 ", " 50 − A +74"} {
		if !strings.Contains(all, want) {
			t.Errorf("the page lacks %q:\n%s", want, all)
		}
	}
}

// The mean of a part of the steps weighs each window by its steps in it.
func TestLossIn(t *testing.T) {
	windows := []rundir.Window{{Step: 10, Loss: 4}, {Step: 40, Loss: 2}}
	for bins, want := range map[int][]float64{
		1: {(10*4 + 30*2) / 40.0},
		2: {(10*4 + 10*2) / 20.0, 2},
		4: {4, 2, 2, 2},
		8: {4, 4, 2, 2, 2, 2, 2, 2},
	} {
		if got := lossIn(windows, bins, 40); !slices.Equal(got, want) {
			t.Errorf("%d parts: %v, want %v", bins, got, want)
		}
	}
}

// Time goes on evenly within an epoch, and is not known after the last.
func TestClock(t *testing.T) {
	at := clock([]rundir.Epoch{{Step: 10, Seconds: 5}, {Step: 20, Seconds: 1}})
	for step, want := range map[float64]float64{0: 0, 5: 2.5, 10: 5, 15: 5.5, 20: 6, 21: math.NaN()} {
		if got := at(step); !same(got, want) {
			t.Errorf("step %g: %g seconds, want %g", step, got, want)
		}
	}
	if got := clock(nil)(1); !math.IsNaN(got) {
		t.Errorf("without epochs: %g seconds", got)
	}
}

// Records that make no sense make no curves, and no panic.
func TestStrangeRecords(t *testing.T) {
	for name, windows := range map[string][]rundir.Window{
		"step 0":       {{Step: 0, Loss: 1}},
		"steps back":   {{Step: 30, Loss: 1}, {Step: 10, Loss: 2}, {Step: 40, Loss: 3}},
		"no finite":    {{Step: 10, Loss: rundir.Number(math.NaN())}},
		"below 0":      {{Step: -10, Loss: 1}, {Step: 10, Loss: 1}},
		"far and back": {{Step: math.MaxInt, Loss: 1}, {Step: 1, Loss: 1}},
	} {
		g := Group{Runs: []*Run{{Windows: windows, Epochs: []rundir.Epoch{{Step: 10, Seconds: 1}, {Step: 10, Seconds: -1}}}}}
		for _, p := range g.trainingLoss() {
			if math.IsNaN(p.mean) {
				t.Errorf("%s: a point without a value", name)
			}
		}
	}
}
