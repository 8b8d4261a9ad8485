package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"latent/pkg/config"
	"latent/pkg/model"
)

func TestChooseConfigs(t *testing.T) {
	got := chooseConfigs(map[string]string{
		"m/beta-vae.yaml": "vae", "m/vae.yaml": "vae", "m/cvae.yaml": "vae", // named after its kind
		"m/denoise.yaml": "dense", "m/contractive.yaml": "dense", // the first by name
		"m/watermark.yaml": "unet",
	})
	if want := "[m/contractive.yaml m/watermark.yaml m/vae.yaml]"; fmt.Sprint(got) != want {
		t.Errorf("chose %v, want %s", got, want)
	}
}

// The configs that come with Latent have all kinds of models, so that the card is tried with all.
func TestEveryKindHasAConfig(t *testing.T) {
	files, err := filepath.Glob("../../configs/mnist/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kindOf := map[string]string{}
	for _, file := range files {
		e, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := e.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if kindOf[file], err = kindOfModel(text); err != nil {
			t.Fatal(err)
		}
	}
	kinds := slices.Sorted(maps.Keys(model.Kinds))
	if chosen := chooseConfigs(kindOf); len(chosen) != len(kinds) {
		t.Errorf("configs %v for the kinds %v", chosen, kinds)
	}
}
