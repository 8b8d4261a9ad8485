package main

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/model"
	"latent/pkg/random"
)

// Files of an export, float32 in little-endian byte order.
const (
	weightsFile = "weights.f32" // each layer's [in, out] and [out]
	cleanFile   = "clean.f32"   // [images, pixels]
	noisyFile   = "noisy.f32"   // the same
)

// export writes what a denoiser needs: the weights after an epoch, and the test images, clean and with noise.
func (w *worker) export(ctx context.Context, r request) (answer, error) {
	group, a, err := w.train(ctx, r)
	if err != nil {
		return answer{}, err
	}
	var weights []float32
	for _, tensor := range group.Runs[0].Weights() {
		values, err := tensors.CopyFlatData[float32](tensor)
		if err != nil {
			return answer{}, err
		}
		weights = append(weights, values...)
	}
	clean := make([]float32, w.split.Test.Values.Len())
	noisy := random.NewSeed(r.Seed).Normal(len(clean), noiseFactor)
	for i, pixel := range w.split.Test.Values.Uint8 {
		clean[i] = float32(pixel)/127.5 - 1
		noisy[i] = min(max(clean[i]+noisy[i], -1), 1)
	}
	for name, values := range map[string][]float32{weightsFile: weights, cleanFile: clean, noisyFile: noisy} {
		data, err := binary.Append(nil, binary.LittleEndian, values)
		if err != nil {
			return answer{}, err
		}
		if err := os.WriteFile(filepath.Join(r.Folder, name), data, 0o600); err != nil {
			return answer{}, err
		}
	}
	return a, nil
}

// readFloats reads a file of an export.
func readFloats(folder, name string) ([]float32, error) {
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	values := make([]float32, len(data)/4)
	_, err = binary.Decode(data, binary.LittleEndian, values)
	return values, err
}

// denoise reconstructs the first of the exported images, a batch at a time, from host memory to host memory.
func (w *worker) denoise(_ context.Context, r request) (answer, error) {
	weights, err := readFloats(r.Folder, weightsFile)
	if err != nil {
		return answer{}, err
	}
	clean, err := readFloats(r.Folder, cleanFile)
	if err != nil {
		return answer{}, err
	}
	noisy, err := readFloats(r.Folder, noisyFile)
	if err != nil {
		return answer{}, err
	}
	test := w.split.Test
	clean, noisy = clean[:r.Images*test.Size()], noisy[:r.Images*test.Size()]
	image := model.Image{Height: test.Height, Width: test.Width, Channels: test.Channels}
	m := spec(r, 0).Model
	params := model.Params(m, image)
	exec, err := NewExec(w.backend.Compute, func(inputs []*Node) *Node {
		named := model.Weights{}
		for i, param := range params {
			named[param.Name] = inputs[1+i]
		}
		return m.Apply(&model.Pass{Weights: named}, inputs[0]).Image
	})
	if err != nil {
		return answer{}, err
	}
	args := []any{nil}
	for _, param := range params {
		args = append(args, tensors.FromFlatDataAndDimensions(weights[:param.Size()], param.Dims...))
		weights = weights[param.Size():]
	}
	restored := make([]float32, len(noisy))
	pass := func() error {
		for first := 0; first < len(noisy); first += r.Batch * image.Size() {
			end := min(first+r.Batch*image.Size(), len(noisy))
			args[0] = tensors.FromFlatDataAndDimensions(noisy[first:end], (end-first)/image.Size(), image.Height, image.Width, image.Channels)
			outputs, err := exec.Call(args...)
			if err != nil {
				return err
			}
			if err := tensors.ConstFlatData(outputs[0], func(flat []float32) { copy(restored[first:end], flat) }); err != nil {
				return err
			}
		}
		return nil
	}
	a, err := timed(r.Passes, pass)
	for i := range clean {
		a.Loss += float64(restored[i]-clean[i]) * float64(restored[i]-clean[i]) / float64(len(clean))
	}
	return a, err
}
