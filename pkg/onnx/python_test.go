package onnx

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend/backendtest"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/pythontest"
	"latent/pkg/random"
)

// tolerance is how far onnxruntime may be from Latent.
const tolerance = 1e-5

// images is how many the outputs are compared of.
const images = 1000

// onnx.checker accepts the files of every kind of model, and onnxruntime makes of 1, 7 and 1,000 images what Latent makes of them
// on XLA.
func TestRuntime(t *testing.T) {
	python := pythontest.Interpreter(t, "testdata/requirements.txt")
	xla := backendtest.XLA(t)
	root := t.TempDir()
	var folders []string
	for _, c := range cases() {
		folder := filepath.Join(root, strings.ReplaceAll(c.name, " ", "-"))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		folders = append(folders, folder)
		s := c.source()
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
			inputs := s.inputs(t, list[i])
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

// inputs are generated images with their labels, or drawn codes.
func (s Source) inputs(t *testing.T, p part) []*tensors.Tensor {
	t.Helper()
	list := s.shapes(p, images)
	values := random.NewSeed(3).Normal(list[0].Size(), 1)
	if p.input == imageName {
		// Of images of other sizes than the glyphs', the pixels are those of some glyphs in a row.
		pixels := glyphs(t)
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
	return split.Test.Pixels
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
