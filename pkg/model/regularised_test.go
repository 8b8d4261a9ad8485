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

// The discrepancy is the sum over pairs of its definition, of the points that count; of equal distributions it is 0 on the
// mean, and of distant ones far from it.
func TestDiscrepancy(t *testing.T) {
	const n, d, counted = 6, 3, 5
	points := func(stream, n int, shift float32) [][]float32 {
		rows := make([][]float32, n)
		for i := range rows {
			rows[i] = random.NewSeed(4).Child(stream).Child(i).Normal(d, 1)
			for j := range rows[i] {
				rows[i][j] += shift
			}
		}
		return rows
	}
	kernel := func(a, b []float32) float64 {
		squared := 0.0
		for j := range a {
			squared += math.Pow(float64(a[j])-float64(b[j]), 2)
		}
		return 2 * d / (2*d + squared)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		exec, err := NewExec(b.Compute, discrepancy)
		if err != nil {
			t.Fatal(err)
		}
		value := func(x, y [][]float32, counts []float32) float64 {
			outputs, err := exec.Call(x, y, counts)
			if err != nil {
				t.Fatal(err)
			}
			return float64(tensors.ToScalar[float32](outputs[0]))
		}
		x, y, want := points(0, n, 0), points(1, n, 1), 0.0
		for i := range counted {
			for j := range counted {
				if i != j {
					want += (kernel(x[i], x[j]) + kernel(y[i], y[j])) / (counted * (counted - 1))
				}
				want -= 2 * kernel(x[i], y[j]) / (counted * counted)
			}
		}
		if got := value(x, y, []float32{1, 1, 1, 1, 1, 0}); math.Abs(got-want) > 1e-5 {
			t.Errorf("discrepancy %g, want %g", got, want)
		}
		const many = 500
		ones := make([]float32, many)
		for i := range ones {
			ones[i] = 1
		}
		if same, far := value(points(0, many, 0), points(1, many, 0), ones), value(points(0, many, 0), points(1, many, 2), ones); math.Abs(same) > 0.005 || far < 0.2 {
			t.Errorf("discrepancy %g of equal distributions, %g of distant ones", same, far)
		}
	})
}

// The terms of RAE are those of its definition, written here from the dense model's outputs and the parameters.
func TestRAE(t *testing.T) {
	image := Image{Height: 2, Width: 2, Channels: 1}
	r := &RAE{Coder: Coder{Network: Network{Encoder: []int{5}, Latent: 3, Decoder: []int{4}, Activation: "tanh", Init: "pytorch"}, Output: "linear"}}
	x := []float32{-1, 0.5, 0, 1, 0.25, -0.5, 1, -1}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		args := []any{tensors.FromFlatDataAndDimensions(x, 2, 2, 2, 1)}
		theta := 0.0
		for i, param := range Params(r, image) {
			values := param.Init.Values(random.NewSeed(2).Child(i), param.Size())
			args = append(args, tensors.FromFlatDataAndDimensions(values, param.Dims...))
			if i >= 4 { // two layers of the encoder, a weight and a bias each
				for _, value := range values {
					theta += float64(value) * float64(value)
				}
			}
		}
		outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
			one := ScalarOne(nodes[0].Graph(), nodes[0].DType())
			p := &Pass{Weights: Weights{}, Numbers: []*Node{one, one}}
			for i, param := range Params(r, image) {
				p.Weights[param.Name] = nodes[1+i]
			}
			out, terms := r.Objective(p, nodes[0], nodes[0])
			return []*Node{out.Image, out.Latent, terms[0].Value, terms[1].Value, terms[2].Value}
		}, args...)
		if err != nil {
			t.Fatal(err)
		}
		values := make([][]float32, len(outputs))
		for i := range outputs {
			values[i] = tensors.MustCopyFlatData[float32](outputs[i])
		}
		var distances, lengths []float64
		for i := range 2 {
			distance, length := 0.0, 0.0
			for j := range 4 {
				distance += math.Pow(float64(x[4*i+j])-float64(values[0][4*i+j]), 2)
			}
			for j := range 3 {
				length += math.Pow(float64(values[1][3*i+j]), 2) / 2
			}
			distances, lengths = append(distances, distance), append(lengths, length)
		}
		same(t, "reconstruction", values[2], distances)
		same(t, "code", values[3], lengths)
		same(t, "decoder", values[4], []float64{theta, theta})
	})
}
