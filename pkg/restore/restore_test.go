package restore_test

import (
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/model"
	"latent/pkg/restore"
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
	r, err := restore.New(b.Compute, m, []*tensors.Tensor{diagonal(factor), zeros(), diagonal(1), zeros()}, size)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// waves is a picture with a different pattern in each channel, or the same where it is grey.
func waves(width, height int, grey bool) *image.NRGBA {
	p := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			var c [3]uint8
			for i := range c {
				at := float64(x + 3*y)
				if !grey {
					at += 20 * float64(i)
				}
				c[i] = uint8(127.5 + 120*math.Sin(at/9))
			}
			p.SetNRGBA(x, y, color.NRGBA{c[0], c[1], c[2], 255})
		}
	}
	return p
}

// Through the identity a picture that needs no scaling comes out as it went in, whatever its size and overlap: tiles cover all
// of it, and their weights sum to one. Through a model that halves, each pixel is half as far from grey.
func TestPictureThroughTiles(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, size := range []model.Image{{Height: 8, Width: 6, Channels: 1}, {Height: 8, Width: 6, Channels: 3}} {
			same, half := scaled(t, b, 1, size), scaled(t, b, 0.5, size)
			for _, at := range []image.Point{{6, 8}, {7, 8}, {6, 31}, {50, 41}} {
				for _, overlap := range []float64{0, 0.1, 0.9} {
					for _, grey := range []bool{true, false} {
						p, options := waves(at.X, at.Y, grey), restore.Options{Overlap: overlap}
						got, err := same.Picture(p, options)
						if err != nil {
							t.Fatal(err)
						}
						halved, err := half.Picture(p, options)
						if err != nil {
							t.Fatal(err)
						}
						if got.Rect != p.Rect {
							t.Fatalf("%v became %v", p.Rect, got.Rect)
						}
						for i, want := range p.Pix {
							if got.Pix[i] != want {
								t.Fatalf("%v, overlap %g: value %d is %d, want %d", at, overlap, i, got.Pix[i], want)
							}
							if i%4 < 3 && math.Abs(float64(halved.Pix[i])-127.5-(float64(want)-127.5)/2) > 0.51 {
								t.Fatalf("%v, overlap %g: value %d is %d, want half of %d's distance from grey", at, overlap, i, halved.Pix[i], want)
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
			p := image.NewNRGBA(image.Rect(0, 0, c.width, c.height))
			for i := range c.width * c.height {
				copy(p.Pix[4*i:], []uint8{200, 100, 50, 255})
			}
			got, err := r.Picture(p, restore.Options{Resize: c.resize})
			if err != nil {
				t.Fatal(err)
			}
			if got.Rect != p.Rect {
				t.Fatalf("%+v became %v", c, got.Rect)
			}
			for i, want := range p.Pix {
				if d := int(got.Pix[i]) - int(want); d < -1 || d > 1 {
					t.Fatalf("%+v: value %d is %d, want %d", c, i, got.Pix[i], want)
				}
			}
		}
	})
}

// The number of tiles is that of the places that half-overlapping tiles need.
func TestTiles(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		r := scaled(t, b, 1, model.Image{Height: 8, Width: 8, Channels: 1})
		if _, err := r.Picture(waves(20, 8, true), restore.Options{}); err != nil {
			t.Fatal(err)
		}
		if r.Tiles != 4 { // at 0, 4, 8, and 12
			t.Errorf("%d tiles, want 4", r.Tiles)
		}
		if _, err := r.Picture(waves(20, 8, false), restore.Options{}); err != nil {
			t.Fatal(err)
		}
		if r.Tiles != 4+3*4 {
			t.Errorf("%d tiles after a picture in colour, want 16", r.Tiles)
		}
	})
}
