package model_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/model"
	"latent/pkg/random"
)

// golden is testdata/golden.json, written by testdata/golden.py.
type golden struct {
	Height, Width, Batch int
	Encoder, Decoder     []int
	HuberDelta           float64 `json:"huber_delta"`
	X                    []float32
	Weights              map[string][]float32
	Cases                []struct {
		Activation       string
		LatentActivation string `json:"latent_activation"`
		Output           string
		Latent, Image    []float64
		Losses           map[string][]float64
	}
}

func readGolden(t *testing.T) golden {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// weightTensors returns the parameters' values as tensors in the order of model.Params, behind the image.
func weightTensors(params []model.Param, values map[string][]float32) []any {
	var args []any
	for _, param := range params {
		args = append(args, tensors.FromFlatDataAndDimensions(values[param.Name], param.Dims...))
	}
	return args
}

// passOf is a pass with the nodes of the parameters.
func passOf(params []model.Param, nodes []*Node) *model.Pass {
	weights := model.Weights{}
	for i, param := range params {
		weights[param.Name] = nodes[i]
	}
	return &model.Pass{Weights: weights}
}

// The forward pass and the losses agree with NumPy's.
func TestDenseAgainstNumPy(t *testing.T) {
	g := readGolden(t)
	image := model.Image{Height: g.Height, Width: g.Width, Channels: 1}
	lossKinds := []string{"mse", "mae", "huber", "bce"}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, c := range g.Cases {
			name := fmt.Sprintf("%s, %s, %s", c.Activation, c.LatentActivation, c.Output)
			m := &model.Dense{Encoder: g.Encoder, Decoder: g.Decoder, Activation: c.Activation,
				LatentActivation: c.LatentActivation, Output: c.Output, Init: "pytorch"}
			params := model.Params(m, image)
			x := tensors.FromFlatDataAndDimensions(g.X, g.Batch, g.Height, g.Width, 1)
			args := append([]any{x}, weightTensors(params, g.Weights)...)
			outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
				out := m.Apply(passOf(params, nodes[1:]), nodes[0])
				results := []*Node{out.Latent, out.Image}
				for _, kind := range lossKinds {
					results = append(results, perImage(model.Loss{Kind: kind, HuberDelta: g.HuberDelta}, nodes[0], out, nil))
				}
				return results
			}, args...)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			compare(t, name+": latent", outputs[0], c.Latent)
			compare(t, name+": image", outputs[1], c.Image)
			for i, kind := range lossKinds {
				compare(t, name+": "+kind, outputs[2+i], c.Losses[kind])
			}
		}
	})
}

// perImage is the loss with its own strengths.
func perImage(loss model.Loss, x *Node, out model.Output, mask *Node) *Node {
	var strengths []*Node
	for _, value := range loss.Strengths() {
		strengths = append(strengths, Scalar(x.Graph(), x.DType(), value))
	}
	return loss.PerImage(x, out, mask, strengths)
}

// With Damaged, the loss is the mean over the pixels where the mask is 1, on all channels, and 0 where there are none: three
// images of two pixels with two channels, of which one pixel, both and none count.
func TestLossOnDamaged(t *testing.T) {
	x := []float32{0, 0, 0, 0 /**/, 0, 0, 0, 0 /**/, 1, 1, 1, 1}
	y := []float32{1, 3, 9, 9 /**/, 1, 2, 3, 4 /**/, 9, 9, 9, 9}
	mask := []float32{1, 0 /**/, 1, 1 /**/, 0, 0}
	want := map[string][]float64{
		"mse":   {(1. + 9) / 2, (1. + 4 + 9 + 16) / 4, 0},
		"mae":   {(1. + 3) / 2, (1. + 2 + 3 + 4) / 4, 0},
		"huber": {(0.5 + 2.5) / 2, (0.5 + 1.5 + 2.5 + 3.5) / 4, 0}, // δ = 1
		"bce":   {math.Ln2, math.Ln2, 0},                           // logit 0 is p = ½, whatever the pixel
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for kind, want := range want {
			loss := model.Loss{Kind: kind, HuberDelta: 1, Damaged: true}
			got, err := ExecOnce(b.Compute, func(x, y, mask *Node) *Node {
				return perImage(loss, x, model.Output{Image: y, Logits: ZerosLike(y)}, mask)
			}, tensors.FromFlatDataAndDimensions(x, 3, 1, 2, 2), tensors.FromFlatDataAndDimensions(y, 3, 1, 2, 2),
				tensors.FromFlatDataAndDimensions(mask, 3, 1, 2, 1))
			if err != nil {
				t.Fatal(err)
			}
			compare(t, kind, got, want)
		}
	})
}

// compare wants float32 agreement with values computed in float64 through a few layers.
func compare(t *testing.T, what string, got *tensors.Tensor, want []float64) {
	t.Helper()
	values := tensors.MustCopyFlatData[float32](got)
	if len(values) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(values), len(want))
	}
	for i := range want {
		if bound := 2e-5 * max(1, math.Abs(want[i])); math.Abs(float64(values[i])-want[i]) > bound {
			t.Errorf("%s[%d]: got %g, want %g ± %g", what, i, values[i], want[i], bound)
		}
	}
}

// The gradient of every loss through every activation agrees with central differences of the loss, for every parameter's
// every value.
func TestGradientsAgainstDifferences(t *testing.T) {
	g := readGolden(t)
	image := model.Image{Height: g.Height, Width: g.Width, Channels: 1}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, activation := range []string{"relu", "leaky_relu", "gelu", "silu", "elu", "tanh", "sigmoid", "linear"} {
			for _, kind := range []string{"mse", "mae", "huber", "bce"} {
				m := &model.Dense{Encoder: []int{5}, Decoder: []int{4}, Activation: activation,
					LatentActivation: activation, Output: "sigmoid", Init: "pytorch"}
				checkGradient(t, b, m, model.Loss{Kind: kind, HuberDelta: g.HuberDelta}, image, g.X[:image.Size()])
			}
		}
		linear := &model.Dense{Encoder: []int{3}, Activation: "relu", LatentActivation: "linear", Output: "linear", Init: "he"}
		checkGradient(t, b, linear, model.Loss{Kind: "mse"}, image, g.X[:image.Size()])
	})
}

// checkGradient evaluates all shifted copies of the parameters in float64, so that the differences' own error, of the
// order of h² and 10⁻¹⁶/h, lies far below the bound. Kinks (relu, mae) lie within h of these random weights with a chance
// too small to meet, and the seed is fixed.
func checkGradient(t *testing.T, b *backend.Backend, m model.Model, loss model.Loss, image model.Image, pixels []float32) {
	t.Helper()
	const h = 1e-5
	params := model.Params(m, image)
	wide := func(values []float32) []float64 {
		out := make([]float64, len(values))
		for i, v := range values {
			out[i] = float64(v)
		}
		return out
	}
	batch := len(pixels) / image.Size()
	args := []any{tensors.FromFlatDataAndDimensions(wide(pixels), batch, image.Height, image.Width, image.Channels)}
	var values [][]float64
	for i, param := range params {
		init := param.Init
		if init.Limit == 0 && !param.Statistic {
			init.Limit = 0.5 // Zeros put activations on their kinks.
		}
		values = append(values, wide(init.Values(random.NewSeed(5).Child(i), param.Size())))
		args = append(args, tensors.FromFlatDataAndDimensions(values[i], param.Dims...))
	}
	total := func(nodes []*Node) *Node {
		x := nodes[0]
		pass := passOf(params, nodes[1:])
		pass.Training, pass.Key = true, random.KeyFromNode(Const(x.Graph(), []uint32{3, 4}))
		for _, value := range model.Numbers(m) {
			pass.Numbers = append(pass.Numbers, Scalar(x.Graph(), x.DType(), value))
		}
		out := m.Apply(pass, x)
		return ReduceAllSum(model.Sum(append([]model.Term{{Value: perImage(loss, x, out, nil)}}, out.Penalties...)))
	}
	gradients, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node { return Gradient(total(nodes), nodes[1:]...) }, args...)
	if err != nil {
		t.Fatal(err)
	}
	exec, err := NewExec(b.Compute, total)
	if err != nil {
		t.Fatal(err)
	}
	at := func(i, j int, shift float64) float64 {
		shifted := append([]float64(nil), values[i]...)
		shifted[j] += shift
		moved := append([]any(nil), args...)
		moved[1+i] = tensors.FromFlatDataAndDimensions(shifted, params[i].Dims...)
		return tensors.ToScalar[float64](exec.MustCall(moved...)[0])
	}
	for i, param := range params {
		if param.Statistic {
			continue
		}
		for j, got := range tensors.MustCopyFlatData[float64](gradients[i]) {
			want := (at(i, j, h) - at(i, j, -h)) / (2 * h)
			if math.Abs(got-want) > 1e-7 {
				t.Fatalf("%+v, loss %s: d loss / d %s[%d] = %g, differences give %g", m, loss.Kind, param.Name, j, got, want)
			}
		}
	}
}

// The seed's model has the parameters of its PyTorch twin, and they start within PyTorch's bounds.
func TestSeedModel(t *testing.T) {
	image := model.Image{Height: 28, Width: 28, Channels: 1}
	count := 0
	fanIn := 0
	for i, param := range model.Params(model.Kinds["dense"](), image) {
		count += param.Size()
		if len(param.Dims) == 2 {
			fanIn = param.Dims[0]
		}
		limit := 1 / math.Sqrt(float64(fanIn))
		largest := 0.0
		for _, v := range param.Init.Values(random.NewSeed(0).Child(i), param.Size()) {
			largest = max(largest, math.Abs(float64(v)))
		}
		if largest > limit || largest < 0.9*limit {
			t.Errorf("%s: largest first value %g, want just below %g", param.Name, largest, limit)
		}
	}
	// 784·256+256 + 256·128+128 + 128·64+64 + 64·128+128 + 128·256+256 + 256·784+784, as PyTorch counts the same layers.
	if want := 484_944; count != want {
		t.Errorf("%d parameters, want %d", count, want)
	}
}

// A layer that does not fit says which, and what it got.
func TestMismatchNamesLayer(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m := model.Kinds["dense"]()
		params := model.Params(m, model.Image{Height: 4, Width: 4, Channels: 1})
		_, err := ExecOnce(b.Compute, func(x *Node) *Node {
			weights := model.Weights{}
			for _, param := range params {
				weights[param.Name] = Zeros(x.Graph(), shapes.Make(dtypes.Float32, param.Dims...))
			}
			return m.Apply(&model.Pass{Weights: weights}, x).Image
		}, tensors.FromFlatDataAndDimensions(make([]float32, 2*9), 2, 3, 3, 1))
		want := "build encoder.layer_1: input [2 9] does not fit weights [16 256]"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	})
}
