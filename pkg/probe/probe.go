// Package probe asks how much of what a code says of its image a straight line can read: a linear classifier of codes, trained
// on labels.
//
//	fitted, err := probe.Fit(ctx, training, validation, 10)
//	classes := fitted.Classes(codes) // codes: [codes, values]
//
// The classifier is multinomial logistic regression on standardised codes, which minimises
//
//	−1/n Σ log softmax(W z + b)[label] + λ/2 |W|²,   z = (code − mean) / deviation
//
// with the λ of [Strengths] whose classifier is right most often on validation codes. Mean and deviation are those of the
// training codes.
//
// Promised: the same codes give the same classifier, on every number of cores.
//
// What is not here: where codes come from (pkg/evaluate).
package probe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat"
)

// Strengths are the λ that are tried, from strong to weak. Of two that are right equally often, the stronger is taken.
var Strengths = []float64{1e-2, 1e-3, 1e-4, 1e-5, 1e-6}

// Set is codes and their labels.
type Set struct {
	Codes  *mat.Dense // [codes, values]
	Labels []uint8    // [codes]
}

// Probe is a fitted classifier.
type Probe struct {
	// Strength is the λ that was chosen, and ValidationAccuracy the part of the validation codes that is told right with it.
	Strength, ValidationAccuracy float64

	mean, deviation []float64  // of each value
	weights         *mat.Dense // W and, last, b: [classes, values + 1]
}

// Fit trains a classifier of so many classes. The time grows with codes · values · classes: 59,000 codes of 64 values in 10
// classes take some 10 s on two cores.
func Fit(ctx context.Context, training, validation Set, classes int) (*Probe, error) {
	if len(training.Labels) == 0 || len(validation.Labels) == 0 {
		return nil, errors.New("fit a probe: it needs codes to train on and codes for validation")
	}
	_, values := training.Codes.Dims()
	p := &Probe{mean: make([]float64, values), deviation: make([]float64, values)}
	for j := range values {
		p.mean[j], p.deviation[j] = stat.PopMeanStdDev(mat.Col(nil, j, training.Codes), nil)
		if p.deviation[j] <= 1e-9*math.Abs(p.mean[j]) || p.deviation[j] == 0 {
			p.deviation[j] = 1 // it is always the same, and says nothing
		}
	}
	r := newRegression(p.standardised(training.Codes), training.Labels, classes)
	heldOut := p.standardised(validation.Codes)
	weights := make([]float64, classes*(values+1))
	for _, strength := range Strengths {
		var err error
		if weights, err = r.minimise(ctx, strength, weights); err != nil {
			return nil, err
		}
		matrix := mat.NewDense(classes, values+1, slices.Clone(weights))
		if accuracy := Accuracy(likeliest(heldOut, matrix), validation.Labels); p.weights == nil || accuracy > p.ValidationAccuracy {
			p.Strength, p.ValidationAccuracy, p.weights = strength, accuracy, matrix
		}
	}
	return p, nil
}

// standardised returns codes with mean 0 and deviation 1, and a 1 beside each.
func (p *Probe) standardised(codes *mat.Dense) *mat.Dense {
	n, values := codes.Dims()
	z := mat.NewDense(n, values+1, nil)
	for i := range n {
		row := z.RawRowView(i)
		for j, value := range codes.RawRowView(i) {
			row[j] = (value - p.mean[j]) / p.deviation[j]
		}
		row[values] = 1
	}
	return z
}

// Classes returns the likeliest class of each code.
func (p *Probe) Classes(codes *mat.Dense) []uint8 { return likeliest(p.standardised(codes), p.weights) }

func likeliest(z, weights *mat.Dense) []uint8 {
	var logits mat.Dense
	logits.Mul(z, weights.T())
	n, _ := logits.Dims()
	classes := make([]uint8, n)
	for i := range classes {
		classes[i] = uint8(floats.MaxIdx(logits.RawRowView(i)))
	}
	return classes
}

// Accuracy is the part of the classes that are the labels: [codes] each.
func Accuracy(classes, labels []uint8) float64 {
	right := 0
	for i, class := range classes {
		if class == labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(classes))
}

// regression is the function to minimise.
type regression struct {
	parts   []part
	n       int
	shape   [2]int    // classes, values + 1
	at      []float64 // where it was computed last
	loss    float64
	descent []float64 // the gradient there
}

// part is some of the codes. The sums over codes are sums over parts, in their order, whichever core computes which.
type part struct {
	z        *mat.Dense // [codes, values + 1]
	labels   []uint8
	logits   *mat.Dense // [codes, classes]
	gradient *mat.Dense // [classes, values + 1]
	loss     float64
}

const mostParts = 16

func newRegression(z *mat.Dense, labels []uint8, classes int) *regression {
	n, width := z.Dims()
	r := &regression{n: n, shape: [2]int{classes, width}, descent: make([]float64, classes*width)}
	size := (n + mostParts - 1) / mostParts
	for first := 0; first < n; first += size {
		last := min(first+size, n)
		r.parts = append(r.parts, part{
			z: z.Slice(first, last, 0, width).(*mat.Dense), labels: labels[first:last],
			logits: mat.NewDense(last-first, classes, nil), gradient: mat.NewDense(classes, width, nil),
		})
	}
	return r
}

// A fit ends where no element of the gradient is larger than steepest, or after mostSteps. With a tenth of that, a probe of a
// variational autoencoder's codes of MNIST took twice as long, and came from 91.79 % to 91.83 %.
const (
	steepest  = 1e-4
	mostSteps = 300
)

// minimise returns the weights at the minimum, from a start.
func (r *regression) minimise(ctx context.Context, strength float64, start []float64) ([]float64, error) {
	r.at = nil
	result, err := optimize.Minimize(optimize.Problem{
		Func: func(w []float64) float64 { r.compute(w, strength); return r.loss },
		Grad: func(gradient, w []float64) { r.compute(w, strength); copy(gradient, r.descent) },
		Status: func() (optimize.Status, error) {
			if ctx.Err() != nil {
				return optimize.Failure, ctx.Err()
			}
			return optimize.NotTerminated, nil
		},
	}, start, &optimize.Settings{GradientThreshold: steepest, MajorIterations: mostSteps, Converger: optimize.NeverTerminate{}}, &optimize.LBFGS{})
	if err != nil {
		return nil, fmt.Errorf("fit a probe: %w", err)
	}
	return result.X, nil
}

// compute computes the loss and its gradient at weights, where that was not done before.
func (r *regression) compute(weights []float64, strength float64) {
	if r.at != nil && floats.Equal(r.at, weights) {
		return
	}
	r.at = append(r.at[:0], weights...)
	w := mat.NewDense(r.shape[0], r.shape[1], r.at)
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for i := range r.parts {
		workers.Go(func() error { r.parts[i].compute(w); return nil })
	}
	workers.Wait() // no part fails
	r.loss = 0
	clear(r.descent)
	gradient := mat.NewDense(r.shape[0], r.shape[1], r.descent)
	for _, p := range r.parts {
		r.loss += p.loss
		gradient.Add(gradient, p.gradient)
	}
	r.loss /= float64(r.n)
	floats.Scale(1/float64(r.n), r.descent)
	for c := range r.shape[0] {
		row := w.RawRowView(c)[:r.shape[1]-1] // but for b
		r.loss += strength / 2 * floats.Dot(row, row)
		floats.AddScaled(gradient.RawRowView(c)[:len(row)], strength, row)
	}
}

// compute computes Σ −log softmax(ℓ)[label] with ℓ = z Wᵀ, and its gradient Σ (softmax(ℓ) − label) zᵀ.
func (p *part) compute(w *mat.Dense) {
	p.logits.Mul(p.z, w.T())
	p.loss = 0
	for i, label := range p.labels {
		row := p.logits.RawRowView(i)
		largest, sum := floats.Max(row), 0.0
		p.loss += largest - row[label]
		for c := range row {
			row[c] = math.Exp(row[c] - largest)
			sum += row[c]
		}
		p.loss += math.Log(sum)
		floats.Scale(1/sum, row)
		row[label]--
	}
	p.gradient.Mul(p.logits.T(), p.z)
}
