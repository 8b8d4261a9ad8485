package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/model"
)

func texts(all []Completion) string {
	var words []string
	for _, c := range all {
		words = append(words, c.Text)
	}
	return strings.Join(words, " ")
}

func TestComplete(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	vae := write("vae.yaml", "{model: {kind: vae}, corrupt: [{kind: gaussian}, {kind: masking}]}")
	broken := write("broken.yaml", "{model: {kind: vae, no_key: 1}, train: 7}")
	syntax := write("syntax.yaml", "model: {kind: [")
	for _, c := range []struct {
		path, overrides, word, want string
	}{
		{vae, "", "tra", "train. tracking."},
		{vae, "", "train.epo", "train.epochs="},
		{vae, "", "train.epochs=", "train.epochs=10"},
		{vae, "", "train.loss=m", "train.loss=mse train.loss=mae"},
		{vae, "", "evaluate.probe=", "evaluate.probe=true evaluate.probe=false"},
		{vae, "", "data.dataset=f", "data.dataset=fashion-mnist data.dataset=folder"},
		// The keys of the kind that is chosen, by the file or before on the line.
		{vae, "", "model.beta", "model.beta= model.beta_warmup="},
		{vae, "model={kind: dense}", "model.beta", ""},
		{vae, "model={kind: dense}", "model.tie", "model.tied="},
		{vae, "", "model.kind=den", "model.kind=dense"},
		{vae, "", "model.encoder=", "model.encoder=[400,400]"},
		{vae, "", "model=", ""},
		{vae, "", "corrupt.", "corrupt.0. corrupt.1."},
		{vae, "", "corrupt.1.pro", "corrupt.1.probability="},
		{vae, "corrupt={kind: gaussian}", "corrupt.n", "corrupt.noise_factor="},
		{vae, "corrupt=[]", "corrupt.", "corrupt.kind="},
		{vae, "", "output.show=[m", "output.show=[manifold] output.show=[map]"},
		// Below what has nothing below it, and below what there is not.
		{vae, "", "train.epochs.", ""},
		{vae, "", "nothing.x", ""},
		{vae, "", "=", ""},
		// A file with mistakes is completed all the same, and so is one that is not there.
		{broken, "", "model.beta_", "model.beta_warmup="},
		{broken, "train.epochs=x", "train.epochs=", "train.epochs=10"},
		{syntax, "", "model.tie", "model.tied="},
		{filepath.Join(dir, "none.yaml"), "", "model.tie", "model.tied="},
	} {
		var overrides []string
		if c.overrides != "" {
			overrides = []string{c.overrides}
		}
		if got := texts(Complete(c.path, overrides, c.word)); got != c.want {
			t.Errorf("%s %s %q: got %q, want %q", filepath.Base(c.path), c.overrides, c.word, got, c.want)
		}
	}
	sweep := write("sweep.yaml", "{base: vae.yaml, strategy: {kind: random}, objective: [{metric: val_psnr}, {metric: parameters}]}")
	for word, want := range map[string]string{
		"budget.":               "budget.trials= budget.time=",
		"strategy.kind=r":       "strategy.kind=random",
		"set.model.beta_":       "set.model.beta_warmup=", // of the base
		"space.train.learn":     "space.train.learning_rate=",
		"objective.1.direction": "objective.1.direction=",
	} {
		if got := texts(CompleteSweep(sweep, nil, word)); got != want {
			t.Errorf("sweep %q: got %q, want %q", word, got, want)
		}
	}
}

// Whatever is offered is a key that a config has: a level at a time, every key is reached, and no other.
func TestCompleteReachesEveryKey(t *testing.T) {
	for kind := range model.Kinds {
		overrides := []string{"model={kind: " + kind + "}", "corrupt={kind: watermark}"}
		e, err := Parse("test.yaml", []byte("name: test"), overrides...)
		if err != nil && kind != "pixelflow" { // which takes no corruption
			t.Fatal(err)
		}
		if err != nil {
			overrides = overrides[:1]
			if e, err = Parse("test.yaml", []byte("name: test"), overrides...); err != nil {
				t.Fatal(err)
			}
		}
		reached := map[string]bool{}
		var walk func(word string)
		walk = func(word string) {
			for _, c := range Complete("", overrides, word) {
				if strings.HasSuffix(c.Text, ".") {
					walk(c.Text)
				} else {
					reached[strings.TrimSuffix(c.Text, "=")] = true
				}
				if c.Help == "" {
					t.Errorf("%s: %s is not explained", kind, c.Text)
				}
			}
		}
		walk("")
		values, err := e.Values()
		if err != nil {
			t.Fatal(err)
		}
		within := func(key string) bool { // of a list that is empty
			for name := range reached {
				if strings.HasPrefix(name, key+".") {
					return true
				}
			}
			return false
		}
		for key := range values {
			if !reached[key] && !within(key) {
				t.Errorf("%s: %s is not offered", kind, key)
			}
		}
	}
}

// A starter is the default experiment of its kind: written out, nothing is changed.
func TestStarter(t *testing.T) {
	for kind := range model.Kinds {
		text, err := Starter(kind)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse("experiment.yaml", text)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		want, err := Parse("experiment.yaml", []byte("model: {kind: "+kind+"}"))
		if err != nil {
			t.Fatal(err)
		}
		differences, err := Differences(want, got)
		if err != nil || len(differences) > 0 {
			t.Errorf("%s: %v %v", kind, differences, err)
		}
		keys := 0
		for line := range strings.Lines(string(text)) {
			if len([]rune(line)) > 132 {
				t.Errorf("%s: a line of %d characters: %s", kind, len([]rune(line)), line)
			}
			if !strings.HasPrefix(strings.TrimSpace(line), "#") && strings.Contains(line, ":") {
				keys++
			}
		}
		if keys < 20 {
			t.Errorf("%s: only %d keys", kind, keys)
		}
	}
	if _, err := Starter("vea"); err == nil || !strings.Contains(err.Error(), "did you mean vae?") {
		t.Errorf("a misspelt kind: %v", err)
	}
}
