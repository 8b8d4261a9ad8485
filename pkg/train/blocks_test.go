package train

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/model"
)

// blockSpecs are short runs of models with statistics, draws of their own, penalties and convolutions, and of the loss on damaged
// pixels.
func blockSpecs() map[string]Spec {
	specs := map[string]Spec{}
	for name, m := range map[string]model.Model{
		"dense": &model.Dense{Encoder: []int{24, 10}, Decoder: []int{24}, Activation: "relu", LatentActivation: "sigmoid", Output: "tanh",
			Init: "pytorch", Tied: true, Norm: "batch", Dropout: 0.2, Sparsity: "kl", SparsityWeight: 0.01, SparsityTarget: 0.1},
		"contractive": &model.Dense{Encoder: []int{24, 10}, Decoder: []int{24}, Activation: "tanh", LatentActivation: "sigmoid",
			Output: "tanh", Init: "pytorch", Contraction: true, ContractionWeight: 0.01},
		"conv": &model.Conv{Channels: []int{3, 5}, Kernel: 4, Stride: 2, Latent: 6, Decoder: "transposed", Activation: "relu",
			LatentActivation: "linear", Norm: "batch", Dropout: 0.1, Output: "tanh", Init: "pytorch"},
		"unet": &model.UNet{U: model.U{Channels: []int{3, 5}, Convolutions: 1, Kernel: 3, Pooling: "max", Upsampling: "transposed",
			Activation: "relu", Norm: "layer", Init: "pytorch"}, Output: "tanh"},
		"dncnn": &model.DnCNN{Depth: 3, Channels: 4, Kernel: 3, Activation: "relu", Norm: "batch", Init: "he"},
		"flow": &model.Flow{RAE: model.RAE{Coder: model.Coder{Network: model.Network{Encoder: []int{24}, Latent: 3, Decoder: []int{24},
			Activation: "relu", Init: "pytorch"}, Output: "tanh"}, Beta: 0.01}, Hidden: []int{12}, Draws: 2},
		"pixelflow": &model.PixelFlow{U: model.U{Channels: []int{3, 5}, Convolutions: 1, Kernel: 3, Pooling: "max",
			Upsampling: "transposed", Activation: "relu", Init: "pytorch"}},
		"sae":            &model.SAE{Width: 40, Activation: "topk", K: 3, FirstNorm: 1, DeadAfter: 2, Revival: 0.1},
		"sae matryoshka": &model.SAE{Width: 40, Activation: "batchtopk", K: 3, Prefixes: []int{10, 20}, FirstNorm: 1, DeadAfter: 2, Revival: 0.1},
		"sae jumprelu": &model.SAE{Width: 40, Activation: "jumprelu", Sparsity: 0.1, SparsityWarmup: 1, FirstThreshold: 0.1, Bandwidth: 0.1,
			FirstNorm: 0.5, DeadAfter: 2, Revival: 0.1},
	} {
		s := spec()
		s.Model, s.Epochs = m, 2
		specs[name] = s
	}
	masked := specs["unet"]
	masked.Corrupt = corrupt.Chain{&corrupt.Masking{Probability: corrupt.Range{0.5, 0.9}, Patch: 3, Value: 0.5}}
	masked.LossOn = "damaged"
	specs["masked"] = masked
	return specs
}

// The bits of these runs too do not depend on where they were stopped and restored: statistics are a part of the state, draws
// are of the step. The backends agree on them, and they learn.
func TestBlocks(t *testing.T) {
	found := map[string][]float32{}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for name, s := range blockSpecs() {
			whole := alone(t, b, s)
			again := func() *Group {
				group, err := whole.program.Start(s)
				if err != nil {
					t.Fatal(err)
				}
				return group
			}
			losses := finish(t, whole)[0]
			want := stateOf(t, whole.Runs[0])
			first, second := again(), again()
			for first.Runs[0].Step() < 7 {
				if _, err := first.Advance(3); err != nil {
					t.Fatal(err)
				}
			}
			state := stateOf(t, first.Runs[0])
			if err := second.Runs[0].Restore(state); err != nil {
				t.Fatal(err)
			}
			rest := append(losses[:state.Step:state.Step], finish(t, second)[0]...)
			if !slices.Equal(losses, rest) || !reflect.DeepEqual(stateOf(t, second.Runs[0]), want) {
				t.Errorf("%s: restored at step %d, it goes on differently", name, state.Step)
			}

			moved := false
			for i, param := range model.Params(s.Model, whole.program.image) {
				if param.Statistic && slices.ContainsFunc(want.Tensors[i].Values, func(x float32) bool { return x != float32(param.Init.Constant) }) {
					moved = true
				}
			}
			statistics := name == "dense" || name == "conv" || name == "dncnn" || name == "flow" || strings.HasPrefix(name, "sae")
			if moved != statistics {
				t.Errorf("%s: statistics moved: %v, want %v", name, moved, statistics)
			}
			// Of a few steps each, for the losses of a flow depend on the times that are drawn.
			if first, last := average(losses[:4]), average(losses[len(losses)-4:]); last >= first {
				t.Errorf("%s: loss %g at first, %g at last", name, first, last)
			}
			if before, ok := found[name]; ok {
				agree(t, name, losses, before, 1e-3)
			}
			found[name] = losses
		}
	})
}

func average(values []float32) float32 {
	sum := float32(0)
	for _, value := range values {
		sum += value
	}
	return sum / float32(len(values))
}
