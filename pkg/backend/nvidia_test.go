package backend

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// compiled is a shared library made of C, under this name; other arguments go to the compiler.
func compiled(t *testing.T, folder, name, source string, arguments ...string) string {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("SKIPPED: needs a C compiler, on linux")
	}
	path := put(t, folder, name, nil)
	command := exec.Command(compiler, append([]string{"-shared", "-fPIC", "-Wl,-soname," + name, "-o", path, "-x", "c", "-", "-x", "none"}, arguments...)...)
	command.Stdin = strings.NewReader(source)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, output)
	}
	return path
}

// Plugins say which CUDA they are for in the folders that they search. The texts are those of JAX 0.12's two plugins, shortened.
func TestCUDAOf(t *testing.T) {
	for want, path := range map[int]string{
		12: "$ORIGIN/../../nvidia/cuda_cupti/lib:$ORIGIN/../nvidia/cuda_cupti/lib:$ORIGIN/../../nvidia/cuda_runtime/lib:$ORIGIN/../../nvidia/cudnn/lib",
		13: "$ORIGIN/../../nvidia/cu13/lib:$ORIGIN/../nvidia/cu13/lib:$ORIGIN/../../nvidia/nvshmem/lib:$ORIGIN/../../nvidia/cudnn/lib",
	} {
		for _, tag := range []string{"--disable-new-dtags", "--enable-new-dtags"} {
			plugin := compiled(t, t.TempDir(), jaxPluginName, "int f;", "-Wl,"+tag, "-Wl,-rpath,"+path)
			if got := cudaOf(plugin); got != want {
				t.Errorf("for CUDA %d, want %d (%s)", got, want, tag)
			}
		}
	}
}

// Libraries are taken from beside the plugin, and from Pythons' packages where they are missed there.
func TestNVIDIAFolders(t *testing.T) {
	noPythons(t)
	site, other := t.TempDir(), t.TempDir()
	plugin := put(t, site, "jax_plugins/xla_cuda13/"+jaxPluginName, nil)
	beside, apart := filepath.Join(site, "nvidia"), filepath.Join(other, "nvidia")
	put(t, apart, "cudnn/lib/libcudnn.so.9", nil)
	put(t, beside, "cu13/lib/libcublas.so.13", nil)
	put(t, apart, "cu13/lib/libcublas.so.13", nil)
	put(t, apart, "cublas/lib/libcublas.so.12", nil)
	asked := filepath.Join(t.TempDir(), "asked")
	t.Setenv(pythonVariable, fakePython(t, "echo >> "+asked+"; "+saying("", site, other)))

	folders := nvidiaFolders(context.Background(), plugin, 13, &packages{})
	if want := []string{beside, apart}; !slices.Equal(slices.Compact(folders), want) {
		t.Errorf("looks in %q, want %q", folders, want)
	}
	paths := map[string]string{}
	for _, l := range locate(folders, 13) {
		paths[l.Name] = l.Path
	}
	if len(paths) != len(nvidiaLibraries) || paths["libcublas.so.13"] != filepath.Join(beside, "cu13/lib/libcublas.so.13") ||
		paths["libcudnn.so.9"] != filepath.Join(apart, "cudnn/lib/libcudnn.so.9") || paths["libnccl.so.2"] != "" {
		t.Errorf("for CUDA 13: %v", paths)
	}
	for _, l := range locate(folders, 12) {
		want := map[string]string{"libcublas.so.12": "cublas/lib/libcublas.so.12", "libcudnn.so.9": "cudnn/lib/libcudnn.so.9"}[l.Name]
		if want != "" {
			want = filepath.Join(apart, want)
		}
		if l.Path != want {
			t.Errorf("for CUDA 12: %s is %q, want %q", l.Name, l.Path, want)
		}
	}

	// A link to the plugin finds what is beside the plugin.
	link := filepath.Join(t.TempDir(), "a", "b", jaxPluginName)
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(plugin, link); err != nil {
		t.Fatal(err)
	}
	if folders := nvidiaFolders(context.Background(), link, 13, &packages{}); !slices.Contains(folders, beside) {
		t.Errorf("through a link it looks in %q", folders)
	}

	// With all of them beside the plugin, no Python is asked.
	for _, l := range nvidiaLibraries {
		put(t, beside, filepath.Join(l.package13, "lib", l.name13), nil)
	}
	os.Remove(asked)
	if folders := nvidiaFolders(context.Background(), plugin, 13, &packages{}); !slices.Equal(folders, []string{beside}) {
		t.Errorf("looks in %q, want %q alone", folders, beside)
	}
	if _, err := os.Stat(asked); err == nil {
		t.Error("Python was asked for libraries that are beside the plugin")
	}
}

// A library that needs another finds it by its name, wherever that was loaded from; one that is missing, or does not fit, is
// told of and stops nothing.
func TestLoadAll(t *testing.T) {
	if err := xlaUsable(); err != nil {
		t.Skip("SKIPPED: this build cannot load libraries")
	}
	needed := compiled(t, t.TempDir(), "libneeded.so.13", "int needed(void) { return 13; }")
	needing := compiled(t, t.TempDir(), "libneeding.so.13", "int needed(void); int f(void) { return needed(); }", needed)
	loose := compiled(t, t.TempDir(), "libloose.so.13", "int nowhere(void); int f(void) { return nowhere(); }")
	text := put(t, t.TempDir(), "libtext.so.13", []byte("hello"))

	if _, err := loadLibrary(needing); err == nil {
		t.Fatal("a library was loaded without the one that it needs")
	}
	libraries := []Library{{Name: "libneeded.so.13", Path: needed}, {Name: "libneeding.so.13", Path: needing},
		{Name: "libmissing.so.13"}, {Name: "libloose.so.13", Path: loose}, {Name: "libtext.so.13", Path: text}}
	loadAll(libraries)
	for i, want := range []string{needed, needing} {
		if l := libraries[i]; l.Path != want || l.Err != nil {
			t.Errorf("%s is %q, %v", l.Name, l.Path, l.Err)
		}
	}
	for i, want := range map[int]string{2: "libmissing.so.13: cannot open shared object file", 3: "undefined symbol: nowhere", 4: "libtext.so.13"} {
		if l := libraries[i]; l.Path != "" || l.Err == nil || !strings.Contains(l.Err.Error(), want) {
			t.Errorf("%s is %q, %v, want an error with %q", l.Name, l.Path, l.Err, want)
		}
	}
	// By its name alone, a library that is loaded is found where it was.
	again := []Library{{Name: "libneeded.so.13"}}
	if loadAll(again); again[0].Path != needed {
		t.Errorf("by its name: %+v, want %s", again[0], needed)
	}
}

func TestToolkit(t *testing.T) {
	noPythons(t)
	wheels, home, system, site := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	none := func() *packages { return &packages{asked: true} }
	find := func(cuda int, pythons *packages) toolkit {
		return findToolkit(context.Background(), []string{wheels}, cuda, pythons)
	}
	// This machine's own CUDA comes after what is set up here, and before Triton.
	machine := find(13, none())

	// What is in two places does not do; the first of each kind is kept for want of better.
	ptxas := put(t, wheels, "cu13/bin/ptxas", nil)
	t.Setenv("CUDA_HOME", home)
	libdevice := put(t, home, libdevicePath, nil)
	if got, want := find(13, none()), (toolkit{ptxas, libdevice}); machine == (toolkit{}) && got != want {
		t.Errorf("in parts: %v, want %v", got, want)
	}
	// Both in one place come first, though others have one before it.
	whole := toolkit{put(t, system, "bin/ptxas", nil), put(t, system, libdevicePath, nil)}
	t.Setenv("CUDA_PATH", system)
	if got := find(13, none()); got != whole {
		t.Errorf("whole: %v, want %v", got, whole)
	}
	// NVIDIA's wheels come before CUDA's own folders; each version of CUDA has its own.
	whole = toolkit{ptxas, put(t, wheels, "cu13/"+libdevicePath, nil)}
	if got := find(13, none()); got != whole {
		t.Errorf("of wheels: %v, want %v", got, whole)
	}
	twelve := toolkit{put(t, wheels, "cuda_nvcc/bin/ptxas", nil), put(t, wheels, "cuda_nvcc/"+libdevicePath, nil)}
	if got := find(12, none()); got != twelve {
		t.Errorf("for CUDA 12: %v, want %v", got, twelve)
	}
	// An assembler that cannot be run is none.
	if err := os.Chmod(ptxas, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := find(13, none()); got.ptxas == ptxas {
		t.Errorf("took an assembler that is no program: %v", got)
	}

	// Triton's is the last resort.
	triton := toolkit{put(t, site, "triton/backends/nvidia/bin/ptxas", nil), put(t, site, "triton/backends/nvidia/lib/libdevice.10.bc", nil)}
	noPythons(t)
	pythons := &packages{asked: true, folders: []string{"/nowhere", site}}
	if got := findToolkit(context.Background(), nil, 13, pythons); machine == (toolkit{}) && got != triton {
		t.Errorf("with Triton: %v, want %v", got, triton)
	}
}

// XLA is shown a folder laid out as CUDA's: the toolkit's own, or one of links.
func TestToolkitRoot(t *testing.T) {
	dir, cuda := t.TempDir(), t.TempDir()
	own := toolkit{filepath.Join(cuda, assemblerPath), filepath.Join(cuda, libdevicePath)}
	if root, err := own.root(dir); err != nil || root != cuda {
		t.Errorf("CUDA's own folder is %s, %v, want %s", root, err, cuda)
	}
	if root, err := (toolkit{}).root(dir); err != nil || root != "" {
		t.Errorf("without a toolkit: %q, %v", root, err)
	}
	parts := toolkit{put(t, t.TempDir(), "ptxas", []byte("an assembler")), put(t, t.TempDir(), "libdevice.10.bc", []byte("functions"))}
	var roots []string
	for range 2 { // the second time the links are there
		root, err := parts.root(dir)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, root)
		for name, want := range map[string]string{assemblerPath: "an assembler", libdevicePath: "functions"} {
			if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
				t.Errorf("%s is %q, %v", name, got, err)
			}
		}
	}
	parts.libdevice = ""
	alone, err := parts.root(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(alone, libdevicePath)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a library that is not there: %v", err)
	}
	if roots[0] != roots[1] || alone == roots[0] {
		t.Errorf("folders are %s, %s and %s", roots[0], roots[1], alone)
	}
}
