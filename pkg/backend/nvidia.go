package backend

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Library is one of NVIDIA's libraries, which the CUDA plugin opens by its name when it first needs it.
type Library struct {
	// Name is the name that the plugin knows it by, such as "libcublas.so.13".
	Name string
	// Path is where it was loaded from; "" where it was not, and Err says why.
	Path string
	Err  error
}

// nvidiaLibrary is where NVIDIA's wheels for CUDA 12 and 13 keep a library: nvidia/PACKAGE/lib/NAME.
type nvidiaLibrary struct{ package12, name12, package13, name13 string }

// nvidiaLibraries are those of XLA's plugins, each after the ones that it needs itself. JAX loads these too before its plugin,
// all but the linker of code (nvJitLink).
var nvidiaLibraries = []nvidiaLibrary{
	{"cuda_runtime", "libcudart.so.12", "cu13", "libcudart.so.13"},
	{"nvjitlink", "libnvJitLink.so.12", "cu13", "libnvJitLink.so.13"},
	{"cuda_nvrtc", "libnvrtc.so.12", "cu13", "libnvrtc.so.13"},
	{"cublas", "libcublasLt.so.12", "cu13", "libcublasLt.so.13"},
	{"cublas", "libcublas.so.12", "cu13", "libcublas.so.13"},
	{"cuda_cupti", "libcupti.so.12", "cu13", "libcupti.so.13"},
	{"cusparse", "libcusparse.so.12", "cu13", "libcusparse.so.12"},
	{"cusolver", "libcusolver.so.11", "cu13", "libcusolver.so.12"},
	{"cufft", "libcufft.so.11", "cu13", "libcufft.so.12"},
	{"nccl", "libnccl.so.2", "nccl", "libnccl.so.2"},
	{"nvshmem", "libnvshmem_host.so.3", "nvshmem", "libnvshmem_host.so.3"},
	{"cudnn", "libcudnn.so.9", "cudnn", "libcudnn.so.9"},
}

// cudaFolder finds the CUDA that a plugin was built for in the folders it searches itself.
var cudaFolder = regexp.MustCompile(`/nvidia/cu(\d+)/lib`)

// cudaOf returns the major version of CUDA that a plugin was built for, 12 or 13: it says so in its DT_RPATH, which names
// nvidia/cu13/lib, or the many folders of CUDA 12's wheels.
func cudaOf(plugin string) int {
	f, err := elf.Open(plugin)
	if err != nil {
		return 13
	}
	defer f.Close()
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		paths, err := f.DynString(tag)
		if err != nil {
			continue
		}
		if joined := strings.Join(paths, ":"); !cudaFolder.MatchString(joined) && strings.Contains(joined, "/nvidia/cuda_runtime/lib") {
			return 12
		}
	}
	return 13
}

// nvidiaFolders lists where NVIDIA's wheels for a plugin may be unpacked: where the plugin looks itself, which is beside
// jax_plugins and beside its own folder, and then among the packages of Pythons, which are asked only if the first do not have
// every library.
func nvidiaFolders(ctx context.Context, plugin string, cuda int, pythons *packages) []string {
	var folders []string
	for _, path := range []string{plugin, resolved(plugin)} {
		above := filepath.Dir(filepath.Dir(path))
		for _, folder := range []string{filepath.Dir(above), above} {
			if folder = filepath.Join(folder, "nvidia"); !slices.Contains(folders, folder) {
				folders = append(folders, folder)
			}
		}
	}
	if slices.ContainsFunc(locate(folders, cuda), func(l Library) bool { return l.Path == "" }) {
		for _, folder := range pythons.all(ctx) {
			folders = append(folders, filepath.Join(folder, "nvidia"))
		}
	}
	return slices.DeleteFunc(folders, func(folder string) bool {
		info, err := os.Stat(folder)
		return err != nil || !info.IsDir()
	})
}

// resolved follows links; where that fails, the path is returned as it is.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return path
}

// locate finds the libraries for a version of CUDA in folders that wheels were unpacked to; Path is "" of those not there.
func locate(folders []string, cuda int) []Library {
	found := make([]Library, len(nvidiaLibraries))
	for i, l := range nvidiaLibraries {
		inside, name := l.package13, l.name13
		if cuda == 12 {
			inside, name = l.package12, l.name12
		}
		found[i].Name = name
		for _, folder := range folders {
			path := filepath.Join(folder, inside, "lib", name)
			if _, err := os.Stat(path); err == nil {
				found[i].Path = path
				break
			}
		}
	}
	return found
}

// loadAll loads the libraries that were located, and others from where the system keeps them. What is missing is no error: not
// every program needs every library.
func loadAll(libraries []Library) {
	for i := range libraries {
		l := &libraries[i]
		var problems []error
		for _, path := range []string{l.Path, l.Name, filepath.Join(systemCUDA, "lib64", l.Name)} {
			if path == "" {
				continue
			}
			loaded, err := loadLibrary(path)
			if err == nil {
				l.Path, problems = loaded, nil
				break
			}
			problems = append(problems, err)
		}
		if len(problems) > 0 {
			l.Path, l.Err = "", problems[0]
		}
	}
}

// systemCUDA is where NVIDIA's installer puts CUDA.
const systemCUDA = "/usr/local/cuda"

// toolkit is what XLA needs of CUDA to make code for a GPU: the assembler, and a library of mathematical functions that it
// links in. JAX's plugins up to 0.11 have no other way; newer ones can do with nvJitLink in the assembler's place.
type toolkit struct{ ptxas, libdevice string }

// ToolkitCure says how to come by the assembler and libdevice.
const ToolkitCure = "install CUDA's assembler: pip install nvidia-cuda-nvcc nvidia-nvvm (nvidia-cuda-nvcc-cu12 for CUDA 12), or CUDA itself in " + systemCUDA

const (
	assemblerPath = "bin/ptxas"
	libdevicePath = "nvvm/libdevice/libdevice.10.bc"
)

// findToolkit looks for the assembler and libdevice together, in NVIDIA's wheels, in the CUDA of the environment and of the
// system; then for each by itself, and in Triton, which comes with PyTorch and brings both. Fields are "" of what there is none of.
func findToolkit(ctx context.Context, folders []string, cuda int, pythons *packages) toolkit {
	var roots []string
	for _, folder := range folders {
		inside := map[int]string{12: "cuda_nvcc", 13: "cu13"}[cuda]
		roots = append(roots, filepath.Join(folder, inside))
	}
	for _, variable := range []string{"CUDA_HOME", "CUDA_PATH"} {
		roots = append(roots, os.Getenv(variable))
	}
	if found, err := exec.LookPath("ptxas"); err == nil {
		roots = append(roots, filepath.Dir(filepath.Dir(found)))
	}
	roots = append(roots, systemCUDA, os.Getenv("CONDA_PREFIX"), "/opt/cuda")
	roots = slices.DeleteFunc(roots, func(root string) bool { return !filepath.IsAbs(root) })

	var loose toolkit
	for _, root := range roots {
		t := toolkit{executable(filepath.Join(root, assemblerPath)), existing(filepath.Join(root, libdevicePath))}
		if t.ptxas != "" && t.libdevice != "" {
			return t
		}
		loose = loose.or(t)
	}
	if loose.ptxas == "" || loose.libdevice == "" {
		for _, folder := range pythons.all(ctx) {
			triton := filepath.Join(folder, "triton", "backends", "nvidia")
			loose = loose.or(toolkit{executable(filepath.Join(triton, "bin", "ptxas")), existing(filepath.Join(triton, "lib", "libdevice.10.bc"))})
		}
	}
	return loose
}

// or takes from another what is missing.
func (t toolkit) or(other toolkit) toolkit {
	if t.ptxas == "" {
		t.ptxas = other.ptxas
	}
	if t.libdevice == "" {
		t.libdevice = other.libdevice
	}
	return t
}

// existing returns the path of a file that is there, executable that of a program; "" of others.
func existing(path string) string {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}

func executable(path string) string {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return ""
	}
	return path
}

// root returns a folder with the toolkit laid out as XLA wants it: the toolkit's own, or one of links in dir. It is "" where
// there is nothing to lay out.
func (t toolkit) root(dir string) (string, error) {
	if t == (toolkit{}) {
		return "", nil
	}
	if root, found := strings.CutSuffix(t.ptxas, "/"+assemblerPath); found && t.libdevice == filepath.Join(root, libdevicePath) {
		return root, nil
	}
	digest := sha256.Sum256([]byte(t.ptxas + "\x00" + t.libdevice))
	root := filepath.Join(dir, "cuda-"+hex.EncodeToString(digest[:8]))
	for name, target := range map[string]string{assemblerPath: t.ptxas, libdevicePath: t.libdevice} {
		if target == "" {
			continue
		}
		link := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return "", fmt.Errorf("link CUDA's assembler: %w", err)
		}
		// The folder's name is made of the targets: a link that is there is the same.
		if err := os.Symlink(target, link); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("link CUDA's assembler: %w", err)
		}
	}
	return root, nil
}
