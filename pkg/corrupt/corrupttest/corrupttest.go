// Package corrupttest holds what every corruption promises, as a test for kinds from anywhere.
//
//	func TestScratches(t *testing.T) {
//		corrupttest.Run(t, corrupttest.Case{Chain: corrupt.Chain{&Scratches{Count: 3, Brightness: corrupt.Range{0.5, 1}}}})
//	}
//
// It runs in pure Go, and on XLA where its plugin is installed.
//
// What is not here: what makes a corruption this one, such as how many pixels it changes; that is for its own tests.
package corrupttest

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/corrupt"
	"latent/pkg/random"
)

// Case is what to test.
type Case struct {
	// Chain has the corruption, with fields that show what it does: a range that is one, a share of the pixels between none
	// and all.
	Chain corrupt.Chain
	// DrawsNothing says that it does the same to every image, whatever the key.
	DrawsNothing bool
}

// rounding is how far float32 arithmetic on different backends, or in differently compiled programs, may lie apart.
const rounding = 2e-5

// Run holds that
//
//   - pixels stay in [-1, 1], and the images keep their shape
//   - the key alone decides, and another key decides otherwise
//   - rows are damaged alike, whichever part of the batch is computed: each draw has the batch as its first axis
//   - every backend sees the same, and so does a loop in the graph, as training runs its steps
//   - of a corruption that says it is local, pixels outside of the mask are as they were
//   - fields with the tag strength:"yes" are inputs of the program, so that it serves other values of them
func Run(t *testing.T, c Case) {
	t.Helper()
	t.Run("damage", c.damage)
	t.Run("strengths", c.strengths)
	t.Run("loop", c.inLoop)
}

func (c Case) damage(t *testing.T) {
	dims, chain := []int{6, 20, 25, 3}, c.Chain
	x := noise(dims...)
	size := len(x) / dims[0]
	var seen []float32 // by an earlier backend
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		exec, err := NewExec(b.Compute, func(nodes []*Node) (damaged, mask *Node) {
			x, strengths, key := nodes[2], nodes[3:], random.KeyFromNode(nodes[1]).From(nodes[0])
			damaged = chain.Apply(x, strengths, key)
			damaged.AssertDims(dims...)
			return damaged, chain.Mask(x, strengths, key)
		})
		if err != nil {
			t.Fatal(err)
		}
		// damage returns the images and their mask, as rows from first on of a larger batch.
		damage := func(x []float32, seed int64, first int) (damaged, mask []float32) {
			outputs, err := exec.Call(append([]any{uint32(first)}, inputs(chain, x, random.NewSeed(seed), dims)...)...)
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
		if again, _ := damage(x, 1, 0); !slices.Equal(again, damaged) {
			t.Error("another damage by the same key: draw from the key alone")
		}
		other, _ := damage(x, 2, 0)
		if same := slices.Equal(other, damaged); same != c.DrawsNothing {
			t.Errorf("the same damage by another key: %v; DrawsNothing is %v", same, c.DrawsNothing)
		}

		const first = 2
		part, _ := damage(append(slices.Clone(x[first*size:]), x[:first*size]...), 1, first)
		if distance := furthest(part[:len(x)-first*size], damaged[first*size:]); distance > 1e-6 && !chain.Collective() {
			t.Errorf("as a part of a batch, rows from %d on differ by %g: draw with the batch as first axis", first, distance)
		}
		if seen != nil {
			if distance := furthest(damaged, seen); distance > rounding {
				t.Errorf("the backends differ by %g", distance)
			}
		}
		seen = damaged

		if chain.Local() {
			black, _ := damage(slices.Repeat([]float32{-1}, len(x)), 1, 0)
			white, _ := damage(slices.Repeat([]float32{1}, len(x)), 1, 0)
			checkMask(t, chain, x, damaged, black, white, mask)
		}
	})
}

// checkMask holds that pixels outside the mask stay as they are, and inside, black or white changes, unless a corruption says itself
// where.
func checkMask(t *testing.T, chain corrupt.Chain, x, damaged, black, white, mask []float32) {
	t.Helper()
	channels, inside := len(x)/len(mask), 0
	told := slices.ContainsFunc(chain, func(c corrupt.Corruption) bool { _, ok := c.(corrupt.Masked); return ok })
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
			t.Fatalf("pixel %d is outside the mask, and changed by %g: a corruption with Local decides without looking at the pixels", pixel, change)
		case masked == 1 && !told && most < 1./255-rounding:
			t.Fatalf("pixel %d is inside, and black and white changed by %g", pixel, most)
		}
		inside += int(masked)
	}
	if inside == 0 || inside == len(mask) {
		t.Errorf("%d of %d pixels are inside the mask", inside, len(mask))
	}
}

// strengths holds for each field that is an input: a program that was built for one value does with another's strengths what one
// built for the other does.
func (c Case) strengths(t *testing.T) {
	b, err := backend.OpenInstalled("go", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	dims := []int{4, 20, 25, 1}
	x := noise(dims...)
	run := func(built, given corrupt.Chain) []float32 {
		output, err := ExecOnce(b.Compute, func(nodes []*Node) *Node {
			return built.Apply(nodes[1], nodes[2:], random.KeyFromNode(nodes[0]))
		}, inputs(given, x, random.NewSeed(1), dims)...)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](output)
	}
	for i, corruption := range c.Chain {
		fields := reflect.TypeOf(corruption).Elem()
		for k := range fields.NumField() {
			f := fields.Field(k)
			if f.Tag.Get("strength") == "" {
				continue
			}
			other := reflect.New(fields)
			other.Elem().Set(reflect.ValueOf(corruption).Elem())
			if !move(other.Elem().Field(k), f.Tag) {
				continue
			}
			moved := slices.Clone(c.Chain)
			moved[i] = other.Interface().(corrupt.Corruption)
			name := fmt.Sprintf("%v.%s", fields, f.Name)
			before, after := c.Chain.Strengths(), moved.Strengths()
			switch {
			case len(before) != len(after):
				t.Errorf("%s: %d strengths became %d with another value; it cannot have the tag strength", name, len(before), len(after))
			case slices.Equal(before, after):
				t.Errorf("%s: it has the tag strength, and Strengths does not return it", name)
			case furthest(run(c.Chain, moved), run(moved, moved)) > rounding:
				t.Errorf("%s: it has the tag strength, and Apply reads it from the field; read it from strengths", name)
			}
		}
	}
}

// move gives a field another value that its tags allow, and says whether there is one.
func move(value reflect.Value, tag reflect.StructTag) bool {
	bound := func(name string, absent float64) float64 {
		if x, err := strconv.ParseFloat(tag.Get(name), 64); err == nil {
			return x
		}
		return absent
	}
	low, high := bound("min", bound("above", math.Inf(-1))), bound("max", bound("below", math.Inf(1)))
	another := func(x float64) float64 {
		if x < high {
			return x + min(0.3, (high-x)/2)
		}
		return x - min(0.3, (x-low)/2)
	}
	switch value.Kind() {
	case reflect.Float64:
		value.SetFloat(another(value.Float()))
	case reflect.Int, reflect.Int64:
		if float64(value.Int()) >= high {
			value.SetInt(value.Int() - 1)
		} else {
			value.SetInt(value.Int() + 1)
		}
	case reflect.Array:
		value.Index(0).SetFloat(another(value.Index(0).Float()))
		value.Index(1).SetFloat(max(value.Index(0).Float(), another(value.Index(1).Float())))
	default:
		return false
	}
	return true
}

// inLoop holds that the damage of a loop in the graph is that of its steps one by one.
func (c Case) inLoop(t *testing.T) {
	b, dims, chain := backendtest.XLA(t), []int{3, 12, 9, 1}, c.Chain
	const steps = 3
	x, seed := noise(dims...), random.Seed{0, steps}
	output, err := ExecOnce(b.Compute, loop(chain), inputs(chain, x, seed, dims)...)
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
		damaged, err := exec.Call(inputs(chain, x, seed.Child(step), dims)...)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range tensors.MustCopyFlatData[float32](damaged[0]) {
			want[i] += v
		}
	}
	if distance := furthest(tensors.MustCopyFlatData[float32](output), want); distance > steps*rounding {
		t.Errorf("the sum over steps differs by %g", distance)
	}
}

// Benchmark is the time that a corruption takes of a training step, on XLA and a batch of 128 images of 28×28.
func Benchmark(b *testing.B, chain corrupt.Chain) {
	const steps = 50
	xla := backendtest.XLA(b)
	dims := []int{128, 28, 28, 1}
	inputs := inputs(chain, make([]float32, 128*28*28), random.Seed{0, steps}, dims)
	exec, err := NewExec(xla.Compute, loop(chain))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		output, err := exec.Call(inputs...)
		if err != nil {
			b.Fatal(err)
		}
		tensors.MustCopyFlatData[float32](output[0])
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N*steps), "ms/step")
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

// inputs are seed, x and strengths.
func inputs(chain corrupt.Chain, x []float32, seed random.Seed, dims []int) []any {
	inputs := []any{seed[:], tensors.FromFlatDataAndDimensions(x, dims...)}
	for _, strength := range chain.Strengths() {
		inputs = append(inputs, strength)
	}
	return inputs
}

// noise is random bytes mapped to [-1, 1].
func noise(dims ...int) []float32 {
	size := 1
	for _, dim := range dims {
		size *= dim
	}
	x := make([]float32, size)
	for i := range x {
		x[i] = float32(uint8(random.NewSeed(12).Block(uint32(i), 0)[0]))/127.5 - 1
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
