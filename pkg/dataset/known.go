package dataset

// Known is the dictionary that generated samples are sums of, and which features each test sample has.
type Known struct {
	// Features are the dictionary's rows, one after another, of unit length and in the data's units: [features, Size].
	Features []float32
	// Size is the number of values of a row.
	Size int
	// Fires says which features each test sample has.
	Fires Flags
}

// Len is the number of features.
func (k *Known) Len() int { return len(k.Features) / k.Size }

// At is feature i: a part of Features, not a copy.
func (k *Known) At(i int) []float32 { return k.Features[i*k.Size : (i+1)*k.Size : (i+1)*k.Size] }

// Flags are yes or no for pairs of a row and a column.
type Flags struct {
	columns int
	words   []uint64 // of one row after another
}

// NewFlags returns flags that are all no.
func NewFlags(rows, columns int) Flags {
	return Flags{columns, make([]uint64, rows*((columns+63)/64))}
}

// Set makes one yes.
func (f Flags) Set(row, column int) { f.row(row)[column/64] |= 1 << (column % 64) }

// Has returns one.
func (f Flags) Has(row, column int) bool { return f.row(row)[column/64]>>(column%64)&1 == 1 }

// row are the words of a row.
func (f Flags) row(i int) []uint64 {
	n := (f.columns + 63) / 64
	return f.words[i*n : (i+1)*n]
}
