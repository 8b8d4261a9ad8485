package model

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Classifier tells the classes of images apart: strided convolutions, a dense layer whose values are the features, and one
// that gives the classes. It is no autoencoder, and no config names it: pkg/feature measures images by its features.
type Classifier struct {
	// Channels lists the channels of the convolutions, each 4×4 with stride 2, and relu after it.
	Channels []int
	// Features is the number of features, which relu follows.
	Features int
	// Classes is the number of classes.
	Classes int
}

// Conditions returns Classes: it is given the labels to learn from. What Apply makes of an image does not depend on them.
func (c *Classifier) Conditions() int { return c.Classes }

// OutputActivation returns linear: the logits are not pixels.
func (c *Classifier) OutputActivation() string { return "linear" }

// Layers lists the layers for images of this size.
func (c *Classifier) Layers(image Image) []Layer { return layersOf(c.blocks(image)) }

// blocks lists the layers, the last of which gives the classes.
func (c *Classifier) blocks(image Image) []block {
	var blocks []block
	at, in := size{image.Height, image.Width}, image.Channels
	for i, out := range c.Channels {
		l := convLayer{
			name: fmt.Sprintf("classifier.conv_%d", i+1), kind: "down", kernel: 4, stride: 2,
			in: in, out: out, large: at, activation: "relu", init: "pytorch",
		}
		blocks = append(blocks, l)
		at, in = l.to(), out
	}
	return append(blocks,
		denseBlock{DenseLayer: DenseLayer{"classifier.features", at.area() * in, c.Features, "relu", "pytorch"}},
		denseBlock{DenseLayer: DenseLayer{"classifier.classes", c.Features, c.Classes, "linear", "pytorch"}})
}

// Apply returns the features of x as Latent, [batch, features], and the classes' logits as Logits, [batch, classes]; there is
// no Image. x: [batch, height, width, channels]. No gradient flows to x; see [Convolution].
func (c *Classifier) Apply(p *Pass, x *Node) Output {
	blocks := c.blocks(imageOf(x))
	last := len(blocks) - 1
	features := through(blocks[:last], p, StopGradient(x))
	return Output{Latent: features, Logits: blocks[last].apply(p, features)}
}

// Objective is the cross entropy of the labels, −log softmax(ℓ)[label] of each image, in nats.
func (c *Classifier) Objective(p *Pass, _, damaged *Node) (Output, []Term) {
	out := c.Apply(p, damaged)
	label := OneHot(ConvertDType(p.Labels, dtypes.Int32), c.Classes, out.Logits.DType()) // [batch, classes]
	// log Σ exp(ℓ) with no positive exponent, so that none overflows.
	largest := StopGradient(ReduceAndKeep(out.Logits, ReduceMax, 1))
	logits := Sub(out.Logits, largest)
	return out, []Term{{Name: "cross_entropy", Value: Sub(Log(ReduceSum(Exp(logits), 1)), ReduceSum(Mul(logits, label), 1))}}
}
