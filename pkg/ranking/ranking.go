// Package ranking measures how well scores tell anomalies from normal samples, with intervals.
//
//	r, err := ranking.New(scores, anomalous)          // a score and a mark for each sample; higher is more anomalous
//	auroc := r.AUROC()                                // with DeLong's interval
//	figures := r.Bootstrap(1000, random.NewSeed(1))   // average precision and others, with bootstrap intervals
//
// and how well maps of scores tell the anomalous pixels of pictures ([Pixels]).
//
// Scores count by their order alone. Ties are never broken by chance or by place: where figures depend on the order of equal
// scores, they are the mean over all orders, or treat the equal as one step of the threshold; each says which.
//
// Promised: the same scores and seed give the same figures, to the bit, on every number of cores.
//
// What is not here: scores (pkg/anomaly, pkg/evaluate), and from which score on to raise an alarm (pkg/conformal). The figures tell
// nothing of that: they need marked anomalies, and no threshold.
package ranking

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Estimate is a figure and its interval with 95 % confidence, all three from 0 to 1.
type Estimate struct {
	Value, Low, High float64
}

// Ranking is samples in the order of their scores.
type Ranking struct {
	Normal, Anomalous int // numbers of samples

	steps []step   // the highest score first
	place [2][]int // the step of each normal and of each anomalous sample, in the samples' order
}

// step is the samples of one score.
type step struct {
	normal, anomalous int
}

// New ranks samples by their scores. It returns an error where a score is not finite, and where one kind is missing.
func New(scores []float64, anomalous []bool) (*Ranking, error) {
	if len(scores) != len(anomalous) {
		return nil, fmt.Errorf("rank samples: %d scores, but %d marks", len(scores), len(anomalous))
	}
	order := make([]int, len(scores))
	for i, score := range scores {
		if score-score != 0 {
			return nil, fmt.Errorf("rank samples: the score of sample %d is %g; it cannot be ranked", i, score)
		}
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	r := &Ranking{}
	at := make([]int, len(scores))
	for k, i := range order {
		if k == 0 || scores[i] != scores[order[k-1]] {
			r.steps = append(r.steps, step{})
		}
		at[i] = len(r.steps) - 1
		if anomalous[i] {
			r.steps[at[i]].anomalous++
			r.Anomalous++
		} else {
			r.steps[at[i]].normal++
			r.Normal++
		}
	}
	for i, place := range at {
		kind := 0
		if anomalous[i] {
			kind = 1
		}
		r.place[kind] = append(r.place[kind], place)
	}
	switch {
	case r.Anomalous == 0 && r.Normal == 0:
		return nil, errors.New("rank samples: there are none")
	case r.Anomalous == 0:
		return nil, fmt.Errorf("rank samples: none of %d is an anomaly; figures need both kinds", r.Normal)
	case r.Normal == 0:
		return nil, fmt.Errorf("rank samples: all %d are anomalies; figures need both kinds", r.Anomalous)
	}
	return r, nil
}

// AveragePrecision returns
//
//	Σₖ (Rₖ − Rₖ₋₁) Pₖ
//
// over the thresholds k, one for each different score, with precision Pₖ and recall Rₖ of the samples at or above it: that of
// scikit-learn, without interpolation. Scores of no worth have about the part of samples that are anomalies.
func (r *Ranking) AveragePrecision() float64 { return r.figures(r.steps).averagePrecision }

// FalseAlarms95 returns the false alarm rate at 95 % recall: the part of normal samples at or above the highest threshold that at
// least 95 % of the anomalies reach.
func (r *Ranking) FalseAlarms95() float64 { return r.figures(r.steps).falseAlarms95 }

// PrecisionAtN returns the part of anomalies among the n samples with the highest scores, where n is the number of anomalies, so
// that precision and recall are the same. Where the n-th score is that of several samples, it is the mean over their orders.
func (r *Ranking) PrecisionAtN() float64 { return r.figures(r.steps).precisionAtN }

// figures is what one pass over the steps gives.
type figures struct {
	averagePrecision, falseAlarms95, precisionAtN float64
}

// figures returns the figures of as many samples as r has, in these steps, some of which may be empty.
func (r *Ranking) figures(steps []step) figures {
	var f figures
	positives := float64(r.Anomalous)
	above, alarms := 0, 0 // anomalous and normal samples so far
	reached := false
	for _, s := range steps {
		if free := r.Anomalous - above - alarms; free > 0 {
			if all := s.normal + s.anomalous; all <= free {
				f.precisionAtN += float64(s.anomalous)
			} else {
				f.precisionAtN += float64(s.anomalous) * float64(free) / float64(all)
			}
		}
		above += s.anomalous
		alarms += s.normal
		if s.anomalous > 0 {
			f.averagePrecision += float64(s.anomalous) * float64(above) / float64(above+alarms)
		}
		if !reached && 20*above >= 19*r.Anomalous {
			f.falseAlarms95 = float64(alarms) / float64(r.Normal)
			reached = true
		}
	}
	f.averagePrecision /= positives
	f.precisionAtN /= positives
	return f
}
