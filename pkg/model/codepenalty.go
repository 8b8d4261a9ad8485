package model

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// CodePenalty is a term beside a VAE's bound, on the codes of a whole batch: a part of the model.
type CodePenalty interface {
	// layers lists what it learns for codes of so many values; nil where it learns nothing.
	layers(latent int) []Layer

	// numbers are the weights of its terms, inputs of the program.
	numbers() []float32

	// terms returns its terms. numbers: those above, scalars
	terms(p *Pass, codes posterior, numbers []*Node) []Term
}

// posterior is q(z | x) of a batch, and a draw of each.
type posterior struct {
	mean, logVariance *Node // [batch, latent]
	drawn             *Node // z: [batch, latent]
	counts            *Node // [batch], 1 for images and 0 for padding
}

// Penalties holds every penalty that a config can name, with its defaults.
var Penalties = map[string]func() CodePenalty{
	"none":        func() CodePenalty { return &NoPenalty{} },
	"tc":          func() CodePenalty { return &TotalCorrelation{Weight: 5} },
	"dip":         func() CodePenalty { return &DIP{Of: "mean", Diagonal: 10, OffDiagonal: 10} },
	"mmd":         func() CodePenalty { return &Discrepancy{Weight: 100} },
	"adversarial": func() CodePenalty { return &Adversarial{Weight: 5, Hidden: []int{256, 256}} },
}

// NoPenalty adds nothing.
type NoPenalty struct{}

func (*NoPenalty) layers(int) []Layer                     { return nil }
func (*NoPenalty) numbers() []float32                     { return nil }
func (*NoPenalty) terms(*Pass, posterior, []*Node) []Term { return nil }

// TotalCorrelation is the total correlation of the code's values, KL(q(z) ‖ Π q(zⱼ)), as in a β-TCVAE (Chen et al. 2018). Since the bound
// already has it once, weight is the paper's β less 1. It is estimated as if the batch were all images.
type TotalCorrelation struct {
	// Weight multiplies the total correlation, in nats.
	Weight float64 `yaml:"weight" min:"0" max:"1000000" strength:"yes"`
}

func (*TotalCorrelation) layers(int) []Layer   { return nil }
func (t *TotalCorrelation) numbers() []float32 { return []float32{float32(t.Weight)} }

func (*TotalCorrelation) terms(_ *Pass, codes posterior, numbers []*Node) []Term {
	return []Term{{Name: "total_correlation", Value: totalCorrelation(codes), Weight: numbers[0]}}
}

// totalCorrelation estimates log q(zᵢ) − Σⱼ log q(zᵢⱼ) of each image, with q(z) ≈ 1/n Σₖ q(z | xₖ) over the batch (Chen et al. 2018,
// appendix C.1, of which only constants are left out).
func totalCorrelation(codes posterior) *Node {
	cost := Neg(normalCost(ExpandAxes(codes.drawn, 1), ExpandAxes(codes.mean, 0), ExpandAxes(codes.logVariance, 0))) // [i, k, latent]
	counted := func(x *Node, dims ...int) *Node {                                                                    // padding has no density
		mask := BroadcastToDims(Reshape(codes.counts, dims...), x.Shape().Dimensions...)
		return Where(GreaterThan(mask, ZerosLike(mask)), x, AddScalar(ZerosLike(x), -1e30))
	}
	n := Log(ReduceAllSum(codes.counts))
	all := logSumExp(counted(ReduceSum(cost, 2), 1, -1), 1) // [batch]
	each := logSumExp(counted(cost, 1, -1, 1), 1)           // [batch, latent]
	return Sub(Sub(all, n), ReduceSum(Sub(each, n), 1))
}

// logSumExp returns log Σ e^x over an axis.
func logSumExp(x *Node, axis int) *Node {
	largest := StopGradient(ReduceAndKeep(x, ReduceMax, axis))
	return Add(Squeeze(largest, axis), Log(ReduceSum(Exp(Sub(x, largest)), axis)))
}

// DIP pulls the covariance of the codes towards the identity, as in a DIP-VAE (Kumar et al. 2018):
//
//	λ_od Σ_{i≠j} Cᵢⱼ² + λ_d Σ (Cᵢᵢ − 1)²
type DIP struct {
	// Of selects the covariance C: mean, that of the posterior's means (DIP-VAE-I); or code, that of the codes (DIP-VAE-II), which adds the
	// mean of the posterior's variances.
	Of string `yaml:"of" enum:"mean,code"`

	// Diagonal is λ_d.
	Diagonal float64 `yaml:"diagonal" min:"0" max:"1000000" strength:"yes"`

	// OffDiagonal is λ_od.
	OffDiagonal float64 `yaml:"off_diagonal" min:"0" max:"1000000" strength:"yes"`
}

func (*DIP) layers(int) []Layer   { return nil }
func (d *DIP) numbers() []float32 { return []float32{float32(d.Diagonal), float32(d.OffDiagonal)} }

func (d *DIP) terms(_ *Pass, codes posterior, numbers []*Node) []Term {
	batch := codes.mean.Shape().Dim(0)
	n := ReduceAllSum(codes.counts)
	weights := ExpandAxes(Div(codes.counts, n), 1) // [batch, 1]
	average := func(x *Node) *Node { return ReduceAndKeep(Mul(weights, x), ReduceSum, 0) }
	centred := Sub(codes.mean, average(codes.mean))
	covariance := Einsum("bi,bj->ij", Mul(weights, centred), centred)
	variances := ReduceSum(Mul(weights, Square(centred)), 0) // the diagonal
	squares := Sub(ReduceAllSum(Square(covariance)), ReduceAllSum(Square(variances)))
	if d.Of == "code" {
		variances = Add(variances, Reshape(average(Exp(codes.logVariance)), -1))
	}
	return []Term{
		{Name: "dip_diagonal", Value: BroadcastToDims(ReduceAllSum(Square(AddScalar(variances, -1))), batch), Weight: numbers[0]},
		{Name: "dip_off_diagonal", Value: BroadcastToDims(squares, batch), Weight: numbers[1]},
	}
}

// Discrepancy is the maximum mean discrepancy between codes and prior, as in kind wae. It makes an InfoVAE (Zhao et al. 2019, equation 6):
// beta is the paper's 1 − α, and weight its α + λ − 1.
type Discrepancy struct {
	// Weight multiplies the discrepancy.
	Weight float64 `yaml:"weight" min:"0" max:"1000000" strength:"yes"`
}

func (*Discrepancy) layers(int) []Layer   { return nil }
func (d *Discrepancy) numbers() []float32 { return []float32{float32(d.Weight)} }

func (*Discrepancy) terms(p *Pass, codes posterior, numbers []*Node) []Term {
	dims := codes.drawn.Shape().Dimensions
	noise := ConvertDType(p.Draw().Normal(dims...), codes.drawn.DType())
	return []Term{{Name: "mmd", Value: BroadcastToDims(discrepancy(codes.drawn, noise, codes.counts), dims[0]), Weight: numbers[0]}}
}

// Adversarial is the total correlation of the code's values as estimated by a discriminator, which learns in the same step to tell codes
// from codes whose values come from different images. It makes a FactorVAE (Kim & Mnih 2018, equation 2 and algorithm 2); weight is the
// paper's γ.
type Adversarial struct {
	// Weight multiplies the total correlation, in nats.
	Weight float64 `yaml:"weight" min:"0" max:"1000000" strength:"yes"`

	// Hidden lists the sizes of the discriminator's hidden layers.
	Hidden []int `yaml:"discriminator,flow" min:"1" max:"65536" minitems:"1" maxitems:"64"`
}

func (a *Adversarial) layers(latent int) []Layer { return discriminator(latent, a.Hidden).layers() }
func (a *Adversarial) numbers() []float32        { return []float32{float32(a.Weight)} }

func (a *Adversarial) terms(p *Pass, codes posterior, numbers []*Node) []Term {
	d := discriminator(codes.drawn.Shape().Dim(1), a.Hidden)
	return []Term{
		// log D/(1 − D) is the discriminator's logit.
		{Name: "total_correlation", Value: d.judge(p, codes.drawn, true), Weight: numbers[0]},
		{Name: "discriminator", Value: MulScalar(d.loss(p, codes.drawn, mixed(codes.drawn, codes.counts)), 0.5)},
	}
}

// mixed takes the values of codes from different images: value j of row i is that of row i + j + 1, and after the last that counts comes the
// first. The order of a batch is random, so that these are draws from Π q(zⱼ). It has no gradient. z: [batch, latent]; counts: [batch]
func mixed(z, counts *Node) *Node {
	g, dims := z.Graph(), z.Shape().Dimensions
	at := func(axis int) *Node { return Iota(g, shapes.Make(z.DType(), dims...), axis) }
	n := ReduceAllSum(counts)
	row := AddScalar(Add(at(0), at(1)), 1)
	row = Sub(row, Mul(n, Floor(Div(AddScalar(row, 0.5), n)))) // modulo n
	place := ConvertDType(AddScalar(Add(MulScalar(row, float64(dims[1])), at(1)), 0.5), dtypes.Int32)
	return Reshape(Gather(Reshape(StopGradient(z), -1), Reshape(place, -1, 1)), dims...)
}
