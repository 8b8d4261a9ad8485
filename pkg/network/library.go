package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"latent/pkg/backend"
)

const (
	// libraryVariable names onnxruntime's library, in whose place no other is looked for.
	libraryVariable = "ONNXRUNTIME_LIB"
	// leastVersion of onnxruntime has the interface that Latent calls.
	leastVersion = "1.24"
)

// ErrNoRuntime says that onnxruntime is not on this machine, or that this build cannot load it.
var ErrNoRuntime = errors.New("onnxruntime, which runs networks, was not found")

// folders are where systems keep libraries.
var folders = []string{"/usr/local/lib", "/opt/homebrew/lib", "/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"}

// libraries lists onnxruntime's libraries on this machine, in the order in which they are tried.
func libraries(ctx context.Context) ([]string, error) {
	if path := os.Getenv(libraryVariable); path != "" {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w; name onnxruntime's library, such as libonnxruntime.so.1.32.0 of Python's package onnxruntime", libraryVariable, err)
		case !info.Mode().IsRegular():
			return nil, fmt.Errorf("%s: %s is not a file; name onnxruntime's library in it", libraryVariable, path)
		}
		return []string{path}, nil
	}
	found := inFolders(folders)
	if len(found) == 0 {
		var packages []string
		for _, folder := range backend.PythonFolders(ctx) {
			packages = append(packages, filepath.Join(folder, "onnxruntime", "capi"))
		}
		found = inFolders(packages)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: pip install onnxruntime, or set %s to its library; Python is found by VIRTUAL_ENV, CONDA_PREFIX, the PATH or LATENT_PYTHON",
			ErrNoRuntime, libraryVariable)
	}
	return found, nil
}

// inFolders lists the libraries in folders.
func inFolders(folders []string) (found []string) {
	pattern := map[string]string{"darwin": "libonnxruntime.*dylib", "windows": "onnxruntime.dll"}[runtime.GOOS]
	if pattern == "" {
		pattern = "libonnxruntime.so*"
	}
	for _, folder := range folders {
		names, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			continue // a folder whose name is no pattern
		}
		slices.Sort(names)
		slices.Reverse(names) // the newest first
		found = append(found, names...)
	}
	return found
}
