package config_test

import (
	"fmt"

	"latent/pkg/config"
)

func ExampleParse() {
	e, err := config.Parse("first.yaml", []byte("corrupt: {kind: gaussian, noise_factor: 0.5}"), "train.epochs=3")
	fmt.Println(e.Name, e.DatasetName(), e.Corrupt.Caption(), e.Train.Epochs, err)

	_, err = config.Parse("first.yaml", []byte("model: {encodr: [256, 64]}\ntrain: {epochs: 0}"))
	fmt.Println(err)
	// Output:
	// first mnist gaussian 0.5 3 <nil>
	// first.yaml:1:9: model.encodr: unknown key; did you mean encoder? allowed here: kind, encoder, decoder, activation, latent_activation, output, init, tied, norm, dropout, sparsity, sparsity_weight, sparsity_target, contraction, contraction_weight
	// first.yaml:2:9: train.epochs: found 0, want a whole number from 1 to 1000000
}
