package weights_test

import (
	"bytes"
	"fmt"

	"github.com/janpfeifer/must"

	"latent/pkg/weights"
)

// Arrays by name go to PyTorch and back as safetensors; WriteNPZ writes them for NumPy.
func Example() {
	var file bytes.Buffer
	must.M(weights.WriteSafetensors(&file, []weights.Tensor{
		{Name: "encoder.weight", Dims: []int{2, 2}, Values: []float32{1, 2, 3, 4}},
		{Name: "encoder.bias", Dims: []int{2}, Values: []float32{0.5, -0.5}},
	}, map[string]string{"run": "first"}))

	tensors, metadata, err := weights.ReadSafetensors(&file, int64(file.Len()))
	must.M(err)
	for _, tensor := range tensors {
		fmt.Println(tensor.Name, tensor.Dims, tensor.Values)
	}
	fmt.Println(metadata)
	// Output:
	// encoder.bias [2] [0.5 -0.5]
	// encoder.weight [2 2] [1 2 3 4]
	// map[run:first]
}
