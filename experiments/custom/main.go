// Command custom is the command latent with a corruption and a model of its own: scratches.go and maxout.go.
//
//	go run ./experiments/custom run experiments/custom/scratches.yaml
//
// All that latent does it does for them too: it checks their keys and suggests them, trains, resumes, sweeps, denoises,
// generates, exports. `custom config schema` prints a schema with their keys, for editors.
//
// To start a program of one's own, copy this folder, and beside it make a go.mod that requires the module latent. Nothing here
// is internal; custom_test.go has the tests that an author wants.
package main

import (
	"latent/pkg/command"
	"latent/pkg/config"
	"latent/pkg/corrupt"
	"latent/pkg/model"
)

func main() {
	config.AddKind(corrupt.Kinds, "scratches", func() corrupt.Corruption {
		return &Scratches{Count: 3, Width: corrupt.Range{0.5, 1.5}, Brightness: corrupt.Range{0.5, 1}}
	})
	config.AddKind(model.Kinds, "maxout", func() model.Model {
		return &Maxout{Hidden: 128, Pieces: 3, Latent: 32, Output: "tanh"}
	})
	command.Main()
}
