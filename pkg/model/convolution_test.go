package model

import (
	"fmt"
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
)

// uniform is a tensor of numbers in (-1, 1).
func uniform(seed int64, dims ...int) *tensors.Tensor {
	n := 1
	for _, dim := range dims {
		n *= dim
	}
	return tensors.FromFlatDataAndDimensions(random.NewSeed(seed).Uniform(n), dims...)
}

// naive is convolve from its definition, in float64: [height, width, in] and [kernel, kernel, in, out].
func naive(x, w []float32, height, width, in, kernel, out, stride int) []float64 {
	rows, top, _ := frame(height, kernel, stride)
	columns, left, _ := frame(width, kernel, stride)
	y := make([]float64, rows*columns*out)
	for p := range rows * columns {
		for t := range kernel * kernel {
			i, j := p/columns*stride+t/kernel-top, p%columns*stride+t%kernel-left
			if i < 0 || i >= height || j < 0 || j >= width {
				continue
			}
			for a := range in {
				for b := range out {
					y[p*out+b] += float64(x[(i*width+j)*in+a]) * float64(w[(t*in+a)*out+b])
				}
			}
		}
	}
	return y
}

// Convolutions of every size of kernel and stride agree with the definition, and the transposed ones are their adjoints:
// ⟨y, conv(x)⟩ = ⟨convᵀ(y), x⟩. The gradients follow: with respect to x, that of ⟨y, conv(x, w)⟩ is convᵀ(y, w), and with
// respect to w, its product with any w′ is ⟨y, conv(x, w′)⟩; and the same for convᵀ.
func TestConvolution(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		const height, width = 7, 10
		for _, channels := range [][2]int{{2, 3}, {3, 2}} {
			in, out := channels[0], channels[1]
			for _, size := range [][2]int{{3, 1}, {4, 1}, {1, 2}, {4, 2}, {5, 3}} {
				kernel, stride := size[0], size[1]
				name := fmt.Sprintf("%d → %d channels, kernel %d, stride %d", in, out, kernel, stride)
				rows, _, _ := frame(height, kernel, stride)
				columns, _, _ := frame(width, kernel, stride)
				x, w := uniform(1, 1, height, width, in), uniform(2, kernel, kernel, in, out)
				y, other := uniform(3, 1, rows, columns, out), uniform(4, kernel, kernel, in, out)
				got, err := ExecOnceN(b.Compute, func(x, w, y, other *Node) []*Node {
					conv := Convolution(x, w, stride)
					swapped := TransposeAllAxes(w, 0, 1, 3, 2)
					back := TransposedConvolution(y, swapped, stride, height, width)
					inner := ReduceAllSum(Mul(y, conv))
					gradients := Gradient(inner, x, w)
					transposed := Gradient(ReduceAllSum(Mul(back, x)), y, swapped)
					return []*Node{
						conv, back, gradients[0], transposed[0],
						inner, ReduceAllSum(Mul(back, x)),
						ReduceAllSum(Mul(gradients[1], other)), ReduceAllSum(Mul(y, Convolution(x, other, stride))),
						ReduceAllSum(Mul(TransposeAllAxes(transposed[1], 0, 1, 3, 2), other)),
					}
				}, x, w, y, other)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				value := func(i int) []float32 { return tensors.MustCopyFlatData[float32](got[i]) }
				same := func(what string, got, want []float32) {
					t.Helper()
					for i := range want {
						if math.Abs(float64(got[i]-want[i])) > 1e-4 {
							t.Fatalf("%s: %s[%d] = %g, want %g", name, what, i, got[i], want[i])
						}
					}
				}
				var direct []float32
				for _, v := range naive(tensors.MustCopyFlatData[float32](x), tensors.MustCopyFlatData[float32](w), height, width, in, kernel, out, stride) {
					direct = append(direct, float32(v))
				}
				same("the convolution", value(0), direct)
				same("the adjoint's inner product", value(5), value(4))
				same("the gradient of x", value(2), value(1))
				same("the gradient of y", value(3), value(0))
				same("the gradient of w", value(6), value(7))
				same("the transposed gradient of w", value(8), value(7))
			}
		}
	})
}

// The gradients agree with those that GoMLX makes of XLA's convolution, where it makes right ones: with respect to x for odd
// kernels of stride 1, with respect to w for all.
func TestConvolutionGradientsOfXLA(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for _, c := range []struct{ kernel, stride, in, out int }{{3, 1, 2, 5}, {3, 1, 5, 2}, {5, 1, 1, 3}, {4, 2, 2, 5}, {4, 2, 5, 2}} {
			size := 8 / c.stride
			got, err := ExecOnceN(b.Compute, func(x, w, dy *Node) []*Node {
				_, before, after := frame(8, c.kernel, c.stride)
				theirs := Convolve(x, w).StridePerAxis(c.stride, c.stride).PaddingPerDim([][2]int{{before, after}, {before, after}}).Done()
				g1 := Gradient(ReduceAllSum(Mul(dy, theirs)), x, w)
				g2 := Gradient(ReduceAllSum(Mul(dy, Convolution(x, w, c.stride))), x, w)
				return append(g1, g2...)
			}, uniform(1, 2, 8, 8, c.in), uniform(2, c.kernel, c.kernel, c.in, c.out), uniform(3, 2, size, size, c.out))
			if err != nil {
				t.Fatal(err)
			}
			for i, what := range []string{"x", "w"} {
				if what == "x" && c.kernel%2 == 0 {
					continue // Theirs is wrong: TestConvolution has the definition.
				}
				theirs, ours := tensors.MustCopyFlatData[float32](got[i]), tensors.MustCopyFlatData[float32](got[2+i])
				for j := range theirs {
					if math.Abs(float64(ours[j]-theirs[j])) > 1e-4 {
						t.Errorf("%+v: the gradient of %s[%d] is %g, theirs %g", c, what, j, ours[j], theirs[j])
						break
					}
				}
			}
		}
	})
}
