package train

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
)

// Children of a step's key for what varies its images.
const (
	drawFlip = iota
	drawQuarter
	drawHalf
	drawBrightness
	drawContrast
)

// pair returns the images of rows and their targets, the same where there are none, both varied alike. rows: [batch, values] as
// [dataset.Samples.Row] has them; returns [batch, height, width, channels] each.
func (p *Program) pair(rows *Node, key random.Key) (input, target *Node) {
	input, target = model.Pair(rows, p.image, p.scale)
	if input == target {
		x := p.varied(input, key)
		return x, x
	}
	both := p.varied(Concatenate([]*Node{input, target}, 3), key)
	channels := p.image.Channels
	part := func(from int) *Node {
		return Slice(both, AxisRange(), AxisRange(), AxisRange(), AxisRange(from, from+channels))
	}
	return part(0), part(channels)
}

// varied returns images as the dataset's augmentation varies them, each by itself: mirrored from left to right or not; turned by 0 to 3
// quarters; stretched about their mean, and made brighter or darker, within the scale's ends. x: [batch, height, width, channels].
func (p *Program) varied(x *Node, key random.Key) *Node {
	a, dims := p.augment, x.Shape().Dimensions
	uniform := func(draw int) *Node { return key.Child(draw).Uniform(dims[0], 1, 1, 1) }
	either := func(draw int, yes, no *Node) *Node {
		return Where(BroadcastToDims(LessThan(uniform(draw), Scalar(x.Graph(), dtypes.Float32, 0.5)), dims...), yes, no)
	}
	if a.Flip {
		x = either(drawFlip, Reverse(x, 2), x)
	}
	if a.Rotate {
		x = either(drawQuarter, Reverse(TransposeAllAxes(x, 0, 2, 1, 3), 2), x)
		x = either(drawHalf, Reverse(x, 1, 2), x)
	}
	if a.Contrast > 0 {
		mean := ReduceAndKeep(x, ReduceMean, 1, 2, 3)
		x = Add(mean, Mul(Sub(x, mean), between(uniform(drawContrast), 1-a.Contrast, 1+a.Contrast)))
	}
	if a.Brightness > 0 {
		x = Add(x, between(uniform(drawBrightness), -a.Brightness, a.Brightness))
	}
	if (a.Contrast > 0 || a.Brightness > 0) && !p.scale.Open {
		x = ClipScalar(x, -1, 1)
	}
	if a == (dataset.Augment{}) {
		return x
	}
	return StopGradient(x) // GoMLX would ask for that of Reverse
}

// between maps u in (0, 1) to a range.
func between(u *Node, low, high float64) *Node { return AddScalar(MulScalar(u, high-low), low) }
