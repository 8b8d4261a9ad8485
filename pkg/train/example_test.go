package train_test

import (
	"context"
	"fmt"

	"github.com/janpfeifer/must"

	"latent/pkg/backend"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/train"
)

// The caller drives the training: each window is one call of the compiled program.
func Example() {
	ctx := context.Background()
	split := must.M1((&dataset.Glyphs{Train: 512, Test: 1}).Load(ctx, dataset.Options{}))
	spec := train.Spec{
		Model:   &model.Dense{Encoder: []int{32}, Activation: "relu", LatentActivation: "relu", Output: "tanh", Init: "pytorch"},
		Corrupt: corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.3), Clip: true}},
		Options: train.Defaults(),
		Seed:    42,
	}
	spec.Epochs, spec.BatchSize = 3, 64

	b := must.M1(backend.OpenInstalled("go", backend.Options{}))
	defer b.Close()
	program := must.M1(train.Compile(b, spec, split.Train, 1))
	defer program.Close()
	group := must.M1(program.Start(spec))
	var losses []float64
	for windows, err := range group.Windows(ctx) {
		must.M(err)
		if window := windows[0]; window.EndsEpoch {
			losses = append(losses, window.EpochLoss)
			fmt.Println("epoch", window.Epoch, "at step", window.Step)
		}
	}
	fmt.Println("the loss has fallen:", losses[2] < losses[0])
	// Output:
	// epoch 1 at step 8
	// epoch 2 at step 16
	// epoch 3 at step 24
	// the loss has fallen: true
}
