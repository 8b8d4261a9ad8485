package model

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
)

// The flow's loss is that of its definition, written here for a velocity that is known.
func TestFlowLoss(t *testing.T) {
	const n, d = 3, 4
	z, noise, times := random.NewSeed(1).Normal(n*d, 1), random.NewSeed(2).Normal(n*d, 1), []float32{0, 0.25, 1}
	velocity := func(z, t float64) float64 { return 3*z - t }
	var want []float64
	for i, at := range times {
		sum, t := 0.0, float64(at)
		for j := range d {
			z, noise := float64(z[i*d+j]), float64(noise[i*d+j])
			sum += math.Pow(z-noise-velocity(t*z+(1-t)*noise, t), 2)
		}
		want = append(want, sum)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		output, err := ExecOnce(b.Compute, func(z, noise, t *Node) *Node {
			return flowLoss(z, noise, t, func(z, t *Node) *Node { return Sub(MulScalar(z, 3), ExpandAxes(t, 1)) })
		}, tensors.FromFlatDataAndDimensions(z, n, d), tensors.FromFlatDataAndDimensions(noise, n, d), times)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "loss", tensors.MustCopyFlatData[float32](output), want)
	})
}

// The flow learns of the codes, and the autoencoder nothing of the flow: its gradients are those of kind rae.
func TestFlowLeavesTheAutoencoder(t *testing.T) {
	image := Image{Height: 2, Width: 2, Channels: 1}
	coder := Coder{Network: Network{Encoder: []int{5}, Latent: 3, Decoder: []int{4}, Activation: "tanh", Init: "pytorch"}, Output: "linear"}
	rae := RAE{Coder: coder, Beta: 0.5, Lambda: 0.1}
	x := []float32{-1, 0.5, 0, 1, 0.25, -0.5, 1, -1}
	gradients := func(b *backend.Backend, m Objective) map[string][]float32 {
		args := []any{tensors.FromFlatDataAndDimensions(x, 2, 2, 2, 1), []uint32{1, 2}}
		params := Params(m, image)
		for i, param := range params {
			args = append(args, tensors.FromFlatDataAndDimensions(param.Init.Values(random.NewSeed(2).Child(i), param.Size()), param.Dims...))
		}
		outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
			p := &Pass{Weights: Weights{}, Training: true, Key: random.KeyFromNode(nodes[1])}
			for _, number := range rae.Numbers() {
				p.Numbers = append(p.Numbers, Scalar(nodes[0].Graph(), nodes[0].DType(), float64(number)))
			}
			for i, param := range params {
				p.Weights[param.Name] = nodes[2+i]
			}
			_, terms := m.Objective(p, nodes[0], nodes[0])
			return Gradient(ReduceAllMean(Sum(terms)), nodes[2:]...)
		}, args...)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string][]float32{}
		for i, param := range params {
			found[param.Name] = tensors.MustCopyFlatData[float32](outputs[i])
		}
		return found
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		alone, beside := gradients(b, &rae), gradients(b, &Flow{RAE: rae, Hidden: []int{6}, Draws: 2})
		for name, want := range alone {
			wide := make([]float64, len(want))
			for i := range want {
				wide[i] = float64(want[i])
			}
			same(t, name, beside[name], wide)
		}
		learns := false
		for _, value := range beside["velocity.layer_1.weight"] {
			learns = learns || value != 0
		}
		if !learns {
			t.Error("the flow's own weights have no gradient")
		}
	})
}
