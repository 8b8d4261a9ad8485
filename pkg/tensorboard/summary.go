package tensorboard

import (
	"bytes"
	"fmt"
	"image/png"
	"maps"
	"math"
	"slices"
	"time"
)

// Scalars writes figures of a step, by their tags.
func (w *Writer) Scalars(step int, at time.Time, figures map[string]float64) error {
	e := event{wall: at, step: int64(step)}
	for _, tag := range slices.Sorted(maps.Keys(figures)) {
		e.values = append(e.values, value{tag, appendFloat(nil, valueSimple, float32(figures[tag]))})
	}
	return w.write(e)
}

// Fields of Summary.Image.
const (
	imageHeight     = 1
	imageWidth      = 2
	imageColorspace = 3 // 3 is RGB
	imageEncoded    = 4
)

// Picture writes a PNG of a step.
func (w *Writer) Picture(step int, at time.Time, tag string, data []byte) error {
	config, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("write for TensorBoard: picture %s: %w", tag, err)
	}
	content := appendVarint(nil, imageHeight, uint64(config.Height))
	content = appendVarint(content, imageWidth, uint64(config.Width))
	content = appendVarint(content, imageColorspace, 3)
	content = appendBytes(content, imageEncoded, data)
	return w.write(event{wall: at, step: int64(step), values: []value{{tag, appendBytes(nil, valueImage, content)}}})
}

// Fields of HistogramProto.
const (
	histogramMin     = 1
	histogramMax     = 2
	histogramCount   = 3
	histogramSum     = 4
	histogramSquares = 5
	histogramLimits  = 6
	histogramBuckets = 7
)

// buckets are what the values of a histogram are sorted into, evenly from the least to the greatest.
const buckets = 30

// Histograms writes the distributions of values of a step, by their tags. Values that are no finite numbers are left out.
func (w *Writer) Histograms(step int, at time.Time, all map[string][]float32) error {
	e := event{wall: at, step: int64(step)}
	for _, tag := range slices.Sorted(maps.Keys(all)) {
		e.values = append(e.values, value{tag, appendBytes(nil, valueHistogram, histogram(all[tag]))})
	}
	return w.write(e)
}

func histogram(values []float32) []byte {
	low, high, count, sum, squares := math.Inf(1), math.Inf(-1), 0.0, 0.0, 0.0
	for _, value := range values {
		x := float64(value)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			continue
		}
		low, high = min(low, x), max(high, x)
		count, sum, squares = count+1, sum+x, squares+x*x
	}
	if count == 0 {
		low, high = 0, 0
	}
	width := (high - low) / buckets
	if width == 0 {
		width = 1.0 / buckets // all in the first
	}
	limits, counts := make([]float64, buckets), make([]float64, buckets)
	for i := range limits {
		limits[i] = low + width*float64(i+1)
	}
	for _, value := range values {
		if x := float64(value); !math.IsNaN(x) && !math.IsInf(x, 0) {
			counts[min(int((x-low)/width), buckets-1)]++
		}
	}
	b := appendDouble(nil, histogramMin, low)
	b = appendDouble(b, histogramMax, high)
	b = appendDouble(b, histogramCount, count)
	b = appendDouble(b, histogramSum, sum)
	b = appendDouble(b, histogramSquares, squares)
	b = appendDoubles(b, histogramLimits, limits)
	return appendDoubles(b, histogramBuckets, counts)
}
