// Package backend chooses, installs, verifies and opens the GoMLX backend that a run computes with.
//
//	b, err := backend.Open(ctx, "auto", backend.Options{Log: os.Stderr})
//	defer b.Close()
//	fmt.Println(b.Name, b.Device)
//
// Promised: nothing is downloaded but the plugin that Open was asked for, and that against its size and SHA-256; a plugin
// file is verified before it is loaded, since a damaged one kills the process; a choice that cannot be had is an error that
// says what to do, except that "auto" falls back and says why in one line.
//
// What is not here: building graphs (pkg/train, pkg/evaluate).
package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/go-xla/installer"
)

// Backend is an open GoMLX backend, and what people want to know of it.
type Backend struct {
	// Compute is the backend itself.
	Compute compute.Backend
	// Name is "xla:cpu", "xla:cuda", "xla" for a plugin given by path, or "go".
	Name string
	// Device describes the first device.
	Device string
	// Loops says that a loop of training steps with their gradients can run in one call.
	Loops bool
	// Plugin is the XLA plugin's path, PluginSHA256 its checksum; "" for pure Go.
	Plugin, PluginSHA256 string
	// XLAFlags are the flags in force.
	XLAFlags string
	// Reason says why auto did not choose better; "" where it did.
	Reason string
}

// Close releases the backend. Tensors on its devices are lost.
func (b *Backend) Close() { b.Compute.Finalize() }

// Options is what opening needs beside the choice.
type Options struct {
	// Log takes lines for people and the progress bar of a download; nil discards them.
	Log io.Writer
	// Devices is how many devices the CPU is to count as, for XLA; 0 is one. Their threads share all cores: more than one
	// is for trying out what runs on several GPUs.
	Devices int
	// Threads is how many threads XLA computes with on a CPU; 0 is one for each core.
	Threads int
}

func (o Options) logf(format string, args ...any) {
	if o.Log != nil {
		fmt.Fprintf(o.Log, format+"\n", args...)
	}
}

// CPUFlags are the XLA flags that Open sets for the CPU plugin where the environment has no XLA_FLAGS of its own.
//
// On the seed's model they make an epoch 1.1 to 1.5 times faster. Fast math lets XLA assume that there are no NaNs and
// infinities; the figures of the seed over seeds did not change by more than the seeds' spread, and a diverging run is
// still noticed (see TestDivergence in pkg/train). XLA reads the variable once, when the plugin is loaded, and ends the
// process on a flag that it does not know.
const CPUFlags = "--xla_cpu_enable_fast_math=true --xla_cpu_prefer_vector_width=512"

// CUDAFlags are those that Open sets for the CUDA plugin. A GPU sums with atomic operations, and chooses among its kernels by
// timing them, unless it is told that the same program must give the same bits. The price is the faster of two kernels here
// and there; it has not been measured.
const CUDAFlags = "--xla_gpu_deterministic_ops=true"

// flagsVariable holds XLA's flags.
const flagsVariable = "XLA_FLAGS"

// threadsVariable is where XLA looks, when a client of the CPU is made, for the number of its threads.
const threadsVariable = "NPROC"

// setenv sets a variable of the environment, until what it returns is called.
func setenv(name, value string) (restore func()) {
	before, set := os.LookupEnv(name)
	os.Setenv(name, value)
	return func() {
		if set {
			os.Setenv(name, before)
		} else {
			os.Unsetenv(name)
		}
	}
}

// Open opens the backend of this choice: auto, xla:cpu, xla:cuda or go. The environment variable GOMLX_BACKEND, where it
// is set, is the choice instead, and may also name a plugin by its path: xla:/path/plugin.so.
//
// auto takes a CUDA GPU if one works, else a plugin for the CPU, which it installs when it is missing, else pure Go.
func Open(ctx context.Context, choice string, options Options) (*Backend, error) {
	if variable := os.Getenv(compute.ConfigEnvVar); variable != "" {
		choice = variable
	}
	kind, argument, _ := strings.Cut(choice, ":")
	switch {
	case choice == "auto":
		return openAuto(ctx, options)
	case kind == "go":
		return openGo(argument)
	case choice == "xla" || choice == "xla:cpu":
		return openCPU(ctx, options)
	case choice == "xla:cuda":
		return openCUDA(options)
	case kind == "xla" && filepath.IsAbs(argument):
		return openFile("xla", argument, options)
	}
	return nil, fmt.Errorf("backend %q: want auto, xla:cpu, xla:cuda, go or xla:/path/to/plugin.so", choice)
}

// OpenInstalled opens the backend of this choice, go, xla:cpu or xla:cuda, without asking the environment and without
// installing anything.
func OpenInstalled(choice string, options Options) (*Backend, error) {
	switch choice {
	case "go":
		return openGo("")
	case "xla:cpu":
		path, err := findPlugin(CPU)
		if err != nil {
			return nil, err
		}
		return openFile(choice, path, options)
	case "xla:cuda":
		return openCUDA(options)
	}
	return nil, fmt.Errorf("backend %q: want go, xla:cpu or xla:cuda", choice)
}

func openAuto(ctx context.Context, options Options) (*Backend, error) {
	var reasons []string
	if installer.HasNvidiaGPU() {
		b, err := openCUDA(options)
		if err == nil {
			if err = Check(b); err == nil {
				return b, nil
			}
			b.Close()
		}
		reasons = append(reasons, fmt.Sprintf("no CUDA: %v", err))
	}
	b, err := openCPU(ctx, options)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		reasons = append(reasons, fmt.Sprintf("no XLA: %v", err))
		if b, err = openGo(""); err != nil {
			return nil, err
		}
		options.logf("computing in pure Go, about 25 times slower than XLA: %s", oneLine(reasons))
	} else if len(reasons) > 0 {
		options.logf("computing on the CPU: %s", oneLine(reasons))
	}
	b.Reason = oneLine(reasons)
	return b, nil
}

func oneLine(reasons []string) string {
	return strings.Join(strings.Fields(strings.Join(reasons, "; ")), " ")
}

// goOptions keep the pure Go backend from running two operations at once: on as many large products as there are workers,
// each waits for a free worker to begin, for ever (compute v0.1.2, workerspool.Pool.Saturate).
const goOptions = "ops_sequential"

func openGo(options string) (*Backend, error) {
	b, err := gobackend.New(cmp.Or(options, goOptions))
	if err != nil {
		return nil, fmt.Errorf("open the pure Go backend: %w", err)
	}
	return &Backend{Compute: b, Name: "go", Device: "pure Go"}, nil
}

// openCPU opens the installed CPU plugin, and installs it first where it is missing.
func openCPU(ctx context.Context, options Options) (*Backend, error) {
	if err := xlaUsable(); err != nil {
		return nil, err
	}
	path, err := findPlugin(CPU)
	if errors.Is(err, ErrNotInstalled) {
		path, err = Install(ctx, CPU, "", options)
	}
	if err != nil {
		return nil, err
	}
	return openFile("xla:cpu", path, options)
}

func openCUDA(options Options) (*Backend, error) {
	if err := xlaUsable(); err != nil {
		return nil, err
	}
	path, err := findPlugin(CUDA)
	if err != nil {
		return nil, err
	}
	return openFile("xla:cuda", path, options)
}

// openFile verifies a plugin and opens it.
func openFile(name, path string, options Options) (*Backend, error) {
	if err := xlaUsable(); err != nil {
		return nil, err
	}
	sum, err := verify(path)
	if err != nil {
		return nil, err
	}
	cuda := strings.Contains(strings.ToLower(filepath.Base(path)), "cuda")
	if _, set := os.LookupEnv(flagsVariable); !set {
		os.Setenv(flagsVariable, map[bool]string{false: CPUFlags, true: CUDAFlags}[cuda])
	}
	if options.Threads > 0 && !cuda {
		defer setenv(threadsVariable, strconv.Itoa(options.Threads))()
	}
	b, err := openXLA(path, cuda, max(1, options.Devices))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &Backend{
		Compute: b, Name: name, Device: b.DeviceDescription(0), Loops: true,
		Plugin: path, PluginSHA256: sum, XLAFlags: os.Getenv(flagsVariable),
	}, nil
}
