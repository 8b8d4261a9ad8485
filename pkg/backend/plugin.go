package backend

import (
	"bufio"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

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
	// SHA256 is the file's checksum; Err says why the plugin cannot be used.
	SHA256 string
	Err    error
}

// List returns the plugins that Open would look at, in its order, each verified.
func List() []Plugin {
	var plugins []Plugin
	for _, kind := range []Kind{CPU, CUDA} {
		for _, path := range candidates(kind) {
			info, err := os.Stat(path)
			if err != nil {
				continue
			}
			plugin := Plugin{Kind: kind, Path: path, Size: info.Size()}
			plugin.SHA256, plugin.Err = verify(path)
			plugins = append(plugins, plugin)
		}
	}
	return plugins
}

// Dir is Latent's own folder for plugins.
func Dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for XLA plugins: %w", err)
	}
	return filepath.Join(cache, "latent", "xla"), nil
}

// findPlugin returns the first plugin of a kind. A damaged one is not passed over: verify tells of it.
func findPlugin(kind Kind) (string, error) {
	paths := candidates(kind)
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s plugin: %w; run: latent backend install %s", kind, ErrNotInstalled, kind)
}

// candidates lists where plugins of a kind may lie: Latent's own folder, the folders of PJRT_PLUGIN_LIBRARY_PATH, and
// go-xla's.
func candidates(kind Kind) []string {
	var paths []string
	names := []string{pluginName, "pjrt_c_api_cpu_plugin.so", "pjrt_c_api_cpu_plugin.dylib", "pjrt_c_api_cpu_plugin.dll"}
	if kind == CUDA {
		names = []string{"pjrt_c_api_cuda_plugin.so", filepath.Join("nvidia", "pjrt_c_api_cuda_plugin.so")}
	}
	var dirs []string
	if dir, err := Dir(); err == nil {
		dirs = append(dirs, dir)
	}
	dirs = append(dirs, filepath.SplitList(os.Getenv("PJRT_PLUGIN_LIBRARY_PATH"))...)
	if dir, err := installer.DefaultHomeLibPath(); err == nil {
		dirs = append(dirs, filepath.Join(dir, "go-xla"))
	}
	dirs = append(dirs, "/usr/local/lib/go-xla")
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		for _, name := range names {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths
}

// recordSuffix is added to a plugin's name for the file that holds the checksum it was accepted with.
const recordSuffix = ".sha256"

// verify checks that a plugin is whole and unchanged, and returns its SHA-256: a truncated file would kill the process with
// SIGBUS when it is loaded, an altered one with SIGILL or SIGSEGV.
//
// A plugin that Latent pins must be that plugin to the byte. Another is compared with the checksum recorded for it when it
// was first used, beside it or in Latent's folder; at its first use only its structure can be checked. Hashing takes 0.2 s
// for the CPU plugin on a processor with SHA instructions.
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
			return "", fmt.Errorf("plugin %s: SHA-256 is %s, want %s: it was altered; run: latent backend install --force", path, got, p.plugin.sha256)
		}
		if got == p.plugin.sha256 {
			return got, nil
		}
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
		return fmt.Errorf("plugin %s: %d bytes, want %d: it was cut off or replaced; run: latent backend install --force", path, info.Size(), p.plugin.size)
	}
	parsed, err := elf.NewFile(f)
	if err != nil {
		return fmt.Errorf("plugin %s: no shared library, or it was cut off: %w; run: latent backend install --force", path, err)
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
		return fmt.Errorf("plugin %s: %d bytes, its header announces %d: it was cut off; run: latent backend install --force", path, info.Size(), end)
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
