package train

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
)

// bytes are n images of 28×28 random bytes: the time of a step does not depend on what is in them.
func bytes(n int) *dataset.Images {
	images := &dataset.Images{Height: 28, Width: 28, Channels: 1, Pixels: make([]uint8, n*784)}
	for i := range images.Pixels {
		images.Pixels[i] = uint8(random.NewSeed(4).Block(uint32(i), 0)[0])
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

// turns lets groups advance by 50 steps in turn, so that a busy machine is as slow for all of them, and reports the fastest
// turn of each in ms a step and run.
func turns(b *testing.B, names []string, groups []*Group) {
	const steps = 50
	fastest := make([]time.Duration, len(groups))
	for b.Loop() {
		for i, group := range groups {
			windows, err := group.Advance(steps)
			if err != nil {
				b.Fatal(err)
			}
			if took := windows[0].Duration; fastest[i] == 0 || took < fastest[i] {
				fastest[i] = took
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of all turns together: says nothing
	for i, name := range names {
		b.ReportMetric(fastest[i].Seconds()*1e3/float64(steps*len(groups[i].Runs)), "ms-"+name)
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

// BenchmarkNoise is a step of the seed's model without noise and with it, by several generators: what the random numbers
// cost.
func BenchmarkNoise(b *testing.B) {
	xla, images := backendtest.XLA(b), bytes(12800)
	var names []string
	var groups []*Group
	for _, choice := range []corrupt.Corruption{
		&corrupt.None{}, &corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.3), Clip: true},
		&noise{name: "box-muller", normal: boxMuller}, &noise{name: "philox", normal: philox},
	} {
		s := seedSpec([]int{256, 128, 64}, []int{128, 256}, 128)
		s.Corrupt = corrupt.Chain{choice}
		names = append(names, strings.ReplaceAll(choice.Caption(), " ", "-"))
		groups = append(groups, start(b, xla, images, s))
	}
	turns(b, names, groups)
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
			var names []string
			var groups []*Group
			for _, runs := range []int{1, 4, 16} {
				specs := make([]Spec, runs)
				for i := range specs {
					specs[i] = seedSpec(m.encoder, m.decoder, m.batch)
					specs[i].Seed = int64(i)
				}
				names = append(names, fmt.Sprintf("%d-runs", runs))
				groups = append(groups, start(b, xla, images, specs...))
			}
			turns(b, names, groups)
		})
	}
}
