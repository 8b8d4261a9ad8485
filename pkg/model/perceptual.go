package model

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Perceptual compares images by what a trained classifier of such images makes of them, beside the loss (Johnson et al. 2016, equation 2):
//
//	Σ_l 1/n_l ‖φ_l(y) − φ_l(x)‖²
//
// with the n_l values φ_l of its layer l, of all layers but that of the classes. The classifier learns nothing.
type Perceptual struct {
	// Weight multiplies it.
	Weight float64
	// Classifier is the network, and Weights are its parameters in the order of [Params].
	Classifier *Classifier
	Weights    []*tensors.Tensor
	// SHA256 is the checksum of the weights, by which two are told apart.
	SHA256 string
}

// term is the comparison of clean images x with reconstructions y: [batch, height, width, channels].
func (c *Perceptual) term(x, y, weight *Node) Term {
	p := &Pass{Weights: Weights{}}
	for i, param := range Params(c.Classifier, imageOf(x)) {
		p.Weights[param.Name] = ConstTensor(x.Graph(), c.Weights[i])
	}
	seen, made := c.Classifier.hidden(p, StopGradient(x)), c.Classifier.hidden(p, y)
	var sum *Node // [batch]
	for l := range seen {
		mean := ReduceMean(flat(Square(Sub(made[l], seen[l]))), 1)
		if sum == nil {
			sum = mean
		} else {
			sum = Add(sum, mean)
		}
	}
	return Term{Name: "perceptual", Value: sum, Weight: weight}
}

// hidden returns what the layers make of x, one after another, without that of the classes.
func (c *Classifier) hidden(p *Pass, x *Node) []*Node {
	blocks := c.blocks(imageOf(x))
	var outputs []*Node
	for _, b := range blocks[:len(blocks)-1] {
		x = b.apply(p, x)
		outputs = append(outputs, x)
	}
	return outputs
}
