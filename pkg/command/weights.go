package command

import (
	"bytes"
	"fmt"
	"io"

	"latent/pkg/experiment"
	"latent/pkg/message"
	"latent/pkg/weights"
)

// exportNPZ writes a run's weights for NumPy.
func exportNPZ(t *experiment.Trained) (exported, error) {
	return exportWeights(t, "weights.npz", weights.WriteNPZ)
}

// exportSafetensors writes a run's weights as safetensors.
func exportSafetensors(t *experiment.Trained) (exported, error) {
	described, err := metadata(t)
	if err != nil {
		return exported{}, err
	}
	about := map[string]string{"pixels": t.Like().Scale.String()}
	for _, pair := range described {
		about[pair[0]] = pair[1]
	}
	return exportWeights(t, "weights.safetensors", func(w io.Writer, tensors []weights.Tensor) error {
		return weights.WriteSafetensors(w, tensors, about)
	})
}

func exportWeights(t *experiment.Trained, name string, write func(io.Writer, []weights.Tensor) error) (exported, error) {
	tensors, err := t.Tensors()
	if err != nil {
		return exported{}, err
	}
	var data bytes.Buffer
	if err := write(&data, tensors); err != nil {
		return exported{}, err
	}
	type shape struct {
		Name string `json:"name"`
		Axes []int  `json:"axes"`
	}
	var shapes []shape
	values := 0
	for _, tensor := range tensors {
		shapes = append(shapes, shape{tensor.Name, tensor.Dims})
		values += len(tensor.Values)
	}
	about := fmt.Sprintf("%s, %s", message.Count(len(tensors), "tensor"), message.Count(values, "value"))
	return exported{files: []exportedFile{{name: name, data: data.Bytes(), about: about, details: map[string][]shape{"tensors": shapes}}}}, nil
}
