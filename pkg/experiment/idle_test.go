package experiment_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"latent/pkg/config"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

// elsewhere are keys whose effect the runs of TestKeys cannot show, and why.
var elsewhere = map[string]string{
	"train.devices":                "it has one device",
	"train.from":                   "it names a folder; see TestFrom",
	"train.group":                  "a run alone is no group",
	"train.checkpoint_activations": "pure Go has none",
	"train.accumulate":             "it changes the last bits at most",
	"train.early_stopping":         "these runs go on getting better",
	"train.max_steps":              "an end that lies behind that of the epochs",
	"train.perceptual":             "it trains a classifier first",
	"train.keep_checkpoints":       "there are fewer",
	"evaluate.memory":              "figures do not depend on it",
	"evaluate.generated":           "it trains a classifier first",
	"evaluate.probe":               "it takes a minute in pure Go",
	"evaluate.weights":             "the last epoch is the best",
	"evaluate.recover":             "it is of whole pictures",
	"model.dead_after":             "no latent is dead so soon",
	"model.revival":                "no latent is dead so soon",
	"model.revived":                "no latent is dead so soon",
}

var times = regexp.MustCompile(`"(time|seconds|images_per_second)":("[^"]*"|[0-9.e+-]+),?`)

// traces is a sum of all that a run leaves but for its config, times and names.
func traces(t *testing.T, run *rundir.Run) string {
	t.Helper()
	m := manifestOf(t, run)
	result, err := json.Marshal([]any{m.Result, m.Warnings, m.Progress, m.Model})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s", result)
	err = filepath.WalkDir(run.Path, func(path string, entry fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err != nil || entry.IsDir() || slices.Contains([]string{"config.yaml", "manifest.json", "report.html", ".lock"}, name) {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%s %s", name, times.ReplaceAll(data, nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(sum.Sum(nil))
}

// Every key of the sections train, model and evaluate that is not refused does something: with one of its other values, a run leaves something
// else.
func TestKeys(t *testing.T) {
	if os.Getenv("LATENT_LONG") == "" {
		t.Skip("SKIPPED: runs some hundred experiments; set LATENT_LONG=1")
	}
	t.Setenv("GOMLX_BACKEND", "")
	const small = `
data: {dataset: glyphs, train: 70, test: 20, validation: 20}
corrupt: {kind: gaussian, noise_factor: 0.5}
train: {batch_size: 20, epochs: 2}
evaluate: {nll_samples: 20, nll_images: 10}
output: {grid: {rows: 1, columns: 1}}
`
	run := func(overrides []string) (string, bool) {
		text := small
		if !strings.Contains(overrides[0], "vae,") { // of models without a likelihood
			text = strings.Replace(text, "evaluate: {nll_samples: 20, nll_images: 10}\n", "", 1)
		}
		e, err := config.Parse("small.yaml", []byte(text), append(overrides, "backend=go", "output.dir="+t.TempDir())...)
		if err != nil {
			return "", false
		}
		run, err := experiment.Run(t.Context(), e, experiment.Options{Brief: true})
		if err != nil && run == nil {
			return "", false
		}
		return traces(t, run), true
	}
	for _, base := range [][]string{
		{"model={kind: dense, encoder: [6, 3], decoder: [6]}"},
		{"model={kind: ae, encoder: [6], latent: 4, decoder: [6]}", "train.optimizer=adamw", "train.loss=huber"},
		{"model={kind: vae, encoder: [6], latent: 3, decoder: [6]}", "train.optimizer=rmsprop"},
		{"model={kind: vae, encoder: [6], latent: 4, decoder: [6], likelihood: gaussian, bound: miwae, samples: 4, groups: 2}", "train.optimizer=sgd"},
		{"model={kind: vae, encoder: [6], latent: 4, decoder: [6], likelihood: logistic, bound: ciwae, samples: 2, spread: shared}", "train.schedule=cosine"},
		{"model={kind: rae, encoder: [6], latent: 3, decoder: [6]}"},
		{"model={kind: wae, encoder: [6], latent: 3, decoder: [6]}"},
		{"model={kind: aae, encoder: [6], latent: 3, decoder: [6]}"},
		{"model={kind: vqvae, encoder: [6], latent: 4, decoder: [6], entry_size: 2, entries: 5}"},
		{"model={kind: fsq, encoder: [6], latent: 2, decoder: [6], levels: [5, 4]}"},
		{"model={kind: sae, width: 12, activation: topk, k: 3}"},
		{"model={kind: sae, width: 12, activation: jumprelu, sparsity: 0.1}"},
		{"model={kind: sae, width: 12, activation: relu, sparsity: 0.1}"},
	} {
		want, ok := run(base)
		if !ok {
			t.Errorf("%v does not run", base)
			continue
		}
		e, err := config.Parse("small.yaml", []byte(small), append(slices.Clone(base), "evaluate={}")...)
		if err != nil {
			t.Fatalf("%v: %v", base, err)
		}
		values, err := e.Values()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			section, _, _ := strings.Cut(key, ".")
			if !slices.Contains([]string{"train", "model", "evaluate"}, section) || elsewhere[key] != "" || strings.HasPrefix(key, "evaluate.anomaly") ||
				strings.HasSuffix(key, ".kind") {
				continue
			}
			tried, changed := 0, false
			for _, value := range others(key, values[key], base) {
				got, ok := run(append(slices.Clone(base), key+"="+value))
				if ok {
					tried++
				}
				if changed = ok && got != want; changed {
					break
				}
			}
			if tried > 0 && !changed {
				t.Errorf("%v: %s does nothing, and is not refused", base, key)
			}
		}
	}
}

// others are values in the place of one.
func others(key string, value any, overrides []string) []string {
	var list []string
	switch v := value.(type) {
	case bool:
		return []string{fmt.Sprint(!v)}
	case int:
		list = []string{fmt.Sprint(v + 1), fmt.Sprint(2*v + 2), fmt.Sprint(v - 1), "0.5", "0.001", "47"}
	case float64:
		list = []string{fmt.Sprint(v/2 + 0.3), fmt.Sprint(2*v + 1), fmt.Sprint(v / 2), "0.5"}
	default:
		if strings.HasPrefix(fmt.Sprint(value), "[") {
			list = []string{"[1]", "[7]", "[1, 2]", "[3, 1]", "[5, 3]", "[6]", "[3, 4]", "[encoder]", "[{layers: encoder, factor: 0.5}]"}
			break
		}
		for _, c := range config.Complete("", overrides, key+"=") {
			if _, text, found := strings.Cut(c.Text, "="); found {
				list = append(list, text)
			}
		}
	}
	return slices.DeleteFunc(list, func(text string) bool { return text == fmt.Sprint(value) })
}
