// Package mixture fits a mixture of normal distributions to codes, and draws from it: a sampler for every autoencoder, also
// for one whose codes have no prior (Ghosh et al. 2020, section 4).
//
//	fitted, err := mixture.Fit(codes, 10, random.NewSeed(1)) // codes: [codes, dimensions]
//	drawn := fitted.Draw(64, random.NewSeed(2))              // [64, dimensions]
//
// Promised: the same codes and seed give the same mixture, and no step of the fit lowers the likelihood, but for the little
// that is added to each variance.
//
// What is not here: where codes come from and what becomes of them (pkg/evaluate).
package mixture

import (
	"errors"
	"fmt"
	"math"
	"runtime"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"latent/pkg/random"
)

// Mixture is Σ πₖ N(μₖ, Σₖ), with whole covariances.
type Mixture struct {
	Weights     []float64       // πₖ, which sum to 1
	Means       *mat.Dense      // μₖ: [components, dimensions]
	Covariances []*mat.SymDense // Σₖ

	ridge float64 // added to each variance in a step
}

// A fit ends after mostSteps, or when a step raises the mean log-likelihood of a code by less than leastGain nats: the limits of
// scikit-learn.
const (
	mostSteps = 100
	leastGain = 1e-3
)

// relativeRidge is what is added to each variance, as a part of the codes' mean variance: dimensions that are always the same
// have none of their own.
const relativeRidge = 1e-6

// Streams of the seed.
const (
	streamStart = iota
	streamComponents
	streamNormals
)

// Fit fits a mixture to points, [points, dimensions], by expectation and maximisation (Dempster, Laird & Rubin 1977) from a
// start by k-means++ (Arthur & Vassilvitskii 2007).
func Fit(points *mat.Dense, components int, seed random.Seed) (*Mixture, error) {
	n, _ := points.Dims()
	if n < components || components < 1 {
		return nil, fmt.Errorf("fit a mixture: %d components to %d codes", components, n)
	}
	m := start(points, components, seed.Child(streamStart))
	last := math.Inf(-1)
	for range mostSteps {
		likelihood, err := m.step(points)
		if err != nil {
			return nil, err
		}
		if likelihood-last < leastGain {
			break
		}
		last = likelihood
	}
	return m, nil
}

// start gives each point to the nearest of centres chosen by k-means++: each with a probability in proportion to its squared
// distance from the nearest one before.
func start(points *mat.Dense, components int, seed random.Seed) *Mixture {
	n, dimensions := points.Dims()
	uniform := seed.Uniform(components)
	nearest, distance := make([]int, n), make([]float64, n)
	floats.AddConst(math.Inf(1), distance)
	next := int((float64(uniform[0]) + 1) / 2 * float64(n))
	for k := range components {
		if k > 0 {
			next = pick(distance, (float64(uniform[k])+1)/2)
		}
		centre := points.RawRowView(next)
		for i := range n {
			if d := floats.Distance(points.RawRowView(i), centre, 2); d*d < distance[i] {
				distance[i], nearest[i] = d*d, k
			}
		}
	}
	total := 0.0
	for j := range dimensions {
		total += stat.PopVariance(mat.Col(nil, j, points), nil)
	}
	m := &Mixture{
		Weights: make([]float64, components), Means: mat.NewDense(components, dimensions, nil),
		Covariances: make([]*mat.SymDense, components), ridge: max(relativeRidge*total/float64(dimensions), 1e-12),
	}
	given := mat.NewDense(n, components, nil)
	for i, k := range nearest {
		given.Set(i, k, 1)
	}
	m.maximise(points, given)
	return m
}

// pick returns the place at which the running sum of weights passes a part of their sum.
func pick(weights []float64, part float64) int {
	left := part * floats.Sum(weights)
	for i, weight := range weights {
		if left -= weight; left < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// step is one of expectation and one of maximisation. It returns the mean log-likelihood of a point before it.
func (m *Mixture) step(points *mat.Dense) (float64, error) {
	logs, err := m.logJoint(points)
	if err != nil {
		return 0, err
	}
	n, _ := points.Dims()
	sum := 0.0
	for i := range n {
		row := logs.RawRowView(i)
		log := floats.LogSumExp(row)
		sum += log
		for k := range row {
			row[k] = math.Exp(row[k] - log)
		}
	}
	m.maximise(points, logs)
	return sum / float64(n), nil
}

// maximise gives the components the moments of their points. given: [points, components], the part of each point that is a
// component's.
func (m *Mixture) maximise(points, given *mat.Dense) {
	n, dimensions := points.Dims()
	m.each(func(k int) error {
		part := mat.Col(nil, k, given)
		sum := floats.Sum(part)
		m.Weights[k] = sum / float64(n)
		if sum < 1e-9 && m.Covariances[k] != nil {
			return nil // nothing is left for it: it stays where it is
		}
		mean := m.Means.RawRowView(k)
		blas64.Gemv(blas.Trans, 1/sum, points.RawMatrix(), blas64.Vector{N: n, Inc: 1, Data: part},
			0, blas64.Vector{N: dimensions, Inc: 1, Data: mean})
		centred := mat.DenseCopyOf(points)
		for i := range n {
			row := centred.RawRowView(i)
			floats.Sub(row, mean)
			floats.Scale(math.Sqrt(part[i]/sum), row)
		}
		covariance := mat.NewSymDense(dimensions, nil)
		covariance.SymOuterK(1, centred.T())
		for j := range dimensions {
			covariance.SetSym(j, j, covariance.At(j, j)+m.ridge)
		}
		m.Covariances[k] = covariance
		return nil
	})
}

// each calls do for each component, on several cores.
func (m *Mixture) each(do func(k int) error) error {
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for k := range m.Weights {
		workers.Go(func() error { return do(k) })
	}
	return workers.Wait()
}

// logJoint returns log πₖ N(xᵢ; μₖ, Σₖ): [points, components].
func (m *Mixture) logJoint(points *mat.Dense) (*mat.Dense, error) {
	n, dimensions := points.Dims()
	logs := mat.NewDense(n, len(m.Weights), nil)
	err := m.each(func(k int) error {
		factor, err := m.factor(k)
		if err != nil {
			return err
		}
		lower := new(mat.TriDense)
		factor.LTo(lower)
		// Rows y = L⁻¹ (x − μ): |y|² is the squared distance under Σ = L Lᵀ.
		centred := mat.DenseCopyOf(points)
		for i := range n {
			floats.Sub(centred.RawRowView(i), m.Means.RawRowView(k))
		}
		blas64.Trsm(blas.Right, blas.Trans, 1, lower.RawTriangular(), centred.RawMatrix())
		constant := math.Log(m.Weights[k]) - 0.5*(factor.LogDet()+float64(dimensions)*math.Log(2*math.Pi))
		for i := range n {
			row := centred.RawRowView(i)
			logs.Set(i, k, constant-0.5*floats.Dot(row, row))
		}
		return nil
	})
	return logs, err
}

// factor returns the Cholesky factor of a component's covariance.
func (m *Mixture) factor(k int) (*mat.Cholesky, error) {
	factor := new(mat.Cholesky)
	if !factor.Factorize(m.Covariances[k]) {
		return nil, errors.New("fit a mixture: the codes' covariance has no Cholesky factor: the codes are almost identical, or not finite")
	}
	return factor, nil
}

// LogDensity returns the log of the mixture's density at each point.
func (m *Mixture) LogDensity(points *mat.Dense) ([]float64, error) {
	logs, err := m.logJoint(points)
	if err != nil {
		return nil, err
	}
	n, _ := points.Dims()
	values := make([]float64, n)
	for i := range values {
		values[i] = floats.LogSumExp(logs.RawRowView(i))
	}
	return values, nil
}

// Draw draws n points: [n, dimensions].
func (m *Mixture) Draw(n int, seed random.Seed) (*mat.Dense, error) {
	_, dimensions := m.Means.Dims()
	factors := make([]*mat.TriDense, len(m.Weights))
	for k := range factors {
		factor, err := m.factor(k)
		if err != nil {
			return nil, err
		}
		factors[k] = new(mat.TriDense)
		factor.LTo(factors[k])
	}
	uniform := seed.Child(streamComponents).Uniform(n)
	normal := seed.Child(streamNormals).Normal(n*dimensions, 1)
	drawn := mat.NewDense(n, dimensions, nil)
	for i := range n {
		k := pick(m.Weights, (float64(uniform[i])+1)/2)
		noise := mat.NewVecDense(dimensions, nil)
		for j := range dimensions {
			noise.SetVec(j, float64(normal[i*dimensions+j]))
		}
		point := mat.NewVecDense(dimensions, drawn.RawRowView(i))
		point.MulVec(factors[k], noise)
		point.AddVec(point, m.Means.RowView(k))
	}
	return drawn, nil
}
