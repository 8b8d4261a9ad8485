package network_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/janpfeifer/must"

	"latent/pkg/model"
	"latent/pkg/network"
	"latent/pkg/onnx"
	"latent/pkg/random"
)

// A file is known by its checksum before it is loaded. Where onnxruntime is installed, Open loads it, and Run gives its values.
func Example() {
	dir := must.M1(os.MkdirTemp("", "network"))
	defer os.RemoveAll(dir)
	m, image := model.Kinds["dense"](), model.Image{Height: 28, Width: 28, Channels: 1}
	exported := must.M1(onnx.Export(onnx.Source{Model: m, Image: image, Weights: model.FirstWeights(m, image, random.NewSeed(42)), Version: "v1.0.0"}))
	path := filepath.Join(dir, "encoder.onnx")
	must.M(os.WriteFile(path, exported.Files[0].Data, 0o644))

	file := must.M1(network.Read(path))
	fmt.Println(len(file.SHA256), "digits")
	// Output: 64 digits
}
