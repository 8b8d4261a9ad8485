package experiment_test

import (
	"context"
	"slices"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/diagnose"
	"latent/pkg/experiment"
)

// Each alarm is raised by a config that is made for it, and none by the sound one that it is a change of.
func TestAlarms(t *testing.T) {
	b := &backend.Backend{Name: "go"}
	alarms := func(overrides ...string) (kinds []string) {
		t.Helper()
		run, err := experiment.Run(context.Background(), load(t, b, tiny, append([]string{"data.test=60", "output.grid.every=0"}, overrides...)...), experiment.Options{})
		if err != nil {
			t.Fatalf("%v: %v", overrides, err)
		}
		for _, w := range manifestOf(t, run).Warnings {
			kinds = append(kinds, w.Kind)
		}
		return kinds
	}
	const none = "corrupt={kind: none}"
	if found := alarms(none, "train.epochs=10"); len(found) > 0 {
		t.Errorf("a sound run: %v", found)
	}
	for kind, overrides := range map[string][]string{
		diagnose.WorseThanInput:    {"train.learning_rate=100"},
		diagnose.SaturatedOutput:   {"train.learning_rate=100", none},
		diagnose.ConstantOutput:    {none, "model={kind: vae, encoder: [16], latent: 4, decoder: [16], beta: 1000}", "evaluate.nll_samples=0", "train.epochs=3"},
		diagnose.NoBetterThanMean:  {"train.learning_rate=1e-6", none},
		diagnose.Standstill:        {"train.learning_rate=1e-7"},
		diagnose.Jump:              {"train.optimizer=sgd", "train.learning_rate=6", "train.warmup_epochs=4", "model.output=linear", none},
		diagnose.DeadUnits:         {"train.optimizer=sgd", "train.learning_rate=6", "train.warmup_epochs=4", "model.output=linear", none},
		diagnose.SaturatedUnits:    {"train.learning_rate=3", "model.activation=tanh", none},
		diagnose.PosteriorCollapse: {none, "model={kind: vae, encoder: [16], latent: 4, decoder: [16], beta: 1000}", "evaluate.nll_samples=0"},
		diagnose.UnusedEntries:     {none, "model={kind: vqvae, encoder: [16], latent: 4, decoder: [16], entry_size: 4, entries: 12}", "train.learning_rate=0.05"},
		diagnose.Overfit:           {none, "data.train=60", "data.validation=30", "train.batch_size=10", "train.epochs=60", "model={kind: dense, encoder: [128, 64], decoder: [128]}"},
		diagnose.SmallValidation:   {"data.validation=2"},
		diagnose.AlwaysClipped:     {"train.clip_norm=1e-4"},
		diagnose.BinarisedColours:  {none, "data.colour=rgb", "model={kind: vae, encoder: [16], latent: 4, decoder: [16]}", "evaluate.nll_samples=0", "train.epochs=1"},
		diagnose.OneSampleBatch:    {"data.train=151", "model={kind: conv, channels: [2], latent: 4, norm: batch}", "train.epochs=1"},
	} {
		if found := alarms(overrides...); !slices.Contains(found, kind) {
			t.Errorf("%v: %v, want %s", overrides, found, kind)
		}
	}
}
