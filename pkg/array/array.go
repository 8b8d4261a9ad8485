// Package array holds numbers of one type, in memory or in a mapped file.
//
//	v := array.Values{Uint16: []uint16{0, 65535}}
//	fmt.Println(v.Type(), v.Len(), v.At(1))
//
// What is not here: what the numbers mean (pkg/dataset, pkg/scale), and files of them (pkg/table).
package array

import (
	"cmp"
	"math"
	"slices"
	"unsafe"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Values are numbers of one type, in memory or in a mapped file: one of the fields, the others are nil. The zero value is an empty
// list of any type.
type Values struct {
	Uint8   []uint8
	Uint16  []uint16
	Float32 []float32
}

// Make returns n zeros of a type: uint8, uint16 or float32.
func Make(dtype dtypes.DType, n int) Values {
	switch dtype {
	case dtypes.Uint16:
		return Values{Uint16: make([]uint16, n)}
	case dtypes.Float32:
		return Values{Float32: make([]float32, n)}
	}
	return Values{Uint8: make([]uint8, n)}
}

// Type is the type of the numbers.
func (v Values) Type() dtypes.DType {
	switch {
	case v.Uint16 != nil:
		return dtypes.Uint16
	case v.Float32 != nil:
		return dtypes.Float32
	}
	return dtypes.Uint8
}

// Len is how many there are.
func (v Values) Len() int { return len(v.Uint8) + len(v.Uint16) + len(v.Float32) }

// Slice are the numbers of places from … to−1: a part, not a copy.
func (v Values) Slice(from, to int) Values {
	return Values{Uint8: part(v.Uint8, from, to), Uint16: part(v.Uint16, from, to), Float32: part(v.Float32, from, to)}
}

func part[T any](list []T, from, to int) []T {
	if list == nil {
		return nil
	}
	return list[from:to:to]
}

// Append returns v with the numbers of w, of the same type, behind its own.
func (v Values) Append(w Values) Values {
	return Values{Uint8: append(v.Uint8, w.Uint8...), Uint16: append(v.Uint16, w.Uint16...), Float32: append(v.Float32, w.Float32...)}
}

// Grow returns v with room for n more numbers of a type, which is its own where it has some, without a copy when they are appended.
func (v Values) Grow(dtype dtypes.DType, n int) Values {
	switch dtype {
	case dtypes.Uint16:
		v.Uint16 = slices.Grow(v.Uint16, n)
	case dtypes.Float32:
		v.Float32 = slices.Grow(v.Float32, n)
	default:
		v.Uint8 = slices.Grow(v.Uint8, n)
	}
	return v
}

// Copy puts the numbers of w, of the same type, in the places from at on, as many as there is room for.
func (v Values) Copy(at int, w Values) {
	copy(part(v.Uint8, at, len(v.Uint8)), w.Uint8)
	copy(part(v.Uint16, at, len(v.Uint16)), w.Uint16)
	copy(part(v.Float32, at, len(v.Float32)), w.Float32)
}

// As returns the numbers as those of another type: bytes as 16 bits of the same part of the range, and the reverse, rounded; v
// itself where the type is the same.
func (v Values) As(dtype dtypes.DType) Values {
	if v.Type() == dtype {
		return v
	}
	w := Make(dtype, v.Len())
	for i := range v.Len() {
		switch x := v.At(i); {
		case dtype == dtypes.Float32:
			w.Float32[i] = float32(x)
		case dtype == dtypes.Uint16 && v.Uint8 != nil:
			w.Uint16[i] = uint16(v.Uint8[i]) * 257
		case dtype == dtypes.Uint8 && v.Uint16 != nil:
			w.Uint8[i] = uint8((uint32(v.Uint16[i]) + 128) / 257)
		default:
			w.Set(i, x)
		}
	}
	return w
}

// At is number i.
func (v Values) At(i int) float64 {
	switch {
	case v.Uint16 != nil:
		return float64(v.Uint16[i])
	case v.Float32 != nil:
		return float64(v.Float32[i])
	}
	return float64(v.Uint8[i])
}

// Set makes x number i, rounded to the nearest that the type has.
func (v Values) Set(i int, x float64) {
	switch {
	case v.Uint16 != nil:
		v.Uint16[i] = uint16(min(max(math.Round(x), 0), math.MaxUint16))
	case v.Float32 != nil:
		v.Float32[i] = float32(x)
	default:
		v.Uint8[i] = uint8(min(max(math.Round(x), 0), math.MaxUint8))
	}
}

// AddTo adds the numbers to sums, as many of them.
func (v Values) AddTo(sums []float64) {
	for i, x := range v.Uint8 {
		sums[i] += float64(x)
	}
	for i, x := range v.Uint16 {
		sums[i] += float64(x)
	}
	for i, x := range v.Float32 {
		sums[i] += float64(x)
	}
}

// Compare orders lists of one type by their numbers.
func (v Values) Compare(w Values) int {
	return cmp.Or(slices.Compare(v.Uint8, w.Uint8), slices.Compare(v.Uint16, w.Uint16), slices.Compare(v.Float32, w.Float32))
}

// Bytes are the numbers as they lie in memory, little-endian on all machines that Latent runs on: not a copy.
func (v Values) Bytes() []byte {
	switch {
	case v.Uint16 != nil:
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v.Uint16))), 2*len(v.Uint16))
	case v.Float32 != nil:
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v.Float32))), 4*len(v.Float32))
	}
	return v.Uint8
}

// Tensor returns a copy of the numbers as a tensor of these sizes.
func (v Values) Tensor(dims ...int) *tensors.Tensor {
	switch {
	case v.Uint16 != nil:
		return tensors.FromFlatDataAndDimensions(v.Uint16, dims...)
	case v.Float32 != nil:
		return tensors.FromFlatDataAndDimensions(v.Float32, dims...)
	}
	return tensors.FromFlatDataAndDimensions(v.Uint8, dims...)
}
