package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
)

// Dense is a fully connected autoencoder: the image is flattened, reduced layer by layer to the code, and expanded again to the image.
type Dense struct {
	// Encoder lists the sizes of the encoder's layers, from the image to the code: the last is the size of the code.
	Encoder []int `yaml:"encoder,flow" min:"1" max:"65536" minitems:"1" maxitems:"64"`

	// Decoder lists the sizes of the decoder's hidden layers, from the code to the image. The output layer is not listed; an empty list
	// maps the code directly to the image.
	Decoder []int `yaml:"decoder,flow" min:"1" max:"65536" maxitems:"64"`

	// Activation is the activation after every hidden layer.
	Activation string `yaml:"activation" enum:"relu,leaky_relu,gelu,silu,elu,tanh,sigmoid,linear"`

	// LatentActivation is the activation of the layer that outputs the code; linear does not restrict the code.
	LatentActivation string `yaml:"latent_activation" enum:"relu,leaky_relu,gelu,silu,elu,tanh,sigmoid,linear"`

	// Output is the activation of the last layer, which gives pixels in [-1, 1]: tanh; sigmoid, stretched from (0, 1) to (-1, 1), which
	// loss bce needs; or linear, unbounded.
	Output string `yaml:"output" enum:"tanh,sigmoid,linear"`

	// Init is the initialisation of the weights: pytorch is uniform in ±1/√fan_in for weights and biases, like PyTorch's Linear; glorot is
	// uniform in ±√(6/(fan_in+fan_out)) with zero biases; he is normal with variance 2/fan_in and zero biases.
	Init string `yaml:"init" enum:"pytorch,glorot,he"`

	// Tied makes the decoder use the encoder's weights, transposed, with separate biases; decoder must then be encoder in reverse, without
	// its last size.
	Tied bool `yaml:"tied"`

	// Norm is the normalisation before the activation of every hidden layer except the code: layer, over the values of the layer; batch,
	// for each value over the batch; or none.
	Norm string `yaml:"norm" enum:"none,layer,batch"`

	// Dropout is the fraction of the values of every hidden layer except the code that a training step sets to zero.
	Dropout float64 `yaml:"dropout" min:"0" below:"1"`

	// Sparsity adds sparsity_weight times a penalty to the loss, so that few values of the code are active: l1 is the sum of their
	// magnitudes; kl is the sum over the code's values of KL(ρ ‖ ρ̂), from the rate ρ of sparsity_target to the value's mean ρ̂ over the
	// batch, and needs latent_activation sigmoid (Ng 2011); none adds nothing.
	Sparsity string `yaml:"sparsity" enum:"none,l1,kl"`

	// SparsityWeight multiplies the sparsity penalty. The loss is a mean over pixels, the penalty a sum over the code.
	SparsityWeight float64 `yaml:"sparsity_weight" min:"0" strength:"yes"`

	// SparsityTarget is the target rate ρ of sparsity kl.
	SparsityTarget float64 `yaml:"sparsity_target" above:"0" below:"1" strength:"yes"`

	// Contraction adds contraction_weight times the squared Frobenius norm of the code's Jacobian with respect to the image to the loss
	// (Rifai et al. 2011). It is exact for an encoder of one layer; for deeper ones each step estimates it with one random direction for
	// each image.
	Contraction bool `yaml:"contraction"`

	// ContractionWeight multiplies the contraction penalty.
	ContractionWeight float64 `yaml:"contraction_weight" min:"0" strength:"yes"`
}

// Check reports keys that contradict each other.
func (d *Dense) Check(report func(key, problem string)) {
	mirror := slices.Clone(d.Encoder[:max(0, len(d.Encoder)-1)])
	slices.Reverse(mirror)
	if d.Tied && !slices.Equal(mirror, d.Decoder) {
		report("tied", fmt.Sprintf("with tied weights the decoder must be the encoder in reverse; write decoder: %s, or leave it out",
			strings.ReplaceAll(fmt.Sprint(mirror), " ", ", ")))
	}
	sparse := cmp.Or(d.Sparsity, "none")
	switch {
	case sparse == "kl" && d.LatentActivation != "sigmoid":
		report("sparsity", fmt.Sprintf("kl needs a code between 0 and 1; set latent_activation: sigmoid (it is %s)",
			d.LatentActivation))
	case sparse != "none" && d.SparsityWeight == 0:
		report("sparsity", "does nothing without sparsity_weight; set it above 0, or leave it out")
	case sparse == "none" && d.SparsityWeight > 0:
		report("sparsity_weight", "does nothing without sparsity; set sparsity: l1 or kl, or leave it out")
	}
	switch {
	case d.Contraction && d.Norm == "batch":
		report("contraction", "batch norm makes each code depend on the whole batch; set norm: layer or none, or leave it out")
	case d.Contraction && d.ContractionWeight == 0:
		report("contraction", "does nothing without contraction_weight; set it above 0, or leave it out")
	case !d.Contraction && d.ContractionWeight > 0:
		report("contraction_weight", "does nothing without contraction: true; set it, or leave this out")
	}
}

// AcrossBatch names the key by which the model looks across a batch; see [Collective].
func (d *Dense) AcrossBatch() string {
	if d.Sparsity == "kl" {
		return "sparsity"
	}
	return acrossBatch(d.Norm)
}

// stack lists the layers for flattened images of size values; the first len(d.Encoder) are the encoder.
func (d *Dense) stack(size int) []DenseLayer {
	var layers []DenseLayer
	add := func(part string, number, in, out int, activation string) {
		layers = append(layers, DenseLayer{fmt.Sprintf("%s.layer_%d", part, number), in, out, activation, d.Init})
	}
	in := size
	for i, out := range d.Encoder {
		activation := d.Activation
		if i == len(d.Encoder)-1 {
			activation = d.LatentActivation
		}
		add("encoder", i+1, in, out, activation)
		in = out
	}
	for i, out := range d.Decoder {
		add("decoder", i+1, in, out, d.Activation)
		in = out
	}
	add("decoder", len(d.Decoder)+1, in, size, "linear")
	return layers
}

// OutputActivation returns Output.
func (d *Dense) OutputActivation() string { return d.Output }

// Layers lists the layers for images of this size.
func (d *Dense) Layers(image Image) []Layer {
	encoder, decoder := d.blocks(image.Size())
	layers := layersOf(encoder, decoder)
	last := len(decoder) - 1
	layers[len(layers)-1] = shown(decoder[last], d.Output)
	return layers
}

// blocks lists the encoder for flattened images of size values, and the decoder.
func (d *Dense) blocks(size int) (encoder, decoder []block) {
	stack := d.stack(size)
	for i, l := range stack {
		var after []block
		if code, last := len(d.Encoder)-1, len(stack)-1; i != code && i != last {
			after = hidden(l.Name, d.Norm, l.Out, l.Activation, d.Dropout)
			l.Activation = before(d.Norm, l.Activation)
		}
		if i < len(d.Encoder) {
			encoder = append(append(encoder, denseBlock{DenseLayer: l}), after...)
			continue
		}
		b := denseBlock{DenseLayer: l}
		if d.Tied {
			b.tiedTo = stack[len(stack)-1-i].Name
		}
		decoder = append(append(decoder, b), after...)
	}
	return encoder, decoder
}

// Apply encodes and decodes x: [batch, height, width, channels].
func (d *Dense) Apply(p *Pass, x *Node) Output {
	z := d.Encode(p, x)
	logits := Reshape(d.Decode(p, z), x.Shape().Dimensions...)
	return Output{Latent: z, Logits: logits, Image: ToPixels(d.Output, logits), Penalties: d.penalties(p, x, z)}
}

// CodeSize returns the size of the encoder's last layer.
func (d *Dense) CodeSize(Image) int { return d.Encoder[len(d.Encoder)-1] }

// Encode returns the code of x: [batch, height, width, channels] → [batch, latent].
func (d *Dense) Encode(p *Pass, x *Node) *Node {
	h := Reshape(x, x.Shape().Dim(0), -1)
	encoder, _ := d.blocks(h.Shape().Dim(1))
	return through(encoder, p, h)
}

// Decode returns the logits of the flattened image: [batch, latent] → [batch, height · width · channels].
func (d *Dense) Decode(p *Pass, z *Node) *Node {
	last := fmt.Sprintf("decoder.layer_%d.bias", len(d.Decoder)+1)
	_, decoder := d.blocks(p.Weight(last).Shape().Size())
	return through(decoder, p, z)
}

// denseBlock is a dense layer as a block of a model. It flattens what it gets.
type denseBlock struct {
	DenseLayer
	// to is the shape of an image's values at its end, where they are not left in a row.
	to []int
	// tiedTo names the layer whose weights, transposed, it uses, where it has none of its own.
	tiedTo string
}

func (b denseBlock) layer() Layer {
	layer := b.Layer()
	if b.tiedTo != "" {
		layer.Description += ", tied"
		layer.Params = layer.Params[1:]
	}
	return layer
}

// apply maps x: [batch, …] with in values an image → [batch, out], or [batch, to…].
func (b denseBlock) apply(p *Pass, x *Node) *Node {
	batch := x.Shape().Dim(0)
	x = Reshape(x, batch, -1)
	if b.tiedTo != "" {
		weights := Weights{
			b.Name + ".weight": Transpose(p.Weights[b.tiedTo+".weight"], 0, 1),
			b.Name + ".bias":   p.Weights[b.Name+".bias"],
		}
		p = &Pass{Weights: weights, Precision: p.Precision, Watch: p.Watch}
	}
	y := b.DenseLayer.Apply(p, x)
	if b.to != nil {
		y = Reshape(y, append([]int{batch}, b.to...)...)
	}
	return y
}
