package search

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
)

// Grid tries every combination of some values of each parameter, then ends.
//
// The order is that of nested loops, with the first parameter of the space outermost. A parameter that is absent from a combination has no
// loop in it: a choice of two optimizers, one of which has a momentum of 5 values, makes 1 + 5 points.
type Grid struct {
	// Points is the number of values of a parameter with a range: its ends and even steps between them, or even steps of the logarithm;
	// with 1, its middle. Whole numbers are rounded, and a range with no more whole numbers than points has all of them. The size of the
	// grid is the product over all parameters.
	Points int `yaml:"points" min:"1" max:"1000"`

	// Shuffle visits the points of the grid in a random order, which the seed decides, so that a sweep that is stopped early has covered
	// the whole space. It is off by default. It changes only the order: the whole grid has the same points.
	Shuffle bool `yaml:"shuffle"`
}

// mostPoints bounds a grid: its points are counted without error in float64.
const mostPoints = 1 << 53

// New starts it. The error is of a grid that is too large to count.
func (g *Grid) New(space Space, _ int, seed int64) (Strategy, error) {
	s := &grid{space: space, values: make([][]float64, len(space)), shuffle: g.Shuffle, seed: seed}
	for i, parameter := range space {
		s.values[i] = parameter.grid(g.Points)
	}
	s.below = make([]float64, len(space))
	total := 1.0
	for i := len(space) - 1; i >= 0; i-- {
		s.below[i] = s.loops(i)
		if space[i].Parent < 0 {
			total *= s.below[i]
		}
	}
	if total > mostPoints {
		return nil, fmt.Errorf("strategy grid: %.2g points are too many; use fewer points for each parameter (points: %d), or "+
			"fewer parameters", total, g.Points)
	}
	s.size = int(total)
	return s, nil
}

// grid is the values that a grid has of the parameter, from low to high.
func (p Parameter) grid(points int) []float64 {
	if p.Kind == Choice {
		points = p.Options
	}
	if p.Kind == Int {
		points = int(math.Min(float64(points), p.High-p.Low+1))
	}
	if p.Kind != Choice && p.Low == p.High {
		points = 1
	}
	var values []float64
	for i := range points {
		var value float64
		switch {
		case p.Kind == Choice:
			value = float64(i)
		case p.Kind == Int && float64(points) == p.High-p.Low+1:
			value = p.Low + float64(i)
		case points == 1:
			value = p.At(0.5)
		default:
			value = p.between(float64(i) / float64(points-1))
		}
		// Whole numbers in even steps of the logarithm may round to the same.
		if len(values) == 0 || value != values[len(values)-1] {
			values = append(values, value)
		}
	}
	return values
}

// between is the value at a part u of the way from Low to High, which are those at 0 and 1 to the bit.
func (p Parameter) between(u float64) float64 {
	switch u {
	case 0:
		return p.Low
	case 1:
		return p.High
	}
	value := p.Low + u*(p.High-p.Low)
	if p.Log {
		value = p.Low * math.Pow(p.High/p.Low, u)
	}
	if p.Kind == Int {
		value = math.Round(value)
	}
	return math.Min(math.Max(value, p.Low), p.High)
}

type grid struct {
	space   Space
	values  [][]float64 // of each parameter
	below   []float64   // how many combinations a parameter has with those that depend on it
	size    int
	shuffle bool
	seed    int64
}

// loops counts the combinations of parameter i and all that depend on it, whose own are counted already.
func (s *grid) loops(i int) float64 {
	sum := 0.0
	for _, value := range s.values[i] {
		product := 1.0
		for j := i + 1; j < len(s.space); j++ {
			if s.space[j].Parent == i && value == float64(s.space[j].Option) {
				product *= s.below[j]
			}
		}
		sum += product
	}
	return sum
}

// rest counts the combinations of the parameters from i on, those before having the point's values.
func (s *grid) rest(p Point, i int) int {
	product := 1
	for j := i; j < len(s.space); j++ {
		// What depends on a parameter from i on is in that one's count.
		if s.space[j].Parent < i && s.space.Has(p, j) {
			product *= int(s.below[j])
		}
	}
	return product
}

// Size is the number of the grid's points.
func (s *grid) Size() int { return s.size }

// Ask returns the point of trial n. Beyond the grid's end it starts again.
func (s *grid) Ask(n int, _ *History) Point {
	n %= s.size
	if s.shuffle {
		n = shuffled(n, s.size, s.seed)
	}
	p := make(Point, len(s.space))
	for i := range p {
		p[i] = math.NaN()
		if !s.space.Has(p, i) {
			continue
		}
		for _, p[i] = range s.values[i] {
			rest := s.rest(p, i+1)
			if n < rest {
				break
			}
			n -= rest
		}
	}
	return p
}

// shuffled is the place of n in an order of 0 … size-1 that the seed decides: a Feistel network on the numbers of an even
// count of bits, taken again where it leads beyond the size (Black & Rogaway 2002, "cycle walking"). It needs no list of
// the numbers.
func shuffled(n, size int, seed int64) int {
	half := (bits.Len(uint(size-1)) + 1) / 2
	mask := uint64(1)<<half - 1
	for {
		left, right := uint64(n)>>half, uint64(n)&mask
		for round := range uint64(4) {
			key := rand.NewPCG(uint64(seed), round<<32|right).Uint64()
			left, right = right, (left^key)&mask
		}
		if n = int(left<<half | right); n < size {
			return n
		}
	}
}
