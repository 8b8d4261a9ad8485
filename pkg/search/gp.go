package search

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat"
)

// GP maximises the expected improvement of a Gaussian process (Jones et al. 1998), for few, expensive runs. With the results of 100 trials
// a proposal takes tens of milliseconds, and if the objective is smooth it needs far fewer trials than TPE.
//
// The kernel is Matérn's with ν = 5/2 and a length for each parameter (Rasmussen & Williams 2006, equation 4.17), at places from 0 to 1,
// evenly spaced in the logarithm if the range is logarithmic. Two options of a choice are 1 apart, and a parameter that is absent counts as in its middle. Its hyperparameters maximise the posterior under the priors of Optuna's
// GPSampler; they are fitted again whenever the number of trials has grown by a tenth.
// Values that exceed the best by more than three times the median's distance from it are cut to that limit, so that a few runs that diverge
// do not flatten the rest.
//
// The logarithm of the expected improvement is maximised from the best of many random points, along one parameter after the other (the
// logarithm, since far from the best the improvement itself underflows: Ament et al. 2023). Pending trials count with the value that the
// process expects (kriging believer, Ginsbourger et al. 2010). Pruned trials count with their last value; failed ones are left out.
type GP struct {
	// Startup is the number of trials with a result before which points are drawn at random.
	Startup int `yaml:"startup" min:"2" max:"1000000"`

	// Candidates is the number of random points from which the starting points of the maximisation are chosen; the time grows with it.
	Candidates int `yaml:"candidates" min:"1" max:"1000000"`

	// Points is the largest number of trials that the process is fitted to: if there are more, half of them are the best, half the newest.
	// The time grows with its third power: 300 take up to a second or two when the kernel is fitted again.
	Points int `yaml:"points" min:"2" max:"5000"`
}

// New implements [Method]. It takes one objective.
func (g *GP) New(space Space, objectives int, seed int64) (Strategy, error) {
	if objectives != 1 {
		return nil, fmt.Errorf("strategy gp: it supports one objective, not %d; use tpe, random, quasi-random or grid",
			objectives)
	}
	if g.Startup < 2 || g.Candidates < 1 || g.Points < 2 {
		return nil, fmt.Errorf("strategy gp: startup %d, candidates %d, points %d: set at least 2, 1 and 2",
			g.Startup, g.Candidates, g.Points)
	}
	return &gp{GP: *g, space: space, seed: seed}, nil
}

// gp is a GP on a space. kernel is that of the first fitted trials: work saved from the calls before.
type gp struct {
	GP
	space  Space
	seed   int64
	kernel matern
	fitted int
}

// sample is a trial as the process sees it.
type sample struct {
	features []float64 // by the parameters: the place of a number, the option of a choice
	value    float64
}

// Ask implements [Strategy].
func (g *gp) Ask(n int, history *History) Point {
	r := generator(g.seed, n)
	samples := g.samples(history.Told)
	if len(samples) < g.Startup {
		return g.space.Random(r)
	}
	if fitted := g.fitTo(len(samples)); fitted != g.fitted {
		g.kernel, g.fitted = fit(g.space, standard(g.few(samples[:fitted]))), fitted
	}
	samples = standard(g.few(samples))
	least, starts := math.Inf(1), slices.Clone(samples)
	for _, s := range samples {
		least = math.Min(least, s.value)
	}
	process := g.kernel.condition(samples)
	for _, trial := range history.Pending {
		features := g.features(trial.Point)
		mean, _ := process.at(features)
		samples = append(samples, sample{features, mean})
	}
	if len(history.Pending) > 0 {
		process = g.kernel.condition(samples)
	}
	return g.climb(r, starts, func(p Point) float64 {
		mean, variance := process.at(g.features(p))
		return logImprovement(mean, math.Sqrt(variance), least)
	})
}

// samples returns what the trials with a result say.
func (g *gp) samples(told []Trial) []sample {
	var samples []sample
	for _, trial := range told {
		value := math.NaN()
		switch {
		case trial.State == Done && len(trial.Values) > 0:
			value = trial.Values[0]
		case trial.State == Pruned && len(trial.Curve) > 0:
			value = trial.Curve[len(trial.Curve)-1].Value
		}
		if !math.IsNaN(value) {
			samples = append(samples, sample{g.features(trial.Point), value})
		}
	}
	return samples
}

// fitTo returns to how many of n samples, the first of them, the kernel is fitted: a number that grows by a tenth.
func (g *gp) fitTo(n int) int { return max(n-n%max(n/10, 1), g.Startup) }

// few returns at most Points of the samples: half of them the best, half the newest.
func (g *gp) few(samples []sample) []sample {
	if len(samples) <= g.Points {
		return slices.Clone(samples)
	}
	newest := len(samples) - (g.Points+1)/2
	older := slices.Clone(samples[:newest])
	slices.SortStableFunc(older, func(a, b sample) int { return cmp.Compare(a.value, b.value) })
	return append(older[:g.Points/2], samples[newest:]...)
}

// standard gives samples mean 0 and variance 1, after it took the bad ones for less bad.
func standard(samples []sample) []sample {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = math.Min(math.Max(s.value, -math.MaxFloat64/1e9), math.MaxFloat64/1e9) // whose squares' sum is finite below
	}
	sorted := slices.Sorted(slices.Values(values))
	least, median := sorted[0], sorted[len(sorted)/2]
	most := sorted[len(sorted)-1]
	if median > least {
		most = math.Min(most, least+3*(median-least))
	}
	for i, v := range values {
		// In units of the range, in which nothing overflows.
		values[i] = 0
		if most > least {
			values[i] = math.Min((v-least)/(most-least), 1)
		}
	}
	mean, deviation := stat.PopMeanStdDev(values, nil)
	for i := range samples {
		samples[i].value = (values[i] - mean) / math.Max(deviation, 1e-12)
	}
	return samples
}

// features returns the place of each number and the option of each choice; in the middle of what is not there, and option −1.
func (g *gp) features(p Point) []float64 {
	features := make([]float64, len(p))
	for i, parameter := range g.space {
		switch {
		case parameter.Kind == Choice && math.IsNaN(p[i]):
			features[i] = -1
		case parameter.Kind == Choice:
			features[i] = p[i]
		case math.IsNaN(p[i]):
			features[i] = 0.5
		default:
			features[i] = parameter.Place(p[i])
		}
	}
	return features
}

// matern is k(a, b) = s (1 + √5 r + 5/3 r²) e^(−√5 r), r² = Σⱼ wⱼ d(aⱼ, bⱼ)², and the variance of the noise.
type matern struct {
	space   Space
	weights []float64 // wⱼ = 1/lengthⱼ²
	scale   float64   // s
	noise   float64
}

// leastNoise keeps the matrices of kernels regular, in units of the values' variance.
const leastNoise = 1e-6

// unpack reads the logarithms of a kernel's numbers.
func unpack(space Space, x []float64) matern {
	m := matern{space: space, weights: make([]float64, len(space))}
	for j := range m.weights {
		m.weights[j] = math.Exp(x[j])
	}
	m.scale, m.noise = math.Exp(x[len(space)]), leastNoise+math.Exp(x[len(space)+1])
	return m
}

// squared returns d² of two features of a parameter.
func squared(parameter *Parameter, a, b float64) float64 {
	if parameter.Kind == Choice {
		if a == b {
			return 0
		}
		return 1
	}
	return (a - b) * (a - b)
}

// between returns k(a, b), and its derivative by r².
func (m *matern) between(a, b []float64) (k, slope float64) {
	sum := 0.0
	for j := range m.weights {
		sum += m.weights[j] * squared(&m.space[j], a[j], b[j])
	}
	root := math.Sqrt(5 * sum)
	e := m.scale * math.Exp(-root)
	return e * (1 + root + 5*sum/3), -5.0 / 6 * e * (1 + root)
}

// fit returns the kernel of the greatest posterior: of the likelihood of Rasmussen & Williams 2006, equation 5.8, and of Optuna's
// priors: −0.1 (w + 1/w) for each weight, Gamma(2, 1) of the scale, Gamma(1.1, 30) of the noise.
func fit(space Space, samples []sample) matern {
	size := len(space) + 2
	var at []float64 // where loss and gradient were last computed
	var loss float64
	gradient := make([]float64, size)
	compute := func(x []float64) {
		if !slices.Equal(x, at) {
			at = slices.Clone(x)
			loss = negativePosterior(space, samples, x, gradient)
		}
	}
	problem := optimize.Problem{
		Func: func(x []float64) float64 { compute(x); return loss },
		Grad: func(grad, x []float64) { compute(x); copy(grad, gradient) },
	}
	start := make([]float64, size) // weights and scale 1
	start[size-1] = math.Log(0.01)
	settings := &optimize.Settings{MajorIterations: 60, FuncEvaluations: 150, GradientThreshold: 1e-3}
	// An error is that of a line search which finds nothing better: the best so far is what there is.
	result, _ := optimize.Minimize(problem, start, settings, &optimize.LBFGS{})
	if result == nil || math.IsInf(result.F, 0) || math.IsNaN(result.F) {
		return unpack(space, start)
	}
	return unpack(space, result.X)
}

// negativePosterior returns −log posterior of the logarithms of a kernel's numbers, and sets its gradient.
func negativePosterior(space Space, samples []sample, x, gradient []float64) float64 {
	// Beyond e^±15 the priors have said no long before.
	if floats.Max(x) > 15 || floats.Min(x) < -30 {
		return math.Inf(1)
	}
	m := unpack(space, x)
	n, d := len(samples), len(space)
	k, slopes := mat.NewSymDense(n, nil), mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			value, slope := m.between(samples[i].features, samples[j].features)
			k.SetSym(i, j, value)
			slopes.SetSym(i, j, slope)
		}
		k.SetSym(i, i, k.At(i, i)+m.noise)
	}
	var factor mat.Cholesky
	if !factor.Factorize(k) {
		return math.Inf(1)
	}
	y := mat.NewVecDense(n, nil)
	for i, s := range samples {
		y.SetVec(i, s.value)
	}
	var alpha mat.VecDense
	var inverse mat.SymDense
	if factor.SolveVecTo(&alpha, y) != nil || factor.InverseTo(&inverse) != nil {
		return math.Inf(1) // too near to singular
	}
	loss := (mat.Dot(y, &alpha) + factor.LogDet()) / 2
	// ½ tr((K⁻¹ − α αᵀ) ∂K), equation 5.9; each pair off the diagonal counts twice.
	clear(gradient)
	for i := range n {
		for j := i; j < n; j++ {
			pair := inverse.At(i, j) - alpha.AtVec(i)*alpha.AtVec(j)
			if i == j {
				gradient[d] += pair * (k.At(i, i) - m.noise) / 2
				gradient[d+1] += pair * (m.noise - leastNoise) / 2
				continue
			}
			gradient[d] += pair * k.At(i, j)
			pair *= slopes.At(i, j)
			for p := range d {
				gradient[p] += pair * m.weights[p] * squared(&space[p], samples[i].features[p], samples[j].features[p])
			}
		}
	}
	for p, w := range m.weights {
		loss += 0.1 * (w + 1/w)
		gradient[p] += 0.1 * (w - 1/w)
	}
	loss += m.scale - math.Log(m.scale)
	gradient[d] += m.scale - 1
	noise := m.noise - leastNoise
	loss += 30*m.noise - 0.1*math.Log(m.noise)
	gradient[d+1] += 30*noise - 0.1*noise/m.noise
	return loss
}

// process is a kernel's posterior given samples.
type process struct {
	matern
	samples []sample
	inverse mat.SymDense // (K + noise)⁻¹
	alpha   mat.VecDense // (K + noise)⁻¹ y
	row     *mat.VecDense
	solved  mat.VecDense
}

// condition returns the posterior. Where the matrix cannot be factored, it has more noise.
func (m matern) condition(samples []sample) *process {
	n := len(samples)
	p := &process{matern: m, samples: samples, row: mat.NewVecDense(n, nil)}
	y := mat.NewVecDense(n, nil)
	for i, s := range samples {
		y.SetVec(i, s.value)
	}
	for ; ; m.noise *= 10 {
		k := mat.NewSymDense(n, nil)
		for i := range n {
			for j := i; j < n; j++ {
				value, _ := m.between(samples[i].features, samples[j].features)
				k.SetSym(i, j, value)
			}
			k.SetSym(i, i, k.At(i, i)+m.noise)
		}
		var factor mat.Cholesky
		if factor.Factorize(k) && factor.InverseTo(&p.inverse) == nil && factor.SolveVecTo(&p.alpha, y) == nil {
			return p
		}
	}
}

// at returns the mean and the variance of the value without noise.
func (p *process) at(features []float64) (mean, variance float64) {
	for i, s := range p.samples {
		k, _ := p.between(features, s.features)
		p.row.SetVec(i, k)
	}
	p.solved.MulVec(&p.inverse, p.row)
	return mat.Dot(p.row, &p.alpha), math.Max(p.scale-mat.Dot(p.row, &p.solved), 1e-12)
}

// logImprovement returns log E[max(least − v, 0)] of a normal value v: log σ + log(φ(z) + z Φ(z)), z = (least − mean)/σ.
func logImprovement(mean, deviation, least float64) float64 {
	z := (least - mean) / deviation
	density := -z*z/2 - math.Log(2*math.Pi)/2
	if z > -8 {
		return math.Log(deviation) + math.Log(math.Exp(density)+z*math.Erfc(-z/math.Sqrt2)/2)
	}
	// The two nearly cancel: Φ's asymptotic series, whose next term is below 1e-4 here.
	q := 1 / (z * z)
	return math.Log(deviation) + density + math.Log(q) + math.Log1p(-3*q+15*q*q-105*q*q*q)
}

// climb returns the point with the greatest score that it finds: from the best of random points and of the samples, along one
// parameter after the other, in steps that halve when none is better.
func (g *gp) climb(r *rand.Rand, samples []sample, score func(Point) float64) Point {
	type start struct {
		places []float64 // of all parameters, also of those that are not there; a choice's is its option
		score  float64
	}
	var starts []start
	try := func(places []float64) start { return start{places, score(g.point(places))} }
	for range g.Candidates {
		places := make([]float64, len(g.space))
		for i, parameter := range g.space {
			places[i] = r.Float64()
			if parameter.Kind == Choice {
				places[i] = parameter.At(places[i])
			}
		}
		starts = append(starts, try(places))
	}
	byScore := func(a, b start) int { return cmp.Compare(b.score, a.score) }
	slices.SortStableFunc(starts, byScore)
	starts = starts[:min(4, len(starts))]
	slices.SortStableFunc(samples, func(a, b sample) int { return cmp.Compare(a.value, b.value) })
	for _, s := range samples[:min(2, len(samples))] {
		places := slices.Clone(s.features)
		for i := range places {
			places[i] = math.Max(places[i], 0) // a choice that is not there
		}
		starts = append(starts, try(places))
	}
	best := start{score: math.Inf(-1)}
	for _, here := range starts {
		// Bounded, since ever smaller gains along a curved ridge would keep the step.
		for step, sweeps := 0.1, 0; step > 1e-4 && sweeps < 100; sweeps++ {
			improved := false
			for i := range g.space {
				for _, place := range g.neighbours(i, here.places[i], step) {
					places := slices.Clone(here.places)
					places[i] = place
					if there := try(places); there.score > here.score {
						here, improved = there, true
						break
					}
				}
			}
			if !improved {
				step /= 2
			}
		}
		if here.score > best.score {
			best = here
		}
	}
	return g.point(best.places)
}

// point returns the point of places, without what is not there.
func (g *gp) point(places []float64) Point {
	p := make(Point, len(places))
	for i, parameter := range g.space {
		p[i] = math.NaN()
		switch {
		case !g.space.Has(p, i):
		case parameter.Kind == Choice:
			p[i] = places[i]
		default:
			p[i] = parameter.At(places[i])
		}
	}
	return p
}

// neighbours returns the places a step away from one: of a whole number at least the next ones, of a choice all others.
func (g *gp) neighbours(i int, place, step float64) []float64 {
	parameter := g.space[i]
	var list []float64
	switch parameter.Kind {
	case Choice:
		for option := range parameter.Options {
			if float64(option) != place {
				list = append(list, float64(option))
			}
		}
	case Int:
		value := parameter.At(place)
		for _, sign := range []float64{-1, 1} {
			next := parameter.At(math.Min(math.Max(place+sign*step, 0), 1))
			if next == value {
				next += sign
			}
			if next >= parameter.Low && next <= parameter.High {
				list = append(list, parameter.Place(next))
			}
		}
	default:
		list = append(list, math.Min(place+step, 1), math.Max(place-step, 0))
	}
	return list
}
