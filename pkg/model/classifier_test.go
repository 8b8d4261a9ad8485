package model

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
)

// The objective is log Σ exp(ℓ) − ℓ[label] of the logits ℓ, which are those of the features; large ones do not overflow.
func TestClassifierObjective(t *testing.T) {
	const batch, classes = 3, 2
	image := Image{Height: 5, Width: 4, Channels: 1}
	m := &Classifier{Channels: []int{2, 3}, Features: 4, Classes: classes}
	labels := []uint8{1, 0, 1}
	params := Params(m, image)
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, scale := range []float64{1, 30} {
			args := []any{tensors.FromFlatDataAndDimensions(random.NewSeed(1).Uniform(batch*image.Size()), batch, 5, 4, 1), labels}
			for i, param := range params {
				values := random.NewSeed(2).Child(i).Uniform(param.Size())
				for j := range values {
					values[j] *= float32(scale)
				}
				args = append(args, tensors.FromFlatDataAndDimensions(values, param.Dims...))
			}
			outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
				pass := &Pass{Weights: Weights{}, Labels: nodes[1]}
				for i, param := range params {
					pass.Weights[param.Name] = nodes[2+i]
				}
				out, terms := m.Objective(pass, nodes[0], nodes[0])
				last := DenseLayer{"classifier.classes", 4, classes, "linear", "pytorch"}
				return []*Node{Sum(terms), out.Logits, Sub(out.Logits, last.Apply(pass, out.Latent))}
			}, args...)
			if err != nil {
				t.Fatal(err)
			}
			var values [3][]float32
			for i := range values {
				values[i] = tensors.MustCopyFlatData[float32](outputs[i])
			}
			for i, label := range labels {
				mine, other := float64(values[1][i*classes+int(label)]), float64(values[1][i*classes+1-int(label)])
				want := math.Max(0, other-mine) + math.Log1p(math.Exp(-math.Abs(other-mine)))
				if got := float64(values[0][i]); math.Abs(got-want) > 1e-5*max(1, want) {
					t.Errorf("weights × %g, image %d: the objective is %g, want %g", scale, i, got, want)
				}
			}
			for _, difference := range values[2] {
				if difference != 0 {
					t.Errorf("weights × %g: the logits are not those of the features", scale)
				}
			}
		}
	})
}

// A code of two parts, with the identity as the encoder: each part chooses the nearest of three entries.
func TestChoices(t *testing.T) {
	v := &VQVAE{Coder: Coder{Network: Network{Latent: 4, Activation: "linear", Init: "pytorch"}, Output: "linear"}, EntrySize: 2, Entries: 3}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
			pass := &Pass{Weights: Weights{
				codeLayer + ".weight": nodes[1], codeLayer + ".bias": nodes[2], "codebook" + codebookShares: nodes[3], "codebook" + codebookSums: nodes[4],
			}}
			return []*Node{v.Choices(pass, nodes[0])}
		},
			[][][][]float32{{{{0.9}, {0}}, {{-1}, {0.2}}}, {{{0}, {1}}, {{1}, {0.1}}}},
			[][]float32{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}, []float32{0, 0, 0, 0},
			[]float32{0.5, 0.25, 0.25}, [][]float32{{0.5, 0}, {0, 0.25}, {-0.25, 0}}) // entries (1, 0), (0, 1), (−1, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := tensors.MustCopyFlatData[int32](outputs[0])
		if dims := outputs[0].Shape().Dimensions; dims[0] != 2 || dims[1] != 2 {
			t.Fatalf("choices of shape %v, want [2, 2]", dims)
		}
		for i, want := range []int32{0, 2, 1, 0} {
			if got[i] != want {
				t.Errorf("choices %v, want [0 2 1 0]", got)
				break
			}
		}
	})
}

// The perceptual term is the sum over the classifier's layers of the mean squared difference, has a gradient in the reconstruction alone, and
// is none of an image with itself.
func TestPerceptual(t *testing.T) {
	c := &Classifier{Channels: []int{3, 4}, Features: 5, Classes: 2}
	image := Image{Height: 8, Width: 8, Channels: 1}
	x, y := random.NewSeed(1).Uniform(2*64), random.NewSeed(2).Uniform(2*64)
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		p := &Perceptual{Weight: 2, Classifier: c, Weights: FirstWeights(c, image, random.NewSeed(3))}
		args := []any{tensors.FromFlatDataAndDimensions(x, 2, 8, 8, 1), tensors.FromFlatDataAndDimensions(y, 2, 8, 8, 1)}
		outputs, err := ExecOnceN(b.Compute, func(in []*Node) []*Node {
			weight := Scalar(in[0].Graph(), in[0].DType(), p.Weight)
			term := p.term(in[0], in[1], weight)
			outputs := []*Node{term.Value, p.term(in[1], in[1], weight).Value}
			outputs = append(outputs, Gradient(ReduceAllSum(Sum([]Term{term})), in...)...)
			pass := &Pass{Weights: Weights{}}
			for i, param := range Params(c, image) {
				pass.Weights[param.Name] = ConstTensor(in[0].Graph(), p.Weights[i])
			}
			for _, image := range in {
				for _, layer := range c.hidden(pass, image) {
					outputs = append(outputs, flat(layer))
				}
			}
			return outputs
		}, args...)
		if err != nil {
			t.Fatal(err)
		}
		values := make([][]float32, len(outputs))
		for i, output := range outputs {
			values[i] = tensors.MustCopyFlatData[float32](output)
		}
		layers := values[4:]
		want := make([]float64, 2)
		for l := range 3 {
			seen, made := layers[l], layers[3+l]
			n := len(seen) / 2
			for i := range seen {
				d := float64(made[i]) - float64(seen[i])
				want[i/n] += d * d / float64(n)
			}
		}
		same(t, "perceptual", values[0], want)
		same(t, "of an image with itself", values[1], []float64{0, 0})
		same(t, "gradient in the target", values[2], make([]float64, 128))
		if slices.Max(values[3]) == 0 {
			t.Error("the reconstruction has no gradient")
		}
	})
}
