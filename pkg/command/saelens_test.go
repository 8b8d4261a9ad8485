package command

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/backend/backendtest"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/pythontest"
	"latent/pkg/weights"
)

// saeOverrides are short runs of each activation, with data in scales that the export has to undo.
var saeOverrides = map[string][]string{
	"topk":       {"model.activation=topk", "model.k=4", "data.scale.kind=standardise"},
	"batchtopk":  {"model.activation=batchtopk", "model.k=4", "data.scale.kind=norm"},
	"matryoshka": {"model.activation=batchtopk", "model.k=4", "model.prefixes=[8, 24]"},
	"jumprelu":   {"model.activation=jumprelu", "model.sparsity=0.1", "data.scale.kind=norm"},
	"relu":       {"model.activation=relu", "model.sparsity=0.1", "data.scale.kind=standardise"},
}

// trainedSAE trains a small dictionary for an epoch.
func trainedSAE(t *testing.T, overrides []string) *experiment.Trained {
	t.Helper()
	xla := backendtest.XLA(t)
	e, err := config.Load("../../configs/sae/topk.yaml", append([]string{"backend=" + xla.Name, "data.train=2000", "data.validation=100",
		"data.test=300", "data.features=64", "data.dims=24", "data.roots=8", "model.width=64", "train.epochs=2", "train.batch_size=100",
		"output.dir=" + t.TempDir()}, overrides...)...)
	if err != nil {
		t.Fatal(err)
	}
	run, err := experiment.Run(t.Context(), e, experiment.Options{Brief: true})
	if err != nil {
		t.Fatal(err)
	}
	trained, err := experiment.Open(t.Context(), run.Path, nil, experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trained.Close)
	return trained
}

// exportedSAE writes the export of a dictionary, and returns the folder.
func exportedSAE(t *testing.T, trained *experiment.Trained) string {
	t.Helper()
	made, err := exportSAELens(trained)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, file := range made.files {
		if err := os.WriteFile(filepath.Join(folder, file.name), file.data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// latentsOf are test vectors in the data's units, and what the dictionary makes of them.
func latentsOf(t *testing.T, trained *experiment.Trained) []weights.Tensor {
	t.Helper()
	split, err := trained.Experiment.Data.Load(t.Context(), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	split.SetScale(trained.Like().Scale)
	n := split.Test.Len()
	evaluator, err := evaluate.New(trained.Backend.Compute, evaluate.Spec{Model: trained.Experiment.Model}, trained.Like())
	if err != nil {
		t.Fatal(err)
	}
	defer evaluator.Close()
	codes, err := evaluator.Encode(t.Context(), trained.Weights, split.Test)
	if err != nil {
		t.Fatal(err)
	}
	samples, err := evaluator.Sample(trained.Weights, split.Test, n)
	if err != nil {
		t.Fatal(err)
	}
	in := trained.Image.Size()
	return []weights.Tensor{
		{Name: "x", Dims: []int{n, in}, Values: split.Test.Values.Float32},
		{Name: "latents", Dims: []int{n, codes.Size}, Values: codes.Values},
		{Name: "reconstructed", Dims: []int{n, in}, Values: split.Test.Restored(samples.Reconstructed.Values.Float32).Values.Float32},
	}
}

// What is exported makes of vectors in the data's units what the run's model makes of them, by the formulas of SAELens's kinds.
func TestSAELensFormulas(t *testing.T) {
	for name, overrides := range saeOverrides {
		t.Run(name, func(t *testing.T) {
			trained := trainedSAE(t, overrides)
			made := latentsOf(t, trained)
			folder := exportedSAE(t, trained)
			data, err := os.ReadFile(filepath.Join(folder, "sae_weights.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			tensors, _, err := weights.ReadSafetensors(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			by := map[string][]float32{}
			for _, tensor := range tensors {
				by[tensor.Name] = tensor.Values
			}
			x, latents, reconstructed := made[0].Values, made[1].Values, made[2].Values
			in, width := made[0].Dims[1], made[1].Dims[1]
			for n := range 20 {
				y := append([]float32(nil), by["b_dec"]...)
				for i := range width {
					z := by["b_enc"][i]
					for j := range in {
						z += (x[n*in+j] - by["b_dec"][j]) * by["W_enc"][j*width+i]
					}
					f := latents[n*width+i]
					if f != 0 && math.Abs(float64(f-z)) > 1e-4*float64(1+f) {
						t.Fatalf("vector %d, latent %d is %g, by the export %g", n, i, f, z)
					}
					if limits := by["threshold"]; limits != nil && (f != 0) != (z > limits[i]) && math.Abs(float64(z-limits[i])) > 1e-4 {
						t.Fatalf("vector %d, latent %d is %g, by the export %g with a threshold of %g", n, i, f, z, limits[i])
					}
					for j := range in {
						y[j] += f * by["W_dec"][i*in+j]
					}
				}
				for j := range in {
					if want := reconstructed[n*in+j]; math.Abs(float64(y[j]-want)) > 1e-4*(1+math.Abs(float64(want))) {
						t.Fatalf("vector %d, value %d is %g, by the export %g", n, j, want, y[j])
					}
				}
			}
		})
	}
}

// SAELens reads the export, and makes the same of vectors to 1e-5.
func TestSAELens(t *testing.T) {
	if os.Getenv("LATENT_LONG") != "all" {
		t.Skip("SKIPPED: installs SAELens and PyTorch, of gigabytes; set LATENT_LONG=all")
	}
	python := pythontest.Interpreter(t, "testdata/saelens/requirements.txt")
	kinds := map[string]string{"topk": "TopKSAE", "batchtopk": "JumpReLUSAE", "matryoshka": "JumpReLUSAE", "jumprelu": "JumpReLUSAE", "relu": "StandardSAE"}
	for name, overrides := range saeOverrides {
		t.Run(name, func(t *testing.T) {
			trained := trainedSAE(t, overrides)
			folder := exportedSAE(t, trained)
			var npz bytes.Buffer
			if err := weights.WriteNPZ(&npz, latentsOf(t, trained)); err != nil {
				t.Fatal(err)
			}
			samples, errors := filepath.Join(folder, "samples.npz"), filepath.Join(folder, "errors.json")
			if err := os.WriteFile(samples, npz.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			pythontest.Run(t, python, "testdata/saelens/check.py", folder, samples, errors)
			text, err := os.ReadFile(errors)
			if err != nil {
				t.Fatal(err)
			}
			var found struct {
				Kind                       string
				Latents, Reconstructed, L0 float64
			}
			if err := json.Unmarshal(text, &found); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %s", name, text)
			const most = 1e-5
			if found.Kind != kinds[name] || !(found.Latents <= most) || !(found.Reconstructed <= most) || !(found.L0 > 0) {
				t.Errorf("%s, want %s and errors of at most %g", text, kinds[name], most)
			}
		})
	}
}

// Models of other kinds have no such format.
func TestSAELensOfOthers(t *testing.T) {
	e := config.Default()
	_, err := exportSAELens(&experiment.Trained{Experiment: e, Run: nil})
	if err == nil || !strings.Contains(err.Error(), "sparse dictionaries") {
		t.Errorf("error %v", err)
	}
}
