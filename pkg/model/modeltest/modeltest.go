// Package modeltest holds what every model promises, as a test for kinds from anywhere.
//
//	func TestMaxout(t *testing.T) { modeltest.Run(t, &Maxout{Hidden: 32, Pieces: 2, Latent: 8}) }
//
// It runs in pure Go, and on XLA where its plugin is installed.
//
// What is not here: whether a model computes what its paper says, and whether it learns; that is for its own tests.
package modeltest

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/model"
	"latent/pkg/random"
)

// batch is the number of images that models are applied to.
const batch = 3

// Run holds, for small grey images and for coloured ones whose sides are odd, that
//
//   - each layer has a name, a description and its sizes, and each parameter a name of its own
//   - codes are [batch, latent], images have the shape of those given, and all values are finite
//   - the same gives the same again, and on every backend
//   - each parameter has a gradient in the loss, or is a statistic with a next value
//   - of a model.Decoder, the image of an image's code is its reconstruction; a model.Coded says how large a code is
//   - of a model.Quantiser, the codes of its choices are its codes
//   - fields with the tag strength:"yes" are inputs of the program, so that it serves other values of them
func Run(t *testing.T, m model.Model) {
	t.Helper()
	for _, image := range []model.Image{{Height: 8, Width: 8, Channels: 1}, {Height: 9, Width: 11, Channels: 3}} {
		t.Run(fmt.Sprint(image), func(t *testing.T) {
			checkLayers(t, m, image)
			var seen *outcome
			backendtest.Each(t, func(t *testing.T, b *backend.Backend) {
				found := apply(t, b, m, m, image, b.Name == "go") // XLA takes its time to compile gradients; pkg/train's tests compare them
				found.check(t, m, image)
				if seen != nil && (furthest(found.latent, seen.latent) > 1e-4 || furthest(found.image, seen.image) > 1e-4) {
					t.Error("the backends differ")
				}
				seen = &found
			})
		})
	}
	t.Run("strengths", func(t *testing.T) { checkStrengths(t, m) })
}

func checkLayers(t *testing.T, m model.Model, image model.Image) {
	t.Helper()
	products := 0
	names := map[string]bool{}
	for _, layer := range m.Layers(image) {
		products += layer.Products
		if layer.Name == "" || layer.Description == "" {
			t.Errorf("layer %+v: want Name and Description", layer)
		}
		for _, param := range layer.Params {
			if names[param.Name] || param.Name == "" || param.Size() <= 0 {
				t.Errorf("layer %s: parameter %q, %v: want a name of its own, and values", layer.Name, param.Name, param.Dims)
			}
			names[param.Name] = true
		}
	}
	if products == 0 {
		t.Error("no layer has Products: latent run --dry-run counts them")
	}
}

// outcome is what a model makes of a batch.
type outcome struct {
	latentDims, imageDims []int
	latent, image         []float32
	terms                 []float32            // of the loss, each summed over the batch, and times its weight
	gradients             map[string][]float32 // of the loss, by parameter
	updated               map[string]bool      // statistics with a next value
	generated             []float32            // by a model.Decoder, of the codes
	chosen                []float32            // by a model.Quantiser, of its choices
}

// apply runs a model with its first weights, built with the fields of one model and given the numbers of another; where it
// learns, its loss with the gradients too.
func apply(t *testing.T, b *backend.Backend, built, given model.Model, image model.Image, learns bool) outcome {
	t.Helper()
	params := model.Params(built, image)
	args := []any{tensors.FromFlatDataAndDimensions(random.NewSeed(9).Uniform(batch*image.Size()), batch, image.Height, image.Width, image.Channels)}
	for _, weights := range model.FirstWeights(built, image, random.NewSeed(5)) {
		args = append(args, weights)
	}
	for _, number := range model.Numbers(given) {
		args = append(args, number)
	}
	pass := func(nodes []*Node, training bool) *model.Pass {
		g := nodes[0].Graph()
		p := &model.Pass{Weights: model.Weights{}, Numbers: nodes[1+len(params):], Training: training, Image: image,
			Key: random.KeyFromNode(Const(g, []uint32{3, 4})), Places: Iota(g, shapes.Make(dtypes.Uint32, batch), 0)}
		if model.Conditions(built) > 0 {
			p.Labels = Zeros(g, shapes.Make(dtypes.Uint8, batch))
		}
		for i, param := range params {
			p.Weights[param.Name] = nodes[1+i]
		}
		return p
	}
	found := outcome{gradients: map[string][]float32{}, updated: map[string]bool{}}
	decoder, decodes := built.(model.Decoder)
	quantiser, quantises := built.(model.Quantiser)
	var learned []string
	exec, err := NewExec(b.Compute, func(nodes []*Node) []*Node {
		x := nodes[0]
		out := built.Apply(pass(nodes, false), x)
		results := []*Node{out.Latent, out.Image}
		if decodes {
			results = append(results, model.Generate(decoder, pass(nodes, false), out.Latent, image))
		}
		if quantises {
			results = append(results, quantiser.Chosen(pass(nodes, false), quantiser.Choices(pass(nodes, false), x)))
		}
		if !learns {
			return results
		}
		training := pass(nodes, true)
		_, terms := model.Learn(built, training, model.Loss{Kind: "mse"}, nil, x, x, nil)
		sums := make([]*Node, len(terms))
		for i, term := range terms {
			sums[i] = ReduceAllSum(model.Sum([]model.Term{term}))
		}
		var weights []*Node
		learned = nil
		for i, param := range params {
			if param.Statistic {
				found.updated[param.Name] = training.Updated(param.Name) != nil
			} else {
				learned, weights = append(learned, param.Name), append(weights, nodes[1+i])
			}
		}
		return append(append(results, Stack(sums, 0)), Gradient(ReduceAllSum(model.Sum(terms)), weights...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	var flat [2][][]float32
	for call := range flat {
		outputs, err := exec.Call(args...)
		if err != nil {
			t.Fatal(err)
		}
		for _, output := range outputs {
			flat[call] = append(flat[call], tensors.MustCopyFlatData[float32](output))
		}
		found.latentDims, found.imageDims = outputs[0].Shape().Dimensions, outputs[1].Shape().Dimensions
	}
	if !reflect.DeepEqual(flat[0], flat[1]) {
		t.Error("the same again gives something else: draw from Pass.Draw alone")
	}
	results := flat[0]
	take := func() []float32 {
		first := results[0]
		results = results[1:]
		return first
	}
	found.latent, found.image = take(), take()
	if decodes {
		found.generated = take()
	}
	if quantises {
		found.chosen = take()
	}
	if learns {
		found.terms = take()
	}
	for _, name := range learned {
		found.gradients[name] = take()
	}
	return found
}

// check holds what one outcome tells.
func (o outcome) check(t *testing.T, m model.Model, image model.Image) {
	t.Helper()
	if want := []int{batch, image.Height, image.Width, image.Channels}; !slices.Equal(o.imageDims, want) {
		t.Errorf("images %v, want %v", o.imageDims, want)
	}
	if o.latentDims[0] != batch || len(o.latent) == 0 {
		t.Errorf("codes %v, want [%d, latent]", o.latentDims, batch)
	}
	for what, values := range map[string][]float32{"code": o.latent, "image": o.image, "term of the loss": o.terms} {
		if i := slices.IndexFunc(values, notFinite); i >= 0 {
			t.Errorf("a value of the %s is %g", what, values[i])
		}
	}
	for name, gradient := range o.gradients {
		if i := slices.IndexFunc(gradient, notFinite); i >= 0 {
			t.Errorf("a value of the gradient of %s is %g", name, gradient[i])
		}
		if !slices.ContainsFunc(gradient, func(v float32) bool { return v != 0 }) {
			t.Errorf("the loss does not depend on %s", name)
		}
	}
	for name, updated := range o.updated {
		if !updated {
			t.Errorf("%s is a statistic, and a pass in training does not update it", name)
		}
	}
	if coded, ok := m.(model.Coded); ok && (len(o.latentDims) != 2 || o.latentDims[1] != coded.CodeSize(image)) {
		t.Errorf("codes %v, and CodeSize is %d", o.latentDims, coded.CodeSize(image))
	}
	if o.chosen != nil && furthest(o.chosen, o.latent) > 1e-5 {
		t.Error("the codes of its choices are not its codes")
	}
	if o.generated != nil && furthest(o.generated, o.image) > 1e-5 {
		t.Error("the image of a code is not the reconstruction")
	}
}

// checkStrengths holds for each field that is an input: a program that was built for one value does with another's numbers what
// one built for the other does.
func checkStrengths(t *testing.T, m model.Model) {
	b, err := backend.OpenInstalled("go", backend.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	image := model.Image{Height: 8, Width: 8, Channels: 1}
	for name, moved := range moved(reflect.ValueOf(m).Elem()) {
		moved := moved.Addr().Interface().(model.Model)
		if before, after := model.Numbers(m), model.Numbers(moved); len(before) != len(after) {
			t.Errorf("%s: %d numbers became %d with another value; it cannot have the tag strength", name, len(before), len(after))
			continue
		}
		served, want := apply(t, b, m, moved, image, true), apply(t, b, moved, moved, image, true)
		if furthest(served.terms, want.terms) > 1e-4*float64(1+largest(want.terms)) || furthest(served.image, want.image) > 1e-4 {
			t.Errorf("%s: it has the tag strength, and is read from the field; return it from Numbers, and read it from Pass.Numbers", name)
		}
	}
}

// moved are copies of a struct, each with another value of one field that is an input, by the field's name. A part, in a field of an
// interface type, has such fields of its own.
func moved(of reflect.Value) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for _, f := range reflect.VisibleFields(of.Type()) {
		with := func(change func(field reflect.Value)) reflect.Value {
			other := reflect.New(of.Type()).Elem()
			other.Set(of)
			change(other.FieldByIndex(f.Index))
			return other
		}
		switch value := of.FieldByIndex(f.Index); {
		case f.Tag.Get("strength") != "":
			all[fmt.Sprintf("%v.%s", of.Type(), f.Name)] = with(func(field reflect.Value) { move(field, f.Tag) })
		case f.Type.Kind() == reflect.Interface && !value.IsNil():
			for name, part := range moved(value.Elem().Elem()) {
				all[name] = with(func(field reflect.Value) { field.Set(part.Addr()) })
			}
		}
	}
	return all
}

// move gives a number another value that its tags allow.
func move(value reflect.Value, tag reflect.StructTag) {
	high, err := strconv.ParseFloat(tag.Get("max")+tag.Get("below"), 64)
	if err != nil {
		high = math.Inf(1)
	}
	switch value.Kind() {
	case reflect.Float64:
		if x := value.Float(); x < high {
			value.SetFloat(x + min(1, (high-x)/2))
		} else {
			value.SetFloat(x / 2)
		}
	case reflect.Int, reflect.Int64:
		if x := value.Int(); float64(x) < high {
			value.SetInt(x + 1)
		} else {
			value.SetInt(x - 1)
		}
	}
}

func notFinite(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }

func largest(values []float32) float32 {
	var most float32
	for _, v := range values {
		most = max(most, v, -v)
	}
	return most
}

// furthest is the largest distance between two elements; infinite, where there are not as many of both.
func furthest(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	most := 0.0
	for i := range a {
		most = max(most, math.Abs(float64(a[i]-b[i])))
	}
	return most
}
