package model

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// block is a part of a model: what it holds, and what it does. Models are lists of blocks.
type block interface {
	layer() Layer
	// apply maps a batch of what layer takes: [batch, values], or [batch, height, width, channels].
	apply(p *Pass, x *Node) *Node
}

// layersOf describes the blocks.
func layersOf(blocks ...[]block) []Layer {
	var layers []Layer
	for _, part := range blocks {
		for _, b := range part {
			layers = append(layers, b.layer())
		}
	}
	return layers
}

// shown is a model's last layer, with the activation that makes pixels of it.
func shown(last block, output string) Layer {
	switch last := last.(type) {
	case denseBlock:
		last.Activation = output
		return last.layer()
	case convLayer:
		last.activation = output
		return last.layer()
	}
	return last.layer()
}

// through applies the blocks one after another. With p.Checkpoint, gradients find of each of the [segments] its input, and compute what is
// inside again.
func through(blocks []block, p *Pass, x *Node) *Node {
	if !p.Checkpoint {
		return chained(blocks, p, x)
	}
	for _, segment := range segments(blocks) {
		x = chained(segment, p, x.Checkpoint())
	}
	return x.StopCheckpoint()
}

// chained is [through] inside of a segment.
func chained(blocks []block, p *Pass, x *Node) *Node {
	for _, b := range blocks {
		x = b.apply(p, x)
	}
	return x
}

// segments divides blocks into those whose insides are worth computing twice: a residual or attention block, and two other layers with
// products, with what follows them.
func segments(blocks []block) [][]block {
	var list [][]block
	room := 0 // layers with products that the last segment still takes
	for _, b := range blocks {
		weighs := b.layer().Products > 0
		whole := false
		switch b.(type) {
		case residual, attention:
			whole = true
		}
		if len(list) == 0 || whole || weighs && room == 0 {
			list, room = append(list, nil), 2
		}
		last := &list[len(list)-1]
		*last = append(*last, b)
		if whole {
			room = 0
		} else if weighs {
			room--
		}
	}
	return list
}

// hidden lists what follows a hidden layer: a norm with the activation, and dropout, as far as there are any. A layer
// without a norm has its activation itself; see before.
func hidden(name, norm string, channels int, activation string, dropout float64) []block {
	var blocks []block
	if normalizes(norm) {
		blocks = append(blocks, normLayer{name + "." + norm + "_norm", norm, channels, activation})
	}
	if dropout > 0 {
		blocks = append(blocks, dropoutLayer{name + ".dropout", dropout})
	}
	return blocks
}

// normalizes says whether this is a norm: without one, it is "none", or "" in a model made in Go.
func normalizes(norm string) bool { return norm == "layer" || norm == "batch" }

// before is the activation of a layer that a norm may follow.
func before(norm, activation string) string {
	if normalizes(norm) {
		return "linear"
	}
	return activation
}

// acrossBatch is the key by which a norm makes a model look across a batch; see [Collective].
func acrossBatch(norm string) string {
	if norm == "batch" {
		return "norm"
	}
	return ""
}

// normLayer is y = activation(γ (x − μ) / √(σ² + ε) + β), with γ and β learned for each channel.
//
// A layer norm takes mean μ and variance σ² over the channels of each place (Ba et al. 2016). A batch norm takes them for each
// channel over the images of the batch and their places, and after training has running means of both, as PyTorch does: each
// step moves them by a tenth of the way, the variance as of a sample (Ioffe & Szegedy 2015).
type normLayer struct {
	name       string
	kind       string // layer or batch
	channels   int    // the last axis of x
	activation string
}

const (
	normEpsilon = 1e-5
	// normMomentum is the part of a batch's statistics in the running ones.
	normMomentum = 0.1
)

func (l normLayer) layer() Layer {
	dims := []int{l.channels}
	params := []Param{
		{Name: l.name + ".scale", Dims: dims, Init: Init{Constant: 1}},
		{Name: l.name + ".shift", Dims: dims},
	}
	if l.kind == "batch" {
		params = append(params,
			Param{Name: l.name + ".mean", Dims: dims, Statistic: true},
			Param{Name: l.name + ".variance", Dims: dims, Init: Init{Constant: 1}, Statistic: true})
	}
	return Layer{Name: l.name, Description: fmt.Sprintf("%s norm of %d, %s", l.kind, l.channels, l.activation), Params: params}
}

// apply computes in float32 where the model computes in less. x: [batch, …, channels].
func (l normLayer) apply(p *Pass, x *Node) *Node {
	dtype := x.DType()
	x = p.wide(x)
	mean, variance := l.moments(p, x)
	y := Div(Sub(x, mean), Sqrt(AddScalar(variance, normEpsilon)))
	y = Add(Mul(y, l.along(x, p.Weights[l.name+".scale"])), l.along(x, p.Weights[l.name+".shift"]))
	return p.Show(l.name, Activate(l.activation, ConvertDType(y, dtype)))
}

// along puts a value for each channel beside x.
func (l normLayer) along(x, values *Node) *Node {
	for values.Rank() < x.Rank() {
		values = ExpandAxes(values, 0)
	}
	return values
}

// moments returns mean and variance, with axes of size 1 where x has more.
func (l normLayer) moments(p *Pass, x *Node) (mean, variance *Node) {
	if l.kind == "layer" {
		mean = ReduceAndKeep(x, ReduceMean, -1)
		return mean, ReduceAndKeep(Square(Sub(x, mean)), ReduceMean, -1)
	}
	runningMean, runningVariance := p.Weights[l.name+".mean"], p.Weights[l.name+".variance"]
	if !p.Training || p.Frozen != nil && p.Frozen(l.name+".mean") {
		return l.along(x, runningMean), l.along(x, runningVariance)
	}
	var axes []int // all but that of the channels
	places := 1
	for axis, dim := range x.Shape().Dimensions[:x.Rank()-1] {
		axes = append(axes, axis)
		if axis > 0 {
			places *= dim
		}
	}
	count := Scalar(x.Graph(), x.DType(), float64(places*x.Shape().Dim(0)))
	sum := func(x *Node) *Node { return ReduceSum(x, axes...) }
	if p.Counts != nil {
		counts := ConvertDType(p.Counts, x.DType())
		count = MulScalar(ReduceAllSum(counts), float64(places))
		for counts.Rank() < x.Rank() {
			counts = ExpandAxes(counts, -1)
		}
		sum = func(x *Node) *Node { return ReduceSum(Mul(x, counts), axes...) }
	}
	batchMean := Div(sum(x), count)
	mean = l.along(x, batchMean)
	squares := sum(Square(Sub(x, mean)))
	move := func(name string, running, now *Node) {
		p.Update(name, Add(MulScalar(running, 1-normMomentum), MulScalar(ConvertDType(now, running.DType()), normMomentum)))
	}
	move(l.name+".mean", runningMean, batchMean)
	move(l.name+".variance", runningVariance, Div(squares, MaxScalar(AddScalar(count, -1), 1)))
	return mean, l.along(x, Div(squares, count))
}

// dropoutLayer sets each value to zero with probability rate in training, and divides the others by 1 − rate, so that their
// mean stays (Srivastava et al. 2014).
type dropoutLayer struct {
	name string
	rate float64
}

func (l dropoutLayer) layer() Layer {
	return Layer{Name: l.name, Description: fmt.Sprintf("dropout %g", l.rate)}
}

func (l dropoutLayer) apply(p *Pass, x *Node) *Node {
	if !p.Training {
		return x
	}
	words := p.Draw().Bits(x.Shape().Dimensions...)
	// The upper 24 bits, which float32 holds exactly.
	draw := ConvertDType(BitwiseShiftRightLogicalScalar(words, uint32(8)), dtypes.Float32)
	keep := GreaterOrEqual(draw, Scalar(x.Graph(), dtypes.Float32, math.Round(l.rate*(1<<24))))
	return Where(keep, MulScalar(x, 1/(1-l.rate)), ZerosLike(x))
}
