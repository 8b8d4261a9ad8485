package evaluate

import (
	"context"
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/dataset"
	"latent/pkg/model"
)

// Likelihood is what a model with a likelihood makes of images, in nats.
type Likelihood struct {
	// Figures are those of [LikelihoodMetrics] that are defined for the model.
	Figures map[string]Figure
	// Observed says what the likelihood is of (see model.Density); "" where the model's loss is none.
	Observed string
	// Draws and Images are how many of each the log-likelihood rests on; 0 where it was not asked for.
	Draws, Images int
	// Divergence is KL(q(z | x) ‖ p(z)) of each dimension of the code, the mean over images; one number where only the whole has one.
	Divergence []float64
}

// activeVariance is the variance over images of the posterior's mean above which a dimension is active (Burda et al. 2016,
// section 5.2).
const activeVariance = 0.01

// The log-likelihood's program takes at most so many images, fewer where memory wants it, and draws so many codes of each in a call: about as many rows of the
// decoder's products as the processor's cache holds.
const (
	weighedImages = 20
	weighedDraws  = 50
)

// likelihood are the programs of a model with a likelihood. A run needs them once, at its end: they are compiled then.
type likelihood struct {
	evidence, weights *program
}

// Likelihood measures a model with a likelihood on all images, and estimates the log-likelihood of the first limit of them by
// importance sampling: −log p(x) ≈ −log 1/K Σ p(x, zᵢ) / q(zᵢ | x) with K draws zᵢ of q(z | x), an upper bound in expectation
// (Burda et al. 2016, section 5). With draws or limit 0 it leaves that out. Of a model without a likelihood it returns nil.
//
// The images are those that Measure draws from grey ones, with the evaluation's seed, and are not damaged.
func (e *Evaluator) Likelihood(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples, draws, limit int) (*Likelihood, error) {
	density, ok := e.spec.Model.(model.Density)
	if !ok {
		return nil, nil
	}
	if err := e.compileLikelihood(density); err != nil {
		return nil, err
	}
	result := &Likelihood{Figures: map[string]Figure{}, Observed: density.Observed()}
	if err := e.measureEvidence(ctx, weights, images, result); err != nil {
		return nil, err
	}
	if limit = min(limit, images.Len()); limit == 0 || draws == 0 || result.Observed == "" {
		return result, nil
	}
	result.Draws, result.Images = draws, limit
	values, err := e.negativeLogLikelihood(ctx, weights, images, draws, limit)
	if err != nil {
		return nil, err
	}
	result.Figures["nll_"+result.Observed] = figure(values)
	return result, nil
}

// compileLikelihood compiles the programs where that was not done before.
func (e *Evaluator) compileLikelihood(m model.Density) error {
	if e.later.likelihood.weights != nil {
		return nil
	}
	evidence, err := e.compile(func(inputs []*Node) []*Node {
		in := e.read(inputs)
		found := m.Evidence(in.pass(streamDraws), m.Observe(in.pass(streamModel), in.images))
		return []*Node{found.Mean, found.Divergence, found.Cost}
	})
	if err != nil {
		return fmt.Errorf("build the evidence bound: %w", err)
	}
	weigh := func(inputs []*Node) []*Node {
		in := e.read(inputs)
		pass := in.pass(streamDraws)
		pass.Key = pass.Key.At(in.call)
		return []*Node{m.LogWeights(pass, m.Observe(in.pass(streamModel), in.images), weighedDraws)}
	}
	images := min(weighedImages, e.fitting(e.inputShapes, weigh))
	weights, err := e.compileFor(images, e.inputShapes(images), weigh)
	if err != nil {
		return fmt.Errorf("build the log-likelihood: %w", err)
	}
	e.later.likelihood.evidence, e.later.likelihood.weights = evidence, weights
	return nil
}

// measureEvidence enters the figures of the posterior and the evidence bound.
func (e *Evaluator) measureEvidence(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples, result *Likelihood) error {
	n := images.Len()
	var bounds, divergences []float64
	var sums, squares []float64 // over images, of the posterior's mean, for each dimension
	batch := e.later.likelihood.evidence.images
	for first := 0; first < n; first += batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		outputs, err := e.call(e.later.likelihood.evidence, weights, images, first, 0)
		if err != nil {
			return err
		}
		var values [3][]float32
		for i := range values {
			if values[i], err = tensors.CopyFlatData[float32](outputs[i]); err != nil {
				return err
			}
		}
		means, parts, costs := values[0], values[1], values[2]
		latent, divided := len(means)/batch, len(parts)/batch
		if sums == nil {
			sums, squares, result.Divergence = make([]float64, latent), make([]float64, latent), make([]float64, divided)
		}
		for i := range min(batch, n-first) {
			for d, mean := range means[i*latent:][:latent] {
				sums[d] += float64(mean)
				squares[d] += float64(mean) * float64(mean)
			}
			total := 0.0
			for d, part := range parts[i*divided:][:divided] {
				result.Divergence[d] += float64(part) / float64(n)
				total += float64(part)
			}
			divergences = append(divergences, total)
			bounds = append(bounds, -float64(costs[i])-total)
		}
	}
	active := 0.0
	for d := range sums {
		if mean := sums[d] / float64(n); squares[d]/float64(n)-mean*mean > activeVariance {
			active++
		}
	}
	result.Figures["kl"], result.Figures["active_units"] = figure(divergences), Figure{Mean: active}
	if result.Observed != "" {
		result.Figures["elbo_"+result.Observed] = figure(bounds)
	}
	return nil
}

// negativeLogLikelihood estimates −log p(x) of the first n images.
func (e *Evaluator) negativeLogLikelihood(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples, draws, n int) ([]float64, error) {
	var values []float64
	batch := e.later.likelihood.weights.images
	for first := 0; first < n; first += batch {
		sums := make([]logSum, min(batch, n-first))
		for done := 0; done < draws; done += weighedDraws {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			outputs, err := e.call(e.later.likelihood.weights, weights, images, first, done/weighedDraws)
			if err != nil {
				return nil, err
			}
			logs, err := tensors.CopyFlatData[float32](outputs[0])
			if err != nil {
				return nil, err
			}
			for i := range sums {
				sums[i].add(logs[i*weighedDraws:][:min(weighedDraws, draws-done)])
			}
		}
		for _, sum := range sums {
			values = append(values, math.Log(float64(draws))-sum.log())
		}
	}
	return values, nil
}

// logSum is a sum of numbers that are given by their logarithms: scaled so that the largest is 1.
type logSum struct {
	largest, scaled float64
}

func (s *logSum) add(logs []float32) {
	for _, log := range logs {
		switch x := float64(log); {
		case math.IsInf(x, -1): // adds 0
		case s.scaled == 0:
			s.largest, s.scaled = x, 1
		case x > s.largest:
			s.scaled = s.scaled*math.Exp(s.largest-x) + 1
			s.largest = x
		default:
			s.scaled += math.Exp(x - s.largest)
		}
	}
}

// log returns the logarithm of the sum.
func (s *logSum) log() float64 { return s.largest + math.Log(s.scaled) }

// LikelihoodMetrics tells of the figures of models with a likelihood, in the order of tables; see [Evaluator.Likelihood].
var LikelihoodMetrics = []Metric{
	{Name: "nll_dyn", Unit: "nats"},
	{Name: "nll_static", Unit: "nats"},
	{Name: "nll_grey", Unit: "nats"},
	{Name: "nll_byte", Unit: "nats"},
	{Name: "elbo_dyn", Unit: "nats", Higher: true},
	{Name: "elbo_static", Unit: "nats", Higher: true},
	{Name: "elbo_grey", Unit: "nats", Higher: true},
	{Name: "elbo_byte", Unit: "nats", Higher: true},
	{Name: "kl", Unit: "nats"},
	{Name: "active_units", Title: "active units"},
}
