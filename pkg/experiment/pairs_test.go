package experiment_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latent/pkg/backend/backendtest"
	"latent/pkg/experiment"
)

// scene is a smooth picture with noise of a standard deviation, in bytes.
func scene(number, width, height int, noise float64, r *rand.Rand) image.Image {
	p := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			value := 90 + float64(3*x+2*y+10*(number%7)) + noise*r.NormFloat64()
			p.SetGray(x, y, color.Gray{Y: uint8(min(max(value, 0), 255))})
		}
	}
	return p
}

// saveScenes writes n scenes of different sizes into a folder, with noise that a seed draws.
func saveScenes(t *testing.T, dir string, n int, noise float64, seed uint64) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range n {
		file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%02d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(file, scene(i, 16+i%2, 18, noise, r)); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// pairs is an experiment on noisy pictures and clean ones of the same names.
const pairs = `
data: {dataset: folder, dir: %[1]s/noisy, target: %[1]s/clean, patch: 8, patches_per_image: 8, augment: [flip, rotate90], validation: 4, test_fraction: 0.2}
model: {kind: unet, channels: [6, 8], output: linear}
train: {batch_size: 16, epochs: 6, learning_rate: 0.01}
output: {grid: {rows: 2, columns: 2}}
`

// A model learns from pictures that are damaged already and their clean ones, with patches from the same places; a run that was stopped
// and resumed leaves the same bits, and verifies.
func TestPairs(t *testing.T) {
	dir := t.TempDir()
	saveScenes(t, filepath.Join(dir, "noisy"), 30, 25, 1)
	saveScenes(t, filepath.Join(dir, "clean"), 30, 0, 2)
	text := fmt.Sprintf(pairs, dir)
	b := backendtest.XLA(t)
	whole, err := experiment.Run(context.Background(), load(t, b, text), experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	result := manifestOf(t, whole).Result
	if noisy := result.Corrupted["psnr"]; noisy < 19.5 || noisy > 21 { // 20 log10(255 / 25) = 20.17
		t.Errorf("the noisy input has %.2f dB", noisy)
	}
	if gain := result.Test["psnr"] - result.Corrupted["psnr"]; gain < 2 {
		t.Errorf("a gain of %.2f dB", gain)
	}

	ctx, cancel := context.WithCancel(context.Background())
	run, err := experiment.Run(ctx, load(t, b, text), experiment.Options{Log: &stopper{cancel: cancel, after: 3}, Terminal: true})
	cancel()
	if err == nil || !strings.Contains(err.Error(), "--resume") {
		t.Fatalf("stopped with %v", err)
	}
	if _, err := experiment.Resume(context.Background(), run.Path, experiment.Options{}); err != nil {
		t.Fatal(err)
	}
	if a, b := read(t, whole, "checkpoints/best.ckpt"), read(t, run, "checkpoints/best.ckpt"); a != b {
		t.Error("the resumed run has other weights")
	}
	if _, err := experiment.Verify(context.Background(), run.Path, 0, experiment.Options{}); err != nil {
		t.Error(err)
	}
}
