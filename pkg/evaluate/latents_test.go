package evaluate

import (
	"context"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/scale"
)

// The best pairs are those of trying all, whichever side has more.
func TestAssign(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {4, 4}, {3, 6}, {6, 3}, {5, 1}} {
		for seed := range 20 {
			n, m := size[0], size[1]
			draws := random.NewSeed(int64(seed)).Normal(n*m, 1)
			costs := make([][]float64, n)
			for i := range costs {
				for j := range m {
					costs[i] = append(costs[i], float64(draws[i*m+j]))
				}
			}
			got, pairs, used := 0.0, 0, map[int]bool{}
			for i, j := range assign(costs) {
				if j < 0 {
					continue
				}
				if used[j] {
					t.Fatalf("column %d twice", j)
				}
				used[j] = true
				got += costs[i][j]
				pairs++
			}
			if want := cheapest(costs, 0, 0, n-min(n, m)); pairs != min(n, m) || math.Abs(got-want) > 1e-9 {
				t.Fatalf("%d×%d, seed %d: %d pairs for %g, the best cost %g", n, m, seed, pairs, got, want)
			}
		}
	}
}

// cheapest tries all pairs for the rows from one on, of whose columns taken are no longer free; so many rows may go without.
func cheapest(costs [][]float64, row, taken, without int) float64 {
	if row == len(costs) {
		return 0
	}
	best := math.Inf(1)
	if without > 0 {
		best = cheapest(costs, row+1, taken, without-1)
	}
	for j, cost := range costs[row] {
		if taken>>j&1 == 0 {
			best = min(best, cost+cheapest(costs, row+1, taken|1<<j, without))
		}
	}
	return best
}

// A dictionary of three rows, with a scale between the data's units and the model's: the first row is feature 0, the second lies
// between features 1 and 2, nearer to 1, and the third is never on. The vectors are feature 0, feature 1, and nothing, 200 of each.
func TestLatents(t *testing.T) {
	const each = 200
	vectors := &dataset.Samples{Height: 1, Width: 3, Channels: 1, Features: []string{"a", "b", "c"}, Scale: scale.Scale{Factor: 0.5, Open: true}}
	known := &dataset.Known{Features: []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}, Size: 3, Fires: dataset.NewFlags(3*each, 3)}
	for i := range 3 * each {
		vector := []float32{0, 0, 0}
		if kind := i / each; kind < 2 {
			vector[kind] = 4
			known.Fires.Set(i, kind)
		}
		if i == 0 {
			known.Fires.Set(i, 1) // a sample in which feature 1 fires and latent 1 does not see it
		}
		vectors.Values = vectors.Values.Append(array.Values{Float32: vector})
	}
	m := &model.SAE{Width: 3, Activation: "relu", DeadAfter: 1}
	given := map[string][]float32{
		"encoder.weight": {1, 0, 0, 0, 1, 0, 0, 0, 1}, // [values, width]
		"encoder.bias":   {-0.5, -0.5, -0.5},
		"decoder.weight": {7, 0, 0, 0, 0.8, 0.6, 0, 0, 1}, // of any length
	}
	image := model.Image{Height: 1, Width: 3, Channels: 1}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		var weights []*tensors.Tensor
		for _, param := range model.Params(m, image) {
			values := given[param.Name]
			if values == nil {
				values = make([]float32, param.Size())
			}
			weights = append(weights, tensors.FromFlatDataAndDimensions(values, param.Dims...))
		}
		evaluator, err := New(b.Compute, Spec{Model: m}, vectors)
		if err != nil {
			t.Fatal(err)
		}
		defer evaluator.Close()
		found, err := evaluator.Latents(context.Background(), weights, vectors, known)
		if err != nil {
			t.Fatal(err)
		}
		third := 1.0 / 3
		recall := float64(each) / (each + 1) // of feature 1
		for name, want := range map[string]float64{
			"l0": 2 * third, "dead_share": third,
			"mcc":              (1 + 0.8 + 1) / 3,
			"latent_precision": 2 * third,
			"latent_recall":    (1 + recall) / 3,
			"f1":               (1 + 2*recall/(1+recall)) / 3,
		} {
			if got := found.Figures[name].Mean; math.Abs(got-want) > 1e-6 {
				t.Errorf("%s: %g, want %g", name, got, want)
			}
		}
		for i, want := range []float64{third, third, 0} {
			if math.Abs(found.Rates[i]-want) > 1e-9 {
				t.Errorf("rates %v", found.Rates)
			}
		}
		alone, err := evaluator.Latents(context.Background(), weights, vectors, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, tells := alone.Figures["mcc"]; tells || len(alone.Figures) != 2 {
			t.Errorf("without a known dictionary: %v", alone.Figures)
		}
	})
	if found, err := (&Evaluator{spec: Spec{Model: model.Kinds["dense"]()}}).Latents(t.Context(), nil, vectors, nil); found != nil || err != nil {
		t.Errorf("of another model: %v, %v", found, err)
	}
}
