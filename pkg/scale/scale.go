// Package scale maps the values of samples to the scale that models work on, and back.
//
//	s := scale.Range(0, 65535)       // 16 bits to [-1, 1]
//	x := s.Model(rows)               // in a graph
//	value := s.Value(0, x)           // on the host: what leaves Latent is in the data's own units
//
// A scale is affine, x = factor · value + offset, of all values alike or of each channel or feature. That of pictures holds within
// [-1, 1]: values beyond its ends are taken for the ends. Which it is, a config says ([Options]); its numbers come of the training
// samples alone.
//
// What is not here: the samples (pkg/dataset).
package scale

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Scale maps values to the model's scale. The zero value is that of bytes, [0, 255] to [-1, 1].
type Scale struct {
	// x = Factor · value + Offset.
	Factor float64 `json:"factor,omitempty"`
	Offset float64 `json:"offset,omitempty"`
	// Factors and Offsets are, in their place, those of each channel of a picture or each feature of a vector: value i of a sample has
	// those of place i modulo their number.
	Factors []float64 `json:"factors,omitempty"`
	Offsets []float64 `json:"offsets,omitempty"`
	// Open says that values beyond [-1, 1] stay what they are.
	Open bool `json:"open,omitempty"`
	// Missing are, of each feature, the value that stands for a missing one, which is NaN; nil where none may be missing.
	Missing []float64 `json:"missing,omitempty"`
	// Low and High are the values that pictures of an open scale show as black and as white; 0 and 0 where those are -1 and 1 of the
	// model's scale, and of vectors.
	Low  float64 `json:"low,omitempty"`
	High float64 `json:"high,omitempty"`
}

// Options says which scale, the config's section `data.scale:`.
type Options struct {
	// Kind is how values are scaled. range maps low to -1 and high to 1; percentile does so with percentiles of the training samples'
	// values; standardise gives a mean of 0 and a standard deviation of 1. For pictures, range and percentile use all values together, and
	// standardise each channel; for vectors, each feature is scaled separately. For vectors only, norm multiplies by one factor that makes
	// the mean squared length of the training samples equal to their number of values, and none leaves values unchanged; both preserve
	// angles.
	Kind string `yaml:"kind" enum:"range,percentile,standardise,norm,none"`

	// Low is what becomes -1: a value for kind range, a percentile for kind percentile. Lower values of pictures are clipped to -1; those
	// of vectors are not.
	Low float64 `yaml:"low"`

	// High is what becomes 1, likewise. If low and high are both 0, they default to the limits of the data type (0 and 255, 0 and 65535)
	// or, for float32 and for vectors, to the smallest and largest value of the training samples; for kind percentile, to 1 and 99.
	High float64 `yaml:"high"`

	// Open does not clip the values of pictures to [low, high], for example those of noise that was not clipped: the mean of many noisy
	// values then remains that of the clean ones. The model's output must be linear. Standardised values and vectors are never clipped.
	Open bool `yaml:"open"`
}

// widest is how far apart low and high may be: with more, a factor of float32 has few digits left.
const widest = 1e30

// Problem says what is wrong with the options, whatever the samples are; "" where nothing is.
func (o Options) Problem() string {
	switch {
	case o.Low == 0 && o.High == 0:
		return ""
	case o.Kind == "standardise" || o.whole():
		return o.Kind + " does not use low and high; leave them out"
	case !(o.Low < o.High):
		return fmt.Sprintf("low is %g and high %g; low must be below high, and both must be set together", o.Low, o.High)
	case o.Kind == "percentile" && !(o.Low >= 0 && o.High <= 100):
		return fmt.Sprintf("percentiles %g and %g; must be from 0 to 100", o.Low, o.High)
	case !(o.High-o.Low < widest):
		return fmt.Sprintf("low %g and high %g are too far apart", o.Low, o.High)
	}
	return ""
}

// Range maps [low, high] to [-1, 1].
func Range(low, high float64) Scale {
	return Scale{Factor: 2 / (high - low), Offset: -2*low/(high-low) - 1}
}

// None leaves values as they are: they are in the model's scale already.
func None() Scale { return Scale{Factor: 1, Open: true} }

// bytes is the scale of bytes.
var bytes = Scale{Factor: 1 / 127.5, Offset: -1}

// numbers are the factors and offsets.
func (s Scale) numbers() (factors, offsets []float64) {
	switch {
	case s.Factors != nil:
		return s.Factors, s.Offsets
	case s.Factor == 0:
		s = bytes
	}
	return []float64{s.Factor}, []float64{s.Offset}
}

// IsBytes says whether it is the scale of bytes.
func (s Scale) IsBytes() bool {
	factors, offsets := s.numbers()
	return s.Factors == nil && factors[0] == bytes.Factor && offsets[0] == bytes.Offset && !s.Open
}

// Data are the samples that a scale is found by.
type Data struct {
	Type dtypes.DType
	// Samples is how many there are, and Size the number of values of each.
	Samples, Size int
	// Channels is the number of channels of a picture, and 0 of vectors.
	Channels int
	// At returns value i of a sample.
	At func(sample, i int) float64
	// Missing says that values of vectors may be missing, which are NaN: the median of the others stands for them.
	Missing bool
}

// Find returns the scale that the options mean.
func (o Options) Find(d Data) (Scale, error) {
	if problem := o.Problem(); problem != "" {
		return Scale{}, fmt.Errorf("data.scale: %s", problem)
	}
	if o.whole() && (d.Channels > 0 || d.Missing) {
		return Scale{}, fmt.Errorf("data.scale.kind: %s is for vectors without missing values; use standardise, or range for pictures", o.Kind)
	}
	if o.whole() {
		return o.findWhole(d)
	}
	if d.Channels == 0 {
		return o.findEach(d)
	}
	if d.Missing {
		return Scale{}, fmt.Errorf("data.missing: median is for tables, and these are pictures; leave it out")
	}
	if o.Kind == "standardise" {
		return o.standardised(d)
	}
	low, high := o.ends(d.column(0, 1), d.Type)
	if !(low < high) || !(high-low < widest) {
		return Scale{}, fmt.Errorf("data.scale: the training samples' values go from %g to %g, which is not a range; set data.scale.low and high", low, high)
	}
	if d.Type == dtypes.Uint8 && low == 0 && high == math.MaxUint8 { // none lies beyond
		return bytes, nil
	}
	found := Range(low, high)
	found.Open = o.Open
	return found, nil
}

// findEach finds the scale of vectors, each feature by itself. A feature that does not vary becomes 0.
func (o Options) findEach(d Data) (Scale, error) {
	s := Scale{Open: true}
	d = d.some()
	for feature := range d.Size {
		values := d.column(feature, d.Size)
		if d.Missing {
			median, found := values.median()
			if !found {
				return Scale{}, fmt.Errorf("data.missing: no training sample has a value of feature %d; list it in data.ignore", feature+1)
			}
			s.Missing, values = append(s.Missing, median), values.with(median)
		}
		var one Scale
		if o.Kind == "standardise" {
			mean, deviation := values.moments()
			one = Scale{Factor: 1 / deviation, Offset: -mean / deviation}
			if !(deviation > 1e-12*math.Abs(mean)) { // nothing but rounding
				one = Scale{Factor: 1, Offset: -mean}
			}
		} else {
			low, high := o.ends(values, dtypes.Float32)
			one = Range(low, high)
			if low == high {
				one = Scale{Factor: 1, Offset: -low}
			}
		}
		if !(math.Abs(one.Factor) < widest) || !(math.Abs(one.Offset) < widest) {
			return Scale{}, fmt.Errorf("data.scale: the training samples' values of feature %d give the scale %g * value + %g, which is beyond float32; rescale or leave out that feature",
				feature+1, one.Factor, one.Offset)
		}
		s.Factors, s.Offsets = append(s.Factors, one.Factor), append(s.Offsets, one.Offset)
	}
	return s, nil
}

// whole says that all values of vectors have one factor, and none is added.
func (o Options) whole() bool { return o.Kind == "norm" || o.Kind == "none" }

// findWhole finds the scale of vectors that changes their length alone.
func (o Options) findWhole(d Data) (Scale, error) {
	if o.Kind == "none" {
		return None(), nil
	}
	d = d.some()
	values := d.column(0, 1)
	square := 0.0
	for i := range values.n {
		square += values.at(i) * values.at(i) / float64(values.n)
	}
	if !(square > 1/widest) || !(square < widest) {
		return Scale{}, fmt.Errorf("data.scale: the training samples' values have a mean square of %g; set data.scale.kind: none or standardise", square)
	}
	return Scale{Factor: 1 / math.Sqrt(square), Open: true}, nil
}

// standardised finds the scale of pictures whose channels have a mean of 0 and a standard deviation of 1.
func (Options) standardised(d Data) (Scale, error) {
	s := Scale{Open: true}
	s.Low, s.High = Options{Kind: "range"}.ends(d.column(0, 1), d.Type)
	for channel := range d.Channels {
		mean, deviation := d.column(channel, d.Channels).moments()
		if !(deviation > 0) || !(deviation < widest) {
			return Scale{}, fmt.Errorf("data.scale: the training samples' values of channel %d have a standard deviation of %g; set data.scale.kind: range", channel+1, deviation)
		}
		s.Factors, s.Offsets = append(s.Factors, 1/deviation), append(s.Offsets, -mean/deviation)
	}
	return s, nil
}

// Of very many samples, a scale is found by some, evenly spread: so many at least, and so many values.
const (
	leastRows  = 10_000
	mostValues = 1 << 25
)

// some are the samples that a scale is found by, in memory, for they are read feature by feature.
func (d Data) some() Data {
	rows := min(d.Samples, max(leastRows, mostValues/d.Size))
	values := make([]float32, 0, rows*d.Size)
	for i := range rows {
		sample := int(int64(i) * int64(d.Samples) / int64(rows))
		for j := range d.Size {
			values = append(values, float32(d.At(sample, j)))
		}
	}
	few, size := d, d.Size
	few.Samples, few.At = rows, func(sample, i int) float64 { return float64(values[sample*size+i]) }
	return few
}

// column is values of samples: some of them, evenly spread, where there are very many.
type column struct {
	n  int
	at func(i int) float64
}

// most bounds the values that a scale is found by: evenly spread over all.
const most = 1 << 24

// column returns the values of every sample at a place, and at each step-th place after it.
func (d Data) column(place, step int) column {
	each := (d.Size - place + step - 1) / step // of a sample
	n := d.Samples * each
	stride := max(1, n/most)
	return column{(n + stride - 1) / stride, func(i int) float64 {
		i *= stride
		return d.At(i/each, place+i%each*step)
	}}
}

// with returns the column with a value in the place of what is missing.
func (c column) with(value float64) column {
	return column{c.n, func(i int) float64 {
		if x := c.at(i); !math.IsNaN(x) {
			return x
		}
		return value
	}}
}

// median is that of the values that are not missing, of which there may be none.
func (c column) median() (median float64, found bool) {
	var there []float64
	for i := 0; i < c.n; i += max(1, c.n/mostSorted) {
		if x := c.at(i); !math.IsNaN(x) {
			there = append(there, x)
		}
	}
	if len(there) == 0 {
		return 0, false
	}
	slices.Sort(there)
	return (there[(len(there)-1)/2] + there[len(there)/2]) / 2, true
}

// moments are the mean and the standard deviation, with a divisor of n.
func (c column) moments() (mean, deviation float64) {
	for i := range c.n {
		mean += c.at(i) / float64(c.n)
	}
	for i := range c.n {
		deviation += (c.at(i) - mean) * (c.at(i) - mean) / float64(c.n)
	}
	return mean, math.Sqrt(deviation)
}

// ends are the values that become -1 and 1, of kinds range and percentile.
func (o Options) ends(c column, dtype dtypes.DType) (low, high float64) {
	switch given := o.Low != 0 || o.High != 0; {
	case o.Kind == "percentile" && given:
		return c.percentiles(o.Low, o.High)
	case o.Kind == "percentile":
		return c.percentiles(1, 99)
	case given:
		return o.Low, o.High
	case dtype == dtypes.Uint8:
		return 0, math.MaxUint8
	case dtype == dtypes.Uint16:
		return 0, math.MaxUint16
	}
	low, high = math.Inf(1), math.Inf(-1)
	for i := range c.n {
		low, high = min(low, c.at(i)), max(high, c.at(i))
	}
	return low, high
}

// mostSorted bounds the values that percentiles are taken of.
const mostSorted = 1 << 22

func (c column) percentiles(low, high float64) (from, to float64) {
	step := max(1, c.n/mostSorted)
	var sorted []float64
	for i := 0; i < c.n; i += step {
		sorted = append(sorted, c.at(i))
	}
	slices.Sort(sorted)
	at := func(percent float64) float64 {
		// The position of a percentile between order statistics, as in NumPy's default, linear.
		position := percent / 100 * float64(len(sorted)-1)
		lower := int(position)
		upper := min(lower+1, len(sorted)-1)
		return sorted[lower] + (position-float64(lower))*(sorted[upper]-sorted[lower])
	}
	return at(low), at(high)
}

// affine returns factors · x + offsets, of rows whose last axis holds whole samples: [batch, size].
func affine(x *Node, factors, offsets []float64) *Node {
	if len(factors) == 1 {
		return AddScalar(MulScalar(x, factors[0]), offsets[0])
	}
	apart := Reshape(x, x.Shape().Dim(0), -1, len(factors))
	return Reshape(Add(Mul(apart, singles(x.Graph(), factors, 2)), singles(x.Graph(), offsets, 2)), x.Shape().Dimensions...)
}

// singles are numbers as the last axis of a constant, after so many axes of 1.
func singles(g *Graph, values []float64, before int) *Node {
	single := make([]float32, len(values))
	for i, value := range values {
		single[i] = float32(value)
	}
	node := Const(g, single)
	for range before {
		node = ExpandAxes(node, 0)
	}
	return node
}

// Model maps values of any type to the model's scale, in float32: [batch, size] → the same.
func (s Scale) Model(values *Node) *Node {
	factors, offsets := s.numbers()
	x := ConvertDType(values, dtypes.Float32)
	if s.Missing != nil {
		x = Where(NotEqual(x, x), BroadcastToDims(singles(x.Graph(), s.Missing, 1), x.Shape().Dimensions...), x) // NaN is not equal to itself
	}
	x = affine(x, factors, offsets)
	if s.Open || s.IsBytes() { // of bytes, none lies beyond the ends
		return x
	}
	return ClipScalar(x, -1, 1)
}

// Shown maps the model's scale of pictures to that of figures and of what people see, in which -1 is black and 1 white: x itself, but
// of standardised values. x: [batch, size].
func (s Scale) Shown(x *Node) *Node {
	if !s.Open || s.Low == s.High {
		return x
	}
	factors, offsets := slices.Clone(s.Factors), slices.Clone(s.Offsets)
	shown := Range(s.Low, s.High)
	for i := range factors {
		// shown.Factor · (x − offset) / factor + shown.Offset
		factors[i] = shown.Factor / factors[i]
		offsets[i] = shown.Offset - factors[i]*offsets[i]
	}
	return affine(x, factors, offsets)
}

// ShownAt is what [Scale.Shown] makes of a value in the data's units, value i of a sample.
func (s Scale) ShownAt(i int, value float64) float64 {
	if !s.Open || s.Low == s.High {
		return s.At(i, value)
	}
	shown := Range(s.Low, s.High)
	return shown.Factor*value + shown.Offset
}

// Value is what x of the model's scale is in the data's units, as value i of a sample.
func (s Scale) Value(i int, x float64) float64 {
	factors, offsets := s.numbers()
	i %= len(factors)
	return (x - offsets[i]) / factors[i]
}

// At is the reverse: what a value in the data's units is in the model's scale.
func (s Scale) At(i int, value float64) float64 {
	factors, offsets := s.numbers()
	i %= len(factors)
	if s.Missing != nil && math.IsNaN(value) {
		value = s.Missing[i]
	}
	x := factors[i]*value + offsets[i]
	if s.Open {
		return x
	}
	return min(max(x, -1), 1)
}

// fewShown is how many factors are written out.
const fewShown = 4

// String is the formula, with the ends.
func (s Scale) String() string {
	switch {
	case s.IsBytes():
		return "byte / 127.5 - 1, in [-1, 1]"
	case len(s.Factors) > fewShown:
		return fmt.Sprintf("factor * value + offset, of each of %d", len(s.Factors))
	case s.Factors != nil:
		text := ""
		for i := range s.Factors {
			if i > 0 {
				text += "; "
			}
			text += fmt.Sprintf("%.6g * value + %.6g", s.Factors[i], s.Offsets[i])
		}
		return text
	case s.Open:
		return fmt.Sprintf("%.9g * value + %.9g", s.Factor, s.Offset)
	}
	return fmt.Sprintf("%.9g * value + %.9g, values from %.6g to %.6g to [-1, 1]", s.Factor, s.Offset, s.Value(0, -1), s.Value(0, 1))
}
