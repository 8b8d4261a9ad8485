//go:build cgo && !noxla && linux && (amd64 || arm64)

package backend

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
)

// A card is not needed to go the whole way from a Python to a computation: the plugin for the CPU, under the name of JAX's for
// CUDA, is taken for that by everything that does not ask the device.
func TestOpenCUDA(t *testing.T) {
	ctx := context.Background()
	onCPU, err := findPlugin(ctx, CPU, nil)
	if err != nil {
		t.Skipf("SKIPPED ON XLA: %v", err)
	}
	kept := [3]any{loading.flags, loading.libraries, loading.tf32}
	t.Cleanup(func() {
		loading.flags, loading.libraries, loading.tf32 = kept[0].(string), kept[1].(bool), kept[2].(bool)
	})
	loading.libraries = false
	for _, variable := range []string{flagsVariable, tf32Variable, compute.ConfigEnvVar} {
		t.Setenv(variable, "") // restored in the end
		os.Unsetenv(variable)
	}
	noPythons(t)
	site := filepath.Join(t.TempDir(), "packages of cpu")
	plugin := put(t, site, member13, nil)
	if err := os.Remove(plugin); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(onCPU, plugin); err != nil {
		t.Fatal(err)
	}
	put(t, site, "nvidia/cu13/lib/libcublas.so.13", []byte("not a library"))
	put(t, site, "nvidia/cu13/bin/ptxas", nil)
	libdevice := put(t, site, "triton/backends/nvidia/lib/libdevice.10.bc", nil)
	t.Setenv(pythonVariable, fakePython(t, saying("", site)))

	b, err := Open(ctx, "xla:cuda", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Name != "xla:cuda" || b.Plugin != plugin || b.PluginSHA256 == "" || !b.Loops || b.PJRT == "" || b.Device == "" || b.GPU == nil {
		t.Fatalf("opened %+v", b)
	}
	if g := b.GPU; g.CUDA != 13 || g.TF32 || len(g.Libraries) != len(nvidiaLibraries) || g.Assembler == "" || g.Libdevice == "" {
		t.Errorf("found %+v", g)
	}
	broken := slices.IndexFunc(b.GPU.Libraries, func(l Library) bool { return l.Name == "libcublas.so.13" })
	if l := b.GPU.Libraries[broken]; l.Path == "" && (l.Err == nil || !strings.Contains(l.Err.Error(), filepath.Join(site, "nvidia"))) {
		t.Errorf("a library that is none: %+v", l)
	}
	// Where CUDA itself is not installed, the assembler is that of the wheels, and the functions those of Triton.
	if !strings.HasPrefix(b.XLAFlags, CUDAFlags+" "+dataFlag) || os.Getenv(flagsVariable) != b.XLAFlags {
		t.Errorf("XLA_FLAGS are %q", b.XLAFlags)
	}
	if _, root, _ := strings.Cut(b.XLAFlags, dataFlag); b.GPU.Libdevice == libdevice {
		if target, err := os.Readlink(filepath.Join(root, libdevicePath)); err != nil || target != libdevice {
			t.Errorf("%s leads to %s, %v, want %s", filepath.Join(root, libdevicePath), target, err, libdevice)
		}
	}
	if os.Getenv(tf32Variable) != "0" {
		t.Errorf("%s is %q, want 0", tf32Variable, os.Getenv(tf32Variable))
	}
	if os.Getenv(checksVariable) != "" {
		t.Errorf("%s was left in the environment", checksVariable)
	}
	// go-xla, which goes by the plugin's path, has been told what it got wrong of this one.
	if inside := b.Compute.(*xla.Backend); inside.HasSharedBuffers() || !inside.IsCUDA() || inside.DotGeneralUseTF32 {
		t.Errorf("go-xla: shared buffers %v, CUDA %v, TF32 %v", inside.HasSharedBuffers(), inside.IsCUDA(), inside.DotGeneralUseTF32)
	}
	if err := Check(b); err != nil {
		t.Error(err)
	}

	// By its path it is the same.
	t.Setenv(compute.ConfigEnvVar, "xla:"+plugin)
	byPath, err := Open(ctx, "go", Options{})
	if err != nil {
		t.Fatal(err)
	}
	byPath.Close()
	if byPath.Name != "xla:cuda" || byPath.XLAFlags != b.XLAFlags || byPath.GPU == nil {
		t.Errorf("by its path: %+v", byPath)
	}
	// What NVIDIA's libraries read once cannot be another way in the same process, in either order.
	for _, loaded := range []bool{false, true} {
		loading.tf32 = loaded
		if other, err := Open(ctx, "go", Options{TF32: !loaded}); err == nil || !strings.Contains(err.Error(), "need a process each") {
			t.Errorf("after libraries with TF32 %v, the opposite opened %+v, %v", loaded, other, err)
		}
	}
	// The next plugin for the CPU has the CPU's flags again.
	t.Setenv(compute.ConfigEnvVar, "xla:"+onCPU)
	cpu, err := Open(ctx, "go", Options{})
	if err != nil {
		t.Fatal(err)
	}
	cpu.Close()
	if cpu.Name != "xla" || cpu.XLAFlags != CPUFlags || cpu.GPU != nil {
		t.Errorf("the CPU's plugin by its path: %+v", cpu)
	}
	// A path that go-xla would take apart.
	comma := filepath.Join(t.TempDir(), "a,b", jaxPluginName)
	put(t, filepath.Dir(comma), ".keep", nil)
	if err := os.Symlink(onCPU, comma); err != nil {
		t.Fatal(err)
	}
	loading.tf32 = false
	t.Setenv(compute.ConfigEnvVar, "xla:"+comma)
	if _, err := Open(ctx, "go", Options{}); err == nil || !strings.Contains(err.Error(), "comma") {
		t.Errorf("a path with a comma: %v", err)
	}
}
