// Package restore applies a trained model to pictures of any size.
//
//	r, err := restore.New(backend, model, weights, image)
//	clean, err := r.Picture(damaged, restore.Options{})
//
// Promised: a picture comes out at its own size; one of a grey model keeps its colours, for each channel goes through the
// model by itself; every pixel is a weighted mean of the tiles that cover it, so that no seams show.
//
// What is not here: reading and writing picture files (pkg/picture, the command).
package restore

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"golang.org/x/image/draw"

	"latent/pkg/model"
	"latent/pkg/random"
)

// Restorer is a compiled model with its weights. It is for one goroutine at a time.
type Restorer struct {
	model   model.Model
	image   model.Image
	params  []model.Param
	weights []*tensors.Tensor
	exec    *Exec

	// Tiles is how many images went through the model so far.
	Tiles int
}

// batch is the number of images in a call.
const batch = 64

// New compiles a model for images of its size. weights are in the order of [model.Params].
func New(b compute.Backend, m model.Model, weights []*tensors.Tensor, image model.Image) (*Restorer, error) {
	if model.Conditions(m) > 0 {
		return nil, errors.New("this model is given the label of each image, which a picture does not have")
	}
	if _, generates := m.(*model.PixelFlow); generates {
		return nil, errors.New("this kind of model makes images of noise, and restores none")
	}
	r := &Restorer{model: m, image: image, params: model.Params(m, image), weights: weights}
	exec, err := NewExec(b, r.build)
	if err != nil {
		return nil, fmt.Errorf("build the model: %w", err)
	}
	list := []shapes.Shape{
		shapes.Make(dtypes.Float32, batch, image.Height, image.Width, image.Channels),
		shapes.Make(dtypes.Float32, len(model.Numbers(m))+1),
		shapes.Make(dtypes.Uint32, 2),
	}
	for _, param := range r.params {
		list = append(list, shapes.Make(dtypes.Float32, param.Dims...))
	}
	if _, err := exec.Compile(list...); err != nil {
		return nil, fmt.Errorf("build the model: %w", err)
	}
	r.exec = exec
	return r, nil
}

// build is the model's pass. inputs: the pixels; the model's numbers, after one that keeps the list from being empty; the
// key of its draws; the weights.
func (r *Restorer) build(inputs []*Node) *Node {
	weights := model.Weights{}
	for i, param := range r.params {
		weights[param.Name] = inputs[3+i]
	}
	var numbers []*Node
	for i := range model.Numbers(r.model) {
		numbers = append(numbers, Reshape(Slice(inputs[1], AxisElem(1+i))))
	}
	pass := &model.Pass{Weights: weights, Numbers: numbers, Key: random.KeyFromNode(inputs[2])}
	return r.model.Apply(pass, inputs[0]).Image
}

// Images restores images of the model's size. pixels: [image, height, width, channel] in [-1, 1]; returns the same.
func (r *Restorer) Images(pixels []float32) ([]float32, error) {
	size := r.image.Size()
	restored := make([]float32, 0, len(pixels))
	for len(pixels) > 0 {
		n := min(batch*size, len(pixels))
		input := make([]float32, batch*size)
		copy(input, pixels[:n])
		args := []any{
			tensors.FromFlatDataAndDimensions(input, batch, r.image.Height, r.image.Width, r.image.Channels),
			append([]float32{0}, model.Numbers(r.model)...),
			[]uint32{0, 0},
		}
		for _, weight := range r.weights {
			args = append(args, weight)
		}
		outputs, err := r.exec.Call(args...)
		if err != nil {
			return nil, fmt.Errorf("apply the model: %w", err)
		}
		values, err := tensors.CopyFlatData[float32](outputs[0])
		if err != nil {
			return nil, fmt.Errorf("apply the model: %w", err)
		}
		restored = append(restored, values[:n]...)
		r.Tiles += n / size
		pixels = pixels[n:]
	}
	return restored, nil
}

// Options is how pictures of another size than the model's are treated. The zero value works.
type Options struct {
	// Resize scales the whole picture to the model's size, and what comes out back to the picture's. Without it the
	// picture is cut into tiles of the model's size that overlap.
	Resize bool
	// Overlap is the part of a tile's side that it shares with the next, from 0 to below 1; 0 is half. More costs more
	// tiles, and smooths more of what the model does differently at a tile's edge.
	Overlap float64
}

// Picture restores a picture. Transparent places are taken over black, as in training.
func (r *Restorer) Picture(p image.Image, o Options) (*image.NRGBA, error) {
	bounds := image.Rect(0, 0, p.Bounds().Dx(), p.Bounds().Dy())
	source := image.NewRGBA(bounds)
	draw.Draw(source, bounds, p, p.Bounds().Min, draw.Src)

	size := image.Pt(r.image.Width, r.image.Height)
	work := bounds
	if o.Resize {
		work = image.Rectangle{Max: size}
	} else if work.Dx() < size.X || work.Dy() < size.Y {
		// A picture smaller than a tile is enlarged to hold one, in its own shape.
		scale := max(float64(size.X)/float64(work.Dx()), float64(size.Y)/float64(work.Dy()))
		work.Max = image.Pt(max(size.X, int(math.Round(scale*float64(work.Dx())))), max(size.Y, int(math.Round(scale*float64(work.Dy())))))
	}
	scaled := resize(source, work)
	planes, err := r.planes(scaled, o)
	if err != nil {
		return nil, err
	}
	restored := image.NewRGBA(work)
	for i := range work.Dx() * work.Dy() {
		for c := range 3 {
			restored.Pix[4*i+c] = planes[c%len(planes)][i]
		}
		restored.Pix[4*i+3] = 255
	}
	restored = resize(restored, bounds)
	result := image.NewNRGBA(bounds)
	draw.Draw(result, bounds, restored, image.Point{}, draw.Src)
	return result, nil
}

// resize scales a picture (Catmull–Rom); one of the right size is returned as it is.
func resize(p *image.RGBA, bounds image.Rectangle) *image.RGBA {
	if p.Rect == bounds {
		return p
	}
	scaled := image.NewRGBA(bounds)
	draw.CatmullRom.Scale(scaled, bounds, p, p.Rect, draw.Src, nil)
	return scaled
}

func isGrey(p *image.RGBA) bool {
	for i := 0; i < len(p.Pix); i += 4 {
		if p.Pix[i] != p.Pix[i+1] || p.Pix[i] != p.Pix[i+2] {
			return false
		}
	}
	return true
}

// planes restores the picture's channels, and returns each apart: three, or one where picture and model are grey. A colour
// model takes all three at once, a grey one each by itself.
func (r *Restorer) planes(p *image.RGBA, o Options) ([][]uint8, error) {
	passes := [][]int{{0}, {1}, {2}}
	if r.image.Channels == 3 {
		passes = [][]int{{0, 1, 2}}
	} else if isGrey(p) {
		passes = [][]int{{0}}
	}
	w, h := p.Rect.Dx(), p.Rect.Dy()
	var planes [][]uint8
	for _, channels := range passes {
		values := make([]float32, 0, w*h*len(channels))
		for i := range w * h {
			for _, c := range channels {
				values = append(values, float32(p.Pix[4*i+c])/127.5-1)
			}
		}
		restored, err := r.tiled(values, w, h, o)
		if err != nil {
			return nil, err
		}
		for c := range channels {
			plane := make([]uint8, w*h)
			for i := range plane {
				value := float64(restored[i*len(channels)+c])
				plane[i] = uint8(min(max(math.Round((value+1)*127.5), 0), 255))
			}
			planes = append(planes, plane)
		}
	}
	return planes, nil
}

// tiled restores values: [height, width, channel], at least as large as a tile. A pixel is the mean of the tiles that cover
// it, weighted by how far it lies from their edges.
func (r *Restorer) tiled(values []float32, w, h int, o Options) ([]float32, error) {
	channels := r.image.Channels
	columns, rows := places(w, r.image.Width, o), places(h, r.image.Height, o)
	sum, weight := make([]float32, len(values)), make([]float32, w*h)
	// A band of tiles at a time, so that the memory does not grow with the picture's height.
	for _, top := range rows {
		tiles := make([]float32, 0, len(columns)*r.image.Size())
		for _, left := range columns {
			for y := range r.image.Height {
				tiles = append(tiles, values[((top+y)*w+left)*channels:][:r.image.Width*channels]...)
			}
		}
		restored, err := r.Images(tiles)
		if err != nil {
			return nil, err
		}
		for _, left := range columns {
			for y := range r.image.Height {
				for x := range r.image.Width {
					near := float32(ramp(x, r.image.Width) * ramp(y, r.image.Height))
					at := (top+y)*w + left + x
					weight[at] += near
					for c := range channels {
						sum[at*channels+c] += near * restored[(y*r.image.Width+x)*channels+c]
					}
				}
			}
			restored = restored[r.image.Size():]
		}
	}
	for i := range sum {
		sum[i] /= weight[i/channels]
	}
	return sum, nil
}

// ramp rises from a tile's edge to its middle, in steps of 1, from 1.
func ramp(i, size int) float64 { return float64(min(i+1, size-i)) }

// places are where tiles begin so that they cover length, the last at its end.
func places(length, tile int, o Options) []int {
	overlap := o.Overlap
	if overlap == 0 {
		overlap = 0.5
	}
	stride := min(max(1, int(math.Round(float64(tile)*(1-overlap)))), tile)
	var starts []int
	for start := 0; start+tile < length; start += stride {
		starts = append(starts, start)
	}
	return append(starts, length-tile)
}

// Strip sets pictures of one size side by side, with a gap between them.
func Strip(pictures ...image.Image) *image.NRGBA {
	const gap = 4
	width, height := -gap, 0
	for _, p := range pictures {
		width, height = width+gap+p.Bounds().Dx(), max(height, p.Bounds().Dy())
	}
	strip := image.NewNRGBA(image.Rect(0, 0, width, height))
	draw.Draw(strip, strip.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	x := 0
	for _, p := range pictures {
		at := p.Bounds().Sub(p.Bounds().Min).Add(image.Pt(x, 0))
		draw.Draw(strip, at, p, p.Bounds().Min, draw.Over)
		x += p.Bounds().Dx() + gap
	}
	return strip
}
