package dataset

// Factors are what generated samples were made of: of each, one of so many values.
type Factors struct {
	Names []string
	// Sizes are the numbers of values.
	Sizes []int
	// Values are those of each sample, one after another: [samples, factors], each below its size.
	Values []uint8
}

// Len is the number of samples.
func (f *Factors) Len() int { return len(f.Values) / len(f.Names) }

// At is the value of a factor of a sample.
func (f *Factors) At(sample, factor int) int { return int(f.Values[sample*len(f.Names)+factor]) }
