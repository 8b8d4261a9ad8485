package backend

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
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
		return fmt.Errorf("check %s: %s", b.Name, firstLine(err))
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
