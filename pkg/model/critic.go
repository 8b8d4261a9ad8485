package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// critic is a network that learns to tell two kinds of codes apart.
type critic []DenseLayer

// discriminator is one with hidden layers of these sizes.
func discriminator(latent int, hidden []int) critic {
	const init = "pytorch"
	layers, last := chain("discriminator", latent, hidden, "leaky_relu", init)
	return append(layers, DenseLayer{"discriminator.out", last, 1, "linear", init})
}

func (c critic) layers() []Layer { return layersOf(denseBlocks(c)) }

// judge returns the logit of the probability that codes are of the first kind: [batch, latent] → [batch]. Held, the critic learns nothing
// of it; else the codes do not.
func (c critic) judge(p *Pass, z *Node, held bool) *Node {
	h := p.narrow(z)
	if held {
		p = p.held(layerParams(c.layers()))
	} else {
		h = StopGradient(h)
	}
	for _, layer := range c {
		h = layer.Apply(p, h)
	}
	return ConvertDType(Squeeze(h, 1), z.DType())
}

// loss is the cross-entropy of what the critic makes of codes of both kinds, in nats, summed over the two: [batch].
func (c critic) loss(p *Pass, first, second *Node) *Node {
	zero := ZerosLike(Slice(first, AxisRange(), AxisElem(0)))
	zero = Reshape(zero, -1)
	return Add(crossEntropy(OnesLike(zero), c.judge(p, first, false)), crossEntropy(zero, c.judge(p, second, false)))
}

// layerParams lists the names of the parameters of layers.
func layerParams(layers []Layer) []string {
	var names []string
	for _, l := range layers {
		for _, param := range l.Params {
			names = append(names, param.Name)
		}
	}
	return names
}

// held is the pass with these parameters out of the gradient's reach.
func (p *Pass) held(names []string) *Pass {
	held := *p
	held.Weights = Weights{}
	for name, node := range p.Weights {
		held.Weights[name] = node
	}
	for _, name := range names {
		if held.Weights[name] == nil {
			panic(fmt.Errorf("build the model: it has no parameter %s", name))
		}
		held.Weights[name] = StopGradient(held.Weights[name])
	}
	return &held
}
