package evaluate

import (
	"context"
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/model"
	"latent/pkg/random"
)

// normalField is a model whose field leads to a normal distribution of mean m and deviation s, in closed form: with z_t = t z +
// (1 − t) ε, the mean of z − ε at z_t is m + (t s² − (1 − t)) / (t² s² + (1 − t)²) (z_t − t m), and the way from ε ends at m + s ε.
type normalField struct {
	model.Dense
	m, s float64
}

func (normalField) FieldSize(model.Image) int            { return 2 }
func (normalField) FieldSteps() int                      { return 64 }
func (normalField) Arrived(_ *model.Pass, z *Node) *Node { return z }
func (normalField) Decode(_ *model.Pass, z *Node) *Node  { return z }

func (f normalField) Velocity(_ *model.Pass, z, t *Node, _ model.Image) *Node {
	t = ExpandAxes(t, 1)
	back := OneMinus(t)
	slope := Div(Sub(MulScalar(t, f.s*f.s), back), Add(MulScalar(Square(t), f.s*f.s), Square(back)))
	return AddScalar(Mul(slope, Sub(z, MulScalar(t, f.m))), f.m)
}

func TestFlow(t *testing.T) {
	const n, m, s = block + 3, 0.5, 0.3
	noise := Codes{Size: 2, Values: random.NewSeed(3).Normal(2*n, 1)}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		field := &normalField{model.Dense{Encoder: []int{1}, Activation: "relu", LatentActivation: "relu", Output: "tanh", Init: "pytorch"}, m, s}
		image := model.Image{Height: 1, Width: 2, Channels: 1}
		evaluator, err := New(b.Compute, Spec{Model: field, Loss: model.Loss{Kind: "mse"}}, like(image))
		if err != nil {
			t.Fatal(err)
		}
		var weights []*tensors.Tensor
		for _, param := range model.Params(field, image) {
			weights = append(weights, tensors.FromFlatDataAndDimensions(make([]float32, param.Size()), param.Dims...))
		}
		codes, err := evaluator.Flow(context.Background(), weights, noise)
		if err != nil {
			t.Fatal(err)
		}
		if codes.Len() != n {
			t.Fatalf("%d codes of %d draws", codes.Len(), n)
		}
		for i, got := range codes.Values {
			if want := m + s*float64(noise.Values[i]); math.Abs(float64(got)-want) > 2e-3 {
				t.Errorf("value %d: %g, want %g", i, got, want)
			}
		}
	})
}
