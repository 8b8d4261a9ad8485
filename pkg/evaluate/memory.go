package evaluate

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"latent/pkg/random"
	"latent/pkg/trace"
)

// block is how many images share a key of an evaluation's draws. It is part of what an evaluation seed means: the corruption of
// image i is row i % block of key i / block.
const block = 500

// sizes are how many images a program may take, the largest first: divisors of block, so that no call reaches into two of them.
var sizes = []int{500, 250, 125, 100, 50, 25, 20, 10, 5, 4, 2, 1}

// drawsOf is the key of the corruption of images from the first-th on, which lie in one block.
func drawsOf(root random.Key, first *Node) random.Key {
	call := DivScalar(first, uint32(block))
	return root.At(call).From(Sub(first, MulScalar(call, uint32(block))))
}

// program is a compiled pass over images.
type program struct {
	exec   *Exec
	images int            // that it takes
	shapes []shapes.Shape // of its inputs
}

// compile compiles a pass over as many images as fit into the spec's memory.
func (e *Evaluator) compile(build func(inputs []*Node) []*Node) (*program, error) {
	n := e.fitting(e.inputShapes, build)
	if e.spec.Corrupt.Collective() {
		n = block // whichever fit: samples get values of others of their block
	}
	return e.compileFor(n, e.inputShapes(n), build)
}

// compileFor compiles a pass over so many images.
func (e *Evaluator) compileFor(images int, list []shapes.Shape, build func(inputs []*Node) []*Node) (*program, error) {
	exec, err := NewExec(e.backend, build)
	if err != nil {
		return nil, err
	}
	_, err = exec.Compile(list...)
	return &program{exec, images, list}, err
}

// enough is how many values the images of a call have at most, where it has several: they are work for all cores, and more leave the
// processor's cache. 100 images of 256×256 take a U-Net 1.7 s in calls of 50, and 1.3 s in calls of 2.
const enough = 1 << 20

// fitting returns how many images a pass takes at once: as many as fit into the spec's memory and are not more than enough, nor more than
// the largest set needs, and one at least. list are the shapes of the inputs for so many images.
func (e *Evaluator) fitting(list func(images int) []shapes.Shape, build func(inputs []*Node) []*Node) int {
	few := slices.IndexFunc(sizes, func(n int) bool { return n == 1 || n*e.image.Size() <= enough })
	for few+1 < len(sizes) && sizes[few+1] >= e.spec.Images && e.spec.Images > 0 {
		few++
	}
	return trace.Fitting(e.spec.Memory, sizes[few:], list, build)
}

// Memory tells how many images Measure takes at once, and estimates the bytes that this needs beside the weights; 0 of a model that
// cannot be recorded.
func (e *Evaluator) Memory() (images int, bytes int64) {
	traced, err := trace.Record(e.main.shapes, e.build)
	if err != nil {
		return e.main.images, 0
	}
	return e.main.images, traced.Peak()
}
