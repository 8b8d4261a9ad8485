package evaluate

import (
	"context"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/array"
	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
)

// linearVAE is a VAE without hidden layers, x = W z + b + σ ε, whose likelihood is known: N(b, W Wᵀ + σ² I). Its posterior
// has the right mean, and variances that are right but for the correlation between dimensions.
type linearVAE struct {
	model   *model.VAE
	weights []*tensors.Tensor
	pixels  int
	w       *mat.Dense // [latent, pixels], the last layer's
	bias    []float64
}

func newLinearVAE(pixels, latent int, deviation float64) linearVAE {
	values := func(stream, n int) []float64 {
		wide := make([]float64, n)
		for i, value := range random.NewSeed(2).Child(stream).Normal(n, 0.4) {
			wide[i] = float64(value)
		}
		return wide
	}
	l := linearVAE{
		model: &model.VAE{Network: model.Network{Latent: latent, Activation: "linear", Init: "glorot"}, Likelihood: "gaussian", Deviation: deviation,
			Beta: 1, Bound: "elbo", Samples: 1},
		pixels: pixels, w: mat.NewDense(latent, pixels, values(0, latent*pixels)), bias: values(1, pixels),
	}
	// q(z | x): precision I + W Wᵀ / σ², mean covariance · W (x − b) / σ².
	precision := mat.NewSymDense(latent, nil)
	precision.SymOuterK(1/(deviation*deviation), l.w)
	for i := range latent {
		precision.SetSym(i, i, precision.At(i, i)+1)
	}
	var covariance, encoder mat.Dense
	if err := covariance.Inverse(precision); err != nil {
		panic(err)
	}
	encoder.Mul(&covariance, l.w)
	encoder.Scale(1/(deviation*deviation), &encoder)
	tensor := func(m mat.Matrix, dims ...int) *tensors.Tensor {
		var flat []float32
		rows, columns := m.Dims()
		for i := range rows {
			for j := range columns {
				flat = append(flat, float32(m.At(i, j)))
			}
		}
		return tensors.FromFlatDataAndDimensions(flat, dims...)
	}
	var shift mat.Dense
	shift.Mul(&encoder, mat.NewDense(pixels, 1, l.bias))
	shift.Scale(-1, &shift)
	logVariance := mat.NewDense(latent, 1, nil)
	for i := range latent {
		logVariance.Set(i, 0, math.Log(covariance.At(i, i)))
	}
	l.weights = []*tensors.Tensor{
		tensor(encoder.T(), pixels, latent), tensor(&shift, latent),
		tensor(mat.NewDense(pixels, latent, nil), pixels, latent), tensor(logVariance, latent),
		tensor(l.w, latent, pixels), tensor(mat.NewDense(pixels, 1, l.bias), pixels),
	}
	return l
}

// negativeLogLikelihood is −log N(x; b, W Wᵀ + σ² I) of an image of pixels in [-1, 1].
func (l linearVAE) negativeLogLikelihood(x []float64) float64 {
	covariance := mat.NewSymDense(l.pixels, nil)
	covariance.SymOuterK(1, l.w.T())
	for i := range l.pixels {
		covariance.SetSym(i, i, covariance.At(i, i)+l.model.Deviation*l.model.Deviation)
	}
	var factor mat.Cholesky
	if !factor.Factorize(covariance) {
		panic("the covariance is not positive definite")
	}
	difference := mat.NewVecDense(l.pixels, nil)
	for i := range x {
		difference.SetVec(i, x[i]-l.bias[i])
	}
	var solved mat.VecDense
	if err := factor.SolveVecTo(&solved, difference); err != nil {
		panic(err)
	}
	return 0.5 * (mat.Dot(difference, &solved) + factor.LogDet() + float64(l.pixels)*math.Log(2*math.Pi))
}

// The estimated log-likelihood of a linear VAE is that of its closed form, to 0.02 nat, and its evidence bound lies below.
func TestLikelihoodOfLinearVAE(t *testing.T) {
	const side, latent, images, draws = 4, 3, 23, 4010
	pictures := &dataset.Samples{Height: side, Width: side, Channels: 1, Values: array.Values{Uint8: make([]uint8, images*side*side)}}
	var unit [images][]float64
	for i := range images {
		x := make([]float64, side*side)
		for j := range x {
			pixel := uint8(random.NewSeed(8).Block(uint32(i), uint32(j))[0])
			pictures.Values.Uint8[i*side*side+j] = pixel
			x[j] = float64(pixel)/127.5 - 1
		}
		unit[i] = x
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		l, want := newLinearVAE(side*side, latent, 0.3), 0.0
		for _, x := range unit {
			want += l.negativeLogLikelihood(x) / images
		}
		evaluator, err := New(b.Compute, Spec{Model: l.model, Loss: model.Loss{Kind: "mse"}, Seed: 1}, like(model.Image{Height: side, Width: side, Channels: 1}))
		if err != nil {
			t.Fatal(err)
		}
		found, err := evaluator.Likelihood(context.Background(), l.weights, pictures, draws, images)
		if err != nil {
			t.Fatal(err)
		}
		if got := found.Figures["nll_grey"].Mean; math.Abs(got-want) > 0.02 {
			t.Errorf("the negative log-likelihood is %.4f, want %.4f ± 0.02", got, want)
		}
		if bound := -found.Figures["elbo_grey"].Mean; bound < want {
			t.Errorf("the evidence bound is %.4f, above the log-likelihood %.4f", -bound, -want)
		}
		if found.Draws != draws || found.Images != images || found.Figures["active_units"].Mean != latent {
			t.Errorf("found %+v", found)
		}
		sum := 0.0
		for _, value := range found.Divergence {
			sum += value
		}
		if kl := found.Figures["kl"].Mean; len(found.Divergence) != latent || math.Abs(sum-kl) > 1e-6*kl {
			t.Errorf("divergences %v, want %d that sum to %g", found.Divergence, latent, kl)
		}

		// The loss of training is −bound, but for the draw of z.
		result, err := evaluator.Measure(context.Background(), l.weights, pictures)
		if err != nil {
			t.Fatal(err)
		}
		terms := result.Terms["reconstruction"].Mean + result.Terms["kl"].Mean
		if math.Abs(result.Loss.Mean-terms) > 1e-4 || math.Abs(result.Terms["kl"].Mean-found.Figures["kl"].Mean) > 1e-5 {
			t.Errorf("loss %v with terms %v; KL %v", result.Loss, result.Terms, found.Figures["kl"])
		}
	})
}

// A dimension whose posterior is the prior is not active and has no divergence. A model without a likelihood has no figures,
// and a loss that is none no bound.
func TestLikelihoodCollapsed(t *testing.T) {
	const side = 3
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		measure := func(m model.Model, weights []*tensors.Tensor) *Likelihood {
			evaluator, err := New(b.Compute, Spec{Model: m, Loss: model.Loss{Kind: "mse"}}, like(model.Image{Height: side, Width: side, Channels: 1}))
			if err != nil {
				t.Fatal(err)
			}
			found, err := evaluator.Likelihood(context.Background(), weights, pictures(30, side, side), 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		m := &model.VAE{Network: model.Network{Latent: 2, Activation: "linear", Init: "glorot"}, Likelihood: "bernoulli", Binarise: "dynamic", Deviation: 1,
			Beta: 1, Bound: "iwae", Samples: 3}
		var weights []*tensors.Tensor
		for _, param := range model.Params(m, model.Image{Height: side, Width: side, Channels: 1}) {
			values := make([]float32, param.Size())
			if param.Name == "encoder.mean.weight" {
				values[0] = 1 // the first pixel to the first dimension
			}
			weights = append(weights, tensors.FromFlatDataAndDimensions(values, param.Dims...))
		}
		found := measure(m, weights)
		if found.Figures["active_units"].Mean != 1 || found.Divergence[0] < 0.1 || found.Divergence[1] != 0 {
			t.Errorf("one dimension of two is used, found %+v", found)
		}
		// A decoder of zeros gives each pixel ½: its reconstruction costs 9 log 2, whatever the image.
		want := -9*math.Ln2 - found.Figures["kl"].Mean
		if got := found.Figures["elbo_dyn"].Mean; math.Abs(got-want) > 1e-5 {
			t.Errorf("the evidence bound is %g, want %g", got, want)
		}
		if _, has := found.Figures["nll_dyn"]; has {
			t.Error("a log-likelihood was estimated that nobody asked for")
		}
		m.Binarise = "none"
		if found := measure(m, weights); len(found.Figures) != 2 || found.Figures["kl"].Mean == 0 {
			t.Errorf("figures of a loss that is no likelihood: %v", found.Figures)
		}
		plain, weights := identity(side * side)
		if found := measure(plain, weights); found != nil {
			t.Errorf("figures of a model without a likelihood: %v", found)
		}
	})
}

// Sums of numbers far beyond float64's exponents, in any order.
func TestLogSum(t *testing.T) {
	for _, logs := range [][]float32{{-5000, -4000, -4000}, {-4000, -4000, -5000}} {
		var sum logSum
		sum.add(logs[:1])
		sum.add(logs[1:])
		if want := -4000 + math.Ln2; !(math.Abs(sum.log()-want) <= 1e-9) { // NaN fails too
			t.Errorf("the log of the sum of e^%v is %g, want %g", logs, sum.log(), want)
		}
	}
}
