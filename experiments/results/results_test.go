package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"latent/pkg/config"
	"latent/pkg/rundir"
)

// made returns runs with these figures of the test images, one for each.
func made(name string, values ...float64) []outcome {
	var runs []outcome
	for i, value := range values {
		manifest := rundir.NewManifest()
		manifest.Seed = int64(firstSeed + i)
		runs = append(runs, outcome{rundir.Result{Test: map[string]rundir.Number{name: rundir.Number(value)}}, manifest, ""})
	}
	return runs
}

// A bar is met or missed by the mean, and a part that was not run has no line.
func TestBars(t *testing.T) {
	var out bytes.Buffer
	writeBars(&out, measured{
		unet:     made("psnr", 24.7, 24.9, 25.0),
		conv:     made("psnr", 24.1, 24.2, 24.2),
		iwae:     made("nll_dyn", 87, 88, 86),
		vaeShort: made("nll_dyn", 88, 89, 87.5),
		vae:      made("nll_dyn", 88.5, 88.6, 88.7),
	})
	var lines []string
	for _, line := range strings.Split(out.String(), "\n") {
		if strings.HasSuffix(line, "met |") || strings.HasSuffix(line, "MISSED** |") {
			lines = append(lines, line)
		}
	}
	want := []string{
		"| PSNR of a U-Net at noise 0.5 | ≥ 24.8 dB | 24.87 ± 0.38 dB | 24.7, 24.9, 25 | met |",
		"| PSNR of a convolutional autoencoder with a code of 64 at noise 0.5 | ≥ 24.2 dB | 24.17 ± 0.14 dB | 24.1, 24.2, 24.2 | **MISSED** |",
		"| VAE: negative log-likelihood | ≤ 88.5 nats | 88.60 ± 0.25 nats | 88.5, 88.6, 88.7 | **MISSED** |",
		"| IWAE with 5 samples less VAE, equally many updates: negative log-likelihood | ≤ 0 nats | −1.17 ± 0.72 nats | −1, −1, −1.5 | met |",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// Every experiment's config is sound, and differs from the others in what it trains or how it is measured.
func TestTrials(t *testing.T) {
	t.Chdir("../..")
	t.Setenv("LATENT_DATA_DIR", t.TempDir())
	several := trials
	for _, p := range photos {
		several = append(several[:len(several):len(several)], p.trial)
	}
	several = append(several, digitTrial(3))
	for i, config := range []string{anomalyConfig, featuresConfig} {
		several = append(several, trial{config, config, set{fmt.Sprintf("set-%d", i), fmt.Sprintf("x%d.npz", i), config}.overrides(0)})
	}
	var all []*config.Experiment
	for _, trial := range several {
		e, err := config.Load(trial.config, trial.overrides...)
		if err != nil {
			t.Fatal(err)
		}
		for i, other := range all {
			if same, err := sameTraining(e, other); err != nil || same && reflect.DeepEqual(e.Evaluate, other.Evaluate) {
				t.Errorf("%s is the same as %s (%v)", trial.name, several[i].name, err)
			}
		}
		all = append(all, e)
		section, err := evaluation(e)
		if err != nil {
			t.Fatal(err)
		}
		measuredAgain, err := config.Load(trial.config, section...)
		if err != nil {
			t.Fatalf("%s: %v", section, err)
		}
		if !reflect.DeepEqual(measuredAgain.Evaluate, e.Evaluate) {
			t.Errorf("%s: evaluates %+v, want %+v", trial.name, measuredAgain.Evaluate, e.Evaluate)
		}
	}
}

func TestChoose(t *testing.T) {
	chosen, err := choose(trials, "iwae,vae")
	if err != nil || len(chosen) != 2 || chosen[0].name != iwae {
		t.Errorf("chose %v, %v", chosen, err)
	}
	if _, err := choose(trials, "iwae,nothing"); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("chose an experiment that there is not: %v", err)
	}
}

// Parts are asked for by their names, alone or among tables, and with everything.
func TestPartsOf(t *testing.T) {
	for only, want := range map[string]struct {
		tables string
		parts  []string
	}{"": {"", []string{"digits", "tiles", "features"}}, "features": {"", []string{"features"}}, "6_cardio": {"6_cardio", nil},
		"6_cardio,features,25_musk,digits": {"6_cardio,25_musk", []string{"features", "digits"}}} {
		tables, asked := partsOf(only)
		var names []string
		for _, p := range asked {
			names = append(names, p.name)
		}
		if tables != want.tables || !slices.Equal(names, want.parts) {
			t.Errorf("--only %q: tables %q, parts %q", only, tables, names)
		}
	}
}

// The table of features has a row for each class, and means of those that the config was chosen with and of the others.
func TestFeaturesTable(t *testing.T) {
	var all []set
	var found []detected
	for i := range featuresDecidedBy + 2 {
		s := set{name: fmt.Sprintf("MVTec-AD_%02d", i), config: featuresConfig}
		m := rundir.NewManifest()
		m.Data.Train, m.Data.Test, m.Result.Anomaly = 70, 30, &rundir.Anomaly{Score: "mae", NormalSamples: 24, Anomalies: 6}
		aurocs := map[string][]float64{"": {0.5, 0.7}}
		if i >= featuresDecidedBy {
			aurocs[""] = []float64{0.9}
		}
		for _, other := range names()[1:] {
			aurocs[other] = []float64{0.75}
		}
		all, found = append(all, s), append(found, detected{set: s, aurocs: aurocs, manifest: m})
	}
	var out bytes.Buffer
	writeFeatures(&out, found, all, 2)
	for _, want := range []string{
		"\n| 00 | 100 | 20.0 % | 0.600 | 0.750 | 0.750 | 0.750 | 0.750 | 0.750 |\n",
		"\n| **mean of 10** | | | **0.660** | 0.750 |", "\n| **mean of the 8 used for tuning** | | | **0.600** |", "\n| **mean of the 2 others** | | | **0.900** |",
		"with its score `mae`",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// Points on a line in three dimensions have one principal axis, along the line.
func TestPrincipal(t *testing.T) {
	rows := mat.NewDense(5, 3, nil)
	for i := range 5 {
		rows.SetRow(i, []float64{2 + 2*float64(i), 1 - float64(i), 3 + 2*float64(i)})
	}
	axes, err := principal(rows, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{2. / 3, -1. / 3, 2. / 3} {
		if got := axes.At(i, 0) * math.Copysign(1, axes.At(0, 0)); math.Abs(got-want) > 1e-12 {
			t.Errorf("axis %d: %g, want %g", i, got, want)
		}
	}
}

// The document is what its figures make: nothing in it was changed by hand, and each experiment that was measured has its row.
func TestPhotosDocument(t *testing.T) {
	t.Chdir("../..")
	l, err := readLedger(ledgerOf(photosPath))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	writePhotos(&text, l)
	committed, err := os.ReadFile(photosPath)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(committed) {
		t.Errorf("%s is not what %s makes; go run ./experiments/results --photos --found", photosPath, ledgerOf(photosPath))
	}
	for _, row := range l.Networks {
		if !strings.Contains(text.String(), row.Set68.Output.String()) {
			t.Errorf("%s with σ = %g has no row", row.Name, row.Sigma)
		}
	}
}
