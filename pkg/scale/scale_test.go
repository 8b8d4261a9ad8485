package scale_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/scale"
)

// grey are values of a picture of one channel.
func grey(dtype dtypes.DType, values []float64) scale.Data {
	return scale.Data{Type: dtype, Samples: 1, Size: len(values), Channels: 1, At: func(_, i int) float64 { return values[i] }}
}

// Each kind puts its two ends where it says; the values are worked out by hand.
func TestFind(t *testing.T) {
	values := []float64{0, 10, 20, 30, 40, 50, 60, 70, 80, 100}
	for name, c := range map[string]struct {
		options   scale.Options
		dtype     dtypes.DType
		low, high float64 // what becomes -1 and 1
	}{
		"bytes":                  {scale.Options{Kind: "range"}, dtypes.Uint8, 0, 255},
		"16 bits":                {scale.Options{Kind: "range"}, dtypes.Uint16, 0, 65535},
		"floats, by what is":     {scale.Options{Kind: "range"}, dtypes.Float32, 0, 100},
		"asked for":              {scale.Options{Kind: "range", Low: -10, High: 10}, dtypes.Float32, -10, 10},
		"1st to 99th percentile": {scale.Options{Kind: "percentile"}, dtypes.Float32, 0.9, 98.2}, // as NumPy's percentile
		"quarters":               {scale.Options{Kind: "percentile", Low: 25, High: 75}, dtypes.Float32, 22.5, 67.5},
	} {
		s, err := c.options.Find(grey(c.dtype, values))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		middle := (c.low + c.high) / 2
		for value, want := range map[float64]float64{c.low: -1, middle: 0, c.high: 1, c.low - 5: -1, c.high + 5: 1} {
			if got := s.At(0, value); math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: %g becomes %g, want %g", name, value, got, want)
			}
		}
		if back := s.Value(0, s.At(0, middle)); math.Abs(back-middle) > 1e-9 {
			t.Errorf("%s: %g comes back as %g", name, middle, back)
		}
	}
}

func TestRefused(t *testing.T) {
	for want, c := range map[string]struct {
		options scale.Options
		values  []float64
	}{
		"from 3 to 3, which is not a range": {scale.Options{Kind: "range"}, []float64{3, 3, 3}},
		"from 4 to 4, which is not a range": {scale.Options{Kind: "percentile"}, []float64{4, 4}},
		"low is 2 and high 1":               {scale.Options{Kind: "range", Low: 2, High: 1}, []float64{1, 2}},
		"low is 100 and high 0":             {scale.Options{Kind: "range", Low: 100}, []float64{1, 2}},
		"percentiles 50 and 101":            {scale.Options{Kind: "percentile", Low: 50, High: 101}, []float64{1, 2}},
		"low 0 and high 1e+300 are too far": {scale.Options{Kind: "range", High: 1e300}, []float64{1, 2}},
		"low is NaN":                        {scale.Options{Kind: "range", Low: math.NaN(), High: 1}, []float64{1, 2}},
	} {
		if _, err := c.options.Find(grey(dtypes.Float32, c.values)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v of %v: %v, want %q", c.options, c.values, err, want)
		}
	}
}

// Standardised channels and features have a mean of 0 and a deviation of 1, each by itself; nothing is clipped, and what does not
// vary becomes 0. The numbers are worked out by hand.
func TestEach(t *testing.T) {
	rows := [][]float64{{1, 10, 5}, {2, 10, 7}, {3, 10, 12}} // three features of vectors
	vectors := scale.Data{Type: dtypes.Float32, Samples: 3, Size: 3, At: func(sample, i int) float64 { return rows[sample][i] }}
	pixels := []float64{0, 100, 2, 200, 4, 240} // three pixels of two channels
	picture := scale.Data{Type: dtypes.Uint8, Samples: 1, Size: 6, Channels: 2, At: func(_, i int) float64 { return pixels[i] }}
	for name, c := range map[string]struct {
		data  scale.Data
		kind  string
		value float64
		want  []float64 // what value becomes, at each place
	}{
		"standardised features": {vectors, "standardise", 10, []float64{8 / math.Sqrt(2./3), 0, 2 / math.Sqrt(26./3)}},
		"ranges of features":    {vectors, "range", 10, []float64{8, 0, 3. / 7}},
		"standardised channels": {picture, "standardise", 10, []float64{8 / math.Sqrt(8./3), (10. - 180) / math.Sqrt(10400./3)}},
	} {
		s, err := scale.Options{Kind: c.kind}.Find(c.data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range c.want {
			if got := s.At(i, c.value); math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: %g at place %d becomes %g, want %g", name, c.value, i, got, want)
			}
			if back := s.Value(i, s.At(i, c.value)); math.Abs(back-c.value) > 1e-9 {
				t.Errorf("%s: %g at place %d comes back as %g", name, c.value, i, back)
			}
		}
		if shown := s.ShownAt(1, 127.5); c.data.Channels > 0 && math.Abs(shown) > 1e-9 {
			t.Errorf("%s: the middle of bytes is shown as %g, want 0", name, shown)
		}
	}
	if _, err := (scale.Options{Kind: "standardise", Low: 1, High: 2}).Find(vectors); err == nil {
		t.Error("standardise took low and high")
	}
}

// In the graph values become what they become on the host.
func TestModel(t *testing.T) {
	values := []uint16{0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 65535}
	scales := []scale.Scale{
		scale.Range(0, 65535), scale.Range(100, 900),
		{Factors: []float64{0.01, 0.02, -1}, Offsets: []float64{1, 2, 3}, Open: true, Low: 0, High: 1000},
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		outputs, err := ExecOnceN(b.Compute, func(rows *Node) []*Node {
			var list []*Node
			for _, s := range scales {
				list = append(list, s.Model(rows), s.Shown(s.Model(rows)))
			}
			return list
		}, tensors.FromFlatDataAndDimensions(values, 2, 6))
		if err != nil {
			t.Fatal(err)
		}
		for k, s := range scales {
			shown := tensors.MustCopyFlatData[float32](outputs[2*k+1])
			for i, x := range tensors.MustCopyFlatData[float32](outputs[2*k]) {
				if want := s.At(i, float64(values[i])); math.Abs(float64(x)-want) > 1e-6*max(1, math.Abs(want)) {
					t.Errorf("scale %d: value %d became %g, want %g", k, values[i], x, want)
				}
				if want := s.ShownAt(i, float64(values[i])); math.Abs(float64(shown[i])-want) > 1e-4*max(1, math.Abs(want)) {
					t.Errorf("scale %d: value %d is shown as %g, want %g", k, values[i], shown[i], want)
				}
			}
		}
	})
}
