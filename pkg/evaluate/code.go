package evaluate

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/dataset"
	"latent/pkg/disentangle"
	"latent/pkg/model"
	"latent/pkg/probe"
)

// CodeMetrics tells of the figures of codes, in the order of tables; see [Evaluator.Probe], [Evaluator.Disentangled],
// [Evaluator.Codebook] and [Evaluator.Latents].
var CodeMetrics = []Metric{
	{Name: "probe_accuracy", Title: "probe accuracy", Higher: true},
	{Name: "mig", Title: "MIG", Higher: true},
	{Name: "factor_vae", Title: "FactorVAE score", Higher: true},
	{Name: "dci_disentanglement", Title: "disentanglement", Higher: true},
	{Name: "dci_completeness", Title: "completeness", Higher: true},
	{Name: "dci_informativeness", Title: "informativeness", Higher: true},
	{Name: "perplexity", Title: "perplexity", Higher: true},
	{Name: "entries_used", Title: "entries used", Higher: true},
	{Name: "l0", Title: "L0"},
	{Name: "dead_share", Title: "dead latents"},
	{Name: "mcc", Title: "MCC", Higher: true},
	{Name: "f1", Title: "F1", Higher: true},
	{Name: "latent_precision", Title: "latents' precision", Higher: true},
	{Name: "latent_recall", Title: "latents' recall", Higher: true},
}

// CodeSize is the number of values of a code.
func (e *Evaluator) CodeSize() int { return e.code }

// Probed is what a linear classifier reads from codes.
type Probed struct {
	// Accuracy is the part of the test images that are told right.
	Accuracy Figure
	// Strength and ValidationAccuracy are those of the chosen classifier; see probe.Probe.
	Strength, ValidationAccuracy float64
}

// Probe fits a linear classifier to the codes of undamaged training images, and tells the classes of test images by it. All
// parts have labels.
func (e *Evaluator) Probe(ctx context.Context, weights []*tensors.Tensor, split *dataset.Split) (Probed, error) {
	var sets [3]probe.Set
	for i, images := range []*dataset.Samples{split.Train, split.Validation, split.Test} {
		codes, err := e.Encode(ctx, weights, images)
		if err != nil {
			return Probed{}, err
		}
		sets[i] = probe.Set{Codes: codes.Matrix(), Labels: images.Labels}
	}
	training, validation, test := sets[0], sets[1], sets[2]
	fitted, err := probe.Fit(ctx, training, validation, len(split.Classes))
	if err != nil {
		return Probed{}, err
	}
	right := make([]float64, len(test.Labels))
	for i, class := range fitted.Classes(test.Codes) {
		if class == test.Labels[i] {
			right[i] = 1
		}
	}
	return Probed{Accuracy: figure(right), Strength: fitted.Strength, ValidationAccuracy: fitted.ValidationAccuracy}, nil
}

// Disentangled measures how the codes of undamaged images tell the factors apart that these were made of; see pkg/disentangle.
func (e *Evaluator) Disentangled(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples, factors *dataset.Factors) (map[string]Figure, error) {
	found, err := e.Encode(ctx, weights, images)
	if err != nil {
		return nil, err
	}
	codes := found.Matrix()
	const seed = 0 // figures of one run's codes are the same again
	dci := disentangle.DCI(codes, factors, seed)
	return map[string]Figure{
		"mig": {Mean: disentangle.MIG(codes, factors)}, "factor_vae": {Mean: disentangle.FactorVAE(codes, factors, seed)},
		"dci_disentanglement": {Mean: dci.Disentanglement}, "dci_completeness": {Mean: dci.Completeness},
		"dci_informativeness": {Mean: dci.Informativeness},
	}, nil
}

// Matrix returns the codes in float64: [codes, values].
func (c Codes) Matrix() *mat.Dense {
	wide := make([]float64, len(c.Values))
	for i, value := range c.Values {
		wide[i] = float64(value)
	}
	return mat.NewDense(c.Len(), c.Size, wide)
}

// Codebook measures how a model with a codebook uses it for undamaged images: "entries_used", how many of its entries are
// chosen at all, and "perplexity", exp(−Σ p log p) with the share p of each entry in all choices, which is the number of
// entries where all are chosen equally often. Of other models it returns nil.
func (e *Evaluator) Codebook(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples) (map[string]Figure, error) {
	if _, ok := e.spec.Model.(model.Quantiser); !ok {
		return nil, nil
	}
	choices, _, err := e.Choices(ctx, weights, images)
	if err != nil {
		return nil, err
	}
	counts, all := map[int32]int{}, len(choices)
	for _, entry := range choices {
		counts[entry]++
	}
	entropy := 0.0
	for _, entry := range slices.Sorted(maps.Keys(counts)) { // in order: sums of floats depend on it
		share := float64(counts[entry]) / float64(all)
		entropy -= share * math.Log(share)
	}
	return map[string]Figure{"perplexity": {Mean: math.Exp(entropy)}, "entries_used": {Mean: float64(len(counts))}}, nil
}

// Choices returns the entries that stand for the parts of the codes of undamaged images, those of one image after another, and how many an
// image has. The model is a [model.Quantiser].
func (e *Evaluator) Choices(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples) (all []int32, parts int, err error) {
	quantiser := e.spec.Model.(model.Quantiser)
	choices, err := e.compile(func(inputs []*Node) []*Node {
		in := e.read(inputs)
		return []*Node{quantiser.Choices(in.pass(streamModel), in.images)}
	})
	if err != nil {
		return nil, 0, fmt.Errorf("build the choice of entries: %w", err)
	}
	defer choices.exec.Finalize()
	batch := choices.images
	for first := 0; first < images.Len(); first += batch {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		outputs, err := e.call(choices, weights, images, first, 0)
		if err != nil {
			return nil, 0, err
		}
		entries, err := tensors.CopyFlatData[int32](outputs[0])
		if err != nil {
			return nil, 0, err
		}
		parts = len(entries) / batch
		all = append(all, entries[:parts*min(batch, images.Len()-first)]...)
	}
	return all, parts, nil
}

// Chosen returns the codes of choices, of so many each; see [model.Quantiser].
func (e *Evaluator) Chosen(ctx context.Context, weights []*tensors.Tensor, choices []int32, parts int) (Codes, error) {
	quantiser := e.spec.Model.(model.Quantiser)
	numbers := Codes{Size: parts}
	for _, choice := range choices {
		numbers.Values = append(numbers.Values, float32(choice))
	}
	return e.eachCodes(ctx, weights, numbers, func(p *model.Pass, z *Node, _ []*Node) *Node {
		return quantiser.Chosen(p, ConvertDType(AddScalar(z, 0.5), dtypes.Int32))
	})
}

// Image is the size of the images.
func (e *Evaluator) Image() model.Image { return e.image }

// Vectors says that the samples are vectors, not pictures.
func (e *Evaluator) Vectors() bool { return e.like.Vectors() }
