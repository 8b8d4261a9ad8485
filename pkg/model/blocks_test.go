package model_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gopkg.in/yaml.v3"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/model"
	"latent/pkg/model/modeltest"
	"latent/pkg/random"
)

// The forward pass of convolutional models, of norms, and of tied weights, and the next statistics of batch norms, agree with
// PyTorch's (testdata/golden_conv.py).
func TestBlocksAgainstPyTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/golden_conv.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Height, Width, Batch int
		Cases                []struct {
			Name          string
			Model         json.RawMessage
			Channels      int
			Training      bool
			X             []float32
			Weights       map[string][]float32
			Latent, Image []float64
			Next          map[string][]float64
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, c := range golden.Cases {
			var kind struct{ Kind string }
			if err := json.Unmarshal(c.Model, &kind); err != nil {
				t.Fatal(err)
			}
			m := model.Kinds[kind.Kind]()
			if err := yaml.Unmarshal(c.Model, m); err != nil { // The keys are YAML's, and JSON is YAML.
				t.Fatal(err)
			}
			params := model.Params(m, model.Image{Height: golden.Height, Width: golden.Width, Channels: c.Channels})
			if len(params) != len(c.Weights) {
				t.Errorf("%s: %d parameters, PyTorch has %d", c.Name, len(params), len(c.Weights))
			}
			x := tensors.FromFlatDataAndDimensions(c.X, golden.Batch, golden.Height, golden.Width, c.Channels)
			var updated []string
			outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
				pass := passOf(params, nodes[1:])
				pass.Training = c.Training
				out := m.Apply(pass, nodes[0])
				results := []*Node{out.Latent, out.Image}
				updated = nil
				for _, param := range params {
					if next := pass.Updated(param.Name); next != nil {
						updated, results = append(updated, param.Name), append(results, next)
					}
				}
				return results
			}, append([]any{x}, weightTensors(params, c.Weights)...)...)
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			compare(t, c.Name+": latent", outputs[0], c.Latent)
			compare(t, c.Name+": image", outputs[1], c.Image)
			if len(updated) != len(c.Next) {
				t.Errorf("%s: statistics %v have next values, PyTorch has %d", c.Name, updated, len(c.Next))
			}
			for i, name := range updated {
				compare(t, c.Name+": "+name, outputs[2+i], c.Next[name])
			}
		}
	})
}

// Gradients through every block agree with differences, in pure Go: XLA takes a minute for these thousands of small calls, and
// TestBlocks of pkg/train compares the two.
func TestBlockGradientsAgainstDifferences(t *testing.T) {
	dense := func(change func(d *model.Dense)) model.Model {
		d := &model.Dense{Encoder: []int{4, 3}, Decoder: []int{4}, Activation: "tanh", LatentActivation: "sigmoid", Output: "linear", Init: "glorot"}
		change(d)
		return d
	}
	conv := model.Conv{Channels: []int{2, 3}, Kernel: 3, Stride: 2, Latent: 2, Activation: "tanh", LatentActivation: "linear",
		Norm: "batch", Dropout: 0.2, Output: "tanh", Init: "pytorch"}
	transposed, resize := conv, conv
	transposed.Decoder, transposed.Kernel, resize.Decoder = "transposed", 4, "resize"
	unet := model.UNet{U: model.U{Channels: []int{2, 3}, Convolutions: 1, Kernel: 3, Activation: "silu", Init: "pytorch"}, Output: "linear"}
	one, other := unet, unet
	one.Pooling, one.Upsampling, one.Norm = "max", "transposed", "batch"
	other.Pooling, other.Upsampling, other.Residual = "strided", "resize", true
	small := model.Image{Height: 3, Width: 2, Channels: 1}
	grey := model.Image{Height: 5, Width: 4, Channels: 1}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		if b.Name != "go" {
			t.Skip("pure Go only")
		}
		for _, c := range []struct {
			m     model.Model
			image model.Image
		}{
			{dense(func(d *model.Dense) { d.Tied, d.Norm = true, "layer" }), small},
			{dense(func(d *model.Dense) { d.Norm, d.Dropout = "batch", 0.3 }), small},
			{dense(func(d *model.Dense) { d.Sparsity, d.SparsityWeight = "l1", 0.3 }), small},
			{dense(func(d *model.Dense) { d.Sparsity, d.SparsityWeight, d.SparsityTarget = "kl", 0.3, 0.1 }), small},
			{dense(func(d *model.Dense) { d.Contraction, d.ContractionWeight = true, 0.3 }), small},
			{dense(func(d *model.Dense) {
				d.Encoder, d.Decoder, d.Contraction, d.ContractionWeight = []int{4}, nil, true, 0.3
			}), small},
			{&transposed, grey},
			{&resize, grey},
			{&one, grey},
			{&other, grey},
		} {
			pixels := random.NewSeed(6).Uniform(3 * c.image.Size())
			checkGradient(t, b, c.m, model.Loss{Kind: "mse"}, c.image, pixels)
		}
	})
}

// apply runs a model in a pass, with its first weights, and returns the latent, the image and the penalties.
func apply(t *testing.T, b *backend.Backend, m model.Model, x *tensors.Tensor, prepare func(p *model.Pass, x *Node)) [][]float32 {
	t.Helper()
	dims := x.Shape().Dimensions
	params := model.Params(m, model.Image{Height: dims[1], Width: dims[2], Channels: dims[3]})
	values := map[string][]float32{}
	for i, param := range params {
		values[param.Name] = param.Init.Values(random.NewSeed(5).Child(i), param.Size())
	}
	outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
		pass, x := passOf(params, nodes[1:]), nodes[0]
		pass.Key = random.KeyFromNode(Const(x.Graph(), []uint32{3, 4}))
		for _, value := range model.Numbers(m) {
			pass.Numbers = append(pass.Numbers, Scalar(x.Graph(), x.DType(), value))
		}
		if prepare != nil {
			prepare(pass, x)
		}
		out := m.Apply(pass, x)
		results := []*Node{out.Latent, out.Image}
		for _, term := range out.Penalties {
			results = append(results, term.Value)
		}
		for _, param := range params {
			if next := pass.Updated(param.Name); next != nil {
				results = append(results, next)
			}
		}
		return results
	}, append([]any{x}, weightTensors(params, values)...)...)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]float32
	for _, output := range outputs {
		all = append(all, tensors.MustCopyFlatData[float32](output))
	}
	return all
}

func images(n, height, width, channels int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(random.NewSeed(9).Uniform(n*height*width*channels), n, height, width, channels)
}

func near(a, b []float32, tolerance float64) bool {
	return slices.EqualFunc(a, b, func(a, b float32) bool { return math.Abs(float64(a-b)) <= tolerance })
}

// TestKinds holds what is promised of every model.
func TestKinds(t *testing.T) {
	for name, kind := range model.Kinds {
		t.Run(name, func(t *testing.T) { modeltest.Run(t, kind()) })
	}
}

// Tied weights are there once: 6·4 + 4·3 of them, with a bias for every layer, 4 + 3 + 4 + 6.
func TestTiedWeights(t *testing.T) {
	m := &model.Dense{Encoder: []int{4, 3}, Decoder: []int{4}, Activation: "relu", LatentActivation: "relu", Output: "tanh", Init: "pytorch", Tied: true}
	count := 0
	for _, param := range model.Params(m, model.Image{Height: 3, Width: 2, Channels: 1}) {
		count += param.Size()
	}
	if want := 36 + 17; count != want {
		t.Errorf("%d values, want %d", count, want)
	}
	m.Decoder = []int{5}
	found := ""
	m.Check(func(key, problem string) { found = key + ": " + problem })
	if want := "tied: with tied weights the decoder must be the encoder in reverse; write decoder: [4], or leave it out"; found != want {
		t.Errorf("got %q, want %q", found, want)
	}
}

// Padding changes neither what a batch norm makes of the images nor its statistics; after training it needs no batch.
func TestBatchNormPadding(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, m := range []model.Model{
			&model.Dense{Encoder: []int{4, 3}, Decoder: []int{4}, Activation: "relu", LatentActivation: "relu", Output: "tanh", Init: "pytorch", Norm: "batch"},
			&model.Conv{Channels: []int{3}, Kernel: 4, Stride: 2, Latent: 3, Decoder: "transposed", Activation: "relu", LatentActivation: "linear", Norm: "batch", Output: "tanh", Init: "pytorch"},
		} {
			whole := apply(t, b, m, images(5, 4, 4, 1), func(p *model.Pass, x *Node) { p.Training = true })
			padded := tensors.MustCopyFlatData[float32](images(5, 4, 4, 1))
			padded = append(padded, random.NewSeed(1).Uniform(3*16)...)
			got := apply(t, b, m, tensors.FromFlatDataAndDimensions(padded, 8, 4, 4, 1), func(p *model.Pass, x *Node) {
				p.Training, p.Counts = true, Const(x.Graph(), []float32{1, 1, 1, 1, 1, 0, 0, 0})
			})
			if len(got) != 2+2*2 {
				t.Fatalf("%d outputs, want 2 and the statistics of 2 norms", len(got))
			}
			for i := range whole {
				if !near(got[i][:len(whole[i])], whole[i], 1e-5) {
					t.Errorf("output %d is %v with padding, %v without", i, got[i][:len(whole[i])], whole[i])
				}
			}
			one, five := apply(t, b, m, images(1, 4, 4, 1), nil), apply(t, b, m, images(5, 4, 4, 1), nil)
			if len(one) != 2 || !near(one[1], five[1][:16], 1e-6) {
				t.Error("without training, an image depends on its batch, or statistics change")
			}
		}
	})
}

// Dropout drops its part in training, other values in another draw, and keeps the mean; without training it does nothing.
func TestDropout(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m := &model.Dense{Encoder: []int{400, 400}, Activation: "linear", LatentActivation: "linear", Output: "linear", Init: "pytorch", Dropout: 0.25}
		plain := *m
		plain.Dropout = 0
		x := images(50, 2, 2, 1)
		if got, want := apply(t, b, m, x, nil)[0], apply(t, b, &plain, x, nil)[0]; !slices.Equal(got, want) {
			t.Error("without training, dropout changes the code")
		}
		// The identity shows what is dropped.
		identity := func(m *model.Dense) []float32 {
			output, err := ExecOnce(b.Compute, func(x *Node) *Node {
				ones := BroadcastToDims(Scalar(x.Graph(), x.DType(), 1), 1, 400)
				weights := model.Weights{
					"encoder.layer_1.weight": ones, "encoder.layer_1.bias": MulScalar(Reshape(ones, 400), 0),
					"encoder.layer_2.weight": DiagonalWithValue(Scalar(x.Graph(), x.DType(), 1), 400), "encoder.layer_2.bias": MulScalar(Reshape(ones, 400), 0),
				}
				return m.Encode(&model.Pass{Weights: weights, Training: true, Key: random.KeyFromNode(Const(x.Graph(), []uint32{1, 2}))}, x)
			}, tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{1}, 50), 50, 1, 1, 1))
			if err != nil {
				t.Fatal(err)
			}
			return tensors.MustCopyFlatData[float32](output)
		}
		zeros, sum := 0, 0.0
		for _, v := range identity(m) {
			if v == 0 {
				zeros++
			} else if math.Abs(float64(v)-1/0.75) > 1e-6 {
				t.Fatalf("a value is %g, want 0 or 1/0.75", v)
			}
			sum += float64(v)
		}
		// 20,000 draws: four deviations of √(0.25 · 0.75 / 20,000) = 0.0031.
		if part := float64(zeros) / 20000; math.Abs(part-0.25) > 0.0123 {
			t.Errorf("a part of %g is dropped, want 0.25", part)
		}
		if mean := sum / 20000; math.Abs(mean-1) > 0.0164 {
			t.Errorf("the mean is %g, want 1", mean)
		}
	})
}

// The penalties are what they say, from their closed forms and from the Jacobian.
func TestPenalties(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		x := images(6, 3, 2, 1)
		l1 := &model.Dense{Encoder: []int{4, 3}, Activation: "relu", LatentActivation: "tanh", Output: "tanh", Init: "pytorch", Sparsity: "l1", SparsityWeight: 1}
		got := apply(t, b, l1, x, nil)
		for i := range 6 {
			sum := 0.0
			for _, z := range got[0][3*i:][:3] {
				sum += math.Abs(float64(z))
			}
			if math.Abs(float64(got[2][i])-sum) > 1e-6 {
				t.Errorf("l1 of image %d is %g, want %g", i, got[2][i], sum)
			}
		}
		kl := *l1
		kl.Sparsity, kl.SparsityTarget, kl.LatentActivation = "kl", 0.1, "sigmoid"
		got = apply(t, b, &kl, x, func(p *model.Pass, x *Node) { p.Counts = Const(x.Graph(), []float32{1, 1, 1, 1, 0, 0}) })
		want := 0.0
		for j := range 3 {
			rate := 0.0
			for i := range 4 {
				rate += float64(got[0][3*i+j]) / 4
			}
			want += 0.1*math.Log(0.1/rate) + 0.9*math.Log(0.9/(1-rate))
		}
		for i, v := range got[2] {
			if math.Abs(float64(v)-want) > 1e-5 {
				t.Errorf("kl of image %d is %g, want %g", i, v, want)
			}
		}

		// ‖J‖² from a gradient for each value of the code.
		jacobian := func(m *model.Dense, x *tensors.Tensor) []float32 {
			plain := *m
			plain.Contraction = false
			params := model.Params(m, model.Image{Height: 3, Width: 2, Channels: 1})
			values := map[string][]float32{}
			for i, param := range params {
				values[param.Name] = param.Init.Values(random.NewSeed(5).Child(i), param.Size())
			}
			output, err := ExecOnce(b.Compute, func(nodes []*Node) *Node {
				z := plain.Encode(passOf(params, nodes[1:]), nodes[0])
				var sum *Node
				for j := range z.Shape().Dim(1) {
					row := Gradient(ReduceAllSum(Slice(z, AxisRange(), AxisElem(j))), nodes[0])[0]
					part := ReduceSum(Square(row), 1, 2, 3)
					if sum == nil {
						sum = part
					} else {
						sum = Add(sum, part)
					}
				}
				return sum
			}, append([]any{x}, weightTensors(params, values)...)...)
			if err != nil {
				t.Fatal(err)
			}
			return tensors.MustCopyFlatData[float32](output)
		}
		exact := &model.Dense{Encoder: []int{4}, Activation: "relu", LatentActivation: "sigmoid", Output: "tanh", Init: "pytorch", Contraction: true, ContractionWeight: 1}
		if got, want := apply(t, b, exact, x, nil)[2], jacobian(exact, x); !near(got, want, 1e-5) {
			t.Errorf("the contraction of one layer is %v, want %v", got, want)
		}
		// Of two layers, the mean over 4,000 draws for one image.
		deep := *exact
		deep.Encoder = []int{5, 4}
		same := tensors.FromFlatDataAndDimensions(slices.Repeat(random.NewSeed(9).Uniform(6), 4000), 4000, 3, 2, 1)
		draws, truth := apply(t, b, &deep, same, nil)[2], float64(jacobian(&deep, images(1, 3, 2, 1))[0])
		mean, squares := 0.0, 0.0
		for _, v := range draws {
			mean += float64(v) / 4000
			squares += float64(v) * float64(v) / 4000
		}
		if bound := 4 * math.Sqrt((squares-mean*mean)/4000); math.Abs(mean-truth) > bound || bound > truth {
			t.Errorf("the mean of the estimates is %g, want %g ± %g", mean, truth, bound)
		}
	})
}

// A layer that does not fit says which.
func TestConvMismatchNamesLayer(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		m := model.Kinds["conv"]()
		params := model.Params(m, model.Image{Height: 8, Width: 8, Channels: 1})
		_, err := ExecOnce(b.Compute, func(x *Node) *Node {
			weights := model.Weights{}
			for _, param := range params {
				weights[param.Name] = BroadcastToDims(ScalarZero(x.Graph(), x.DType()), param.Dims...)
			}
			return m.Apply(&model.Pass{Weights: weights}, x).Image
		}, images(1, 8, 8, 3))
		if err == nil || !strings.Contains(err.Error(), "build encoder.conv_1: input [1 8 8 3] does not fit weights [4 4 1 24]") {
			t.Errorf("got error %v, want one that names encoder.conv_1 and both shapes", err)
		}
	})
}
