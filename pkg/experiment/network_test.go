package experiment_test

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/backend/backendtest"
	"latent/pkg/evaluate"
	"latent/pkg/experiment"
	"latent/pkg/network/networktest"
	"latent/pkg/onnx"
	"latent/pkg/table"
)

// The encoder of a run, as an ONNX file, makes features of another: they are its codes. Pictures of a folder and of an array go through it too; one
// that is missing, changed or left out is refused.
func TestNetwork(t *testing.T) {
	networktest.Runtime(t)
	t.Setenv("LATENT_CACHE_DIR", t.TempDir())
	b, ctx := backendtest.XLA(t), context.Background()
	const glyphs = `
data: {dataset: glyphs, train: 80, test: 40, validation: 10%s}
model: {kind: dense, encoder: [16], decoder: [], output: linear}
train: {batch_size: 20, epochs: 1}
evaluate: {anomaly: {normal: [A, B, C, D, E, F], baselines: [pca]}}
output: {grid: {rows: 2, columns: 2, every: 0}}
`
	trained := func(text string) *experiment.Trained {
		t.Helper()
		run, err := experiment.Run(ctx, load(t, b, text), experiment.Options{Brief: true})
		if err != nil {
			t.Fatal(err)
		}
		opened, err := experiment.Open(ctx, run.Path, nil, experiment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(opened.Close)
		return opened
	}
	first := trained(fmt.Sprintf(glyphs, ""))
	exported, err := onnx.Export(onnx.Source{Model: first.Experiment.Model, Image: first.Image, Weights: first.Weights, Scale: first.Like().Scale})
	if err != nil {
		t.Fatal(err)
	}
	net := filepath.Join(t.TempDir(), "encoder.onnx")
	if err := os.WriteFile(net, exported.Files[0].Data, 0o644); err != nil {
		t.Fatal(err)
	}

	second := trained(fmt.Sprintf(glyphs, fmt.Sprintf(", features: {model: %q, mean: 0.5, std: 0.5}", net))) // its own scale, of [-1, 1]
	if n := second.Manifest.Data.Network; n == nil || n.File != net || n.Height != 28 || n.Width != 28 || n.Channels != 1 || n.Type != "uint8" {
		t.Fatalf("the manifest's network is %+v", n)
	}
	if second.Manifest.Data.Checksums["encoder.onnx"] != second.Manifest.Data.Network.SHA256 {
		t.Errorf("checksums %v", second.Manifest.Data.Checksums)
	}
	given, err := first.HeldWhole(ctx, "", experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	features, err := second.HeldWhole(ctx, "", experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	err = first.Encode(ctx, given.Samples, false, func(codes evaluate.Codes) error {
		for i := range codes.Len() {
			for j, want := range codes.At(i) {
				if got := features.At(at).At(j); math.Abs(got-float64(want)) > 1e-4 {
					t.Fatalf("feature %d of picture %d is %g, the code has %g", j, at, got, want)
				}
			}
			at++
		}
		return nil
	})
	if err != nil || at != 40 {
		t.Fatalf("%d codes, error %v", at, err)
	}

	// The test's glyphs as files, which are other samples to Latent and score alike.
	dir := t.TempDir()
	for i := range 5 {
		picture := &image.Gray{Pix: given.At(i).Uint8, Stride: 28, Rect: image.Rect(0, 0, 28, 28)}
		file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(file, picture); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	array := filepath.Join(t.TempDir(), "five.npy")
	if err := table.Write(array, nil, given.First(5).Values, 5, 28, 28); err != nil {
		t.Fatal(err)
	}
	scores := func(trained *experiment.Trained, path string) (scores []float64, err error) {
		scorer, err := trained.Scorer(ctx, "ranks", 0.1, experiment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = trained.ScoreFile(ctx, scorer, path, 0, experiment.Options{}, func(int, []string) {}, func(some []experiment.Scored) error {
			for _, one := range some {
				scores = append(scores, one.Score)
			}
			return nil
		})
		return scores, err
	}
	want, err := scores(second, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, array} {
		got, err := scores(second, path)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 5 {
			t.Fatalf("%s: %d scores", path, len(got))
		}
		for i := range got {
			if math.Abs(got[i]-want[i]) > 1e-4*(1+math.Abs(want[i])) {
				t.Errorf("%s: score %d is %g, of the test's own %g", path, i, got[i], want[i])
			}
		}
	}

	fails := func(path, want string, overrides ...string) {
		t.Helper()
		again, err := experiment.Open(ctx, second.Run.Path, overrides, experiment.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if _, err := again.Whole(ctx, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	fails(array, "data.features was changed", "data={dataset: glyphs, train: 80, test: 40, validation: 10}")
	if err := os.WriteFile(net, exported.Files[2].Data, 0o644); err != nil {
		t.Fatal(err)
	}
	fails(dir, "is not the network that the run used: its SHA-256 is ")
	if err := os.Remove(net); err != nil {
		t.Fatal(err)
	}
	fails(dir, "put the file back (SHA-256 "+second.Manifest.Data.Network.SHA256+")")
}
