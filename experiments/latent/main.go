// Command latent runs autoencoder experiments that YAML files declare.
//
//	latent run configs/quickstart.yaml train.epochs=3
//
// All of it is pkg/command; experiments/custom has a command with kinds of its own.
package main

import "latent/pkg/command"

func main() { command.Main() }
