package query

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"latent/pkg/rundir"
	"latent/pkg/runs"
)

// record is a run with some of everything; bare one with nothing but a name.
func record() *Record {
	m := rundir.NewManifest()
	m.Name, m.State, m.Seed, m.Started = "first", rundir.Done, 7, time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	m.Timings = map[string]float64{"train": 90}
	m.Result.Test = map[string]rundir.Number{"psnr": 21.5, "mse": 0.01, "odd": rundir.Number(math.NaN())}
	m.Result.Corrupted = map[string]rundir.Number{"psnr": 16}
	m.Result.BestEpoch, m.Result.BestValidationLoss = 3, 0.02
	m.Warnings = []rundir.Warning{{}}
	return &Record{
		Entry:  runs.Entry{Path: "runs/first/2026-11-24T10-00-00-aaaa", State: rundir.Done, Manifest: m},
		Labels: rundir.Labels{Tags: []string{"good"}, Note: "a note"},
		Config: map[string]any{"train.learning_rate": 0.01, "train.loss": "mse", "train.epochs": 3, "model.kind": "vae", "model.encoder": "[16, 8]", "train.checkpoint_activations": true, "corrupt.noise_factor": 0.3, "data.dataset": "fashion-mnist"},
		Trial:  &Trial{Number: 4, Objective: 0.5},
	}
}

func bare() *Record {
	return &Record{Entry: runs.Entry{Path: "runs/bare/x", State: runs.Damaged, Manifest: rundir.NewManifest()}}
}

func TestMatch(t *testing.T) {
	full, empty := record(), bare()
	fields := FieldsOf([]*Record{full, empty})
	for text, want := range map[string]bool{
		`train.learning_rate>0.001 && model.kind=="vae"`:                  true,
		`train.learning_rate>0.001 and model.kind==vae`:                   true,
		`vae == model.kind`:                                               true,
		`model.kind != vae || state == failed`:                            false,
		`state in [done, failed]`:                                         true,
		`state not in [done, failed]`:                                     false,
		`seed in [6, 7]`:                                                  true,
		`model.encoder in ["[16, 8]", 16]`:                                true,
		`psnr > 20 and test.mse <= 0.01`:                                  true,
		`train.loss == mse`:                                               true, // a figure, too, but of another kind
		`train.loss in [mse, bce]`:                                        true,
		`gain > 5.4 && gain < 5.6`:                                        true,
		`test.psnr - corrupted.psnr == gain`:                              true,
		`-train.learning_rate < 0`:                                        true,
		`train.epochs / 2 == 1.5`:                                         true,
		`duration >= 90 && warnings == 1 && best_epoch == 3`:              true,
		`val.loss < 0.05 && trial == 4 && objective == 0.5`:               true,
		`"good" in tags`:                                                  true,
		`good in tags`:                                                    true,
		`"bad" not in tags`:                                               true,
		`has(tags) && has(note) && !has(error)`:                           true,
		`name startsWith fir && name endsWith "st"`:                       true,
		`name matches "^f.*t$"`:                                           true,
		`data.dataset == "fashion-mnist"`:                                 true,
		`note contains note`:                                              true, // both are the same field
		`started > "2026-11" && started < "2026-12"`:                      true,
		`train.checkpoint_activations`:                                    true,
		`!train.checkpoint_activations`:                                   false,
		`train.checkpoint_activations == false`:                           false,
		`corrupt.noise_factor > 0.2`:                                      true,
		`model.encoder == "[16, 8]"`:                                      true,
		`model.encoder > 3`:                                               false, // two numbers are not one
		`model.encoder contains "16"`:                                     true,
		`corrupt.noise_factor == model.encoder`:                           false,
		`0.01 < train.learning_rate < 1`:                                  false,
		`0.001 < train.learning_rate < 1`:                                 true,
		`test.odd > 0 || test.odd <= 0`:                                   false, // NaN
		`true`:                                                            true,
		`train.ema > 0`:                                                   false, // not in this config
		`train.ema != 5`:                                                  false,
		`!(train.ema > 0)`:                                                true,
		`has(train.ema)`:                                                  false,
		strings.Repeat("(", 400) + "psnr > 20" + strings.Repeat(")", 400): true,
	} {
		condition, err := Compile(text, fields)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := condition.Match(full); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
		// What a damaged run has not is false, and no error.
		if _, err := condition.Match(empty); err != nil {
			t.Errorf("%s of a damaged run: %v", text, err)
		}
	}
	for _, text := range []string{`psnr < 100`, `psnr != 3`, `seed == 0`, `good in tags`, `train.checkpoint_activations`, `model.encoder != 3`, `duration < 1e9`} {
		condition, err := Compile(text, fields)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := condition.Match(empty); err != nil || got {
			t.Errorf("%s of a damaged run: %v, %v; want false", text, got, err)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	fields := FieldsOf([]*Record{record()})
	for text, want := range map[string]string{
		`train.learning_rat > 1`:         `train.learning_rat is no field; did you mean train.learning_rate?`,
		`learning_rate > 1`:              `learning_rate is no field; did you mean train.learning_rate?`,
		`test.pnsr > 1`:                  `did you mean test.psnr?`,
		`pnsr > 1`:                       `did you mean psnr?`,
		`stat == done`:                   `stat is no field; did you mean state?`,
		`zzzzzz == 1`:                    `zzzzzz is no field`,
		`has(zzzzzz)`:                    `zzzzzz is no field`,
		`psnr > "a"`:                     `character 6: psnr is a number, and "a" a text: they cannot be compared`,
		`psnr > good`:                    `they cannot be compared`,
		`psnr`:                           `psnr is no condition but a number`,
		`psnr + 1`:                       `is no condition`,
		`state == done and`:              `character`,
		`name == mnist-denoise`:          `mnist is no field`,
		`backend == xla:cpu`:             `wants quotes`,
		`tags contains good`:             `write good in tags`,
		`1 in tags`:                      `tags are texts`,
		`name in [1]`:                    `1 is no text, as name is`,
		`name in state`:                  `behind in, want tags or a list`,
		`name matches "("`:               `missing closing`,
		`name matches state`:             `regular expression in quotes`,
		`state > true`:                   `cannot be compared`,
		``:                               `character`,
		`all(1..1000000, # > 0)`:         `is no condition`,
		`len(1..1000000000) > 1`:         `nothing to compare`,
		`repeat("a", 1000000000) == "a"`: `nothing to compare`,
		`let x = 1; x == 1`:              `is no condition`,
		`psnr > 1; true`:                 `is no condition`,
		`{"a": 1} == 1`:                  `nothing to compare`,
		`(seed ?? 1) == 1`:               `nothing to compare`,
		`state ? true : false`:           `is no condition`,
		`tags[0] == "good"`:              `is no field`,
		`train?.epochs == 1`:             `character`,
		`name.length > 3`:                `name.length is no field`,
		strings.Repeat("a", 3000):        `a condition of 3000 bytes; it can have 2000`,
		"seed" + strings.Repeat("+1", 500) + " > 1": `exceeds`,
	} {
		_, err := Compile(text, fields)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: %v; want %q", text, err, want)
		}
	}
}

func TestOrder(t *testing.T) {
	low, high, none := record(), record(), bare()
	high.Manifest.Seed, high.Manifest.Result.Test["psnr"], low.Manifest.Result.Test = 8, 30, map[string]rundir.Number{"psnr": 20, "mse": 0.001}
	high.Config = map[string]any{"train.learning_rate": 0.1}
	high.Trial = &Trial{Objective: 2, Maximize: true}
	low.Trial = &Trial{Objective: 1, Maximize: true}
	for _, test := range []struct {
		field   string
		reverse bool
		first   *Record
	}{
		{"seed", false, low}, {"seed", true, high}, {"test.psnr", false, high}, {"test.psnr", true, low}, {"test.mse", false, low},
		{"train.learning_rate", false, low}, {"train.learning_rate", true, high}, {"objective", false, high}, {"objective", true, low},
	} {
		records := []*Record{none, low, high}
		slices.SortStableFunc(records, Order(test.field, test.reverse))
		if records[0] != test.first || records[2] != none {
			t.Errorf("%s, reverse %v: the wrong one comes first, or what has it not does not come last", test.field, test.reverse)
		}
	}
}

// Whatever is typed is an error or a condition that ends.
func FuzzCompile(f *testing.F) {
	f.Add(`train.learning_rate>0.001 && model.kind=="vae" || "good" in tags`)
	f.Add(`has(psnr) and not (seed in [1, 2])`)
	f.Add(`model.encoder - 1 < corrupt.noise_factor`)
	full, empty := record(), bare()
	fields := FieldsOf([]*Record{full})
	f.Fuzz(func(t *testing.T, text string) {
		condition, err := Compile(text, fields)
		if err != nil {
			return
		}
		for _, r := range []*Record{full, empty} {
			if _, err := condition.Match(r); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

// BenchmarkOrder sorts 10,000 runs by a figure.
func BenchmarkOrder(b *testing.B) {
	var all []*Record
	for i := range 10000 {
		m := rundir.NewManifest()
		m.Result.Test = map[string]rundir.Number{}
		for j, name := range []string{"psnr", "ssim", "mse", "mae", "loss"} {
			m.Result.Test[name] = rundir.Number((i*7919 + j) % 10007)
		}
		all = append(all, &Record{Entry: runs.Entry{Manifest: m}})
	}
	for b.Loop() {
		slices.SortStableFunc(slices.Clone(all), Order("test.psnr", false))
	}
}
