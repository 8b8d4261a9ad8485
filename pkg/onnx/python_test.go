package onnx

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/backend/backendtest"
	"latent/pkg/config"
	"latent/pkg/dataset"
	"latent/pkg/experiment"
	"latent/pkg/model"
	"latent/pkg/pythontest"
	"latent/pkg/random"
)

// tolerance is how far onnxruntime may be from Latent, of values up to 1; of larger ones, such as codes may be, it is that part.
const tolerance = 1e-5

// images is how many the outputs are compared of.
const images = 1000

// onnx.checker accepts the files of every kind of model, and onnxruntime makes of 1, 7 and 1,000 images what Latent makes of them
// on XLA.
func TestRuntime(t *testing.T) {
	python := pythontest.Interpreter(t, "testdata/requirements.txt")
	xla := backendtest.XLA(t)
	var checks []check
	for _, c := range cases() {
		checks = append(checks, check{c.name, c.source(), glyphs(t)})
	}
	compare(t, python, xla, checks)
}

// The same of models that were trained for some steps by the configs of MNIST, for 1,000 of its test images.
func TestTrained(t *testing.T) {
	python := pythontest.Interpreter(t, "testdata/requirements.txt")
	xla := backendtest.XLA(t)
	if os.Getenv("LATENT_DATA_DIR") == "" {
		t.Skip("SKIPPED: MNIST's files are not there; set LATENT_DATA_DIR")
	}
	seen := map[reflect.Type]bool{}
	var checks []check
	for _, name := range []string{"denoise", "denoise-conv", "denoise-unet", "denoise-dncnn", "vae", "cvae", "ae", "rae", "vqvae", "fsq", "wae", "aae", "flow", "sae"} {
		file := "../../configs/mnist/" + name + ".yaml"
		e, err := config.Load(file, "backend="+xla.Name, "data.limit=2000", "data.validation=100", "train.max_steps=30", "output.dir="+t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		seen[reflect.TypeOf(e.Model)] = true
		run, err := experiment.Run(t.Context(), e, experiment.Options{Brief: true, Untested: true})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		trained, err := experiment.Read(run.Path, nil, experiment.Options{})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		split, err := e.Data.Load(t.Context(), dataset.Options{})
		if err != nil {
			t.Fatal(err)
		}
		checks = append(checks, check{e.Name, Source{Model: e.Model, Image: trained.Image, Weights: trained.Weights}, split.Test.Values.Uint8})
	}
	for kind, make := range model.Kinds {
		if _, err := Export(modelCase{kind, make(), model.Image{Height: 28, Width: 28, Channels: 1}}.source()); err == nil && !seen[reflect.TypeOf(make())] {
			t.Errorf("no trained %s is exported here", kind)
		}
	}
	compare(t, python, xla, checks)
}

// check is a model to be compared, for images of these pixels.
type check struct {
	name   string
	source Source
	pixels []uint8
}

// compare exports models, and has onnxruntime do what they do.
func compare(t *testing.T, python string, xla *backend.Backend, checks []check) {
	root := t.TempDir()
	var folders []string
	for _, c := range checks {
		folder := filepath.Join(root, strings.ReplaceAll(c.name, " ", "-"))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		folders = append(folders, folder)
		c.write(t, xla, folder)
	}
	output, err := exec.Command(python, append([]string{"testdata/check.py"}, folders...)...).Output()
	if err != nil {
		if exit, is := err.(*exec.ExitError); is {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	for line := range strings.Lines(string(output)) {
		var name, file string
		var images int
		var deviation, largest float64
		if _, err := fmt.Sscan(line, &name, &file, &images, &deviation, &largest); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		t.Logf("%s, %s of %d: %.2g, and the largest value is %.2g", name, file, images, deviation, largest)
		if !(deviation <= tolerance) {
			t.Errorf("%s, %s of %d images: onnxruntime is %g off, want at most %g", name, file, images, deviation, tolerance)
		}
	}
}

// write exports the model into a folder, with inputs and what Latent makes of them.
func (c check) write(t *testing.T, xla *backend.Backend, folder string) {
	t.Helper()
	s := c.source
	exported, err := Export(s)
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	list, _, err := parts(s.Model, s.Image)
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range exported.Files {
		if err := os.WriteFile(filepath.Join(folder, file.Name), file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		inputs := s.inputs(list[i], c.pixels)
		build := func(inputs []*Node) []*Node {
			outputs := s.build(list[i], inputs)
			for i := range outputs {
				outputs[i] = Identity(outputs[i])
			}
			return outputs
		}
		var args []any
		for _, input := range append(inputs, s.Weights...) {
			args = append(args, input)
		}
		outputs, err := CallOnceN(xla.Compute, build, args...)
		if err != nil {
			t.Fatalf("%s, %s: %v", c.name, file.Name, err)
		}
		save(t, folder, strings.TrimSuffix(file.Name, ".onnx"), file, inputs, outputs)
	}
}

// inputs are images of these pixels with their labels, or drawn codes.
func (s Source) inputs(p part, pixels []uint8) []*tensors.Tensor {
	list := s.shapes(p, images)
	values := random.NewSeed(3).Normal(list[0].Size(), 1)
	if p.input == imageName {
		// Of images of other sizes than the glyphs', the pixels are those of some glyphs in a row.
		for i := range values {
			values[i] = float32(pixels[i%len(pixels)])/127.5 - 1
		}
	}
	inputs := []*tensors.Tensor{tensors.FromFlatDataAndDimensions(values, list[0].Dimensions...)}
	if classes := model.Conditions(s.Model); classes > 0 {
		labels := make([]int64, images)
		for i := range labels {
			labels[i] = int64(i % classes)
		}
		inputs = append(inputs, tensors.FromFlatDataAndDimensions(labels, images))
	}
	return inputs
}

// glyphs returns the pixels of some.
func glyphs(t *testing.T) []uint8 {
	t.Helper()
	g := dataset.Kinds["glyphs"]().(*dataset.Glyphs)
	g.Train, g.Test, g.Validation = 1, images, 0
	split, err := g.Load(t.Context(), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return split.Test.Values.Uint8
}

// save writes the inputs and outputs of a file as check.py reads them.
func save(t *testing.T, folder, name string, file File, inputs, outputs []*tensors.Tensor) {
	t.Helper()
	type array struct {
		Name  string `json:"name"`
		File  string `json:"file"`
		DType string `json:"dtype"`
		Shape []int  `json:"shape"`
	}
	var told struct {
		Images  []int   `json:"images"`
		Inputs  []array `json:"inputs"`
		Outputs []array `json:"outputs"`
	}
	told.Images = []int{1, 7, images}
	list := func(kind string, values []Value, all []*tensors.Tensor) []array {
		var arrays []array
		for i, value := range values {
			var raw []byte
			var err error
			all[i].MustConstFlatData(func(flat any) { raw, err = littleEndian(flat) })
			if err != nil {
				t.Fatal(err)
			}
			a := array{value.Name, fmt.Sprintf("%s.%s.%s", name, kind, value.Name), numpy[value.DType], all[i].Shape().Dimensions}
			if err := os.WriteFile(filepath.Join(folder, a.File), raw, 0o644); err != nil {
				t.Fatal(err)
			}
			arrays = append(arrays, a)
		}
		return arrays
	}
	told.Inputs, told.Outputs = list("in", file.Inputs, inputs), list("out", file.Outputs, outputs)
	text, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// numpy are its names of types.
var numpy = map[dtypes.DType]string{dtypes.Float32: "float32", dtypes.Int32: "int32", dtypes.Int64: "int64"}
