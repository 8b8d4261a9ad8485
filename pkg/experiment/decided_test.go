package experiment

import (
	"reflect"
	"testing"

	"latent/pkg/config"
)

// What decides the bits of training and the best epoch changes its section, and nothing else does.
func TestDecided(t *testing.T) {
	const text = "data: {dataset: glyphs}\ncorrupt: {kind: masking}\n"
	sumsOf := func(overrides ...string) map[string]string {
		t.Helper()
		e, err := config.Parse("x.yaml", []byte(text), overrides...)
		if err != nil {
			t.Fatal(err)
		}
		sums, err := decided(e)
		if err != nil {
			t.Fatal(err)
		}
		return sums
	}
	before := sumsOf()
	for override, want := range map[string][]string{
		"name=other":                    nil,
		"output.dir=elsewhere":          nil,
		"output.grid.rows=1":            nil,
		"evaluate.weights=last":         nil,
		"evaluate.probe=true":           nil,
		"train.keep_checkpoints=7":      nil,
		"seed=1":                        {"seed"},
		"backend=go":                    {"backend"},
		"evaluate.seed=9":               {"evaluate"},
		"data.colour=rgb":               {"data"},
		"corrupt.patch=2":               {"corrupt"},
		"corrupt=[]":                    {"corrupt"},
		"model.encoder=[3]":             {"model"},
		"train.epochs=11":               {"train"},
		"train.loss_on=damaged":         {"train"},
		"model={kind: unet, kernel: 5}": {"model"},
	} {
		if got := differing(before, sumsOf(override)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s changes %q, want %q", override, got, want)
		}
	}
}
