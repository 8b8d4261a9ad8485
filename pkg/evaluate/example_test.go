package evaluate_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/janpfeifer/must"

	"latent/pkg/backend"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/random"
)

// A model is measured on held-out images, which are damaged by the evaluation's own seed; beside its figures stand those of the
// damaged images. This one has learned nothing yet.
func Example() {
	ctx := context.Background()
	split := must.M1((&dataset.Glyphs{Train: 1, Test: 64}).Load(ctx, dataset.Options{}))
	m := model.Kinds["dense"]()
	image := model.Image{Height: 28, Width: 28, Channels: 1}

	b := must.M1(backend.OpenInstalled("go", backend.Options{}))
	defer b.Close()
	evaluator := must.M1(evaluate.New(b.Compute, evaluate.Spec{
		Model: m, Corrupt: corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.3), Clip: true}},
		Loss: model.Loss{Kind: "mse"}, Seed: 1,
	}, &dataset.Samples{Height: image.Height, Width: image.Width, Channels: image.Channels}))
	defer evaluator.Close()
	result := must.M1(evaluator.Measure(ctx, model.FirstWeights(m, image, random.NewSeed(42)), split.Test))
	for _, name := range []string{"psnr", "ssim"} {
		fmt.Printf("%s: noisy %.1f, reconstructed %.1f\n", name, result.Corrupted[name].Mean, result.Reconstructed[name].Mean)
	}
	// Output:
	// psnr: noisy 19.0, reconstructed 6.6
	// ssim: noisy 0.7, reconstructed 0.0
}

// Figures are written with as many digits as their interval allows.
func ExampleFigure() {
	mean, interval := evaluate.Figure{Mean: 21.20449, Interval: 0.03713}.Text()
	fmt.Println(mean, "±", interval)

	seeds := evaluate.OverRuns([]float64{21.1, 21.2, 21.3})
	fmt.Printf("%.3f ± %.3f over three seeds\n", seeds.Mean, seeds.Interval)
	// Output:
	// 21.204 ± 0.037
	// 21.200 ± 0.248 over three seeds
}

// The arc between two codes keeps their length, the straight line does not.
func ExampleSpherical() {
	a, b := []float32{1, 0}, []float32{0, 1}
	for _, codes := range []evaluate.Codes{evaluate.Straight(a, b, 3), evaluate.Spherical(a, b, 3)} {
		fmt.Printf("%.3f\n", slices.Collect(slices.Chunk(codes.Values, 2)))
	}
	// Output:
	// [[1.000 0.000] [0.500 0.500] [0.000 1.000]]
	// [[1.000 0.000] [0.707 0.707] [0.000 1.000]]
}
