//go:build cgo

package network

import (
	"context"
	"errors"
	"fmt"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// loading is the one time that a process loads onnxruntime.
var loading struct {
	sync.Mutex
	done bool
}

// load loads onnxruntime. What failed is tried again by the next call.
func load(ctx context.Context) error {
	loading.Lock()
	defer loading.Unlock()
	if loading.done {
		return nil
	}
	libraries, err := libraries(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, path := range libraries {
		ort.SetSharedLibraryPath(path)
		err := ort.InitializeEnvironment(ort.WithLogLevelError())
		if err == nil {
			loading.done = true
			return ort.DisableTelemetry()
		}
		failures = append(failures, fmt.Errorf("%s: %w", path, err))
	}
	return fmt.Errorf("onnxruntime, which runs networks, could not be loaded; version %s or newer is needed: pip install --upgrade onnxruntime, or set %s to its library:\n%w",
		leastVersion, libraryVariable, errors.Join(failures...))
}

// values are the network's inputs and outputs.
func (f *File) values(ctx context.Context) (inputs, outputs []tensor, err error) {
	if err := load(ctx); err != nil {
		return nil, nil, err
	}
	var in, out []ort.InputOutputInfo
	if len(f.external) > 0 {
		in, out, err = ort.GetInputOutputInfo(f.Path)
	} else {
		in, out, err = ort.GetInputOutputInfoWithONNXData(f.data)
	}
	if err != nil {
		return nil, nil, f.refused(err)
	}
	return tensorsOf(in), tensorsOf(out), nil
}

func (f *File) refused(err error) error {
	return fmt.Errorf("%s: onnxruntime %s rejects it: %w", f.Path, ort.GetVersion(), err)
}

func tensorsOf(all []ort.InputOutputInfo) (found []tensor) {
	for _, one := range all {
		t := tensor{name: one.Name, real: one.DataType == ort.TensorElementDataTypeFloat}
		if one.OrtValueType == ort.ONNXTypeTensor {
			t.dims = append([]int64{}, one.Dimensions...)
		}
		found = append(found, t)
	}
	return found
}

// loaded is a session of onnxruntime.
type loaded struct{ session *ort.DynamicAdvancedSession }

// session loads the network to give one output of one input.
func (f *File) session(input, output string) (session, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, f.refused(err)
	}
	defer options.Destroy()
	// Its threads would otherwise turn in circles while decoding waits for a core.
	if err := options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"); err != nil {
		return nil, f.refused(err)
	}
	var s *ort.DynamicAdvancedSession
	if len(f.external) > 0 {
		s, err = ort.NewDynamicAdvancedSession(f.Path, []string{input}, []string{output}, options)
	} else {
		s, err = ort.NewDynamicAdvancedSessionWithONNXData(f.data, []string{input}, []string{output}, options)
	}
	if err != nil {
		return nil, f.refused(err)
	}
	return loaded{s}, nil
}

func (l loaded) run(values []float32, dims []int64) ([]float32, []int64, error) {
	in, err := ort.NewTensor(ort.NewShape(dims...), values)
	if err != nil {
		return nil, nil, err
	}
	defer in.Destroy()
	out := []ort.Value{nil}
	if err := l.session.Run([]ort.Value{in}, out); err != nil {
		return nil, nil, err
	}
	defer out[0].Destroy()
	found, ok := out[0].(*ort.Tensor[float32])
	if !ok {
		return nil, nil, fmt.Errorf("its output is a %T instead of float32", out[0])
	}
	return append([]float32(nil), found.GetData()...), append([]int64(nil), found.GetShape()...), nil
}

func (l loaded) close() { l.session.Destroy() }
