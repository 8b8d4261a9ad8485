package model

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
)

// SAE is a sparse autoencoder of the activations of another network, or of any other vectors: one wide hidden layer, whose values, the
// latents, are mostly 0. It reconstructs a vector x as a sum of a few rows of the decoder, the dictionary:
//
//	z = (x − b) W + c,   f = activation(z),   x̂ = f D + b
//
// The rows of D have unit length. Its loss is a sum over the values of x; train.loss is not used. docs/sae.md has the formulas of each
// activation and their sources.
type SAE struct {
	// Width is the number of latents, the rows of the dictionary.
	Width int `yaml:"width" min:"1" max:"65536"`

	// Activation selects the latents that are not 0: topk, the k largest of each sample, if positive (Gao et al. 2024); batchtopk, the
	// largest of a whole batch, k for each of its samples on average, and after training those above the mean of the smallest ones kept in
	// each batch (Bussmann et al. 2024); jumprelu, those above learned thresholds, one for each latent (Rajamanoharan et al. 2024); or
	// relu, the positive ones, with a penalty on their sum (Bricken et al. 2023).
	Activation string `yaml:"activation" enum:"topk,batchtopk,jumprelu,relu"`

	// K is the number of latents of a sample that are not 0, for topk and batchtopk.
	K int `yaml:"k" min:"1" max:"65536" strength:"yes"`

	// Prefixes lists the sizes of smaller dictionaries, each the first rows of the whole, which learn to reconstruct by themselves too: a
	// Matryoshka dictionary (Bussmann et al. 2025), whose first rows become the most general. Empty for none.
	Prefixes []int `yaml:"prefixes,flow" min:"1" max:"65536" maxitems:"64"`

	// Sparsity is the weight of the penalty on latents, the papers' λ: for jumprelu on the number that are not 0, for relu on their sum. It
	// is in units of the squared error of a sample.
	Sparsity float64 `yaml:"sparsity" min:"0" max:"1000000" strength:"yes"`

	// SparsityWarmup is the number of epochs over which sparsity rises linearly from zero; it may be fractional.
	SparsityWarmup float64 `yaml:"sparsity_warmup" min:"0" strength:"yes"`

	// TargetL0 is the target for the number of latents that are not 0: jumprelu then penalises (L0 / target − 1)²; 0 penalises the number
	// itself.
	TargetL0 float64 `yaml:"target_l0" min:"0" max:"65536"`

	// FirstThreshold is the initial threshold of every latent of jumprelu.
	FirstThreshold float64 `yaml:"first_threshold" above:"0" max:"1000"`

	// Bandwidth is the width of the window around its threshold in which a latent of jumprelu moves the threshold, the paper's ε: half of
	// it on each side.
	Bandwidth float64 `yaml:"bandwidth" above:"0" max:"1000" strength:"yes"`

	// FirstNorm is the initial norm of the encoder's columns, which are the rows of the dictionary times this.
	FirstNorm float64 `yaml:"first_norm" above:"0" max:"1000"`

	// DeadAfter is the number of steps without a value above 0 after which a latent counts as dead.
	DeadAfter int `yaml:"dead_after" min:"1" max:"16777216" strength:"yes"`

	// Revival is the weight of the auxiliary loss, the papers' α, which revives dead latents: it measures how well they reconstruct the
	// error that the other latents leave. 0 leaves it out.
	Revival float64 `yaml:"revival" min:"0" max:"1000000" strength:"yes"`

	// Revived is the number of dead latents of a sample in the auxiliary loss, the largest ones, the papers' k_aux; 0 is half the number of
	// values of a sample.
	Revived int `yaml:"revived" min:"0" max:"65536"`
}

// The numbers of an SAE as inputs of the program.
const (
	saeK = iota
	saeSparsity
	saeSparsityWarmup
	saeBandwidth
	saeDeadAfter
	saeRevival
)

// Numbers returns k, sparsity and its warm-up, the bandwidth, dead_after and revival.
func (s *SAE) Numbers() []float32 {
	return []float32{float32(s.K), float32(s.Sparsity), float32(s.SparsityWarmup), float32(s.Bandwidth), float32(s.DeadAfter), float32(s.Revival)}
}

// Parameters of an SAE. The dictionary is kept in any length, and brought to unit length where it is used: the gradient then has no part
// along a row by itself, and nothing needs to be put right after a step, whatever the optimizer.
const (
	saeEncoder    = "encoder.weight"      // W: [values, width]
	saeBias       = "encoder.bias"        // c: [width]
	saeThreshold  = "encoder.threshold"   // of jumprelu, log θ: [width]
	saeDictionary = "decoder.weight"      // D, of any length: [width, values]
	saeCentre     = "decoder.bias"        // b: [values]
	saeSilent     = "latents.silent"      // steps since each latent was above 0: [width]
	saeLeast      = "latents.least"       // of batchtopk, moving sum of the batches' least values above 0: [1]
	saeLeastCount = "latents.least_count" // the same of 1 for each batch, so that the mean is their ratio: [1]
)

// saeDecay is that of the moving sum of the batches' least values.
const saeDecay = 0.99

// revivalBits is how finely dead latents are told apart, in bits of the spread of a sample's z.
const revivalBits = 16

// Check reports keys that contradict each other.
func (s *SAE) Check(report func(key, problem string)) {
	if s.topK() && s.K > s.Width {
		report("k", fmt.Sprintf("%d of %d latents; lower it, or raise width", s.K, s.Width))
	}
	for i, n := range s.Prefixes {
		switch {
		case n >= s.Width:
			report("prefixes", fmt.Sprintf("%d of %d latents is the whole dictionary, which is always learned; leave it out", n, s.Width))
			return
		case i > 0 && n <= s.Prefixes[i-1]:
			report("prefixes", fmt.Sprintf("%d comes after %d; list them in ascending order", n, s.Prefixes[i-1]))
			return
		}
	}
	if s.topK() && s.Sparsity > 0 {
		report("sparsity", fmt.Sprintf("%s keeps k latents and has no penalty; leave it out, or set activation: jumprelu or relu", s.Activation))
	}
	if s.TargetL0 > 0 && s.Activation != "jumprelu" {
		report("target_l0", fmt.Sprintf("applies only to jumprelu, and activation is %s; leave it out", s.Activation))
	}
}

// topK says that k decides how many latents are not 0.
func (s *SAE) topK() bool { return s.Activation == "topk" || s.Activation == "batchtopk" }

// Layers lists encoder and decoder, and what is known of the latents.
func (s *SAE) Layers(image Image) []Layer {
	in := image.Size()
	row := Init{Limit: math.Sqrt(3 / float64(in)), Normal: true} // of unit length, about; see Draw
	encoder := Layer{
		Name: "encoder", Description: fmt.Sprintf("dense %d → %d, %s", in, s.Width, s.describe()), Products: in * s.Width,
		Params: []Param{
			{Name: saeEncoder, Dims: []int{in, s.Width}, Init: row, Decays: true},
			{Name: saeBias, Dims: []int{s.Width}},
		},
	}
	if s.Activation == "jumprelu" {
		encoder.Params = append(encoder.Params, Param{Name: saeThreshold, Dims: []int{s.Width}, Init: Init{Constant: math.Log(s.FirstThreshold)}})
	}
	latents := Layer{Name: "latents", Description: fmt.Sprintf("steps since each of %d was above 0", s.Width),
		Params: []Param{{Name: saeSilent, Dims: []int{s.Width}, Statistic: true}}}
	if s.Activation == "batchtopk" {
		latents.Params = append(latents.Params, Param{Name: saeLeast, Dims: []int{1}, Statistic: true},
			Param{Name: saeLeastCount, Dims: []int{1}, Statistic: true})
	}
	return []Layer{encoder, {
		Name: "decoder", Description: fmt.Sprintf("dictionary %d → %d, rows of unit length", s.Width, in), Products: in * s.Width,
		Params: []Param{
			{Name: saeDictionary, Dims: []int{s.Width, in}, Init: row},
			{Name: saeCentre, Dims: []int{in}},
		},
	}, latents}
}

// describe is the activation for people.
func (s *SAE) describe() string {
	if s.topK() {
		return fmt.Sprintf("%s of %d", s.Activation, s.K)
	}
	return s.Activation
}

// OutputActivation is linear.
func (s *SAE) OutputActivation() string { return "linear" }

// Start puts the decoder's bias, which the encoder takes away first, at the training samples' mean.
func (s *SAE) Start(_ Image, mean []float32) map[string][]float32 {
	return map[string][]float32{saeCentre: mean}
}

// Draw draws the dictionary's rows evenly from the sphere, and starts the encoder as its transpose.
func (s *SAE) Draw(image Image, seed random.Seed) map[string][]float32 {
	in := image.Size()
	rows, columns := seed.Normal(s.Width*in, 1), make([]float32, s.Width*in)
	for i := range s.Width {
		row, square := rows[i*in:][:in], 0.0
		for _, x := range row {
			square += float64(x) * float64(x)
		}
		length := math.Sqrt(square)
		for j, x := range row {
			row[j] = float32(float64(x) / length)
			columns[j*s.Width+i] = float32(s.FirstNorm * float64(x) / length)
		}
	}
	return map[string][]float32{saeDictionary: rows, saeEncoder: columns}
}

// CodeSize returns Width.
func (s *SAE) CodeSize(Image) int { return s.Width }

// Apply encodes and decodes x: [batch, height, width, channels].
func (s *SAE) Apply(p *Pass, x *Node) Output {
	f, _ := s.encode(p, x)
	return s.output(p, f, x)
}

// Decode returns f D + b: [batch, width] → [batch, height · width · channels].
func (s *SAE) Decode(p *Pass, f *Node) *Node {
	return p.Show("decoder", Add(s.combine(p, f, 0, s.Width), ExpandAxes(p.Weights[saeCentre], 0)))
}

// Dictionary returns D, rows of unit length: [width, height · width · channels].
func (s *SAE) Dictionary(p *Pass) *Node {
	rows := p.Weights[saeDictionary]
	return Div(rows, Sqrt(AddScalar(ReduceAndKeep(Square(rows), ReduceSum, 1), 1e-30)))
}

// combine returns the sums of the rows from the first-th to before the last-th, f of them each: [batch, width] → [batch, values].
func (s *SAE) combine(p *Pass, f *Node, first, last int) *Node {
	part := func(x *Node, axis int) *Node {
		if last-first == s.Width {
			return x
		}
		return SliceAxis(x, axis, AxisRange(first, last))
	}
	return p.wide(MatMul(p.narrow(part(f, 1)), p.narrow(part(s.Dictionary(p), 0))))
}

func (s *SAE) output(p *Pass, f, x *Node) Output {
	y := Reshape(s.Decode(p, f), x.Shape().Dimensions...)
	return Output{Latent: f, Logits: y, Image: y}
}

// encode returns the latents f of x, and z: [batch, width] each.
func (s *SAE) encode(p *Pass, x *Node) (f, z *Node) {
	centred := Sub(p.wide(flat(x)), ExpandAxes(p.Weights[saeCentre], 0))
	z = Add(p.wide(MatMul(p.narrow(centred), p.Weight(saeEncoder))), ExpandAxes(p.Weights[saeBias], 0))
	positive := MaxScalar(z, 0)
	switch s.Activation {
	case "topk":
		f = largest(positive, p.Numbers[saeK], false)
	case "batchtopk":
		f = s.batchTopK(p, positive)
	case "jumprelu":
		f = jumpReLU(z, s.thresholds(p), p.Numbers[saeBandwidth])
	default:
		f = positive
	}
	return p.Show("encoder", f), z
}

// batchTopK keeps the k · n largest of n samples' positive values in training, and those above the mean of the batches' least values
// after it (Bussmann et al. 2024, equation 4). positive: [batch, width]
func (s *SAE) batchTopK(p *Pass, positive *Node) *Node {
	if !p.Training {
		least := Div(p.Weights[saeLeast], MaxScalar(p.Weights[saeLeastCount], 1e-30)) // [1]
		return Where(GreaterThan(positive, ExpandAxes(least, 0)), positive, ZerosLike(positive))
	}
	n := Scalar(positive.Graph(), positive.DType(), positive.Shape().Dim(0))
	if p.Counts != nil {
		n = ReduceAllSum(p.Counts)
		positive = Mul(positive, ExpandAxes(p.Counts, -1))
	}
	f := largest(positive, Mul(p.Numbers[saeK], n), true)
	// The least value above 0, where there is one.
	const none = math.MaxFloat32
	least := ReduceAllMin(Where(GreaterThan(f, ZerosLike(f)), f, AddScalar(ZerosLike(f), none)))
	found := ConvertDType(LessThan(least, Scalar(f.Graph(), f.DType(), none)), f.DType())
	move := func(name string, by *Node) {
		old := p.Weights[name]
		p.Update(name, Where(GreaterThan(BroadcastToDims(found, 1), ZerosLike(old)), Add(MulScalar(old, saeDecay), ExpandAxes(by, 0)), old))
	}
	move(saeLeast, least)
	move(saeLeastCount, found)
	return f
}

// thresholds returns θ of jumprelu: [1, width]. It is the logarithm that is learned, so that θ stays above 0.
func (s *SAE) thresholds(p *Pass) *Node { return ExpandAxes(Exp(p.Weights[saeThreshold]), 0) }

// Thresholds returns what each latent is above after training where it is not 0, given the values of the parameters encoder.threshold,
// or latents.least and latents.least_count: of jumprelu and batchtopk, nil of the others.
func (s *SAE) Thresholds(logarithms, least, count []float32) []float32 {
	var thresholds []float32
	for i := range s.Width {
		switch s.Activation {
		case "jumprelu":
			thresholds = append(thresholds, float32(math.Exp(float64(logarithms[i]))))
		case "batchtopk":
			thresholds = append(thresholds, least[0]/max(count[0], 1e-30))
		}
	}
	return thresholds
}

// jumpReLU is z H(z − θ), H the step from 0 to 1. Its gradient with respect to z is H(z − θ), and that with respect to θ is estimated
// by a kernel K, the rectangle of height 1 from −½ to ½ (Rajamanoharan et al. 2024, equations 8 and 11):
//
//	∂/∂θ = −(θ/ε) K((z − θ)/ε)
//
// z: [batch, width], threshold θ: [1, width], bandwidth ε: scalar
func jumpReLU(z, threshold, bandwidth *Node) *Node {
	on, near := steps(z, threshold, bandwidth)
	return Sub(Mul(z, on), pseudo(threshold, Mul(Div(StopGradient(threshold), bandwidth), near)))
}

// activeSteps is H(z − θ). Its gradient with respect to z is 0, and that with respect to θ is estimated by −(1/ε) K((z − θ)/ε)
// (Rajamanoharan et al. 2024, equations 9 and 12).
func activeSteps(z, threshold, bandwidth *Node) *Node {
	on, near := steps(z, threshold, bandwidth)
	return Sub(on, pseudo(threshold, Div(near, bandwidth)))
}

// steps are H(z − θ) and K((z − θ)/ε), without gradients: [batch, width].
func steps(z, threshold, bandwidth *Node) (on, near *Node) {
	z, threshold = StopGradient(z), StopGradient(threshold)
	on = ConvertDType(GreaterThan(z, threshold), z.DType())
	near = ConvertDType(LessThan(Abs(Sub(z, threshold)), MulScalar(bandwidth, 0.5)), z.DType())
	return on, near
}

// pseudo is 0, and has the gradient slope with respect to x. slope: [batch, width]; x: [1, width]
func pseudo(x, slope *Node) *Node { return Mul(Sub(x, StopGradient(x)), StopGradient(slope)) }

// Objective is the squared error of each sample, ‖x − x̂‖², and beside it, as far as the model has them
//
//   - prefixes: the sum of the squared errors of the smaller dictionaries
//   - sparsity: of relu Σ f (the rows have unit length), of jumprelu the number of latents, or its distance from target_l0
//   - revival, in training: ‖e − ê‖² with e = x − x̂, held fixed, and ê the sum of the dictionary's rows of dead latents, z times each,
//     of the revived largest z, to 2⁻¹⁶ of their spread (Gao et al. 2024, appendix A.2). It is multiplied by the number of dead latents over revived, at most 1.
func (s *SAE) Objective(p *Pass, clean, damaged *Node) (Output, []Term) {
	f, z := s.encode(p, damaged)
	out := s.output(p, f, clean)
	x := flat(clean)
	terms := []Term{{Name: reconstruction, Value: rowSquares(Sub(x, flat(out.Image)))}}
	if len(s.Prefixes) > 0 {
		terms = append(terms, Term{Name: "prefixes", Value: s.prefixErrors(p, f, x)})
	}
	switch s.Activation {
	case "relu":
		terms = append(terms, Term{Name: "sparsity", Value: ReduceSum(f, 1), Weight: s.sparsity(p)})
	case "jumprelu":
		l0 := ReduceSum(activeSteps(z, s.thresholds(p), p.Numbers[saeBandwidth]), 1)
		if s.TargetL0 > 0 {
			l0 = Square(AddScalar(DivScalar(l0, s.TargetL0), -1))
		}
		terms = append(terms, Term{Name: "sparsity", Value: l0, Weight: s.sparsity(p)})
	}
	if p.Training {
		if s.Revival > 0 {
			terms = append(terms, Term{Name: "revival", Value: s.revival(p, z, Sub(x, flat(out.Image))), Weight: p.Numbers[saeRevival]})
		}
		s.follow(p, f)
	}
	return out, terms
}

// rowSquares returns the squared length of each row: [batch, values] → [batch].
func rowSquares(x *Node) *Node { return ReduceSum(Square(x), 1) }

// prefixErrors is the sum of ‖x − x̂‖² over the smaller dictionaries: [batch].
func (s *SAE) prefixErrors(p *Pass, f, x *Node) *Node {
	left := Sub(x, ExpandAxes(p.Weights[saeCentre], 0)) // of x by the rows so far
	var sum *Node
	first := 0
	for _, last := range s.Prefixes {
		left = Sub(left, s.combine(p, f, first, last))
		first = last
		if sum == nil {
			sum = rowSquares(left)
		} else {
			sum = Add(sum, rowSquares(left))
		}
	}
	return sum
}

// sparsity is the penalty's weight, with its warm-up.
func (s *SAE) sparsity(p *Pass) *Node {
	weight, warmup := p.Numbers[saeSparsity], p.Numbers[saeSparsityWarmup]
	if p.Epoch == nil {
		return weight
	}
	return Mul(weight, MinScalar(Div(p.Epoch, MaxScalar(warmup, 1e-6)), 1))
}

// revival is how badly dead latents explain what is left of each sample: [batch]. z: [batch, width], left: [batch, values]
func (s *SAE) revival(p *Pass, z, left *Node) *Node {
	left = StopGradient(left)
	dead := ConvertDType(GreaterOrEqual(p.Weights[saeSilent], p.Numbers[saeDeadAfter]), dtypes.Float32) // [width]
	revived := s.Revived
	if revived == 0 {
		revived = max(1, left.Shape().Dim(1)/2)
	}
	// The dead ones from 1 to 2, in the order of z, and the others at 0.
	least := ReduceAndKeep(z, ReduceMin, 1)
	spread := AddScalar(MulScalar(Sub(ReduceAndKeep(z, ReduceMax, 1), least), 1+1e-6), 1e-30)
	ranked := Mul(AddScalar(Div(Sub(z, least), spread), 1), ExpandAxes(dead, 0))
	kept := GreaterOrEqual(ranked, near(ranked, Scalar(z.Graph(), dtypes.Float32, revived), revivalBits))
	explained := s.combine(p, Where(kept, z, ZerosLike(z)), 0, s.Width)
	share := MinScalar(DivScalar(ReduceAllSum(dead), revived), 1)
	return Mul(rowSquares(Sub(left, explained)), share)
}

// follow counts the steps since each latent was above 0. f: [batch, width]
func (s *SAE) follow(p *Pass, f *Node) {
	on := ConvertDType(GreaterThan(StopGradient(f), ZerosLike(f)), dtypes.Float32)
	counts := p.Counts
	if counts == nil {
		counts = OnesLike(Reshape(Slice(on, AxisRange(), AxisElem(0)), -1))
	}
	fired := Reshape(MatMul(ExpandAxes(counts, 0), on), -1) // how many samples: [width]
	const most = 1 << 24                                    // float32 counts so far
	next := MinScalar(AddScalar(p.Weights[saeSilent], 1), most)
	p.Update(saeSilent, Where(GreaterThan(fired, ZerosLike(fired)), ZerosLike(next), next))
}

// AcrossBatch says that all samples of a batch tell which latents are dead, and which are kept of batchtopk.
func (s *SAE) AcrossBatch() string { return "kind" }
