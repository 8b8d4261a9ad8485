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
)

// MaskKnown returns the figures of a baseline that is told which pixels the corruption changes, and knows nothing of images: it
// keeps the others, and fills these in as smoothly as can be, see [inpaint]. It is nil where the corruption is not
// [corrupt.Chain.Local].
func (e *Evaluator) MaskKnown(ctx context.Context, weights []*tensors.Tensor, images *dataset.Images) (map[string]Figure, error) {
	if !e.spec.Corrupt.Local() {
		return nil, nil
	}
	damage, err := e.compile(batch, func(inputs []*Node) []*Node {
		damaged, mask := e.damage(e.read(inputs))
		return []*Node{bytes(damaged), Reshape(ConvertDType(mask, dtypes.Uint8), batch, -1)}
	})
	if err != nil {
		return nil, fmt.Errorf("build the mask: %w", err)
	}
	compare, err := e.compileComparison()
	if err != nil {
		return nil, fmt.Errorf("build the baseline's figures: %w", err)
	}
	rows, changed := make([][]float64, len(e.metrics)), []float64(nil)
	size, places := e.image.Size(), e.image.Height*e.image.Width
	for first := 0; first < images.Len(); first += batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		outputs, err := e.call(damage, batch, weights, images, first, 0)
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
		clean := make([]uint8, batch*size)
		copy(clean, images.Pixels[first*size:][:n*size])
		outputs, err = compare.Call(tensors.FromFlatDataAndDimensions(clean, batch, size),
			tensors.FromFlatDataAndDimensions(filled, batch, size), tensors.FromFlatDataAndDimensions(mask, batch, places))
		if err != nil {
			return nil, fmt.Errorf("measure the baseline: %w", err)
		}
		values, err := tensors.CopyFlatData[float32](outputs[0])
		if err != nil {
			return nil, err
		}
		for i := range n {
			for j := range rows {
				rows[j] = append(rows[j], float64(values[j*batch+i]))
			}
			inside := 0
			for _, m := range mask[i*places:][:places] {
				inside += int(m)
			}
			changed = append(changed, float64(inside)/float64(places))
		}
	}
	return e.figures(rows, changed), nil
}

// compileComparison compiles the metrics of two batches of images as bytes, and a mask: [batch, pixels] twice, [batch, height ·
// width] → [metrics, batch].
func (e *Evaluator) compileComparison() (*Exec, error) {
	exec, err := NewExec(e.backend, func(clean, y, mask *Node) *Node {
		clean, y = model.Pixels(clean, e.image), model.Pixels(y, e.image)
		mask = ConvertDType(Reshape(mask, batch, e.image.Height, e.image.Width, 1), clean.DType())
		var figures []*Node
		for _, metric := range e.metrics {
			if metric.Part != nil {
				figures = append(figures, metric.Part(clean, y, mask))
			} else {
				figures = append(figures, metric.PerImage(clean, y))
			}
		}
		return Stack(figures, 0)
	})
	if err != nil {
		return nil, err
	}
	pixels := shapes.Make(dtypes.Uint8, batch, e.image.Size())
	_, err = exec.Compile(pixels, pixels, shapes.Make(dtypes.Uint8, batch, e.image.Height*e.image.Width))
	return exec, err
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
