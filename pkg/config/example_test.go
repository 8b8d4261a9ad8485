package config_test

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/janpfeifer/must"

	"latent/pkg/config"
	"latent/pkg/corrupt"
	"latent/pkg/random"
)

// An experiment is a struct with a default for everything; a file names what differs, and an override of the command line what
// differs from that.
func Example() {
	e := must.M1(config.Parse("first.yaml", []byte("model: {encoder: [64, 8], decoder: [64]}"), "train.epochs=3"))
	e.Train.LearningRate = 0.01

	text := must.M1(e.YAML()) // all of it, with the defaults
	again := must.M1(config.Parse("resolved.yaml", text))
	fmt.Println(again.Name, again.Train.Epochs, again.Train.BatchSize, again.Train.LearningRate)
	// Output: first 3 128 0.01
}

// invert turns images into their negatives, as far as its strength says.
type invert struct {
	Strength float64 `yaml:"strength" min:"0" max:"1" strength:"yes" doc:"how far, from not at all to wholly"`
}

func (c *invert) Strengths() []float32 { return []float32{float32(c.Strength)} }
func (c *invert) Caption() string      { return fmt.Sprintf("invert %g", c.Strength) }
func (c *invert) Apply(x *Node, strengths []*Node, _ random.Key) *Node {
	return Mul(x, OneMinus(MulScalar(strengths[0], 2)))
}

// A corruption of one's own is known to every config, and its keys are checked like all others.
func ExampleAddKind() {
	config.AddKind(corrupt.Kinds, "invert", func() corrupt.Corruption { return &invert{Strength: 1} })
	defer delete(corrupt.Kinds, "invert") // a program keeps it

	e, err := config.Parse("negative.yaml", []byte("corrupt: [{kind: invert}, {kind: gaussian, noise_factor: 0.1}]"))
	fmt.Println(e.Corrupt.Caption(), err)
	_, err = config.Parse("negative.yaml", []byte("corrupt: {kind: invert, strengh: 2}"))
	fmt.Println(err)
	// Output:
	// invert 1, gaussian 0.1 <nil>
	// negative.yaml:1:25: corrupt.strengh: unknown key; did you mean strength? allowed here: kind, strength
}

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
