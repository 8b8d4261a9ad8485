package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/random"
	"latent/pkg/train"
)

// workerCommand makes this program Latent's contestant: bench worker DATA.
const workerCommand = "worker"

// worker is Latent as a contestant, used as a library. It is the only part of this program that touches Latent's packages
// for training.
type worker struct {
	ctx     context.Context
	backend *backend.Backend
	split   *dataset.Split

	program  *train.Program
	compiled request // that program was compiled for, but for the seed
}

// work answers requests from in until it ends.
func work(ctx context.Context, data string, in io.Reader, out io.Writer) error {
	w := &worker{ctx: ctx}
	var err error
	if w.backend, err = backend.Open(ctx, "xla:cpu", backend.Options{Log: os.Stderr}); err != nil {
		return err
	}
	defer w.backend.Close()
	source := dataset.Kinds["mnist"]().(*dataset.IDX)
	source.Dir, source.Validation = data, 0
	if w.split, err = source.Load(ctx, dataset.Options{}); err != nil {
		return err
	}
	tasks := map[string]func(request) (answer, error){
		"epoch": w.epoch, "export": w.export, "denoise": w.denoise, "product": w.product,
	}
	encoder := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		a, err := tasks[r.Task](r)
		if err != nil {
			return err
		}
		if err := encoder.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

// spec is the seed's experiment, with what the request changes of it.
func spec(r request, seed int64) train.Spec {
	wide := func(sizes []int) []int {
		scaled := make([]int, len(sizes))
		for i, size := range sizes {
			scaled[i] = int(float64(size) * r.Width)
		}
		return scaled
	}
	dense := model.Kinds["dense"]().(*model.Dense)
	dense.Encoder, dense.Decoder = wide(dense.Encoder), wide(dense.Decoder)
	options := train.Defaults()
	options.BatchSize, options.Epochs = r.Batch, 1
	return train.Spec{
		Model: dense, Corrupt: corrupt.Chain{&corrupt.Gaussian{NoiseFactor: noiseFactor, Clip: true}},
		Options: options, Seed: seed,
	}
}

// noiseFactor is the seed's.
const noiseFactor = 0.3

// train runs one epoch of r.Runs fresh runs together.
func (w *worker) train(r request) (*train.Group, answer, error) {
	var specs []train.Spec
	for i := range r.Runs {
		specs = append(specs, spec(r, r.Seed+int64(i)))
	}
	key := r
	key.Task, key.Seed = "", 0
	if w.program == nil || w.compiled != key {
		images := *w.split.Train
		images.Pixels = images.Pixels[:r.Images*images.Size()]
		program, err := train.Compile(w.backend.Compute, w.backend.Loops, specs[0], &images, r.Runs)
		if err != nil {
			return nil, answer{}, err
		}
		w.program, w.compiled = program, key
	}
	group, err := w.program.Start(specs...)
	if err != nil {
		return nil, answer{}, err
	}
	runtime.GC() // of the runs before

	start := time.Now()
	var last []train.Window
	for windows, err := range group.Windows(w.ctx) {
		if err != nil {
			return nil, answer{}, err
		}
		last = windows
	}
	a := answer{Seconds: time.Since(start).Seconds()}
	for _, window := range last {
		a.Loss += window.EpochLoss / float64(r.Runs)
	}
	return group, a, nil
}

func (w *worker) epoch(r request) (answer, error) {
	_, a, err := w.train(r)
	return a, err
}

// Files of an export, float32 in little-endian byte order.
const (
	weightsFile = "weights.f32" // each layer's [in, out] and [out]
	cleanFile   = "clean.f32"   // [images, pixels]
	noisyFile   = "noisy.f32"   // the same
)

// export writes what a denoiser needs: the weights after an epoch, and the test images, clean and with noise.
func (w *worker) export(r request) (answer, error) {
	group, a, err := w.train(r)
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
	clean := make([]float32, len(w.split.Test.Pixels))
	noisy := random.NewSeed(r.Seed).Normal(len(clean), noiseFactor)
	for i, pixel := range w.split.Test.Pixels {
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

// denoiseBatch is how many images are denoised in a call.
const denoiseBatch = 1000

// denoise reconstructs the exported images, denoiseBatch at a time, from host memory to host memory.
func (w *worker) denoise(r request) (answer, error) {
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
	image := model.Image{Height: test.Height, Width: test.Width, Channels: test.Channels}
	dense := model.Kinds["dense"]()
	params := model.Params(dense, image)
	exec, err := NewExec(w.backend.Compute, func(inputs []*Node) *Node {
		named := model.Weights{}
		for i, param := range params {
			named[param.Name] = inputs[1+i]
		}
		return dense.Apply(named, inputs[0]).Image
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
		for first := 0; first < len(noisy); first += denoiseBatch * image.Size() {
			end := first + denoiseBatch*image.Size()
			args[0] = tensors.FromFlatDataAndDimensions(noisy[first:end], denoiseBatch, image.Height, image.Width, image.Channels)
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
	a, err := timed(10, pass)
	for i := range clean {
		a.Loss += float64(restored[i]-clean[i]) * float64(restored[i]-clean[i]) / float64(len(clean))
	}
	return a, err
}

// timed returns the mean time of so many passes, after one that warms up.
func timed(passes int, pass func() error) (answer, error) {
	if err := pass(); err != nil {
		return answer{}, err
	}
	start := time.Now()
	for range passes {
		if err := pass(); err != nil {
			return answer{}, err
		}
	}
	return answer{Seconds: time.Since(start).Seconds() / float64(passes)}, nil
}

// product multiplies two matrices on the device.
func (w *worker) product(r request) (answer, error) {
	shape := shapes.Make(dtypes.Float32, r.Size, r.Size)
	exec, err := NewExec(w.backend.Compute, func(a, b *Node) *Node {
		return ReduceAllMax(MatMul(a, b)) // a number, to wait for without copying the product
	})
	if err != nil {
		return answer{}, fmt.Errorf("build a product: %w", err)
	}
	ones := make([]float32, shape.Size())
	for i := range ones {
		ones[i] = 1
	}
	a := tensors.FromFlatDataAndDimensions(ones, r.Size, r.Size)
	b := tensors.FromFlatDataAndDimensions(ones, r.Size, r.Size)
	return timed(3, func() error {
		outputs, err := exec.Call(a, b)
		if err == nil && tensors.ToScalar[float32](outputs[0]) != float32(r.Size) {
			err = fmt.Errorf("product: got %v, want %d", outputs[0], r.Size)
		}
		return err
	})
}
