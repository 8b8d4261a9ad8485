package table

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/gomlx/compute/dtypes"

	"latent/pkg/array"
)

// batchBytes is about how much is given to the caller at once.
const batchBytes = 1 << 20

// batch gathers rows and gives them to the caller.
type batch struct {
	ctx     context.Context
	file    *File
	do      func(Rows) error
	stopped error // what the caller or the context ended it with
	outside bool  // in the caller's function

	values  array.Values // of limit rows
	labels  []string
	size    int // numbers in a row
	limit   int
	n       int // rows in values
	rows    int // rows given before
	rounded int
}

func newBatch(ctx context.Context, f *File, do func(Rows) error) *batch {
	size, _ := product(f.dims...)
	return &batch{ctx: ctx, file: f, do: do, size: size, limit: max(1, batchBytes/(size*f.dtype.Size()))}
}

// room is for how many rows there is room, with memory for them; rest is how many come.
func (b *batch) room(rest int) int {
	want := min(b.limit, b.n+rest)
	if have := b.values.Len() / b.size; have < want {
		grown := array.Make(b.file.dtype, max(want, min(b.limit, 2*have))*b.size)
		grown.Copy(0, b.values.Slice(0, b.n*b.size))
		b.values = grown
	}
	return want - b.n
}

// add says that n rows, within room, were filled, with labels where the file has such.
func (b *batch) add(n int) error {
	b.n += n
	if b.n == b.limit {
		return b.flush()
	}
	return nil
}

// flush gives the rows to the caller.
func (b *batch) flush() error {
	if b.stopped = b.ctx.Err(); b.stopped != nil || b.n == 0 {
		return b.stopped
	}
	rows := Rows{Values: b.values.Slice(0, b.n*b.size)}
	if b.file.options.Label != "" {
		rows.Labels = b.labels[:b.n:b.n]
	}
	b.outside = true
	b.stopped = b.do(rows)
	b.outside = false
	b.rows, b.n, b.labels = b.rows+b.n, 0, b.labels[:0]
	return b.stopped
}

// place names row i of the batch, from 1, and a feature.
func (b *batch) place(i, feature int) string {
	if feature < 0 {
		return fmt.Sprintf("row %d, label", b.rows+b.n+i+1)
	}
	if b.file.names != nil {
		return fmt.Sprintf("row %d, column %s", b.rows+b.n+i+1, shown([]byte(b.file.names[feature])))
	}
	if len(b.file.dims) > 1 {
		at, rest := make([]int, len(b.file.dims)), feature
		for axis := len(at) - 1; axis >= 0; axis-- {
			at[axis], rest = rest%b.file.dims[axis], rest/b.file.dims[axis]
		}
		return fmt.Sprintf("row %d, value %v", b.rows+b.n+i+1, at)
	}
	return fmt.Sprintf("row %d, value %d", b.rows+b.n+i+1, feature+1)
}

// refuse is an error at row i of those being added.
func (b *batch) refuse(i, feature int, problem string) error {
	return fmt.Errorf("read %s: %s: %s", b.file.path, b.place(i, feature), problem)
}

// number is any type that a file's numbers have.
type number interface {
	~uint8 | ~int8 | ~uint16 | ~int16 | ~uint32 | ~int32 | ~uint64 | ~int64 | ~float32 | ~float64
}

// put makes list the numbers of a feature in the next rows, or, with step 1 and feature 0, of rows one after another. missing says
// which of them are null; nil, none.
func put[T number](b *batch, list []T, feature, step int, missing func(i int) bool) error {
	at := b.n*b.size + feature
	switch {
	case b.values.Uint8 != nil:
		for i, v := range list {
			if missing != nil && missing(i) {
				return b.missing(feature+i*step, nil)
			}
			b.values.Uint8[at+i*step] = uint8(v)
		}
	case b.values.Uint16 != nil:
		for i, v := range list {
			if missing != nil && missing(i) {
				return b.missing(feature+i*step, nil)
			}
			b.values.Uint16[at+i*step] = uint16(v)
		}
	default:
		out, rounds := b.values.Float32[at:], whole[T]()
		for i, v := range list {
			if missing != nil && missing(i) || v != v {
				if err := b.missing(feature+i*step, &out[i*step]); err != nil {
					return err
				}
				continue
			}
			x := float32(v)
			if math.IsInf(float64(x), 0) {
				problem := fmt.Sprintf("%v is beyond the range of float32", v)
				if math.IsInf(float64(v), 0) {
					problem = "infinite"
				}
				return b.refuse((feature+i*step)/b.size, (feature+i*step)%b.size, problem+"; numbers must be finite")
			}
			out[i*step] = x
			if rounds && !holds(v, x) {
				b.rounded++
			}
		}
	}
	return nil
}

// whole says whether a type is of whole numbers.
func whole[T number]() bool {
	half := 0.5
	return T(half) == 0
}

// holds says whether x is v exactly.
func holds[T number](v T, x float32) bool {
	if v > 1<<6 { // of any T
		return uint64(v) == exact(x)
	}
	return v >= 0 || uint64(-int64(v)) == exact(-x)
}

// exact is a whole float32 that is not negative; 0 where no uint64 holds it.
func exact(x float32) uint64 {
	if x >= 1<<64 {
		return 0
	}
	return uint64(x)
}

// missing puts NaN in a place, or says that the value there, counted from the first of the rows being added, is missing.
func (b *batch) missing(place int, to *float32) error {
	if !b.file.options.Missing {
		column := ""
		if b.file.names != nil {
			column = b.file.names[place%b.size]
		}
		return b.refuse(place/b.size, place%b.size, "the value is missing; "+b.file.cure(column, true))
	}
	if to == nil {
		return b.refuse(place/b.size, place%b.size, "a value is missing in a column that allows no missing values; the file is damaged")
	}
	*to = float32(math.NaN())
	return nil
}

// labelOf is the label that a number is: whole numbers without a point.
func labelOf[T number](v T) string {
	if whole[T]() {
		if v < 0 {
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatUint(uint64(v), 10)
	}
	bits := 64
	if _, narrow := any(v).(float32); narrow {
		bits = 32
	}
	return strconv.FormatFloat(float64(v), 'g', -1, bits)
}

// kind is the type of a file's numbers.
type kind int

const (
	kindOther kind = iota
	kindBool
	kindUint8
	kindUint16
	kindNumber // any other
)

// typeOf is the narrowest type that Latent has for features of these kinds; nulls says that NaN may come.
func typeOf(kinds []kind, nulls bool) dtypes.DType {
	widest := kindBool
	for _, k := range kinds {
		widest = max(widest, k)
	}
	switch {
	case nulls || widest == kindNumber:
		return dtypes.Float32
	case widest == kindUint16:
		return dtypes.Uint16
	}
	return dtypes.Uint8
}

// memoryError says that a file wants more memory than its size allows.
type memoryError struct{ wanted int64 }

func (e memoryError) Error() string {
	return fmt.Sprintf("it needs %d MiB of memory, too much for a file of its size; it is damaged, or must be written with smaller pages or batches",
		e.wanted>>20)
}
