package dataset

import (
	"context"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
	"latent/pkg/random"
	"latent/pkg/scale"
)

// SynthSAE generates vectors that are sparse sums of features from a known dictionary, as the activations of a language model are thought
// to be. They measure how much of the dictionary a sparse autoencoder finds. They follow SynthSAEBench (Chanin et al. 2026): the
// probability that a feature fires follows a power law, and features are correlated and form a hierarchy.
type SynthSAE struct {
	Holdout `yaml:",inline"`

	// Train is the number of training vectors, including those held out.
	Train int `yaml:"train" min:"1" max:"100000000"`

	// Test is the number of test vectors.
	Test int `yaml:"test" min:"1" max:"1000000"`

	// Features is the number of features, the rows of the dictionary.
	Features int `yaml:"features" min:"1" max:"65536"`

	// Dims is the number of values in a vector.
	Dims int `yaml:"dims" min:"2" max:"65536"`

	// Orthogonal is the number of steps in which the rows of the dictionary, which start as random unit vectors, move away from each other.
	Orthogonal int `yaml:"orthogonal" min:"0" max:"10000"`

	// Often is the probability that the first feature fires.
	Often float64 `yaml:"often" above:"0" max:"1"`

	// Seldom is the probability that the last feature fires. Between the two, the probability falls as 1 / rank^exponent.
	Seldom float64 `yaml:"seldom" above:"0" max:"1"`

	// Exponent is the exponent of the power law by which the probability falls.
	Exponent float64 `yaml:"exponent" above:"0" max:"10"`

	// Magnitude is the mean magnitude of the first feature when it fires. Between the first feature and the last it changes linearly to
	// last_magnitude.
	Magnitude float64 `yaml:"magnitude" above:"0" max:"1000000"`

	// LastMagnitude is the mean magnitude of the last feature when it fires.
	LastMagnitude float64 `yaml:"last_magnitude" above:"0" max:"1000000"`

	// Deviation is the standard deviation of a feature's magnitude, and how far that of each feature is from it: it is the magnitude
	// of a normal draw with this mean and this deviation. Magnitudes below 0 become 0.
	Deviation float64 `yaml:"deviation" min:"0" max:"1000000"`

	// Rank is the number of shared causes that make features fire together or not; 0 makes features independent.
	Rank int `yaml:"rank" min:"0" max:"1024"`

	// Correlation is how strongly each cause affects each feature: the standard deviation of the loadings of a Gaussian copula.
	Correlation float64 `yaml:"correlation" min:"0" max:"1"`

	// Roots is the number of features, the first ones, that have children, which fire only when they do; 0 is no hierarchy. Children fire
	// more often then, so that overall they fire about as often as their rank says, as far as possible.
	Roots int `yaml:"roots" min:"0" max:"65536"`

	// Branching is the number of children of each feature that has some.
	Branching int `yaml:"branching" min:"2" max:"65536"`

	// Depth is the number of levels below the roots.
	Depth int `yaml:"depth" min:"1" max:"16"`

	// Exclusive lets at most one child of a feature fire at a time, chosen at random.
	Exclusive bool `yaml:"exclusive"`

	// Scale maps values to the model's scale.
	Scale scale.Options `yaml:"scale"`

	// Seed decides the dictionary and every vector. It is separate from the experiment's seed, so that runs with several seeds see the same
	// vectors.
	Seed int64 `yaml:"seed" min:"0"`
}

// mostGenerated bounds the training values that are made in memory, in bytes.
const mostGenerated = 16 << 30

// Check reports keys that contradict each other.
func (d *SynthSAE) Check(report func(key, problem string)) {
	d.check(d.Train, report)
	if d.Seldom > d.Often {
		report("seldom", fmt.Sprintf("%g is more than often, which is %g; lower it", d.Seldom, d.Often))
	}
	if d.Roots > d.Features {
		report("roots", fmt.Sprintf("%d of %d features; lower it", d.Roots, d.Features))
	}
	if 4*int64(d.Train)*int64(d.Dims) > mostGenerated {
		report("train", fmt.Sprintf("%d vectors of %d values take more than %d GiB of memory; lower it", d.Train, d.Dims, mostGenerated>>30))
	}
	if problem := d.Scale.Problem(); problem != "" {
		report("scale", problem)
	}
}

// ScaleOptions is how values are scaled.
func (d *SynthSAE) ScaleOptions() scale.Options { return d.Scale }

// TrainImages is Train less those held out.
func (d *SynthSAE) TrainImages() int { return d.trainOf(d.Train) }

// Streams of the seed.
const (
	streamRows = iota
	streamDeviations
	streamLoadings
	streamTrain
	streamTest
)

// Load makes the vectors. They are the same on every machine with the same kind of processor.
func (d *SynthSAE) Load(ctx context.Context, _ Options) (*Split, error) {
	world := newWorld(d)
	known := &Known{Features: world.rows, Size: d.Dims, Fires: NewFlags(d.Test, d.Features)}
	all, err := world.make(ctx, streamTrain, d.Train, Flags{})
	if err != nil {
		return nil, err
	}
	split := &Split{Known: known}
	if split.Test, err = world.make(ctx, streamTest, d.Test, known.Fires); err != nil {
		return nil, err
	}
	split.Checksums = map[string]string{"train": sum(all.Values.Bytes()), "test": sum(split.Test.Values.Bytes())}
	if err := d.divide(split, all, d.shuffled(d.Train)); err != nil {
		return nil, err
	}
	return split, split.rescale(d.Scale, false)
}

// world is what decides vectors.
type world struct {
	of                *SynthSAE
	seed              random.Seed
	rows              []float32 // the dictionary: [features, dims]
	means, deviations []float64 // of each feature's magnitude
	limits            []float64 // a normal draw above it lets the feature fire, if nothing else hinders it
	loadings          []float64 // [features, rank]
	rest              []float64 // the deviation of each feature's own part of the normal draw
	parents           []int32   // of each feature; none is −1. Parents come before children, and those of one parent one after another
}

func newWorld(d *SynthSAE) *world {
	w := &world{of: d, seed: random.NewSeed(d.Seed)}
	w.rows = unitRows(w.seed.Child(streamRows).Normal(d.Features*d.Dims, 1), d.Dims)
	for range d.Orthogonal {
		w.rows = apart(w.rows, d.Dims)
	}
	spread := w.seed.Child(streamDeviations).Normal(d.Features, 1)
	loadings := w.seed.Child(streamLoadings).Normal(d.Features*d.Rank, d.Correlation)
	for i := range d.Features {
		part := float64(i) / float64(max(1, d.Features-1))
		w.means = append(w.means, d.Magnitude+float64(part*(d.LastMagnitude-d.Magnitude)))
		w.deviations = append(w.deviations, math.Abs(d.Deviation+float64(d.Deviation*float64(spread[i]))))
		square := 0.0
		row := loadings[i*d.Rank : (i+1)*d.Rank]
		for _, x := range row {
			square += float64(float64(x) * float64(x))
		}
		shrink := 1.0
		const most = 0.99 // of a feature's variance is shared
		if square > most {
			shrink = math.Sqrt(most / square)
		}
		for _, x := range row {
			w.loadings = append(w.loadings, shrink*float64(x))
		}
		w.rest = append(w.rest, math.Sqrt(1-min(square, most)))
	}
	w.parents = d.parents()
	for _, probability := range d.conditional(w.parents) {
		w.limits = append(w.limits, math.Sqrt2*math.Erfinv(1-2*probability))
	}
	return w
}

// conditional is how often each feature is to fire where that above it does, or for itself without one: the probability of its rank
// divided by that of the one above it, and among siblings that exclude each other times 1 and how many others fire on the mean.
func (d *SynthSAE) conditional(parents []int32) []float64 {
	part := func(i int) float64 { return d.probability(i) / d.probability(int(parents[i])) }
	siblings := map[int32]float64{} // sum of their parts
	for i, parent := range parents {
		if parent >= 0 {
			siblings[parent] += part(i)
		}
	}
	list := make([]float64, len(parents))
	for i, parent := range parents {
		switch {
		case parent < 0:
			list[i] = d.probability(i)
		case d.Exclusive:
			list[i] = min(part(i)*(1+siblings[parent]-part(i)), 1)
		default:
			list[i] = min(part(i), 1)
		}
	}
	return list
}

// probability is how often feature i is to fire: a power law of its rank, brought to end at often and seldom.
func (d *SynthSAE) probability(i int) float64 {
	if d.Features == 1 {
		return d.Often
	}
	last := math.Pow(float64(d.Features), -d.Exponent)
	part := (math.Pow(float64(i+1), -d.Exponent) - last) / (1 - last)
	return d.Seldom + float64((d.Often-d.Seldom)*part)
}

// parents places the features in a forest, level by level.
func (d *SynthSAE) parents() []int32 {
	parents := make([]int32, d.Features)
	for i := range parents {
		parents[i] = -1
	}
	level, next := make([]int, d.Roots), d.Roots
	for i := range level {
		level[i] = i
	}
	for range d.Depth {
		var below []int
		for _, parent := range level {
			for range d.Branching {
				if next == d.Features {
					return parents
				}
				parents[next] = int32(parent)
				below = append(below, next)
				next++
			}
		}
		level = below
	}
	return parents
}

// unitRows brings rows of a size to unit length, in place.
func unitRows(rows []float32, size int) []float32 {
	for i := 0; i < len(rows); i += size {
		square := 0.0
		for _, x := range rows[i : i+size] {
			square += float64(float64(x) * float64(x))
		}
		for j := range size {
			rows[i+j] = float32(float64(rows[i+j]) / math.Sqrt(square))
		}
	}
	return rows
}

// apart moves unit rows one step down the gradient of the sum of their squared products, and back to unit length. The products with a
// row are those of its image under Σ d dᵀ, whose size is that of a row.
func apart(rows []float32, size int) []float32 {
	gram := make([]float64, size*size) // Σ d dᵀ
	for i := 0; i < len(rows); i += size {
		row := rows[i : i+size]
		for a, x := range row {
			for b, y := range row {
				gram[a*size+b] += float64(float64(x) * float64(y))
			}
		}
	}
	// The step is small beside the mean eigenvalue of Σ d dᵀ, so that rows do not jump over each other.
	step := 0.1 * float64(size) / float64(len(rows)/size)
	moved := make([]float32, len(rows))
	for i := 0; i < len(rows); i += size {
		row := rows[i : i+size]
		for a := range size {
			product := 0.0
			for b, y := range row {
				product += float64(gram[a*size+b] * float64(y))
			}
			moved[i+a] = float32(float64(row[a]) - float64(step*product))
		}
	}
	return unitRows(moved, size)
}

// make makes n vectors of a stream, and where fires is given enters which features each has.
func (w *world) make(ctx context.Context, stream, n int, fires Flags) (*Samples, error) {
	vectors := &Samples{Height: 1, Width: w.of.Dims, Channels: 1, Values: array.Make(dtypes.Float32, n*w.of.Dims)}
	for i := range w.of.Dims {
		vectors.Features = append(vectors.Features, fmt.Sprintf("x%d", i+1))
	}
	root := w.seed.Child(stream)
	const each = 64 // vectors of a task
	return vectors, InParallel(ctx, (n+each-1)/each, func(task int) {
		draft := w.newDraft()
		for i := task * each; i < min(n, (task+1)*each); i++ {
			draft.draw(root.Child(i))
			draft.sum(vectors.At(i).Float32)
			if fires.words != nil {
				for _, feature := range draft.on {
					fires.Set(i, int(feature))
				}
			}
		}
	})
}

// draft is a vector in the making, whose memory serves for the next.
type draft struct {
	*world
	fires []bool
	on    []int32   // the features that fire
	size  []float64 // of each of them
	sums  []float64
}

func (w *world) newDraft() *draft {
	return &draft{world: w, fires: make([]bool, w.of.Features), sums: make([]float64, w.of.Dims)}
}

// Streams of a vector.
const (
	drawCauses = iota
	drawFiring
	drawSiblings
	drawMagnitudes
)

// draw decides which features a vector has, and their magnitudes.
func (d *draft) draw(seed random.Seed) {
	causes := seed.Child(drawCauses).Normal(d.of.Rank, 1)
	firing := seed.Child(drawFiring)
	var words [2]uint32
	for i := range d.fires {
		if i%2 == 0 {
			words = firing.Block(uint32(i/2), 0)
		}
		d.fires[i] = false
		if parent := d.parents[i]; parent >= 0 && !d.fires[parent] {
			continue
		}
		shared := 0.0
		for c, cause := range causes {
			shared += float64(d.loadings[i*d.of.Rank+c] * float64(cause))
		}
		u := (float64(words[i%2]) + 0.5) * 0x1p-32
		d.fires[i] = inTail(u, (d.limits[i]-shared)/d.rest[i])
	}
	if d.of.Exclusive {
		d.exclude(seed.Child(drawSiblings))
	}
	d.on, d.size = d.on[:0], d.size[:0]
	for i, fires := range d.fires {
		if fires {
			d.on = append(d.on, int32(i))
		}
	}
	kept := 0
	for k, x := range seed.Child(drawMagnitudes).Normal(len(d.on), 1) {
		i := d.on[k]
		if size := d.means[i] + float64(d.deviations[i]*float64(x)); size > 0 {
			d.on[kept], d.size = i, append(d.size, size)
			kept++
		}
	}
	d.on = d.on[:kept]
}

// exclude leaves one at random of the features that fire below the same parent, and none below those that no longer fire.
func (d *draft) exclude(seed random.Seed) {
	draws := uint32(0)
	for i := 0; i < len(d.fires); {
		parent, last := d.parents[i], i
		for last < len(d.fires) && d.parents[last] == parent {
			last++
		}
		if parent < 0 {
			i = last
			continue
		}
		count := uint32(0)
		for j := i; j < last; j++ {
			if d.fires[j] = d.fires[j] && d.fires[parent]; d.fires[j] {
				count++
			}
		}
		if count > 1 {
			chosen := seed.Below(draws, count)
			draws++
			for j := i; j < last; j++ {
				if d.fires[j] {
					d.fires[j] = chosen == 0
					chosen-- // past 0 it is never 0 again
				}
			}
		}
		i = last
	}
}

// sum adds up the features that fire.
func (d *draft) sum(vector []float32) {
	clear(d.sums)
	for k, i := range d.on {
		for j, x := range d.rows[int(i)*d.of.Dims:][:d.of.Dims] {
			d.sums[j] += float64(d.size[k] * float64(x))
		}
	}
	for j, x := range d.sums {
		vector[j] = float32(x)
	}
}

// tails are the probabilities of a standard normal draw above −tailReach, −tailReach + 1/tailSteps, …
var tails = func() []float64 {
	var list []float64
	for i := 0; i <= 2*tailReach*tailSteps; i++ {
		list = append(list, tail(float64(i)/tailSteps-tailReach))
	}
	return list
}()

const (
	tailReach = 8
	tailSteps = 64
)

// tail is the probability of a standard normal draw above x.
func tail(x float64) float64 { return 0.5 * math.Erfc(x/math.Sqrt2) }

// inTail says whether u is below tail(x). Where the neighbours in a table decide it, which they nearly always do, it is not computed.
func inTail(u, x float64) bool {
	place := (x + tailReach) * tailSteps
	if place < 0 || place >= float64(len(tails)-1) {
		return u < tail(x)
	}
	i := int(place)
	switch {
	case u >= tails[i]:
		return false
	case u < tails[i+1]:
		return true
	}
	return u < tail(x)
}
