package onnx_test

import (
	"fmt"

	"github.com/janpfeifer/must"

	"latent/pkg/model"
	"latent/pkg/onnx"
	"latent/pkg/random"
)

// A model becomes files, with bytes to write and what they take and give. The number of images is free.
func Example() {
	m, image := model.Kinds["dense"](), model.Image{Height: 28, Width: 28, Channels: 1}
	exported := must.M1(onnx.Export(onnx.Source{
		Model: m, Image: image, Weights: model.FirstWeights(m, image, random.NewSeed(42)), Version: "v1.0.0",
	}))
	for _, file := range exported.Files {
		fmt.Println(file.Name, file.Inputs, "→", file.Outputs)
	}
	// Output:
	// encoder.onnx [image [batch, 28, 28, 1]] → [code [batch, 64]]
	// decoder.onnx [code [batch, 64]] → [image [batch, 28, 28, 1]]
	// model.onnx [image [batch, 28, 28, 1]] → [reconstruction [batch, 28, 28, 1]]
}
