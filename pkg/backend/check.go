package backend

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/random"
)

// Check runs a small computation whose result is known, and returns an error that names what came out different: a matrix
// product, bits of integers, and the gradient of a sum.
func Check(b *Backend) error {
	outputs, err := ExecOnceN(b.Compute, func(a, w *Node) []*Node {
		product := MatMul(a, w)
		bits := BitwiseXor(BitwiseShiftLeftScalar(w32(a), uint32(3)), w32(a))
		return []*Node{product, bits, Gradient(ReduceAllSum(Square(product)), w)[0]}
	}, [][]float32{{1, 2}, {3, 4}}, [][]float32{{5, -6}, {7, 8}})
	if err != nil {
		return fmt.Errorf("check %s: %s", b.Name, inOneLine(err))
	}
	// Worked out by hand: A W, a xor (a << 3), and 2 Aᵀ (A W).
	if err := expect(b, "matrix product", tensors.MustCopyFlatData[float32](outputs[0]), []float32{19, 10, 43, 14}); err != nil {
		return err
	}
	if err := expect(b, "bits", tensors.MustCopyFlatData[uint32](outputs[1]), []uint32{9, 18, 27, 36}); err != nil {
		return err
	}
	return expect(b, "gradient", tensors.MustCopyFlatData[float32](outputs[2]), []float32{296, 104, 420, 152})
}

// w32 converts to uint32.
func w32(x *Node) *Node { return ConvertDType(x, dtypes.Uint32) }

func expect[T float32 | uint32](b *Backend, what string, got, want []T) error {
	for i := range want {
		if math.Abs(float64(got[i])-float64(want[i])) > 1e-4*math.Abs(float64(want[i])) {
			return fmt.Errorf("check %s: %s gave %v, want %v", b.Name, what, got, want)
		}
	}
	return nil
}

// Result is the outcome of one computation of Examine.
type Result struct {
	// Name says what was computed, Detail how near it came; Err is what was wrong.
	Name, Detail string
	Err          error
	// Time is that of compiling and computing, on the device and on the host.
	Time time.Duration
}

// Examine checks a backend at what training does, each computation beside its definition in float64 on the host, and goes on
// after one that fails: what Check does, a large product, a loop of steps with gradients, integers, and a convolution with its
// gradients. It takes a second on a CPU.
func Examine(b *Backend) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		for _, e := range []struct {
			name string
			run  func(*Backend) (string, error)
		}{
			{"small", func(b *Backend) (string, error) { return "product, bits and gradient as worked out by hand", Check(b) }},
			{"product", product},
			{"loop", loop},
			{"integers", integers},
			{"convolution", convolution},
		} {
			begin := time.Now()
			detail, err := e.run(b)
			if err != nil && e.name != "small" { // which says so itself
				err = fmt.Errorf("check %s: %s: %s", b.Name, e.name, inOneLine(err))
			}
			if err != nil && strings.Contains(err.Error(), "No PTX compilation provider") {
				err = fmt.Errorf("%w; %s", err, ToolkitCure)
			}
			if !yield(Result{Name: e.name, Detail: detail, Err: err, Time: time.Since(begin)}) {
				return
			}
		}
	}
}

// inOneLine writes an error in one line of at most so many bytes: XLA explains some in many lines, and what matters may be in any.
func inOneLine(err error) string {
	const most = 1500
	line := oneLine([]string{err.Error()})
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}

// uniform draws numbers from [-1, 1).
func uniform(stream, n int) []float32 {
	draws := random.NewSeed(1).Child(stream).Uniform(n)
	for i := range draws {
		draws[i] = 2*draws[i] - 1
	}
	return draws
}

// near compares with the exact values: the largest difference, as a share of the largest value.
//
// float32 is off by 2⁻²⁴ of a value, and sums of hundreds of products lose little more: 1e-5 is ten times what was seen. TF32 is
// off by 2⁻¹¹ of each factor where it rounds, which comes to 1e-4 of the largest value (TestNear), and by twice that and always
// to one side where it cuts off: where it was asked for, 2e-3 is allowed, and where it was not, 1e-5 finds it. more is by how
// much steps that build on each other may be further off.
func near(b *Backend, what string, more float64, got []float32, want []float64) (string, error) {
	allowed, how := 1e-5*more, "float32"
	if b.GPU != nil && b.GPU.TF32 {
		allowed, how = 2e-3*more, "TF32"
	}
	var off, largest float64
	for i := range want {
		off = max(off, math.Abs(float64(got[i])-want[i]))
		if math.IsNaN(float64(got[i])) {
			off = math.Inf(1)
		}
		largest = max(largest, math.Abs(want[i]))
	}
	off /= largest
	detail := fmt.Sprintf("%s in %s off by %.1e of the largest value, %.0e allowed", what, how, off, allowed)
	if off > allowed {
		return detail, fmt.Errorf("%s", detail)
	}
	return detail, nil
}

// product multiplies two matrices of the size that cuBLAS has its own kernels for.
func product(b *Backend) (string, error) {
	const n = 512
	x, w := uniform(1, n*n), uniform(2, n*n)
	output, err := ExecOnce(b.Compute, MatMul, tensors.FromFlatDataAndDimensions(x, n, n), tensors.FromFlatDataAndDimensions(w, n, n))
	if err != nil {
		return "", err
	}
	want := make([]float64, n*n)
	for i := range n {
		for k := range n {
			factor := float64(x[i*n+k])
			for j, value := range w[k*n : (k+1)*n] {
				want[i*n+j] += factor * float64(value)
			}
		}
	}
	return near(b, fmt.Sprintf("%d×%d", n, n), 1, tensors.MustCopyFlatData[float32](output), want)
}

// loop trains a layer, tanh(x W), towards another by gradient descent, in one call.
func loop(b *Backend) (string, error) {
	if !b.Loops {
		return "this backend has no loops: training makes a call for each step", nil
	}
	const (
		steps, rate       = 500, 0.1
		rows, in, outputs = 32, 16, 8
	)
	x, target, start := uniform(3, rows*in), uniform(4, in*outputs), uniform(5, in*outputs)
	compute := func(x, start, target *Node) *Node {
		g := x.Graph()
		state := []*Node{Scalar(g, dtypes.Int32, 0), Scalar(g, dtypes.Int32, steps), x, start, Tanh(MatMul(x, target))}
		parameters := func(g *Graph) (step, last, x, w, y *Node) {
			var nodes [5]*Node
			for i, first := range state {
				nodes[i] = Parameter(g, fmt.Sprintf("state %d", i), first.Shape())
			}
			return nodes[0], nodes[1], nodes[2], nodes[3], nodes[4]
		}
		more := NewClosure(g, func(g *Graph) []*Node {
			step, last, _, _, _ := parameters(g)
			return []*Node{LessThan(step, last)}
		})
		body := NewClosure(g, func(g *Graph) []*Node {
			step, last, x, w, y := parameters(g)
			loss := MulScalar(ReduceAllSum(Square(Sub(Tanh(MatMul(x, w)), y))), 0.5/float64(rows))
			return []*Node{AddScalar(step, 1), last, x, Sub(w, MulScalar(Gradient(loss, w)[0], rate)), y}
		})
		return While(more, body, state...)[3]
	}
	output, err := ExecOnce(b.Compute, compute, tensors.FromFlatDataAndDimensions(x, rows, in),
		tensors.FromFlatDataAndDimensions(start, in, outputs), tensors.FromFlatDataAndDimensions(target, in, outputs))
	if err != nil {
		return "", err
	}
	layer := func(w []float64) []float64 { // tanh(x W)
		y := make([]float64, rows*outputs)
		for r := range rows {
			for j := range outputs {
				for i := range in {
					y[r*outputs+j] += float64(x[r*in+i]) * w[i*outputs+j]
				}
				y[r*outputs+j] = math.Tanh(y[r*outputs+j])
			}
		}
		return y
	}
	y, w := layer(float64s(target)), float64s(start)
	for range steps {
		now := layer(w)
		for r := range rows {
			for j := range outputs {
				value := now[r*outputs+j]
				slope := (value - y[r*outputs+j]) * (1 - value*value) / rows
				for i := range in {
					w[i*outputs+j] -= rate * slope * float64(x[r*in+i])
				}
			}
		}
	}
	return near(b, fmt.Sprintf("weights after %d steps", steps), 10, tensors.MustCopyFlatData[float32](output), w)
}

func float64s(values []float32) []float64 {
	wide := make([]float64, len(values))
	for i, value := range values {
		wide[i] = float64(value)
	}
	return wide
}

// integers draws the words of the generator that all of Latent's draws come from.
func integers(b *Backend) (string, error) {
	const n = 4096
	seed := random.NewSeed(1).Child(6)
	output, err := ExecOnce(b.Compute, func(seed *Node) *Node { return random.KeyFromNode(seed).Bits(n, 2) }, seed[:])
	if err != nil {
		return "", err
	}
	got := tensors.MustCopyFlatData[uint32](output)
	for i := range n {
		if want := seed.Block(uint32(i), 0); !slices.Equal(got[2*i:2*i+2], want[:]) {
			return "", fmt.Errorf("block %d of Threefry is %#x, want %#x", i, got[2*i:2*i+2], want)
		}
	}
	return fmt.Sprintf("%d words of Threefry, to the bit", 2*n), nil
}

// convolution convolves images with 3×3 kernels, and takes the gradients of its product with given values.
func convolution(b *Backend) (string, error) {
	const batch, size, in, out, kernel = 4, 16, 16, 32, 3
	x, w, dy := uniform(7, batch*size*size*in), uniform(8, kernel*kernel*in*out), uniform(9, batch*size*size*out)
	outputs, err := ExecOnceN(b.Compute, func(x, w, dy *Node) []*Node {
		y := Convolve(x, w).PadSame().Done()
		return append([]*Node{y}, Gradient(ReduceAllSum(Mul(y, dy)), x, w)...)
	}, tensors.FromFlatDataAndDimensions(x, batch, size, size, in), tensors.FromFlatDataAndDimensions(w, kernel, kernel, in, out),
		tensors.FromFlatDataAndDimensions(dy, batch, size, size, out))
	if err != nil {
		return "", err
	}
	// y[n, r, c, o] = Σ x[n, r+i−1, c+j−1, k] w[i, j, k, o], with zeros outside of x; its adjoints go through the same places.
	want := [3][]float64{make([]float64, len(dy)), make([]float64, len(x)), make([]float64, len(w))}
	for n := range batch {
		for r := range size {
			for c := range size {
				at := ((n*size+r)*size + c) * out
				for i := range kernel {
					for j := range kernel {
						if r+i < 1 || r+i > size || c+j < 1 || c+j > size {
							continue
						}
						from := ((n*size+r+i-1)*size + c + j - 1) * in
						for k := range in {
							tap := ((i*kernel+j)*in + k) * out
							for o := range out {
								value, weight, slope := float64(x[from+k]), float64(w[tap+o]), float64(dy[at+o])
								want[0][at+o] += value * weight
								want[1][from+k] += slope * weight
								want[2][tap+o] += slope * value
							}
						}
					}
				}
			}
		}
	}
	var details []string
	for i, what := range []string{"images", "gradient of images", "gradient of kernels"} {
		detail, err := near(b, what, 1, tensors.MustCopyFlatData[float32](outputs[i]), want[i])
		if err != nil {
			return "", err
		}
		details = append(details, detail)
	}
	return details[0] + "; gradients too", nil
}
