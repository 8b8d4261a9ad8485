package evaluate

import (
	"math"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// ssimWindow is the side of SSIM's Gaussian window, in pixels, and ssimSigma its standard deviation.
const (
	ssimWindow = 11
	ssimSigma  = 1.5
)

// SSIM returns the structural similarity of each image, the mean over every place where the window lies wholly inside
// the image, and over channels:
//
//	(2 μₓ μᵧ + C₁) (2 σₓᵧ + C₂) / ((μₓ² + μᵧ² + C₁) (σₓ² + σᵧ² + C₂)),   C₁ = 0.01², C₂ = 0.03²
//
// with means, variances and covariance weighted by a Gaussian window of 11×11 pixels, σ = 1.5 (population covariance).
//
// x, y: [batch, height, width, channels] in [0, 1], at least 11 high and wide; returns [batch].
//
// Source: Wang, Bovik, Sheikh & Simoncelli 2004, section III-B; equal to scikit-image's structural_similarity with
// gaussian_weights, sigma 1.5, use_sample_covariance false and data_range 1.
func SSIM(x, y *Node) *Node {
	const c1, c2 = 0.01 * 0.01, 0.03 * 0.03
	meanX, meanY := ssimMean(x), ssimMean(y)
	squareX, squareY, product := Square(meanX), Square(meanY), Mul(meanX, meanY)
	varianceX := Sub(ssimMean(Square(x)), squareX)
	varianceY := Sub(ssimMean(Square(y)), squareY)
	covariance := Sub(ssimMean(Mul(x, y)), product)
	similarity := Div(
		Mul(AddScalar(MulScalar(product, 2), c1), AddScalar(MulScalar(covariance, 2), c2)),
		Mul(AddScalar(Add(squareX, squareY), c1), AddScalar(Add(varianceX, varianceY), c2)))
	return ReduceMean(similarity, 1, 2, 3)
}

// ssimBlock is how many places of the window are computed by one product: see ssimMean.
const ssimBlock = 64

// ssimMean slides the window over x: [batch, height, width, channels] → [batch, height-10, width-10, channels].
//
// The window is a product of two one-dimensional ones, each a matrix product with a banded matrix, which every backend
// has. An image larger than a block is cut into blocks that overlap by the window, for a band across the whole image costs as many
// operations a pixel as the image is wide, nearly all of them with 0.
func ssimMean(x *Node) *Node {
	for axis := 1; axis <= 2; axis++ {
		places := x.Shape().Dim(axis) - ssimWindow + 1
		block := min(places, ssimBlock)
		count := (places + block - 1) / block
		if missing := count*block - places; missing > 0 {
			around := make([]compute.PadAxis, x.Rank())
			around[axis].End = missing
			x = Pad(x, ScalarZero(x.Graph(), x.DType()), around...)
		}
		var blocks []*Node
		for k := range count {
			blocks = append(blocks, SliceAxis(x, axis, AxisRange(k*block, (k+1)*block+ssimWindow-1)))
		}
		band := ConstTensor(x.Graph(), ssimBand(block+ssimWindow-1))
		equation := map[int]string{1: "kbhwc,hi->bkiwc", 2: "kbhwc,wi->bhkic"}[axis]
		dims := slices.Clone(x.Shape().Dimensions)
		dims[axis] = count * block
		x = SliceAxis(Reshape(Einsum(equation, Stack(blocks, 0), band), dims...), axis, AxisRange(0, places))
	}
	return x
}

// ssimBand is the matrix [n, n-10] whose column i is the one-dimensional window over the places i … i+10.
func ssimBand(n int) *tensors.Tensor {
	var window [ssimWindow]float64
	sum := 0.0
	for i := range window {
		d := float64(i - ssimWindow/2)
		window[i] = math.Exp(-d * d / (2 * ssimSigma * ssimSigma))
		sum += window[i]
	}
	columns := n - ssimWindow + 1
	band := make([]float32, n*columns)
	for column := range columns {
		for i, weight := range window {
			band[(column+i)*columns+column] = float32(weight / sum)
		}
	}
	return tensors.FromFlatDataAndDimensions(band, n, columns)
}
