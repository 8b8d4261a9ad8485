package model

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
)

// vaeGolden is testdata/vae.json, written by testdata/vae.py.
type vaeGolden struct {
	Height, Width, Batch, Hidden, Latent, Samples int
	Beta, Deviation                               float64
	Weights                                       map[string][]float32
	Images                                        map[string][]float32
	Noise                                         []float32
	Cases                                         []struct {
		Likelihood, Bound string
		Terms             map[string][]float64
		Gradients         map[string][]float64
	}
}

func readVAE(t *testing.T) (vaeGolden, *VAE) {
	data, err := os.ReadFile("testdata/vae.json")
	if err != nil {
		t.Fatal(err)
	}
	var g vaeGolden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g, &VAE{
		Network:    Network{Encoder: []int{g.Hidden}, Latent: g.Latent, Decoder: []int{g.Hidden}, Activation: "tanh", Init: "glorot"},
		Likelihood: "bernoulli", Binarise: "none", Deviation: g.Deviation, Beta: g.Beta, Bound: "elbo", Samples: g.Samples,
	}
}

// vaeGraph executes build with a pass that has the golden's weights, and with its images and noise.
func vaeGraph(t *testing.T, b *backend.Backend, g vaeGolden, v *VAE, build func(p *Pass, x, noise *Node) []*Node) [][]float32 {
	t.Helper()
	image := Image{Height: g.Height, Width: g.Width, Channels: 1}
	seed := random.NewSeed(3)
	args := []any{
		tensors.FromFlatDataAndDimensions(g.Images[v.Likelihood], g.Batch, g.Height, g.Width, 1),
		tensors.FromFlatDataAndDimensions(g.Noise, g.Batch, g.Samples, g.Latent),
		v.Numbers(), seed[:],
	}
	fixed := len(args)
	for _, param := range Params(v, image) {
		args = append(args, tensors.FromFlatDataAndDimensions(g.Weights[param.Name], param.Dims...))
	}
	outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
		pass := &Pass{Weights: Weights{}, Key: random.KeyFromNode(nodes[3])}
		for i := range v.Numbers() {
			pass.Numbers = append(pass.Numbers, Reshape(Slice(nodes[2], AxisElem(i))))
		}
		for i, param := range Params(v, image) {
			pass.Weights[param.Name] = nodes[fixed+i]
		}
		return build(pass, nodes[0], nodes[1])
	}, args...)
	if err != nil {
		t.Fatal(err)
	}
	values := make([][]float32, len(outputs))
	for i, output := range outputs {
		values[i] = tensors.MustCopyFlatData[float32](output)
	}
	return values
}

// same wants float32 agreement.
func same(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if bound := 2e-5 * max(1, math.Abs(want[i])); math.Abs(float64(got[i])-want[i]) > bound {
			t.Errorf("%s[%d]: got %g, want %g ± %g", what, i, got[i], want[i], bound)
		}
	}
}

// The terms of both bounds under both likelihoods, and their gradients in every parameter, are PyTorch's.
func TestVAEAgainstPyTorch(t *testing.T) {
	g, v := readVAE(t)
	params := Params(v, Image{Height: g.Height, Width: g.Width, Channels: 1})
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, c := range g.Cases {
			v.Likelihood, v.Bound = c.Likelihood, c.Bound
			var names []string
			values := vaeGraph(t, b, g, v, func(p *Pass, x, noise *Node) []*Node {
				terms := v.terms(p, x, x, noise)
				var outputs, weights []*Node
				names = nil
				for _, term := range terms {
					names = append(names, term.Name)
					outputs = append(outputs, term.Value)
				}
				for _, param := range params {
					weights = append(weights, p.Weights[param.Name])
				}
				return append(outputs, Gradient(ReduceAllSum(Sum(terms)), weights...)...)
			})
			if len(names) != len(c.Terms) {
				t.Fatalf("%s: terms %v, want %d", c.Bound, names, len(c.Terms))
			}
			for i, name := range names {
				same(t, fmt.Sprintf("%s, %s: %s", c.Likelihood, c.Bound, name), values[i], c.Terms[name])
			}
			for i, param := range params {
				same(t, fmt.Sprintf("%s, %s: gradient in %s", c.Likelihood, c.Bound, param.Name), values[len(names)+i], c.Gradients[param.Name])
			}
		}
	})
}

// With one draw, the importance-weighted bound is the evidence bound whose divergence is estimated by the same draw: its
// gradient is the VAE's, plus that of the estimate's error, log q − log p − KL, whose mean is 0. The densities of the error
// are written here from their definition.
func TestIWAEWithOneDrawIsVAE(t *testing.T) {
	g, v := readVAE(t)
	params := Params(v, Image{Height: g.Height, Width: g.Width, Channels: 1})
	v.Beta, v.Samples = 1, 1
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, likelihood := range []string{"bernoulli", "gaussian"} {
			v.Likelihood = likelihood
			values := vaeGraph(t, b, g, v, func(p *Pass, x, noise *Node) []*Node {
				noise = Slice(noise, AxisRange(), AxisElem(0), AxisRange()) // [batch, 1, latent]
				gradient := func(loss *Node) []*Node {
					var weights []*Node
					for _, param := range params {
						weights = append(weights, p.Weights[param.Name])
					}
					return Gradient(loss, weights...)
				}
				iwae := *v
				iwae.Bound = "iwae"
				weighted := gradient(ReduceAllSum(Sum(iwae.terms(p, x, x, noise))))

				mean, logVariance := v.Posterior(p, x)
				deviation := Sqrt(Exp(logVariance))
				z := Add(mean, Mul(deviation, Squeeze(noise, 1)))
				square := func(a *Node) *Node { return Mul(a, a) }
				logP := MulScalar(square(z), -0.5)
				logQ := Sub(MulScalar(square(Div(Sub(z, mean), deviation)), -0.5), Log(deviation))
				kl := Sub(MulScalar(Add(square(mean), square(deviation)), 0.5), Log(deviation)) // and a constant
				errors := ReduceAllSum(Sub(Sub(logQ, logP), kl))
				plain := gradient(Add(ReduceAllSum(Sum(v.terms(p, x, x, noise))), errors))
				return append(weighted, plain...)
			})
			for i, param := range params {
				want := make([]float64, len(values[i]))
				for j, value := range values[len(params)+i] {
					want[j] = float64(value)
				}
				same(t, likelihood+": gradient in "+param.Name, values[i], want)
			}
		}
	})
}

// The importance-weighted bound rises with the number of draws (Burda et al. 2016, theorem 1), and lies above the evidence
// bound: of many drawings, each mean is above the one before by more than chance.
func TestBoundRisesWithDraws(t *testing.T) {
	g, v := readVAE(t)
	const repeats = 4000
	v.Beta = 1
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		bound := func(name string, samples int) (mean, deviation float64) {
			w := *v
			w.Bound, w.Samples = name, samples
			values := vaeGraph(t, b, g, &w, func(p *Pass, x, _ *Node) []*Node {
				x = BroadcastToDims(Slice(x, AxisElem(0)), repeats, g.Height, g.Width, 1)
				_, terms := w.Objective(p, x, x)
				return []*Node{Sum(terms)}
			})[0]
			sum, squares := 0.0, 0.0
			for _, value := range values {
				sum -= float64(value)
				squares += float64(value) * float64(value)
			}
			mean = sum / repeats
			return mean, math.Sqrt((squares/repeats - mean*mean) / repeats)
		}
		last, lastDeviation := bound("elbo", 1)
		for _, samples := range []int{2, 4, 16} {
			mean, deviation := bound("iwae", samples)
			if mean-last < 3*math.Hypot(deviation, lastDeviation) {
				t.Errorf("the bound with %d draws is %g ± %g, with fewer %g ± %g", samples, mean, deviation, last, lastDeviation)
			}
			last, lastDeviation = mean, deviation
		}
	})
}

// Black and white pixels are drawn with the grey ones as probabilities, and the damaged image by the draw of the clean one;
// static draws depend on the image's place alone, dynamic ones on the key.
func TestBinarise(t *testing.T) {
	_, v := readVAE(t)
	const batch, side = 200, 10
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		programs := map[string]*Exec{}
		for _, binarise := range []string{"dynamic", "static", "none"} {
			w := *v
			w.Binarise = binarise
			exec, err := NewExec(b.Compute, func(seed, places, pixel *Node) *Node {
				x := BroadcastToDims(pixel, batch, side, side, 1)
				return w.Observe(&Pass{Key: random.KeyFromNode(seed), Places: places}, x)
			})
			if err != nil {
				t.Fatal(err)
			}
			programs[binarise] = exec
		}
		observe := func(binarise string, seed int64, first uint32, pixel float64) []float32 {
			key := random.NewSeed(seed)
			outputs, err := programs[binarise].Call(key[:], sequence(first, batch), float32(pixel))
			if err != nil {
				t.Fatal(err)
			}
			return tensors.MustCopyFlatData[float32](outputs[0])
		}
		white := func(values []float32) (fraction float64) {
			for _, value := range values {
				if value != -1 && value != 1 {
					t.Fatalf("a pixel is %g", value)
				}
				fraction += (float64(value) + 1) / 2
			}
			return fraction / float64(len(values))
		}
		const n = batch * side * side
		for _, binarise := range []string{"dynamic", "static"} {
			for pixel, p := range map[float64]float64{-1: 0, -0.4: 0.3, 1: 1} {
				if got, bound := white(observe(binarise, 1, 0, pixel)), 5*math.Sqrt(p*(1-p)/n); math.Abs(got-p) > bound {
					t.Errorf("%s: of pixels %g, %g are white, want %g ± %g", binarise, pixel, got, p, bound)
				}
			}
		}
		whole, shifted := observe("static", 1, 0, 0), observe("static", 2, 50, 0)
		const image = side * side
		if fmt.Sprint(whole[50*image:]) != fmt.Sprint(shifted[:(batch-50)*image]) {
			t.Error("a static draw depends on more than the image's place")
		}
		if fmt.Sprint(whole[:image]) == fmt.Sprint(whole[image:2*image]) {
			t.Error("two images have the same static draw")
		}
		if fmt.Sprint(observe("dynamic", 1, 0, 0)) == fmt.Sprint(observe("dynamic", 2, 0, 0)) {
			t.Error("two keys give the same dynamic draw")
		}
		if got := observe("none", 1, 0, -0.4)[0]; got != -0.4 {
			t.Errorf("a pixel of -0.4 is seen as %g", got)
		}
	})
}

// β rises linearly over its epochs; without warm-up, and out of training, it is whole from the start.
func TestBeta(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		exec, err := NewExec(b.Compute, func(beta, warmup, epoch *Node) []*Node {
			numbers := []*Node{numberBeta: beta, numberBetaWarmup: warmup}
			v := &VAE{}
			return []*Node{v.beta(&Pass{Numbers: numbers, Epoch: epoch}), v.beta(&Pass{Numbers: numbers})}
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ warmup, epoch, want float32 }{{0, 0, 4}, {0, 3, 4}, {10, 0, 0}, {10, 2.5, 1}, {10, 10, 4}, {10, 40, 4}} {
			outputs, err := exec.Call(float32(4), c.warmup, c.epoch)
			if err != nil {
				t.Fatal(err)
			}
			if got := tensors.ToScalar[float32](outputs[0]); got != c.want {
				t.Errorf("warm-up over %g epochs, at %g: β is %g, want %g", c.warmup, c.epoch, got, c.want)
			}
			if got := tensors.ToScalar[float32](outputs[1]); got != 4 {
				t.Errorf("out of training β is %g, want 4", got)
			}
		}
	})
}

// Each row of an image has the image's label beside it.
func TestBesides(t *testing.T) {
	v := &VAE{Classes: 3}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		got, err := ExecOnce(b.Compute, func(x, labels *Node) *Node { return besides(x, v.labels(&Pass{Labels: labels}, x.DType())) },
			[][]float32{{7}, {8}, {9}, {10}}, []uint8{2, 0})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "rows", tensors.MustCopyFlatData[float32](got), []float64{7, 0, 0, 1, 8, 0, 0, 1, 9, 1, 0, 0, 10, 1, 0, 0})
	})
}

// The last layer starts at the images' mean: its sigmoid is the mean of pixels in [0, 1], its linear output that in [-1, 1].
func TestVAEStart(t *testing.T) {
	v := &VAE{Network: Network{Init: "pytorch"}, Likelihood: "bernoulli"}
	bias := v.Start(Image{Height: 2, Width: 2, Channels: 1}, []float32{0, -0.5, -1, 1})["decoder.pixels.bias"]
	// log(p / (1 − p)) of 0.5, 0.25, and the ends 0.001 and 0.999.
	same(t, "bernoulli", bias, []float64{0, -math.Log(3), -math.Log(999), math.Log(999)})
	v.Likelihood = "gaussian"
	same(t, "gaussian", v.Start(Image{Height: 1, Width: 2, Channels: 1}, []float32{0.5, -1})["decoder.pixels.bias"], []float64{0.5, -1})
}

// Weights that differ by more than float32's exponents hold: the mean of e¹⁰⁰⁰ and e^−1000 is e¹⁰⁰⁰/2, and no gradient is lost.
func TestLogMeanExpFar(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
			y := logMeanExp(nodes[0])
			return []*Node{y, Gradient(ReduceAllSum(y), nodes[0])[0]}
		}, [][]float32{{1000, -1000}, {-2000, -2000}})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "log of the mean", tensors.MustCopyFlatData[float32](outputs[0]), []float64{1000 - math.Ln2, -2000})
		same(t, "gradient", tensors.MustCopyFlatData[float32](outputs[1]), []float64{1, 0, 0.5, 0.5})
	})
}

// sequence returns n numbers from first on.
func sequence(first uint32, n int) []uint32 {
	numbers := make([]uint32, n)
	for i := range numbers {
		numbers[i] = first + uint32(i)
	}
	return numbers
}
