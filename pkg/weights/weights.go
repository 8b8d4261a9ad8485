// Package weights writes named float32 arrays to the files of other tools, and reads them: NumPy's .npz, safetensors, and, to read alone,
// PyTorch's.
//
//	err := weights.WriteNPZ(file, tensors)
//	err = weights.WriteSafetensors(file, tensors, map[string]string{"run": "2026-11-24T10-15-30-7f3a"})
//	tensors, metadata, err := weights.ReadSafetensors(file, size)
//
// Promised: equal tensors give equal bytes; what a file says of itself is checked against its size before memory is taken, and
// a file that was cut off or changed is an error.
//
// What is not here: what the arrays mean (pkg/model), and checkpoints (pkg/rundir).
package weights

import (
	"cmp"
	"fmt"
	"slices"
)

// Tensor is a named array, row by row.
type Tensor struct {
	Name   string
	Dims   []int
	Values []float32
}

// size is the number of values that the shape has room for.
func (t Tensor) size() int {
	size := 1
	for _, dim := range t.Dims {
		size *= dim
	}
	return size
}

// check refuses what no reader could tell apart or would find too short.
func check(tensors []Tensor) error {
	names := map[string]bool{}
	for _, t := range tensors {
		switch {
		case t.Name == "":
			return fmt.Errorf("a tensor of shape %v has no name", t.Dims)
		case names[t.Name]:
			return fmt.Errorf("two tensors are named %q", t.Name)
		case len(t.Values) != t.size():
			return fmt.Errorf("tensor %q of shape %v has %d values", t.Name, t.Dims, len(t.Values))
		}
		names[t.Name] = true
	}
	return nil
}

// byName returns the tensors in the order of their names.
func byName(tensors []Tensor) []Tensor {
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Tensor) int { return cmp.Compare(a.Name, b.Name) })
	return sorted
}
