package corrupt_test

import (
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/random"
)

// Of pictures whose pixels all differ, one pixel of each square becomes another of its neighbourhood, evenly all of them, near the border
// too; the others stay, and the mask tells which.
func TestBlindSpot(t *testing.T) {
	const images, height, width, spacing, radius = 4000, 7, 9, 4, 2
	c := corrupt.BlindSpot{Spacing: spacing, Radius: radius}
	x := make([]float32, images*height*width)
	for i := range x {
		x[i] = float32(i % (height * width)) // the pixel's place
	}
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		outputs, err := ExecOnceN(b.Compute, func(nodes []*Node) []*Node {
			key := random.KeyFromNode(nodes[1])
			return []*Node{c.Apply(nodes[0], nil, key), corrupt.Chain{&c}.HeldOut().Apply(nodes[0], nil, key), c.Mask(nodes[0], nil, key)}
		}, tensors.FromFlatDataAndDimensions(x, images, height, width, 1), []uint32{1, 2})
		if err != nil {
			t.Fatal(err)
		}
		damaged, held, mask := tensors.MustCopyFlatData[float32](outputs[0]), tensors.MustCopyFlatData[float32](outputs[1]), tensors.MustCopyFlatData[float32](outputs[2])
		spots, corner := make([]int, height*width), map[int]int{}
		for i, was := range x {
			if held[i] != was {
				t.Fatal("held-out images have blind spots")
			}
			if changed := damaged[i] != was; changed != (mask[i] == 1) {
				t.Fatalf("pixel %d was %v, is %v, and its mask %v", i, was, damaged[i], mask[i])
			} else if !changed {
				continue
			}
			place, from := i%(height*width), int(damaged[i])
			spots[place]++
			if dy, dx := from/width-place/width, from%width-place%width; max(dy, -dy, dx, -dx) > radius {
				t.Fatalf("pixel %d comes from %d", place, from)
			}
			if place == 0 {
				corner[from]++
			}
		}
		for _, count := range spots {
			binomial(t, "spots at a place", count, images, 1./(spacing*spacing))
		}
		if len(corner) != 8 { // of 3 × 3
			t.Errorf("the corner comes from %v", corner)
		}
		for _, count := range corner {
			binomial(t, "choices of a corner", count, spots[0], 1./8)
		}
	})
}
