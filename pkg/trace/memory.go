package trace

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"latent/pkg/host"
)

// Peak estimates the most memory that the operations need at once beside the inputs, in bytes: of the values that are still
// needed, if the operations run in their order and each value is freed when its last reader is done.
//
// Values that only repeat, reshape or convert others, and those that count, take none: compilers make them where they are read.
// What else a compiler fuses is not known, so that a program needs less than this more often than more. For U-Nets on a CPU, XLA
// needed three quarters to nine tenths of it, by how the peak of `latent run` (/usr/bin/time -v) grew with train.batch_size.
func (t *Trace) Peak() int64 {
	uses := map[*Op]int{}
	for _, op := range t.Ops {
		for _, input := range op.Inputs {
			uses[input]++
		}
	}
	for _, output := range t.Outputs {
		uses[output]++ // never freed
	}
	live, peak := int64(0), int64(0)
	var release func(op *Op)
	release = func(op *Op) {
		if uses[op]--; uses[op] > 0 || op.Type == compute.OpTypeParameter {
			return
		}
		if op.isView() {
			for _, input := range op.Inputs {
				release(input)
			}
			return
		}
		live -= int64(op.Shape.ByteSize())
	}
	for _, op := range t.Ops {
		if op.Type == compute.OpTypeParameter || op.isView() {
			continue
		}
		live += int64(op.Shape.ByteSize())
		peak = max(peak, live)
		for _, input := range op.Inputs {
			release(input)
		}
	}
	return peak
}

// isView says whether a value takes no memory of its own: it lives on what it is made of, which is read in its place.
func (op *Op) isView() bool {
	switch op.Type {
	case compute.OpTypeReshape, compute.OpTypeBroadcastInDim, compute.OpTypeConvertDType, compute.OpTypeBitcast, compute.OpTypeIota, compute.OpTypeSchedulingBarrier:
		return true
	}
	return false
}

// Fitting returns the first of these numbers of samples with which a graph function needs at most so many bytes by [Trace.Peak], the
// last where none does; memory 0 is [DefaultMemory]. numbers fall; inputs are the shapes of the function's inputs for a number.
//
// Of a function that cannot be recorded nothing is known, and it is given the first number.
func Fitting(memory int64, numbers []int, inputs func(n int) []shapes.Shape, build func(inputs []*graph.Node) []*graph.Node) int {
	if memory == 0 {
		memory = DefaultMemory()
	}
	for _, n := range numbers {
		if t, err := Record(inputs(n), build); err != nil || t.Peak() <= memory {
			return n
		}
	}
	return numbers[len(numbers)-1]
}

// DefaultMemory is a thirty-second of the memory that this process may use, at most 512 MiB, which is also its value where the
// system does not tell. More makes no pass faster: a call then has work for all cores long before.
func DefaultMemory() int64 {
	const most = 512 << 20
	if total := host.Available(); total > 0 {
		return min(total/32, most)
	}
	return most
}
