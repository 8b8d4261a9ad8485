package experiment_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

const fromConfig = `
data: {dataset: glyphs, train: 96, test: 64, validation: 32}
corrupt: {kind: gaussian, noise_factor: 0.3}
model: {kind: conv, channels: [4, 4], latent: 8, norm: batch}
train: {batch_size: 32, epochs: 2, learning_rate: 0.01}
output: {grid: {every: 0}}
`

// tensorsOf are the last tensors of a run, by name.
func tensorsOf(t *testing.T, run *rundir.Run) map[string][]float32 {
	t.Helper()
	c, _, err := run.LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]float32{}
	for _, tensor := range c.Tensors {
		all[tensor.Name] = tensor.Values
	}
	return all
}

// A run that begins with another's weights has those whose shapes fit, frozen layers keep them with the running means of their norms, others move
// by their own rates, and the manifest says all of it. Stopped and resumed it has the same bits, and verify finds them again.
func TestFrom(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		first, err := experiment.Run(t.Context(), load(t, b, fromConfig), experiment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		change := []string{"model.latent=6", "train.from=" + first.Path, "train.freeze=[encoder.conv_1]", "train.rates=[{layers: decoder, factor: 0}, {layers: decoder.conv_2, factor: 0.5}]",
			"evaluate.weights=last", "train.optimizer=adamw", "train.weight_decay=0.1"}
		if b.Name == "go" {
			change = append(change, "train.clip_norm=1")
		}
		e := load(t, b, fromConfig, change...)
		run, err := experiment.Run(t.Context(), e, experiment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		best, err := first.BestCheckpoint()
		if err != nil {
			t.Fatal(err)
		}
		before := map[string][]float32{}
		for _, tensor := range best.Tensors {
			before[tensor.Name] = tensor.Values
		}
		after := tensorsOf(t, run)
		for name, same := range map[string]bool{
			"encoder.conv_1.weight": true, "encoder.conv_1.batch_norm.scale": true, "encoder.conv_1.batch_norm.mean": true, // frozen
			"encoder.conv_2.weight": false, "encoder.conv_2.batch_norm.mean": false,
			"decoder.code.bias": true, "decoder.conv_1.weight": true, "decoder.conv_2.weight": false, // rates 0 and 0.5
		} {
			if got := slices.Equal(before[name], after[name]); got != same {
				t.Errorf("%s: unchanged %t, want %t", name, got, same)
			}
		}
		from := manifestOf(t, run).From
		if from == nil || from.Path != first.Path || len(from.SHA256) != 64 || from.Checkpoint != "best.ckpt" {
			t.Fatalf("the manifest says %+v", from)
		}
		layers := map[string]rundir.FromLayer{}
		for _, layer := range from.Layers {
			layers[layer.Name] = layer
		}
		if l := layers["encoder.conv_1"]; !l.Frozen || !slices.Equal(l.Taken, []string{"weight", "bias"}) {
			t.Errorf("encoder.conv_1: %+v", l)
		}
		if l := layers["encoder.code"]; len(l.Taken) > 0 || l.Drawn[0] != "weight: shape [196 8] there, [196 6] here" || l.Factor != 1 {
			t.Errorf("encoder.code: %+v", l)
		}
		if l := layers["decoder.code"]; !slices.Equal(l.Taken, []string{"bias"}) || l.Factor != 0 {
			t.Errorf("decoder.code: %+v", l)
		}
		if _, err := experiment.Verify(t.Context(), run.Path, 0, experiment.Options{}); err != nil {
			t.Errorf("verify: %v", err)
		}

		// Interrupted at its first validation and resumed, it ends with the same bits.
		ctx, cancel := context.WithCancel(t.Context())
		again, err := experiment.Run(ctx, e, experiment.Options{Log: &atLine{"epoch 1/2", cancel}})
		if err == nil {
			t.Fatal("the run was not interrupted")
		}
		if _, err := experiment.Resume(t.Context(), again.Path, experiment.Options{}); err != nil {
			t.Fatal(err)
		}
		for name, values := range tensorsOf(t, again) {
			if !slices.Equal(values, after[name]) {
				t.Errorf("%s: resumed, it has other values", name)
			}
		}
		if resumed := manifestOf(t, again).From; resumed == nil || resumed.SHA256 != from.SHA256 {
			t.Errorf("resumed, the manifest says %+v", resumed)
		}
	})
}

// atLine calls a function when a line comes that holds a text.
type atLine struct {
	text string
	call func()
}

func (a *atLine) Write(p []byte) (int, error) {
	if strings.Contains(string(p), a.text) {
		a.call()
	}
	return len(p), nil
}

// What cannot be begun with is an error at its key, and leaves no folder.
func TestFromRefused(t *testing.T) {
	first, err := experiment.Run(t.Context(), load(t, pureGo, fromConfig, "train.epochs=1"), experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	junk := filepath.Join(t.TempDir(), "junk.pt")
	if err := os.WriteFile(junk, []byte("PK\x03\x04 and no more"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string][]string{
		"train.from=nowhere: read weights: stat nowhere":                                          {"train.from=nowhere"},
		"junk.pt: read PyTorch file":                                                              {"train.from=" + junk},
		"no layer of " + first.Path + " fits this model: its layers are encoder.conv_1 [4 4 1 4]": {"train.from=" + first.Path, "model={kind: dense, encoder: [16, 8], decoder: [16]}"},
		"train.freeze.0: the model has no layer enc; its layers are encoder.conv_1, encoder":      {"train.freeze=[enc]"},
		"train.rates.0.layers: the model has no layer decoder.conv_9":                             {"train.rates=[{layers: decoder.conv_9, factor: 2}]"},
		"nothing is left to train":                                                                {"train.freeze=[encoder, decoder]"},
	} {
		dir := t.TempDir()
		_, err := experiment.Run(t.Context(), load(t, pureGo, fromConfig, append(change, "output.dir="+dir)...), experiment.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%q: a folder was made", want)
		}
	}
}
