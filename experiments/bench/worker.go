package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"latent/pkg/backend"
	"latent/pkg/corrupt"
	"latent/pkg/dataset"
	"latent/pkg/model"
	"latent/pkg/train"
)

// workerCommand makes this program Latent's contestant: bench worker DATA BACKEND [tf32].
const workerCommand = "worker"

// worker is Latent as a contestant, used as a library. It is the only part of this program that touches Latent's packages
// for training.
type worker struct {
	backend *backend.Backend
	split   *dataset.Split

	opening  time.Duration
	programs map[request]*train.Program // by what was asked for, without what a program takes as an input
}

// work answers requests from in until it ends.
func work(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	data, choice := args[0], args[1]
	w := &worker{programs: map[request]*train.Program{}}
	begin := time.Now()
	var err error
	w.backend, err = backend.Open(ctx, choice, backend.Options{Log: os.Stderr, TF32: slices.Contains(args[2:], tf32s)})
	if err != nil {
		return err
	}
	defer w.backend.Close()
	w.opening = time.Since(begin)
	source := dataset.Kinds["mnist"]().(*dataset.IDX)
	source.Dir, source.Validation = data, 0
	if w.split, err = source.Load(ctx, dataset.Options{}); err != nil {
		return err
	}
	tasks := map[string]func(context.Context, request) (answer, error){
		"epoch": w.epoch, "export": w.export, "denoise": w.denoise, "product": w.product, "about": w.about,
	}
	encoder := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		task, ok := tasks[r.Task]
		if !ok {
			return fmt.Errorf("%s: no task %q", workerCommand, r.Task)
		}
		a, err := task(ctx, r)
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
			scaled[i] = int(float64(size) * cmp.Or(r.Width, 1))
		}
		return scaled
	}
	dense := model.Kinds["dense"]().(*model.Dense)
	dense.Encoder, dense.Decoder = wide(dense.Encoder), wide(dense.Decoder)
	var m model.Model = dense
	switch unet := model.Kinds["unet"]().(*model.UNet); r.Model {
	case modelUNet:
		m = unet
	case modelPlain:
		m = &plainUNet{*unet}
	case modelResidual:
		unet.Residual, unet.Output = true, "linear"
		m = unet
	}
	options := train.Defaults()
	options.BatchSize, options.Epochs = r.Batch, 1
	options.LearningRate = cmp.Or(r.Rate, options.LearningRate)
	options.Precision, options.Group = cmp.Or(r.Precision, options.Precision), cmp.Or(r.Group, options.Group)
	return train.Spec{
		Model: m, Corrupt: corrupt.Chain{&corrupt.Gaussian{NoiseFactor: corrupt.Fixed(noiseFactor), Clip: true}},
		Options: options, Seed: seed,
	}
}

// noiseFactor is the seed's.
const noiseFactor = 0.3

// train runs one epoch of r.Runs fresh runs together.
func (w *worker) train(ctx context.Context, r request) (*train.Group, answer, error) {
	var specs []train.Spec
	for i := range r.Runs {
		specs = append(specs, spec(r, r.Seed+int64(i)))
	}
	key := r
	key.Task, key.Seed, key.Folder = "", 0, ""
	program := w.programs[key]
	if program == nil {
		var err error
		if program, err = train.Compile(w.backend, specs[0], w.split.Train.First(r.Images), r.Runs); err != nil {
			return nil, answer{}, err
		}
		w.programs[key] = program
	}
	group, err := program.Start(specs...)
	if err != nil {
		return nil, answer{}, err
	}
	runtime.GC() // of the runs before

	start := time.Now()
	var last []train.Window
	for windows, err := range group.Windows(ctx) {
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

func (w *worker) epoch(ctx context.Context, r request) (answer, error) {
	_, a, err := w.train(ctx, r)
	return a, err
}

// about tells what Latent computes on.
func (w *worker) about(context.Context, request) (answer, error) {
	b := w.backend
	return answer{
		Seconds: w.opening.Seconds(),
		About:   fmt.Sprintf("%s on %s, XLA with `%s`, plugin %s", b.Name, b.Device, b.XLAFlags, filepath.Base(b.Plugin)),
		Flags:   b.XLAFlags,
	}, nil
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
func (w *worker) product(_ context.Context, r request) (answer, error) {
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
