// Package conformal turns scores into alarms whose false alarm rate is known: split conformal prediction from the scores of normal
// samples that were held out.
//
//	calibration, err := conformal.New(scores)         // of normal samples that the model was not trained on
//	threshold, err := calibration.Threshold(0.01)     // one false alarm in a hundred
//	alarm := threshold.Alarm(score)
//	p := calibration.P(score)                         // small: few normal samples score as high
//
// The guarantee: for a new normal sample that is exchangeable with the calibration samples (as if all were drawn from one
// distribution, in random order), P(p ≤ α) ≤ α, whatever the score and the distribution, for every number n of calibration
// samples. It is marginal, over draws of the calibration samples and of the new one together. The rate that one calibration
// realises is itself random; [Threshold.Realised] says how far it strays.
//
// It fails where normal samples change over time, are correlated with each other but not with the new ones (frames of one
// film), or trained the model whose scores these are: their scores are then too low, and alarms too many. It says nothing of how
// many anomalies are found.
//
// Source: Vovk, Gammerman & Shafer, "Algorithmic learning in a random world", 2005; Laxhammar & Falkman, "Conformal prediction for
// distribution-independent anomaly detection in streaming vessel data", StreamKDD 2010.
package conformal

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// Calibration is the scores of normal samples.
type Calibration struct {
	scores []float64 // in rising order
}

// New returns the calibration by scores of normal samples, higher being more anomalous.
func New(scores []float64) (*Calibration, error) {
	if len(scores) == 0 {
		return nil, errors.New("calibrate: no scores; give those of normal samples that were held out")
	}
	for i, score := range scores {
		if score-score != 0 {
			return nil, fmt.Errorf("calibrate: the score of sample %d is %g; leave the sample out, or find out why it cannot be scored", i, score)
		}
	}
	c := &Calibration{scores: slices.Clone(scores)}
	slices.Sort(c.scores)
	return c, nil
}

// Len returns n, the number of calibration samples.
func (c *Calibration) Len() int { return len(c.scores) }

// P returns the conformal p-value of a score:
//
//	(1 + #{calibration scores ≥ score}) / (n + 1)
//
// The smallest that can come is 1/(n + 1). That of a score that is not a number is 1/(n + 1), too: what cannot be scored is not normal.
func (c *Calibration) P(score float64) float64 {
	n := len(c.scores)
	below := n
	if score == score {
		below = sort.SearchFloat64s(c.scores, score)
	}
	return float64(1+n-below) / float64(n+1)
}

// Threshold is the score from which on there is an alarm.
type Threshold struct {
	Score float64 // scores above it, not this one itself, raise an alarm
	Rate  float64 // α, the false alarm rate that was asked for
	Size  int     // n, the number of calibration samples
	rank  int     // k: Score is the k-th largest of the calibration
}

// Threshold returns the threshold for a false alarm rate α in (0, 1): with k = ⌊α (n + 1)⌋, the k-th largest calibration score, so
// that there is an alarm where P(score) ≤ α. An error says how many samples α needs where there are fewer.
func (c *Calibration) Threshold(rate float64) (Threshold, error) {
	if !(rate > 0 && rate < 1) {
		return Threshold{}, fmt.Errorf("threshold: false alarm rate %g; give one between 0 and 1", rate)
	}
	n := len(c.scores)
	k := rank(rate, n)
	if k < 1 {
		return Threshold{}, fmt.Errorf("threshold: a false alarm rate of %g needs %d normal samples to calibrate, but there are %d; add some, or allow a rate of %.3g",
			rate, Size(rate), n, least(n))
	}
	return Threshold{Score: c.scores[n-k], Rate: rate, Size: n, rank: k}, nil
}

// least returns the least rate for which n samples are enough, rounded up to three digits.
func least(n int) float64 {
	rate := 1 / float64(n+1)
	unit := math.Pow(10, math.Floor(math.Log10(rate))-2)
	return math.Ceil(rate/unit-1e-9) * unit
}

// rank returns ⌊α (n + 1)⌋, where a product that rounding moved below a whole number is that number.
func rank(rate float64, n int) int { return int(math.Floor(rate*float64(n+1) + 1e-9)) }

// Size returns the least number of calibration samples for which there is a threshold with false alarm rate α: n ≥ 1/α − 1.
func Size(rate float64) int { return int(min(math.Ceil(1/rate-1-1e-9), 1<<53)) }

// Alarm says whether a score raises an alarm. One that is not a number does.
func (t Threshold) Alarm(score float64) bool { return !(score <= t.Score) }

// Realised returns the range in which the false alarm rate of this threshold, over endlessly many new normal samples, lies in 95 %
// of all draws of n calibration samples; low and high leave out 2.5 % each. Where no two scores are equal, that rate has the
// distribution
//
//	Beta(k, n + 1 − k),   k = ⌊α (n + 1)⌋
//
// with mean k/(n + 1) ≤ α; equal scores only make it lower. With α = 1 % and n = 1,000 it is from 0.48 % to 1.7 %.
//
// Source: Vovk, "Conditional validity of inductive conformal predictors", Machine Learning 92, 2013, proposition 2.
func (t Threshold) Realised() (low, high float64) {
	beta := distuv.Beta{Alpha: float64(t.rank), Beta: float64(t.Size + 1 - t.rank)}
	return beta.Quantile(0.025), beta.Quantile(0.975)
}
