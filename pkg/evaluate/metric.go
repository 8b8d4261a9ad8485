package evaluate

import (
	"math"
	"strconv"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"gonum.org/v1/gonum/stat/distuv"
)

// Metric compares images with their clean originals.
type Metric struct {
	Name string
	// Title is its name in tables, where that is not what [Metric.Label] makes of Name.
	Title string
	// Unit is printed after a value; "" for plain numbers.
	Unit string
	// Higher says that a higher value is better.
	Higher bool
	// PerImage builds the graph, and is nil of figures that [Evaluator.Measure] does not measure. clean, y: [batch, height, width,
	// channels], pixels in [-1, 1]; returns [batch].
	PerImage func(clean, y *Node) *Node
	// Part, in the place of PerImage, is that of a part of the image. mask: [batch, height, width, 1], 1 inside and 0 outside.
	Part func(clean, y, mask *Node) *Node
	// Vectors says that it is defined for vectors too, on values in the model's scale.
	Vectors bool
	// Smallest is the smallest height and width of images that it is defined for.
	Smallest int
}

// Label is the metric's name in tables: abbreviations in capitals, and what the figure is of behind it.
func (m Metric) Label() string {
	if m.Title != "" {
		return m.Title
	}
	name, of, _ := strings.Cut(m.Name, "_")
	return strings.TrimSpace(strings.ToUpper(name) + " " + of)
}

// Metrics holds every metric, in the order of tables.
var Metrics = []Metric{
	{Name: "mse", PerImage: mse, Vectors: true},
	{Name: "mae", PerImage: mae, Vectors: true},
	{Name: "psnr", Unit: "dB", Higher: true, PerImage: psnr},
	{Name: "ssim", Higher: true, PerImage: ssim, Smallest: ssimWindow},
}

// VectorMetrics are those of vectors alone, which look at all samples together; see [Feature].
var VectorMetrics = []Metric{{Name: "explained_variance", Title: "explained var.", Higher: true}}

// MaskMetrics tell the error where a corruption changes the image from that where it does not, of corruptions that are
// [corrupt.Chain.Local]. They are means over the images that have such a part.
var MaskMetrics = []Metric{
	{Name: "mse_inside", Part: mseInside},
	{Name: "mse_outside", Part: func(clean, y, mask *Node) *Node { return mseInside(clean, y, OneMinus(mask)) }},
}

// GeneratedMetrics tells of the figures of generated images beside test images, in the order of tables; see pkg/feature.
var GeneratedMetrics = []Metric{
	{Name: "frechet", Title: "Fréchet"},
	{Name: "precision", Title: "precision", Higher: true},
	{Name: "recall", Title: "recall", Higher: true},
}

// mseInside is the mean squared error of the pixels where mask is 1, in [-1, 1]; 0 where there are none.
func mseInside(clean, y, mask *Node) *Node {
	squared := ReduceSum(Mul(Square(Sub(y, clean)), mask), 1, 2, 3)
	values := MulScalar(ReduceSum(mask, 1, 2, 3), clean.Shape().Dim(-1))
	return Div(squared, MaxScalar(values, 1))
}

// mse is the mean squared error of pixels in [-1, 1], which is four times that of pixels in [0, 1].
func mse(clean, y *Node) *Node { return ReduceMean(Square(Sub(y, clean)), 1, 2, 3) }

// mae is the mean absolute error of pixels in [-1, 1].
func mae(clean, y *Node) *Node { return ReduceMean(Abs(Sub(y, clean)), 1, 2, 3) }

// psnrFloor is the squared error under which images count as equal: their PSNR is 100 dB, not infinite.
const psnrFloor = 1e-10

// psnr is the peak signal-to-noise ratio of pixels clipped to [0, 1], −10 log₁₀ MSE: the peak is 1.
func psnr(clean, y *Node) *Node {
	squared := ReduceMean(Square(Sub(unit(y), unit(clean))), 1, 2, 3)
	return MulScalar(Log(MaxScalar(squared, psnrFloor)), -10/math.Ln10)
}

// ssim is [SSIM] of pixels clipped to [0, 1].
func ssim(clean, y *Node) *Node { return SSIM(unit(clean), unit(y)) }

// unit maps pixels from [-1, 1] to [0, 1] and clips them.
func unit(x *Node) *Node { return ClipScalar(MulScalar(OnePlus(x), 0.5), 0, 1) }

// Figure is the mean of a metric over images.
type Figure struct {
	Mean float64
	// Interval is half the width of the mean's 95 % confidence interval over images: 1.96 s / √n.
	Interval float64
}

// Text writes the interval with two digits that count, and the mean to the same place: "21.204" and "0.037". Without an
// interval, or with one that is nothing but rounding, the mean has about four digits that count, and the interval is "".
func (f Figure) Text() (mean, interval string) {
	if math.IsNaN(f.Mean) || math.IsInf(f.Mean, 0) {
		return "—", ""
	}
	if f.Interval == 0 && f.Mean >= 0 && f.Mean == math.Trunc(f.Mean) {
		return withDecimals(f.Mean, 0), "" // a count
	}
	if f.Interval <= 1e-7*math.Abs(f.Mean) || math.IsNaN(f.Interval) || math.IsInf(f.Interval, 0) {
		return withDecimals(f.Mean, 3-math.Floor(math.Log10(max(math.Abs(f.Mean), 1e-4)))), ""
	}
	decimals := 1 - math.Floor(math.Log10(f.Interval))
	return withDecimals(f.Mean, decimals), withDecimals(f.Interval, decimals)
}

func withDecimals(x, decimals float64) string {
	return strings.Replace(strconv.FormatFloat(x, 'f', int(min(max(decimals, 0), 9)), 64), "-", "−", 1)
}

// normalQuantile leaves 2.5 % of a normal distribution above it.
const normalQuantile = 1.96

// figure summarises the values of n images.
func figure(values []float64) Figure {
	n := float64(len(values))
	sum := 0.0
	for _, value := range values {
		sum += value
	}
	mean := sum / n
	squares := 0.0
	for _, value := range values {
		squares += (value - mean) * (value - mean)
	}
	if n < 2 {
		return Figure{Mean: mean}
	}
	return Figure{Mean: mean, Interval: normalQuantile * math.Sqrt(squares/(n-1)/n)}
}

// OverRuns summarises the values that runs with different seeds came to. Its interval is that of Student's t distribution.
func OverRuns(values []float64) Figure {
	f := figure(values)
	if n := float64(len(values)); n > 1 {
		f.Interval *= distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975) / normalQuantile
	}
	return f
}

// pooledPSNR is the PSNR of the mean squared error of all images, which lies below the mean of the images' PSNRs.
func pooledPSNR(psnrs []float64) float64 {
	sum := 0.0
	for _, value := range psnrs {
		sum += math.Pow(10, -value/10)
	}
	return -10 * math.Log10(sum/float64(len(psnrs)))
}
