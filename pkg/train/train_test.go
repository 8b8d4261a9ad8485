package train

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

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

// Five steps of every optimizer, with and without clipping, agree with Optax (testdata/golden.py).
func TestOptimizersAgainstOptax(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		LearningRate float64 `json:"learning_rate"`
		WeightDecay  float64 `json:"weight_decay"`
		Beta1, Beta2 float64
		Epsilon      float64
		Momentum     float64
		Start        []float32
		Gradients    [][]float32
		Cases        []struct {
			Optimizer string
			ClipNorm  float64 `json:"clip_norm"`
			Values    [][]float64
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, c := range golden.Cases {
			p := Program{
				optimizer: optimizers[c.Optimizer],
				params:    []model.Param{{Name: "weight", Dims: []int{len(golden.Start)}, Decays: true}},
			}
			exec, err := NewExec(b.Compute, func(inputs []*Node) []*Node {
				h := newHyper(elements(inputs[0]))
				gradients := []*Node{inputs[3]}
				if c.ClipNorm > 0 {
					gradients, _ = clip(gradients, h.clipNorm)
				}
				return p.update(h, inputs[4:], gradients, inputs[1], inputs[2])
			})
			if err != nil {
				t.Fatal(err)
			}
			state := []*tensors.Tensor{tensors.FromFlatDataAndDimensions(golden.Start, len(golden.Start))}
			for range p.optimizer.slots {
				state = append(state, tensors.FromShape(state[0].Shape()))
			}
			values := hyperValues(Options{Beta1: golden.Beta1, Beta2: golden.Beta2, Epsilon: golden.Epsilon,
				Momentum: golden.Momentum, WeightDecay: golden.WeightDecay, ClipNorm: c.ClipNorm})
			for step, want := range c.Values {
				args := []any{values, float32(golden.LearningRate), float32(step + 1), golden.Gradients[step]}
				for _, tensor := range state {
					args = append(args, tensor)
				}
				if state, err = exec.Call(args...); err != nil {
					t.Fatal(err)
				}
				for i, got := range tensors.MustCopyFlatData[float32](state[0]) {
					if math.Abs(float64(got)-want[i]) > 2e-5*max(1, math.Abs(want[i])) {
						t.Errorf("%s, clip_norm %g, step %d, value %d: got %g, want %g", c.Optimizer, c.ClipNorm, step+1, i, got, want[i])
					}
				}
			}
		}
	})
}

// A whole run, from the first weights to the last loss, agrees with one that was computed from the definitions alone, in
// float64 (testdata/loop.py): ten epochs with a short last batch, on 50 blobs.
func TestWholeLoop(t *testing.T) {
	data, err := os.ReadFile("testdata/loop.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Losses []float64 }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		spec := spec()
		spec.Model = &model.Dense{Encoder: []int{24, 6}, Decoder: []int{24}, Activation: "relu", LatentActivation: "relu",
			Output: "tanh", Init: "pytorch"}
		spec.Seed, spec.BatchSize, spec.Epochs, spec.LearningRate = 11, 16, 10, 0.01
		losses := finish(t, start(t, b, blobs(50), spec))[0]
		if len(losses) != len(golden.Losses) {
			t.Fatalf("%d losses, want %d", len(losses), len(golden.Losses))
		}
		for i, want := range golden.Losses {
			if got := float64(losses[i]); math.Abs(got-want) > 1e-4*want {
				t.Errorf("the loss of step %d is %.7f, want %.7f", i+1, got, want)
			}
		}
	})
}

func TestRate(t *testing.T) {
	const steps, perEpoch = 100, 10
	for name, c := range map[string]struct {
		options Options
		want    map[int]float64 // step → rate
	}{
		"constant":       {Options{Schedule: "constant"}, map[int]float64{0: 1, 99: 1}},
		"warm-up":        {Options{Schedule: "constant", WarmupEpochs: 0.4}, map[int]float64{0: 0.25, 1: 0.5, 2: 0.75, 3: 1, 50: 1}},
		"cosine":         {Options{Schedule: "cosine"}, map[int]float64{0: 1, 50: 0.5, 75: 0.5 - math.Sqrt2/4}},
		"restarted":      {Options{Schedule: "cosine", Restarts: []int{4, 8}}, map[int]float64{0: 1, 20: 0.5, 40: 1, 60: 0.5, 80: 1, 90: 0.5}},
		"extended":       {Options{Schedule: "cosine", Extended: []int{4}}, map[int]float64{0: 1, 20: 0.5, 50: 0.5, 75: 0.5 - math.Sqrt2/4}},
		"both":           {Options{Schedule: "cosine", Extended: []int{2}, Restarts: []int{5}}, map[int]float64{10: 0.5, 25: 0.5, 50: 1, 75: 0.5}},
		"cosine, warmed": {Options{Schedule: "cosine", WarmupEpochs: 2}, map[int]float64{0: 0.05, 19: 1, 20: 1, 60: 0.5}},
	} {
		c.options.LearningRate = 1
		for step, want := range c.want {
			if got := c.options.rate(step, steps, perEpoch); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s: step %d has rate %g, want %g", name, step, got, want)
			}
		}
	}
}

// blobs returns n small images of a bright square at a random place.
func blobs(n int) *dataset.Samples {
	const side = 8
	images := &dataset.Samples{Height: side, Width: side, Channels: 1, Values: array.Values{Uint8: make([]uint8, n*side*side)}}
	for i := range n {
		words := random.NewSeed(4).Block(uint32(i), 0)
		x0, y0 := int(words[0]%5), int(words[1]%5)
		for y := range 4 {
			for x := range 4 {
				images.Values.Uint8[(i*side+y0+y)*side+x0+x] = 255
			}
		}
	}
	return images
}

// spec is a small experiment: 5 steps an epoch on 37 blobs, the last with 5 images.
func spec() Spec {
	options := Defaults()
	options.BatchSize, options.Epochs = 8, 4
	return Spec{
		Model: &model.Dense{Encoder: []int{24, 10}, Decoder: []int{24}, Activation: "relu", LatentActivation: "relu",
			Output: "tanh", Init: "pytorch"},
		Corrupt: corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.3), Clip: true}},
		Options: options, Seed: 42,
	}
}

const blobCount = 37

// start compiles a program for the specs and starts them.
func start(t testing.TB, b *backend.Backend, images *dataset.Samples, specs ...Spec) *Group {
	t.Helper()
	program, err := Compile(b, specs[0], images, len(specs))
	if err != nil {
		t.Fatal(err)
	}
	group, err := program.Start(specs...)
	if err != nil {
		t.Fatal(err)
	}
	return group
}

// alone starts a run on the blobs.
func alone(t testing.TB, b *backend.Backend, spec Spec) *Group {
	t.Helper()
	return start(t, b, blobs(blobCount), spec)
}

// finish runs a group to its end and returns the losses of each run.
func finish(t testing.TB, group *Group) [][]float32 {
	t.Helper()
	losses := make([][]float32, len(group.Runs))
	for windows, err := range group.Windows(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		for k, window := range windows {
			losses[k] = append(losses[k], window.Losses...)
		}
	}
	return losses
}

// longer are images for 120 steps an epoch, the last with 5 images.
func longer() *dataset.Samples { return blobs(120*8 - 3) }

// runAll runs spec to its end, at most n steps a window, and returns all losses and the last state.
func runAll(t *testing.T, b *backend.Backend, images *dataset.Samples, spec Spec, n int) ([]float32, State) {
	t.Helper()
	group := start(t, b, images, spec)
	run := group.Runs[0]
	var losses []float32
	for run.Step() < run.Steps() {
		windows, err := group.Advance(n)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, windows[0].Losses...)
	}
	return losses, stateOf(t, run)
}

func stateOf(t *testing.T, run *Trainer) State {
	t.Helper()
	state, err := run.State()
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// The bits of a run do not depend on how it is cut into windows; another seed gives others.
func TestWindowsDoNotMatter(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		spec, images := spec(), longer()
		spec.Epochs = 2
		losses, state := runAll(t, b, images, spec, 1)
		if len(losses) != 240 {
			t.Fatalf("%d losses, want 240", len(losses))
		}
		for _, n := range []int{7, 100} {
			other, otherState := runAll(t, b, images, spec, n)
			if !slices.Equal(losses, other) || !reflect.DeepEqual(state, otherState) {
				t.Errorf("windows of %d steps give another run than windows of one", n)
			}
		}
		spec.Seed++
		if other, _ := runAll(t, b, images, spec, 100); slices.Equal(losses, other) {
			t.Error("another seed gives the same run")
		}
	})
}

// A run restored from any step's state goes on with the same bits.
func TestRestore(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		losses, want := runAll(t, b, blobs(blobCount), spec(), 100)
		first := alone(t, b, spec())
		for first.Runs[0].Step() < first.Runs[0].Steps() {
			state := stateOf(t, first.Runs[0])
			second := alone(t, b, spec())
			if err := second.Runs[0].Restore(state); err != nil {
				t.Fatal(err)
			}
			rest := append(losses[:state.Step:state.Step], finish(t, second)[0]...)
			if !slices.Equal(losses, rest) || !reflect.DeepEqual(stateOf(t, second.Runs[0]), want) {
				t.Fatalf("a run restored at step %d goes on differently", state.Step)
			}
			if _, err := first.Advance(3); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A state of another model or optimizer is refused, and the run is as it was.
func TestRestoreRefuses(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		trainer := alone(t, b, spec()).Runs[0]
		before := stateOf(t, trainer)
		for name, change := range map[string]func(s *State){
			"5000 tensors":           func(s *State) { s.Tensors = append(s.Tensors, make([]Tensor, 5000)...)[:5000] },
			"2 tensors":              func(s *State) { s.Tensors = s.Tensors[:2] },
			"encoder.layer_9.weight": func(s *State) { s.Tensors[0].Name = "encoder.layer_9.weight" },
			"[64 25]":                func(s *State) { s.Tensors[0].Dims = []int{64, 25} },
			"with 3 values":          func(s *State) { s.Tensors[0].Values = make([]float32, 3) },
			"step 21":                func(s *State) { s.Step = 21 },
		} {
			state := stateOf(t, trainer)
			change(&state)
			if err := trainer.Restore(state); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got error %v, want one that names %s", err, name)
			}
		}
		if !reflect.DeepEqual(stateOf(t, trainer), before) {
			t.Error("a refused state changed the run")
		}
	})
}

// The two backends give the same losses, to rounding, over 120 steps of a small model.
func TestBackendsAgree(t *testing.T) {
	var runs [][]float32
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		spec := spec()
		spec.Epochs = 1
		losses, _ := runAll(t, b, longer(), spec, 100)
		runs = append(runs, losses)
	})
	if len(runs) < 2 {
		t.Skip("only one backend is installed: nothing to compare")
	}
	for i := range runs[0] {
		if a, b := float64(runs[0][i]), float64(runs[1][i]); math.Abs(a-b) > 1e-4*a {
			t.Errorf("step %d: loss %g on one backend, %g on the other", i+1, a, b)
		}
	}
}

// A model that draws gives the same bits in windows of any length, and on several devices the same losses: what is drawn for
// an image does not depend on where its row is computed. Its first values are those that the images decide.
func TestVAE(t *testing.T) {
	vae := func(binarise string) Spec {
		s := spec()
		s.Corrupt, s.Epochs = nil, 2
		s.Model = &model.VAE{Network: model.Network{Encoder: []int{16}, Latent: 4, Decoder: []int{16}, Activation: "tanh", Init: "glorot"},
			Likelihood: "bernoulli", Binarise: binarise, Deviation: 1, Beta: 1, BetaWarmup: 0.5, Bound: "elbo", Samples: 2}
		return s
	}
	losses := map[string][]float32{}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, binarise := range []string{"dynamic", "static"} {
			program, err := Compile(b, vae(binarise), blobs(blobCount), 1)
			if err != nil {
				t.Fatal(err)
			}
			start := func() *Group {
				group, err := program.Start(vae(binarise))
				if err != nil {
					t.Fatal(err)
				}
				return group
			}
			steps, want := start(), start()
			if bias := stateOf(t, want.Runs[0]).Tensors[9]; bias.Name != "decoder.pixels.bias" || !slices.Equal(bias.Values, program.start[bias.Name]) {
				t.Errorf("%s starts with %v, want %v", bias.Name, bias.Values, program.start)
			}
			losses[binarise] = finish(t, want)[0]
			for i, loss := range losses[binarise] {
				windows, err := steps.Advance(1)
				if err != nil {
					t.Fatal(err)
				}
				if windows[0].Losses[0] != loss {
					t.Errorf("%s: in windows of one step, the loss of step %d is %g, want %g", binarise, i+1, windows[0].Losses[0], loss)
				}
			}
		}
	})
	devices := backendtest.Devices(t, 4)
	defer devices.Close()
	for binarise, want := range losses {
		split := vae(binarise)
		split.Devices = 4
		agree(t, binarise+", four devices", finish(t, alone(t, devices, split))[0], want, 1e-4)
	}
}

// A conditional model is given the label of each image: where images are drawn from their labels alone, it reconstructs them
// with a code that says nothing, and the same without labels does not.
func TestLabels(t *testing.T) {
	images := &dataset.Samples{Height: 2, Width: 2, Channels: 1}
	for i := range blobCount {
		label := uint8(random.NewSeed(6).Block(uint32(i), 0)[0] % 4)
		images.Labels = append(images.Labels, label)
		image := make([]uint8, 4)
		image[label] = 255
		images.Values.Uint8 = append(images.Values.Uint8, image...)
	}
	s := spec()
	s.Corrupt, s.Epochs, s.LearningRate = nil, 60, 0.03
	m := model.Kinds["vae"]().(*model.VAE)
	m.Encoder, m.Decoder, m.Latent, m.Beta = []int{8}, []int{8}, 1, 100 // no information is worth its price
	s.Model = m
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		last := func(classes int) float32 {
			m.Classes = classes
			losses := finish(t, start(t, b, images, s))[0]
			return losses[len(losses)-1]
		}
		// Without labels, each of four pixels costs the entropy of ¼: 0.56 nats.
		if plain := last(0); plain < 1.5 {
			t.Errorf("without labels the last loss is %g", plain)
		}
		if labelled := last(4); labelled > 0.5 {
			t.Errorf("with labels the last loss is %g", labelled)
		}
		unlabelled := *images
		unlabelled.Labels = nil
		if _, err := Compile(b, s, &unlabelled, 1); err == nil {
			t.Error("images without labels were taken")
		}
	})
}

// A model with statistics learns, moves them without gradients, and gives the same bits in windows of any length.
func TestVQVAE(t *testing.T) {
	s := spec()
	s.Corrupt, s.Epochs, s.LearningRate = nil, 40, 0.003
	m := model.Kinds["vqvae"]().(*model.VQVAE)
	m.Encoder, m.Decoder, m.Latent, m.Entries = []int{24}, []int{24}, 8, 16
	s.Model = m
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		program, err := Compile(b, s, blobs(blobCount), 1)
		if err != nil {
			t.Fatal(err)
		}
		run := func(n int) ([]float32, State) {
			group, err := program.Start(s)
			if err != nil {
				t.Fatal(err)
			}
			var losses []float32
			for group.Runs[0].Step() < group.Runs[0].Steps() {
				windows, err := group.Advance(n)
				if err != nil {
					t.Fatal(err)
				}
				losses = append(losses, windows[0].Losses...)
			}
			return losses, stateOf(t, group.Runs[0])
		}
		losses, state := run(100)
		if again, other := run(1); !slices.Equal(losses, again) || !reflect.DeepEqual(state, other) {
			t.Error("windows of one step give another run")
		}
		if first, last := losses[0], losses[len(losses)-1]; last > first/2 {
			t.Errorf("loss %g at first, %g at last", first, last)
		}
		for _, tensor := range state.Tensors {
			if tensor.Name != "codebook.shares" {
				continue
			}
			sum := float32(0)
			for _, share := range tensor.Values {
				sum += share
			}
			if math.Abs(float64(sum)-1) > 1e-4 {
				t.Errorf("the entries' shares are %v: their sum is %g, want 1", tensor.Values, sum)
			}
		}
	})
}

// The mean of images is that of each pixel, in [-1, 1].
func TestMean(t *testing.T) {
	images := &dataset.Samples{Height: 1, Width: 2, Channels: 1, Values: array.Values{Uint8: []uint8{0, 255, 255, 255, 0, 0, 255, 51}}}
	if got, want := mean(images), []float32{0, 0.1}; math.Abs(float64(got[0]-want[0])) > 1e-6 || math.Abs(float64(got[1]-want[1])) > 1e-6 {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The epoch's loss is the mean// The epoch's loss is the mean over images, the short last batch with its true size.
func TestEpochLoss(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		sum, images := 0.0, 0
		for windows, err := range alone(t, b, spec()).Windows(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			window := windows[0]
			images += window.Images
			for i, loss := range window.Losses {
				size := 8
				if step := window.Step - len(window.Losses) + i; step%5 == 4 {
					size = 5
				}
				sum += float64(loss) * float64(size)
			}
			if window.EndsEpoch {
				if images != blobCount || math.Abs(window.EpochLoss-sum/blobCount) > 1e-12 {
					t.Errorf("epoch %d: %d images, loss %g; want %d, %g", window.Epoch, images, window.EpochLoss, blobCount, sum/blobCount)
				}
				sum, images = 0, 0
			}
		}
	})
}

// Training on blobs learns: the loss falls to a fraction.
func TestLearns(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for name := range optimizers {
			s := spec()
			s.Optimizer, s.Epochs, s.LearningRate = name, 40, 0.003
			if name == "sgd" {
				s.LearningRate, s.Momentum = 0.1, 0.9
			}
			losses, _ := runAll(t, b, blobs(blobCount), s, 100)
			if first, last := losses[0], losses[len(losses)-1]; last > first/3 {
				t.Errorf("%s: loss %g at first, %g at last", name, first, last)
			}
		}
	})
}

// A loss that is no number ends the run with the step.
func TestDivergence(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		s := spec()
		s.Optimizer, s.LearningRate = "sgd", 1e30
		s.Model.(*model.Dense).Output = "linear"
		var failure error
		for _, err := range alone(t, b, s).Windows(context.Background()) {
			failure = err
		}
		if !errors.Is(failure, ErrDiverged) || !strings.Contains(failure.Error(), "step ") {
			t.Errorf("got error %v, want a divergence with its step", failure)
		}
	})
}

// Windows ends with the context's error, between windows, and the run can go on.
func TestCancel(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		group := alone(t, b, spec())
		trainer := group.Runs[0]
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var failure error
		for _, err := range group.Windows(ctx) {
			failure = err
			cancel()
		}
		if !errors.Is(failure, context.Canceled) || trainer.Step() == 0 || trainer.Step() == trainer.Steps() {
			t.Errorf("error %v after step %d", failure, trainer.Step())
		}
	})
}

// MaxSteps ends a run in the middle of an epoch.
func TestMaxSteps(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		s := spec()
		s.MaxSteps = 7
		if losses, _ := runAll(t, b, blobs(blobCount), s, 100); len(losses) != 7 {
			t.Errorf("%d steps, want 7", len(losses))
		}
	})
}
