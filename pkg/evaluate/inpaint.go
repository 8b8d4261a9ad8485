package evaluate

import (
	"context"
	"fmt"
	"math"
	"runtime"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"golang.org/x/sync/errgroup"

	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/scale"
)

// MaskKnown returns the figures of a baseline that is told which pixels the corruption changes, and knows nothing of images: it
// keeps the others, and fills these in as smoothly as can be, see [inpaint]. It is nil where the corruption is not
// [corrupt.Chain.Local], and of vectors, whose values have no neighbours.
func (e *Evaluator) MaskKnown(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples) (map[string]Figure, error) {
	if !e.spec.Corrupt.Local() || e.like.Vectors() {
		return nil, nil
	}
	damage, err := e.compile(func(inputs []*Node) []*Node {
		damaged, mask := e.damage(e.read(inputs))
		return []*Node{e.shown(damaged), Reshape(ConvertDType(mask, dtypes.Uint8), damaged.Shape().Dim(0), -1)}
	})
	if err != nil {
		return nil, fmt.Errorf("build the mask: %w", err)
	}
	defer damage.exec.Finalize()
	compare, err := e.compileComparison()
	if err != nil {
		return nil, fmt.Errorf("build the baseline's figures: %w", err)
	}
	rows, changed := make([][]float64, len(e.metrics)), []float64(nil)
	defer compare.exec.Finalize()
	shown := images.Clean().Shown()
	size, places, batch := e.image.Size(), e.image.Height*e.image.Width, damage.images
	for first := 0; first < images.Len(); first += batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		outputs, err := e.call(damage, weights, images, first, 0)
		if err != nil {
			return nil, err
		}
		filled, err := tensors.CopyFlatData[uint8](outputs[0])
		if err != nil {
			return nil, err
		}
		mask, err := tensors.CopyFlatData[uint8](outputs[1])
		if err != nil {
			return nil, err
		}
		n := min(batch, images.Len()-first)
		var group errgroup.Group
		group.SetLimit(runtime.NumCPU())
		for i := range n {
			group.Go(func() error {
				inpaint(filled[i*size:][:size], mask[i*places:][:places], e.image)
				return nil
			})
		}
		_ = group.Wait() // it has no errors
		for j := range n {
			inside := 0
			for _, m := range mask[j*places:][:places] {
				inside += int(m)
			}
			changed = append(changed, float64(inside)/float64(places))
		}
		for done := 0; done < n; done += compare.images {
			values, err := compare.call(shown.Values.Uint8[(first+done)*size:(first+n)*size], filled[done*size:n*size], mask[done*places:n*places])
			if err != nil {
				return nil, fmt.Errorf("measure the baseline: %w", err)
			}
			for j := range rows {
				for _, value := range values[j*compare.images:][:min(compare.images, n-done)] {
					rows[j] = append(rows[j], float64(value))
				}
			}
		}
	}
	return e.figures(rows, changed), nil
}

// comparison is the program of compileComparison.
type comparison struct{ *program }

// call measures images as bytes against others, with a mask each, as many of them as it takes or fewer: [metrics, images].
func (c comparison) call(parts ...[]uint8) ([]float32, error) {
	var args []any
	for i, part := range parts {
		dims := c.shapes[i].Dimensions
		whole := make([]uint8, dims[0]*dims[1])
		copy(whole, part)
		args = append(args, tensors.FromFlatDataAndDimensions(whole, dims...))
	}
	outputs, err := c.exec.Call(args...)
	if err != nil {
		return nil, err
	}
	return tensors.CopyFlatData[float32](outputs[0])
}

// compileComparison compiles the metrics of two batches of images as bytes, and a mask: [batch, pixels] twice, [batch, height ·
// width] → [metrics, batch].
func (e *Evaluator) compileComparison() (comparison, error) {
	build := func(inputs []*Node) []*Node {
		clean, y := model.Pixels(inputs[0], e.image, scale.Scale{}), model.Pixels(inputs[1], e.image, scale.Scale{})
		mask := ConvertDType(Reshape(inputs[2], -1, e.image.Height, e.image.Width, 1), clean.DType())
		var figures []*Node
		for _, metric := range e.metrics {
			if metric.Part != nil {
				figures = append(figures, metric.Part(clean, y, mask))
			} else {
				figures = append(figures, metric.PerImage(clean, y))
			}
		}
		return []*Node{Stack(figures, 0)}
	}
	list := func(n int) []shapes.Shape {
		pixels := shapes.Make(dtypes.Uint8, n, e.image.Size())
		return []shapes.Shape{pixels, pixels, shapes.Make(dtypes.Uint8, n, e.image.Height*e.image.Width)}
	}
	n := e.fitting(list, build)
	p, err := e.compileFor(n, list(n), build)
	return comparison{p}, err
}

// What inpaint does at most, and the change of a pixel, of 255, at which it stops.
const (
	inpaintSweeps = 500
	inpaintChange = 0.02
)

// inpaint fills the pixels of an image where mask is 1 so that each is the mean of its neighbours, on each channel: the discrete
// harmonic function with the other pixels as its boundary, the smoothest there is. An image without other pixels stays as it is.
//
// Each sweep moves the pixels one after another past their neighbours' mean (successive over-relaxation), which needs some ten
// sweeps where plain means need hundreds.
func inpaint(pixels, mask []uint8, image model.Image) {
	height, width, channels := image.Height, image.Width, image.Channels
	values, inside := make([]float64, len(pixels)), []int(nil)
	means, known := make([]float64, channels), 0
	for place, m := range mask {
		for c := range channels {
			values[place*channels+c] = float64(pixels[place*channels+c])
		}
		if m != 0 {
			inside = append(inside, place)
			continue
		}
		known++
		for c := range channels {
			means[c] += values[place*channels+c]
		}
	}
	if known == 0 || len(inside) == 0 {
		return
	}
	for _, place := range inside {
		for c := range channels {
			values[place*channels+c] = means[c] / float64(known)
		}
	}
	const relaxation = 1.7
	for range inpaintSweeps {
		largest := 0.0
		for _, place := range inside {
			y, x := place/width, place%width
			for c := range channels {
				sum, count := 0.0, 0.0
				add := func(there bool, neighbour int) {
					if there {
						sum, count = sum+values[neighbour*channels+c], count+1
					}
				}
				add(y > 0, place-width)
				add(y < height-1, place+width)
				add(x > 0, place-1)
				add(x < width-1, place+1)
				value := &values[place*channels+c]
				change := relaxation * (sum/count - *value)
				*value += change
				largest = max(largest, math.Abs(change))
			}
		}
		if largest < inpaintChange {
			break
		}
	}
	for _, place := range inside {
		for c := range channels {
			pixels[place*channels+c] = uint8(min(max(math.Round(values[place*channels+c]), 0), 255))
		}
	}
}
