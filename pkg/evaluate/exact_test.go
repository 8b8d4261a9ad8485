package evaluate

import (
	"math"
	"testing"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/model"
	"latent/pkg/random"
)

// Exact images are those of which bytes are shown: rounded, they are the same, and they have more values than 256.
func TestExact(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		image := model.Image{Height: 9, Width: 11, Channels: 1}
		m := model.Kinds["rae"]().(*model.RAE)
		m.Encoder, m.Decoder, m.Latent = []int{8}, []int{8}, 3
		e, err := New(b.Compute, Spec{Model: m, Loss: model.Loss{Kind: "mse"}}, like(image))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		weights := model.FirstWeights(m, image, random.NewSeed(1))
		codes := Codes{Size: 3, Values: random.NewSeed(2).Normal(3*5, 2)}
		shown, err := e.Decode(t.Context(), weights, codes)
		if err != nil {
			t.Fatal(err)
		}
		exact, err := e.Exact().Decode(t.Context(), weights, codes)
		if err != nil {
			t.Fatal(err)
		}
		levels := map[float32]bool{}
		for i, x := range exact.Values.Float32 {
			levels[x] = true
			if want := float64(shown.Values.Uint8[i]); math.Abs((float64(x)+1)*127.5-want) > 0.501 {
				t.Fatalf("value %d is %g, shown as %g", i, x, want)
			}
		}
		if exact.Len() != 5 || len(levels) < 300 {
			t.Errorf("%d images of %d different values", exact.Len(), len(levels))
		}
	})
}
