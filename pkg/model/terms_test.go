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

// The terms are computed here a second time, in float64 and by loops, from the papers' sums.

// normals are rows of draws, as a tensor and as numbers.
func normals(seed int64, scale float64, rows, columns int) (*tensors.Tensor, [][]float64) {
	values := random.NewSeed(seed).Normal(rows*columns, scale)
	wide := make([][]float64, rows)
	for i := range wide {
		for _, value := range values[i*columns:][:columns] {
			wide[i] = append(wide[i], float64(value))
		}
	}
	return tensors.FromFlatDataAndDimensions(values, rows, columns), wide
}

// fresh are copies of inputs, for a tensor belongs to the backend that it was used on.
func fresh(t *testing.T, inputs []any) []any {
	t.Helper()
	copies := slices.Clone(inputs)
	for i, input := range inputs {
		if tensor, ok := input.(*tensors.Tensor); ok {
			clone, err := tensor.LocalClone()
			if err != nil {
				t.Fatal(err)
			}
			copies[i] = clone
		}
	}
	return copies
}

// computed runs a graph function on each backend, and compares its outputs, each flattened.
func computed(t *testing.T, name string, want [][]float64, build func(inputs []*Node) []*Node, inputs ...any) {
	t.Helper()
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		outputs, err := ExecOnceN(b.Compute, build, fresh(t, inputs)...)
		if err != nil {
			t.Fatal(err)
		}
		for i, output := range outputs {
			same(t, fmt.Sprintf("%s, output %d", name, i), tensors.MustCopyFlatData[float32](output), want[i])
		}
	})
}

func logNormal(x, mean, logVariance float64) float64 {
	return -0.5 * (math.Log(2*math.Pi) + logVariance + (x-mean)*(x-mean)/math.Exp(logVariance))
}

func logMeanOf(values []float64) float64 {
	most, sum := slices.Max(values), 0.0
	for _, value := range values {
		sum += math.Exp(value - most)
	}
	return most + math.Log(sum/float64(len(values)))
}

// The total correlation is that of the mixture of the batch's posteriors, padding left out.
func TestTotalCorrelation(t *testing.T) {
	const batch, latent = 5, 3
	means, mean := normals(1, 1, batch, latent)
	logVariances, logVariance := normals(2, 0.5, batch, latent)
	draws, z := normals(3, 1, batch, latent)
	for _, counts := range [][]float32{{1, 1, 1, 1, 1}, {1, 1, 1, 0, 0}} {
		var want []float64
		for i := range batch {
			var all []float64
			each := make([][]float64, latent)
			for k := range batch {
				if counts[k] == 0 {
					continue
				}
				sum := 0.0
				for j := range latent {
					log := logNormal(z[i][j], mean[k][j], logVariance[k][j])
					sum += log
					each[j] = append(each[j], log)
				}
				all = append(all, sum)
			}
			tc := logMeanOf(all)
			for _, logs := range each {
				tc -= logMeanOf(logs)
			}
			want = append(want, tc)
		}
		computed(t, fmt.Sprint(counts), [][]float64{want}, func(in []*Node) []*Node {
			return []*Node{totalCorrelation(posterior{in[0], in[1], in[2], in[3]})}
		}, means, logVariances, draws, counts)
	}
}

// DIP-VAE-I has the covariance of the means, DIP-VAE-II that of the codes.
func TestDIP(t *testing.T) {
	const batch, latent = 6, 3
	means, mean := normals(1, 1, batch, latent)
	logVariances, logVariance := normals(2, 0.5, batch, latent)
	const counted = 5
	counts := []float32{1, 1, 1, 1, 1, 0}
	for _, of := range []string{"mean", "code"} {
		average, covariance := make([]float64, latent), make([][]float64, latent)
		for j := range latent {
			for i := range counted {
				average[j] += mean[i][j] / counted
			}
		}
		var diagonal, others float64
		for j := range latent {
			covariance[j] = make([]float64, latent)
			for k := range latent {
				for i := range counted {
					covariance[j][k] += (mean[i][j] - average[j]) * (mean[i][k] - average[k]) / counted
				}
			}
			if of == "code" {
				for i := range counted {
					covariance[j][j] += math.Exp(logVariance[i][j]) / counted
				}
			}
		}
		for j := range latent {
			for k := range latent {
				if j == k {
					diagonal += (covariance[j][j] - 1) * (covariance[j][j] - 1)
				} else {
					others += covariance[j][k] * covariance[j][k]
				}
			}
		}
		want := [][]float64{slices.Repeat([]float64{diagonal}, batch), slices.Repeat([]float64{others}, batch)}
		computed(t, of, want, func(in []*Node) []*Node {
			weight := ScalarOne(in[0].Graph(), in[0].DType())
			terms := (&DIP{Of: of}).terms(nil, posterior{in[0], in[1], nil, in[2]}, []*Node{weight, weight})
			return []*Node{terms[0].Value, terms[1].Value}
		}, means, logVariances, counts)
	}
}

// The values of mixed codes are those of each column, and come from other rows each.
func TestMixed(t *testing.T) {
	mixes := func(in []*Node) []*Node { return []*Node{mixed(in[0], in[1])} }
	codes := [][]float32{{1, 10, 100}, {2, 20, 200}, {3, 30, 300}}
	computed(t, "mixed", [][]float64{{2, 30, 100, 3, 10, 200, 1, 20, 300}}, mixes, codes, []float32{1, 1, 1})
	// The last is padding: nothing is taken from it.
	computed(t, "with padding", [][]float64{{2, 10, 200, 1, 20, 100, 2, 10, 200}}, mixes, codes, []float32{1, 1, 0})
}

// The 256 bins have probabilities that add up to 1, each as the difference of the distribution's function.
func TestLogisticCost(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for _, c := range []struct{ mean, deviation float64 }{{0, 0.5}, {0.3, 0.1}, {-1, 0.02}, {1.2, 0.3}} {
		var bins [][]float32
		var want []float64
		scale := c.deviation * math.Sqrt(3) / math.Pi
		total := 0.0
		for i := range 256 {
			x := -1 + 2*float64(i)/255
			bins = append(bins, []float32{float32(x)})
			upper, lower := sigmoid((x+1.0/255-c.mean)/scale), sigmoid((x-1.0/255-c.mean)/scale)
			if i == 0 {
				lower = 0
			}
			if i == 255 {
				upper = 1
			}
			total += upper - lower
			want = append(want, upper-lower)
		}
		if math.Abs(total-1) > 1e-9 {
			t.Fatalf("the test's own bins add up to %g", total)
		}
		computed(t, fmt.Sprint(c), [][]float64{want}, func(in []*Node) []*Node {
			same := func(x float64) *Node { return AddScalar(ZerosLike(in[0]), x) }
			return []*Node{Exp(Neg(logisticCost(in[0], same(c.mean), same(2*math.Log(c.deviation)))))}
		}, bins)
	}
}

// A mixture's density is the mean of its parts', and a draw comes from the part that its first value chooses.
func TestMixtureDensity(t *testing.T) {
	const batch, latent, parts = 4, 3, 5
	draws, z := normals(1, 1, batch, latent)
	means, mean := normals(2, 1, parts, latent)
	logVariances, logVariance := normals(3, 0.5, parts, latent)
	var want []float64
	for i := range batch {
		var logs []float64
		for k := range parts {
			sum := 0.0
			for j := range latent {
				sum += logNormal(z[i][j], mean[k][j], logVariance[k][j])
			}
			logs = append(logs, sum)
		}
		want = append(want, logMeanOf(logs))
	}
	computed(t, "density", [][]float64{want}, func(in []*Node) []*Node {
		return []*Node{mixtureDensity(ExpandAxes(in[0], 1), in[1], in[2])}
	}, draws, means, logVariances)

	noise := [][]float32{{-9, 1, 0, -1}, {9, 0, 0, 2}, {0, 0.5, 0.5, 0.5}}
	var codes []float64
	for i, part := range []int{0, parts - 1, parts / 2} {
		for j := range latent {
			codes = append(codes, mean[part][j]+math.Exp(logVariance[part][j]/2)*float64(noise[i][1+j]))
		}
	}
	computed(t, "draws", [][]float64{codes}, func(in []*Node) []*Node { return []*Node{drawComponent(in[0], in[1], in[2])} },
		noise, means, logVariances)
}

// The stretch of a flow is the logarithm of its Jacobian's determinant, here of differences.
func TestCodeFlows(t *testing.T) {
	const latent = 3
	for name, flow := range map[string]CodeFlow{"planar": &PlanarFlow{Steps: 3}, "iaf": &IAF{Steps: 3, Units: 7}} {
		var params []Param
		for _, layer := range flow.layers(latent) {
			params = append(params, layer.Params...)
		}
		inputs := []any{nil}
		for i, param := range params {
			values := param.Init.Values(random.NewSeed(5).Child(i), param.Size())
			for j, more := range random.NewSeed(6).Child(i).Normal(param.Size(), 0.5) {
				values[j] += more
			}
			inputs = append(inputs, tensors.FromFlatDataAndDimensions(values, param.Dims...))
		}
		backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
			run := func(z [][]float32) (flowed, stretch []float32) {
				inputs[0] = z
				outputs, err := ExecOnceN(b.Compute, func(in []*Node) []*Node {
					p := &Pass{Weights: Weights{}}
					for i, param := range params {
						p.Weights[param.Name] = in[1+i]
					}
					flowed, stretch := flow.apply(p, in[0])
					return []*Node{flowed, stretch}
				}, fresh(t, inputs)...)
				if err != nil {
					t.Fatal(err)
				}
				return tensors.MustCopyFlatData[float32](outputs[0]), tensors.MustCopyFlatData[float32](outputs[1])
			}
			const step = 1e-2
			at := []float32{0.3, -0.7, 1.1}
			points := [][]float32{at}
			for j := range latent {
				for _, sign := range []float32{1, -1} {
					moved := slices.Clone(at)
					moved[j] += sign * step
					points = append(points, moved)
				}
			}
			flowed, stretch := run(points)
			var jacobian [latent][latent]float64
			for j := range latent {
				for i := range latent {
					jacobian[i][j] = float64(flowed[(1+2*j)*latent+i]-flowed[(2+2*j)*latent+i]) / (2 * step)
				}
			}
			m := jacobian
			determinant := m[0][0]*(m[1][1]*m[2][2]-m[1][2]*m[2][1]) - m[0][1]*(m[1][0]*m[2][2]-m[1][2]*m[2][0]) + m[0][2]*(m[1][0]*m[2][1]-m[1][1]*m[2][0])
			if got, want := float64(stretch[0]), math.Log(math.Abs(determinant)); math.Abs(got-want) > 2e-3 {
				t.Errorf("%s: stretch %g, and the Jacobian's is %g", name, got, want)
			}
		})
	}
}

// FSQ's levels, by the paper's formula: values far out reach the outermost, and every number of entries is found.
func TestFSQ(t *testing.T) {
	f := &FSQ{Coder: Coder{Network: Network{Latent: 2}}, Levels: []int{4, 3}}
	// 4 levels: −1, −½, 0, ½ of half a range of 2; 3 levels: −1, 0, 1.
	codes := [][]float32{{-9, -9}, {9, 9}, {0, 0}, {-0.5, 0.9}, {0.6, -0.2}}
	rounded := []float64{-1, -1, 0.5, 1}
	for _, z := range codes[2:] {
		even := math.Round(math.Tanh(float64(z[0])+math.Atanh(0.5/1.5015))*1.5015 - 0.5)
		rounded = append(rounded, even/2, math.Round(math.Tanh(float64(z[1]))*1.001))
	}
	computed(t, "rounded", [][]float64{rounded}, func(in []*Node) []*Node {
		z, _ := f.quantise(in[0])
		return []*Node{z}
	}, codes)
	if got := f.entries(); got != 12 {
		t.Errorf("%g entries, want 12", got)
	}
}

// The bounds of groups are those of the same weights: miwae's is the mean over groups, ciwae's a mixture; piwae's gradients are those of
// iwae in the decoder, and of miwae in the encoder.
func TestBounds(t *testing.T) {
	image := Image{Height: 2, Width: 3, Channels: 1}
	v := Kinds["vae"]().(*VAE)
	v.Network = Network{Encoder: []int{4}, Latent: 2, Decoder: []int{5}, Activation: "tanh", Init: "pytorch"}
	v.Likelihood, v.Samples, v.Groups, v.Mix = "gaussian", 6, 2, 0.3
	params := Params(v, image)
	inputs := []any{tensors.FromFlatDataAndDimensions(random.NewSeed(1).Uniform(3*6), 3, 2, 3, 1),
		tensors.FromFlatDataAndDimensions(random.NewSeed(2).Normal(3*6*2, 1), 3, 6, 2)}
	for _, weights := range FirstWeights(v, image, random.NewSeed(3)) {
		inputs = append(inputs, weights)
	}
	for _, number := range v.Numbers() {
		inputs = append(inputs, number)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		// of returns the terms of a bound and their gradients, and the weights of all draws.
		of := func(bound string) (terms map[string][]float32, gradients map[string][]float32, logs []float32) {
			with := *v
			with.Bound = bound
			var names []string
			outputs, err := ExecOnceN(b.Compute, func(in []*Node) []*Node {
				p := &Pass{Weights: Weights{}, Numbers: in[2+len(params):]}
				for i, param := range params {
					p.Weights[param.Name] = in[2+i]
				}
				mean, logVariance := with.Posterior(p, in[0])
				outputs := []*Node{with.logWeights(p, in[0], with.sample(p, mean, logVariance, in[1]))}
				names = nil
				list := with.terms(p, in[0], in[0], in[1])
				for _, term := range list {
					names, outputs = append(names, term.Name), append(outputs, term.Value)
				}
				return append(outputs, Gradient(ReduceAllSum(Sum(list)), in[2:2+len(params)]...)...)
			}, fresh(t, inputs)...)
			if err != nil {
				t.Fatal(err)
			}
			terms, gradients = map[string][]float32{}, map[string][]float32{}
			for i, name := range names {
				terms[name] = tensors.MustCopyFlatData[float32](outputs[1+i])
			}
			for i, param := range params {
				gradients[param.Name] = tensors.MustCopyFlatData[float32](outputs[1+len(names)+i])
			}
			return terms, gradients, tensors.MustCopyFlatData[float32](outputs[0])
		}
		iwae, iwaeGradients, logs := of("iwae")
		miwae, miwaeGradients, _ := of("miwae")
		ciwae, _, _ := of("ciwae")
		piwae, piwaeGradients, _ := of("piwae")
		var wantI, wantM, wantE []float64
		for i := range 3 {
			var all []float64
			mean := 0.0
			for _, log := range logs[i*6:][:6] {
				all = append(all, float64(log))
				mean += float64(log) / 6
			}
			wantI = append(wantI, -logMeanOf(all))
			wantM = append(wantM, -(logMeanOf(all[:3])+logMeanOf(all[3:]))/2)
			wantE = append(wantE, -mean)
		}
		same(t, "iwae", iwae["iwae"], wantI)
		same(t, "miwae", miwae["miwae"], wantM)
		same(t, "ciwae's elbo", ciwae["elbo"], wantE)
		same(t, "ciwae's iwae", ciwae["iwae"], wantI)
		same(t, "piwae's iwae", piwae["iwae"], wantI)
		same(t, "piwae's miwae", piwae["miwae"], wantM)
		for name, got := range piwaeGradients {
			want := miwaeGradients
			if name[:7] == "decoder" {
				want = iwaeGradients
			}
			var wide []float64
			for _, value := range want[name] {
				wide = append(wide, float64(value))
			}
			same(t, "piwae's gradient in "+name, got, wide)
		}
	})
}

// Of two stages, the second chooses for what the first leaves, and the entries of both are added up.
func TestResidual(t *testing.T) {
	v := &VQVAE{Coder: Coder{Network: Network{Latent: 2}}, EntrySize: 2, Entries: 2, Stages: 2}
	books := [2][][]float32{{{1, 0}, {0, 2}}, {{0.3, 0.1}, {-0.2, 0.4}}}
	codes := [][]float32{{1.2, 0.2}, {-0.3, 2.3}, {0.9, 0.3}}
	var entries, choices []float64
	for _, z := range codes {
		left := slices.Clone(z)
		for stage, book := range books {
			nearest, chosen := math.Inf(1), 0
			for k, entry := range book {
				if d := math.Hypot(float64(left[0]-entry[0]), float64(left[1]-entry[1])); d < nearest {
					nearest, chosen = d, k
				}
			}
			left[0], left[1] = left[0]-book[chosen][0], left[1]-book[chosen][1]
			choices = append(choices, float64(2*stage+chosen))
		}
		entries = append(entries, float64(z[0]-left[0]), float64(z[1]-left[1]))
	}
	computed(t, "residual", [][]float64{entries, choices}, func(in []*Node) []*Node {
		p := &Pass{Weights: Weights{}}
		for stage := range books {
			p.Weights[codebookName(stage)+codebookShares] = OnesLike(Slice(in[1+stage], AxisRange(), AxisElem(0)))
			p.Weights[codebookName(stage)+codebookShares] = Reshape(p.Weights[codebookName(stage)+codebookShares], -1)
			p.Weights[codebookName(stage)+codebookSums] = in[1+stage]
		}
		q := v.quantise(p, in[0])
		var numbers []*Node
		for stage, c := range q.chosen {
			numbers = append(numbers, ExpandAxes(AddScalar(ConvertDType(c.index, in[0].DType()), float64(2*stage)), 1))
		}
		return []*Node{q.entries, Concatenate(numbers, 1)}
	}, codes, books[0], books[1])
}

// The posterior of a ladder's lower level is the product of what the encoder says and of what the level above says, and the divergence is
// that of two normal distributions.
func TestLadder(t *testing.T) {
	v := Kinds["vae"]().(*VAE)
	v.Latent, v.Levels, v.Activation = 2, []int{1, 1}, "linear"
	mean, logVariance, noise := []float64{0.4, -0.7}, []float64{-0.5, 0.3}, []float64{0.2, 1.1}
	gauss := func(m, l, pm, pl float64) (mean, log float64) {
		precision := math.Exp(-l) + math.Exp(-pl)
		return (m*math.Exp(-l) + pm*math.Exp(-pl)) / precision, -math.Log(precision)
	}
	kl := func(m, l, pm, pl float64) float64 {
		return 0.5 * (math.Exp(l-pl) + (m-pm)*(m-pm)/math.Exp(pl) - 1 + pl - l)
	}
	topMean, topLog := gauss(mean[1], logVariance[1], 0, 0)
	top := topMean + math.Exp(topLog/2)*noise[1]
	priorMean, priorLog := 0.5*(3*top)+0.1, -0.2*(3*top)+0.3 // by the weights below, of which one of four hidden values counts
	lowMean, lowLog := gauss(mean[0], logVariance[0], priorMean, priorLog)
	low := lowMean + math.Exp(lowLog/2)*noise[0]
	want := [][]float64{{low, top}, {kl(lowMean, lowLog, priorMean, priorLog), kl(topMean, topLog, 0, 0)}}
	weights := map[string]any{
		"prior.level_1.hidden.weight": [][]float32{{3, 0, 0, 0}}, "prior.level_1.hidden.bias": []float32{0, 0, 0, 0},
		"prior.level_1.mean.weight": [][]float32{{0.5}, {1}, {1}, {1}}, "prior.level_1.mean.bias": []float32{0.1},
		"prior.level_1.log_variance.weight": [][]float32{{-0.2}, {1}, {1}, {1}}, "prior.level_1.log_variance.bias": []float32{0.3},
	}
	narrow := func(values []float64) [][]float32 { return [][]float32{{float32(values[0]), float32(values[1])}} }
	computed(t, "ladder", want, func(in []*Node) []*Node {
		p := &Pass{Weights: Weights{}}
		for name, values := range weights {
			p.Weights[name] = Const(in[0].Graph(), values)
		}
		s := v.sample(p, in[0], in[1], ExpandAxes(in[2], 1))
		return []*Node{s.z, v.divergence(p, s, Image{})}
	}, narrow(mean), narrow(logVariance), narrow(noise))
}
