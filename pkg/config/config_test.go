package config

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/scale"
)

// TestBadConfigs holds the words of every error: testdata/bad has a file for each subject.
func TestBadConfigs(t *testing.T) {
	paths, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string]string{}
			for _, file := range archive.Files {
				parts[file.Name] = string(file.Data)
			}
			var overrides []string
			if text := strings.TrimSpace(parts["overrides"]); text != "" {
				overrides = strings.Split(text, "\n")
			}
			_, err = Parse("config.yaml", []byte(parts["config.yaml"]), overrides...)
			if err == nil {
				t.Fatal("accepted")
			}
			if problems := Problems(nil); !errors.As(err, &problems) {
				t.Fatalf("error is a %T, want Problems", err)
			}
			got := err.Error() + "\n"
			if *update {
				files := archive.Files[:0]
				for _, file := range archive.Files {
					if file.Name != "problems" {
						files = append(files, file)
					}
				}
				archive.Files = append(files, txtar.File{Name: "problems", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(parts["problems"], got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestUnreadable is for what a text file in testdata cannot hold.
func TestUnreadable(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"empty":   {"", "x.yaml:1:1: empty; write what differs from the defaults, such as name: my-experiment"},
		"null":    {"~", "x.yaml:1:1: empty; write what differs from the defaults, such as name: my-experiment"},
		"latin-1": {"seed: 1\nname: caf\xe9", "x.yaml:2:10: not UTF-8; save the file in that encoding"},
		"utf-16":  {"\xff\xfes\x00", "x.yaml:1:1: not UTF-8; save the file in that encoding"},
		"escape":  {"name: é\x1b[2J", "x.yaml:1:8: control character U+001B; remove it"},
		"long":    {strings.Repeat(" ", maxBytes+1), "x.yaml: more than 1048576 bytes, the most that is read; is this a config?"},
		"deep":    {strings.Repeat("[", 20000), "x.yaml:1:1: not YAML: exceeded max depth of 10000"},
		"hidden":  {`"a\e[2Jb": 1`, `x.yaml:1:1: "a\x1b[2Jb": unknown key; allowed here: name, seed, backend, threads, data, corrupt, model, train, evaluate, output, tracking`},
		"long name": {strings.Repeat("x", 100) + ": 1",
			"x.yaml:1:1: " + strings.Repeat("x", 60) + "…: unknown key; allowed here: name, seed, backend, threads, data, corrupt, model, train, evaluate, output, tracking"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(test.text))
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v\nwant  %s", err, test.want)
			}
		})
	}
}

// A megabyte of nonsense is read quickly, and ends in a page of problems.
func TestManyProblems(t *testing.T) {
	var text strings.Builder
	for text.Len() < maxBytes-20 {
		text.WriteString("k" + strings.Repeat("x", text.Len()%7) + number(float64(text.Len())) + ": 1\n")
	}
	_, err := Parse("x.yaml", []byte(text.String()))
	problems := Problems(nil)
	if !errors.As(err, &problems) || len(problems) != maxProblems+1 {
		t.Fatalf("%d problems, want %d", len(problems), maxProblems+1)
	}
	if got, want := problems[maxProblems].String(), "x.yaml: there may be more; mend these first"; got != want {
		t.Errorf("last problem %q, want %q", got, want)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "my first.yaml")
	if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	e, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Name = "my-first"
	if diff := cmp.Diff(yamlOf(t, want), yamlOf(t, e)); diff != "" {
		t.Errorf("an empty mapping is not the default: -want +got:\n%s", diff)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): filepath.Join(dir, "none.yaml") + ": no such file or directory",
		dir:                             dir + ": is a directory",
	} {
		if _, err := Load(path); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestNameOf(t *testing.T) {
	for path, want := range map[string]string{
		"configs/mnist/denoise.yaml":      "denoise",
		"a b/été 2.yml":                   "t-2",
		".yaml":                           "experiment",
		"-":                               "experiment",
		strings.Repeat("a", 200) + ".yml": strings.Repeat("a", 100),
	} {
		if got := nameOf(path); got != want {
			t.Errorf("nameOf(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestOverrides(t *testing.T) {
	file := `
corrupt: {kind: gaussian, noise_factor: 0.3}
model: {encoder: [256, 64]}
data: {dataset: mnist, validation: 100}
evaluate:
train: {epochs: 3}
`
	for override, check := range map[string]func(*Experiment) (got, want any){
		"train.epochs=7":             func(e *Experiment) (got, want any) { return e.Train.Epochs, 7 },
		"train={batch_size: 9}":      func(e *Experiment) (got, want any) { return e.Train.Epochs, 10 }, // the default again
		"model.encoder=[8,4]":        func(e *Experiment) (got, want any) { return e.Model.(*model.Dense).Encoder, []int{8, 4} },
		"model.encoder.1=4":          func(e *Experiment) (got, want any) { return e.Model.(*model.Dense).Encoder, []int{256, 4} },
		"output.grid.rows=2":         func(e *Experiment) (got, want any) { return e.Output.Grid.Rows, 2 },
		"output.dir=a=b":             func(e *Experiment) (got, want any) { return e.Output.Dir, "a=b" },
		`output.dir=""`:              func(e *Experiment) (got, want any) { return e.Output.Dir, "" },
		"corrupt.noise_factor=0.5":   func(e *Experiment) (got, want any) { return e.Corrupt.Caption(), "gaussian 0.5" },
		"corrupt.noise_factor=[0,1]": func(e *Experiment) (got, want any) { return e.Corrupt.Caption(), "gaussian 0…1" },
		"corrupt={kind: none}":       func(e *Experiment) (got, want any) { return e.Corrupt.Caption(), "none" },
		"corrupt=[]":                 func(e *Experiment) (got, want any) { return len(e.Corrupt), 0 },
		"corrupt=[{kind: gaussian}]": func(e *Experiment) (got, want any) { return e.Corrupt.Caption(), "gaussian 0.3" },
		"data.dataset=glyphs": func(e *Experiment) (got, want any) { // keeps the key that both have
			return e.Data.(*dataset.Glyphs).Holdout, dataset.Holdout{Validation: 100, Resident: "auto"}
		},
		"name=other": func(e *Experiment) (got, want any) { return e.DatasetName() + e.Name, "mnistother" },
	} {
		t.Run(override, func(t *testing.T) {
			e, err := Parse("x.yaml", []byte(file), override, "seed=3", "evaluate.seed=4")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := check(e); !reflect.DeepEqual(got, want) || e.Seed != 3 {
				t.Errorf("%v and seed %d, want %v and 3", got, e.Seed, want)
			}
		})
	}
}

// Problem finds the place of what only loading the data shows.
func TestProblem(t *testing.T) {
	e, err := Parse("x.yaml", []byte("data:\n  validation: 9\nmodel: {encoder: [3, 4]}\n"), "train.epochs=3")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"data.validation":     "x.yaml:2:3: data.validation: bad",
		"data.dir":            "x.yaml:1:1: data.dir: bad", // not written: the section's place
		"model.encoder.1":     "x.yaml:3:22: model.encoder.1: bad",
		"train.epochs":        "override train.epochs=3: bad",
		"train.learning_rate": "override train.epochs=3: train.learning_rate: bad",
		"seed":                "x.yaml: seed: bad",
	} {
		if got := e.Problem(key, "%s", "bad").Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got, want := Default().Problem("seed", "bad").Error(), "seed: bad"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func yamlOf(t interface{ Fatal(...any) }, e *Experiment) string {
	text, err := e.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What YAML writes is what Parse reads, for every experiment; and the schema agrees.
func TestRoundTrip(t *testing.T) {
	schema := compileSchema(t, "experiment", Schema())
	rapid.Check(t, func(t *rapid.T) {
		e := Default()
		draw(t, reflect.ValueOf(e).Elem())
		settle(e)
		resetIdle(e)
		text := yamlOf(t, e)
		again, err := Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(e, again, cmpopts.IgnoreFields(Experiment{}, "source", "paths"), cmpopts.EquateEmpty(),
			cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Fatalf("-want +got:\n%s\n%s", diff, text)
		}
		if err := schema.Validate(asEditor(t, text)); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}

// draw fills a struct with values that its tags allow.
func draw(t *rapid.T, into reflect.Value) {
	for _, f := range fieldsOf(into.Type()) {
		drawField(t, f, into.FieldByIndex(f.index))
	}
}

func drawField(t *rapid.T, f field, into reflect.Value) {
	label := f.doc
	switch {
	case f.isKind():
		table := kindsOf(f.typ)
		value := reflect.ValueOf(table[rapid.SampledFrom(table.names()).Draw(t, label)]())
		draw(t, value.Elem())
		into.Set(value)
	case f.typ.Kind() == reflect.Slice:
		count := rapid.IntRange(max(0, f.minItems), 4).Draw(t, label)
		into.Set(reflect.MakeSlice(f.typ, count, count))
		for i := range count {
			drawField(t, f.element(), into.Index(i))
		}
	case f.isRange():
		drawField(t, f.element(), into.Index(0))
		drawField(t, f.element(), into.Index(1))
		if low, high := into.Index(0).Float(), into.Index(1).Float(); low > high {
			into.Index(0).SetFloat(high)
			into.Index(1).SetFloat(low)
		}
	case f.typ.Kind() == reflect.Struct:
		draw(t, into)
	case f.typ.Kind() == reflect.Bool:
		into.SetBool(rapid.Bool().Draw(t, label))
	case f.enum != nil:
		into.SetString(rapid.SampledFrom(f.enum).Draw(t, label))
	case f.pattern != nil:
		into.SetString(rapid.StringMatching(f.pattern.String()).Draw(t, label))
	case f.typ.Kind() == reflect.String:
		into.SetString(rapid.String().Draw(t, label))
	case f.typ.Kind() == reflect.Float64:
		x := rapid.Float64Range(max(f.minimum, f.above, -1e300), min(f.maximum, f.below, 1e300)).Draw(t, label)
		if !f.allows(x) {
			x = 0.5 // an open end: every range holds it
		}
		into.SetFloat(x)
	default:
		into.SetInt(rapid.Int64Range(int64(max(f.minimum, math.MinInt64)), int64(min(f.maximum, math.MaxInt64/2))).Draw(t, label))
	}
}

// settleNetwork leaves a backbone without attention, and with dense layers only where it is dense.
func settleNetwork(n *model.Network) {
	n.Code = "vector"
	switch backbone := n.Backbone.(type) {
	case *model.ConvBackbone:
		backbone.Attention = 0
	case *model.ResNet:
		backbone.Attention = 0
	default:
		return
	}
	n.Encoder, n.Decoder = []int{400, 400}, []int{400, 400}
}

// resetIdle gives keys that do nothing, which YAML leaves out, their defaults.
func resetIdle(e *Experiment) {
	for _, idle := range e.idle() {
		section, key, _ := strings.Cut(idle.key, ".")
		for _, f := range fieldsOf(reflect.TypeFor[Experiment]()) {
			if f.name != section {
				continue
			}
			value, plain := reflect.ValueOf(e).Elem().FieldByIndex(f.index), reflect.ValueOf(Default()).Elem().FieldByIndex(f.index)
			if f.isKind() {
				kind, _ := kindsOf(f.typ).kindOf(value.Interface())
				value, plain = value.Elem().Elem(), reflect.ValueOf(kindsOf(f.typ)[kind]()).Elem()
			}
			for _, inner := range fieldsOf(value.Type()) {
				if inner.name == key {
					value.FieldByIndex(inner.index).Set(plain.FieldByIndex(inner.index))
				}
			}
		}
	}
}

// settle removes the contradictions that check would find.
func settle(e *Experiment) {
	e.Train.WeightDecay, e.Train.Momentum, e.Train.EarlyStopping = 0, 0, 0
	e.Train.BatchSize, e.Train.Devices, e.Train.Accumulate, e.Train.Restarts, e.Train.Extended = 1, 1, 1, nil, nil
	e.Evaluate.Generated, e.Evaluate.Recover, e.Tracking.MLflow = 0, false, "http://127.0.0.1:5000"
	e.Evaluate.Anomaly.Normal = nil
	e.Output.Show = slices.DeleteFunc(e.Output.Show, func(picture string) bool { return evaluate.Inapplicable(picture, e.Model) != "" })
	e.Train.WarmupEpochs = min(e.Train.WarmupEpochs, float64(e.Train.Epochs))
	if e.Train.Loss == "bce" {
		e.Train.Loss = "mse"
	}
	e.Train.LossOn, e.Train.Perceptual = "all", 0
	e.Corrupt = slices.DeleteFunc(e.Corrupt, func(c corrupt.Corruption) bool { return corrupt.Chain{c}.TrainingOnly() })
	for _, corruption := range slices.Concat(e.Corrupt, e.Evaluate.Corrupt) {
		if mark, ok := corruption.(*corrupt.Watermark); ok {
			mark.Image, mark.Texts = "", append(mark.Texts, "x")
			for i := range mark.Texts {
				mark.Texts[i] = fmt.Sprint("draft", i)
			}
			for i := range mark.HeldOutTexts {
				mark.HeldOutTexts[i] = fmt.Sprint("sample", i)
			}
		}
	}
	if network := reflect.ValueOf(e.Model).Elem().FieldByName("Network"); network.IsValid() {
		settleNetwork(network.Addr().Interface().(*model.Network))
	}
	switch m := e.Model.(type) {
	case *model.VAE:
		m.Beta, m.BetaWarmup, m.Groups, m.Spread, m.FreeBits, m.Levels, m.Mix = 1, 0, 1, "fixed", 0, nil, 0.05
		m.Prior, m.Penalty = &model.NormalPrior{}, &model.NoPenalty{}
	case *model.AE:
		m.TopK = 0
	case *model.FSQ:
		m.Levels = []int{3}
	}
	if vqvae, ok := e.Model.(*model.VQVAE); ok {
		vqvae.EntrySize = 1
	}
	if sae, ok := e.Model.(*model.SAE); ok {
		sae.K, sae.Prefixes, sae.Sparsity, sae.TargetL0 = 1, nil, 0, 0
	}
	if dense, ok := e.Model.(*model.Dense); ok {
		dense.Tied, dense.Sparsity, dense.SparsityWeight, dense.Contraction, dense.ContractionWeight = false, "none", 0, false, 0
	}
	switch data := e.Data.(type) {
	case *dataset.Folder:
		data.Dir, data.Augment, data.Normal, data.Calibration = []string{"pictures"}, nil, nil, 0
		data.Target, data.TestTarget, data.Scale.Open = nil, nil, false
		data.Scale.Kind, data.Scale.Low, data.Scale.High = "percentile", 10, 90
		if data.Features = settleFeatures(e, data.Features); data.Features.Model != "" {
			data.Patch, data.Masks, data.Scale = 0, nil, scale.Options{Kind: "standardise"}
		}
	case *dataset.Table:
		data.Files, data.Normal, data.Calibration = append(data.Files, "rows.csv"), nil, 0.25
		data.Target, data.TestTarget = nil, nil
		data.Scale = scale.Options{Kind: "range", Low: 10, High: 90}
		if data.Features = settleFeatures(e, data.Features); data.Features.Model != "" {
			data.Scale = scale.Options{Kind: "standardise"}
		}
	case *dataset.IDX:
		data.Features = settleFeatures(e, data.Features)
		data.Validation %= 60000
		data.Normal, data.Calibration = nil, 0
	case *dataset.Glyphs:
		data.Features = settleFeatures(e, data.Features)
		data.Validation %= data.Train
		data.Normal, data.Calibration = nil, 0
	case *dataset.Shapes:
		data.Validation %= data.Train
		data.Normal, data.Calibration = nil, 0
	case *dataset.SynthSAE:
		data.Train, data.Dims, data.Roots = min(data.Train, 1000), min(data.Dims, 1000), 0
		data.Normal, data.Calibration = nil, 0
		data.Validation %= data.Train
		data.Seldom = min(data.Seldom, data.Often)
		data.Scale = scale.Options{Kind: "none"}
	}
	e.Evaluate.Probe = e.Evaluate.Probe && e.Data.ValidationImages() > 0 && model.Conditions(e.Model) == 0
	if _, generates := e.Model.(*model.PixelFlow); generates {
		e.Corrupt = nil
	}
}

// settleFeatures removes the contradictions that features of a network have: they are standardised, so that the model's output is linear.
func settleFeatures(e *Experiment, f dataset.Features) dataset.Features {
	if e.Model.OutputActivation() != "linear" || f.Model == "" {
		return dataset.Features{}
	}
	for _, numbers := range []*[]float64{&f.Mean, &f.Std} {
		if len(*numbers) > 1 {
			*numbers = append(*numbers, 1, 1)[:3]
		}
	}
	return f
}

// Classes may be written as numbers, and stay what was written when they are text again; nothing else is such text.
func TestLiteralText(t *testing.T) {
	e, err := Parse("x.yaml", []byte("data: {dataset: table, files: x.csv, label: y, normal: [0, 010, true, \"1.50\", good]}\nmodel: {output: linear}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"0", "010", "true", "1.50", "good"}
	for range 2 {
		if got := e.Data.(*dataset.Table).Normal; !slices.Equal(got, want) {
			t.Errorf("normal %q, want %q", got, want)
		}
		if err := compileSchema(t, "experiment", Schema()).Validate(asEditor(t, yamlOf(t, e))); err != nil {
			t.Error(err)
		}
		if e, err = Parse("x.yaml", []byte(yamlOf(t, e))); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"data: {dataset: mnist, normal: [~]}":                                    "data.normal.0: found nothing (~), want text",
		"data: {dataset: mnist, normal: [ten]}":                                  `data.normal: there is no class "ten"; the classes are 0, 1`,
		"{data: {dataset: mnist, normal: [0]}, model: {kind: vae, classes: 10}}": "data.normal: no scores of anomalies: this model needs the label",
		"{data: {dataset: folder, dir: x, patch: 64, normal: [a]}, model: {kind: unet}, evaluate: {anomaly: {score: forest}}}": "evaluate.anomaly.score: pictures of sizes of their own have the scores mse,",
		"{data: {dataset: table, files: x.csv, label: y}, evaluate: {anomaly: {normal: [0], score: peak}}}":                    "evaluate.anomaly.score: it is of pictures; take mse",
		"{evaluate: {anomaly: {normal: [0], score: nll}}}":                                                                     "evaluate.anomaly.score: nll is of models with a likelihood",
	} {
		if _, err := Parse("x.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

func TestYAMLOfUnknownKind(t *testing.T) {
	e := Default()
	e.Corrupt = corrupt.Chain{struct{ corrupt.Corruption }{}}
	_, err := e.YAML()
	if err == nil || !strings.Contains(err.Error(), "corrupt: struct { corrupt.Corruption } is not one of the kinds blind-spot, ") {
		t.Errorf("error %v", err)
	}
}

func TestAliases(t *testing.T) {
	paths := pathsOf(reflect.TypeFor[Experiment]())
	known := map[string]bool{}
	for _, path := range paths {
		known[path] = true
	}
	last := map[string]bool{}
	for _, name := range lastNames(paths) {
		last[name] = true
	}
	for alias, keys := range aliases {
		for _, key := range keys {
			if !known[key] {
				t.Errorf("%s stands for %s, which is not a key", alias, key)
			}
		}
		if last[alias] {
			t.Errorf("%s is a key, and needs no alias", alias)
		}
	}
}

func TestClosest(t *testing.T) {
	names := []string{"mse", "mae", "bce", "huber", "learning_rate"}
	for name, want := range map[string]string{
		"msee": "mse", "MSE": "mse", "hubber": "huber", "ebc": "", "bec": "bce", "learning-rate": "learning_rate",
		"leraning_raet": "learning_rate", "cross_entropy": "", "": "",
	} {
		if got := closest(name, names); got != want {
			t.Errorf("closest(%q) = %q, want %q", name, got, want)
		}
	}
}

// The distances are those of Wikipedia, "Damerau–Levenshtein distance" and "Levenshtein distance".
func TestEditDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"kitten", "sitting", 3}, {"CA", "ABC", 3}, {"flaw", "lawn", 2}, {"", "abc", 3}, {"abcd", "acbd", 1}} {
		if got := editDistance(test.a, test.b); got != test.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

// FuzzParse holds that no file panics, and that what is accepted can be written and read again.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data, "corrupt.0.kind=none")
	}
	f.Add([]byte("corrupt: [{kind: gaussian}]\nmodel: {encoder: [2]}"), "model.encoder.0=3")
	f.Fuzz(func(t *testing.T, data []byte, override string) {
		e, err := Parse("x.yaml", data, override)
		if err != nil {
			if problems := Problems(nil); !errors.As(err, &problems) || len(problems) == 0 || e != nil {
				t.Fatalf("%v and error %#v", e, err)
			}
			return
		}
		text := yamlOf(t, e)
		again, err := Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(text, yamlOf(t, again)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A password in an override is refused, and not said again, for what a program says goes to logs.
func TestPasswordIsNotSaid(t *testing.T) {
	_, err := Parse("a.yaml", []byte("seed: 1"), "tracking.mlflow=http://user:hunter2@host:5000")
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "http://…@host:5000") {
		t.Errorf("error %v", err)
	}
}

// A key that an override makes idle stays in the file; one that is written beside it does not. The config of a run has all keys.
func TestIdle(t *testing.T) {
	text := []byte("train: {beta1: 0.8, huber_delta: 0.5, loss: huber}\n")
	if _, err := Parse("x.yaml", text, "train.optimizer=sgd", "train.loss=mse"); err != nil {
		t.Error(err)
	}
	if _, err := Parse("x.yaml", text, "train.optimizer=sgd", "train.beta2=0.9"); err == nil || err.Error() != "override train.beta2=0.9: does nothing: sgd has none; leave it out" {
		t.Errorf("an override that does nothing: %v", err)
	}
	run := filepath.Join(t.TempDir(), "config.yaml")
	for name, data := range map[string]string{"config.yaml": "train: {optimizer: sgd, beta1: 0.9}", "manifest.json": "{}"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(run), name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(run); err != nil {
		t.Error(err)
	}
}

// Aliases and merge keys stand for what they are of, each in its own place; what is written beats what is merged, and the first merge the second.
func TestAnchors(t *testing.T) {
	text := []byte(`
data: {dataset: glyphs, validation: &n 100}
corrupt: [&noise {kind: gaussian, noise_factor: 0.2}, {<<: *noise, clip: false}]
evaluate: {nll_images: *n, corrupt: [*noise]}
`)
	e, err := Parse("x.yaml", text, "model={kind: vae}", "corrupt.0.noise_factor=0.5")
	if err != nil {
		t.Fatal(err)
	}
	first, second, third := e.Corrupt[0].(*corrupt.Gaussian), e.Corrupt[1].(*corrupt.Gaussian), e.Evaluate.Corrupt[0].(*corrupt.Gaussian)
	if e.Evaluate.NLLImages != 100 || first.NoiseFactor != corrupt.Fixed(0.5) || second.NoiseFactor != corrupt.Fixed(0.2) || second.Clip || third.NoiseFactor != corrupt.Fixed(0.2) {
		t.Errorf("%d, %+v, %+v, %+v", e.Evaluate.NLLImages, first, second, third)
	}
	bomb := "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%[1]c [*%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c]\n", c, c-1)
	}
	if _, err := Parse("x.yaml", []byte(bomb)); err == nil || !strings.Contains(err.Error(), "aliases make more than 100000 values") {
		t.Errorf("a file that stands for billions of values: %v", err)
	}
}
