package backend

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestTooOld(t *testing.T) {
	for _, c := range []struct {
		version, cuda int
		want          string
	}{
		{version: 13000, cuda: 13},
		{version: 13010, cuda: 12},
		{version: 0, cuda: 13}, // not known: the plugin will tell
		{version: 12040, cuda: 13, want: `runs CUDA up to 12.4; update NVIDIA's driver to 580 or newer, or install the plugin for CUDA 12: pip install "jax[cuda12]"`},
		{version: 11080, cuda: 13, want: "runs CUDA up to 11.8; update NVIDIA's driver"},
		{version: 11080, cuda: 12, want: "needs CUDA 12"},
	} {
		err := driver{version: c.version}.tooOld(c.cuda)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("driver for CUDA %d, plugin for %d: %v, want %q", c.version, c.cuda, err, c.want)
		}
	}
}

func TestExplain(t *testing.T) {
	for name, c := range map[string]struct {
		driver  driver
		visible string
		want    string
	}{
		"no driver":    {driver: driver{failed: "dlopen", message: "libcuda.so.1: cannot open"}, want: "there is no NVIDIA driver here (libcuda.so.1: cannot open)"},
		"hidden":       {driver: driver{failed: "cuInit", code: noDevice, message: "no CUDA-capable device is detected"}, visible: "-1", want: `CUDA_VISIBLE_DEVICES="-1"; unset it`},
		"hidden by 0":  {driver: driver{version: 13000}, visible: "7", want: `CUDA_VISIBLE_DEVICES="7"; unset it`},
		"no card":      {driver: driver{failed: "cuInit", code: noDevice, message: "no CUDA-capable device is detected"}, want: "cuInit says: no CUDA-capable device is detected"},
		"none counted": {driver: driver{version: 13000}, want: "the driver has no GPU"},
		"mismatch":     {driver: driver{failed: "cuInit", code: 803}, visible: "0", want: "cuInit says: error 803"},
		"a card":       {driver: driver{version: 13000, devices: 2, name: "NVIDIA H200"}, want: "the driver has 2, the first NVIDIA H200"},
	} {
		if c.visible == "" {
			os.Unsetenv(visibleVariable)
		} else {
			t.Setenv(visibleVariable, c.visible)
		}
		refused := errors.New("no visible GPU devices")
		err := c.driver.explain(refused)
		if !errors.Is(err, refused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// The texts are those of NVIDIA's modules.
func TestDriverRelease(t *testing.T) {
	for _, c := range []struct{ path, text, want string }{
		{"sys/module/nvidia/version", "580.95.05\n", "580.95.05"},
		{"proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (root@host)  Tue Sep 23\nGCC version:  gcc version 12.3.0\n", "580.95.05"},
		{"proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57  Tue\n", "470.57"},
		{"sys/module/nvidia/version", "unknown\n", ""},
		{"elsewhere", "580.95.05", ""},
	} {
		root := t.TempDir()
		put(t, root, c.path, []byte(c.text))
		if got := driverRelease(root); got != c.want {
			t.Errorf("%s with %q: %q, want %q", c.path, c.text, got, c.want)
		}
	}
}

// fakeDriver is CUDA's driver for a machine with a card; the variables change that.
const fakeDriver = `
#include <stdlib.h>
#include <string.h>
static int got; // contexts that were retained and not released
int cuDriverGetVersion(int *v) { *v = 13000; return 0; }
int cuInit(unsigned flags) { return getenv("FAKE_INIT") ? atoi(getenv("FAKE_INIT")) : flags; }
int cuGetErrorString(int code, const char **text) { *text = code == 100 ? "no CUDA-capable device is detected" : NULL; return code == 100 ? 0 : 1; }
int cuDeviceGetCount(int *n) { *n = getenv("FAKE_NONE") ? 0 : 2; return 0; }
int cuDeviceGet(int *d, int i) { *d = 40 + i; return 0; }
int cuDeviceGetName(char *name, int size, int d) { strncpy(name, d == 40 ? "NVIDIA H200" : "another", size); return 0; }
int cuDeviceTotalMem_v2(size_t *n, int d) { *n = 150754820096; return d != 40; }
int cuDeviceGetAttribute(int *v, int what, int d) { *v = what == 75 ? 9 : what == 76 ? 0 : 77; return d != 40; }
int cuDevicePrimaryCtxRetain(void **c, int d) { got++; *c = &got; return getenv("FAKE_CONTEXT") ? 2 : d != 40; }
int cuCtxPushCurrent_v2(void *c) { return c != &got; }
int cuCtxPopCurrent_v2(void **c) { *c = &got; return 0; }
int cuMemGetInfo_v2(size_t *available, size_t *all) { *available = 150000000000; *all = 150754820096; return got != 1; }
int cuDevicePrimaryCtxRelease_v2(int d) { got--; return d != 40; }
`

// What is read of the driver is read by its documented functions. A driver stays loaded: each case is a process of its own.
func TestAskDriver(t *testing.T) {
	if library := os.Getenv("FAKE_DRIVER"); library != "" {
		if _, err := loadLibrary(library); err != nil {
			t.Fatal(err)
		}
		t.Logf("first %+v", askDriver(false))
		t.Logf("again %+v", askDriver(true))
		t.Logf("third %+v", askDriver(true)) // finds no context left of the second
		return
	}
	if err := xlaUsable(); err != nil {
		t.Skip("SKIPPED: this build cannot load libraries")
	}
	whole := compiled(t, t.TempDir(), "libcuda.so.1", fakeDriver)
	old := compiled(t, t.TempDir(), "libcuda.so.1", "int cuInit(unsigned flags) { return 0; }")
	const card = "failed: code:0 message: version:13000 devices:2 name:NVIDIA H200 major:9 minor:0 total:150754820096 free:"
	for name, c := range map[string]struct {
		library string
		set     string
		want    []string
	}{
		"a card":       {whole, "", []string{"first {" + card + "0}", "again {" + card + "150000000000}", "third {" + card + "150000000000}"}},
		"no device":    {whole, "FAKE_INIT=100", []string{"failed:cuInit code:100 message:no CUDA-capable device is detected version:13000 devices:0 name: "}},
		"a strange no": {whole, "FAKE_INIT=803", []string{"failed:cuInit code:803 message: version:13000"}},
		"none":         {whole, "FAKE_NONE=1", []string{"failed: code:0 message: version:13000 devices:0 name: "}},
		"full":         {whole, "FAKE_CONTEXT=1", []string{"again {" + card + "0}"}},
		"no driver":    {old, "", []string{"failed:dlsym code:0 message:libcuda.so.1 is not CUDA's driver version:0"}},
	} {
		command := exec.Command(os.Args[0], "-test.run=^TestAskDriver$", "-test.v")
		command.Env = append(os.Environ(), "FAKE_DRIVER="+c.library, c.set)
		output, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
		for _, want := range c.want {
			if !strings.Contains(string(output), want) {
				t.Errorf("%s: want %q in\n%s", name, want, output)
			}
		}
	}
}

func TestSetFlags(t *testing.T) {
	kept := loading.flags
	t.Cleanup(func() { loading.flags = kept })
	t.Setenv(flagsVariable, "") // restored in the end
	os.Unsetenv(flagsVariable)
	loading.flags = ""
	// Each kind of plugin gets its own, whichever was loaded before.
	for _, flags := range []string{CPUFlags, CUDAFlags, CUDAFlags + " --xla_gpu_cuda_data_dir=/cuda", CPUFlags} {
		if got := setFlags(flags); got != flags || os.Getenv(flagsVariable) != flags {
			t.Errorf("set %q, in force are %q", flags, got)
		}
	}
	// The user's are left as they are; none is a choice too.
	for _, own := range []string{"--xla_gpu_autotune_level=0", ""} {
		t.Setenv(flagsVariable, own)
		if got := setFlags(CUDAFlags); got != own || os.Getenv(flagsVariable) != own {
			t.Errorf("the user's %q became %q", own, got)
		}
	}
}

// Every variant is a whole XLA_FLAGS of its own, and Latent's is the first.
func TestCUDAVariants(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range CUDAVariants {
		if v.Name == "" || v.Why == "" || seen[v.Name] || seen[v.Flags] {
			t.Errorf("%+v is incomplete, or there twice", v)
		}
		seen[v.Name], seen[v.Flags] = true, true
		for _, flag := range strings.Fields(v.Flags) {
			if name, value, given := strings.Cut(flag, "="); !strings.HasPrefix(name, "--xla_gpu_") || !given && value == "" {
				t.Errorf("%s has %q, which is no flag of XLA for GPUs with a value", v.Name, flag)
			}
		}
	}
	if CUDAVariants[0].Flags != CUDAFlags {
		t.Errorf("the first is %+v, want Latent's own", CUDAVariants[0])
	}
}
