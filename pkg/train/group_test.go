package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/model"
)

// close checks that two runs' losses agree to this relative tolerance.
func agree(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d losses, want %d", what, len(got), len(want))
	}
	for i := range want {
		if a, b := float64(got[i]), float64(want[i]); math.Abs(a-b) > tolerance*b {
			t.Errorf("%s: the loss of step %d is %g, want %g", what, i+1, a, b)
			return
		}
	}
}

// Runs that train together give the losses that they give alone, each with a seed, learning rate, schedule and noise factor
// of its own, over 200 steps, in both forms of a group.
func TestGroupEqualsRunsAlone(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		specs := make([]Spec, 4)
		for i := range specs {
			specs[i] = spec()
			specs[i].Epochs = 40
			specs[i].Seed += int64(i)
			specs[i].LearningRate *= float64(1 + i)
			specs[i].Corrupt = corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.1 * float64(i)), Clip: true}}
		}
		specs[1].Schedule = "cosine"
		specs[2].Beta1 = 0.8
		var separate [][]float32
		for _, spec := range specs {
			separate = append(separate, finish(t, alone(t, b, spec))[0])
		}
		for _, form := range []string{"loop", "batched"} {
			for i := range specs {
				specs[i].Group = form
			}
			group := start(t, b, blobs(blobCount), specs...)
			if want := form == "batched"; group.program.batched != want {
				t.Errorf("train.group %s: batched is %v", form, !want)
			}
			together := finish(t, group)
			for i, losses := range separate {
				if len(losses) != 200 {
					t.Fatalf("%d losses, want 200", len(losses))
				}
				agree(t, form+": run in a group", together[i], losses, 1e-4)
			}
		}
	})
}

// Models of every kind, with each corruption, give as one with others what they give alone: each operation of their steps and
// gradients can be batched. In pure Go, which compiles nothing; that XLA agrees is up to TestMap of pkg/vmap.
func TestBatchedKinds(t *testing.T) {
	b, err := backend.OpenInstalled("go", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	specs := blockSpecs()
	for kind, model := range model.Kinds {
		if _, small := specs[kind]; !small {
			s := spec()
			s.Model, s.Epochs = model(), 2
			specs[kind] = s
		}
	}
	for kind, corruption := range corrupt.Kinds {
		s := spec()
		s.Corrupt = corrupt.Chain{corruption()}
		specs["corruption "+kind] = s
	}
	for name, s := range specs {
		t.Run(name, func(t *testing.T) {
			other := s
			other.Seed, other.LearningRate = s.Seed+1, s.LearningRate/2
			apart := alone(t, b, s)
			second, err := apart.program.Start(other)
			if err != nil {
				t.Fatal(err)
			}
			separate := [][]float32{finish(t, apart)[0], finish(t, second)[0]}
			s.Group, other.Group = "batched", "batched"
			for k, losses := range finish(t, start(t, b, blobs(blobCount), s, other)) {
				agree(t, fmt.Sprintf("run %d", k+1), losses, separate[k], 1e-4)
			}
		})
	}
}

// Small runs share calls, eight at most; large ones have calls of their own, and the bits of a run alone.
func TestParts(t *testing.T) {
	parts := func(encoder, decoder []int, batch, runs int) []int {
		p := Program{spec: seedSpec(encoder, decoder, batch), image: model.Image{Height: 28, Width: 28, Channels: 1}}
		return p.parts(runs)
	}
	// 784·32·2 products · 6 · 32 images are 9.6 million operations.
	if got, want := parts([]int{32}, nil, 32, 19), []int{8, 8, 3}; !slices.Equal(got, want) {
		t.Errorf("a small model's parts are %v, want %v", got, want)
	}
	// 2 · (784·256 + 256·128 + 128·64) products · 6 · 128 images are 371 million.
	if got, want := parts([]int{256, 128, 64}, []int{128, 256}, 128, 3), []int{1, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("the seed's parts are %v, want %v", got, want)
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		specs := make([]Spec, mostRuns+1)
		for i := range specs {
			specs[i] = spec()
			specs[i].Seed += int64(i)
		}
		together := finish(t, start(t, b, blobs(blobCount), specs...))
		if last := specs[mostRuns]; !slices.Equal(together[mostRuns], finish(t, alone(t, b, last))[0]) {
			t.Error("a run with a call of its own gives another run than alone")
		}
		agree(t, "run in a shared call", together[mostRuns-1], finish(t, alone(t, b, specs[mostRuns-1]))[0], 1e-4)
	})
}

// Where nothing is said, a backend that gains from it computes runs as one, up to mostBatched of them, but not those with
// convolutions and not those on several devices.
func TestAutoGroup(t *testing.T) {
	b, err := backend.OpenInstalled("go", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for name, c := range map[string]struct {
		group   string
		model   model.Model
		batches bool
		want    bool
	}{
		"a backend that does not gain": {"auto", spec().Model, false, false},
		"dense":                        {"auto", spec().Model, true, true},
		"dense, in a loop":             {"loop", spec().Model, true, false},
		"convolutions":                 {"auto", blockSpecs()["conv"].Model, true, false},
		"convolutions, asked for":      {"batched", blockSpecs()["conv"].Model, false, true},
	} {
		s := spec()
		s.Group, s.Model, b.Batches = c.group, c.model, c.batches
		program, err := Compile(b, s, blobs(blobCount), 1)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if program.batched != c.want {
			t.Errorf("%s: batched is %v", name, program.batched)
		}
	}
	p := Program{batched: true, spec: spec(), image: model.Image{Height: 8, Width: 8, Channels: 1}}
	if got, want := p.parts(2*mostBatched+1), []int{mostBatched, mostBatched, 1}; !slices.Equal(got, want) {
		t.Errorf("the parts of %d runs are %v, want %v", 2*mostBatched+1, got, want)
	}
}

// The bits of a group do not depend on its windows either, and a run restored in its place goes on with the same bits.
func TestGroupRestores(t *testing.T) {
	for _, form := range []string{"loop", "batched"} {
		t.Run(form, func(t *testing.T) { groupRestores(t, form) })
	}
}

func groupRestores(t *testing.T, form string) {
	spec := func() Spec {
		s := spec()
		s.Group = form
		return s
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		second := spec()
		second.Seed++
		want := finish(t, start(t, b, blobs(blobCount), spec(), second))
		first := start(t, b, blobs(blobCount), spec(), second)
		for first.Runs[0].Step() < 3 {
			if _, err := first.Advance(1); err != nil {
				t.Fatal(err)
			}
		}
		again := start(t, b, blobs(blobCount), spec(), second)
		for k, run := range first.Runs {
			if err := again.Runs[k].Restore(stateOf(t, run)); err != nil {
				t.Fatal(err)
			}
		}
		for k, losses := range finish(t, again) {
			if !slices.Equal(losses, want[k][3:]) {
				t.Errorf("run %d of a restored group goes on differently", k)
			}
		}

		apart := start(t, b, blobs(blobCount), spec(), second)
		if err := apart.Runs[1].Restore(stateOf(t, first.Runs[1])); err != nil {
			t.Fatal(err)
		}
		for _, err := range apart.Windows(context.Background()) {
			if err == nil || !strings.Contains(err.Error(), "steps 0 and 3") {
				t.Errorf("training runs at different steps together: %v", err)
			}
		}
	})
}

// A run that diverges does not disturb the others of its group.
func TestGroupDivergence(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		good, bad := spec(), spec()
		good.Optimizer, bad.Optimizer = "sgd", "sgd"
		good.Model = &model.Dense{Encoder: []int{8}, Activation: "relu", LatentActivation: "linear", Output: "linear", Init: "pytorch"}
		bad.Model, bad.LearningRate = good.Model, 1e30
		together := start(t, b, blobs(blobCount), good, bad)
		var failure error
		losses := []float32{}
		for windows, err := range together.Windows(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			if windows[0].Err != nil {
				t.Fatal(windows[0].Err)
			}
			losses, failure = append(losses, windows[0].Losses...), windows[1].Err
		}
		if !errors.Is(failure, ErrDiverged) {
			t.Errorf("the diverged run's error is %v", failure)
		}
		agree(t, "run beside one that diverged", losses, finish(t, alone(t, b, good))[0], 1e-4)
	})
}

// A program runs other seeds, learning rates and noise factors without compiling anew, and gives what a program compiled
// for them gives. Specs of another structure are refused.
func TestProgramIsReused(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		first := spec()
		first.Loss, first.HuberDelta = "huber", 1
		program, err := Compile(b, first, blobs(blobCount), 1)
		if err != nil {
			t.Fatal(err)
		}
		other := first
		other.Seed, other.LearningRate, other.Schedule, other.Epsilon = 7, 0.004, "cosine", 1e-6
		other.HuberDelta = 0.1
		other.Corrupt = corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.6), Clip: true}}
		for _, spec := range []Spec{first, other} {
			group, err := program.Start(spec)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := finish(t, group)[0], finish(t, alone(t, b, spec))[0]; !slices.Equal(got, want) {
				t.Error("a reused program gives another run than one compiled for it")
			}
		}
		if graphs := reflect.ValueOf(program.exec).Elem().FieldByName("cache").Len(); graphs != 1 {
			t.Errorf("%d graphs were compiled, want 1", graphs)
		}

		for name, change := range map[string]func(s *Spec){
			"adam ":          func(s *Spec) { s.Optimizer = "sgd" },
			"BatchSize:16":   func(s *Spec) { s.BatchSize = 16 },
			"Encoder:[9]":    func(s *Spec) { s.Model = &model.Dense{Encoder: []int{9}} },
			"Clip:false":     func(s *Spec) { s.Corrupt = corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.3)}} },
			"ClipsNorm:true": func(s *Spec) { s.ClipNorm = 1 },
			"Loss:mse":       func(s *Spec) { s.Loss = "mse" },
			"bfloat16":       func(s *Spec) { s.Precision = "bfloat16" },
		} {
			changed := first
			change(&changed)
			if _, err := program.Start(changed); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("starting another structure: %v, want %q", err, name)
			}
		}
		if _, err := program.Start(first, first); err != nil {
			t.Errorf("starting two runs with a program compiled for one: %v", err)
		}
	})
}

// Batches that are split over devices give the losses of one device, over 50 steps.
func TestDevices(t *testing.T) {
	const devices = 4
	b := backendtest.Devices(t, devices)
	defer b.Close()
	one := spec()
	one.Epochs, one.ClipNorm = 10, 1 // 50 steps; the last batch of an epoch has 5 images, which only two devices see
	want := finish(t, alone(t, b, one))[0]
	split := one
	split.Devices = devices
	group := alone(t, b, split)
	got := finish(t, group)[0]
	agree(t, "four devices", got, want, 1e-5)
	for device, state := range group.Runs[0].state[1:] {
		for i, tensor := range state {
			if !tensor.Equal(group.Runs[0].state[0][i]) {
				t.Errorf("tensor %d differs between devices 0 and %d", i, device+1)
			}
		}
	}
	second := split
	second.Seed++
	agree(t, "two runs on four devices", finish(t, start(t, b, blobs(blobCount), split, second))[0], want, 1e-5)

	tooMany := one
	tooMany.Devices = 8
	if _, err := Compile(b, tooMany, blobs(blobCount), 1); err == nil || !strings.Contains(err.Error(), "this backend has 4") {
		t.Errorf("eight devices of four: %v", err)
	}
}

// In bfloat16 the loss follows that of float32 to its three digits at first, and learns as well; the parameters keep more
// digits than bfloat16 has.
func TestBFloat16(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		full := spec()
		full.Epochs, full.LearningRate = 40, 0.003
		half := full
		half.Precision = "bfloat16"
		group := alone(t, b, half)
		got, want := finish(t, group)[0], finish(t, alone(t, b, full))[0]
		agree(t, "bfloat16", got[:5], want[:5], 0.02)
		if slices.Equal(got, want) {
			t.Error("bfloat16 gives the losses of float32")
		}
		if last := len(got) - 1; got[last] > 1.2*want[last] {
			t.Errorf("the last loss is %g, in float32 %g", got[last], want[last])
		}
		for _, tensor := range stateOf(t, group.Runs[0]).Tensors {
			if !slices.ContainsFunc(tensor.Values, func(v float32) bool { return math.Float32bits(v)&0xffff != 0 }) {
				t.Errorf("%s was rounded to bfloat16", tensor.Name)
			}
		}
	})
}
