package model_test

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/janpfeifer/must"

	"latent/pkg/backend"
	"latent/pkg/model"
	"latent/pkg/random"
)

// A model lists its layers, and is applied where a graph is built. It keeps no weights: they are inputs.
func Example() {
	m := &model.Dense{Encoder: []int{32, 8}, Decoder: []int{32}, Activation: "relu", LatentActivation: "linear", Output: "tanh", Init: "pytorch"}
	image := model.Image{Height: 8, Width: 8, Channels: 1}
	for _, layer := range m.Layers(image) {
		fmt.Println(layer.Name, "is", layer.Description)
	}

	b := must.M1(backend.OpenInstalled("go", backend.Options{}))
	defer b.Close()
	params, inputs := model.Params(m, image), []any{tensors.FromFlatDataAndDimensions(make([]float32, 5*64), 5, 8, 8, 1)}
	for _, weights := range model.FirstWeights(m, image, random.NewSeed(42)) {
		inputs = append(inputs, weights)
	}
	made := must.M1(ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
		weights := model.Weights{}
		for i, param := range params {
			weights[param.Name] = nodes[1+i]
		}
		out := m.Apply(&model.Pass{Weights: weights}, nodes[0])
		return []*Node{out.Latent, out.Image, model.Loss{Kind: "mse"}.PerImage(nodes[0], out, nil, nil)}
	}, inputs...))
	fmt.Println("codes", made[0].Shape().Dimensions, "images", made[1].Shape().Dimensions, "losses", made[2].Shape().Dimensions)
	// Output:
	// encoder.layer_1 is dense 64 → 32, relu
	// encoder.layer_2 is dense 32 → 8, linear
	// decoder.layer_1 is dense 8 → 32, relu
	// decoder.layer_2 is dense 32 → 64, tanh
	// codes [5 8] images [5 8 8 1] losses [5]
}

// A layer is described, and applied, by the same value: a model is made of such.
func ExampleDenseLayer() {
	layer := model.DenseLayer{Name: "double", In: 2, Out: 1, Activation: "relu", Init: "glorot"}
	fmt.Println(layer.Layer().Description, layer.Layer().Params[0].Dims)

	b := must.M1(backend.OpenInstalled("go", backend.Options{}))
	defer b.Close()
	y := must.M1(ExecOnce(b.Compute, func(x, weight, bias *Node) *Node {
		return layer.Apply(&model.Pass{Weights: model.Weights{"double.weight": weight, "double.bias": bias}}, x)
	}, [][]float32{{1, 2}, {-3, 1}}, [][]float32{{2}, {2}}, []float32{0.5}))
	fmt.Println(y.Value())
	// Output:
	// dense 2 → 1, relu [2 1]
	// [[6.5] [0]]
}
