package search

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// parzen is a density over a few parameters, a mixture of products: one kernel around each observation, and a wide one, the
// prior, over all of the space:
//
//	p(x) = Σₖ wₖ Πⱼ K(xⱼ; cₖⱼ, σₖⱼ)
//
// K of a number is a normal density cut off at the ends of the parameter, at its place (see [Parameter.Place]); of a whole
// number, that density's mass over the places which round to it; of a choice, ½-like weights: 1 + w₀/K for the option
// observed and w₀/K for the others, over their sum, where w₀ = 1 is the weight of the prior and K the number of kernels
// (Bergstra et al. 2011, section 4.2; Watanabe 2023, section 3.3).
type parzen struct {
	columns []column
	weights []float64 // of the kernels, with sum 1; the last is the prior's
	scale   []float64 // the weight with the kernels' norms
}

// column is one parameter of a parzen.
type column struct {
	parameter Parameter
	centre    []float64 // place of a number, option of a choice; the prior's is in the middle, or −1
	inverse   []float64 // 1/σ, of a number
	own       float64   // of a choice: what the kernel's option has more than another
	other     float64   // of a choice: the probability of another option
}

// observation is a trial's places, and what it weighs.
type observation struct {
	places []float64 // by the parameters of the space
	weight float64
}

// farthest is the exponent after which a kernel is nothing: e^−40 is 4e-18, and the prior is never below 1e-5.
const farthest = 40.0

// estimate makes the density of some parameters of a space from what was observed of them.
func estimate(space Space, members []int, observed []observation) *parzen {
	kernels := len(observed) + 1
	p := &parzen{columns: make([]column, len(members)), weights: make([]float64, kernels), scale: make([]float64, kernels)}
	sum := 1.0
	for k, o := range observed {
		p.weights[k] = o.weight
		sum += o.weight
	}
	p.weights[kernels-1] = 1
	for k := range p.weights {
		p.weights[k] /= sum
	}
	copy(p.scale, p.weights)
	for j, member := range members {
		c := &p.columns[j]
		c.parameter = space[member]
		c.centre = make([]float64, kernels)
		for k, o := range observed {
			c.centre[k] = o.places[member]
		}
		if c.parameter.Kind == Choice {
			c.centre[kernels-1] = -1
			weight := 1 / float64(kernels)
			all := 1 + weight*float64(c.parameter.Options)
			c.own, c.other = 1/all, weight/all
			continue
		}
		c.centre[kernels-1] = 0.5
		c.inverse = widths(&c.parameter, c.centre)
		for k, inverse := range c.inverse {
			// The mass inside the ends, and the normal density's norm.
			mass := normalMass(-c.centre[k]*inverse, (1-c.centre[k])*inverse)
			p.scale[k] *= inverse / (mass * math.Sqrt(2*math.Pi))
		}
	}
	return p
}

// widths returns 1/σ of n kernels of numbers, and of the prior's, the last: σ is the larger of the distances to the neighbours,
// for the two outermost to the only neighbour, and the prior's is 1. It is not below (n + 2)^−1.5 nor 0.01, so that a density of
// few trials is wide, Bergstra's "magic clip".
//
// His and Optuna's power is −1, which keeps ten good trials from showing a place more exactly than a twelfth of the range: with
// −1.5 the median simple regret of 100 trials is a tenth on Branin's function and a half on Rosenbrock's, and not more on the
// other four of docs/strategies.md; with −2 it is twice as much on two of them. A whole number keeps −1, but for the
// width of its own place, so that few values do not become a choice of the one best so far.
func widths(parameter *Parameter, centres []float64) []float64 {
	n := len(centres) - 1
	type placed struct {
		centre float64
		kernel int
	}
	sorted := make([]placed, n)
	for k, centre := range centres[:n] {
		sorted[k] = placed{centre, k}
	}
	slices.SortFunc(sorted, func(a, b placed) int { return cmp.Compare(a.centre, b.centre) })
	all := float64(n + 2)
	least := math.Max(math.Pow(all, -1.5), 0.01)
	inverse := make([]float64, n+1)
	inverse[n] = 1
	for i, here := range sorted {
		left, right := here.centre, 1-here.centre // to the ends, where there is one alone
		switch {
		case i > 0 && i < n-1:
			left, right = here.centre-sorted[i-1].centre, sorted[i+1].centre-here.centre
		case i > 0:
			left, right = here.centre-sorted[i-1].centre, 0
		case n > 1:
			left, right = 0, sorted[i+1].centre-here.centre
		}
		width := max(left, right, least)
		if parameter.Kind == Int && width < 1/all {
			low, high := parameter.cell(parameter.At(here.centre))
			width = max(width, min(high-low, 1/all))
		}
		inverse[here.kernel] = 1 / width
	}
	return inverse
}

// cell is the places that round to a whole number.
func (p *Parameter) cell(value float64) (low, high float64) {
	return math.Max(p.Place(value-0.5), 0), math.Min(p.Place(value+0.5), 1)
}

// normalMass is that of the standard normal distribution between low and high.
func normalMass(low, high float64) float64 {
	if low < -6 && high > 6 {
		return 1
	}
	return (math.Erf(high/math.Sqrt2) - math.Erf(low/math.Sqrt2)) / 2
}

// draw sets the parameters in the point, and their places.
func (p *parzen) draw(r *rand.Rand, members []int, point Point) {
	kernel, left := 0, r.Float64()
	for ; kernel < len(p.weights)-1; kernel++ {
		if left -= p.weights[kernel]; left < 0 {
			break
		}
	}
	for j, member := range members {
		c := &p.columns[j]
		centre := c.centre[kernel]
		if c.parameter.Kind == Choice {
			own, another := r.Float64() < c.own, r.IntN(c.parameter.Options)
			if point[member] = float64(another); own && centre >= 0 {
				point[member] = centre
			}
			continue
		}
		// By the inverse of the distribution function, between its values at the ends.
		low, high := math.Erf(-centre*c.inverse[kernel]/math.Sqrt2), math.Erf((1-centre)*c.inverse[kernel]/math.Sqrt2)
		place := centre + math.Sqrt2*math.Erfinv(low+r.Float64()*(high-low))/c.inverse[kernel]
		point[member] = c.parameter.At(math.Min(math.Max(place, 0), 1))
	}
}

// seen is a value as the kernels meet it: its place, or its option, and for a whole number the places that round to it.
type seen struct{ place, low, high float64 }

// density returns p(x) at the point's parameters, for whole numbers as a mass.
func (p *parzen) density(members []int, point Point) float64 {
	var few [8]seen
	values := few[:0]
	for j, member := range members {
		parameter, value := &p.columns[j].parameter, point[member]
		v := seen{place: value}
		if parameter.Kind != Choice {
			v.place = parameter.Place(value)
		}
		if parameter.Kind == Int {
			v.low, v.high = parameter.cell(value)
		}
		values = append(values, v)
	}
	sum := 0.0
	for k, term := range p.scale {
		exponent := 0.0
		for j := range p.columns {
			c, v := &p.columns[j], &values[j]
			if c.inverse == nil {
				switch c.centre[k] {
				case v.place:
					term *= c.own + c.other
				case -1:
					term /= float64(c.parameter.Options)
				default:
					term *= c.other
				}
				continue
			}
			inverse := c.inverse[k]
			z := (v.place - c.centre[k]) * inverse
			if width := (v.high - v.low) * inverse; width > 0 {
				if width > 0.2 {
					// Over the norm of a density, which is in the scale.
					if math.Abs(z)-width > 9 {
						term = 0
						break
					}
					mass := normalMass((v.low-c.centre[k])*inverse, (v.high-c.centre[k])*inverse)
					term *= mass * math.Sqrt(2*math.Pi) / inverse
					continue
				}
				// The density at the middle times the width: for 0.2 σ, within 0.2 % where it matters.
				term *= v.high - v.low
			}
			if exponent += z * z / 2; exponent > farthest {
				break
			}
		}
		if exponent < farthest && term > 0 {
			sum += term * math.Exp(-exponent)
		}
	}
	return sum
}
