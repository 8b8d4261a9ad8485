package experiment_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/experiment"
	"latent/pkg/restore"
	"latent/pkg/rundir"
	"latent/pkg/weights"
)

const importedConfig = `
data: {dataset: glyphs, train: 64, test: 64, validation: 32}
corrupt: {kind: gaussian, noise_factor: 0.3}
model: {kind: dense, encoder: [32, 16, 8, 4], decoder: [16, 24], activation: relu, latent_activation: relu, output: tanh}
train: {batch_size: 32}
`

// stateDict is a PyTorch state dict of the config's model: layers by their names, each weight [out, in].
func stateDict(names []string) []weights.Tensor {
	r := rand.New(rand.NewPCG(1, 2))
	sizes := []int{784, 32, 16, 8, 4, 16, 24, 784}
	var dict []weights.Tensor
	for i, name := range names {
		in, out := sizes[i], sizes[i+1]
		weight := weights.Tensor{Name: name + ".weight", Dims: []int{out, in}, Values: make([]float32, in*out)}
		bias := weights.Tensor{Name: name + ".bias", Dims: []int{out}, Values: make([]float32, out)}
		for _, values := range [][]float32{weight.Values, bias.Values} {
			for j := range values {
				values[j] = float32((2*r.Float64() - 1) / math.Sqrt(float64(in)) * 1.7)
			}
		}
		dict = append(dict, weight, bias)
	}
	return dict
}

// forward is what PyTorch computes: ReLU(W x + b) layer by layer, tanh at the end; in float64.
func forward(dict []weights.Tensor, x []float64) []float64 {
	for i := 0; i < len(dict); i += 2 {
		w, b := dict[i], dict[i+1]
		out, in := w.Dims[0], w.Dims[1]
		y := make([]float64, out)
		for o := range y {
			y[o] = float64(b.Values[o])
			for j := range in {
				y[o] += float64(w.Values[o*in+j]) * x[j]
			}
			if i+2 < len(dict) {
				y[o] = max(y[o], 0)
			} else {
				y[o] = math.Tanh(y[o])
			}
		}
		x = y
	}
	return x
}

func writeWeights(t *testing.T, tensors []weights.Tensor) string {
	t.Helper()
	var file bytes.Buffer
	if err := weights.WriteSafetensors(&file, tensors, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// opened is the model of a run, ready to be applied.
func opened(t *testing.T, run *rundir.Run) (*experiment.Trained, *restore.Restorer) {
	t.Helper()
	trained, err := experiment.Open(t.Context(), run.Path, nil, experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	restorer, err := restore.New(trained.Backend.Compute, trained.Experiment.Model, trained.Weights, trained.Like())
	if err != nil {
		t.Fatal(err)
	}
	return trained, restorer
}

// A PyTorch state dict gives the outputs that it gives in PyTorch, however its layers are named, and a run that can be used.
func TestImport(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, names := range [][]string{
			{"encoder.0", "encoder.2", "encoder.4", "encoder.6", "decoder.0", "decoder.2", "decoder.4"},
			{"net.0", "net.2", "net.4", "net.6", "net.8", "net.10", "net.12"},
		} {
			dict := stateDict(names)
			e := load(t, b, importedConfig)
			run, err := experiment.Import(t.Context(), e, writeWeights(t, dict), experiment.Options{})
			if err != nil {
				t.Fatal(err)
			}
			m := manifestOf(t, run)
			if m.State != rundir.Done || m.Imported == nil || m.Imported.File != "model.safetensors" || m.Result.Weights != "imported" || m.Result.Test["psnr"] == 0 {
				t.Errorf("the manifest says %s, %+v, %+v", m.State, m.Imported, m.Result)
			}
			trained, restorer := opened(t, run)
			defer trained.Close()
			x, want := make([]float32, 3*784), []float64(nil)
			r := rand.New(rand.NewPCG(3, 4))
			for i := range x {
				x[i] = 2*r.Float32() - 1
			}
			for image := range slices.Chunk(x, 784) {
				values := make([]float64, len(image))
				for i, value := range image {
					values[i] = float64(value)
				}
				want = append(want, forward(dict, values)...)
			}
			got, err := restorer.Images(x)
			if err != nil {
				t.Fatal(err)
			}
			apart := 0.0
			for i, value := range got {
				apart = math.Max(apart, math.Abs(float64(value)-want[i]))
			}
			if apart > 1e-6 {
				t.Errorf("%s: outputs are up to %.2g apart", names[0], apart)
			}
			// Exported and imported again, it is the same.
			tensors, err := trained.Tensors()
			if err != nil {
				t.Fatal(err)
			}
			again, err := experiment.Import(t.Context(), e, writeWeights(t, tensors), experiment.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if n := manifestOf(t, again); !maps.Equal(n.Result.Test, m.Result.Test) {
				t.Errorf("again it has %v; want %v", n.Result.Test, m.Result.Test)
			}
			if _, err := experiment.Verify(t.Context(), run.Path, 0, experiment.Options{}); err == nil || !strings.Contains(err.Error(), "imported from model.safetensors") {
				t.Errorf("verify: %v", err)
			}
		}
	})
}

var pureGo = &backend.Backend{Name: "go"}

// A convolutional autoencoder of PyTorch's gives the outputs that it gives there (testdata/torch/make.py), from either format: kernels, batch norms, and
// linear layers that take and give the values of maps.
func TestImportTorch(t *testing.T) {
	var expect struct{ X, Y []float32 }
	text, err := os.ReadFile("testdata/torch/conv.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &expect); err != nil {
		t.Fatal(err)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, file := range []string{"conv.pt", "conv.safetensors"} {
			e := load(t, b, `
data: {dataset: glyphs, train: 64, test: 64, validation: 32}
model: {kind: conv, channels: [3, 4], kernel: 4, stride: 2, latent: 5, norm: batch, activation: relu, latent_activation: linear, output: tanh}
train: {batch_size: 32}
`)
			run, err := experiment.Import(t.Context(), e, filepath.Join("testdata/torch", file), experiment.Options{})
			if err != nil {
				t.Fatal(err)
			}
			trained, restorer := opened(t, run)
			defer trained.Close()
			got, err := restorer.Images(expect.X)
			if err != nil {
				t.Fatal(err)
			}
			for i, value := range got {
				if math.Abs(float64(value-expect.Y[i])) > 1e-5 {
					t.Fatalf("%s: pixel %d is %g; PyTorch has %g", file, i, value, expect.Y[i])
				}
			}
		}
	})
}

// What does not fit is refused before a folder is made, with what is there and what is wanted.
func TestImportRefused(t *testing.T) {
	names := []string{"encoder.0", "encoder.2", "encoder.4", "encoder.6", "decoder.0", "decoder.2", "decoder.4"}
	for want, change := range map[string]func([]weights.Tensor) []weights.Tensor{
		"decoder.layer_3.weight: not there. Its layers are encoder.0 784 → 32, encoder.2 32 → 16": func(d []weights.Tensor) []weights.Tensor { return d[:len(d)-2] },
		"encoder.layer_1.weight: not there": func(d []weights.Tensor) []weights.Tensor { return slices.Delete(d, 0, 1) },
		"norm.running_mean, which the model has not": func(d []weights.Tensor) []weights.Tensor {
			return append(d, weights.Tensor{Name: "norm.running_mean", Dims: []int{1}, Values: []float32{0}})
		},
		"encoder.layer_2.weight: shape [16 8] there, [32 16] here": func(d []weights.Tensor) []weights.Tensor {
			d[0].Name, d[1].Name = "encoder.1.weight", "encoder.1.bias"
			d[2].Name, d[3].Name, d[4].Name, d[5].Name = "encoder.4.weight", "encoder.4.bias", "encoder.2.weight", "encoder.2.bias"
			return d
		},
	} {
		dir := t.TempDir()
		e := load(t, pureGo, importedConfig, "output.dir="+dir)
		_, err := experiment.Import(t.Context(), e, writeWeights(t, change(stateDict(names))), experiment.Options{})
		var input experiment.InputError
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &input) {
			t.Errorf("%v; want %q", err, want)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%q: a folder was made", want)
		}
	}
	e := load(t, pureGo, importedConfig)
	for path, want := range map[string]string{"nowhere.safetensors": "no such file", t.TempDir(): "not a run's folder"} {
		if _, err := experiment.Import(t.Context(), e, path, experiment.Options{}); err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
