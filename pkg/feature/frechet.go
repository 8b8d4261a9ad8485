package feature

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// Gaussian is a normal distribution by its moments.
type Gaussian struct {
	Mean       []float64
	Covariance *mat.SymDense
}

// Fit returns the moments of points, [points, dimensions]: their mean, and their covariance as of a sample, with n − 1.
func Fit(points *mat.Dense) Gaussian {
	_, dimensions := points.Dims()
	g := Gaussian{Mean: make([]float64, dimensions), Covariance: mat.NewSymDense(dimensions, nil)}
	for j := range g.Mean {
		g.Mean[j] = stat.Mean(mat.Col(nil, j, points), nil)
	}
	stat.CovarianceMatrix(g.Covariance, points, nil)
	return g
}

// Frechet returns the squared Fréchet distance of two normal distributions,
//
//	|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)
//
// Source: Dowson & Landau 1982, equation 16. It is squared as in the distances of the literature on generated images, and in
// units of squared features. Of moments of samples it is too large, the more so the fewer the samples: compare figures of equal
// numbers.
//
// Σ₁ Σ₂ is not symmetric, but has the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is, and whose root's trace is the one wanted.
func Frechet(a, b Gaussian) (float64, error) {
	distance := mat.Trace(a.Covariance) + mat.Trace(b.Covariance)
	for i := range a.Mean {
		distance += (a.Mean[i] - b.Mean[i]) * (a.Mean[i] - b.Mean[i])
	}
	root, err := squareRoot(a.Covariance)
	if err != nil {
		return 0, err
	}
	var product mat.Dense
	product.Product(root, b.Covariance, root)
	n, _ := product.Dims()
	symmetric := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			symmetric.SetSym(i, j, (product.At(i, j)+product.At(j, i))/2)
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(symmetric, false) {
		return 0, errNoEigenvalues
	}
	for _, value := range eigen.Values(nil) {
		distance -= 2 * math.Sqrt(max(value, 0)) // negative by rounding alone
	}
	return max(distance, 0), nil
}

var errNoEigenvalues = errors.New("compare features: the eigenvalues of their covariance do not converge; check that they are finite")

// squareRoot returns the symmetric square root of a covariance.
func squareRoot(covariance *mat.SymDense) (*mat.Dense, error) {
	var eigen mat.EigenSym
	if !eigen.Factorize(covariance, true) {
		return nil, errNoEigenvalues
	}
	var vectors, root mat.Dense
	eigen.VectorsTo(&vectors)
	values := eigen.Values(nil)
	for i := range values {
		values[i] = math.Sqrt(max(values[i], 0)) // negative by rounding alone
	}
	root.Product(&vectors, mat.NewDiagDense(len(values), values), vectors.T())
	return &root, nil
}
