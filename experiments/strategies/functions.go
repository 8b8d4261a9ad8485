package main

import (
	"math"

	"latent/pkg/search"
)

// function is what the strategies minimise. optuna_side.py has the same ones; the test compares values.
type function struct {
	name string
	// what says where the function is from, for the report.
	what    string
	space   search.Space
	minimum float64 // its least value on the space
	value   func(p search.Point) float64
}

func float(name string, low, high float64) search.Parameter {
	return search.Parameter{Name: name, Kind: search.Float, Low: low, High: high, Parent: -1}
}

func integer(name string, low, high float64) search.Parameter {
	return search.Parameter{Name: name, Kind: search.Int, Low: low, High: high, Parent: -1}
}

func choice(name string, options int) search.Parameter {
	return search.Parameter{Name: name, Kind: search.Choice, Options: options, Parent: -1}
}

func logarithmic(p search.Parameter) search.Parameter {
	p.Log = true
	return p
}

// under makes the parameter one that is there where the choice at a place of the space has an option.
func under(parent, option int, p search.Parameter) search.Parameter {
	p.Parent, p.Option = parent, option
	return p
}

var functions = []function{
	{
		name: "branin", what: "two real numbers; Branin 1972 as in Dixon & Szegő 1978, minimum 0.397887 at (π, 2.275) and two more points",
		space:   search.Space{float("x", -5, 10), float("y", 0, 15)},
		minimum: 0.39788735772973816, value: branin,
	},
	{
		name: "hartmann6", what: "six real numbers; Dixon & Szegő 1978, minimum −3.32237 at (0.202, 0.150, 0.477, 0.275, 0.312, 0.657)",
		space: search.Space{
			float("x0", 0, 1), float("x1", 0, 1), float("x2", 0, 1), float("x3", 0, 1), float("x4", 0, 1), float("x5", 0, 1),
		},
		minimum: -3.322368011415513, value: hartmann6,
	},
	{
		name: "rosenbrock-log", what: "Rosenbrock's function of the base-10 logarithms of three numbers from 0.01 to 100; 0 at (10, 10, 10)",
		space: search.Space{
			logarithmic(float("r0", 1e-2, 1e2)), logarithmic(float("r1", 1e-2, 1e2)), logarithmic(float("r2", 1e-2, 1e2)),
		},
		value: rosenbrockLog,
	},
	{
		name: "ackley-mixed", what: "Ackley 1987 of two real numbers, two integers and a choice of four; 0 at 0, which is not the middle of any range",
		space: search.Space{
			float("x0", -20, 32), float("x1", -32, 20), integer("k0", -10, 20), integer("k1", -20, 10), choice("offset", 4),
		},
		value: ackleyMixed,
	},
	{
		name: "levy-integer", what: "Levy's function (Laguna & Martí 2005) of a real number, two integers, and an integer from 1 to 1024 on a logarithmic scale; 0 at (1, 1, 1, 16)",
		space: search.Space{
			float("x", -10, 10), integer("k0", -10, 10), integer("k1", -10, 10), logarithmic(integer("n", 1, 1024)),
		},
		value: levyInteger,
	},
	{
		name: "branches", what: "a choice of five, a real number, and a choice of three with two, two and no parameters of their own, including integers and logarithms; 0 in the second branch, the minima of the others are 0.2 and 0.5",
		space: search.Space{
			choice("activation", 5), float("w", -5, 5), choice("kind", 3),
			under(2, 0, logarithmic(float("rate", 1e-4, 1))), under(2, 0, float("a", -1, 1)),
			under(2, 1, integer("layers", 1, 8)), under(2, 1, float("b", 0, 1)),
		},
		value: branches,
	},
}

func branin(p search.Point) float64 {
	x, y := p[0], p[1]
	b, c := 5.1/(4*math.Pi*math.Pi), 5/math.Pi
	valley := y - b*x*x + c*x - 6
	return valley*valley + 10*(1-1/(8*math.Pi))*math.Cos(x) + 10
}

var (
	hartmannAlpha = [4]float64{1.0, 1.2, 3.0, 3.2}
	hartmannA     = [4][6]float64{
		{10, 3, 17, 3.5, 1.7, 8},
		{0.05, 10, 17, 0.1, 8, 14},
		{3, 3.5, 1.7, 10, 17, 8},
		{17, 8, 0.05, 10, 0.1, 14},
	}
	hartmannP = [4][6]float64{
		{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886},
		{0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
		{0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650},
		{0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381},
	}
)

func hartmann6(p search.Point) float64 {
	sum := 0.0
	for i, alpha := range hartmannAlpha {
		exponent := 0.0
		for j, x := range p {
			exponent += hartmannA[i][j] * (x - hartmannP[i][j]) * (x - hartmannP[i][j])
		}
		sum -= alpha * math.Exp(-exponent)
	}
	return sum
}

func rosenbrockLog(p search.Point) float64 {
	sum := 0.0
	for i := range len(p) - 1 {
		x, next := math.Log10(p[i]), math.Log10(p[i+1])
		sum += 100*(next-x*x)*(next-x*x) + (1-x)*(1-x)
	}
	return sum
}

func ackleyMixed(p search.Point) float64 {
	x := []float64{p[0], p[1], p[2], p[3], []float64{5, -3, 0, 10}[int(p[4])]}
	squares, waves := 0.0, 0.0
	for _, v := range x {
		squares += v * v / float64(len(x))
		waves += math.Cos(2*math.Pi*v) / float64(len(x))
	}
	return -20*math.Exp(-0.2*math.Sqrt(squares)) - math.Exp(waves) + 20 + math.E
}

func levyInteger(p search.Point) float64 {
	var w [4]float64
	for i, x := range []float64{p[0], p[1], p[2], 1 + math.Log2(p[3]/16)} {
		w[i] = 1 + (x-1)/4
	}
	square := func(x float64) float64 { return x * x }
	sum := square(math.Sin(math.Pi * w[0]))
	for _, v := range w[:3] {
		sum += square(v-1) * (1 + 10*square(math.Sin(math.Pi*v+1)))
	}
	return sum + square(w[3]-1)*(1+square(math.Sin(2*math.Pi*w[3])))
}

func branches(p search.Point) float64 {
	value := []float64{0.3, 0, 0.2, 0.5, 0.1}[int(p[0])] + 0.1*(p[1]-1.7)*(p[1]-1.7)
	switch p[2] {
	case 0:
		rate := math.Log10(p[3])
		return value + 0.2 + (p[4]-0.3)*(p[4]-0.3) + 0.5*(rate+2)*(rate+2)
	case 1:
		return value + 0.15*math.Abs(p[5]-5) + 2*(p[6]-0.7)*(p[6]-0.7)
	default:
		return value + 0.5
	}
}
