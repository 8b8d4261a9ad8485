package anomaly

import (
	"context"
	"errors"
	"math"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"latent/pkg/random"
)

// What a spectrum may cost: the eigenvalues of 1,024 features take some 5 s, and mostValues numbers 256 MB.
const (
	mostFeatures = 1024
	mostValues   = 1 << 25
)

// spectrum is the covariance S = 1/n Σ (x − mean) (x − mean)ᵀ of rows, as its principal directions.
type spectrum struct {
	mean       []float64
	directions *mat.Dense // [features, directions]: of length 1, orthogonal; the one of most variance first
	variances  []float64  // along each, n being the divisor; along all directions that are not here it is 0
	rows       int        // n
	fourth     float64    // 1/n Σ |x − mean|⁴
}

// newSpectrum returns the spectrum of all rows where they have no more than most features; beyond, that of so many rows drawn by the
// seed, or fewer where they would hold more than mostValues numbers. Where there are fewer rows than features, it is that of the
// rows' inner products:
// X Xᵀ u = n λ u gives S v = λ v with v = Xᵀ u / √(n λ).
func newSpectrum(ctx context.Context, rows Rows, most int, seed random.Seed) (*spectrum, error) {
	features := rows.Features
	if features > most {
		rows = rows.atMost(max(2, min(most, mostValues/features)), seed)
	}
	n := rows.Len()
	s := &spectrum{rows: n}
	s.mean, _ = moments(rows)
	if features > n {
		return s, s.fromRows(centred(rows, 0, n, s.mean))
	}
	covariance, fourth, err := covariance(ctx, rows, s.mean)
	if err != nil {
		return nil, err
	}
	s.fourth = fourth
	s.variances, s.directions, err = eigen(mat.NewSymDense(features, covariance.RawMatrix().Data))
	return s, err
}

// fromRows computes the spectrum of rows that are centred: [rows, features].
func (s *spectrum) fromRows(x *mat.Dense) error {
	n, _ := x.Dims()
	var products mat.Dense
	products.Mul(x, x.T())
	for i := range n {
		s.fourth += products.At(i, i) * products.At(i, i) / float64(n)
	}
	values, vectors, err := eigen(mat.NewSymDense(n, products.RawMatrix().Data))
	if err != nil {
		return err
	}
	count := 1 // a direction without variance has no v
	for count < n && values[count] > 1e-12*values[0] {
		count++
	}
	if values[0] == 0 {
		s.directions, s.variances = mat.NewDense(len(s.mean), 1, nil), []float64{0}
		return nil
	}
	s.directions = new(mat.Dense)
	s.directions.Mul(x.T(), vectors.Slice(0, n, 0, count))
	s.variances = values[:count]
	scales := make([]float64, count)
	for k, value := range values[:count] {
		scales[k] = 1 / math.Sqrt(value)
	}
	for j := range s.mean {
		floats.Mul(s.directions.RawRowView(j), scales)
	}
	floats.Scale(1/float64(n), s.variances)
	return nil
}

// covariance returns 1/n Σ (x − mean) (x − mean)ᵀ and 1/n Σ |x − mean|⁴. The sums are those of parts whose number does not depend on
// the machine.
func covariance(ctx context.Context, rows Rows, mean []float64) (*mat.Dense, float64, error) {
	const parts = 4
	n := rows.Len()
	var sums [parts]*mat.Dense
	var fourths [parts]float64
	workers, ctx := errgroup.WithContext(ctx)
	for p := range parts {
		workers.Go(func() error {
			sums[p] = mat.NewDense(rows.Features, rows.Features, nil)
			last := (p + 1) * n / parts
			for first := p * n / parts; first < last; first += blockRows {
				if err := ctx.Err(); err != nil {
					return err
				}
				block := centred(rows, first, min(first+blockRows, last), mean)
				raw := block.RawMatrix()
				blas64.Gemm(blas.Trans, blas.NoTrans, 1/float64(n), raw, raw, 1, sums[p].RawMatrix())
				for i := range raw.Rows {
					square := floats.Dot(block.RawRowView(i), block.RawRowView(i))
					fourths[p] += square * square / float64(n)
				}
			}
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		return nil, 0, err
	}
	for p := 1; p < parts; p++ {
		sums[0].Add(sums[0], sums[p])
	}
	return sums[0], floats.Sum(fourths[:]), nil
}

// eigen returns the eigenvalues of a matrix that has none below 0, the largest first, and its eigenvectors in that order.
func eigen(a *mat.SymDense) ([]float64, *mat.Dense, error) {
	var decomposition mat.EigenSym
	if !decomposition.Factorize(a, true) {
		return nil, nil, errors.New("the eigenvalues of the covariance do not converge")
	}
	rising := decomposition.Values(nil)
	var vectors mat.Dense
	decomposition.VectorsTo(&vectors)
	n := len(rising)
	values, ordered := make([]float64, n), mat.NewDense(n, n, nil)
	for k := range n {
		values[k] = max(0, rising[n-1-k])
	}
	for i := range n {
		to, from := ordered.RawRowView(i), vectors.RawRowView(i)
		for k := range n {
			to[k] = from[n-1-k]
		}
	}
	return values, ordered, nil
}

// score calls do with the coordinates of each row along the first count directions and the squared length of what they leave of
// it, and returns what do returns.
func (s *spectrum) score(ctx context.Context, rows Rows, count int, do func(along []float64, left float64) float64) ([]float64, error) {
	if err := checkLike(rows, len(s.mean)); err != nil {
		return nil, err
	}
	scores := make([]float64, rows.Len())
	directions := s.directions.Slice(0, len(s.mean), 0, count)
	err := blocks(ctx, rows.Len(), func(first, last int) {
		block := centred(rows, first, last, s.mean)
		var along mat.Dense
		along.Mul(block, directions)
		for i := range last - first {
			row, coordinates := block.RawRowView(i), along.RawRowView(i)
			left := floats.Dot(row, row) - floats.Dot(coordinates, coordinates)
			scores[first+i] = do(coordinates, max(0, left))
		}
	})
	return scores, err
}
