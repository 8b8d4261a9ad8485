// Package backend chooses, finds, installs, verifies and opens the GoMLX backend that a run computes with.
//
//	b, err := backend.Open(ctx, "auto", backend.Options{Log: os.Stderr})
//	defer b.Close()
//	fmt.Println(b.Name, b.Device)
//
// Promised: nothing is downloaded but the plugin that Open was asked for, and that against its size and SHA-256; a plugin
// file is verified before it is loaded, since a damaged one kills the process; a choice that cannot be had is an error that
// says what to do, except that "auto" falls back and says why in one line; a Python is started only to be asked where it keeps
// packages, where a plugin for CUDA is wanted.
//
// What is not here: building graphs (pkg/train, pkg/evaluate). What users should know of all this is in docs/backends.md.
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
	// Name is "xla:cpu", "xla:cuda", "go", or "xla" for a plugin given by its path, unless that is one for CUDA.
	Name string
	// Device describes the first device.
	Device string
	// Loops says that a loop of training steps with their gradients can run in one call.
	Loops bool
	// Batches says that runs which train together are faster as one, with batched products, than one after another: a small
	// model's step leaves most of a GPU idle.
	Batches bool
	// Plugin is the XLA plugin's path, PluginSHA256 its checksum; "" for pure Go. PluginVersion is the wheel that it came in,
	// "" where that is not known, and PJRT the version of the interface that it offers.
	Plugin, PluginSHA256, PluginVersion, PJRT string
	// XLAFlags are the flags in force.
	XLAFlags string
	// GPU is what is known of an NVIDIA GPU; nil where none computes.
	GPU *GPU
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
	// TF32 lets a GPU round the factors of float32 products to TF32, which keeps about three digits. JAX does by default. A
	// process computes in one of the two ways: NVIDIA's libraries read it once.
	TF32 bool
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

// flagsVariable holds XLA's flags.
const flagsVariable = "XLA_FLAGS"

// threadsVariable is where XLA looks, when a client of the CPU is made, for the number of its threads.
const threadsVariable = "NPROC"

// tf32Variable is where NVIDIA's libraries look, when they are loaded, whether TF32 is forbidden: "0". Of convolutions nothing
// else says so, for go-xla asks for XLA's default precision.
const tf32Variable = "NVIDIA_TF32_OVERRIDE"

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
// auto takes a CUDA GPU if one works, else a plugin for the CPU, which it installs when it is missing, else pure Go. Where there is no folder
// to install it in, that is an error, which says how to name one: see [ErrNoFolder].
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
		return openCUDA(ctx, options)
	case kind == "xla" && filepath.IsAbs(argument):
		name := "xla"
		if isCUDA(argument) {
			name = string(CUDA)
		}
		return openFile(ctx, name, argument, options, &packages{})
	}
	return nil, fmt.Errorf("backend %q: want auto, xla:cpu, xla:cuda, go or xla:/path/to/plugin.so", choice)
}

// OpenInstalled opens the backend of this choice, go, xla:cpu or xla:cuda, without asking the environment and without
// installing anything.
func OpenInstalled(choice string, options Options) (*Backend, error) {
	ctx := context.Background()
	switch choice {
	case "go":
		return openGo("")
	case "xla:cpu":
		path, err := findPlugin(ctx, CPU, nil)
		if err != nil {
			return nil, err
		}
		return openFile(ctx, choice, path, options, nil)
	case "xla:cuda":
		return openCUDA(ctx, options)
	}
	return nil, fmt.Errorf("backend %q: want go, xla:cpu or xla:cuda", choice)
}

func openAuto(ctx context.Context, options Options) (*Backend, error) {
	var reasons []string
	if installer.HasNvidiaGPU() {
		b, err := openCUDA(ctx, options)
		if err == nil {
			if err = Check(b); err == nil {
				return b, nil
			}
			b.Close()
		}
		reasons = append(reasons, fmt.Sprintf("no CUDA: %s (latent backend check xla:cuda says more)", firstLine(err)))
	}
	b, err := openCPU(ctx, options)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, ErrNoFolder) {
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
	path, err := findPlugin(ctx, CPU, nil)
	if errors.Is(err, ErrNotInstalled) {
		path, err = Install(ctx, CPU, "", options)
	}
	if err != nil {
		return nil, err
	}
	return openFile(ctx, "xla:cpu", path, options, nil)
}

func openCUDA(ctx context.Context, options Options) (*Backend, error) {
	if err := xlaUsable(); err != nil {
		return nil, err
	}
	var pythons packages
	path, err := findPlugin(ctx, CUDA, &pythons)
	if err != nil {
		return nil, err
	}
	return openFile(ctx, "xla:cuda", path, options, &pythons)
}

// openFile verifies a plugin and opens it. pythons are where a CUDA plugin's libraries may be; nil for others.
func openFile(ctx context.Context, name, path string, options Options, pythons *packages) (*Backend, error) {
	if err := xlaUsable(); err != nil {
		return nil, err
	}
	sum, err := verify(path)
	if err != nil {
		return nil, err
	}
	loading.Lock()
	defer loading.Unlock()
	cuda := isCUDA(path)
	b := &Backend{Name: name, Loops: true, Batches: cuda, Plugin: path, PluginSHA256: sum, PluginVersion: versionOf(path, sum)}
	if cuda {
		if err := b.prepareGPU(ctx, options, pythons); err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
	} else {
		b.XLAFlags = setFlags(CPUFlags)
		if options.Threads > 0 {
			defer setenv(threadsVariable, strconv.Itoa(options.Threads))()
		}
	}
	if err := b.load(cuda, options); err != nil {
		// go-xla names the plugin too, before it comes to the point.
		_, point, found := strings.Cut(err.Error(), `for backend "xla": `)
		if found {
			err = errors.New(strings.TrimSuffix(point, "."))
		}
		err = fmt.Errorf("open %s: %w", path, err)
		if cuda {
			err = askDriver(false).explain(err)
		}
		return nil, err
	}
	if cuda {
		b.describe(askDriver(true))
	}
	return b, nil
}
