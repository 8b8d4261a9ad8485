package search

import "math"

// Hyperband divides the trials among brackets, each a successive halving that starts later than the one before, so that a trial that is
// slow at the start gets a chance: Li et al. 2018, "Hyperband: a novel bandit-based approach to hyperparameter optimization", with
// asynchronous brackets (Li et al. 2020, section 3.3).
//
// There are s + 1 brackets, s = ⌊log(max_steps / min_steps) / log(factor)⌋. Of each Σ nₖ trials, bracket k, whose early-stopping rate is k,
// has nₖ = ⌈(s+1) Factorˢ⁻ᵏ / (s−k+1)⌉, as in Hyperband's algorithm 1; the last bracket has no rung before max_steps / factor. A trial's
// bracket depends on its number alone: the numbers of a bracket are spread evenly over all.
type Hyperband struct {
	// MinSteps is the step of the first rung of the first bracket.
	MinSteps int `yaml:"min_steps" min:"1"`

	// MaxSteps is the number of steps of a trial that is not pruned; 0, the default, takes the largest number of the trials that are done,
	// and prunes none before the first of them.
	MaxSteps int `yaml:"max_steps" min:"0"`

	// Factor is the number of trials of a bracket that compete for one to continue, and the ratio between the steps of consecutive rungs.
	Factor int `yaml:"factor" min:"2" max:"1000"`
}

// Prune says whether the trial is to stop, compared with those of its bracket.
func (h *Hyperband) Prune(trial Trial, others []Trial) bool {
	most := h.MaxSteps
	if most == 0 {
		for _, other := range others {
			if other.State == Done && len(other.Curve) > 0 {
				most = max(most, other.Curve[len(other.Curve)-1].Step)
			}
		}
	}
	last := len(trial.Curve) - 1
	if most < h.MinSteps || last < 0 || trial.Curve[last].Step >= most {
		return false // a trial that has come to its end is done, though a bracket may have a rung there
	}
	round := h.round(most)
	bracket := round.bracket(trial.Number)
	var rivals []Trial
	for _, other := range others {
		if round.bracket(other.Number) == bracket {
			rivals = append(rivals, other)
		}
	}
	return (&Halving{MinSteps: h.MinSteps, Factor: h.Factor, EarlyStoppingRate: bracket}).Prune(trial, rivals)
}

// round is as many trials as it takes for each bracket to have its share.
type round struct {
	shares        []int
	total, stride int
}

// round is that of trials of so many steps.
func (h *Hyperband) round(most int) round {
	s := 0
	for steps := most / h.MinSteps; steps >= h.Factor; steps /= h.Factor {
		s++
	}
	r := round{shares: make([]int, s+1)}
	for k := range r.shares {
		r.shares[k] = int(math.Ceil(float64(s+1) * math.Pow(float64(h.Factor), float64(s-k)) / float64(s-k+1)))
		r.total += r.shares[k]
	}
	// Strides of the golden section of the round come near every part of it in any few steps; without a divisor in common
	// with it they leave no number out.
	r.stride = max(int(float64(r.total)*(math.Sqrt(5)-1)/2), 1)
	for divisor(r.stride, r.total) > 1 {
		r.stride++
	}
	return r
}

// bracket is that of a trial.
func (r round) bracket(number int) int {
	place := number % r.total * r.stride % r.total
	k := 0
	for place >= r.shares[k] {
		place -= r.shares[k]
		k++
	}
	return k
}

// divisor is the greatest common one.
func divisor(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}
