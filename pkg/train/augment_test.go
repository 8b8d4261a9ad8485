package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
)

// Mirrored and turned images are the eight that a square has, each as often; brightness and contrast stay within their bounds.
func TestVaried(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		const n = 800
		image := []float32{-0.3, -0.1, 0.2, 0.4} // a b / c d
		varied := func(a dataset.Augment) [][]float32 {
			p := &Program{augment: a}
			output, err := ExecOnce(b.Compute, func(x *Node, seed *Node) *Node { return p.varied(x, random.KeyFromNode(seed)) },
				tensors.FromFlatDataAndDimensions(slices.Repeat(image, n), n, 2, 2, 1), []uint32{1, 2})
			if err != nil {
				t.Fatal(err)
			}
			return slices.Collect(slices.Chunk(tensors.MustCopyFlatData[float32](output), 4))
		}
		counts := map[string]int{}
		for _, one := range varied(dataset.Augment{Flip: true, Rotate: true}) {
			counts[fmt.Sprint(one)]++
		}
		for places, want := range map[string][4]int{"same": {0, 1, 2, 3}, "quarter": {2, 0, 3, 1}, "half": {3, 2, 1, 0}, "three": {1, 3, 0, 2},
			"mirrored": {1, 0, 3, 2}, "transposed": {0, 2, 1, 3}, "upside down": {2, 3, 0, 1}, "other": {3, 1, 2, 0}} {
			key := fmt.Sprint([]float32{image[want[0]], image[want[1]], image[want[2]], image[want[3]]})
			if count := counts[key]; math.Abs(float64(count)-n/8) > 5*math.Sqrt(n/8) {
				t.Errorf("%s: %d of %d", places, count, n)
			}
			delete(counts, key)
		}
		if len(counts) > 0 {
			t.Errorf("others: %v", counts)
		}
		turned := map[string]bool{}
		for _, one := range varied(dataset.Augment{Rotate: true}) {
			turned[fmt.Sprint(one)] = true
		}
		if len(turned) != 4 {
			t.Errorf("%d turns", len(turned))
		}
		low, high := math.Inf(1), math.Inf(-1)
		for _, one := range varied(dataset.Augment{Brightness: 0.2, Contrast: 0.5}) {
			stretch := float64(one[3]-one[0]) / 0.7
			shift := float64(one[0]+one[1]+one[2]+one[3])/4 - 0.05
			if !(stretch > 0.5-1e-5 && stretch < 1.5+1e-5) || math.Abs(shift) > 0.2+1e-5 {
				t.Fatalf("%v: stretched by %g, shifted by %g", one, stretch, shift)
			}
			low, high = min(low, stretch), max(high, stretch)
		}
		if low > 0.52 || high < 1.48 {
			t.Errorf("stretched from %g to %g", low, high)
		}
	})
}

// patches are pictures of two sizes, of which training takes parts.
func patches() *dataset.Samples {
	s := &dataset.Samples{Height: 8, Width: 8, Channels: 1, Streamed: true, Augment: dataset.Augment{Flip: true, Rotate: true},
		Patches: &dataset.Patches{Each: 5}, Values: array.Values{Uint8: []uint8{}}}
	for i, size := range []dataset.Size{{Height: 12, Width: 20}, {Height: 9, Width: 8}, {Height: 12, Width: 20}, {Height: 30, Width: 11}} {
		s.Patches.Starts, s.Patches.Sizes = append(s.Patches.Starts, s.Patches.Values.Len()), append(s.Patches.Sizes, size)
		for j := range size.Height * size.Width {
			s.Patches.Values.Uint8 = append(s.Patches.Values.Uint8, uint8(40*i+j*j/7))
		}
	}
	return s
}

// Runs on patches give the same bits however they are cut into windows, and where they are restored; other patches in each epoch.
func TestPatches(t *testing.T) {
	b := backendtest.XLA(t)
	s := spec()
	s.Model, s.Epochs = &model.UNet{U: model.U{Channels: []int{4, 8}, Convolutions: 1, Kernel: 3, Pooling: "max", Upsampling: "transposed", Activation: "relu", Norm: "none", Init: "he"}, Residual: true, Output: "linear"}, 3
	losses, want := runAll(t, b, patches(), s, 1)
	other, state := runAll(t, b, patches(), s, 100)
	if !slices.Equal(losses, other) || state.Checksum() != want.Checksum() {
		t.Error("windows of other lengths give another run")
	}
	half := start(t, b, patches(), s)
	if _, err := half.Advance(2); err != nil {
		t.Fatal(err)
	}
	again := start(t, b, patches(), s)
	if err := again.Runs[0].Restore(stateOf(t, half.Runs[0])); err != nil {
		t.Fatal(err)
	}
	finish(t, again)
	if stateOf(t, again.Runs[0]).Checksum() != want.Checksum() {
		t.Error("a restored run ends differently")
	}
}
