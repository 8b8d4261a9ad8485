// Package disentangle measures how well the values of codes tell apart the factors that samples were made of.
//
//	codes := mat.NewDense(...)           // [samples, values]
//	fmt.Println(disentangle.MIG(codes, factors))
//
// Every figure is from 0 to 1, and higher is better. The estimates are those that the field compares (Locatello et al. 2019, "Challenging
// common assumptions in the unsupervised learning of disentangled representations"), with forests of our own instead of boosted trees in
// [DCI], so that figures of DCI are comparable with each other, not with those of other programs.
//
// What is not here: where codes come from (pkg/evaluate).
package disentangle

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"latent/pkg/dataset"
)

// bins is how many parts of equal width a value of the code is divided in, for mutual information (Locatello et al. 2019, appendix C).
const bins = 20

// MIG is the mutual information gap (Chen et al. 2018, equation 6): the mean over factors v of
//
//	(I(z₁; v) − I(z₂; v)) / H(v)
//
// where z₁ and z₂ are the values of the code that have most information about v. codes: [samples, values]
func MIG(codes *mat.Dense, factors *dataset.Factors) float64 {
	_, size := codes.Dims()
	binned := make([][]int, size)
	for j := range size {
		binned[j] = divided(mat.Col(nil, j, codes))
	}
	total := 0.0
	for k, values := range factors.Sizes {
		of := column(factors, k)
		informations := []float64{0} // a code of one value has no second
		for j := range size {
			informations = append(informations, information(binned[j], bins, of, values))
		}
		slices.Sort(informations)
		if entropy := entropyOf(of, values); entropy > 0 {
			total += (informations[len(informations)-1] - informations[len(informations)-2]) / entropy
		}
	}
	return total / float64(len(factors.Sizes))
}

// column are the values of a factor, by sample.
func column(factors *dataset.Factors, k int) []int {
	values := make([]int, factors.Len())
	for i := range values {
		values[i] = factors.At(i, k)
	}
	return values
}

// divided are the bins of values, of equal width between the least and the largest.
func divided(values []float64) []int {
	low, high := slices.Min(values), slices.Max(values)
	parts := make([]int, len(values))
	for i, value := range values {
		if high > low {
			parts[i] = min(int((value-low)/(high-low)*bins), bins-1)
		}
	}
	return parts
}

// information is I(a; b) of whole numbers below sizes, in nats, by their frequencies.
func information(a []int, sizeA int, b []int, sizeB int) float64 {
	joint := make([]float64, sizeA*sizeB)
	shareA, shareB := make([]float64, sizeA), make([]float64, sizeB)
	for i := range a {
		share := 1 / float64(len(a))
		joint[a[i]*sizeB+b[i]] += share
		shareA[a[i]] += share
		shareB[b[i]] += share
	}
	sum := 0.0
	for i := range shareA {
		for j := range shareB {
			if p := joint[i*sizeB+j]; p > 0 {
				sum += p * math.Log(p/(shareA[i]*shareB[j]))
			}
		}
	}
	return max(0, sum)
}

// entropyOf is H(a) in nats.
func entropyOf(a []int, size int) float64 { return information(a, size, a, size) }

// Numbers of the FactorVAE score. Locatello et al. 2019 have 10,000 votes to learn from, 5,000 to measure, and an absolute least variance.
const (
	votes       = 800  // to learn from, and as many to measure
	voteSamples = 64   // of a vote
	leastSpread = 0.01 // of a value of the code that is looked at, as a part of the largest
)

// FactorVAE is the score of Kim & Mnih 2018, section 4: samples that share the value of one factor are drawn, the value of the code that
// varies least among them, relative to all samples, votes for that factor, and the score is how often a classifier by majority is right.
func FactorVAE(codes *mat.Dense, factors *dataset.Factors, seed uint64) float64 {
	n, size := codes.Dims()
	spread := make([]float64, size)
	for j := range size {
		spread[j] = variance(mat.Col(nil, j, codes))
	}
	most := slices.Max(spread)
	if most == 0 {
		return 0
	}
	byValue := make([][][]int, len(factors.Sizes)) // samples, by factor and value
	for k, values := range factors.Sizes {
		byValue[k] = make([][]int, values)
		for i := range n {
			value := factors.At(i, k)
			byValue[k][value] = append(byValue[k][value], i)
		}
	}
	draws := rand.New(rand.NewPCG(seed, 1))
	vote := func() (value, factor int) {
		factor = draws.IntN(len(factors.Sizes))
		var alike []int
		for len(alike) == 0 {
			alike = byValue[factor][draws.IntN(factors.Sizes[factor])]
		}
		chosen := make([]float64, voteSamples)
		picked := make([]int, voteSamples)
		for i := range picked {
			picked[i] = alike[draws.IntN(len(alike))]
		}
		least := math.Inf(1)
		value = -1
		for j := range size {
			if spread[j] <= leastSpread*most {
				continue
			}
			for i, sample := range picked {
				chosen[i] = codes.At(sample, j)
			}
			if relative := variance(chosen) / spread[j]; relative < least {
				least, value = relative, j
			}
		}
		return value, factor
	}
	counts := make([][]int, size)
	for j := range counts {
		counts[j] = make([]int, len(factors.Sizes))
	}
	for range votes {
		value, factor := vote()
		counts[value][factor]++
	}
	right := 0
	for range votes {
		value, factor := vote()
		if factor == slices.Index(counts[value], slices.Max(counts[value])) {
			right++
		}
	}
	return float64(right) / votes
}

// variance is that of values.
func variance(values []float64) float64 {
	mean, sum := 0.0, 0.0
	for _, value := range values {
		mean += value
	}
	mean /= float64(len(values))
	for _, value := range values {
		sum += (value - mean) * (value - mean)
	}
	return sum / float64(len(values))
}
