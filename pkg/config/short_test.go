package config

import (
	"strings"
	"testing"

	"latent/pkg/dataset"
)

// A network is written as its file, or as a mapping; where it has the file alone, it is written back so.
func TestShortSection(t *testing.T) {
	const rest = "model: {output: linear}\n"
	for text, want := range map[string]dataset.Features{
		"data: {dataset: folder, dir: x, features: net.onnx}\n":                                {Model: "net.onnx"},
		"data: {dataset: folder, dir: x, features: {model: net.onnx, mean: 0.5, size: 224}}\n": {Model: "net.onnx", Mean: []float64{0.5}, Size: 224},
		"data: {dataset: folder, dir: x}\n":                                                    {},
		"data: {dataset: folder, dir: x, features: {model: net.onnx, std: [0.1, 0.2, 0.3]}}\n": {Model: "net.onnx", Std: []float64{0.1, 0.2, 0.3}},
	} {
		for range 2 { // the second time what was written back
			e, err := Parse("x.yaml", []byte(text), "model={output: linear}")
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			got := e.Data.(*dataset.Folder).Features
			if got.Model != want.Model || got.Size != want.Size || len(got.Mean) != len(want.Mean) || len(got.Std) != len(want.Std) {
				t.Errorf("%s: %+v, want %+v", text, got, want)
			}
			again, err := e.YAML()
			if err != nil {
				t.Fatal(err)
			}
			if short := strings.Contains(string(again), "features: "+want.Model); want.Mean == nil && want.Std == nil && !short {
				t.Errorf("%s is written back as\n%s", text, again)
			}
			text = string(again)
		}
	}
	for text, want := range map[string]string{
		"features: 3":                                 "found 3, want text; put it in quotes",
		"features: [a.onnx]":                          "found a list, want text; or a mapping with any of the keys model, output, mean, std, size",
		"features: {size: 224}":                       "missing; name the network's ONNX file",
		"features: {model: a.onnx, mean: [1, 2]}":     "write one for all channels, or three",
		"features: a.onnx, patch: 8":                  "data.patch keeps their own sizes",
		"features: a.onnx, augment: [flip]":           "augment varies pictures in each epoch",
		"features: a.onnx, target: y":                 "samples with targets are pictures",
		"features: a.onnx, scale: {kind: percentile}": "are scaled by one factor",
		"features: {model: a.onnx, modle: b}":         "unknown key; did you mean model?",
	} {
		_, err := Parse("x.yaml", []byte("data: {dataset: folder, dir: x, "+text+"}\n"+rest))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := Parse("x.yaml", []byte("data: {dataset: glyphs, features: a.onnx}\nmodel: {output: tanh}\n")); err == nil || !strings.Contains(err.Error(), "write model.output: linear") {
		t.Errorf("%v", err)
	}
}
