package probe

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"latent/pkg/random"
)

// Codes ±1, of which nine in ten have the class of their sign. By symmetry b = 0 and W = (−w, w), where the gradient
// σ(2w) − 0.9 + λ w is 0.
func TestTwoClasses(t *testing.T) {
	codes, labels := mat.NewDense(40, 1, nil), make([]uint8, 40)
	for i := range labels {
		class := uint8(i % 2)
		codes.Set(i, 0, 2*float64(class)-1)
		labels[i] = class
		if i/2 < 2 {
			labels[i] = 1 - class
		}
	}
	for _, strength := range []float64{0.1, 0.001} {
		low, high := 0.0, 10.0
		for range 60 {
			if w := (low + high) / 2; 1/(1+math.Exp(-2*w))-0.9+strength*w < 0 {
				low = w
			} else {
				high = w
			}
		}
		p := &Probe{mean: []float64{0}, deviation: []float64{1}}
		weights, err := newRegression(p.standardised(codes), labels, 2).minimise(context.Background(), strength, make([]float64, 4))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []float64{-low, 0, low, 0} {
			if math.Abs(weights[i]-want) > 2e-3 {
				t.Errorf("λ %g: weights %.4f, want ±%.4f and 0", strength, weights, low)
				break
			}
		}
	}
}

// SciPy's BFGS comes to the same probabilities on standardised codes (testdata/golden.py).
func TestAgainstSciPy(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Points        [][]float64
		Labels        []int
		Strength      float64
		Loss          float64
		Probabilities [][]float64
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	set := Set{Codes: mat.NewDense(len(golden.Points), 3, slices.Concat(golden.Points...))}
	for _, label := range golden.Labels {
		set.Labels = append(set.Labels, uint8(label))
	}
	p, err := Fit(context.Background(), set, set, 3)
	if err != nil {
		t.Fatal(err)
	}
	r := newRegression(p.standardised(set.Codes), set.Labels, 3)
	weights, err := r.minimise(context.Background(), golden.Strength, make([]float64, 12))
	if err != nil {
		t.Fatal(err)
	}
	r.compute(weights, golden.Strength)
	if math.Abs(r.loss-golden.Loss) > 1e-6 {
		t.Errorf("the least loss is %.8f, SciPy's %.8f", r.loss, golden.Loss)
	}
	var logits mat.Dense
	logits.Mul(p.standardised(set.Codes), mat.NewDense(3, 4, weights).T())
	for i, want := range golden.Probabilities {
		sum := 0.0
		for _, logit := range logits.RawRowView(i) {
			sum += math.Exp(logit)
		}
		for c, logit := range logits.RawRowView(i) {
			if got := math.Exp(logit) / sum; math.Abs(got-want[c]) > 2e-3 {
				t.Errorf("code %d is of class %d with probability %.4f, SciPy's %.4f", i, c, got, want[c])
			}
		}
	}
}

// clusters returns codes about a place for each of three classes, and beside them a value that is always the same.
func clusters(n int, seed int64) Set {
	noise := random.NewSeed(seed).Normal(3*n, 1)
	set := Set{Codes: mat.NewDense(n, 4, nil)}
	for i := range n {
		class := i % 3
		for j := range 3 {
			set.Codes.Set(i, j, float64(noise[3*i+j]))
		}
		set.Codes.Set(i, class, set.Codes.At(i, class)+4)
		set.Codes.Set(i, 3, 7)
		set.Labels = append(set.Labels, uint8(class))
	}
	return set
}

// The class of new codes is told; two fits agree to the bit; and scaling the codes changes nothing.
func TestFit(t *testing.T) {
	training, validation, test := clusters(1000, 1), clusters(300, 2), clusters(1000, 3)
	fit := func(scale float64) (*Probe, []uint8) {
		scaled := func(s Set) Set {
			var codes mat.Dense
			codes.Scale(scale, s.Codes)
			return Set{Codes: &codes, Labels: s.Labels}
		}
		p, err := Fit(context.Background(), scaled(training), scaled(validation), 3)
		if err != nil {
			t.Fatal(err)
		}
		return p, p.Classes(scaled(test).Codes)
	}
	p, classes := fit(1)
	if got := Accuracy(classes, test.Labels); got < 0.97 {
		t.Errorf("accuracy %g on new codes, want at least 0.97", got)
	}
	if !slices.Contains(Strengths, p.Strength) || p.ValidationAccuracy < 0.95 {
		t.Errorf("chose λ %g with accuracy %g", p.Strength, p.ValidationAccuracy)
	}
	again, _ := fit(1)
	if !mat.Equal(again.weights, p.weights) {
		t.Error("two fits to the same codes differ")
	}
	if scaled, other := fit(1024); !slices.Equal(other, classes) || scaled.Strength != p.Strength {
		t.Error("the unit of the codes matters")
	}
}

func TestFitEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Fit(ctx, clusters(30, 1), clusters(30, 2), 3); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want the context's", err)
	}
	if _, err := Fit(context.Background(), clusters(30, 1), Set{}, 3); err == nil {
		t.Error("fitted without codes for validation")
	}
}

// The function of a probe of MNIST's training images, and its gradient.
func BenchmarkCompute(b *testing.B) {
	const n, values, classes = 59000, 64, 10
	codes, labels := mat.NewDense(n, values, nil), make([]uint8, n)
	for i, value := range random.NewSeed(1).Normal(n*values, 1) {
		codes.Set(i/values, i%values, float64(value))
	}
	for i := range labels {
		labels[i] = uint8(i % classes)
	}
	p := &Probe{mean: make([]float64, values), deviation: slices.Repeat([]float64{1}, values)}
	r := newRegression(p.standardised(codes), labels, classes)
	weights := make([]float64, classes*(values+1))
	for b.Loop() {
		r.at = nil
		r.compute(weights, 0.01)
	}
}
