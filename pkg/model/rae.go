package model

import . "github.com/gomlx/gomlx/core/graph"

// RAE is a regularised autoencoder (Ghosh et al. 2020): its codes are kept small and its decoder smooth, so that samples can be drawn from
// a mixture fitted to the codes. Its loss is a sum over the pixels of each image; train.loss is not used.
type RAE struct {
	Coder `yaml:",inline"`

	// Beta is the weight of half the squared norm of the code.
	Beta float64 `yaml:"beta" min:"0" max:"1000000" strength:"yes"`

	// Lambda is the weight of the squared norm of the decoder's parameters, the paper's variant L2. Unlike adamw's weight decay it is part
	// of the loss.
	Lambda float64 `yaml:"lambda" min:"0" max:"1000000" strength:"yes"`
}

// Numbers returns beta and lambda.
func (r *RAE) Numbers() []float32 { return []float32{float32(r.Beta), float32(r.Lambda)} }

// Objective is ‖x − y‖² + β ½ ‖z‖² + λ ‖θ‖² of each image, θ the decoder's parameters (Ghosh et al. 2020, section 3). Pixels are
// in [-1, 1]: the first part is four times that of pixels in [0, 1].
func (r *RAE) Objective(p *Pass, clean, damaged *Node) (Output, []Term) {
	out := r.Apply(p, damaged)
	batch := clean.Shape().Dim(0)
	parameters := ScalarZero(clean.Graph(), clean.DType())
	for _, layer := range layersOf(r.decoder(imageOf(clean), 0, 1)) {
		for _, param := range layer.Params {
			if !param.Statistic {
				parameters = Add(parameters, ReduceAllSum(Square(p.Weights[param.Name])))
			}
		}
	}
	return out, []Term{
		{Name: reconstruction, Value: squaredDistance(clean, out.Image)},
		{Name: "code", Value: MulScalar(ReduceSum(Square(out.Latent), 1), 0.5), Weight: p.Numbers[0]},
		{Name: "decoder", Value: BroadcastToDims(parameters, batch), Weight: p.Numbers[1]},
	}
}
