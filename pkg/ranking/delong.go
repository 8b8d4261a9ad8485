package ranking

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// z95 is the 97.5 % quantile of the standard normal distribution.
var z95 = distuv.UnitNormal.Quantile(0.975)

// placements are, for each sample, the part of the other kind on whose right side it lies: for an anomalous sample, the normal ones
// with a lower score; for a normal one, the anomalous ones with a higher score; equal scores count half. Kinds are in the order of
// Ranking.place.
type placements [2][]float64

// placements computes them from the counts of each step, which are the differences of ranks that Sun and Xu take. Time is that of
// the sort of [New].
func (r *Ranking) placements() placements {
	normal, anomalous := make([]float64, len(r.steps)), make([]float64, len(r.steps)) // of a sample in each step
	above, below := 0, r.Normal                                                       // anomalous ones above the step, normal ones below it
	for k, s := range r.steps {
		below -= s.normal
		normal[k] = (float64(above) + float64(s.anomalous)/2) / float64(r.Anomalous)
		anomalous[k] = (float64(below) + float64(s.normal)/2) / float64(r.Normal)
		above += s.anomalous
	}
	var p placements
	for kind, of := range [2][]float64{normal, anomalous} {
		p[kind] = make([]float64, len(r.place[kind]))
		for i, place := range r.place[kind] {
			p[kind][i] = of[place]
		}
	}
	return p
}

// AUROC returns the area under the curve of recall over false alarm rate: the probability that an anomalous sample scores higher
// than a normal one, where equal scores count half.
//
// The interval is DeLong's, on the scale of the logit so that it stays within 0 and 1:
//
//	logit A ± 1.96 s / (A (1 − A)),   s² = var(V₁)/m + var(V₀)/n
//
// with the m anomalous and n normal samples' placements V₁ and V₀, each the part of the other kind on whose right side the sample
// lies, whose mean is A. Where A is 1 (or 0), s is 0 and says nothing; the interval is then that of k right of k pairs that share
// no sample, k the smaller of m and n: from 0.025^(1/k) to 1 (Clopper & Pearson 1934). With a single sample of a kind and another
// A it is [0, 1]. Where all scores are equal, A is ½ and certain.
//
// Source: DeLong, DeLong & Clarke-Pearson, Biometrics 44, 1988; computed as in Sun & Xu, IEEE Signal Processing Letters 21(11),
// 2014.
func (r *Ranking) AUROC() Estimate {
	p := r.placements()
	area := stat.Mean(p[1], nil)
	few := min(r.Normal, r.Anomalous)
	bound := math.Pow(0.025, 1/float64(few))
	switch {
	case area == 1:
		return Estimate{Value: 1, Low: bound, High: 1}
	case area == 0:
		return Estimate{Value: 0, Low: 0, High: 1 - bound}
	case len(r.steps) == 1:
		return Estimate{Value: area, Low: area, High: area}
	case few == 1:
		return Estimate{Value: area, Low: 0, High: 1}
	}
	deviation := math.Sqrt(stat.Variance(p[1], nil)/float64(r.Anomalous) + stat.Variance(p[0], nil)/float64(r.Normal))
	logit, half := math.Log(area/(1-area)), z95*deviation/(area*(1-area))
	return Estimate{Value: area, Low: logistic(logit - half), High: logistic(logit + half)}
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// Comparison is the difference of two AUROCs of the same samples.
type Comparison struct {
	Difference float64 // the first's less the second's
	Low, High  float64 // its interval with 95 % confidence
	P          float64 // the probability of a difference as large or larger were there none, by a normal distribution; two-sided
}

// Compare compares the AUROC of two scores of the same samples, in the same order with the same marks: DeLong's test for paired
// curves, which counts that both scores find the same samples hard. It asks for two samples of each kind or more, and is to be
// trusted with some tens.
//
// P is 1 where the scores rank alike. An error says that the placements do not vary though the areas differ, as between scores
// that never err and scores that are all equal: the test says nothing of these.
func Compare(a, b *Ranking) (Comparison, error) {
	if a.Normal != b.Normal || a.Anomalous != b.Anomalous {
		return Comparison{}, fmt.Errorf("compare: %d normal and %d anomalous samples beside %d and %d; give two scores of the same",
			a.Normal, a.Anomalous, b.Normal, b.Anomalous)
	}
	if min(a.Normal, a.Anomalous) < 2 {
		return Comparison{}, fmt.Errorf("compare: %d normal and %d anomalous samples; the test needs two or more of each", a.Normal, a.Anomalous)
	}
	p, q := a.placements(), b.placements()
	c := Comparison{Difference: stat.Mean(p[1], nil) - stat.Mean(q[1], nil)}
	variance := 0.0
	for kind := range p {
		for i := range p[kind] {
			p[kind][i] -= q[kind][i]
		}
		variance += stat.Variance(p[kind], nil) / float64(len(p[kind]))
	}
	switch {
	case variance > 0:
		deviation := math.Sqrt(variance)
		c.Low, c.High = c.Difference-z95*deviation, c.Difference+z95*deviation
		c.P = math.Erfc(math.Abs(c.Difference) / deviation / math.Sqrt2)
	case c.Difference == 0:
		c.P = 1
	default:
		return Comparison{}, errors.New("compare: all samples of a kind rank alike; DeLong's test does not apply")
	}
	return c, nil
}
