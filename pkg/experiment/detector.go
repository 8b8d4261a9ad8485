package experiment

import (
	"context"
	"fmt"
	"math"
	"slices"

	"latent/pkg/anomaly"
	"latent/pkg/dataset"
	"latent/pkg/evaluate"
	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/restore"
)

// Kinds of scores. Formulas and sources are in docs/anomaly.md.
const (
	scoreMSE         = "mse"
	scoreMAE         = "mae"
	scoreWeightedMSE = "weighted-mse"
	scoreWeightedMAE = "weighted-mae"
	scorePeak        = "peak"

	scoreWhitenedMSE  = "whitened-mse"
	scoreWhitenedPeak = "whitened-peak"

	scoreELBO        = "elbo"
	scoreNLL         = "nll"
	scoreMahalanobis = "mahalanobis"
	scoreNeighbours  = "neighbours"
	scoreForest      = "forest"
	scoreRanks       = "ranks"
)

// ScoreKinds are the kinds of scores, in the order of tables.
var ScoreKinds = []string{scoreMSE, scoreMAE, scoreWeightedMSE, scoreWeightedMAE, scorePeak, scoreWhitenedMSE, scoreWhitenedPeak,
	scoreELBO, scoreNLL, scoreMahalanobis, scoreNeighbours, scoreForest, scoreRanks}

const (
	// mostReference is how many training samples a detector refers to at most.
	mostReference = 10_000
	// mostRanked is how many of them have scores that ranks are among, and mostForest of how many rows' values a forest is.
	mostRanked = 2_000
	mostForest = 4_096
	// nearest is how many neighbours a code is compared with.
	nearest = 5
	// cheapWhitened is how many values a sample has at most whose errors are whitened unasked, mostWhitened at all, and mostErrors how many
	// numbers the errors of training samples are that Σ is of.
	cheapWhitened = 1024
	mostWhitened  = 1 << 16
	mostErrors    = 1 << 24
	// nllDraws is how many codes the log-likelihood of a sample is estimated with.
	nllDraws = 100
)

// detector scores samples by what a trained model makes of them, and by what training samples are like.
type detector struct {
	model *scoredModel

	// What it learned, which the run's folder keeps: codes of training samples, the usual squared and absolute error of each value,
	// the peaks that one normal picture of a hundred reaches, and scores of training samples that ranks are among, by kind.
	codes     anomaly.Rows
	values    anomaly.Rows // of training rows, which the forest is of; none of pictures, whose codes it is of
	residuals anomaly.Rows // of training samples, which whiten others; none where that was not asked for
	squares   []float64
	absolut   []float64
	high      [heatKinds]float64
	ranked    map[string][]float64

	mahalanobis, neighbours, forest anomaly.Scorer
	whitening                       *anomaly.Whitening
	surprises                       map[string]*surprise
}

// heatKind is what a heat map is of.
type heatKind int

const (
	plainHeat    heatKind = iota // squared errors
	whitenedHeat                 // squared whitened errors
	heatKinds
	noHeat = heatKinds
)

// heatOf is what the heat maps of a score are of.
func heatOf(kind string) heatKind {
	if isWhitened(kind) {
		return whitenedHeat
	}
	return plainHeat
}

// isWhitened says whether a score is of whitened errors.
func isWhitened(kind string) bool { return kind == scoreWhitenedMSE || kind == scoreWhitenedPeak }

// kinds are those that the model has; those that take their time, nll and whitened errors of many values, only where they are asked for.
func (m *scoredModel) kinds(asked ...string) []string {
	whitened := m.evaluator.Image().Size() <= cheapWhitened || slices.ContainsFunc(asked, isWhitened)
	return slices.DeleteFunc(slices.Clone(ScoreKinds), func(kind string) bool {
		return m.unavailable(kind) != "" || kind == scoreNLL && !slices.Contains(asked, kind) || isWhitened(kind) && !whitened
	})
}

// unavailable says why the model has no scores of a kind; "" where it has.
func (m *scoredModel) unavailable(kind string) string {
	switch kind {
	case scoreWeightedMSE, scoreWeightedMAE:
		if m.patched() {
			return "pictures have sizes of their own (data.patch), and none of their values a usual error"
		}
	case scorePeak, scoreWhitenedMSE, scoreWhitenedPeak:
		size := m.evaluator.Image().Size()
		switch {
		case kind != scoreWhitenedMSE && m.evaluator.Vectors():
			return "it is of pictures, and these are vectors"
		case kind != scorePeak && m.patched():
			return "pictures have sizes of their own (data.patch), and none of their values a usual error"
		case kind != scorePeak && size > mostWhitened:
			return fmt.Sprintf("a sample of %d values, and the errors of at most %d are whitened", size, mostWhitened)
		}
	case scoreELBO, scoreNLL:
		if m.patched() {
			return "pictures have sizes of their own (data.patch), and their likelihoods do not compare"
		}
		if density, ok := m.experiment.Model.(model.Density); !ok || density.Observed() == "" {
			return "it is of models with a likelihood, such as vae, and this has none"
		}
	case scoreMahalanobis, scoreNeighbours, scoreForest:
		if kind == scoreForest && m.forestOfValues() {
			return ""
		}
		if m.patched() {
			return "pictures have sizes of their own (data.patch), and so have their codes"
		}
		if size := m.evaluator.CodeSize(); size > mostProbed {
			return fmt.Sprintf("a code of %d values, and at most %d are compared", size, mostProbed)
		}
	}
	return ""
}

// patched says whether pictures have sizes of their own.
func (m *scoredModel) patched() bool {
	folder, ok := m.experiment.Data.(*dataset.Folder)
	return ok && folder.Patch > 0
}

// forestOfValues says whether the forest is one of rows' values, and not of codes.
func (m *scoredModel) forestOfValues() bool {
	return m.evaluator.Vectors() && m.evaluator.Image().Size() <= cheapWhitened
}

// combined are the kinds that ranks are of.
func (m *scoredModel) combined() []string {
	if m.patched() {
		return []string{scoreMSE, scorePeak}
	}
	available, errors := m.kinds(), scoreWhitenedMSE
	if !slices.Contains(available, errors) {
		errors = scoreWeightedMSE
	}
	return slices.DeleteFunc([]string{errors, scoreMahalanobis, scoreNeighbours, scoreForest}, func(kind string) bool {
		return !slices.Contains(available, kind)
	})
}

// newDetector learns from training samples, and what errors are usual from held-out ones, or where there are none from the training's: what
// scores of some kinds need.
func newDetector(ctx context.Context, m *scoredModel, train, usual *dataset.Samples, kinds []string) (*detector, error) {
	d := &detector{model: m, ranked: map[string][]float64{}}
	seed := random.NewSeed(m.experiment.Evaluate.Seed)
	reference := drawn(train, mostReference, seed)
	if usual.Len() == 0 {
		usual = reference
	}
	if slices.Contains(kinds, scoreWhitenedMSE) {
		if err := d.learnWhitening(ctx, reference, seed); err != nil {
			return nil, err
		}
	}
	if err := d.learnErrors(ctx, usual); err != nil {
		return nil, err
	}
	if m.unavailable(scoreMahalanobis) == "" {
		codes, err := m.evaluator.Encode(ctx, m.weights, reference)
		if err != nil {
			return nil, err
		}
		d.codes = anomaly.Rows{Values: codes.Values, Features: codes.Size}
	}
	if m.forestOfValues() {
		d.values = anomaly.Rows{Values: scaled(drawn(reference, mostForest, seed.Child(7))), Features: reference.Size()}
	}
	if err := d.fit(ctx); err != nil {
		return nil, err
	}
	return d, d.rank(ctx, reference, seed)
}

// drawn are so many of some samples at most, or of patches of the pictures that they are of, drawn by a seed, in their order.
func drawn(samples *dataset.Samples, most int, seed random.Seed) *dataset.Samples {
	places := seed.Sample(samples.Pictures(), min(samples.Pictures(), most))
	slices.Sort(places)
	return selected(samples, places)
}

// scaled are all values of samples in the model's scale.
func scaled(samples *dataset.Samples) []float32 { return samples.Scaled(0, samples.Len()) }

// selected are the samples at places, or of patches the pictures at places.
func selected(samples *dataset.Samples, places []int32) *dataset.Samples {
	wide := make([]int, len(places))
	for i, place := range places {
		wide[i] = int(place)
	}
	if samples.Patches != nil {
		return samples.PicturesAt(wide)
	}
	return samples.Select(wide).Packed()
}

// errorsOf are the errors of a block.
func errorsOf(r evaluate.Reconstructed) anomaly.Rows {
	errors := anomaly.Rows{Values: make([]float32, len(r.Samples)), Features: len(r.Samples) / max(1, r.Count)}
	for i, x := range r.Samples {
		errors.Values[i] = x - r.Outputs[i]
	}
	return errors
}

// learnWhitening finds the errors of training samples, by which others are whitened.
func (d *detector) learnWhitening(ctx context.Context, reference *dataset.Samples, seed random.Seed) error {
	m, most := d.model, mostErrors/reference.Size()
	if reference.Size() > cheapWhitened {
		most = min(most, cheapWhitened) // no more are used
	}
	reference = drawn(reference, most, seed.Child(5))
	d.residuals.Features = reference.Size()
	err := m.evaluator.ReconstructEach(ctx, m.weights, reference, func(r evaluate.Reconstructed) error {
		clean(r)
		d.residuals.Values = append(d.residuals.Values, errorsOf(r).Values...)
		return nil
	})
	if err != nil {
		return err
	}
	return d.fitWhitening(ctx)
}

// fitWhitening makes what whitens errors, where there are such.
func (d *detector) fitWhitening(ctx context.Context) (err error) {
	if d.residuals.Features > 0 {
		d.whitening, err = anomaly.NewWhitening(ctx, d.residuals, random.NewSeed(d.model.experiment.Evaluate.Seed).Child(6))
	}
	return err
}

// learnErrors finds the mean squared and absolute error of each value of a sample, each at least 10⁻⁴ and 10⁻² of their mean over values.
// Of pictures of sizes of their own there are none.
func (d *detector) learnErrors(ctx context.Context, samples *dataset.Samples) error {
	m := d.model
	size := samples.Size()
	if m.patched() {
		return nil
	}
	d.squares, d.absolut = make([]float64, size), make([]float64, size)
	n := float64(samples.Len())
	err := m.evaluator.ReconstructEach(ctx, m.weights, samples, func(r evaluate.Reconstructed) error {
		for i, x := range r.Samples {
			e := math.Abs(float64(x) - float64(r.Outputs[i]))
			if e-e != 0 {
				return fmt.Errorf("the model's output for a training or validation sample is not a number; it has nothing to score by")
			}
			d.squares[i%size] += e * e / n
			d.absolut[i%size] += e / n
		}
		return nil
	})
	bound(d.squares, 1e-4)
	bound(d.absolut, 1e-2)
	return err
}

// peakOf is the score that is the highest place of a heat map.
var peakOf = [heatKinds]string{plainHeat: scorePeak, whitenedHeat: scoreWhitenedPeak}

// learnPeaks finds the 99 % quantile of the peaks of normal pictures among their scores.
func (d *detector) learnPeaks(scores map[string][]float64) {
	for kind, score := range peakOf {
		if peaks := slices.Sorted(slices.Values(scores[score])); len(peaks) > 0 {
			d.high[kind] = peaks[int(math.Ceil(0.99*float64(len(peaks))))-1]
		}
	}
}

// bound raises usual errors to a part of their mean, and where all are 0 to 1.
func bound(usual []float64, part float64) {
	least := 0.0
	for _, e := range usual {
		least += part * e / float64(len(usual))
	}
	if least == 0 {
		least = 1
	}
	for j := range usual {
		usual[j] = float64(float32(max(usual[j], least))) // as it is kept
	}
}

// fit makes the scorers of codes, and the forest.
func (d *detector) fit(ctx context.Context) (err error) {
	seed := random.NewSeed(d.model.experiment.Evaluate.Seed)
	forested := d.codes
	if d.values.Features > 0 {
		forested = d.values
	}
	if forested.Features > 0 {
		if d.forest, err = (anomaly.Forest{}).Fit(ctx, forested, seed.Child(4)); err != nil {
			return fmt.Errorf("score by a forest: %w", err)
		}
	}
	if d.codes.Features == 0 {
		return nil
	}
	if d.mahalanobis, err = (anomaly.Mahalanobis{}).Fit(ctx, d.codes, seed.Child(1)); err != nil {
		return fmt.Errorf("score codes: %w", err)
	}
	if d.neighbours, err = neighboursOf(nearest).Fit(ctx, d.codes, seed.Child(2)); err != nil {
		return fmt.Errorf("score codes: %w", err)
	}
	return nil
}

// neighboursOf scores by the mean distance to so many nearest codes, each value of which counts by its spread.
func neighboursOf(k int) anomaly.Detector {
	return anomaly.Standardised{Detector: anomaly.Neighbours{K: k, Mean: true, Most: mostReference}}
}

// rank finds the scores that ranks are among: those of training samples, each without itself as a neighbour.
func (d *detector) rank(ctx context.Context, reference *dataset.Samples, seed random.Seed) error {
	ranked := drawn(reference, mostRanked, seed.Child(3))
	combined := d.model.combined()
	around := d.neighbours
	if around != nil { // a neighbour more, for each is one of its own, at no distance
		with, err := neighboursOf(nearest+1).Fit(ctx, d.codes, seed.Child(2))
		if err != nil {
			return err
		}
		d.neighbours = with
	}
	err := d.each(ctx, ranked, combined, 0, noHeat, func(b scoredBlock) error {
		for _, kind := range combined {
			d.ranked[kind] = append(d.ranked[kind], b.scores[kind]...)
		}
		return nil
	})
	d.neighbours = around
	for i := range d.ranked[scoreNeighbours] {
		d.ranked[scoreNeighbours][i] = float64(float32(d.ranked[scoreNeighbours][i] * (nearest + 1) / nearest))
	}
	if err != nil {
		return err
	}
	return d.combine()
}

// combine makes what ranks are computed by.
func (d *detector) combine() (err error) {
	d.surprises = map[string]*surprise{}
	for kind, scores := range d.ranked {
		if d.surprises[kind], err = newSurprise(scores); err != nil {
			return err
		}
	}
	return nil
}

// scoredBlock is the scores of some samples.
type scoredBlock struct {
	evaluate.Reconstructed
	first  int
	scores map[string][]float64 // by kind, a float32 each, so that what is written is what was compared
	top    [][]Contribution
	heats  [][]float32 // where they are asked for, of a kind
	mapped heatKind
}

// heats are the heat maps of a block's samples.
func (d *detector) heats(ctx context.Context, r evaluate.Reconstructed, kind heatKind) ([][]float32, error) {
	heats, size := make([][]float32, r.Count), r.Height*r.Width
	channels := len(r.Samples) / (r.Count * size)
	errors := errorsOf(r)
	var err error
	if kind == whitenedHeat {
		if errors, err = d.whitening.Whiten(ctx, errors); err != nil {
			return nil, err
		}
	}
	err = dataset.InParallel(ctx, r.Count, func(i int) {
		heat := make([]float32, size)
		for p := range heat {
			for at := (i*size + p) * channels; at < (i*size+p+1)*channels; at++ {
				e := errors.Values[at]
				heat[p] += e * e / float32(channels)
			}
		}
		if deviation := d.model.experiment.Evaluate.Anomaly.Smooth; deviation > 0 {
			restore.Smooth(heat, r.Width, r.Height, deviation)
		}
		heats[i] = heat
	})
	return heats, err
}

// highest are the highest values of maps.
func highest(heats [][]float32) []float64 {
	peaks := make([]float64, len(heats))
	for i, heat := range heats {
		peaks[i] = float64(slices.Max(heat))
	}
	return peaks
}

// Contribution is what a value of a sample adds to its score.
type Contribution struct {
	Value int     // its place in the sample
	Share float64 // of the sum over all values
}

// each calls do with the scores of samples, some at a time in their order, and with the top values that contribute most: to the
// squared or the absolute error where the first kind is of that, else to the weighted one.
//
// Heat maps are there where maps says of what.
//
// A sample whose output or code is not a number has the largest float32 for all scores: what cannot be scored is not normal.
func (d *detector) each(ctx context.Context, samples *dataset.Samples, kinds []string, top int, maps heatKind, do func(scoredBlock) error) error {
	m := d.model
	whole := map[string][]float64{}
	var err error
	for _, kind := range kinds {
		switch kind {
		case scoreELBO:
			whole[kind], err = m.evaluator.Bounds(ctx, m.weights, samples)
		case scoreNLL:
			whole[kind], err = m.evaluator.NegativeLogLikelihoods(ctx, m.weights, samples, nllDraws)
		}
		if err != nil {
			return err
		}
	}
	first := 0
	return m.evaluator.ReconstructEach(ctx, m.weights, samples, func(r evaluate.Reconstructed) error {
		b := scoredBlock{Reconstructed: r, first: first, scores: map[string][]float64{}, mapped: maps}
		lost, broken := clean(r)
		if maps != noHeat {
			if b.heats, err = d.heats(ctx, r, maps); err != nil {
				return err
			}
		}
		for kind, scores := range whole {
			b.scores[kind] = scores[first : first+r.Count]
		}
		first += r.Count
		if err := d.fill(ctx, &b, r, kinds); err != nil {
			return err
		}
		for _, scores := range b.scores {
			for i := range scores {
				scores[i] = rounded(scores[i], lost[i])
			}
		}
		for i := range r.Count {
			if top > 0 {
				b.top = append(b.top, d.top(r, i, kinds[0], top, broken[i]))
			}
		}
		return do(b)
	})
}

// rounded is a score as a float32, the largest where there is none.
func rounded(score float64, lost bool) float64 {
	if lost || !(score <= math.MaxFloat32) {
		return math.MaxFloat32
	}
	return float64(float32(max(score, -math.MaxFloat32)))
}

// fill computes the scores of a block.
func (d *detector) fill(ctx context.Context, b *scoredBlock, r evaluate.Reconstructed, kinds []string) (err error) {
	codes := anomaly.Rows{Values: r.Codes, Features: len(r.Codes) / max(1, r.Count)}
	for _, kind := range append(slices.Clone(kinds), d.within(kinds)...) {
		if b.scores[kind] != nil {
			continue
		}
		switch kind {
		case scoreMSE, scoreMAE, scoreWeightedMSE, scoreWeightedMAE:
			b.scores[kind] = d.errors(r, kind)
		case scorePeak, scoreWhitenedPeak:
			heats := b.heats
			if b.mapped != heatOf(kind) {
				heats, err = d.heats(ctx, r, heatOf(kind))
			}
			b.scores[kind] = highest(heats)
		case scoreWhitenedMSE:
			b.scores[kind], err = d.whitenedErrors(ctx, r)
		case scoreMahalanobis:
			b.scores[kind], err = d.mahalanobis.Score(ctx, codes)
		case scoreNeighbours:
			b.scores[kind], err = d.neighbours.Score(ctx, codes)
		case scoreForest:
			forested := codes
			if d.values.Features > 0 {
				forested = anomaly.Rows{Values: r.Samples, Features: d.values.Features}
			}
			b.scores[kind], err = d.forest.Score(ctx, forested)
		}
		if err != nil {
			return err
		}
	}
	if slices.Contains(kinds, scoreRanks) {
		combined := d.model.combined()
		ranks := make([]float64, r.Count)
		for _, kind := range combined {
			for i, score := range b.scores[kind] {
				ranks[i] += d.surprises[kind].of(rounded(score, false)) / float64(len(combined))
			}
		}
		b.scores[scoreRanks] = ranks
	}
	return nil
}

// within are the kinds that others of these are made of.
func (d *detector) within(kinds []string) []string {
	if slices.Contains(kinds, scoreRanks) {
		return d.model.combined()
	}
	return nil
}

// term is what a value with an error of e adds to a score of a kind, but for the number of values.
func (d *detector) term(kind string, value int, e float64) float64 {
	switch kind {
	case scoreMSE:
		return e * e
	case scoreMAE:
		return math.Abs(e)
	case scoreWeightedMAE:
		return math.Abs(e) / d.absolut[value]
	}
	return e * e / d.squares[value]
}

// errors are the scores of a kind that is a mean over the values of a sample.
func (d *detector) errors(r evaluate.Reconstructed, kind string) []float64 {
	size := len(r.Samples) / max(1, r.Count)
	scores := make([]float64, r.Count)
	for i := range scores {
		for j := range size {
			at := i*size + j
			scores[i] += d.term(kind, j, float64(r.Samples[at])-float64(r.Outputs[at])) / float64(size)
		}
	}
	return scores
}

// whitenedErrors are the mean squares of the whitened errors of samples.
func (d *detector) whitenedErrors(ctx context.Context, r evaluate.Reconstructed) ([]float64, error) {
	whitened, err := d.whitening.Whiten(ctx, errorsOf(r))
	if err != nil {
		return nil, err
	}
	scores := make([]float64, r.Count)
	for i := range scores {
		for _, z := range whitened.Values[i*whitened.Features:][:whitened.Features] {
			scores[i] += float64(z) * float64(z) / float64(whitened.Features)
		}
	}
	return scores, nil
}

// top are the values that add most to the error of sample i of a block.
func (d *detector) top(r evaluate.Reconstructed, i int, kind string, count int, broken []int) []Contribution {
	if len(broken) > 0 {
		all := make([]Contribution, min(count, len(broken)))
		for k := range all {
			all[k] = Contribution{Value: broken[k], Share: 1 / float64(len(broken))}
		}
		return all
	}
	size := len(r.Samples) / max(1, r.Count)
	if len(d.squares) == 0 && kind != scoreMAE {
		kind = scoreMSE
	}
	all := make([]Contribution, size)
	sum := 0.0
	for j := range all {
		at := i*size + j
		all[j] = Contribution{Value: j, Share: d.term(kind, j, float64(r.Samples[at])-float64(r.Outputs[at]))}
		sum += all[j].Share
	}
	most := make([]Contribution, 0, count+1)
	for _, c := range all {
		at := len(most)
		for at > 0 && most[at-1].Share < c.Share {
			at--
		}
		if at < count {
			most = slices.Insert(most, at, c)
			most = most[:min(count, len(most))]
		}
	}
	for k := range most {
		if sum > 0 {
			most[k].Share /= sum
		}
	}
	return most
}

// clean says which samples have a value, an output or a code that is not a number, and puts 0 there; and which values of the samples
// themselves are none, by sample: such as are too large for the model's scale.
func clean(r evaluate.Reconstructed) (lost []bool, broken map[int][]int) {
	lost, broken = make([]bool, r.Count), map[int][]int{}
	for part, values := range [][]float32{r.Samples, r.Outputs, r.Codes} {
		each := len(values) / max(1, r.Count) // none of codes that are not there
		for i, value := range values {
			if value-value != 0 {
				if lost[i/each], values[i] = true, 0; part == 0 {
					broken[i/each] = append(broken[i/each], i%each)
				}
			}
		}
	}
	return lost, broken
}
