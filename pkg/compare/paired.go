package compare

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Paired is the mean difference of two figures over the same samples.
type Paired struct {
	Samples int
	Mean    float64
	// Interval is half the width of the 95 % confidence interval of the mean over samples, by Student's t distribution; NaN of one sample.
	Interval float64
	// P is the probability that the mean would be as far from 0 or farther where samples differ by accident alone, of both sides: that of the
	// paired t-test. It is 1 where no sample differs, and NaN of one sample that does.
	P float64
}

// Pair compares values of the same samples: those of to less those of from, which are as many and at least one.
//
//	t = mean(d) / (s / √n),   dᵢ = toᵢ − fromᵢ,   s their standard deviation (n − 1)
//
// The test holds for many samples whatever the distribution of d, and for few where it is normal.
//
// Source: Student 1908, "The probable error of a mean".
func Pair(from, to []float64) Paired {
	differences := make([]float64, len(to))
	same := true
	for i := range to {
		differences[i] = to[i] - from[i]
		same = same && differences[i] == 0
	}
	n := float64(len(differences))
	p := Paired{Samples: len(differences), Mean: stat.Mean(differences, nil), Interval: math.NaN(), P: math.NaN()}
	if same {
		p.P = 1
	}
	if n < 2 {
		return p
	}
	standardError := stat.StdDev(differences, nil) / math.Sqrt(n)
	distribution := distuv.StudentsT{Sigma: 1, Nu: n - 1}
	p.Interval = distribution.Quantile(0.975) * standardError
	if !same {
		p.P = 2 * distribution.CDF(-math.Abs(p.Mean)/standardError)
	}
	return p
}
