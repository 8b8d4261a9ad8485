package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/model"
)

// A batch in parts has the loss and the gradients of the whole, noise and all, to rounding; the last batch of an epoch is a short one.
func TestAccumulate(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		whole := spec()
		whole.Model = &model.Dense{Encoder: []int{24, 10}, Decoder: []int{24}, Activation: "relu", LatentActivation: "linear", Output: "tanh",
			Init: "pytorch", Dropout: 0.2}
		whole.ClipNorm = 0.5
		parts := whole
		parts.Accumulate = 4
		agree(t, "losses", finish(t, alone(t, b, parts))[0], finish(t, alone(t, b, whole))[0], 1e-4)
	})
}

// Activations that are computed again change the losses by rounding, dropout and all, alone and in a batched group, and a step needs less
// memory.
func TestCheckpointActivations(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		kept := spec()
		kept.Epochs, kept.Optimizer, kept.LearningRate = 2, "sgd", 0.005 // adam's steps would make more of rounding
		ae := model.Kinds["ae"]().(*model.AE)
		ae.Backbone, ae.Latent = &model.ResNet{Channels: []int{4}, Blocks: 1, Kernel: 3, Norm: "layer", Dropout: 0.2}, 4
		kept.Model = ae
		again := kept
		again.CheckpointActivations = true
		want := alone(t, b, kept)
		got := alone(t, b, again)
		agree(t, "losses", finish(t, got)[0], finish(t, want)[0], 1e-5)
		if b.Name == "go" {
			return
		}
		if got, want := got.Memory().Step, want.Memory().Step; got > want*3/4 {
			t.Errorf("a step needs %d bytes, want at most three quarters of %d", got, want)
		}
		again.Group = "batched"
		second := again
		second.Seed++
		agree(t, "two runs in a batch", finish(t, start(t, b, blobs(blobCount), again, second))[0], finish(t, alone(t, b, kept))[0], 1e-5)
	})
}

// The state's parameters are averages of those that training goes on with: in step t with the decay min(ema, (1 + t)/(10 + t)). The
// losses are those of a run without, and a run goes on from its state with the same bits.
func TestEMA(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		plain, averaged := spec(), spec()
		averaged.EMA = 0.3
		alike, group := alone(t, b, plain), alone(t, b, averaged)
		var want [][]float64
		for step := range 6 {
			before := stateOf(t, alike.Runs[0])
			if step == 0 {
				for _, tensor := range before.Tensors[:len(group.program.params)] {
					var wide []float64
					for _, value := range tensor.Values {
						wide = append(wide, float64(value))
					}
					want = append(want, wide)
				}
			}
			for _, g := range []*Group{alike, group} {
				if _, err := g.Advance(1); err != nil {
					t.Fatal(err)
				}
			}
			count := float64(step + 1)
			decay := min(0.3, (1+count)/(10+count))
			trained := stateOf(t, alike.Runs[0])
			for i := range want {
				for j := range want[i] {
					want[i][j] = decay*want[i][j] + (1-decay)*float64(trained.Tensors[i].Values[j])
				}
			}
		}
		state := stateOf(t, group.Runs[0])
		trained := stateOf(t, alike.Runs[0])
		for i := range want {
			for j, value := range state.Tensors[i].Values {
				if math.Abs(float64(value)-want[i][j]) > 1e-5*max(1, math.Abs(want[i][j])) {
					t.Fatalf("%s[%d]: average %g, want %g", state.Tensors[i].Name, j, value, want[i][j])
				}
			}
		}
		last := state.Tensors[len(state.Tensors)-1]
		if behind := trained.Tensors[len(want)-1]; last.Name != behind.Name+"/trained" || !slices.Equal(last.Values, behind.Values) {
			t.Errorf("the last tensor is %s; want that of %s as it is trained", last.Name, behind.Name)
		}

		again, err := group.program.Start(averaged)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Runs[0].Restore(state); err != nil {
			t.Fatal(err)
		}
		finish(t, group)
		finish(t, again)
		if stateOf(t, again.Runs[0]).Checksum() != stateOf(t, group.Runs[0]).Checksum() {
			t.Error("restored, it goes on differently")
		}
		if err := alike.Runs[0].Restore(state); err == nil || !strings.Contains(err.Error(), "tensors") {
			t.Errorf("a run without averages takes a state with them: %v", err)
		}
	})
}

// A window tells the share of steps whose gradient was clipped, of a run alone and of runs in a batch.
func TestClipped(t *testing.T) {
	b := backendtest.XLA(t)
	always := spec()
	always.ClipNorm, always.Group = 1e-6, "batched"
	never := always
	never.ClipNorm = 1e6
	for _, group := range []*Group{start(t, b, blobs(blobCount), always, never), start(t, b, blobs(blobCount), never, always), alone(t, b, always), alone(t, b, never)} {
		windows, err := group.Advance(3)
		if err != nil {
			t.Fatal(err)
		}
		for i, window := range windows {
			want := 0.0
			if group.Runs[i].spec.ClipNorm < 1 {
				want = 1
			}
			if window.Clipped != want || len(window.Losses) == 0 {
				t.Errorf("clipped to %g, %g of %d steps were, want %g", group.Runs[i].spec.ClipNorm, window.Clipped, len(window.Losses), want)
			}
		}
	}
}
