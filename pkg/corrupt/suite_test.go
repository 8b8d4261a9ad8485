package corrupt_test

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/random"
)

// suite holds every kind with its defaults, and what differs in the graph.
func suite() map[string]corrupt.Chain {
	chains := map[string]corrupt.Chain{
		"patches":  {&corrupt.Masking{Probability: corrupt.Range{0.3, 0.8}, Patch: 7, Value: 0.5}},
		"nearest":  {&corrupt.Downscale{Factor: 3, Upscale: "nearest"}},
		"tiled":    {tiled},
		"picture":  {picture},
		"repeated": {&corrupt.Erase{Count: 3, Side: corrupt.Range{0.1, 0.4}}, &corrupt.Blur{Sigma: corrupt.Range{0, 2}}, &corrupt.None{}},
	}
	for name, make := range corrupt.Kinds {
		chains[name] = corrupt.Chain{make()}
	}
	return chains
}

// drawNothing are chains of the suite that no key changes.
var drawNothing = []string{"none", "blur", "downscale", "nearest", "quantise"}

// rounding is how far float32 arithmetic on different backends, or in differently compiled programs, may lie apart.
const rounding = 2e-5

// TestSuite holds what is promised of every corruption, on every backend.
func TestSuite(t *testing.T) {
	dims := []int{6, 20, 25, 3}
	x := noise(dims...)
	size := len(x) / dims[0]
	seen := map[string][]float32{} // by an earlier backend
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		for name, chain := range suite() {
			t.Run(name, func(t *testing.T) {
				exec, err := NewExec(b.Compute, func(nodes []*Node) (damaged, mask *Node) {
					x, strengths, key := nodes[2], nodes[3:], random.KeyFromNode(nodes[1]).From(nodes[0])
					return chain.Apply(x, strengths, key), chain.Mask(x, strengths, key)
				})
				if err != nil {
					t.Fatal(err)
				}
				// damage returns the images and their mask, as rows from first on of a larger batch.
				damage := func(x []float32, seed int64, first int) (damaged, mask []float32) {
					outputs, err := exec.Call(append([]any{uint32(first)}, inputsOf(chain, x, random.NewSeed(seed), dims...)...)...)
					if err != nil {
						t.Fatal(err)
					}
					return tensors.MustCopyFlatData[float32](outputs[0]), tensors.MustCopyFlatData[float32](outputs[1])
				}

				damaged, mask := damage(x, 1, 0)
				for i, v := range damaged {
					if !(v >= -1-1e-6 && v <= 1+1e-6) {
						t.Fatalf("pixel %d became %v", i, v)
					}
				}
				if same := slices.Equal(damaged, x); same != chain.Identity() {
					t.Errorf("the images are as they were: %v; the chain says so: %v", same, chain.Identity())
				}

				// The key alone decides.
				if again, _ := damage(x, 1, 0); !slices.Equal(again, damaged) {
					t.Error("another damage by the same key")
				}
				other, _ := damage(x, 2, 0)
				if same := slices.Equal(other, damaged); same != slices.Contains(drawNothing, name) {
					t.Errorf("the same damage by another key: %v", same)
				}

				// Rows are damaged alike, whichever part of the batch is computed.
				const first = 2
				part, _ := damage(append(slices.Clone(x[first*size:]), x[:first*size]...), 1, first)
				if distance := furthest(part[:len(x)-first*size], damaged[first*size:]); distance > 1e-6 {
					t.Errorf("rows from %d on differ by %g", first, distance)
				}

				// Every backend sees the same.
				if want, ok := seen[name]; ok {
					if distance := furthest(damaged, want); distance > rounding {
						t.Errorf("the backends differ by %g", distance)
					}
				}
				seen[name] = damaged

				if chain.Local() {
					black, _ := damage(slices.Repeat([]float32{-1}, len(x)), 1, 0)
					white, _ := damage(slices.Repeat([]float32{1}, len(x)), 1, 0)
					checkMask(t, x, damaged, black, white, mask)
				}
			})
		}
	})
}

// checkMask holds that pixels outside the mask stay as they are, and inside, black or white changes.
func checkMask(t *testing.T, x, damaged, black, white, mask []float32) {
	t.Helper()
	channels, inside := len(x)/len(mask), 0
	for pixel, masked := range mask {
		change, most := 0.0, 0.0
		for i := pixel * channels; i < (pixel+1)*channels; i++ {
			change = max(change, math.Abs(float64(damaged[i]-x[i])))
			most = max(most, float64(black[i]+1), float64(1-white[i]))
		}
		switch {
		case masked != 0 && masked != 1:
			t.Fatalf("pixel %d of the mask is %v", pixel, masked)
		case masked == 0 && change > 1./255:
			t.Fatalf("pixel %d is outside, and changed by %g", pixel, change)
		case masked == 1 && most < 1./255-rounding:
			t.Fatalf("pixel %d is inside, and black and white changed by %g", pixel, most)
		}
		inside += int(masked)
	}
	if inside == 0 || inside == len(mask) {
		t.Errorf("%d of %d pixels are inside the mask", inside, len(mask))
	}
}

// In a loop in the graph, as training runs its steps, the damage is that of the steps one by one.
func TestInLoop(t *testing.T) {
	b, dims := backendtest.XLA(t), []int{3, 12, 9, 1}
	const steps = 3
	x, seed := noise(dims...), random.Seed{0, steps}
	for name, chain := range suite() {
		t.Run(name, func(t *testing.T) {
			output, err := ExecOnce(b.Compute, loop(chain), inputsOf(chain, x, seed, dims...)...)
			if err != nil {
				t.Fatal(err)
			}
			exec, err := NewExec(b.Compute, func(nodes []*Node) *Node {
				return chain.Apply(nodes[1], nodes[2:], random.KeyFromNode(nodes[0]))
			})
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(x)
			for step := range steps {
				damaged, err := exec.Call(inputsOf(chain, x, seed.Child(step), dims...)...)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range tensors.MustCopyFlatData[float32](damaged[0]) {
					want[i] += v
				}
			}
			if distance := furthest(tensors.MustCopyFlatData[float32](output), want); distance > steps*rounding {
				t.Errorf("the sum differs by %g", distance)
			}
		})
	}
}

// noise is random bytes mapped to [-1, 1].
func noise(dims ...int) []float32 {
	pixels := make([]uint8, shapes.Make(dtypes.Float32, dims...).Size())
	for i := range pixels {
		pixels[i] = uint8(random.NewSeed(12).Block(uint32(i), 0)[0])
	}
	return asFloats(pixels)
}

// asFloats maps bytes to [-1, 1].
func asFloats(pixels []uint8) []float32 {
	x := make([]float32, len(pixels))
	for i, v := range pixels {
		x[i] = float32(v)/127.5 - 1
	}
	return x
}

// furthest is the largest distance between two elements.
func furthest(a, b []float32) float64 {
	most := 0.0
	for i := range a {
		most = max(most, math.Abs(float64(a[i]-b[i])))
	}
	return most
}

func TestLocal(t *testing.T) {
	local := []string{"salt-and-pepper", "masking", "erase", "watermark"}
	for name, make := range corrupt.Kinds {
		if got, want := (corrupt.Chain{make()}).Local(), slices.Contains(local, name); got != want {
			t.Errorf("%s: local is %v", name, got)
		}
	}
	for _, c := range []struct {
		chain corrupt.Chain
		want  bool
	}{
		{nil, false},
		{corrupt.Chain{&corrupt.None{}}, false},
		{corrupt.Chain{&corrupt.None{}, &corrupt.Masking{}}, true},
		{corrupt.Chain{&corrupt.Masking{}, &corrupt.Erase{}}, true},
		{corrupt.Chain{&corrupt.Masking{}, &corrupt.Blur{}}, false},
	} {
		if got := c.chain.Local(); got != c.want {
			t.Errorf("%s: local is %v", c.chain.Caption(), got)
		}
	}
}

// loop returns the sum of x and of what so many steps of a loop in the graph make of it, each with the key of its number, for
// a seed of {0, steps}: no constant may be made outside the loop's body, see train.Program.build.
func loop(chain corrupt.Chain) func(nodes []*Node) *Node {
	return func(nodes []*Node) *Node { // seed, x, strengths
		word := func(seed *Node, i int) *Node { return ConvertDType(Reshape(Slice(seed, AxisElem(i))), dtypes.Int32) }
		g := nodes[0].Graph()
		start := append([]*Node{word(nodes[0], 0), nodes[1]}, nodes...) // the loop's state: the step, the sum, the inputs
		parameters := func(g *Graph) (step, sum *Node, inputs []*Node) {
			inside := make([]*Node, len(start))
			for i, node := range start {
				inside[i] = Parameter(g, "", node.Shape())
			}
			return inside[0], inside[1], inside[2:]
		}
		more := NewClosure(g, func(g *Graph) []*Node {
			step, _, inputs := parameters(g)
			return []*Node{LessThan(step, word(inputs[0], 1))}
		})
		body := NewClosure(g, func(g *Graph) []*Node {
			step, sum, inputs := parameters(g)
			key := random.KeyFromNode(inputs[0]).At(ConvertDType(step, dtypes.Uint32))
			sum = Add(sum, chain.Apply(inputs[1], inputs[2:], key))
			return append([]*Node{AddScalar(step, 1), sum}, inputs...)
		})
		return While(more, body, start...)[1]
	}
}
