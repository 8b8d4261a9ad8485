package ranking

import (
	"math"
	"testing"

	"latent/pkg/pythontest"
	"latent/pkg/random"
)

// Figures are those of scikit-learn; DeLong's interval and test those of all pairs in NumPy; the bootstrap's intervals agree with one
// in NumPy but for its chance; pixels' figures are those of SciPy's regions and every threshold in turn.
func TestPython(t *testing.T) {
	python := pythontest.Interpreter(t, "../anomaly/testdata/requirements.txt")
	var expect struct {
		Rankings []struct {
			Name                                   string
			Scores, Other                          []float64
			Anomalous                              []bool
			AUROC, AveragePrecision, FalseAlarms95 [3]float64
			P, PrecisionAtN                        float64
		}
		Pixels struct {
			Pictures []struct {
				Width  int
				Scores []float32
				Mask   []bool
			}
			AUROC, PRO float64
			Regions    int
		}
	}
	pythontest.Expect(t, python, "testdata/expect.py", &expect)
	near := func(name string, got, want, tolerance float64) {
		t.Helper()
		if !(math.Abs(got-want) <= tolerance) {
			t.Errorf("%s: %.12g, want %.12g", name, got, want)
		}
	}
	for _, want := range expect.Rankings {
		r, other := rank(t, want.Scores, want.Anomalous), rank(t, want.Other, want.Anomalous)
		auroc := r.AUROC()
		for i, got := range []float64{auroc.Value, auroc.Low, auroc.High} {
			near(want.Name+" AUROC", got, want.AUROC[i], 1e-12)
		}
		comparison, err := Compare(r, other)
		if err != nil {
			t.Fatal(err)
		}
		near(want.Name+" P", comparison.P, want.P, 1e-10)
		figures := r.Bootstrap(1000, random.NewSeed(1))
		for _, f := range []struct {
			name string
			got  Estimate
			want [3]float64
		}{{"average precision", figures.AveragePrecision, want.AveragePrecision}, {"false alarms", figures.FalseAlarms95, want.FalseAlarms95}} {
			near(want.Name+" "+f.name, f.got.Value, f.want[0], 1e-12)
			// An end of 1,000 rounds is off by about 6 % of the interval's half width (the standard error of a 2.5 % quantile of normal draws).
			width := f.want[2] - f.want[1]
			t.Logf("%s %s: %.4f, in NumPy %.4f", want.Name, f.name, f.got, f.want)
			near(want.Name+" "+f.name+" low", f.got.Low, f.want[1], 0.15*width)
			near(want.Name+" "+f.name+" high", f.got.High, f.want[2], 0.15*width)
		}
		near(want.Name+" precision at n", r.PrecisionAtN(), want.PrecisionAtN, 0.01) // the mean of 400 orders there
	}
	var pixels Pixels
	for _, picture := range expect.Pixels.Pictures {
		if err := pixels.Add(picture.Scores, picture.Mask, picture.Width); err != nil {
			t.Fatal(err)
		}
	}
	figures, err := pixels.Figures()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", figures)
	near("pixels' AUROC", figures.AUROC, expect.Pixels.AUROC, 1e-12)
	near("PRO", figures.PRO, expect.Pixels.PRO, 1e-12)
	near("regions", float64(figures.Regions), float64(expect.Pixels.Regions), 0)
}
