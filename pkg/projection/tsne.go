package projection

import (
	"context"
	"fmt"
	"math"

	"github.com/danaugrs/go-tsne/tsne"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// Perplexity is about the number of neighbours that count for each of n points in TSNE: 30, or a third of the others where they
// are few.
func Perplexity(n int) float64 { return min(30, float64(n-1)/3) }

// leastPoints is the least number of points that TSNE lays out.
const leastPoints = 5

// The descent: a first part with the affinities exaggerated, in which clusters form, and a second without. The factor and the
// momenta are those of van der Maaten & Hinton 2008 and scikit-learn; the steps are fewer, for there is a start by PCA.
const (
	exaggeratedSteps = 100
	plainSteps       = 200
	exaggeration     = 12
	startDeviation   = 1e-4
)

// TSNE lays points out so that near ones stay near: [points, dimensions] → [points, 2], centred. Distances between groups of
// points, and their sizes, mean nothing. There must be five or more; the time grows with the square of their number,
// half a minute for 1,000 on one core.
//
// The affinities and their gradient are go-tsne's. Its descent is not used: it begins at random, with the process's own
// generator, and never forgets a gradient, so that points swing for ever. Ours, in the function that it calls after each of
// its steps, begins with the principal components (Kobak & Berens 2019) and has momentum and gains (van der Maaten & Hinton
// 2008, section 3.4).
func TSNE(ctx context.Context, points *mat.Dense) (*mat.Dense, error) {
	n, _ := points.Dims()
	if n < leastPoints {
		return nil, fmt.Errorf("t-SNE: %d points, want %d or more", n, leastPoints)
	}
	start, _, err := PCA(points)
	if err != nil {
		return nil, err
	}
	if deviation := stat.PopStdDev(mat.Col(nil, 0, start), nil); deviation > 0 {
		start.Scale(startDeviation/deviation, start)
	}
	// With a learning rate of 1, a step of go-tsne's moves the points by the sum of the gradients.
	embedding := tsne.NewTSNE(planar, Perplexity(n), 1, washSteps+exaggeratedSteps+plainSteps, false)
	wash, descent := newWash(n), newDescent(start)
	embedding.EmbedDistances(distances(points), func(step int, _ float64, _ mat.Matrix) (stop bool) {
		switch {
		case step < washSteps:
			wash.after(step, embedding)
			if step == washSteps-1 {
				descent.begin(embedding, wash.places)
			}
		default:
			descent.step(step-washSteps, embedding)
		}
		return ctx.Err() != nil
	})
	return embedding.Y, ctx.Err()
}

// distances returns the squared distances of all pairs, scaled to a mean of about 1, where go-tsne's search for each point's
// width begins: [points, points]. Equal points are at 0 exactly, which its own distances are not.
func distances(points *mat.Dense) *mat.Dense {
	n, _ := points.Dims()
	all := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range i {
			d := floats.Distance(points.RawRowView(i), points.RawRowView(j), 2)
			all.Set(i, j, d*d)
			all.Set(j, i, d*d)
		}
	}
	if mean := mat.Sum(all) / float64(n*n); mean > 0 {
		all.Scale(1/mean, all)
	}
	return all
}

// wash takes what is random out of a go-tsne embedding. Its first step adds the gradient at a random place to its sum of
// gradients, which is not exported and is never cleared. The second step adds a number so large that the sum before is lost in
// the rounding, the same number for every point; the third takes it away again. What remains depends on the places of these
// steps alone, to the bit.
type wash struct {
	affinities *mat.Dense // the points' own, while others stand in their place
	places     *mat.Dense // the points in a row, at distance 1
}

// washSteps is how many steps of go-tsne a wash takes.
const washSteps = 3

// large exceeds 2⁵³ times all that a sum of gradients can be: beside it the rest is rounded away.
const large = 0x1p200

func newWash(n int) *wash {
	places := mat.NewDense(n, planar, nil)
	for i := range n {
		for k := range planar {
			places.Set(i, k, float64(i)-float64(n-1)/2)
		}
	}
	return &wash{places: places}
}

// after prepares the step to come.
func (w *wash) after(step int, embedding *tsne.TSNE) {
	n, _ := w.places.Dims()
	switch step {
	case 0:
		w.affinities = embedding.P
		embedding.P = mat.NewDense(n, n, nil)
		for i := range n {
			embedding.P.Set(i, (i+1)%n, large)
		}
	case 1:
		embedding.P.Scale(-1, embedding.P)
	case 2:
		embedding.P = w.affinities
		return
	}
	embedding.Y.Copy(w.places)
}

// descent moves points down the gradient.
type descent struct {
	rate           float64
	before         *mat.Dense // the places that go-tsne's next step starts from: [points, 2]
	sum            *mat.Dense // of all gradients, which that step moves the points by
	speed, gain    *mat.Dense
	next, gradient *mat.Dense
}

func newDescent(start *mat.Dense) *descent {
	n, _ := start.Dims()
	gain := mat.NewDense(n, planar, nil)
	gain.Apply(func(_, _ int, _ float64) float64 { return 1 }, gain)
	return &descent{
		// Belkina et al. 2019; scikit-learn's, whose gradient has the same factor 4.
		rate:   max(float64(n)/exaggeration/4, 50),
		before: start, gain: gain,
		sum: mat.NewDense(n, planar, nil), speed: mat.NewDense(n, planar, nil),
		next: mat.NewDense(n, planar, nil), gradient: mat.NewDense(n, planar, nil),
	}
}

// begin puts the points at the start, with their affinities exaggerated. The last step moved them from places by the sum of
// gradients so far.
func (d *descent) begin(embedding *tsne.TSNE, places *mat.Dense) {
	d.sum.Sub(places, embedding.Y)
	embedding.P.Scale(exaggeration, embedding.P)
	embedding.Y.Copy(d.before)
}

// step moves the points, where go-tsne's step has moved them by the sum of gradients.
func (d *descent) step(number int, embedding *tsne.TSNE) {
	momentum := 0.8
	if number < exaggeratedSteps {
		momentum = 0.5
	}
	d.next.Sub(d.before, embedding.Y)
	d.gradient.Sub(d.next, d.sum)
	d.sum.Copy(d.next)
	n, _ := d.before.Dims()
	for i := range n {
		for k := range planar {
			gradient, speed, gain := d.gradient.At(i, k), d.speed.At(i, k), d.gain.At(i, k)
			if gradient*speed < 0 {
				gain += 0.2
			} else {
				gain = math.Max(gain*0.8, 0.01)
			}
			speed = momentum*speed - d.rate*gain*gradient
			d.gain.Set(i, k, gain)
			d.speed.Set(i, k, speed)
			d.before.Set(i, k, d.before.At(i, k)+speed)
		}
	}
	for k := range planar {
		column := mat.Col(nil, k, d.before)
		floats.AddConst(-stat.Mean(column, nil), column)
		d.before.SetCol(k, column)
	}
	embedding.Y.Copy(d.before)
	if number == exaggeratedSteps-1 {
		embedding.P.Scale(1.0/exaggeration, embedding.P)
	}
}
