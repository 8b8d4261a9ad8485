package main

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend/backendtest"
	"latent/pkg/model"
	"latent/pkg/random"
)

// The U-Net with GoMLX's convolutions makes the same of the same weights, and so do its gradients: those that XLA derives are a
// check on Latent's own.
func TestPlainUNet(t *testing.T) {
	unet := *model.Kinds["unet"]().(*model.UNet)
	unet.Channels, unet.Convolutions = []int{3, 4, 5}, 1
	image := model.Image{Height: 8, Width: 12, Channels: 1}
	params := model.Params(&unet, image)
	args := []any{tensors.FromFlatDataAndDimensions(random.NewSeed(1).Uniform(2*image.Size()), 2, 8, 12, 1)}
	for i, param := range params {
		values := param.Init.Values(random.NewSeed(2).Child(i), param.Size())
		args = append(args, tensors.FromFlatDataAndDimensions(values, param.Dims...))
	}
	b := backendtest.XLA(t)
	var results [2][]*tensors.Tensor
	for which, m := range []model.Model{&unet, &plainUNet{unet}} {
		outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
			p := &model.Pass{Weights: model.Weights{}}
			for i, param := range params {
				p.Weights[param.Name] = nodes[1+i]
			}
			y := m.Apply(p, nodes[0]).Image
			return append([]*Node{y}, Gradient(ReduceAllSum(Square(Sub(y, nodes[0]))), nodes[1:]...)...)
		}, args...)
		if err != nil {
			t.Fatal(err)
		}
		results[which] = outputs
	}
	for i := range results[0] {
		name := "image"
		if i > 0 {
			name = "gradient of " + params[i-1].Name
		}
		own, plain := tensors.MustCopyFlatData[float32](results[0][i]), tensors.MustCopyFlatData[float32](results[1][i])
		for j := range own {
			if math.Abs(float64(own[j]-plain[j])) > 1e-4*(1+math.Abs(float64(plain[j]))) {
				t.Errorf("%s, value %d: %g, with GoMLX's convolutions %g", name, j, own[j], plain[j])
				break
			}
		}
	}
}
