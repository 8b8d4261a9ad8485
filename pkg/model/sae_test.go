package model

import (
	"fmt"
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
)

// The k largest positive values of each row, or of all rows, are those of a sort: for values close to each other, far apart, at
// float32's ends, and where fewer are positive.
func TestLargest(t *testing.T) {
	const batch, values = 5, 40
	sets := map[string]func(i int, x float32) float32{
		"normal":    func(_ int, x float32) float32 { return x },
		"close":     func(_ int, x float32) float32 { return 1 + 1e-6*x },
		"far apart": func(_ int, x float32) float32 { return float32(math.Exp(40 * float64(x))) },
		"huge":      func(_ int, x float32) float32 { return x * (math.MaxFloat32 / 10) },
		"few":       func(i int, x float32) float32 { return x - 1.5 },
		"none":      func(int, float32) float32 { return -1 },
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for name, of := range sets {
			x := random.NewSeed(3).Normal(batch*values, 1)
			for i := range x {
				x[i] = of(i, x[i])
			}
			for _, together := range []bool{false, true} {
				k := 7
				if together {
					k *= batch
				}
				output, err := ExecOnce(b.Compute, func(x, k *Node) *Node { return largest(MaxScalar(x, 0), k, together) },
					tensors.FromFlatDataAndDimensions(x, batch, values), float32(k))
				if err != nil {
					t.Fatal(err)
				}
				got := tensors.MustCopyFlatData[float32](output)
				size := values
				if together {
					size = batch * values
				}
				var want []float32
				for row := range slices.Chunk(x, size) {
					want = append(want, sortedLargest(row, k)...)
				}
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("%s, together %v: value %d of row %d is %g, want %g", name, together, i%values, i/values, got[i], want[i])
					}
				}
			}
		}
	})
}

// sortedLargest keeps the k largest values, and those equal to the last of them, that are positive and normal numbers.
func sortedLargest(x []float32, k int) []float32 {
	sorted := slices.Sorted(slices.Values(x))
	last := max(sorted[len(sorted)-k], leastNormal)
	kept := make([]float32, len(x))
	for i := range x {
		if x[i] >= last {
			kept[i] = x[i]
		}
	}
	return kept
}

// saeCase is a small SAE, and what a batch of it is by the formulas, written here for one sample after another.
type saeCase struct {
	*SAE
	values map[string][]float32
	counts []float32
}

const saeBatch, saeValues, saeWidth = 6, 5, 9

func newSAECase(s *SAE) saeCase {
	s.Width = saeWidth
	c := saeCase{SAE: s, values: map[string][]float32{"x": random.NewSeed(1).Normal(saeBatch*saeValues, 1)}, counts: []float32{1, 1, 1, 1, 1, 0}}
	for i, param := range Params(s, Image{Height: 1, Width: saeValues, Channels: 1}) {
		c.values[param.Name] = random.NewSeed(2).Child(i).Normal(param.Size(), 1)
	}
	for i := range saeWidth {
		c.values[saeSilent][i] = float32(i) // those from DeadAfter on are dead
		if s.Activation == "jumprelu" {
			c.values[saeThreshold][i] = float32(math.Log(0.2 + 0.1*float64(i)))
		}
	}
	if s.Activation == "batchtopk" {
		c.values[saeLeast], c.values[saeLeastCount] = []float32{1.5}, []float32{2.5}
	}
	return c
}

func (c saeCase) at(name string, i int) float64 { return float64(c.values[name][i]) }

// row is row i of the dictionary.
func (c saeCase) row(i int) []float64 {
	row, square := make([]float64, saeValues), 0.0
	for j := range row {
		row[j] = c.at(saeDictionary, i*saeValues+j)
		square += row[j] * row[j]
	}
	for j := range row {
		row[j] /= math.Sqrt(square)
	}
	return row
}

// z are the values before the activation: [batch][width].
func (c saeCase) z() [][]float64 {
	z := make([][]float64, saeBatch)
	for n := range z {
		z[n] = make([]float64, saeWidth)
		for i := range z[n] {
			z[n][i] = c.at(saeBias, i)
			for j := range saeValues {
				z[n][i] += (c.at("x", n*saeValues+j) - c.at(saeCentre, j)) * c.at(saeEncoder, j*saeWidth+i)
			}
		}
	}
	return z
}

// latents are those of training, or after it.
func (c saeCase) latents(z [][]float64, training bool) [][]float64 {
	f := make([][]float64, saeBatch)
	var all []float64
	for n := range z {
		f[n] = make([]float64, saeWidth)
		for i, value := range z[n] {
			f[n][i] = max(value, 0)
			if c.counts[n] == 0 && c.Activation == "batchtopk" && training {
				f[n][i] = 0
			}
		}
		all = append(all, f[n]...)
	}
	least := func(values []float64, k int) float64 {
		sorted := slices.Sorted(slices.Values(values))
		return sorted[len(sorted)-k]
	}
	above := func(n int, limit func(i int) float64) {
		for i, value := range f[n] {
			if value < limit(i) {
				f[n][i] = 0
			}
		}
	}
	for n := range f {
		switch {
		case c.Activation == "topk":
			limit := least(f[n], c.K)
			above(n, func(int) float64 { return limit })
		case c.Activation == "batchtopk" && training:
			limit := least(all, c.K*5)
			above(n, func(int) float64 { return limit })
		case c.Activation == "batchtopk":
			above(n, func(int) float64 { return c.at(saeLeast, 0) / c.at(saeLeastCount, 0) })
		case c.Activation == "jumprelu":
			above(n, func(i int) float64 { return math.Exp(c.at(saeThreshold, i)) })
		}
	}
	return f
}

// sum is what the latents from the first-th to before the last-th make of the dictionary, without b.
func (c saeCase) sum(f []float64, first, last int) []float64 {
	y := make([]float64, saeValues)
	for i := first; i < last; i++ {
		for j, x := range c.row(i) {
			y[j] += f[i] * x
		}
	}
	return y
}

// squares is ‖x − b − y‖² of a sample.
func (c saeCase) squares(n int, y []float64) float64 {
	sum := 0.0
	for j := range y {
		left := c.at("x", n*saeValues+j) - c.at(saeCentre, j) - y[j]
		sum += left * left
	}
	return sum
}

// terms are those of the loss in training.
func (c saeCase) terms() map[string][]float64 {
	z := c.z()
	f := c.latents(z, true)
	terms := map[string][]float64{}
	for n := range z {
		add := func(name string, value float64) { terms[name] = append(terms[name], value) }
		y := c.sum(f[n], 0, saeWidth)
		add(reconstruction, c.squares(n, y))
		if c.Prefixes != nil {
			all := 0.0
			for _, last := range c.Prefixes {
				all += c.squares(n, c.sum(f[n], 0, last))
			}
			add("prefixes", all)
		}
		sum, count := 0.0, 0.0
		for _, value := range f[n] {
			sum += value
			if value > 0 {
				count++
			}
		}
		switch {
		case c.TargetL0 > 0:
			add("sparsity", math.Pow(count/c.TargetL0-1, 2))
		case c.Activation == "jumprelu":
			add("sparsity", count)
		case c.Activation == "relu":
			add("sparsity", sum)
		}
		if c.Revival > 0 {
			add("revival", c.revived(n, z[n], y))
		}
	}
	return terms
}

// revived is ‖e − ê‖² of the dead latents, those from DeadAfter on.
func (c saeCase) revived(n int, z, y []float64) float64 {
	dead := slices.Clone(z[c.DeadAfter:])
	revived := c.Revived
	if revived == 0 {
		revived = saeValues / 2
	}
	limit := slices.Sorted(slices.Values(dead))[max(0, len(dead)-revived)]
	kept := make([]float64, saeWidth)
	for i, value := range dead {
		if value >= limit {
			kept[c.DeadAfter+i] = value
		}
	}
	explained, both := c.sum(kept, 0, saeWidth), make([]float64, saeValues)
	for j := range both {
		both[j] = y[j] + explained[j]
	}
	return c.squares(n, both) * min(1, float64(len(dead))/float64(revived))
}

// silent is the next count of each latent, the last sample being padding.
func (c saeCase) silent() []float64 {
	f, next := c.latents(c.z(), true), make([]float64, saeWidth)
	for i := range next {
		next[i] = c.at(saeSilent, i) + 1
		for n := range saeBatch {
			if f[n][i] > 0 && c.counts[n] > 0 {
				next[i] = 0
			}
		}
	}
	return next
}

// graph runs a function of a pass and the batch.
func (c saeCase) graph(t *testing.T, b *backend.Backend, training bool, do func(p *Pass, x *Node) []*Node) [][]float32 {
	t.Helper()
	args := []any{tensors.FromFlatDataAndDimensions(c.values["x"], saeBatch, 1, saeValues, 1), c.Numbers(), c.counts}
	params := Params(c.SAE, Image{Height: 1, Width: saeValues, Channels: 1})
	for _, param := range params {
		args = append(args, tensors.FromFlatDataAndDimensions(c.values[param.Name], param.Dims...))
	}
	outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
		p := &Pass{Weights: Weights{}, Training: training, Counts: nodes[2]}
		for i := range c.Numbers() {
			p.Numbers = append(p.Numbers, Reshape(Slice(nodes[1], AxisElem(i))))
		}
		for i, param := range params {
			p.Weights[param.Name] = nodes[3+i]
		}
		return do(p, nodes[0])
	}, args...)
	if err != nil {
		t.Fatal(err)
	}
	var flat [][]float32
	for _, output := range outputs {
		flat = append(flat, tensors.MustCopyFlatData[float32](output))
	}
	return flat
}

func saeCases() map[string]*SAE {
	return map[string]*SAE{
		"topk":             {Activation: "topk", K: 3, DeadAfter: 4, Revival: 0.5},
		"topk, few dead":   {Activation: "topk", K: 2, DeadAfter: 8, Revival: 0.5, Revived: 3},
		"batchtopk":        {Activation: "batchtopk", K: 2, DeadAfter: 4, Revival: 0.5, Revived: 3},
		"matryoshka":       {Activation: "batchtopk", K: 3, Prefixes: []int{2, 5}, DeadAfter: 5},
		"jumprelu":         {Activation: "jumprelu", Sparsity: 0.3, Bandwidth: 0.8, FirstThreshold: 0.1, DeadAfter: 5},
		"jumprelu, target": {Activation: "jumprelu", Sparsity: 0.3, TargetL0: 2.5, Bandwidth: 0.8, FirstThreshold: 0.1, DeadAfter: 5},
		"relu":             {Activation: "relu", Sparsity: 0.3, DeadAfter: 5},
	}
}

// Latents, terms of the loss and what is counted are those of the formulas.
func TestSAE(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for name, s := range saeCases() {
			t.Run(name, func(t *testing.T) {
				c := newSAECase(s)
				z, want := c.z(), c.terms()
				for _, training := range []bool{true, false} {
					got := c.graph(t, b, training, func(p *Pass, x *Node) []*Node {
						out := c.Apply(p, x)
						return []*Node{out.Latent, out.Image}
					})
					f := c.latents(z, training)
					var images []float64
					for n := range f {
						for j, y := range c.sum(f[n], 0, saeWidth) {
							images = append(images, y+c.at(saeCentre, j))
						}
					}
					same(t, fmt.Sprintf("latents, training %v", training), got[0], slices.Concat(f...))
					same(t, fmt.Sprintf("images, training %v", training), got[1], images)
				}
				var names []string
				got := c.graph(t, b, true, func(p *Pass, x *Node) []*Node {
					_, terms := c.Objective(p, x, x)
					nodes := []*Node{p.Updated(saeSilent)}
					names = nil
					for _, term := range terms {
						names, nodes = append(names, term.Name), append(nodes, term.Value)
					}
					return nodes
				})
				same(t, "silent", got[0], c.silent())
				if len(names) != len(want) {
					t.Errorf("terms %v, want %d", names, len(want))
				}
				for i, name := range names {
					// Where the last sample is padding, its term does not count.
					same(t, name, got[1+i][:saeBatch-1], want[name][:saeBatch-1])
				}
			})
		}
	})
}

// The mean of the batches' least values moves by a hundredth to that of a batch, without a bias to where it began.
func TestSAELeast(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		c := newSAECase(&SAE{Activation: "batchtopk", K: 2, DeadAfter: 4})
		least := math.Inf(1)
		for _, value := range slices.Concat(c.latents(c.z(), true)...) {
			if value > 0 {
				least = min(least, value)
			}
		}
		got := c.graph(t, b, true, func(p *Pass, x *Node) []*Node {
			c.Objective(p, x, x)
			return []*Node{p.Updated(saeLeast), p.Updated(saeLeastCount)}
		})
		same(t, "sum", got[0], []float64{0.99*1.5 + least})
		same(t, "count", got[1], []float64{0.99*2.5 + 1})
	})
}

// The gradients of jumprelu's threshold and of its encoder's bias are those of the paper: with L the squared error and λ times the
// number of latents,
//
//	∂L/∂θᵢ = −Σ (θᵢ ∂‖x − x̂‖²/∂fᵢ + λ) K((zᵢ − θᵢ)/ε) / ε,   ∂L/∂cᵢ = Σ H(zᵢ − θᵢ) ∂‖x − x̂‖²/∂fᵢ
//
// summed over samples (Rajamanoharan et al. 2024, equations 8 to 12). The test's ε is wide, so that most latents count.
func TestJumpReLUGradient(t *testing.T) {
	c := newSAECase(&SAE{Activation: "jumprelu", Sparsity: 0.3, Bandwidth: 0.8, FirstThreshold: 0.1, DeadAfter: 5})
	z := c.z()
	f := c.latents(z, true)
	thresholds, biases := make([]float64, saeWidth), make([]float64, saeWidth)
	near := 0
	for n := range z {
		y := c.sum(f[n], 0, saeWidth)
		for i := range saeWidth {
			slope := 0.0 // ∂‖x − x̂‖²/∂fᵢ
			for j, d := range c.row(i) {
				slope += 2 * (y[j] + c.at(saeCentre, j) - c.at("x", n*saeValues+j)) * d
			}
			theta := math.Exp(c.at(saeThreshold, i))
			if math.Abs(z[n][i]-theta) < 0.8/2 {
				near++
				thresholds[i] -= theta * (theta*slope + 0.3) / 0.8 // the first θ: the logarithm is what is learned
			}
			if z[n][i] > theta {
				biases[i] += slope
			}
		}
	}
	if near < 5 {
		t.Fatalf("%d latents near their thresholds: the case says nothing", near)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		got := c.graph(t, b, true, func(p *Pass, x *Node) []*Node {
			_, terms := c.Objective(p, x, x)
			return Gradient(ReduceAllSum(Sum(terms)), p.Weights[saeThreshold], p.Weights[saeBias])
		})
		same(t, "log threshold", got[0], thresholds)
		same(t, "bias", got[1], biases)
	})
}

// A dictionary starts with rows of unit length, the encoder as its transpose, and the bias at the mean.
func TestSAEStart(t *testing.T) {
	s := &SAE{Width: 7, Activation: "topk", K: 2, FirstNorm: 0.5, DeadAfter: 5}
	drawn := s.Draw(Image{Height: 1, Width: 4, Channels: 1}, random.NewSeed(1))
	for i := range 7 {
		square := 0.0
		for j := range 4 {
			row := drawn[saeDictionary][i*4+j]
			square += float64(row) * float64(row)
			if got := drawn[saeEncoder][j*7+i]; math.Abs(float64(got-row/2)) > 1e-7 {
				t.Fatalf("encoder %g beside %g of the dictionary", got, row)
			}
		}
		if math.Abs(square-1) > 1e-6 {
			t.Errorf("row %d has length² %g", i, square)
		}
	}
	if got := s.Start(Image{}, []float32{1, 2, 3, 4})[saeCentre]; !slices.Equal(got, []float32{1, 2, 3, 4}) {
		t.Errorf("bias %v", got)
	}
}
