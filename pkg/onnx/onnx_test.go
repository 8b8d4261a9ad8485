package onnx

import (
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/model"
	"latent/pkg/random"
)

// modelCase is a model in small.
type modelCase struct {
	name   string
	model  model.Model
	colour bool
}

// cases are all kinds of models that can be exported, with all that their configs can ask for.
func cases() []modelCase {
	list := []modelCase{}
	add := func(name, kind string, change func(m model.Model)) {
		m := model.Kinds[kind]()
		change(m)
		list = append(list, modelCase{name: name, model: m})
	}
	add("dense", "dense", func(m model.Model) {})
	return list
}

// source has weights as they are drawn for a first step of training.
func (c modelCase) source() Source {
	s := Source{Model: c.model, Image: model.Image{Height: 28, Width: 28, Channels: 1}, Version: "test"}
	if c.colour {
		s.Image.Channels = 3
	}
	for i, param := range model.Params(s.Model, s.Image) {
		values := param.Init.Values(random.NewSeed(7).Child(i), param.Size())
		s.Weights = append(s.Weights, tensors.FromFlatDataAndDimensions(values, param.Dims...))
	}
	return s
}
