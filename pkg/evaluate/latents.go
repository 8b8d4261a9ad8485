package evaluate

import (
	"context"
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/dataset"
	"latent/pkg/model"
)

// Latents are the figures of a sparse dictionary.
type Latents struct {
	// Figures are "l0", how many latents of a sample are not 0; "dead_share", the part of the latents that are 0 in all samples; and where
	// the dictionary that the samples are sums of is known, those of [recovered].
	Figures map[string]Figure
	// Rates are the parts of the samples in which each latent is not 0.
	Rates []float64
}

// Latents measures a model that is a sparse dictionary on undamaged images: nil of other models. known is the dictionary that these
// images are sums of, or nil.
func (e *Evaluator) Latents(ctx context.Context, weights []*tensors.Tensor, images *dataset.Samples, known *dataset.Known) (*Latents, error) {
	if _, ok := e.spec.Model.(model.Sparse); !ok {
		return nil, nil
	}
	var tell *detectors
	var rows [][]float64
	if known != nil {
		var err error
		if rows, err = e.dictionary(weights, images); err != nil {
			return nil, err
		}
		tell = newDetectors(rows, known)
	}
	var active []float64 // of each image
	fired := make([]int, e.code)
	err := e.EncodeEach(ctx, weights, images, false, func(part Codes) error {
		for i := range part.Len() {
			count := 0
			code := part.At(i)
			for j, x := range code {
				if x != 0 {
					fired[j]++
					count++
				}
			}
			if tell != nil {
				tell.add(len(active), code)
			}
			active = append(active, float64(count))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := &Latents{}
	dead := 0
	for _, n := range fired {
		found.Rates = append(found.Rates, float64(n)/float64(len(active)))
		if n == 0 {
			dead++
		}
	}
	found.Figures = map[string]Figure{"l0": figure(active), "dead_share": {Mean: float64(dead) / float64(len(fired))}}
	if tell != nil {
		found.Figures["mcc"] = Figure{Mean: meanCorrelation(tell.cosines)}
		tell.enter(found.Figures)
	}
	return found, nil
}

// dictionary returns the rows of the model's dictionary, in the data's units.
func (e *Evaluator) dictionary(weights []*tensors.Tensor, images *dataset.Samples) ([][]float64, error) {
	program, err := e.compileFor(1, e.inputShapes(1), func(inputs []*Node) []*Node {
		return []*Node{e.spec.Model.(model.Sparse).Dictionary(e.read(inputs).pass(streamModel))}
	})
	if err != nil {
		return nil, fmt.Errorf("build the dictionary: %w", err)
	}
	defer program.exec.Finalize()
	outputs, err := e.call(program, weights, images, 0, 0)
	if err != nil {
		return nil, err
	}
	values, err := tensors.CopyFlatData[float32](outputs[0])
	if err != nil {
		return nil, err
	}
	size := e.image.Size()
	var rows [][]float64
	for i := 0; i < len(values); i += size {
		row := make([]float64, size)
		for j := range row {
			row[j] = e.like.Scale.Value(j, float64(values[i+j])) - e.like.Scale.Value(j, 0)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// detectors tell how well each latent says whether the feature fires that its row is most like.
type detectors struct {
	known                  *dataset.Known
	cosines                [][]float64 // magnitudes of the cosines: [latents, features]
	nearest                []int       // feature of each latent
	both, latents, feature []float64   // samples in which both are on, the latent, and the feature
}

func newDetectors(rows [][]float64, known *dataset.Known) *detectors {
	d := &detectors{known: known, cosines: cosines(rows, known)}
	for _, list := range d.cosines {
		best := 0
		for j, cosine := range list {
			if cosine > list[best] {
				best = j
			}
		}
		d.nearest = append(d.nearest, best)
	}
	n := len(rows)
	d.both, d.latents, d.feature = make([]float64, n), make([]float64, n), make([]float64, n)
	return d
}

// cosines are the magnitudes of the cosines between rows and features: [rows, features].
func cosines(rows [][]float64, known *dataset.Known) [][]float64 {
	all := make([][]float64, len(rows))
	for i, row := range rows {
		all[i] = make([]float64, known.Len())
		length := norm(row)
		for j := range all[i] {
			dot, square := 0.0, 0.0
			for k, x := range known.At(j) {
				dot += row[k] * float64(x)
				square += float64(x) * float64(x)
			}
			all[i][j] = math.Abs(dot) / max(length*math.Sqrt(square), 1e-30)
		}
	}
	return all
}

func norm(x []float64) float64 {
	square := 0.0
	for _, v := range x {
		square += v * v
	}
	return math.Sqrt(square)
}

// add takes in the code of an image.
func (d *detectors) add(image int, code []float32) {
	for i, x := range code {
		fires := d.known.Fires.Has(image, d.nearest[i])
		if x != 0 {
			d.latents[i]++
		}
		if fires {
			d.feature[i]++
		}
		if x != 0 && fires {
			d.both[i]++
		}
	}
}

// enter adds "latent_precision", "latent_recall" and "f1", the means over latents of how well being on tells that the latent's feature
// is on. Where a part is of nothing, it is 0: dead latents count. (Chanin et al. 2026, section 4.)
func (d *detectors) enter(figures map[string]Figure) {
	part := func(a, b float64) float64 {
		if b == 0 {
			return 0
		}
		return a / b
	}
	var precision, recall, f1 []float64
	for i, both := range d.both {
		p, r := part(both, d.latents[i]), part(both, d.feature[i])
		precision, recall, f1 = append(precision, p), append(recall, r), append(f1, part(2*p*r, p+r))
	}
	figures["latent_precision"], figures["latent_recall"], figures["f1"] = figure(precision), figure(recall), figure(f1)
}

// meanCorrelation is the mean correlation coefficient of a dictionary: the mean of the magnitudes of the cosines between rows and
// features that are paired so that it is the largest, each at most once.
func meanCorrelation(cosines [][]float64) float64 {
	costs := make([][]float64, len(cosines))
	for i, row := range cosines {
		costs[i] = make([]float64, len(row))
		for j, cosine := range row {
			costs[i][j] = -cosine
		}
	}
	sum, pairs := 0.0, 0
	for i, j := range assign(costs) {
		if j >= 0 {
			sum += cosines[i][j]
			pairs++
		}
	}
	return sum / float64(max(pairs, 1))
}
