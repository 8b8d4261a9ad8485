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
