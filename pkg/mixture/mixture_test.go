package mixture

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"latent/pkg/random"
)

func flat(rows [][]float64) *mat.Dense {
	m := mat.NewDense(len(rows), len(rows[0]), nil)
	for i, row := range rows {
		m.SetRow(i, row)
	}
	return m
}

func symmetric(rows [][]float64) *mat.SymDense {
	return mat.NewSymDense(len(rows), flat(rows).RawMatrix().Data)
}

// Densities and one step of the fit are those of SciPy and NumPy.
func TestStepAgainstSciPy(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Points, Means   [][]float64
		Weights         []float64
		Covariances     [][][]float64
		LogDensity      []float64     `json:"log_density"`
		NextWeights     []float64     `json:"next_weights"`
		NextMeans       [][]float64   `json:"next_means"`
		NextCovariances [][][]float64 `json:"next_covariances"`
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	m := &Mixture{Weights: g.Weights, Means: flat(g.Means)}
	for _, covariance := range g.Covariances {
		m.Covariances = append(m.Covariances, symmetric(covariance))
	}
	points := flat(g.Points)
	density, err := m.LogDensity(points)
	if err != nil {
		t.Fatal(err)
	}
	if !floats.EqualApprox(density, g.LogDensity, 1e-10) {
		t.Errorf("log density %v, want %v", density, g.LogDensity)
	}
	likelihood, err := m.step(points)
	if err != nil {
		t.Fatal(err)
	}
	if want := stat.Mean(g.LogDensity, nil); math.Abs(likelihood-want) > 1e-10 {
		t.Errorf("mean log-likelihood %g, want %g", likelihood, want)
	}
	if !floats.EqualApprox(m.Weights, g.NextWeights, 1e-10) || !mat.EqualApprox(m.Means, flat(g.NextMeans), 1e-10) {
		t.Errorf("after a step: weights %v, want %v; means %v, want %v", m.Weights, g.NextWeights, m.Means, g.NextMeans)
	}
	for k, want := range g.NextCovariances {
		if !mat.EqualApprox(m.Covariances[k], symmetric(want), 1e-10) {
			t.Errorf("after a step: covariance %d is %v, want %v", k, m.Covariances[k], want)
		}
	}
}

// two is a mixture of two components in two dimensions, one of them narrow and slanted, and points drawn from it.
func two(t *testing.T, n int) (*Mixture, *mat.Dense) {
	m := &Mixture{
		Weights: []float64{0.25, 0.75}, Means: flat([][]float64{{3, -1}, {-1, 0.5}}),
		Covariances: []*mat.SymDense{mat.NewSymDense(2, []float64{1, 0.9, 0.9, 1}), mat.NewSymDense(2, []float64{0.5, 0, 0, 0.1})},
	}
	points, err := m.Draw(n, random.NewSeed(5))
	if err != nil {
		t.Fatal(err)
	}
	return m, points
}

// Points that were drawn from a mixture have its mean and covariance, to five standard errors, and a mixture fitted to them is
// that mixture.
func TestDrawAndFit(t *testing.T) {
	const n = 20000
	truth, points := two(t, n)
	// E x = Σ πₖ μₖ; the standard error of the mean is √(variance/n).
	for j, want := range []float64{0.25*3 - 0.75, -0.25 + 0.75*0.5} {
		column := mat.Col(nil, j, points)
		if got, bound := stat.Mean(column, nil), 5*stat.StdDev(column, nil)/math.Sqrt(n); math.Abs(got-want) > bound {
			t.Errorf("mean of dimension %d is %g, want %g ± %g", j, got, want, bound)
		}
	}
	fitted, err := Fit(points, 2, random.NewSeed(1))
	if err != nil {
		t.Fatal(err)
	}
	if fitted.Weights[0] > fitted.Weights[1] { // the order is the start's
		fitted.Weights[0], fitted.Weights[1] = fitted.Weights[1], fitted.Weights[0]
		fitted.Covariances[0], fitted.Covariances[1] = fitted.Covariances[1], fitted.Covariances[0]
		fitted.Means = flat([][]float64{mat.Row(nil, 1, fitted.Means), mat.Row(nil, 0, fitted.Means)})
	}
	if !floats.EqualApprox(fitted.Weights, truth.Weights, 0.02) || !mat.EqualApprox(fitted.Means, truth.Means, 0.05) {
		t.Errorf("fitted weights %v and means %v, want %v and %v", fitted.Weights, fitted.Means, truth.Weights, truth.Means)
	}
	for k := range truth.Covariances {
		if !mat.EqualApprox(fitted.Covariances[k], truth.Covariances[k], 0.05) {
			t.Errorf("fitted covariance %v, want %v", fitted.Covariances[k], truth.Covariances[k])
		}
	}
}

// No step lowers the likelihood, from any start.
func TestLikelihoodRises(t *testing.T) {
	_, points := two(t, 2000)
	for seed := range int64(8) {
		m := start(points, 1+int(seed%4), random.NewSeed(seed))
		m.ridge = 0
		last := math.Inf(-1)
		for step := range 50 {
			likelihood, err := m.step(points)
			if err != nil {
				t.Fatal(err)
			}
			if likelihood < last-1e-12 {
				t.Fatalf("seed %d: step %d lowers the likelihood from %g to %g", seed, step, last, likelihood)
			}
			last = likelihood
		}
	}
}

// A dimension that is always the same, as of an autoencoder's dead unit, is drawn as it is. More components than points, and
// codes that are no numbers, are errors.
func TestDegenerate(t *testing.T) {
	_, points := two(t, 200)
	var wide mat.Dense
	wide.Augment(points, mat.NewDense(200, 1, nil))
	fitted, err := Fit(&wide, 3, random.NewSeed(1))
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := fitted.Draw(100, random.NewSeed(1))
	if err != nil {
		t.Fatal(err)
	}
	if largest := floats.Norm(mat.Col(nil, 2, drawn), math.Inf(1)); largest > 0.02 {
		t.Errorf("a dimension that is always 0 is drawn as far off as %g", largest)
	}
	if _, err := Fit(points, 201, random.NewSeed(1)); err == nil {
		t.Error("201 components of 200 points were fitted")
	}
	wide.Set(3, 0, math.NaN())
	if _, err := Fit(&wide, 2, random.NewSeed(1)); err == nil {
		t.Error("a code that is no number was fitted")
	}
}
