package conformal

import (
	"cmp"
	"fmt"
	"slices"
)

// Discoveries returns which of a batch of samples to call anomalies so that of those called, no more than the part q is normal, in
// the mean over draws (the false discovery rate): the largest set whose k p-values are all ≤ q k/m, of m (Benjamini & Hochberg).
//
// That holds for independent p-values, and for conformal ones that share one calibration, where the batch's normal samples are
// independent of each other and of the calibration. Conformal p-values are never below 1/(n + 1): for a single discovery among m
// the calibration needs n ≥ m/q − 1 samples.
//
// Source: Benjamini & Hochberg, Journal of the Royal Statistical Society B 57, 1995; Bates, Candès, Lei, Romano & Sesia, "Testing for
// outliers with conformal p-values", Annals of Statistics 51, 2023, theorem 2.
func Discoveries(p []float64, q float64) ([]bool, error) {
	adjusted, err := Adjusted(p)
	if err != nil {
		return nil, err
	}
	called := make([]bool, len(p))
	for i, value := range adjusted {
		called[i] = value <= q
	}
	return called, nil
}

// Adjusted returns for each p-value the least q for which [Discoveries] calls it: min over j ≥ its rank of m p₍ⱼ₎ / j.
func Adjusted(p []float64) ([]float64, error) {
	order := make([]int, len(p))
	for i, value := range p {
		if !(value >= 0 && value <= 1) {
			return nil, fmt.Errorf("false discovery rate: p-value %d is %g; must be between 0 and 1", i, value)
		}
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	adjusted, least := make([]float64, len(p)), 1.0
	for rank := len(p); rank > 0; rank-- {
		i := order[rank-1]
		least = min(least, p[i]*float64(len(p))/float64(rank))
		adjusted[i] = least
	}
	return adjusted, nil
}
