package train

import (
	"testing"

	"latent/pkg/array"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/scale"
)

// A model of rows of 16 numbers and more, some of them masked, compiles: XLA went on for ever.
func TestMaskedRows(t *testing.T) {
	b := backendtest.XLA(t)
	s := spec()
	s.Model = &model.Dense{Encoder: []int{8}, Activation: "relu", LatentActivation: "relu", Output: "linear", Init: "pytorch"}
	s.Corrupt = corrupt.Chain{&corrupt.Masking{Probability: corrupt.Fixed(0.3), Patch: 1, Value: 0}}
	rows := &dataset.Samples{Height: 1, Width: 21, Channels: 1, Features: make([]string, 21), Scale: scale.Scale{Open: true}, Values: array.Values{Float32: random.NewSeed(1).Uniform(21 * 64)}}
	for range 21 {
		rows.Scale.Factors, rows.Scale.Offsets = append(rows.Scale.Factors, 0.5), append(rows.Scale.Offsets, 0.1)
	}
	finish(t, start(t, b, rows, s))
}
