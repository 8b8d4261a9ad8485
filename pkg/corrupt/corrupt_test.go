package corrupt_test

import (
	"math"
	"reflect"
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

// damage applies a chain to images of one grey value.
func damage(t *testing.T, b *backend.Backend, chain corrupt.Chain, grey float32, seed int64, dims ...int) []float32 {
	t.Helper()
	x := slices.Repeat([]float32{grey}, shapes.Make(dtypes.Float32, dims...).Size())
	return apply(t, b, chain, x, random.NewSeed(seed), dims...)
}

// apply damages x, of the shape dims.
func apply(t *testing.T, b *backend.Backend, chain corrupt.Chain, x []float32, seed random.Seed, dims ...int) []float32 {
	t.Helper()
	return compute(t, b, chain.Apply, chain, x, seed, dims...)
}

// compute runs a function of a chain, on x of the shape dims, and returns what it gives.
func compute(t *testing.T, b *backend.Backend, f func(*Node, []*Node, random.Key) *Node, chain corrupt.Chain, x []float32,
	seed random.Seed, dims ...int) []float32 {
	t.Helper()
	output, err := ExecOnce(b.Compute, func(nodes []*Node) *Node {
		return f(nodes[1], nodes[2:], random.KeyFromNode(nodes[0]))
	}, inputsOf(chain, x, seed, dims...)...)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](output)
}

// inputsOf are seed, x and strengths.
func inputsOf(chain corrupt.Chain, x []float32, seed random.Seed, dims ...int) []any {
	inputs := []any{seed[:], tensors.FromFlatDataAndDimensions(x, dims...)}
	for _, strength := range chain.Strengths() {
		inputs = append(inputs, strength)
	}
	return inputs
}

// moments are the mean and the standard deviation.
func moments(x []float32) (mean, deviation float64) {
	for _, v := range x {
		mean += float64(v) / float64(len(x))
	}
	for _, v := range x {
		deviation += (float64(v) - mean) * (float64(v) - mean) / float64(len(x))
	}
	return mean, math.Sqrt(deviation)
}

func within(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s is %.4f, want %.4f ± %.4f", what, got, want, tolerance)
	}
}

// 160,000 pixels: the standard errors of mean and deviation are 0.3/400 and 0.3/566. The bounds are five of them.
func TestGaussian(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		dims := []int{100, 40, 40, 1}
		free := damage(t, b, corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.3)}}, 0.9, 1, dims...)
		mean, deviation := moments(free)
		within(t, "mean", mean, 0.9, 5*0.3/400)
		within(t, "standard deviation", deviation, 0.3, 5*0.3/566)

		clipped := damage(t, b, corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.3), Clip: true}}, 0.9, 1, dims...)
		for i := range clipped {
			// Compiled for each program anew, x + factor · ε may round differently in the last bit.
			if want := min(max(free[i], -1), 1); math.Abs(float64(clipped[i]-want)) > 1e-6 {
				t.Fatalf("pixel %d is %v clipped, want %v", i, clipped[i], want)
			}
		}
		for _, v := range damage(t, b, corrupt.Chain{&corrupt.Gaussian{Clip: true}}, 0.9, 1, 1, 4, 4, 3) {
			if v != 0.9 {
				t.Fatalf("noise of factor 0 made %v of 0.9", v)
			}
		}
		if other := damage(t, b, corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.3)}}, 0.9, 2, dims...); slices.Equal(other, free) {
			t.Error("two seeds gave the same noise")
		}
	})
}

// The links of a chain draw independently: two noises of 0.3 and 0.4 add up to one of 0.5, not of 0.7.
func TestChain(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
		chain := corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.3)}, &corrupt.None{}, &corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.4)}}
		if got, want := chain.Strengths(), []float32{0.3, 0.3, 0.4, 0.4}; !slices.Equal(got, want) {
			t.Errorf("strengths are %v, want %v", got, want)
		}
		_, deviation := moments(damage(t, b, chain, 0, 1, 100, 40, 40, 1))
		within(t, "standard deviation of both", deviation, 0.5, 5*0.5/566)
	})
}

func TestChainDescribesItself(t *testing.T) {
	gaussian := &corrupt.Gaussian{NoiseFactor: corrupt.Fixed(0.5)}
	for _, c := range []struct {
		chain    corrupt.Chain
		caption  string
		identity bool
	}{
		{nil, "none", true},
		{corrupt.Chain{&corrupt.None{}}, "none", true},
		{corrupt.Chain{gaussian}, "gaussian 0.5", false},
		{corrupt.Chain{&corrupt.None{}, gaussian}, "none, gaussian 0.5", false},
	} {
		if got := c.chain.Caption(); got != c.caption {
			t.Errorf("caption is %q, want %q", got, c.caption)
		}
		if got := c.chain.Identity(); got != c.identity {
			t.Errorf("%q: identity is %v, want %v", c.caption, got, c.identity)
		}
	}
}

// Every field of every kind is either a strength, and then an input of the program, or part of the structure that a program
// is compiled for: another value changes exactly one of the two.
func TestStructure(t *testing.T) {
	for name, make := range corrupt.Kinds {
		fields := reflect.TypeOf(make()).Elem().NumField()
		for i := range fields {
			plain, changed := make(), make()
			field := reflect.ValueOf(changed).Elem().Field(i)
			switch field.Kind() {
			case reflect.Float64:
				field.SetFloat(field.Float() + 0.25)
			case reflect.Array:
				field.Index(1).SetFloat(field.Index(1).Float() + 0.25)
			case reflect.Int:
				field.SetInt(field.Int() + 1)
			case reflect.String:
				field.SetString(field.String() + "x")
			case reflect.Slice:
				field.Set(reflect.Append(field, reflect.ValueOf("x")))
			case reflect.Bool:
				field.SetBool(!field.Bool())
			default:
				t.Fatalf("%s: this test does not know how to change a %v", name, field.Kind())
			}
			a, b := corrupt.Chain{plain}, corrupt.Chain{changed}
			strengths, structure := !slices.Equal(a.Strengths(), b.Strengths()), a.Structure() != b.Structure()
			if strengths == structure {
				t.Errorf("%s: another %s changes the strengths: %v, the structure: %v; want one of them",
					name, reflect.TypeOf(plain).Elem().Field(i).Name, strengths, structure)
			}
		}
	}
}
