package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// AE is a plain autoencoder with any backbone, trained with train.loss. Its code may be sparse.
type AE struct {
	Coder `yaml:",inline"`

	// TopK is the number of code values to keep, the largest ones, if positive; the others are set to 0 (Makhzani & Frey 2014). 0 keeps all
	// values.
	TopK int `yaml:"top_k" min:"0" max:"65536"`
}

// Check reports keys that contradict each other.
func (a *AE) Check(report func(key, problem string)) {
	a.Network.Check(report)
	if a.Code != "map" && a.TopK >= a.Latent {
		report("top_k", fmt.Sprintf("%d of %d values keeps all of them; lower it, or leave it out", a.TopK, a.Latent))
	}
}

// Apply encodes and decodes x: [batch, height, width, channels].
func (a *AE) Apply(p *Pass, x *Node) Output {
	z := a.codes(p, x)
	if a.TopK > 0 {
		wide := p.wide(z) // counts of many values are none of bfloat16
		z = ConvertDType(largest(MaxScalar(wide, 0), Scalar(z.Graph(), wide.DType(), a.TopK), false), z.DType())
	}
	return a.decoded(p, z, x)
}
