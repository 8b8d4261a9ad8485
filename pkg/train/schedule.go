package train

import "math"

// rate returns the learning rate of a step, counted from 0, of a run of steps.
//
// With warm-up over w steps, step t < w has (t+1)/w of the highest rate. After it, cosine has
//
//	½ (1 + cos(π (t − b) / (e − b)))
//
// of it: all at the cycle's begin b, and next to nothing at the last step before its end e (Loshchilov & Hutter 2017, equation 5). There is one
// cycle, from w to the run's end, but for [Options.Restarts] and [Options.Extended].
func (o Options) rate(step, steps, stepsPerEpoch int) float64 {
	warmup := o.WarmupEpochs * float64(stepsPerEpoch)
	t := float64(step)
	if t+1 < warmup {
		return o.LearningRate * (t + 1) / warmup
	}
	if o.Schedule != "cosine" {
		return o.LearningRate
	}
	begin, end := warmup, float64(steps)
	for _, epoch := range o.Restarts {
		if at := epoch * stepsPerEpoch; at <= step {
			begin = max(begin, float64(at))
		} else {
			end = min(end, float64(at))
		}
	}
	for _, epoch := range o.Extended {
		if at := epoch * stepsPerEpoch; at > step {
			end = min(end, float64(at))
		}
	}
	done := max(0, t-begin) / max(1, end-begin)
	return o.LearningRate * 0.5 * (1 + math.Cos(math.Pi*done))
}

// RateAt is the learning rate of the first step after so many epochs.
func (o Options) RateAt(epoch int) float64 {
	const perEpoch = 1000 // of which the rate depends on the share
	return o.rate(epoch*perEpoch, o.Epochs*perEpoch, perEpoch)
}
