package vmap_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/random"
	"latent/pkg/vmap"
)

// n is the number of inputs that are mapped over.
const n = 3

// cases are graph functions that ask for every operation of pkg/trace, and the shapes of their inputs: float32, all.
var cases = map[string]struct {
	shapes [][]int
	fn     func(in []*Node) []*Node
}{
	"a number and a matrix": {[][]int{{}, {2, 3}}, func(in []*Node) []*Node {
		return []*Node{Mul(in[1], in[0]), Sub(in[0], in[1]), Where(GreaterThan(in[0], ScalarZero(in[0].Graph(), dtypes.Float32)), in[1], Neg(in[1]))}
	}},
	"a row and a matrix": {[][]int{{1, 3}, {2, 3}}, func(in []*Node) []*Node { return []*Node{Add(in[0], in[1]), Max(in[1], in[0])} }},
	"single elements": {[][]int{{4}}, func(in []*Node) []*Node {
		x := in[0]
		positive := AddScalar(Abs(x), 0.5)
		bits := Bitcast(x, dtypes.Uint32)
		whole := ConvertDType(MulScalar(x, 10), dtypes.Int32)
		return []*Node{
			Ceil(x), Cos(x), Erf(x), Exp(x), Expm1(x), Floor(x), Log(positive), Log1P(positive), Sigmoid(x), Round(x), Rsqrt(positive),
			Sign(x), Sin(x), Sqrt(positive), Tanh(x), Pow(positive, x), Div(x, positive), Min(x, Square(x)), Mod(whole, Scalar(x.Graph(), dtypes.Int32, 3)),
			BitwiseXor(bits, BitwiseShiftLeftScalar(bits, uint32(3))), BitwiseAnd(BitwiseNot(bits), BitwiseShiftRightLogicalScalar(bits, uint32(5))),
			BitwiseOr(bits, BitwiseShiftRightArithmeticScalar(bits, uint32(1))),
			ConvertDType(LogicalXor(LogicalAnd(IsPositive(x), LessThan(x, positive)), LogicalNot(LogicalOr(Equal(x, x), NotEqual(x, x)))), dtypes.Int32),
			ConvertDType(GreaterOrEqual(x, positive), dtypes.Int32), ConvertDType(LessOrEqual(x, positive), dtypes.Int32),
		}
	}},
	"shapes": {[][]int{{2, 3}, {4, 3}}, func(in []*Node) []*Node {
		x, y := in[0], in[1]
		return []*Node{
			Reshape(x, 3, 2), TransposeAllAxes(x, 1, 0), BroadcastToDims(ExpandAxes(x, 1), 2, 5, 3), Concatenate([]*Node{x, y, x}, 0),
			Slice(y, AxisRange(0, 4).Stride(2), AxisElem(1)), Reverse(y, 0), Add(Iota(x.Graph(), x.Shape(), 1), x),
			Add(x, Const(x.Graph(), [][]float32{{1, 2, 3}, {4, 5, 6}})),
			Pad(x, ScalarZero(x.Graph(), dtypes.Float32), compute.PadAxis{Start: 1, End: 2}, compute.PadAxis{Interior: 1}),
		}
	}},
	"reductions": {[][]int{{2, 3}}, func(in []*Node) []*Node {
		x := in[0]
		return []*Node{ReduceAllSum(x), ReduceSum(x, 0), ReduceMax(x, 1), ReduceMin(x, 0), ArgMax(x, 1), ArgMin(x, 0, dtypes.Int64)}
	}},
	"product": {[][]int{{2, 3}, {3, 4}}, func(in []*Node) []*Node { return []*Node{MatMul(in[0], in[1]), Einsum("ab,bc->ca", in[0], in[1])} }},
	"product with aligned axes": {[][]int{{2, 5, 3}, {4, 2, 3}}, func(in []*Node) []*Node {
		return []*Node{DotGeneral(in[0], []int{2}, []int{0}, in[1], []int{2}, []int{1})}
	}},
	"convolution": {[][]int{{2, 5, 5, 3}, {3, 3, 3, 4}}, func(in []*Node) []*Node {
		return []*Node{convolve(in[0], in[1], 1)}
	}},
	"convolution in groups": {[][]int{{2, 5, 5, 4}, {3, 3, 2, 6}}, func(in []*Node) []*Node {
		return []*Node{convolve(in[0], in[1], 2)}
	}},
	"rows of a matrix": {[][]int{{5, 2}, {4}}, func(in []*Node) []*Node {
		rows := ExpandAxes(ConvertDType(MulScalar(Abs(in[1]), 2), dtypes.Int32), -1) // the numbers stay below 5: see values
		return []*Node{Gather(in[0], rows), ScatterSum(in[0], rows, Gather(in[0], rows), false, false)}
	}},
	"elements of a matrix": {[][]int{{5, 4}, {3, 2}}, func(in []*Node) []*Node {
		return []*Node{Gather(in[0], ConvertDType(Abs(in[1]), dtypes.Int32))}
	}},
	"gradients": {[][]int{{6, 3}, {3, 4}, {4}}, func(in []*Node) []*Node {
		loss := ReduceAllMean(Square(Tanh(Add(MatMul(in[0], in[1]), ExpandLeftToRank(in[2], 2)))))
		return append([]*Node{loss}, Gradient(loss, in[1], in[2])...)
	}},
	"draws": {[][]int{{2}}, func(in []*Node) []*Node {
		key := random.KeyFromNode(Bitcast(in[0], dtypes.Uint32))
		return []*Node{key.Normal(3, 5), key.Child(1).Uniform(4)}
	}},
	"nothing mapped": {[][]int{{2}, {3}}, func(in []*Node) []*Node { return []*Node{Neg(in[1])} }},
}

func convolve(x, kernel *Node, groups int) *Node {
	image := []int{1, 2}
	return ConvGeneral(x, kernel, ConvolveAxesConfig{
		InputBatch: 0, InputSpatial: image, InputChannels: 3, KernelSpatial: []int{0, 1}, KernelInputChannels: 2, KernelOutputChannels: 3,
		OutputBatch: 0, OutputSpatial: image, OutputChannels: 3,
	}, []int{1, 1}, [][2]int{{1, 1}, {1, 1}}, nil, nil, groups, 1)
}

// Each function gives, whichever of its inputs are mapped, what it gives for each input alone.
func TestMap(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for name, c := range cases {
			for mask := 1; mask < 1<<len(c.shapes); mask++ {
				t.Run(fmt.Sprintf("%s/%b", name, mask), func(t *testing.T) { compare(t, b.Compute, c.shapes, c.fn, mask) })
			}
		}
	})
}

// values are normal draws, cut at ±2.4.
func values(seed, size int) []float32 {
	draws := random.NewSeed(int64(seed)).Normal(size, 1)
	for i, v := range draws {
		draws[i] = max(-2.4, min(v, 2.4))
	}
	return draws
}

func compare(t *testing.T, b compute.Backend, dims [][]int, fn func([]*Node) []*Node, mask int) {
	var whole []*tensors.Tensor
	alone := make([][]*tensors.Tensor, n)
	for i, dims := range dims {
		size := shapes.Make(dtypes.Float32, dims...).Size()
		if mask>>i&1 == 0 {
			same := tensors.FromFlatDataAndDimensions(values(i, size), dims...)
			whole = append(whole, same)
			for k := range n {
				alone[k] = append(alone[k], same)
			}
			continue
		}
		all := values(i, n*size)
		whole = append(whole, tensors.FromFlatDataAndDimensions(all, append([]int{n}, dims...)...))
		for k := range n {
			alone[k] = append(alone[k], tensors.FromFlatDataAndDimensions(all[k*size:][:size], dims...))
		}
	}
	got, err := ExecOnceN(b, func(in []*Node) []*Node {
		var inputs []vmap.Input
		for i, node := range in {
			inputs = append(inputs, vmap.Input{Node: node, Mapped: mask>>i&1 == 1})
		}
		return vmap.Map(fn, inputs)
	}, args(whole)...)
	if err != nil {
		t.Fatal(err)
	}
	for k := range n {
		want, err := ExecOnceN(b, fn, args(alone[k])...)
		if err != nil {
			t.Fatal(err)
		}
		for o := range want {
			size := want[o].Shape().Size()
			all, one := flat(t, got[o]), flat(t, want[o])
			if len(all) != n*len(one) {
				t.Fatalf("output %d has the shape %v, for one input %v", o, got[o].Shape(), want[o].Shape())
			}
			for j := range one {
				if a, b := all[k*size+j], one[j]; math.Abs(a-b) > 1e-5*max(1, math.Abs(b)) {
					t.Fatalf("output %d of input %d: value %d is %g, alone %g", o, k, j, a, b)
				}
			}
		}
	}
}

func args(list []*tensors.Tensor) []any {
	var all []any
	for _, tensor := range list {
		all = append(all, tensor)
	}
	return all
}

// flat are a tensor's values as numbers.
func flat(t *testing.T, tensor *tensors.Tensor) []float64 {
	var list []float64
	tensor.MustConstFlatData(func(flat any) {
		switch flat := flat.(type) {
		case []float32:
			for _, v := range flat {
				list = append(list, float64(v))
			}
		case []int32:
			for _, v := range flat {
				list = append(list, float64(v))
			}
		case []int64:
			for _, v := range flat {
				list = append(list, float64(v))
			}
		case []uint32:
			for _, v := range flat {
				list = append(list, float64(v))
			}
		default:
			t.Fatalf("a tensor of %T", flat)
		}
	})
	return list
}

// What cannot be mapped is named.
func TestUnknown(t *testing.T) {
	b, err := backend.OpenInstalled("go", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, err = ExecOnceN(b.Compute, func(in []*Node) []*Node {
		return vmap.Map(func(in []*Node) []*Node { return []*Node{IsNaN(in[0])} }, []vmap.Input{{Node: in[0], Mapped: true}})
	}, []float32{1, 2})
	if err == nil || !strings.Contains(err.Error(), "the operation IsNaN is not recorded") {
		t.Errorf("an operation that is not recorded: %v", err)
	}
}
