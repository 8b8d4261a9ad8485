package experiment

import (
	"errors"
	"math"
	"slices"
	"sort"
)

// surprise maps scores of one kind to how seldom reference samples reach them, −log p in nats, so that scores of several kinds can be
// added whatever their units:
//
//	p(s) = (½ + #{r > s} + ½ #{r = s}) / (m + 1)   up to u,   p(u) (s / u)^(−1/ξ)   above it
//
// over the scores r of m reference samples. u is their 90 % quantile, and ξ the mean of log(r / u) over those above it: a Pareto tail, so
// that scores beyond all of the reference still differ. Scores are not negative.
//
// Source: Hill, "A simple general approach to inference about the tail of a distribution", Annals of Statistics 3, 1975.
type surprise struct {
	scores    []float64 // in rising order
	u, p, tip float64   // u, p(u) and ξ
}

// tail is the part of reference scores that the tail is fitted to.
const tail = 0.1

// tiny stands for a score of 0, and for a tail without any width.
const tiny = 1e-12

func newSurprise(reference []float64) (*surprise, error) {
	if len(reference) == 0 {
		return nil, errors.New("ranks: no reference scores")
	}
	s := &surprise{scores: slices.Clone(reference)}
	slices.Sort(s.scores)
	first := int(math.Ceil((1 - tail) * float64(len(s.scores)-1)))
	s.u = max(s.scores[first], tiny)
	s.p = s.part(s.scores[first])
	n := 0
	for _, r := range s.scores[first+1:] {
		if r > s.u {
			s.tip += math.Log(r / s.u)
			n++
		}
	}
	s.tip = max(s.tip/float64(max(n, 1)), 1e-3)
	return s, nil
}

// part is the part of the reference at or above a score, those that are equal counting half.
func (s *surprise) part(score float64) float64 {
	below := sort.SearchFloat64s(s.scores, score)
	above := len(s.scores) - sort.Search(len(s.scores), func(i int) bool { return s.scores[i] > score })
	equal := len(s.scores) - below - above
	return (0.5 + float64(above) + float64(equal)/2) / float64(len(s.scores)+1)
}

// of returns the surprise of a score.
func (s *surprise) of(score float64) float64 {
	if score <= s.u {
		return -math.Log(s.part(score))
	}
	return -math.Log(s.p) + math.Log(score/s.u)/s.tip
}
