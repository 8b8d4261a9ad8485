package train

import "math"

// rate returns the learning rate of a step, counted from 0, of a run of steps.
//
// With warm-up over w steps, step t < w has (t+1)/w of the highest rate. After it, cosine has
//
//	½ (1 + cos(π (t − w) / (steps − w)))
//
// of it: all at first, and next to nothing at the last step (Loshchilov & Hutter 2017, equation 5, one cycle to zero).
func (o Options) rate(step, steps, stepsPerEpoch int) float64 {
	warmup := o.WarmupEpochs * float64(stepsPerEpoch)
	t := float64(step)
	if t+1 < warmup {
		return o.LearningRate * (t + 1) / warmup
	}
	if o.Schedule == "cosine" {
		done := max(0, t-warmup) / max(1, float64(steps)-warmup)
		return o.LearningRate * 0.5 * (1 + math.Cos(math.Pi*done))
	}
	return o.LearningRate
}
