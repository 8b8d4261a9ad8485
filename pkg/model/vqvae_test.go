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

// The terms, the straight-through gradient and the codebook's moving averages of a linear VQ-VAE are those of their
// definitions, written here for one image after another. The last image is padding: it moves no average.
func TestVQVAE(t *testing.T) {
	const batch, size, latent, entrySize, entries, counted = 4, 6, 4, 2, 3, 3
	const beta, decay = 0.25, 0.9
	image := Image{Height: 2, Width: 3, Channels: 1}
	v := &VQVAE{Coder: Coder{Network: Network{Latent: latent, Activation: "linear", Init: "pytorch"}, Output: "linear"},
		EntrySize: entrySize, Entries: entries, Commitment: beta, Decay: decay}
	values := map[string][]float32{"x": random.NewSeed(1).Uniform(batch * size)}
	params := Params(v, image)
	for i, param := range params {
		values[param.Name] = random.NewSeed(2).Child(i).Uniform(param.Size())
	}
	values["codebook"+codebookShares] = []float32{0.5, 0.2, 0.3}

	at := func(name string, i int) float64 { return float64(values[name][i]) }
	var costs, commitments []float64
	biasGradient := make([]float64, latent)
	shares, sums := make([]float64, entries), make([]float64, entries*entrySize)
	for i := range batch {
		z, e, chosen := make([]float64, latent), make([]float64, latent), make([]int, latent/entrySize)
		for d := range latent {
			z[d] = at("encoder.code.bias", d)
			for j := range size {
				z[d] += at("x", i*size+j) * at("encoder.code.weight", j*latent+d)
			}
		}
		commitment := 0.0
		for part := range chosen {
			nearest := math.Inf(1)
			for k := range entries {
				distance := 0.0
				for d := range entrySize {
					distance += math.Pow(z[part*entrySize+d]-at("codebook"+codebookSums, k*entrySize+d)/at("codebook"+codebookShares, k), 2)
				}
				if distance < nearest {
					nearest, chosen[part] = distance, k
				}
			}
			commitment += nearest
			k := chosen[part]
			for d := range entrySize {
				e[part*entrySize+d] = at("codebook"+codebookSums, k*entrySize+d) / at("codebook"+codebookShares, k)
				if i < counted {
					sums[k*entrySize+d] += z[part*entrySize+d] / (counted * latent / entrySize)
				}
			}
			if i < counted {
				shares[k] += 1.0 / (counted * latent / entrySize)
			}
		}
		cost := 0.0
		for d := range latent {
			biasGradient[d] += 2 * beta * (z[d] - e[d])
		}
		for j := range size {
			y := at("decoder.pixels.bias", j)
			for d := range latent {
				y += e[d] * at("decoder.pixels.weight", d*size+j)
			}
			difference := y - at("x", i*size+j)
			cost += difference * difference
			for d := range latent {
				biasGradient[d] += 2 * difference * at("decoder.pixels.weight", d*size+j)
			}
		}
		costs, commitments = append(costs, cost), append(commitments, commitment)
	}
	for k := range entries {
		shares[k] = decay*at("codebook"+codebookShares, k) + (1-decay)*shares[k]
		for d := range entrySize {
			sums[k*entrySize+d] = decay*at("codebook"+codebookSums, k*entrySize+d) + (1-decay)*sums[k*entrySize+d]
		}
	}

	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		args := []any{tensors.FromFlatDataAndDimensions(values["x"], batch, 2, 3, 1), v.Numbers(), []float32{1, 1, 1, 0}}
		for _, param := range params {
			args = append(args, tensors.FromFlatDataAndDimensions(values[param.Name], param.Dims...))
		}
		outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
			p := &Pass{Weights: Weights{}, Training: true, Counts: nodes[2]}
			for i := range v.Numbers() {
				p.Numbers = append(p.Numbers, Reshape(Slice(nodes[1], AxisElem(i))))
			}
			for i, param := range params {
				p.Weights[param.Name] = nodes[3+i]
			}
			out, terms := v.Objective(p, nodes[0], nodes[0])
			gradient := Gradient(ReduceAllSum(Sum(terms)), p.Weights["encoder.code.bias"])[0]
			return []*Node{terms[0].Value, terms[1].Value, gradient, p.Updated("codebook" + codebookShares), p.Updated("codebook" + codebookSums),
				ReduceAllMax(Abs(Sub(out.Image, v.Apply(p, nodes[0]).Image)))}
		}, args...)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range [][]float64{costs, commitments, biasGradient, shares, sums, {0}} {
			what := []string{"reconstruction", "commitment", "gradient", "shares", "sums", "difference of Apply"}[i]
			same(t, what, tensors.MustCopyFlatData[float32](outputs[i]), want)
		}
	})
}
