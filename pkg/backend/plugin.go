package backend

import (
	"bufio"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/installer"
)

// Kind is what a plugin computes on.
type Kind string

// The kinds of plugins.
const (
	CPU  Kind = "xla:cpu"
	CUDA Kind = "xla:cuda"
)

// pin is a published wheel with the CPU plugin, and the plugin inside it.
type pin struct {
	goarch       string
	wheel        file
	plugin       file
	filenamePart string // of the wheel's name
}

// file is a file's checksum and size.
type file struct {
	sha256 string
	size   int64
}

const (
	pinnedPackage = "xla-cpu-pjrt"
	pinnedVersion = "0.0.1"
	pluginName    = "xla_cpu_pjrt.so"
)

// pins are the wheels of xla-cpu-pjrt 0.0.1 (PJRT API 0.81) for linux, by the checksums of the package index.
var pins = []pin{
	{
		goarch: "amd64", filenamePart: "_x86_64",
		wheel:  file{"55837b6b7b47daa717f2d9a5a03563ea0ceaa338d06a81a1e2d3f060d960decc", 63_461_052},
		plugin: file{"88c3f28c5900f48ad4a82cab9e79bba9537809743395e341485f8794268820dc", 259_284_552},
	},
	{
		goarch: "arm64", filenamePart: "_aarch64",
		wheel:  file{"8f613be6e891858f40d64f9799319502fff42689661944fc18a6ffd8210b30c9", 49_514_947},
		plugin: file{"fcf411f3e8ff635c2b2cf87215aa7016f460e66d236c3db08309e7486583532d", 200_328_224},
	},
}

// pinned returns the pin for this machine.
func pinned() (pin, error) {
	if runtime.GOOS == "linux" {
		for _, p := range pins {
			if p.goarch == runtime.GOARCH {
				return p, nil
			}
		}
	}
	return pin{}, fmt.Errorf("no pinned plugin for %s/%s", runtime.GOOS, runtime.GOARCH)
}

// ErrNotInstalled says that no plugin of the kind was found.
var ErrNotInstalled = errors.New("not installed")

// Plugin is an XLA plugin on this machine.
type Plugin struct {
	Kind Kind
	Path string
	Size int64
	// Version is the wheel that it came in, such as "jax-cuda13-pjrt 0.11.2"; "" where that is not known.
	Version string
	// SHA256 is the file's checksum; Err says why the plugin cannot be used.
	SHA256 string
	Err    error
}

// List returns the plugins of these kinds that Open would look at, in its order, each verified, and the errors of Pythons that
// did not say what they have.
func List(ctx context.Context, kinds ...Kind) (plugins []Plugin, failed []error) {
	var pythons packages
	for _, kind := range kinds {
		for path := range candidates(ctx, kind, &pythons) {
			info, err := os.Stat(path)
			if err != nil {
				continue
			}
			plugin := Plugin{Kind: kind, Path: path, Size: info.Size()}
			plugin.SHA256, plugin.Err = verify(path)
			plugin.Version = versionOf(path, plugin.SHA256)
			plugins = append(plugins, plugin)
		}
	}
	return plugins, pythons.failed
}

// versionOf names the wheel of a plugin with this checksum; "" where it is not known.
func versionOf(path, sum string) string {
	if w, found := wheelAround(path); found {
		return w.String()
	}
	for _, p := range pins {
		if p.plugin.sha256 == sum {
			return pinnedPackage + " " + pinnedVersion
		}
	}
	return ""
}

// ErrNoFolder is wrapped by the error of an installation for which there is no folder that can be written to.
var ErrNoFolder = errors.New("no folder to install XLA in")

// noFolder says what to do about it: computing without XLA is so slow that it is nobody's silent choice.
func noFolder(why error) error {
	return fmt.Errorf("%w: %w; name one that can be written to by XDG_CACHE_HOME, such as XDG_CACHE_HOME=/tmp/cache, or compute without XLA, about 25 times slower, by backend=go",
		ErrNoFolder, why)
}

// Dir is Latent's own folder for plugins.
func Dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", noFolder(err)
	}
	return filepath.Join(cache, "latent", "xla"), nil
}

// findPlugin returns the first plugin of a kind. A damaged one is not passed over: verify tells of it.
func findPlugin(ctx context.Context, kind Kind, pythons *packages) (string, error) {
	if kind == CUDA && os.Getenv(pythonVariable) != "" {
		if pythons.all(ctx); len(pythons.failed) > 0 {
			return "", pythons.failed[0]
		}
	}
	for path := range candidates(ctx, kind, pythons) {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	if kind == CUDA {
		return "", fmt.Errorf("%s plugin: %w; %s", kind, ErrNotInstalled, pythons.cures())
	}
	return "", fmt.Errorf("%s plugin: %w; run: latent backend install %s", kind, ErrNotInstalled, kind)
}

// cures says how to come by a plugin for CUDA, and what the Pythons said that were asked for one.
func (p *packages) cures() string {
	var asked []string
	for _, err := range p.failed {
		asked = append(asked, err.Error())
	}
	if len(asked) == 0 && len(p.pythons) > 0 {
		asked = append(asked, "these Pythons have none: "+strings.Join(p.pythons, ", "))
	} else if len(asked) == 0 {
		asked = append(asked, "there is no python3 on the PATH")
	}
	return strings.Join(asked, "; ") + ". One of these helps:\n" +
		"  pip install \"jax[cuda13]\", with that Python on the PATH or in " + pythonVariable + "; \"jax[cuda12]\" for drivers older than 580\n" +
		"  pip install --no-deps jax-cuda13-pjrt, in a Python with PyTorch for CUDA 13; jax-cuda12-pjrt for CUDA 12\n" +
		"  latent backend install xla:cuda, without any Python: it downloads several GB\n" +
		"  " + compute.ConfigEnvVar + "=xla:/absolute/path/to/" + jaxPluginName
}

// candidates yields where plugins of a kind may lie: Latent's own folder, the folders of PJRT_PLUGIN_LIBRARY_PATH, go-xla's,
// and for CUDA the packages of Pythons. These are asked last, where nothing before them was taken, for that takes its time;
// the Python in LATENT_PYTHON comes first of all.
func candidates(ctx context.Context, kind Kind, pythons *packages) iter.Seq[string] {
	names := []string{pluginName, "pjrt_c_api_cpu_plugin.so", "pjrt_c_api_cpu_plugin.dylib", "pjrt_c_api_cpu_plugin.dll"}
	if kind == CUDA {
		names = []string{"pjrt_c_api_cuda_plugin.so", filepath.Join("nvidia", "pjrt_c_api_cuda_plugin.so")}
	}
	dirs := filepath.SplitList(os.Getenv("PJRT_PLUGIN_LIBRARY_PATH"))
	if dir, err := installer.DefaultHomeLibPath(); err == nil {
		dirs = append(dirs, filepath.Join(dir, "go-xla"))
	}
	dirs = append(dirs, "/usr/local/lib/go-xla")
	own, err := Dir()
	if err == nil {
		dirs = slices.Insert(dirs, 0, own)
	}
	dirs = slices.DeleteFunc(dirs, func(dir string) bool { return !filepath.IsAbs(dir) })

	return func(yield func(string) bool) {
		inPackages := func(folders []string) bool {
			for _, folder := range folders {
				for _, path := range jaxPlugins(folder) {
					if !yield(path) {
						return false
					}
				}
			}
			return true
		}
		chosen := os.Getenv(pythonVariable) != ""
		if kind == CUDA && chosen && !inPackages(pythons.all(ctx)) {
			return
		}
		if kind == CUDA && own != "" && !inPackages([]string{own}) {
			return
		}
		for _, dir := range dirs {
			for _, name := range names {
				if !yield(filepath.Join(dir, name)) {
					return
				}
			}
		}
		if kind == CUDA && !chosen {
			inPackages(pythons.all(ctx))
		}
	}
}

// recordSuffix is added to a plugin's name for the file that holds the checksum it was accepted with.
const recordSuffix = ".sha256"

// verify checks that a plugin is whole and unchanged, and returns its SHA-256: a truncated file would kill the process with
// SIGBUS when it is loaded, an altered one with SIGILL or SIGSEGV.
//
// A plugin that Latent pins must be that plugin to the byte, and one among a Python's packages what its wheel says, so that it
// may be upgraded there. Another is compared with the checksum recorded in Latent's folder when it was first used; at its first
// use only its structure can be checked. Hashing takes 0.2 s for the CPU plugin on a processor with SHA instructions, and 0.3 s
// for those of CUDA.
func verify(path string) (string, error) {
	if err := complete(path); err != nil {
		return "", err
	}
	got, size, err := hashFile(path)
	if err != nil {
		return "", err
	}
	for _, p := range pins {
		if size != p.plugin.size && filepath.Base(path) != pluginName {
			continue
		}
		if p.goarch == runtime.GOARCH && got != p.plugin.sha256 {
			return "", fmt.Errorf("plugin %s: SHA-256 is %s, want %s: it was altered; %s", path, got, p.plugin.sha256, cure(path))
		}
		if got == p.plugin.sha256 {
			return got, nil
		}
	}
	if w, found := wheelAround(path); found {
		if size != w.plugin.size || got != w.plugin.sha256 {
			return "", fmt.Errorf("plugin %s: %d bytes with SHA-256 %s, and %v has %d bytes with %s: it was altered; %s",
				path, size, got, w, w.plugin.size, w.plugin.sha256, cure(path))
		}
		return got, nil
	}
	record, err := recordPath(path)
	if err != nil {
		return "", err
	}
	known, err := os.ReadFile(record)
	if errors.Is(err, fs.ErrNotExist) {
		return got, replaceFile(record, 0o644, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, got)
			return err
		})
	}
	if err != nil {
		return "", fmt.Errorf("read the checksum of plugin %s: %w", path, err)
	}
	if want := strings.TrimSpace(string(known)); want != got {
		return "", fmt.Errorf("plugin %s: SHA-256 is %s, and was %s when it was first used: it was altered; if you replaced it, remove %s",
			path, got, want, record)
	}
	return got, nil
}

// cure says how to get a whole plugin in the place of a damaged one.
func cure(path string) string {
	own, _ := Dir()
	w, inWheel := wheelAround(path)
	switch {
	case inWheel && filepath.Dir(filepath.Dir(filepath.Dir(path))) == own:
		return "run: latent backend install xla:cuda --from WHEEL"
	case inWheel:
		return fmt.Sprintf("run with its Python: pip install --force-reinstall --no-deps %s==%s", w.name, w.version)
	case isCUDA(path):
		return "run: latent backend install --force xla:cuda"
	}
	return "run: latent backend install --force"
}

// isCUDA says whether a plugin computes on NVIDIA's GPUs. go-xla tells it by the name too.
func isCUDA(path string) bool { return strings.Contains(strings.ToLower(filepath.Base(path)), "cuda") }

// recordPath is where the checksum of a plugin that is not pinned is kept: Latent's folder, under a name made from its path.
func recordPath(path string) (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(path))
	return filepath.Join(dir, hex.EncodeToString(digest[:8])+recordSuffix), os.MkdirAll(dir, 0o755)
}

// complete checks that an ELF file has all the parts that its header announces. Files of other systems pass.
func complete(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("plugin: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("plugin: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("plugin %s: not a file", path)
	}
	if runtime.GOOS != "linux" {
		return nil
	}
	if p, err := pinned(); err == nil && filepath.Base(path) == pluginName && info.Size() != p.plugin.size {
		return fmt.Errorf("plugin %s: %d bytes, want %d: it was cut off or replaced; %s", path, info.Size(), p.plugin.size, cure(path))
	}
	parsed, err := elf.NewFile(f)
	if err != nil {
		return fmt.Errorf("plugin %s: no shared library, or it was cut off: %w; %s", path, err, cure(path))
	}
	end := int64(0)
	for _, part := range parsed.Progs {
		end = max(end, int64(part.Off+part.Filesz))
	}
	for _, part := range parsed.Sections {
		if part.Type != elf.SHT_NOBITS {
			end = max(end, int64(part.Offset+part.FileSize))
		}
	}
	if end > info.Size() {
		return fmt.Errorf("plugin %s: %d bytes, its header announces %d: it was cut off; %s", path, info.Size(), end, cure(path))
	}
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	if parsed.Type != elf.ET_DYN || want != 0 && parsed.Machine != want {
		return fmt.Errorf("plugin %s: %v for %v, want a shared library for %v", path, parsed.Type, parsed.Machine, want)
	}
	return nil
}

// hashFile returns a file's SHA-256 and size.
func hashFile(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	digest := sha256.New()
	size, err = io.Copy(digest, bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return "", 0, fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(digest.Sum(nil)), size, nil
}
