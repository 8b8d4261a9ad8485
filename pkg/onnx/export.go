// Package onnx writes trained models as ONNX files.
//
//	exported, err := onnx.Export(onnx.Source{Model: m, Image: image, Weights: weights, Version: "v1.0.0"})
//	for _, file := range exported.Files {
//		err := os.WriteFile(file.Name, file.Data, 0o644)
//	}
//
// A model's graph functions are called as for training and evaluation, on a backend that computes nothing and keeps what is
// asked for (pkg/trace); so there is one definition of each model, and an operation that a new kind needs is one more case in
// ops.go.
//
// Promised: the number of images is free in every file; the files hold what the outputs need and nothing else; the same source
// gives the same bytes.
//
// What is not here: training in ONNX, draws of random numbers, and what draws codes (the samplers of pkg/experiment).
package onnx

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/scale"
	"latent/pkg/trace"
)

// Source is a trained model.
type Source struct {
	Model   model.Model
	Image   model.Image
	Weights []*tensors.Tensor // in the order of [model.Params]
	// Version is that of Latent.
	Version string
	// Scale is how pixels in files become those of the model, which a file's metadata say under the key "pixels".
	Scale scale.Scale
	// Metadata are more keys and values for each file.
	Metadata [][2]string
}

// Exported are a model's files.
type Exported struct {
	Files []File
	// Missing says what of the model is not in the files, and why.
	Missing []string
}

// File is an ONNX file.
type File struct {
	Name            string
	Inputs, Outputs []Value
	Data            []byte
}

// KindError says why nothing of a kind of model can be exported.
type KindError struct{ Reason string }

// Error returns the reason.
func (e KindError) Error() string { return e.Reason }

// part is what a file computes. It is a function of images or codes, and of labels where the model is given any.
type part struct {
	name, input string
	outputs     []string
	build       func(p *model.Pass, x *Node) []*Node
}

// Names of files, inputs and outputs.
const (
	encoderFile, decoderFile, modelFile = "encoder", "decoder", "model"

	imageName, codeName, labelName, reconstructionName = "image", "code", "label", "reconstruction"
)

// parts lists what can be exported of a model, and says what cannot.
func parts(m model.Model, image model.Image) (list []part, missing []string, err error) {
	coded, hasCode := m.(model.Coded)
	_, flows := m.(model.Field)
	if flows && !hasCode {
		return nil, nil, KindError{"this kind of model can only generate, with a sampler that an ONNX file does not contain; use `latent generate` to draw images"}
	}
	if flows {
		missing = append(missing, "the flow that draws codes, which needs many steps; `latent generate` runs it")
	}
	if hasCode {
		list = append(list, encoder(m), part{decoderFile, codeName, []string{imageName}, func(p *model.Pass, z *Node) []*Node {
			return []*Node{model.Generate(coded, p, z, image)}
		}})
	} else {
		missing = append(missing, "encoder.onnx and decoder.onnx: this kind of model has no code to decode an image from")
	}
	return append(list, part{modelFile, imageName, []string{reconstructionName}, func(p *model.Pass, x *Node) []*Node {
		return []*Node{m.Apply(p, x).Image}
	}}), missing, nil
}

// encoder gives the code, and what else a kind of model knows of it.
func encoder(m model.Model) part {
	e := part{encoderFile, imageName, []string{codeName}, func(p *model.Pass, x *Node) []*Node { return []*Node{m.Apply(p, x).Latent} }}
	if variational, ok := m.(model.Variational); ok && !variational.PosteriorNormal() {
		return e
	}
	switch m := m.(type) {
	case model.Variational:
		e.outputs = append(e.outputs, "log_variance")
		e.build = func(p *model.Pass, x *Node) []*Node {
			mean, logVariance := m.Posterior(p, x)
			return []*Node{mean, logVariance}
		}
	case model.Quantiser:
		e.outputs = append(e.outputs, "entries")
		e.build = func(p *model.Pass, x *Node) []*Node { return []*Node{m.Apply(p, x).Latent, m.Choices(p, x)} }
	}
	return e
}

// Export returns the files of a model. Of a kind that none can be made of, it returns a [KindError].
func Export(s Source) (Exported, error) {
	list, missing, err := parts(s.Model, s.Image)
	if err != nil {
		return Exported{}, err
	}
	if params := model.Params(s.Model, s.Image); len(s.Weights) != len(params) {
		return Exported{}, fmt.Errorf("export a model: got %[2]d weights for %[1]d parameters", len(params), len(s.Weights))
	}
	exported := Exported{Missing: missing}
	for _, p := range list {
		file, err := s.file(p)
		if err != nil {
			return Exported{}, fmt.Errorf("export %s.onnx: %w", p.name, err)
		}
		exported.Files = append(exported.Files, file)
	}
	return exported, nil
}

// shapes are those of a part's inputs for so many images: the images or codes; labels; the parameters.
func (s Source) shapes(p part, images int) []shapes.Shape {
	x := shapes.Make(dtypes.Float32, images, s.Image.Height, s.Image.Width, s.Image.Channels)
	if p.input == codeName {
		x = shapes.Make(dtypes.Float32, images, s.Model.(model.Coded).CodeSize(s.Image))
	}
	list := []shapes.Shape{x}
	if model.Conditions(s.Model) > 0 {
		list = append(list, shapes.Make(dtypes.Int64, images))
	}
	for _, param := range model.Params(s.Model, s.Image) {
		list = append(list, shapes.Make(dtypes.Float32, param.Dims...))
	}
	return list
}

// build makes a part's graph on inputs of these shapes.
func (s Source) build(p part, inputs []*Node) []*Node {
	g, x, rest := inputs[0].Graph(), inputs[0], inputs[1:]
	pass := &model.Pass{Weights: model.Weights{}, Key: random.KeyFromNode(Const(g, []uint32{0, 0}))}
	if model.Conditions(s.Model) > 0 {
		pass.Labels, rest = rest[0], rest[1:]
	}
	for i, param := range model.Params(s.Model, s.Image) {
		pass.Weights[param.Name] = rest[i]
	}
	for _, number := range model.Numbers(s.Model) {
		pass.Numbers = append(pass.Numbers, Const(g, number))
	}
	return p.build(pass, x)
}

// largest is the size in bytes that a file stays below: protobuf's limit.
const largest = math.MaxInt32

// file writes a part.
func (s Source) file(p part) (File, error) {
	inputs := s.shapes(p, batch)
	traced, err := trace.Record(inputs, func(inputs []*Node) []*Node { return s.build(p, inputs) })
	if err != nil {
		return File{}, err
	}
	names := []string{p.input}
	if model.Conditions(s.Model) > 0 {
		names = append(names, labelName)
	}
	free := len(names)
	for _, param := range model.Params(s.Model, s.Image) {
		names = append(names, param.Name)
	}
	w := &writer{known: map[string]string{}, sizeOf: p.input}
	outputs, err := w.write(traced, names)
	if err != nil {
		return File{}, err
	}

	file := File{Name: p.name + ".onnx"}
	for i, name := range names[:free] {
		file.Inputs = append(file.Inputs, valueOf(name, inputs[i]))
	}
	for i, name := range p.outputs {
		w.nodes = append(w.nodes, nodeProto{op: "Identity", inputs: []string{outputs[i].name}, output: name})
		file.Outputs = append(file.Outputs, valueOf(name, traced.Outputs[i].Shape))
	}
	graph := graphProto{name: p.name, nodes: w.nodes, initializers: w.initializers, inputs: file.Inputs, outputs: file.Outputs}
	size := 0
	for i, weights := range s.Weights {
		name := names[free+i]
		if !w.uses(name) {
			continue
		}
		values, err := tensors.CopyFlatData[float32](weights)
		if err != nil {
			return File{}, err
		}
		raw, err := littleEndian(values)
		if err != nil {
			return File{}, err
		}
		graph.initializers = append(graph.initializers, tensorProto{name: name, dtype: dtypes.Float32, dims: weights.Shape().Dimensions, raw: raw})
		size += len(raw)
	}
	if size > largest {
		return File{}, fmt.Errorf("%d bytes of weights, and a file of this format can hold at most %d", size, largest)
	}
	file.Data = modelProto{producerVersion: s.Version, graph: graph, metadata: append([][2]string{{"pixels", s.Scale.String()}}, s.Metadata...)}.encode()
	return file, nil
}

// valueOf describes an input or output.
func valueOf(name string, shape shapes.Shape) Value {
	v := Value{Name: name, DType: shape.DType, Dims: append([]int{}, shape.Dimensions...)}
	if v.Dims[0] == batch {
		v.Dims[0] = 0
	}
	return v
}
