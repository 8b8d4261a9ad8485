// Package restore applies a trained model to pictures of any size.
//
//	r, err := restore.New(backend, model, weights, images) // images of the kind that the model was trained on, or none of them
//	clean, err := r.Picture(ctx, damaged, restore.Options{}) // a picture.Array each
//
// Promised: a picture comes out with its own size, type and channels, its alpha untouched, whatever the model was trained on; one of a
// grey model keeps its colours, for each channel goes through the model by itself; a model of any size (model.Local) computes a picture
// in parts that come out as in one piece, and of another every pixel is a weighted mean of the tiles that cover it, so that no seams show.
//
// Arrays and tables, of samples of the model's size, are restored by [Restorer.Samples]; [Compare] shows what became of a picture.
//
// What is not here: reading and writing picture files (pkg/picture, the command).
package restore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/array"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/picture"
	"latent/pkg/random"
	"latent/pkg/scale"
	"latent/pkg/tiff"
	"latent/pkg/trace"
)

// Restorer is a compiled model with its weights. It is for one goroutine at a time.
type Restorer struct {
	model   model.Model
	image   model.Image
	dtype   dtypes.DType // of the values that it was trained on
	scale   scale.Scale
	params  []model.Param
	weights []*tensors.Tensor
	backend compute.Backend
	local   bool           // of any size, see model.Local: image is the size of parts then
	reach   int            // of pixels, how far one sees
	aligned int            // places of parts are multiples
	sizes   []int          // numbers of images in a call, the largest first
	execs   map[call]*Exec // compiled when they are first needed

	// Tiles is how many images went through the model so far.
	Tiles int
}

// call is what a program takes: so many images of a size.
type call struct {
	image  model.Image
	images int
}

// partSide is about how many pixels on each side of a part of a picture are kept, of a model that can compute it in parts.
const partSide = 160

// sizes are the numbers of images that a call may take. A few images are not computed in a large call, most of which would be
// padding.
var sizes = []int{64, 16, 4, 1}

// New compiles a model for images of the size, type and scale of these. weights are in the order of [model.Params].
func New(b compute.Backend, m model.Model, weights []*tensors.Tensor, like *dataset.Samples) (*Restorer, error) {
	if model.Conditions(m) > 0 {
		return nil, errors.New("this model needs the label of each image, which a picture does not have")
	}
	if _, generates := m.(*model.PixelFlow); generates {
		return nil, errors.New("this kind of model only generates images from noise, and cannot restore pictures")
	}
	image := model.Image{Height: like.Height, Width: like.Width, Channels: like.Channels}
	local, isLocal := m.(model.Local)
	reach, aligned := 0, 1
	if isLocal {
		reach, aligned = local.Reach()
		side := (2*reach + partSide + aligned - 1) / aligned * aligned
		image.Height, image.Width = side, side
	}
	r := &Restorer{
		local: isLocal, reach: reach, aligned: aligned,
		model: m, image: image, dtype: like.Values.Type(), scale: like.Scale,
		params: model.Params(m, image), weights: weights, backend: b, execs: map[call]*Exec{},
	}
	r.fit()
	_, err := r.program(1)
	return r, err
}

// With returns the restorer with other weights. It shares the compiled programs.
func (r *Restorer) With(weights []*tensors.Tensor) *Restorer {
	other := *r
	other.weights = weights
	return &other
}

// Close frees the compiled programs, also of those that share them.
func (r *Restorer) Close() {
	for _, exec := range r.execs {
		exec.Finalize()
	}
}

// fit finds how many images a call may take.
func (r *Restorer) fit() {
	most := trace.Fitting(0, sizes, r.inputShapes, func(inputs []*Node) []*Node { return []*Node{r.build(inputs)} })
	r.sizes = sizes[slices.Index(sizes, most):]
}

// whole is the restorer of a model of any size for images of one size, each in one piece. Programs for the size before are kept until one
// for another is asked for: files of one shape are compiled for once, and those of many shapes do not fill the memory.
func (r *Restorer) whole(image model.Image) *Restorer {
	for c, exec := range r.execs {
		if c.image != r.image && c.image != image {
			exec.Finalize()
			delete(r.execs, c)
		}
	}
	w := *r
	w.local, w.image, w.params, w.Tiles = false, image, model.Params(r.model, image), 0
	w.fit()
	return &w
}

// Size is that of the images that go through the model: parts of a picture, of a model of any size.
func (r *Restorer) Size() model.Image { return r.image }

// inputShapes are those of the inputs of build for so many images.
func (r *Restorer) inputShapes(images int) []shapes.Shape {
	list := []shapes.Shape{
		shapes.Make(dtypes.Float32, images, r.image.Height, r.image.Width, r.image.Channels),
		shapes.Make(dtypes.Float32, len(model.Numbers(r.model))+1),
		shapes.Make(dtypes.Uint32, 2),
	}
	for _, param := range r.params {
		list = append(list, shapes.Make(dtypes.Float32, param.Dims...))
	}
	return list
}

// program returns the program for so many images at once.
func (r *Restorer) program(images int) (*Exec, error) {
	c := call{r.image, images}
	if exec := r.execs[c]; exec != nil {
		return exec, nil
	}
	exec, err := NewExec(r.backend, r.build)
	if err != nil {
		return nil, fmt.Errorf("build the model: %w", err)
	}
	if _, err := exec.Compile(r.inputShapes(images)...); err != nil {
		return nil, fmt.Errorf("build the model: %w", err)
	}
	r.execs[c] = exec
	return exec, nil
}

// build is the model's pass. inputs: the pixels; the model's numbers, after the number 1; the key of its draws; the weights.
func (r *Restorer) build(inputs []*Node) *Node {
	// A product with 1 is no input: XLA's plugin for the CPU packs a matrix that is one only once for each address, and would not see
	// that training has changed it in place since.
	one := Reshape(Slice(inputs[1], AxisElem(0)))
	weights := model.Weights{}
	for i, param := range r.params {
		weights[param.Name] = Mul(inputs[3+i], one)
	}
	var numbers []*Node
	for i := range model.Numbers(r.model) {
		numbers = append(numbers, Reshape(Slice(inputs[1], AxisElem(1+i))))
	}
	pass := &model.Pass{Weights: weights, Numbers: numbers, Key: random.KeyFromNode(inputs[2])}
	return r.model.Apply(pass, inputs[0]).Image
}

// next is how many images the next call takes where so many are left: the smallest call that takes all of them, or else the largest there
// is. Parts of pictures are large, and a quarter of a call may be padding at most.
func (r *Restorer) next(left int) int {
	batch := r.sizes[0]
	for _, smaller := range r.sizes[1:] {
		if smaller >= left || r.local && 4*left < 3*batch {
			batch = smaller
		}
	}
	return batch
}

// Images restores images of the model's size. pixels: [image, height, width, channel] in [-1, 1]; returns the same.
func (r *Restorer) Images(pixels []float32) ([]float32, error) {
	size := r.image.Size()
	restored := make([]float32, 0, len(pixels))
	for len(pixels) > 0 {
		batch := r.next(len(pixels) / size)
		exec, err := r.program(batch)
		if err != nil {
			return nil, err
		}
		n := min(batch*size, len(pixels))
		input := make([]float32, batch*size)
		copy(input, pixels[:n])
		args := []any{
			tensors.FromFlatDataAndDimensions(input, batch, r.image.Height, r.image.Width, r.image.Channels),
			append([]float32{1}, model.Numbers(r.model)...),
			[]uint32{0, 0},
		}
		for _, weight := range r.weights {
			args = append(args, weight)
		}
		outputs, err := exec.Call(args...)
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

// Samples restores samples of the kind of the model's, and returns them in the data's own units: whole numbers where it was trained on
// such. Options of tiles do nothing to them.
func (r *Restorer) Samples(ctx context.Context, s *dataset.Samples, o Options) (*dataset.Samples, error) {
	if o.Ensemble && s.Vectors() {
		return nil, errors.New("rows of a table cannot be rotated; leave the ensemble out")
	}
	if o.Recover && s.Vectors() {
		return nil, errors.New("rows of a table have no neighbouring pixels to recover values from; leave --recover out")
	}
	if r.local && !o.Ensemble {
		whole := r.whole(model.Image{Height: s.Height, Width: s.Width, Channels: s.Channels})
		defer func(r *Restorer) { r.Tiles += whole.Tiles }(r)
		r = whole
	}
	restored := s.Like()
	each := r.sizes[0]
	if o.Ensemble || o.Recover || o.Contrast != 0 {
		each = 1 // as pictures
	}
	for first := 0; first < s.Len(); first += each {
		last := min(first+each, s.Len())
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		scaled := s.Scaled(first, last)
		var values []float32
		var err error
		if each == 1 {
			values, err = r.controlled(&work{ctx: ctx, Options: o, steps: 1}, scaled, s.Width, s.Height)
		} else if values, err = r.Images(scaled); err == nil {
			keep(values, scaled, o.Keep)
		}
		if err != nil {
			return nil, err
		}
		restored.Values = restored.Values.Append(s.Restored(values).Values)
		if o.Progress != nil {
			o.Progress(float64(last) / float64(s.Len()))
		}
	}
	return restored, nil
}

// Options is how pictures are treated. The zero value works.
type Options struct {
	// Resize scales the whole picture to the size of a model for one size alone, and what comes out back to the picture's. Without it the
	// picture is cut into tiles of the model's size that overlap.
	Resize bool
	// Overlap is the part of a tile's side that it shares with the next, from 0 to below 1; 0 is half. More costs more
	// tiles, and smooths more of what the model does differently at a tile's edge.
	Overlap float64
	// Ensemble takes the mean of what the model makes of the picture's eight turns and mirror images, turned back (Timofte et al. 2016,
	// "Seven ways to improve example-based single image super resolution"). It takes eight times as long.
	Ensemble bool
	// Recover gives back what the model took away of the picture, see [Recover].
	Recover bool
	// Keep is the part of what the model takes away that stays, x: the result is restored + Keep · (x − restored). 1 keeps the picture
	// as it was; below 0 more is taken away than the model does.
	Keep float64
	// Contrast is how many times as large the differences to the picture's mean are when the model sees them; 0 is 1. With σ₀ / σ, noise
	// of a strength σ is of that, σ₀, that the model was trained with.
	Contrast float64
	// White is the value of pictures of floats that is white, for a model that was trained on whole numbers, of which 0 is black. 0 is the
	// largest of those, 255 or 65535.
	White float64
	// Progress is told which part of the work is done, often; nil is not.
	Progress func(part float64)
}

// Values restores a picture of the model's channels in its scale: [height, width, channel]; returns the same.
func (r *Restorer) Values(ctx context.Context, values []float32, width, height int) ([]float32, error) {
	return r.fitted(&work{ctx: ctx, steps: 1}, values, width, height)
}

// work is what is done with a picture, in so many steps.
type work struct {
	ctx context.Context
	Options
	steps, done int
}

// band tells that one of a step's bands is done. It is an error where the work is to stop.
func (w *work) band(i, bands int) error {
	if w.Progress != nil {
		w.Progress((float64(w.done) + float64(i+1)/float64(bands)) / float64(w.steps))
	}
	return w.ctx.Err()
}

// Picture restores a picture, and returns one of the same type, size and channels. Colours and alpha are taken apart: alpha stays as it
// is. A grey model restores each colour by itself; one of RGB takes a grey picture for one of three equal channels, whose mean is the
// result. A model of other channels takes all that the picture has, and wants as many.
//
// Whole numbers of 8 and of 16 bits are parts of their range, whichever the model was trained on, and are rounded once, at the end. Floats
// are in the units of what the model was trained on, but for o.White; what lies beyond the ends of the model's scale stays beyond them by
// as much.
func (r *Restorer) Picture(ctx context.Context, p picture.Array, o Options) (picture.Array, error) {
	passes, err := r.passes(p)
	if err != nil {
		return picture.Array{}, err
	}
	unit, err := r.unit(p, o)
	if err != nil {
		return picture.Array{}, err
	}
	restored := p
	restored.Values = array.Make(p.Values.Type(), p.Values.Len())
	restored.Values.Copy(0, p.Values)
	work := &work{ctx: ctx, Options: o, steps: len(passes) * turnsOf(o)}
	for _, pass := range passes {
		if err := r.pass(work, pass, p, restored, unit); err != nil {
			return picture.Array{}, err
		}
	}
	return restored, nil
}

// pass is channels of a picture that go through the model at once, and those that what comes out is for.
type pass struct {
	from, into []int
	mean       bool // one channel, the mean of all that come out, is for all
}

// passes are those of a picture's channels.
func (r *Restorer) passes(p picture.Array) ([]pass, error) {
	var all []int
	for c := range p.Channels {
		all = append(all, c)
	}
	colours := all
	if p.Alpha != tiff.NoAlpha {
		colours = all[:len(all)-1]
	}
	switch wanted := r.image.Channels; {
	case wanted == 1 && len(colours) == 3 && isGrey(p):
		return []pass{{from: []int{0}, into: colours, mean: true}}, nil
	case wanted == 1:
		var passes []pass
		for _, c := range colours {
			passes = append(passes, pass{from: []int{c}, into: []int{c}})
		}
		return passes, nil
	case wanted == len(colours):
		return []pass{{from: colours, into: colours}}, nil
	case wanted == 3 && len(colours) == 1:
		return []pass{{from: []int{0, 0, 0}, into: colours, mean: true}}, nil
	case wanted == len(all):
		return []pass{{from: all, into: all}}, nil
	}
	return nil, fmt.Errorf("a picture of %d channels; the model needs %d", p.Channels, r.image.Channels)
}

// isGrey says whether the first three channels are the same.
func isGrey(p picture.Array) bool {
	for i := 0; i < p.Values.Len(); i += p.Channels {
		if v := p.Values.At(i); p.Values.At(i+1) != v || p.Values.At(i+2) != v {
			return false
		}
	}
	return true
}

// ends are the largest whole numbers of types.
var ends = map[dtypes.DType]float64{dtypes.Uint8: math.MaxUint8, dtypes.Uint16: math.MaxUint16}

// unit is what the picture's numbers are multiplied by, to be in the units of those that the model was trained on.
func (r *Restorer) unit(p picture.Array, o Options) (float64, error) {
	own, trained := ends[p.Values.Type()], ends[r.dtype]
	switch {
	case trained == 0: // on floats
		return 1, nil
	case own != 0:
		return trained / own, nil
	case o.White > 0:
		return trained / o.White, nil
	}
	if highest := slices.Max(p.Values.Float32); highest > 0 && highest <= 1 {
		return 0, fmt.Errorf("floats up to %g, but the model was trained on 0 to %g; give the value of white, such as --white 1", highest, trained)
	}
	return 1, nil
}

// Ends are the values of a picture of floats that are shown as black and as white; both 0 where that is not known.
func (r *Restorer) Ends(o Options) (black, white float64) {
	switch trained := ends[r.dtype]; {
	case trained != 0 && o.White > 0:
		return 0, o.White
	case trained != 0:
		return 0, trained
	case r.scale.Open:
		return r.scale.Low, r.scale.High
	}
	return r.scale.Value(0, -1), r.scale.Value(0, 1)
}

// pass restores some channels of a picture.
func (r *Restorer) pass(work *work, pass pass, p, restored picture.Array, unit float64) error {
	n, of := p.Height*p.Width, len(pass.from)
	floats := p.Values.Type() == dtypes.Float32
	values := make([]float32, n*of)
	for i := range values {
		c := i % of
		v := p.Values.At(i/of*p.Channels + pass.from[c])
		values[i] = float32(r.scale.At(c, v*unit))
	}
	values, err := r.controlled(work, values, p.Width, p.Height)
	if err != nil {
		return err
	}
	for i := range n {
		out := values[i*of:][:of]
		if pass.mean {
			sum := float32(0)
			for _, x := range out {
				sum += x
			}
			out[0] = sum / float32(of)
		}
		for j, c := range pass.into {
			if pass.mean {
				j = 0
			}
			v := r.scale.Value(j, float64(out[j])) / unit
			if was := p.Values.At(i*p.Channels + c); floats && !r.scale.Open {
				v += was - r.scale.Value(j, r.scale.At(j, was*unit))/unit // what lies beyond the scale
			}
			restored.Values.Set(i*p.Channels+c, v)
		}
	}
	return nil
}

// controlled restores values of a picture, [height, width, channel], in the model's scale, as the options of strength say.
func (r *Restorer) controlled(work *work, values []float32, w, h int) ([]float32, error) {
	input, mean, contrast := values, float32(0), float32(work.Contrast)
	if contrast != 0 {
		sum := 0.0
		for _, x := range values {
			sum += float64(x)
		}
		mean = float32(sum / float64(len(values)))
		input = make([]float32, len(values))
		for i, x := range values {
			input[i] = mean + contrast*(x-mean)
		}
	}
	restored, err := r.turned(work, input, w, h)
	if err != nil {
		return nil, err
	}
	if contrast != 0 {
		for i, x := range restored {
			restored[i] = mean + (x-mean)/contrast
		}
	}
	if work.Recover {
		Recover(restored, values, w, h, r.image.Channels)
	}
	keep(restored, values, work.Keep)
	return restored, nil
}

// keep adds a part of what was taken away.
func keep(restored, values []float32, part float64) {
	if part == 0 {
		return
	}
	for i, x := range values {
		restored[i] += float32(part) * (x - restored[i])
	}
}

// fitted restores values of a picture of any size.
func (r *Restorer) fitted(work *work, values []float32, w, h int) ([]float32, error) {
	if r.local {
		return r.parts(work, values, w, h)
	}
	toW, toH := w, h
	if least := r.image; work.Resize {
		toW, toH = least.Width, least.Height
	} else if w < least.Width || h < least.Height {
		// A picture smaller than a tile is enlarged to hold one, in its own shape.
		scale := max(float64(least.Width)/float64(w), float64(least.Height)/float64(h))
		toW, toH = max(least.Width, int(math.Round(scale*float64(w)))), max(least.Height, int(math.Round(scale*float64(h))))
	}
	scaled := dataset.Resample(values, h, w, r.image.Channels, toH, toW)
	restored, err := r.tiled(work, scaled, toW, toH)
	if err != nil {
		return nil, err
	}
	return dataset.Resample(restored, toH, toW, r.image.Channels, h, w), nil
}

// parts restores values of a picture in parts that overlap by as far as a pixel sees, so that what comes out is what the whole picture
// in one piece would give, and has no seams. Beyond the right and lower edge, where sides are no multiples or smaller than a part, the
// picture is mirrored.
func (r *Restorer) parts(work *work, values []float32, w, h int) ([]float32, error) {
	channels, side := r.image.Channels, r.image.Height
	multiple := func(n int) int { return max(side, (n+r.aligned-1)/r.aligned*r.aligned) }
	wide, high := multiple(w), multiple(h)
	restored := make([]float32, len(values))
	columns, rows := r.along(wide), r.along(high)
	for i, top := range rows {
		var tiles []float32
		for _, left := range columns {
			for y := range side {
				from := mirrored(top+y, h) * w
				for x := range side {
					at := (from + mirrored(left+x, w)) * channels
					tiles = append(tiles, values[at:at+channels]...)
				}
			}
		}
		parts, err := r.Images(tiles)
		if err != nil {
			return nil, err
		}
		for _, left := range columns {
			for y := r.kept(top); y < side && top+y < h; y++ {
				for x := r.kept(left); x < side && left+x < w; x++ {
					copy(restored[((top+y)*w+left+x)*channels:][:channels], parts[(y*side+x)*channels:])
				}
			}
			parts = parts[r.image.Size():]
		}
		if err := work.band(i, len(rows)); err != nil {
			return nil, err
		}
	}
	return restored, nil
}

// along are the places where parts begin along a side, each but for the last computed well as far as the next one's begins to be.
func (r *Restorer) along(length int) []int {
	side := r.image.Height
	stride := (side - 2*r.reach) / r.aligned * r.aligned
	var starts []int
	for start := 0; start+side < length; start += stride {
		starts = append(starts, start)
	}
	return append(starts, length-side)
}

// kept is the first place of a part that sees all that it depends on: the first of all at the picture's edge. Of those before it, an
// earlier part's values stay.
func (r *Restorer) kept(start int) int {
	if start == 0 {
		return 0
	}
	return r.reach
}

// mirrored is a place within n, or one beyond it mirrored at the edge.
func mirrored(i, n int) int {
	if n == 1 {
		return 0
	}
	i = max(i, -i) % (2 * (n - 1))
	if i >= n {
		i = 2*(n-1) - i
	}
	return i
}

// tiled restores values: [height, width, channel], at least as large as a tile. A pixel is the mean of the tiles that cover
// it, weighted by how far it lies from their edges.
func (r *Restorer) tiled(work *work, values []float32, w, h int) ([]float32, error) {
	channels := r.image.Channels
	columns, rows := places(w, r.image.Width, work.Overlap), places(h, r.image.Height, work.Overlap)
	sum, weight := make([]float32, len(values)), make([]float32, w*h)
	// A band of tiles at a time, so that the memory does not grow with the picture's height.
	for i, top := range rows {
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
		if err := work.band(i, len(rows)); err != nil {
			return nil, err
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
func places(length, tile int, overlap float64) []int {
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
