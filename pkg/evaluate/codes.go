package evaluate

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Codes are points of a model's latent space: Values holds Size numbers of each, one code after another.
type Codes struct {
	Size   int
	Values []float32
	// Labels are the classes of the images to come, for a model that is given them; see model.Conditional.
	Labels []uint8
}

// Len is the number of codes.
func (c Codes) Len() int { return len(c.Values) / max(1, c.Size) }

// At is code i: a part of Values, not a copy.
func (c Codes) At(i int) []float32 { return c.Values[i*c.Size : (i+1)*c.Size : (i+1)*c.Size] }

// column returns value k of all codes.
func (c Codes) column(k int) []float64 {
	values := make([]float64, c.Len())
	for i := range values {
		values[i] = float64(c.Values[i*c.Size+k])
	}
	return values
}

// Straight returns n codes on the straight line (1 − t) a + t b, t from 0 to 1, both ends among them. a, b: [latent], n at
// least 2.
func Straight(a, b []float32, n int) Codes {
	return between(a, b, n, func(t float64) (forA, forB float64) { return 1 - t, t })
}

// Spherical returns n codes on the arc from a to b, both ends among them (slerp; Shoemake 1985, section 3.3):
//
//	sin((1 − t) Ω)/sin Ω a + sin(t Ω)/sin Ω b,   Ω the angle between a and b
//
// Normal codes of many dimensions lie near a sphere, and those of a straight line's middle do not. Where there is no arc, for
// codes that are zero or point the same or the opposite way, it is [Straight]. a, b: [latent], n at least 2.
func Spherical(a, b []float32, n int) Codes {
	var dot, lengthA, lengthB float64
	for k := range a {
		dot += float64(a[k]) * float64(b[k])
		lengthA += float64(a[k]) * float64(a[k])
		lengthB += float64(b[k]) * float64(b[k])
	}
	angle := math.Acos(min(max(dot/math.Sqrt(lengthA*lengthB), -1), 1)) // NaN where one is zero
	sin := math.Sin(angle)
	if !(sin > parallel) {
		return Straight(a, b, n)
	}
	return between(a, b, n, func(t float64) (forA, forB float64) {
		return math.Sin((1-t)*angle) / sin, math.Sin(t*angle) / sin
	})
}

// parallel is the sine of an angle below which float32 codes do not tell its plane.
const parallel = 1e-4

// between returns n weighted sums of a and b, for t from 0 to 1.
func between(a, b []float32, n int, weights func(t float64) (forA, forB float64)) Codes {
	codes := Codes{Size: len(a)}
	for i := range n {
		forA, forB := weights(float64(i) / float64(n-1))
		for k := range a {
			codes.Values = append(codes.Values, float32(forA*float64(a[k])+forB*float64(b[k])))
		}
	}
	return codes
}

// Axis is a dimension of the codes, and where its values lie.
type Axis struct {
	Dimension         int
	Centre, Deviation float64
}

// PriorAxes are those of codes from a standard normal distribution.
func PriorAxes(size int) []Axis {
	axes := make([]Axis, size)
	for k := range axes {
		axes[k] = Axis{Dimension: k, Deviation: 1}
	}
	return axes
}

// Axes have the mean and the standard deviation of codes.
func (c Codes) Axes() []Axis {
	axes := make([]Axis, c.Size)
	for k := range axes {
		mean, variance := stat.PopMeanVariance(c.column(k), nil)
		axes[k] = Axis{Dimension: k, Centre: mean, Deviation: math.Sqrt(variance)}
	}
	return axes
}

// Foremost returns the n axes with the largest score, or all where there are fewer, the largest first. scores: one for each
// axis.
func Foremost(axes []Axis, scores []float64, n int) []Axis {
	order := make([]int, len(axes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(scores[j], scores[i]) })
	var foremost []Axis
	for _, i := range order[:min(n, len(order))] {
		foremost = append(foremost, axes[i])
	}
	return foremost
}

// Traverse returns codes that differ from a base in one value each: for each axis a row of as many as there are positions, in
// standard deviations from its centre. base: [latent].
func Traverse(base []float32, axes []Axis, positions []float64) Codes {
	codes := Codes{Size: len(base)}
	for _, axis := range axes {
		for _, position := range positions {
			code := slices.Clone(base)
			code[axis.Dimension] = float32(axis.Centre + position*axis.Deviation)
			codes.Values = append(codes.Values, code...)
		}
	}
	return codes
}

// Manifold returns all pairs of coordinates as codes of two values, in the rows of a picture: the first value rises to the
// right, the second upwards.
func Manifold(first, second []float64) Codes {
	codes := Codes{Size: 2}
	for _, y := range slices.Backward(second) {
		for _, x := range first {
			codes.Values = append(codes.Values, float32(x), float32(y))
		}
	}
	return codes
}

// The part of a distribution that a manifold shows: between these quantiles.
const lowest, highest = 0.01, 0.99

// PriorCoordinates returns the n quantiles of the standard normal distribution from 0.01 to 0.99, evenly spaced by their
// probability.
func PriorCoordinates(n int) []float64 {
	coordinates := floats.Span(make([]float64, n), lowest, highest)
	for i, p := range coordinates {
		coordinates[i] = distuv.UnitNormal.Quantile(p)
	}
	return coordinates
}

// Coordinates returns n evenly spaced values from the 0.01 to the 0.99 quantile of a dimension of codes.
func (c Codes) Coordinates(dimension, n int) []float64 {
	values := c.column(dimension)
	slices.Sort(values)
	at := func(p float64) float64 { return stat.Quantile(p, stat.Empirical, values, nil) }
	return floats.Span(make([]float64, n), at(lowest), at(highest))
}

// Points are the rows of a matrix: [points, 2].
func Points(m mat.Matrix) [][2]float64 {
	n, _ := m.Dims()
	points := make([][2]float64, n)
	for i := range points {
		points[i] = [2]float64{m.At(i, 0), m.At(i, 1)}
	}
	return points
}
