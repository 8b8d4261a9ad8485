package command

import (
	"errors"
	"strings"

	"latent/pkg/experiment"
	"latent/pkg/onnx"
)

// exportONNX writes a run's model as ONNX files.
func exportONNX(t *experiment.Trained) (exported, error) {
	described, err := metadata(t)
	if err != nil {
		return exported{}, err
	}
	made, err := onnx.Export(onnx.Source{
		Model: t.Experiment.Model, Image: t.Image, Weights: t.Weights, Version: experiment.Version(), Scale: t.Like().Scale, Metadata: described,
	})
	if kind := (onnx.KindError{}); errors.As(err, &kind) {
		return exported{}, experiment.InputError{Err: t.Experiment.Problem("model.kind", "%s", kind.Reason)}
	}
	if err != nil {
		return exported{}, err
	}
	e := exported{missing: made.Missing}
	for _, file := range made.Files {
		e.files = append(e.files, exportedFile{
			name: file.Name, data: file.Data, about: joined(file.Inputs) + " → " + joined(file.Outputs),
			details: map[string][]onnxValue{"inputs": told(file.Inputs), "outputs": told(file.Outputs)},
		})
	}
	return e, nil
}

// onnxValue is an input or output as --json prints it.
type onnxValue struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Axes []any  `json:"axes"` // sizes, or "batch"
}

func told(values []onnx.Value) []onnxValue {
	var list []onnxValue
	for _, v := range values {
		list = append(list, onnxValue{v.Name, strings.ToLower(v.DType.String()), v.Axes()})
	}
	return list
}

func joined(values []onnx.Value) string {
	var texts []string
	for _, v := range values {
		texts = append(texts, v.String())
	}
	return strings.Join(texts, ", ")
}
