package diagnose_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"latent/pkg/diagnose"
	"latent/pkg/rundir"
)

// epochs are records with these training losses and, where there are any, validation losses.
func epochs(train []float64, validation ...float64) []rundir.Epoch {
	var records []rundir.Epoch
	for i, loss := range train {
		e := rundir.Epoch{Epoch: i + 1, TrainLoss: rundir.Number(loss)}
		if i < len(validation) {
			value := rundir.Number(validation[i])
			e.ValLoss = &value
		}
		records = append(records, e)
	}
	return records
}

func kinds(found []rundir.Warning) []string {
	var list []string
	for _, w := range found {
		list = append(list, w.Kind)
	}
	return list
}

// ramp are n samples of 4 values each that differ from each other.
func ramp(n int, scale float32) []float32 {
	var all []float32
	for i := range n {
		for j := range 4 {
			all = append(all, scale*float32((i*7+j*3)%11-5)/5)
		}
	}
	return all
}

// Each warning is raised by what it is about, and not by its neighbour.
func TestKinds(t *testing.T) {
	figures := func(mse, input float64) rundir.Result {
		return rundir.Result{Test: map[string]rundir.Number{"mse": rundir.Number(mse)}, Corrupted: map[string]rundir.Number{"mse": rundir.Number(input)}}
	}
	falling := epochs([]float64{1, 0.5, 0.3, 0.25, 0.22, 0.2}, 1, 0.55, 0.35, 0.3, 0.27, 0.26)
	still := epochs([]float64{1, 0.5, 0.2, 0.2, 0.2, 0.2, 0.2})
	layer := func(value func(unit, sample int) float32, bounded bool) []diagnose.Layer {
		l := diagnose.Layer{Name: "encoder.layer_1", Units: 10, Bounded: bounded}
		for sample := range 20 {
			for unit := range 10 {
				l.Values = append(l.Values, value(unit, sample))
			}
		}
		return []diagnose.Layer{l}
	}
	half := func(idle float32) func(unit, sample int) float32 {
		return func(unit, sample int) float32 {
			if unit < 9 {
				return idle
			}
			return float32(sample%5)/10 - 0.1
		}
	}
	fewer := func(idle float32) func(unit, sample int) float32 {
		return func(unit, sample int) float32 {
			if unit < 8 {
				return idle
			}
			return float32(sample%5)/10 - 0.1
		}
	}
	code := func(nats ...rundir.Number) rundir.Result {
		return rundir.Result{Likelihood: &rundir.Likelihood{Divergence: nats}}
	}
	used := func(n rundir.Number) rundir.Result {
		return rundir.Result{Test: map[string]rundir.Number{"entries_used": n}}
	}
	clean := ramp(40, 0.8)
	noisy, mean, wrong, right := slices.Clone(clean), make([]float32, len(clean)), slices.Clone(clean), slices.Clone(clean)
	for i := range clean {
		noisy[i] += 0.3 * float32(math.Sin(float64(i)))
		mean[i] = 0.01 * clean[i]
		if i%5 == 0 {
			wrong[i] = 1
			if clean[i] > 0 {
				wrong[i] = -1
			}
			right[i] = -wrong[i]
		}
	}
	shuffled := append(slices.Clone(clean[28:]), clean[:28]...)
	for name, c := range map[string]struct {
		facts diagnose.Facts
		want  string
	}{
		"nothing known":     {diagnose.Facts{}, ""},
		"sound":             {diagnose.Facts{Epochs: falling, Result: figures(0.1, 0.2), Clean: clean, Made: noisy, Values: 4, Validation: 100, ValidationLoss: 1, ValidationInterval: 0.1, Clipped: 0.5, LastBatch: 2}, ""},
		"worse":             {diagnose.Facts{Result: figures(0.2, 0.1)}, diagnose.WorseThanInput},
		"worse on others":   {diagnose.Facts{Result: figures(0.2, 0.1), Strange: true}, ""},
		"halving still":     {diagnose.Facts{Epochs: epochs([]float64{1, 0.0032, 0.0030, 0.0028, 0.0026, 0.0024, 0.0022})}, ""},
		"constant":          {diagnose.Facts{Clean: clean, Made: mean, Values: 4}, diagnose.ConstantOutput},
		"shuffled":          {diagnose.Facts{Clean: clean, Made: shuffled, Values: 4}, diagnose.NoBetterThanMean},
		"few samples":       {diagnose.Facts{Clean: clean[:40], Made: mean[:40], Values: 4}, ""},
		"wrong end":         {diagnose.Facts{Clean: clean, Made: wrong, Values: 4, Bounded: true}, diagnose.SaturatedOutput},
		"right end":         {diagnose.Facts{Clean: clean, Made: right, Values: 4, Bounded: true}, ""},
		"standing":          {diagnose.Facts{Epochs: still}, diagnose.Standstill},
		"never fell":        {diagnose.Facts{Epochs: epochs([]float64{1, 1.0001, 0.9999})}, diagnose.Standstill},
		"warming up":        {diagnose.Facts{Epochs: epochs([]float64{1, 2, 3, 2.5, 2.2}), Warmup: 3}, ""},
		"rising":            {diagnose.Facts{Epochs: epochs([]float64{1, 0.2, 0.9})}, diagnose.Jump},
		"rising a little":   {diagnose.Facts{Epochs: epochs([]float64{1, 0.2, 0.3})}, ""},
		"negative losses":   {diagnose.Facts{Epochs: epochs([]float64{500, -300, -310, -305})}, ""},
		"by heart":          {diagnose.Facts{Epochs: epochs([]float64{1, 0.5, 0.3, 0.25, 0.2}, 1, 0.6, 0.4, 0.45, 0.46)}, diagnose.Overfit},
		"far above":         {diagnose.Facts{Epochs: epochs([]float64{1, 0.5, 0.1, 0.05}, 1, 0.6, 0.5, 0.49)}, diagnose.Overfit},
		"above, not rising": {diagnose.Facts{Epochs: epochs([]float64{1, 0.5, 0.3, 0.25}, 1, 0.6, 0.5, 0.49)}, ""},
		"risen once":        {diagnose.Facts{Epochs: epochs([]float64{1, 0.5, 0.3, 0.25}, 1, 0.6, 0.4, 0.46)}, ""},
		"few held out":      {diagnose.Facts{Epochs: epochs([]float64{1, 0.9}, 1, 0.9), Validation: 4, ValidationLoss: 0.9, ValidationInterval: 0.3}, diagnose.SmallValidation},
		"few but enough":    {diagnose.Facts{Epochs: falling, Validation: 4, ValidationLoss: 0.26, ValidationInterval: 0.3}, ""},
		"few choices":       {diagnose.Facts{Result: used(10), Entries: 512, Choices: 100}, ""},
		"clipped":           {diagnose.Facts{Epochs: falling, Clipped: 0.99, ClipNorm: 1}, diagnose.AlwaysClipped},
		"one sample":        {diagnose.Facts{LastBatch: 1}, diagnose.OneSampleBatch},
		"colours":           {diagnose.Facts{Binarised: true}, diagnose.BinarisedColours},
		"dead":              {diagnose.Facts{Layers: layer(half(0), false)}, diagnose.DeadUnits},
		"some dead":         {diagnose.Facts{Layers: layer(fewer(0), false)}, ""},
		"tanh at an end":    {diagnose.Facts{Layers: layer(half(-1), true)}, diagnose.SaturatedUnits},
		"a constant":        {diagnose.Facts{Layers: layer(half(-1), false)}, ""},
		"collapsed":         {diagnose.Facts{Result: code(0.01, 0.02, 0)}, diagnose.PosteriorCollapse},
		"partly collapsed":  {diagnose.Facts{Result: code(3, 0, 0)}, ""},
		"unused":            {diagnose.Facts{Result: used(10), Entries: 512, Choices: 5120}, diagnose.UnusedEntries},
		"used":              {diagnose.Facts{Result: used(400), Entries: 512, Choices: 5120}, ""},
	} {
		found := diagnose.Run(c.facts)
		if got := strings.Join(kinds(found), " "); got != c.want {
			t.Errorf("%s: %q %v, want %q", name, got, found, c.want)
		}
		for _, w := range found {
			if !strings.Contains(w.Text, ";") && !strings.Contains(w.Text, ":") {
				t.Errorf("%s: %q names no cure", name, w.Text)
			}
		}
	}
}

// While a run trains, only what its training tells is found.
func TestEpoch(t *testing.T) {
	f := diagnose.Facts{Epochs: epochs([]float64{1, 0.2, 0.9}), Result: rundir.Result{Test: map[string]rundir.Number{"mse": 2}, Corrupted: map[string]rundir.Number{"mse": 1}}}
	if got := kinds(diagnose.Epoch(f)); !slices.Equal(got, []string{diagnose.Jump}) {
		t.Errorf("found %v", got)
	}
}
