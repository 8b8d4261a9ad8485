package conformal

import (
	"fmt"

	"gonum.org/v1/gonum/floats"
)

// Combination is one score made of several, whatever their units: the weighted mean of their ranks among normal samples,
//
//	Σₛ wₛ (1 − Pₛ(scoreₛ)) / Σₛ wₛ
//
// in [0, 1), higher being more anomalous.
//
// It is a score, not a p-value: for a threshold, calibrate it with the combined scores of other normal samples than those which the
// ranks are among. With the same ones they are not quite exchangeable with new ones: each is ranked among n - 1 others.
type Combination struct {
	calibrations []*Calibration
	weights      []float64
}

// Combine returns the combination of scores, each with its own calibration; without weights, all count the same.
func Combine(calibrations []*Calibration, weights ...float64) (*Combination, error) {
	if len(weights) == 0 {
		weights = make([]float64, len(calibrations))
		floats.AddConst(1, weights)
	}
	if len(weights) != len(calibrations) || len(weights) == 0 {
		return nil, fmt.Errorf("combine scores: %d weights for %d scores", len(weights), len(calibrations))
	}
	for s, weight := range weights {
		if !(weight >= 0) || weight-weight != 0 {
			return nil, fmt.Errorf("combine scores: the weight of score %d is %g; give 0 or more", s, weight)
		}
	}
	sum := floats.Sum(weights)
	if sum == 0 || sum-sum != 0 {
		return nil, fmt.Errorf("combine scores: the weights' sum is %g", sum)
	}
	c := &Combination{calibrations: calibrations, weights: make([]float64, len(weights))}
	floats.AddScaled(c.weights, 1/sum, weights)
	return c, nil
}

// Score returns the combined score of a sample, with its scores in the order of the calibrations.
func (c *Combination) Score(scores ...float64) float64 {
	sum := 0.0
	for s, calibration := range c.calibrations {
		sum += c.weights[s] * (1 - calibration.P(scores[s]))
	}
	return sum
}
