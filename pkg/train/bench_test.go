package train

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
)

// bytes are n images of 28×28 random bytes: the time of a step does not depend on what is in them.
func bytes(n int) *dataset.Samples {
	images := &dataset.Samples{Height: 28, Width: 28, Channels: 1, Values: array.Values{Uint8: make([]uint8, n*784)}}
	for i := range images.Values.Uint8 {
		images.Values.Uint8[i] = uint8(random.NewSeed(4).Block(uint32(i), 0)[0])
	}
	return images
}

// seedSpec is the seed's experiment, without end.
func seedSpec(encoder, decoder []int, batch int) Spec {
	s := spec()
	s.Model = &model.Dense{Encoder: encoder, Decoder: decoder, Activation: "relu", LatentActivation: "relu", Output: "tanh", Init: "pytorch"}
	s.BatchSize, s.Epochs = batch, 1_000_000
	return s
}

// turn is a contestant of a benchmark: advance does so many steps, and returns their time.
type turn struct {
	name    string
	runs    int // that share the time
	advance func(steps int) (time.Duration, error)
}

// training is a group's turn.
func training(name string, group *Group) turn {
	return turn{name, len(group.Runs), func(steps int) (time.Duration, error) {
		start := time.Now()
		for done := 0; done < steps; {
			windows, err := group.Advance(steps - done)
			if err != nil {
				return 0, err
			}
			done += len(windows[0].Losses)
		}
		return time.Since(start), nil
	}}
}

// inTurns lets each do 50 steps in turn, so that a busy machine is as slow for all of them, and reports the fastest turn of
// each in ms a step and run.
func inTurns(b *testing.B, turns ...turn) {
	const steps = 50
	fastest := make([]time.Duration, len(turns))
	for b.Loop() {
		for i, turn := range turns {
			took, err := turn.advance(steps)
			if err != nil {
				b.Fatal(err)
			}
			if fastest[i] == 0 || took < fastest[i] {
				fastest[i] = took
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of all turns together: says nothing
	for i, turn := range turns {
		b.ReportMetric(fastest[i].Seconds()*1e3/float64(steps*turn.runs), "ms-"+turn.name)
	}
}

// noise is Gaussian noise of 0.3 by another generator, to compare with corrupt.Gaussian's.
type noise struct {
	corrupt.None
	name   string
	normal func(key random.Key, dims ...int) *Node
}

func (n *noise) Caption() string { return n.name }

func (n *noise) Apply(x *Node, _ []*Node, key random.Key) *Node {
	return ClipScalar(Add(x, MulScalar(n.normal(key, x.Shape().Dimensions...), 0.3)), -1, 1)
}

// boxMuller makes two normals of two words of Threefry (Box & Muller 1958): √(−2 log u₁) times cos and sin of 2π u₂.
func boxMuller(key random.Key, dims ...int) *Node {
	size := 1
	for _, dim := range dims {
		size *= dim
	}
	words := Reshape(key.Bits(dims...), 2, size/2)
	unit := func(i int) *Node {
		word := BitwiseShiftRightLogicalScalar(Slice(words, AxisElem(i)), uint32(8))
		return MulScalar(AddScalar(ConvertDType(ConvertDType(word, dtypes.Int32), dtypes.Float32), 0.5), 0x1p-24)
	}
	radius, angle := Sqrt(MulScalar(Log(unit(0)), -2)), MulScalar(unit(1), 2*math.Pi)
	return Reshape(Concatenate([]*Node{Mul(radius, Cos(angle)), Mul(radius, Sin(angle))}, 0), dims...)
}

// philox is GoMLX's own RandomNormal, on XLA's own generator: Philox-4x32 and Box–Muller.
func philox(key random.Key, dims ...int) *Node {
	state := ConvertDType(Reshape(key.Bits(1, 3), 3), dtypes.Uint64)
	_, values := RandomNormal(state, shapes.Make(dtypes.Float32, dims...))
	return values
}

// seedGroup is a run of the seed's model, with what change does to it.
func seedGroup(b *testing.B, xla *backend.Backend, images *dataset.Samples, change func(s *Spec)) *Group {
	s := seedSpec([]int{256, 128, 64}, []int{128, 256}, 128)
	change(&s)
	return start(b, xla, images, s)
}

// BenchmarkNoise is a step of the seed's model without noise and with it, by several generators: what the random numbers
// cost.
func BenchmarkNoise(b *testing.B) {
	xla, images := backendtest.XLA(b), bytes(12800)
	var turns []turn
	for _, choice := range []corrupt.Corruption{
		&corrupt.None{}, &corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.3), Clip: true},
		&noise{name: "box-muller", normal: boxMuller}, &noise{name: "philox", normal: philox},
	} {
		group := seedGroup(b, xla, images, func(s *Spec) { s.Corrupt = corrupt.Chain{choice} })
		turns = append(turns, training(strings.ReplaceAll(choice.Caption(), " ", "-"), group))
	}
	inTurns(b, turns...)
}

// BenchmarkStream compares images that are streamed with resident ones: 60,000 of the seed, as bytes, and a U-Net's.
func BenchmarkStream(b *testing.B) {
	xla, images := backendtest.XLA(b), bytes(60000)
	moved := *images
	moved.Streamed = true
	unet := func(s *Spec) { s.Model = model.Kinds["unet"]() }
	inTurns(b,
		training("seed", seedGroup(b, xla, images, func(*Spec) {})),
		training("seed-streamed", seedGroup(b, xla, &moved, func(*Spec) {})),
		training("unet", seedGroup(b, xla, images, unet)),
		training("unet-streamed", seedGroup(b, xla, &moved, unet)))
}

// BenchmarkParts takes a step of the seed's model apart: the arithmetic of its matrix products at the rate of a large one,
// the products in their own shapes, then without Adam and noise, without noise, and the whole.
func BenchmarkParts(b *testing.B) {
	xla, images := backendtest.XLA(b), bytes(12800)
	sizes := []int{784, 256, 128, 64, 128, 256, 784}
	inTurns(b,
		largeProduct(b, xla, 128, sizes),
		products(b, xla, 128, sizes),
		training("no-noise-sgd", seedGroup(b, xla, images, func(s *Spec) { s.Corrupt, s.Optimizer = nil, "sgd" })),
		training("no-noise", seedGroup(b, xla, images, func(s *Spec) { s.Corrupt = nil })),
		training("whole", seedGroup(b, xla, images, func(*Spec) {})))
}

// largeProduct is the time of the step's multiplications, forward and twice backward, at the rate of a product of two
// matrices of 4096².
func largeProduct(b *testing.B, xla *backend.Backend, batch int, sizes []int) turn {
	const n = 4096
	exec, err := NewExec(xla.Compute, func(x *Node) *Node { return ReduceAllMax(MatMul(x, x)) })
	if err != nil {
		b.Fatal(err)
	}
	matrix := tensors.FromFlatDataAndDimensions(make([]float32, n*n), n, n)
	multiplications := -batch * sizes[0] * sizes[1] // nobody asks for the gradient of the images
	for i, in := range sizes[:len(sizes)-1] {
		multiplications += 3 * batch * in * sizes[i+1]
	}
	return turn{"large-product", 1, func(steps int) (time.Duration, error) {
		start := time.Now()
		outputs, err := exec.Call(matrix)
		if err != nil {
			return 0, err
		}
		tensors.MustCopyFlatData[float32](outputs[0]) // waits
		return time.Duration(float64(time.Since(start)) * float64(steps*multiplications) / (n * n * n)), nil
	}}
}

// products is a loop of the step's matrix products and nothing else: each gradient is the next weight.
func products(b *testing.B, xla *backend.Backend, batch int, sizes []int) turn {
	layers := len(sizes) - 1
	exec, err := NewExec(xla.Compute, func(inputs []*Node) []*Node {
		g := inputs[0].Graph()
		parameters := func(g *Graph) []*Node {
			nodes := make([]*Node, len(inputs))
			for i, input := range inputs {
				nodes[i] = Parameter(g, "", input.Shape())
			}
			return nodes
		}
		more := NewClosure(g, func(g *Graph) []*Node {
			state := parameters(g)
			return []*Node{LessThan(state[0], state[1])}
		})
		body := NewClosure(g, func(g *Graph) []*Node {
			state := parameters(g)
			h, weights := []*Node{state[2]}, state[3:]
			for i, weight := range weights {
				h = append(h, MatMul(h[i], weight))
			}
			next := append([]*Node{AddScalar(state[0], 1)}, state[1:]...)
			dy := h[layers]
			for i := layers - 1; i >= 0; i-- {
				next[3+i] = Einsum("bi,bo->io", h[i], dy)
				if i > 0 {
					dy = Einsum("bo,io->bi", dy, weights[i])
				}
			}
			return next
		})
		return While(more, body, inputs...)[3:]
	})
	if err != nil {
		b.Fatal(err)
	}
	// All ones: they become infinite at once, which is no slower than a number.
	ones := func(dims ...int) *tensors.Tensor {
		size := 1
		for _, dim := range dims {
			size *= dim
		}
		return tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{1}, size), dims...)
	}
	args := []any{int32(0), int32(0), ones(batch, sizes[0])}
	for i, in := range sizes[:layers] {
		args = append(args, ones(in, sizes[i+1]))
	}
	return turn{"products", 1, func(steps int) (time.Duration, error) {
		args[1] = int32(steps)
		start := time.Now()
		outputs, err := exec.Call(args...)
		if err != nil {
			return 0, err
		}
		tensors.MustCopyFlatData[float32](outputs[layers/2]) // waits
		return time.Since(start), nil
	}}
}

// BenchmarkGroup is the time of a step for each run of a group: it falls with their number where one run alone leaves the
// device idle.
func BenchmarkGroup(b *testing.B) {
	xla, images := backendtest.XLA(b), bytes(12800)
	for _, m := range []struct {
		name             string
		encoder, decoder []int
		batch            int
	}{
		{"seed", []int{256, 128, 64}, []int{128, 256}, 128},
		{"small", []int{32}, nil, 32},
	} {
		b.Run(m.name, func(b *testing.B) {
			var turns []turn
			for _, form := range []string{"loop", "batched"} {
				for _, runs := range []int{1, 4, 16} {
					specs := make([]Spec, runs)
					for i := range specs {
						specs[i] = seedSpec(m.encoder, m.decoder, m.batch)
						specs[i].Seed, specs[i].Group = int64(i), form
					}
					turns = append(turns, training(fmt.Sprintf("%d-runs-%s", runs, form), start(b, xla, images, specs...)))
				}
			}
			inTurns(b, turns...)
		})
	}
}
