package chart

import (
	"fmt"
	"math"
	"strings"
)

// Bounds are the smallest and the largest of the numbers included. The zero value includes none.
type Bounds struct {
	Min, Max float64
	Any      bool
}

// largest bounds what axes show, so that no width or ratio of theirs overflows.
const largest = 1e150

// Include widens the bounds to a number, or to ±1e150 where it is beyond.
func (b *Bounds) Include(x float64) {
	x = min(max(x, -largest), largest)
	if !b.Any {
		*b = Bounds{x, x, true}
	}
	b.Min, b.Max = min(b.Min, x), max(b.Max, x)
}

// Axis places values between 0 and 1, evenly or by their logarithms.
type Axis struct {
	Bounds
	Log bool
}

// Tick is a mark of an axis: its place from 0 to 1, and what is written there.
type Tick struct {
	Place float64
	Text  string
}

// logFrom is the ratio of the largest to the smallest value from which on an axis is logarithmic.
const logFrom = 8

// NewAxis is an axis for values within bounds, with some margin. It is logarithmic where it may be and the values suggest it.
func NewAxis(b Bounds, mayBeLog bool) Axis {
	a := Axis{Bounds: b, Log: mayBeLog && b.Min >= 1/largest && b.Max/b.Min >= logFrom}
	if a.Log {
		// A tenth, and more where there are many decades: the same part of the axis at least.
		margin := max(1.1, math.Pow(b.Max/b.Min, 0.03))
		a.Min, a.Max = a.Min/margin, a.Max*margin
		return a
	}
	margin := 0.06 * (a.Max - a.Min)
	if a.Max-a.Min <= 1e-9*math.Abs(a.Max) { // one value, but for rounding
		margin = max(math.Abs(a.Max)*0.1, 1e-9)
	}
	a.Min, a.Max = a.Min-margin, a.Max+margin
	return a
}

// Place returns where a value is: 0 at the lower end, 1 at the upper.
func (a Axis) Place(y float64) float64 {
	if a.Log {
		return math.Log(y/a.Min) / math.Log(a.Max/a.Min)
	}
	return (y - a.Min) / (a.Max - a.Min)
}

// Ticks returns the axis' marks: about n round values, n + 1 at most on an even axis.
func (a Axis) Ticks(n int) []Tick {
	var ticks []Tick
	for _, value := range a.Values(n) {
		ticks = append(ticks, Tick{a.Place(value), Number(value)})
	}
	return ticks
}

// Values returns the values that the marks are at.
func (a Axis) Values(n int) []float64 {
	if !a.Log {
		return linearTicks(a.Bounds, n)
	}
	decades := math.Log10(a.Max / a.Min)
	steps, every := []float64{1, 2, 5}, 1
	switch {
	case 3*decades > float64(n)+2:
		steps, every = []float64{1}, int(max(1, math.Ceil(decades/float64(n))))
	case decades < 0.9:
		// 1, 2 and 5 would be two marks or fewer.
		return linearTicks(a.Bounds, n)
	}
	var ticks []float64
	for power := math.Floor(math.Log10(a.Min)); power <= math.Log10(a.Max); power++ {
		if int(power)%every != 0 {
			continue
		}
		for _, step := range steps {
			if tick := math.Pow(10, power) * step; tick >= a.Min && tick <= a.Max {
				ticks = append(ticks, tick)
			}
		}
	}
	return ticks
}

// linearTicks returns at most n + 1 round numbers within the bounds: multiples of 1, 2 or 5 times a power of ten.
func linearTicks(b Bounds, n int) []float64 {
	rough := (b.Max - b.Min) / float64(n)
	if !(rough > 0) || math.IsInf(rough, 0) {
		return []float64{b.Min}
	}
	decade := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * decade
	for _, factor := range []float64{1, 2, 5} {
		if rough <= decade*factor*(1+1e-9) {
			step = decade * factor
			break
		}
	}
	var ticks []float64
	for i := math.Ceil(b.Min / step); i*step <= b.Max*(1+1e-12) && len(ticks) <= n; i++ {
		ticks = append(ticks, i*step+0) // −0 + 0 is 0
	}
	return ticks
}

// typographic writes a number's signs as minus signs, and its exponent without the zero that makes it two digits.
var typographic = strings.NewReplacer("e-0", "e−", "e+0", "e+", "-", "−")

// Number writes a number with at most four digits that count, and without the noise of its arithmetic; — where it is none.
func Number(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "—"
	}
	return typographic.Replace(fmt.Sprintf("%.4g", x))
}
