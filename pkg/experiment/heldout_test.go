package experiment_test

import (
	"context"
	"maps"
	"testing"

	"latent/pkg/backend/backendtest"
	"latent/pkg/experiment"
	"latent/pkg/rundir"
)

// Held-out images have the held-out texts, whatever training has; without such texts, training's.
func TestHeldOutTexts(t *testing.T) {
	b := backendtest.XLA(t)
	corrupted := func(texts string) map[string]rundir.Number {
		overrides := []string{"corrupt={kind: watermark, " + texts + "}", "train.max_steps=1", "output.grid.every=0"}
		run, err := experiment.Run(context.Background(), load(t, b, tiny, overrides...), experiment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return manifestOf(t, run).Result.Corrupted
	}
	want := corrupted("texts: [sample, copy]")
	if got := corrupted("texts: [draft], held_out_texts: [sample, copy]"); !maps.Equal(got, want) {
		t.Errorf("with held-out texts %v, want those of the same texts in training, %v", got, want)
	}
	if got := corrupted("texts: [draft]"); maps.Equal(got, want) {
		t.Errorf("without held-out texts, other texts give the same figures: %v", got)
	}
}
