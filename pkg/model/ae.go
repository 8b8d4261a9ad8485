package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// AE is a plain autoencoder of any backbone, whose loss is train.loss. Its code may be a sparse one.
type AE struct {
	Coder `yaml:",inline"`

	// TopK keeps so many of the code's values, the largest, as far as they are positive, and makes the others 0 (Makhzani & Frey 2014); 0
	// leaves the code as it is.
	TopK int `yaml:"top_k" min:"0" max:"65536"`
}

// Check reports keys that contradict each other.
func (a *AE) Check(report func(key, problem string)) {
	a.Network.Check(report)
	if a.Code != "map" && a.TopK >= a.Latent {
		report("top_k", fmt.Sprintf("%d of %d values leave none out; lower it, or leave it out", a.TopK, a.Latent))
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
