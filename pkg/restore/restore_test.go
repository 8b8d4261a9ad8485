package restore_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/picture"
	"latent/pkg/random"
	"latent/pkg/restore"
	"latent/pkg/scale"
	"latent/pkg/tiff"
)

// scaled is a model that multiplies every pixel by a factor: a matrix, and no hidden layer.
func scaled(t *testing.T, b *backend.Backend, factor float32, size model.Image) *restore.Restorer {
	t.Helper()
	n := size.Size()
	m := &model.Dense{Encoder: []int{n}, Activation: "linear", LatentActivation: "linear", Output: "linear", Init: "pytorch"}
	diagonal := func(value float32) *tensors.Tensor {
		values := make([]float32, n*n)
		for i := range n {
			values[i*n+i] = value
		}
		return tensors.FromFlatDataAndDimensions(values, n, n)
	}
	zeros := func() *tensors.Tensor { return tensors.FromFlatDataAndDimensions(make([]float32, n), n) }
	r, err := restore.New(b.Compute, m, []*tensors.Tensor{diagonal(factor), zeros(), diagonal(1), zeros()},
		&dataset.Samples{Height: size.Height, Width: size.Width, Channels: size.Channels})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// waves is a picture of 8 bits with a different pattern in each channel, or the same where it is grey.
func waves(width, height, channels int, grey bool) picture.Array {
	p := picture.Array{Height: height, Width: width, Channels: channels, Values: array.Make(dtypes.Uint8, height*width*channels)}
	for i := range p.Values.Uint8 {
		at := float64(i/channels%width + 3*(i/channels/width))
		if !grey {
			at += 20 * float64(i%channels)
		}
		p.Values.Uint8[i] = uint8(127.5 + 120*math.Sin(at/9))
	}
	return p
}

// restored is a picture through a restorer.
func restored(t *testing.T, r *restore.Restorer, p picture.Array, o restore.Options) picture.Array {
	t.Helper()
	got, err := r.Picture(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Height != p.Height || got.Width != p.Width || got.Channels != p.Channels || got.Alpha != p.Alpha || got.Values.Type() != p.Values.Type() {
		t.Fatalf("%d×%d×%d of %s became %d×%d×%d of %s", p.Height, p.Width, p.Channels, p.Values.Type(), got.Height, got.Width, got.Channels, got.Values.Type())
	}
	return got
}

// Through the identity a picture that needs no scaling comes out as it went in, whatever its size and overlap: tiles cover all
// of it, and their weights sum to one. Through a model that halves, each pixel is half as far from grey.
func TestPictureThroughTiles(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, size := range []model.Image{{Height: 8, Width: 6, Channels: 1}, {Height: 8, Width: 6, Channels: 3}} {
			same, half := scaled(t, b, 1, size), scaled(t, b, 0.5, size)
			for _, at := range [][2]int{{6, 8}, {7, 8}, {6, 31}, {50, 41}} {
				for _, overlap := range []float64{0, 0.1, 0.9} {
					for _, channels := range []int{1, 3} {
						p, options := waves(at[0], at[1], channels, false), restore.Options{Overlap: overlap}
						got, halved := restored(t, same, p, options), restored(t, half, p, options)
						for i, want := range p.Values.Uint8 {
							if got.Values.Uint8[i] != want {
								t.Fatalf("%v, overlap %g: value %d is %d, want %d", at, overlap, i, got.Values.Uint8[i], want)
							}
							if math.Abs(halved.Values.At(i)-127.5-(float64(want)-127.5)/2) > 0.51 {
								t.Fatalf("%v, overlap %g: value %d is %g, want half of %d's distance from grey", at, overlap, i, halved.Values.At(i), want)
							}
						}
					}
				}
			}
		}
	})
}

// A picture of any size and with --fit resize comes out at its own size, with its colours; a smaller one than a tile too.
func TestPictureResized(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		r := scaled(t, b, 1, model.Image{Height: 8, Width: 8, Channels: 1})
		for _, c := range []struct {
			width, height int
			resize        bool
		}{{40, 24, true}, {3, 5, true}, {3, 5, false}, {1, 1, false}, {30, 2, false}} {
			p := picture.Array{Height: c.height, Width: c.width, Channels: 3, Values: array.Make(dtypes.Uint8, c.width*c.height*3)}
			for i := range c.width * c.height {
				copy(p.Values.Uint8[3*i:], []uint8{200, 100, 50})
			}
			got := restored(t, r, p, restore.Options{Resize: c.resize})
			if !slices.Equal(got.Values.Uint8, p.Values.Uint8) {
				t.Fatalf("%+v became %v", c, got.Values.Uint8)
			}
		}
	})
}

// The number of tiles is that of the places that half-overlapping tiles need: of each channel, but where all are the same.
func TestTiles(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		r := scaled(t, b, 1, model.Image{Height: 8, Width: 8, Channels: 1})
		for _, c := range []struct {
			p     picture.Array
			o     restore.Options
			tiles int
		}{
			{waves(20, 8, 1, true), restore.Options{}, 4}, // at 0, 4, 8, and 12
			{waves(20, 8, 3, true), restore.Options{}, 4},
			{waves(20, 8, 3, false), restore.Options{}, 3 * 4},
			{waves(20, 8, 1, true), restore.Options{Ensemble: true}, 8 * 4},
		} {
			r.Tiles = 0
			if restored(t, r, c.p, c.o); r.Tiles != c.tiles {
				t.Errorf("%d channels, %+v: %d tiles, want %d", c.p.Channels, c.o, r.Tiles, c.tiles)
			}
		}
	})
}

// identity is a restorer of a model that changes nothing, of images of 8×8 pixels of a type.
func identity(t *testing.T, like *dataset.Samples) *restore.Restorer {
	t.Helper()
	b, err := backend.OpenInstalled("go", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	n := like.Size()
	unit := make([]float32, n*n)
	for i := range n {
		unit[i*n+i] = 1
	}
	m := &model.Dense{Encoder: []int{n}, Activation: "linear", LatentActivation: "linear", Output: "linear", Init: "pytorch"}
	matrix := func() *tensors.Tensor { return tensors.FromFlatDataAndDimensions(unit, n, n) }
	zeros := func() *tensors.Tensor { return tensors.FromFlatDataAndDimensions(make([]float32, n), n) }
	r, err := restore.New(b.Compute, m, []*tensors.Tensor{matrix(), zeros(), matrix(), zeros()}, like)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Pictures of every type come out of the identity as they went in, to the bit of whole numbers, whatever type it was trained on: values are
// not rounded on their way. So does what lies beyond the scale.
func TestTypes(t *testing.T) {
	const side, n = 20, 400
	for name, like := range map[string]*dataset.Samples{
		"8 bits":          {Height: 8, Width: 8, Channels: 1, Values: array.Make(dtypes.Uint8, 0)},
		"16 bits":         {Height: 8, Width: 8, Channels: 1, Values: array.Make(dtypes.Uint16, 0), Scale: scale.Range(0, 65535)},
		"8 bits, RGB":     {Height: 4, Width: 4, Channels: 3, Values: array.Make(dtypes.Uint8, 0)},
		"16 bits, a part": {Height: 8, Width: 8, Channels: 1, Values: array.Make(dtypes.Uint16, 0), Scale: scale.Range(30000, 30400)},
	} {
		r := identity(t, like)
		deep := picture.Array{Height: side, Width: side, Channels: 1, Values: array.Make(dtypes.Uint16, n)}
		for i := range n {
			deep.Values.Uint16[i] = uint16(30000 + i)
		}
		pictures := []picture.Array{deep}
		if name != "16 bits, a part" {
			flat := waves(side, side, 4, false)
			flat.Alpha = tiff.Unassociated
			floats := picture.Array{Height: side, Width: side, Channels: 1, Values: array.Make(dtypes.Float32, n)}
			for i := range floats.Values.Float32 {
				floats.Values.Float32[i] = float32(i) * 0.6371
			}
			floats.Values.Float32[8], floats.Values.Float32[9] = 1e6, -30
			pictures = append(pictures, flat, waves(side, side, 1, true), floats)
		}
		for _, p := range pictures {
			got := restored(t, r, p, restore.Options{White: 255})
			for i := range p.Values.Len() {
				was, is := p.Values.At(i), got.Values.At(i)
				if p.Values.Type() != dtypes.Float32 && was != is || math.Abs(was-is) > 1e-4*max(1, math.Abs(was)/1e3) {
					t.Fatalf("%s, picture of %s: value %d was %g, and became %g", name, p.Values.Type(), i, was, is)
				}
			}
		}
	}
}

// Alpha stays what it was where colours change.
func TestAlpha(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		p := waves(12, 9, 4, false)
		p.Alpha = tiff.Unassociated
		got := restored(t, scaled(t, b, 0.5, model.Image{Height: 8, Width: 6, Channels: 3}), p, restore.Options{})
		for i, was := range p.Values.Uint8 {
			if is := got.Values.Uint8[i]; i%4 == 3 && is != was || i%4 < 3 && math.Abs(float64(is)-127.5-(float64(was)-127.5)/2) > 0.51 {
				t.Fatalf("value %d of channel %d was %d, and became %d", i, i%4, was, is)
			}
		}
	})
}

// A picture of floats that would be all but black to the model is refused, and so are channels that the model cannot take.
func TestRefusedPictures(t *testing.T) {
	r := identity(t, &dataset.Samples{Height: 4, Width: 4, Channels: 3, Values: array.Make(dtypes.Uint8, 0)})
	floats := picture.Array{Height: 4, Width: 4, Channels: 1, Values: array.Values{Float32: []float32{15: 0.5}}}
	if _, err := r.Picture(t.Context(), floats, restore.Options{}); err == nil || !strings.Contains(err.Error(), "floats up to 0.5, but the model was trained on 0 to 255") {
		t.Error(err)
	}
	if _, err := r.Picture(t.Context(), floats, restore.Options{White: 1}); err != nil {
		t.Error(err)
	}
	if _, err := r.Picture(t.Context(), waves(4, 4, 5, false), restore.Options{}); err == nil || !strings.Contains(err.Error(), "5 channels; the model needs 3") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Picture(ctx, waves(4, 4, 3, false), restore.Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// shifting is a model that no turn leaves as it is: y(i) = Σ x(j) w(j, i) with weights of its own for each pair.
func shifting(t *testing.T, b *backend.Backend, size model.Image) *restore.Restorer {
	t.Helper()
	m := &model.Dense{Encoder: []int{size.Size()}, Activation: "linear", LatentActivation: "linear", Output: "linear", Init: "pytorch"}
	r, err := restore.New(b.Compute, m, model.FirstWeights(m, size, random.NewSeed(4)), &dataset.Samples{Height: size.Height, Width: size.Width, Channels: size.Channels})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// turned is a picture turned by a quarter to the right, some times, and mirrored before; written anew, and not as restore does it.
func turned(p picture.Array, quarters int, mirrored bool) picture.Array {
	at := func(p picture.Array, x, y, c int) uint8 { return p.Values.Uint8[(y*p.Width+x)*p.Channels+c] }
	if mirrored {
		q := p
		q.Values = array.Make(dtypes.Uint8, p.Values.Len())
		for i := range q.Values.Uint8 {
			c, x, y := i%p.Channels, i/p.Channels%p.Width, i/p.Channels/p.Width
			q.Values.Uint8[i] = at(p, p.Width-1-x, y, c)
		}
		p = q
	}
	for range quarters {
		q := p
		q.Width, q.Height, q.Values = p.Height, p.Width, array.Make(dtypes.Uint8, p.Values.Len())
		for i := range q.Values.Uint8 {
			c, x, y := i%q.Channels, i/q.Channels%q.Width, i/q.Channels/q.Width
			q.Values.Uint8[i] = at(p, y, p.Height-1-x, c)
		}
		p = q
	}
	return p
}

// The ensemble of a model that turns with the picture is what the model gives; that of another is the mean of the eight, each turned back.
// Pictures need not be square.
func TestEnsemble(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, channels := range []int{1, 3} {
			size := model.Image{Height: 6, Width: 6, Channels: channels}
			p := waves(13, 9, channels, false)
			half := scaled(t, b, 0.5, size)
			if got, want := restored(t, half, p, restore.Options{Ensemble: true}), restored(t, half, p, restore.Options{}); !slices.Equal(got.Values.Uint8, want.Values.Uint8) {
				t.Errorf("%d channels: an equivariant model's ensemble differs", channels)
			}
			r, sum := shifting(t, b, size), make([]float64, p.Values.Len())
			for quarters := range 4 {
				for _, mirrored := range []bool{false, true} {
					one := restored(t, r, turned(p, quarters, mirrored), restore.Options{})
					one = turned(one, (4-quarters)%4, false)
					if mirrored {
						one = turned(one, 0, true)
					}
					one.Values.AddTo(sum)
				}
			}
			plain, worst, apart := restored(t, r, p, restore.Options{}), 0.0, 0.0
			for i, x := range restored(t, r, p, restore.Options{Ensemble: true}).Values.Uint8 {
				worst, apart = max(worst, math.Abs(float64(x)-sum[i]/8)), max(apart, math.Abs(float64(x)-plain.Values.At(i)))
			}
			if worst > 1.01 || apart < 5 { // each of the eight was rounded, and the mean
				t.Errorf("%d channels: the ensemble and the mean of eight differ by %g, and it and the plain result by %g", channels, worst, apart)
			}
		}
	})
}

// Keep is the part that stays of what is taken away; the contrast is that of what the model sees.
func TestControls(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		p := waves(16, 16, 1, true)
		mean := 0.0
		for i := range p.Values.Len() {
			mean += p.Values.At(i) / float64(p.Values.Len())
		}
		half := scaled(t, b, 0.5, model.Image{Height: 8, Width: 8, Channels: 1}) // y = 127.5 + (x − 127.5) / 2
		for _, c := range []struct {
			o    restore.Options
			want func(x float64) float64
		}{
			{restore.Options{Keep: 1}, func(x float64) float64 { return x }},
			{restore.Options{Keep: 0.5}, func(x float64) float64 { return 127.5 + (x-127.5)*0.75 }},
			{restore.Options{Keep: -0.5}, func(x float64) float64 { return 127.5 + (x-127.5)*0.25 }},
			// m + (127.5 + (m + c (x − m) − 127.5) / 2 − m) / c, with m the mean and c = 2
			{restore.Options{Contrast: 2}, func(x float64) float64 { return mean + (127.5+(mean+2*(x-mean)-127.5)/2-mean)/2 }},
		} {
			got := restored(t, half, p, c.o)
			for i, x := range got.Values.Uint8 {
				if want := c.want(p.Values.At(i)); math.Abs(float64(x)-want) > 0.51 {
					t.Fatalf("%+v: value %d of %g became %d, want %g", c.o, i, p.Values.At(i), x, want)
				}
			}
		}
	})
}

// Rows of a table and pictures of floats come out of the identity as they went in, in their own units.
func TestArrays(t *testing.T) {
	const n = 12
	like := &dataset.Samples{Height: 2, Width: 2, Channels: 3, Values: array.Make(dtypes.Float32, 0),
		Scale: scale.Scale{Factors: []float64{0.01, 1, 100}, Offsets: []float64{-1, 0, 1}, Open: true, High: 1}}
	values := array.Make(dtypes.Float32, 5*7*3)
	for i := range values.Float32 {
		values.Float32[i] = float32(math.Sin(float64(i))) * []float32{1000, 1, 0.01}[i%3]
	}
	same := func(what string, got array.Values) {
		t.Helper()
		for i, x := range got.Float32 {
			if want := values.Float32[i]; math.Abs(float64(x-want)) > 1e-5*[]float64{1000, 1, 0.01}[i%3] {
				t.Fatalf("%s: value %d became %g, want %g", what, i, x, want)
			}
		}
	}
	r := identity(t, like)
	same("a picture", restored(t, r, picture.Array{Height: 5, Width: 7, Channels: 3, Values: values}, restore.Options{}).Values)
	same("a pixel", restored(t, r, picture.Array{Height: 1, Width: 1, Channels: 3, Values: values.Slice(0, 3)}, restore.Options{}).Values)

	rows := &dataset.Samples{Height: 1, Width: n, Channels: 1, Features: make([]string, n), Scale: like.Scale, Values: values.Slice(0, 8*n)}
	r = identity(t, rows)
	got, err := r.Samples(t.Context(), rows, restore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Len() != 8 {
		t.Errorf("%d rows of 8", got.Len())
	}
	same("rows", got.Values)
	if _, err := r.Samples(t.Context(), rows, restore.Options{Ensemble: true}); err == nil {
		t.Error("rows were turned")
	}
}

// counting is a backend that counts the programs it is asked for.
type counting struct {
	compute.Backend
	programs int
}

func (c *counting) Builder(name string) compute.Builder {
	c.programs++
	return c.Backend.Builder(name)
}

// Arrays of one shape are compiled for once, with other weights too, and of another shape anew.
func TestCompiledOnce(t *testing.T) {
	b, err := backend.OpenInstalled("go", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c := &counting{Backend: b.Compute}
	m := &model.DnCNN{Depth: 3, Channels: 2, Kernel: 3, Activation: "relu", Norm: "none", Init: "he"}
	weights := model.FirstWeights(m, model.Image{Height: 8, Width: 8, Channels: 1}, random.NewSeed(3))
	r, err := restore.New(c, m, weights, &dataset.Samples{Height: 8, Width: 8, Channels: 1, Values: array.Make(dtypes.Uint8, 0)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	of := func(r *restore.Restorer, height int) *dataset.Samples {
		t.Helper()
		s := &dataset.Samples{Height: height, Width: 9, Channels: 1, Values: array.Make(dtypes.Uint8, height*9)}
		for i := range s.Values.Uint8 {
			s.Values.Uint8[i] = uint8(7 * i)
		}
		got, err := r.Samples(t.Context(), s, restore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	was := c.programs
	first := of(r, 12)
	once := c.programs - was
	for range 3 {
		if again := of(r, 12); !slices.Equal(again.Values.Uint8, first.Values.Uint8) {
			t.Error("the same array became another one")
		}
	}
	of(r.With(weights), 12)
	if got := c.programs - was; got != once {
		t.Errorf("%d programs for five arrays of one shape, want the %d of the first", got, once)
	}
	of(r, 13)
	if got := c.programs - was; got != 2*once {
		t.Errorf("%d programs for two shapes, want %d", got, 2*once)
	}
	if again := of(r, 12); !slices.Equal(again.Values.Uint8, first.Values.Uint8) { // compiled anew
		t.Error("the same array became another one after one of another shape")
	}
}

// A model of any size gives a picture in parts what it gives the whole in one piece: away from the edges that are padded to whole places
// of pooling to 1e-5, and everywhere where none are.
func TestParts(t *testing.T) {
	b := backendtest.XLA(t)
	for name, m := range map[string]model.Model{
		"unet": &model.UNet{U: model.U{Channels: []int{4, 6, 8}, Convolutions: 2, Kernel: 3, Pooling: "max", Upsampling: "transposed",
			Activation: "relu", Norm: "none", Init: "he"}, Residual: true, Output: "linear"},
		"dncnn": &model.DnCNN{Depth: 5, Channels: 6, Kernel: 3, Activation: "relu", Norm: "none", Init: "he"},
	} {
		reach, _ := m.(model.Local).Reach()
		for _, size := range [][2]int{{400, 300}, {331, 417}, {50, 70}} {
			h, w := size[0], size[1]
			weights := model.FirstWeights(m, model.Image{Height: 16, Width: 16, Channels: 1}, random.NewSeed(3))
			like := &dataset.Samples{Height: 16, Width: 16, Channels: 1, Values: array.Make(dtypes.Float32, 0), Scale: scale.None()}
			r, err := restore.New(b.Compute, m, weights, like)
			if err != nil {
				t.Fatal(err)
			}
			values := array.Make(dtypes.Float32, h*w)
			for i, u := range random.NewSeed(9).Uniform(h * w) {
				values.Float32[i] = u
			}
			got := restored(t, r, picture.Array{Height: h, Width: w, Channels: 1, Values: values}, restore.Options{}).Values
			args := []any{tensors.FromFlatDataAndDimensions(values.Float32, 1, h, w, 1)}
			for _, weight := range weights {
				args = append(args, weight)
			}
			output, err := graph.CallOnce(b.Compute, func(inputs []*graph.Node) *graph.Node {
				all := model.Weights{}
				for i, param := range model.Params(m, model.Image{Height: h, Width: w, Channels: 1}) {
					all[param.Name] = inputs[1+i]
				}
				return m.Apply(&model.Pass{Weights: all}, inputs[0]).Image
			}, args...)
			if err != nil {
				t.Fatal(err)
			}
			whole, worst := tensors.MustCopyFlatData[float32](output), 0.0
			for i, x := range got.Float32 {
				inside := i%w < w-reach && i/w < h-reach || h%4 == 0 && w%4 == 0 && h > 300
				if inside {
					worst = max(worst, math.Abs(float64(x-whole[i])))
				}
			}
			if worst > 1e-5 {
				t.Errorf("%s, %d×%d: parts and the whole differ by %g", name, h, w, worst)
			}
		}
	}
}

// Samples of a model of any size are restored each in one piece, as whole images of its program.
func TestSamplesOfAnySize(t *testing.T) {
	b := backendtest.XLA(t)
	m := &model.DnCNN{Depth: 3, Channels: 4, Kernel: 3, Activation: "relu", Norm: "none", Init: "he"}
	like := &dataset.Samples{Height: 12, Width: 16, Channels: 1, Scale: scale.None(), Values: array.Values{Float32: random.NewSeed(9).Uniform(3 * 12 * 16)}}
	r, err := restore.New(b.Compute, m, model.FirstWeights(m, model.Image{Height: 12, Width: 16, Channels: 1}, random.NewSeed(3)), like)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Samples(t.Context(), like, restore.Options{})
	if err != nil || got.Len() != 3 {
		t.Fatal(got.Len(), err)
	}
	const inside = 3 // as far as a pixel sees
	for i := range 3 {
		one := restored(t, r, picture.Array{Height: 12, Width: 16, Channels: 1, Values: like.At(i)}, restore.Options{})
		for y := inside; y < 12-inside; y++ {
			for x := inside; x < 16-inside; x++ {
				if d := got.At(i).At(y*16+x) - one.Values.At(y*16+x); math.Abs(d) > 1e-5 {
					t.Fatalf("sample %d at %d, %d: it and a picture of it differ by %g", i, x, y, d)
				}
			}
		}
	}
}
