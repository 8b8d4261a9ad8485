// Package projection lays points of many dimensions out on a plane, for a picture of them.
//
//	plane, explained, err := projection.PCA(codes)  // codes: [codes, dimensions]; plane: [codes, 2]
//	plane, err := projection.TSNE(ctx, codes)
//
// Promised: the same points give the same plane, to the bit on one machine; nothing is drawn at random.
//
// What is not here: where codes come from, and drawing them (pkg/evaluate).
package projection

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// planar is the number of dimensions of a plane.
const planar = 2

// PCA projects points on the two directions in which they vary most: [points, dimensions] → [points, 2], centred. explained
// are the parts of the whole variance along the two, 0 where the points are all the same. Points of one dimension have a
// second coordinate of 0. There must be two points or more.
//
// A direction's sign, which is arbitrary, is such that its largest component is positive.
func PCA(points *mat.Dense) (plane *mat.Dense, explained [planar]float64, err error) {
	n, dimensions := points.Dims()
	var components stat.PC
	if n < 2 || !components.PrincipalComponents(points, nil) {
		return nil, explained, errors.New("principal components: want two points or more, all finite")
	}
	directions := new(mat.Dense)
	components.VectorsTo(directions)
	variances := components.VarsTo(nil)
	if total := floats.Sum(variances); total > 0 {
		for k := range min(planar, len(variances)) {
			explained[k] = variances[k] / total
		}
	}
	centred := mat.DenseCopyOf(points)
	for j := range dimensions {
		column := mat.Col(nil, j, points)
		floats.AddConst(-stat.Mean(column, nil), column)
		centred.SetCol(j, column)
	}
	plane = mat.NewDense(n, planar, nil)
	for k := range min(planar, len(variances)) {
		direction := mat.Col(nil, k, directions)
		if largest := floats.MaxIdx(magnitudes(direction)); direction[largest] < 0 {
			floats.Scale(-1, direction)
		}
		var along mat.VecDense
		along.MulVec(centred, mat.NewVecDense(dimensions, direction))
		plane.SetCol(k, along.RawVector().Data)
	}
	return plane, explained, nil
}

func magnitudes(values []float64) []float64 {
	all := make([]float64, len(values))
	for i, value := range values {
		all[i] = math.Abs(value)
	}
	return all
}
