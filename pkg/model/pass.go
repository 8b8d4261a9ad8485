package model

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// Weights are the parameters' nodes in a graph, by name.
type Weights map[string]*Node

// Pass is what a model has at hand while it is applied to a batch, beside the images. A pass builds one part of a graph, and
// is used once.
type Pass struct {
	// Weights are the parameters that Layers lists.
	Weights Weights

	// Numbers are the model's own numbers as inputs of the program, scalars, as many as its [Numbered] lists.
	Numbers []*Node

	// Precision is what the model computes in; the zero value is float32.
	Precision dtypes.DType

	// Training says that what the model makes is learned from: dropout drops, and batch norm looks at the batch.
	Training bool

	// Checkpoint says that gradients compute what is inside of layers once more, from inputs that are kept.
	Checkpoint bool

	// Frozen says of a parameter that training keeps it as it is; nil where none is. A batch norm whose running means are kept looks at these, and not at the batch.
	Frozen func(param string) bool

	// Key is the source of the pass's draws; see Draw. Only models that draw need it.
	Key random.Key

	// Places are the images' places in their set, [batch] uint32. Only models that draw once for each image need them.
	Places *Node

	// Labels are the images' classes, [batch] uint8. Only a [Conditional] model has them.
	Labels *Node

	// Image is the size of the images to make of codes alone; see [Generate]. Where there are images, they tell their size.
	Image Image

	// Counts is 1 for each image of the batch and 0 for padding, [batch]; nil where all are images. Only models that look
	// across the batch need it.
	Counts *Node

	// Epoch is how many epochs are done, parts counting: a scalar, for what changes in the course of training. Without
	// training it is nil, and models behave as at the end.
	Epoch *Node

	// Watch, where it is not nil, is called with what each dense, convolutional and norm layer makes of the batch, after its activation:
	// [batch, …]. Names are those of Layers; where a layer is applied again, its name comes again.
	Watch func(layer string, y *Node)

	draws      int
	statistics Weights
}

// Numbered is a model with numbers that enter the compiled program as inputs, so that another value compiles nothing anew.
type Numbered interface {
	// Numbers lists them. The fields that it reads carry the tag strength:"yes"; see [Structure].
	Numbers() []float32
}

// Numbers lists the model's own numbers; see [Numbered].
func Numbers(m Model) []float32 {
	if numbered, ok := m.(Numbered); ok {
		return numbered.Numbers()
	}
	return nil
}

// Conditional is a model that may be given the images' classes.
type Conditional interface {
	// Conditions is the number of classes, or 0 where it is given none.
	Conditions() int
}

// Conditions is the number of classes that a model is given; see [Conditional].
func Conditions(m Model) int {
	if conditional, ok := m.(Conditional); ok {
		return conditional.Conditions()
	}
	return 0
}

// Pictorial is a model that may be of pictures alone: one that looks at values that lie beside each other.
type Pictorial interface {
	// Pictorial names the model's key that makes it so, or is "" where none does.
	Pictorial() string
}

// PictorialBy names the key that makes a model one of pictures alone, or is "" where it is none; see [Pictorial].
func PictorialBy(m Model) string {
	if pictorial, may := m.(Pictorial); may {
		return pictorial.Pictorial()
	}
	return ""
}

// Local is a model whose output at a pixel depends on those near it alone, so that a picture can be computed in parts. Its norms may
// look across a batch in training, and not at use.
type Local interface {
	// Reach returns on how many pixels on each side, at most, and of what number the places of parts are multiples, for pixels are pooled.
	Reach() (pixels, multiple int)
}

// Collective is a model that may look at all images of a batch together, so that a batch cannot be split over devices.
type Collective interface {
	// AcrossBatch names the model's key that asks for it, or is "" where none does.
	AcrossBatch() string
}

// Started is a model whose first values depend on what it will be trained on.
type Started interface {
	// Start returns the first values of some parameters, by name, in the place of those that Layers says.
	//
	// mean: the training images' mean, [height · width · channels], pixels in [-1, 1]
	Start(image Image, mean []float32) map[string][]float32
}

// Drawn is a model that draws some first values together, in the place of those that Layers says.
type Drawn interface {
	// Draw returns them by name.
	Draw(image Image, seed random.Seed) map[string][]float32
}

// Sparse is a model whose images are sums of few rows of a dictionary, as many times each as its code says.
type Sparse interface {
	Coded

	// Dictionary returns the rows: [code, height · width · channels].
	Dictionary(p *Pass) *Node
}

// Weight returns a parameter, in the pass's precision.
func (p *Pass) Weight(name string) *Node {
	weight := p.Weights[name]
	if weight == nil {
		panic(fmt.Errorf("build the model: it has no parameter %s", name))
	}
	if p.Precision == dtypes.InvalidDType {
		return weight
	}
	return ConvertDType(weight, p.Precision)
}

// Show shows a layer's output to whoever watches, and returns it. Layers do it with what they make.
func (p *Pass) Show(layer string, y *Node) *Node {
	if p.Watch != nil {
		p.Watch(layer, y)
	}
	return y
}

// wide converts to float32 where the model computes in less: sums over many values need it.
func (p *Pass) wide(x *Node) *Node {
	if p.Precision == dtypes.InvalidDType {
		return x
	}
	return ConvertDType(x, dtypes.Float32)
}

// counts are Counts, or 1 for each of as many rows as x has: [batch].
func (p *Pass) counts(x *Node) *Node {
	if p.Counts != nil {
		return p.Counts
	}
	return OnesLike(ReduceSum(x, 1))
}

// Draw returns a key of its own for the model's next draw. The order of the calls is a part of what a seed means.
func (p *Pass) Draw() random.Key {
	p.draws++
	return p.Key.Child(p.draws - 1)
}

// Update gives a statistic its next value. It has no gradient.
func (p *Pass) Update(name string, next *Node) {
	if p.statistics == nil {
		p.statistics = Weights{}
	}
	p.statistics[name] = StopGradient(next)
}

// Updated returns a statistic's next value, or nil where the pass leaves it as it is.
func (p *Pass) Updated(name string) *Node { return p.statistics[name] }
