package backend

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// GPU is what is known of an NVIDIA GPU, and of what computes on it. What could not be found out is "" or 0.
type GPU struct {
	// Name is NVIDIA's name of the first device, such as "NVIDIA H200", Capability its compute capability, such as "9.0".
	Name, Capability string
	// Memory is the device's memory in bytes, Free what of it no process held when the backend had been opened.
	Memory, Free int64
	// Driver is the version of the driver, such as "580.95.05", DriverCUDA the newest CUDA that it runs, such as "13.0".
	Driver, DriverCUDA string
	// CUDA is the major version of CUDA that the plugin was built for.
	CUDA int
	// TF32 says whether products and convolutions of float32 may round their factors to TF32.
	TF32 bool
	// Libraries are NVIDIA's libraries, in the order in which they were loaded.
	Libraries []Library
	// Assembler and Libdevice are the files that XLA makes code for the GPU with.
	Assembler, Libdevice string
}

// driver is what CUDA's driver says. Where failed is not empty, it is the call that failed.
type driver struct {
	failed       string
	code         int
	message      string
	version      int // of CUDA: 13000 for 13.0
	devices      int
	name         string
	major, minor int // compute capability
	total, free  int64
}

// cuda writes the version of CUDA that the driver runs.
func (d driver) cuda() string {
	if d.version == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", d.version/1000, d.version%1000/10)
}

// tooOld says why a driver cannot run a plugin, where its version says so.
func (d driver) tooOld(cuda int) error {
	if d.version == 0 || d.version/1000 >= cuda {
		return nil
	}
	cure := "update NVIDIA's driver"
	if cuda == 13 && d.version >= 12000 {
		cure = `update NVIDIA's driver to 580 or newer, or install the plugin for CUDA 12: pip install "jax[cuda12]"`
	}
	return fmt.Errorf("the plugin needs CUDA %d, and the driver%s runs CUDA up to %s; %s", cuda, space(driverRelease("/")), d.cuda(), cure)
}

func space(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// explain adds to an error of opening the plugin what the driver says, and what to do.
func (d driver) explain(err error) error {
	const inContainer = "in a container, start it with its GPUs (docker run --gpus all)"
	said := d.message
	if said == "" && d.failed != "" {
		said = fmt.Sprintf("error %d", d.code)
	}
	visible, restricted := os.LookupEnv(visibleVariable)
	var why string
	switch {
	case d.failed == "dlopen":
		why = fmt.Sprintf("there is no NVIDIA driver here (%s); install it, or %s", said, inContainer)
	case restricted && (d.code == noDevice || d.failed == "" && d.devices == 0):
		why = fmt.Sprintf("the driver gives this process no GPU, with %s=%q; unset it, or name one that nvidia-smi -L lists", visibleVariable, visible)
	case d.failed != "":
		why = fmt.Sprintf("the driver gives this process no GPU: %s says: %s; see what nvidia-smi says; %s", d.failed, said, inContainer)
	case d.devices == 0:
		why = fmt.Sprintf("the driver has no GPU; see what nvidia-smi says; %s", inContainer)
	default:
		why = fmt.Sprintf("the driver has %d, the first %s; see what nvidia-smi says of memory and other processes", d.devices, d.name)
	}
	return fmt.Errorf("%w; %s", err, why)
}

// visibleVariable limits the GPUs that a process sees.
const visibleVariable = "CUDA_VISIBLE_DEVICES"

// noDevice is CUDA_ERROR_NO_DEVICE.
const noDevice = 100

// release is a driver's version in the text of the kernel's module.
var release = regexp.MustCompile(`\b\d{3,}\.\d+(\.\d+)?\b`)

// driverRelease reads the driver's version where Linux has it; "" where it does not, as on WSL. root is "/".
func driverRelease(root string) string {
	for _, path := range []string{"sys/module/nvidia/version", "proc/driver/nvidia/version"} {
		if text, err := os.ReadFile(filepath.Join(root, path)); err == nil {
			if version := release.FindString(string(text)); version != "" {
				return version
			}
		}
	}
	return ""
}

// loading holds what a process decides once, when it loads a plugin and NVIDIA's libraries.
var loading struct {
	sync.Mutex
	// flags are the XLA_FLAGS that Latent set itself, for the plugin before.
	flags string
	// libraries says that NVIDIA's were loaded, tf32 how.
	libraries, tf32 bool
}

// setFlags sets XLA's flags where the user did not, and returns those in force. They stay in the environment, for XLA reads
// them when it likes; the next plugin of another kind gets its own.
func setFlags(flags string) string {
	if value, set := os.LookupEnv(flagsVariable); set && (loading.flags == "" || value != loading.flags) {
		return value
	}
	os.Setenv(flagsVariable, flags)
	loading.flags = flags
	return flags
}

// prepareGPU makes ready what a CUDA plugin looks for when it is loaded: NVIDIA's libraries, the assembler, flags.
func (b *Backend) prepareGPU(ctx context.Context, options Options, pythons *packages) error {
	g := &GPU{CUDA: cudaOf(b.Plugin), TF32: options.TF32}
	b.GPU = g
	if err := askDriver(false).tooOld(g.CUDA); err != nil {
		return err
	}
	if loading.libraries && loading.tf32 != options.TF32 {
		return fmt.Errorf("NVIDIA's libraries were loaded %s TF32 and read that once (%s): what has train.precision: tf32 and what has not need a process each",
			map[bool]string{false: "without", true: "with"}[loading.tf32], tf32Variable)
	}
	if !options.TF32 {
		os.Setenv(tf32Variable, "0")
	}
	folders := nvidiaFolders(ctx, b.Plugin, g.CUDA, pythons)
	g.Libraries = locate(folders, g.CUDA)
	loadAll(g.Libraries)
	loading.libraries, loading.tf32 = true, options.TF32

	tools := findToolkit(ctx, folders, g.CUDA, pythons)
	g.Assembler, g.Libdevice = tools.ptxas, tools.libdevice
	flags := CUDAFlags
	// Where there is no folder to lay links in, XLA still looks in places of its own.
	if dir, err := Dir(); err == nil {
		root, err := tools.root(dir)
		if err == nil && root != "" && !strings.ContainsAny(root, " \t\n\"'") { // XLA divides its flags at spaces
			flags += " " + dataFlag + root
		}
	}
	b.XLAFlags = setFlags(flags)
	return nil
}

// dataFlag tells XLA where the assembler and libdevice are.
const dataFlag = "--xla_gpu_cuda_data_dir="

// describe fills in what the driver says of the first device. XLA's own description of it is a number.
func (b *Backend) describe(d driver) {
	g := b.GPU
	g.Name, g.Memory, g.Free, g.DriverCUDA, g.Driver = d.name, d.total, d.free, d.cuda(), driverRelease("/")
	if d.major > 0 {
		g.Capability = fmt.Sprintf("%d.%d", d.major, d.minor)
	}
	if g.Name != "" {
		b.Device = g.Name
	}
}
