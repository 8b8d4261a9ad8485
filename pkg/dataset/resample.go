package dataset

import (
	"image"
	"math"
)

// resample returns a part of a picture at another size, by Catmull–Rom's kernel, widened where the picture shrinks. values: [height,
// width, channels], of a picture of the given width. A part that has the right size already is returned as it is, to the bit.
func resample(values []float32, width, channels int, part image.Rectangle, toHeight, toWidth int) []float32 {
	across := make([]float32, part.Dy()*toWidth*channels) // [part's height, toWidth, channels]
	columns := kernels(part.Dx(), toWidth)
	for y := range part.Dy() {
		row := values[((part.Min.Y+y)*width+part.Min.X)*channels:]
		for x, k := range columns {
			into := across[(y*toWidth+x)*channels:][:channels]
			for i, weight := range k.weights {
				for c := range into {
					into[c] += weight * row[(k.first+i)*channels+c]
				}
			}
		}
	}
	fitted := make([]float32, toHeight*toWidth*channels)
	line := toWidth * channels
	for y, k := range kernels(part.Dy(), toHeight) {
		into := fitted[y*line:][:line]
		for i, weight := range k.weights {
			for j, value := range across[(k.first+i)*line:][:line] {
				into[j] += weight * value
			}
		}
	}
	return fitted
}

// Resample returns a picture, [height, width, channels], at another size, as pictures of a folder are scaled.
func Resample(values []float32, height, width, channels, toHeight, toWidth int) []float32 {
	return resample(values, width, channels, image.Rect(0, 0, width, height), toHeight, toWidth)
}

// kernel is which values of a line one of another length is made of. The weights' sum is 1.
type kernel struct {
	first   int
	weights []float32
}

// kernels are those of each place of a line of so many values, made of one of others.
func kernels(from, to int) []kernel {
	all := make([]kernel, to)
	ratio := float64(from) / float64(to)
	widened := max(ratio, 1)
	for i := range all {
		if from == to {
			all[i] = kernel{i, []float32{1}}
			continue
		}
		centre := (float64(i)+0.5)*ratio - 0.5
		first := max(0, int(math.Ceil(centre-2*widened)))
		last := min(from-1, int(math.Floor(centre+2*widened)))
		weights, sum := make([]float64, last-first+1), 0.0
		for j := range weights {
			weights[j] = catmullRom((float64(first+j) - centre) / widened)
			sum += weights[j]
		}
		all[i].first = first
		for _, weight := range weights {
			all[i].weights = append(all[i].weights, float32(weight/sum))
		}
	}
	return all
}

// catmullRom is the cubic kernel with B = 0 and C = 1/2 (Mitchell & Netravali 1988).
func catmullRom(t float64) float64 {
	t = math.Abs(t)
	switch {
	case t < 1:
		return (1.5*t-2.5)*t*t + 1
	case t < 2:
		return ((-0.5*t+2.5)*t-4)*t + 2
	}
	return 0
}
