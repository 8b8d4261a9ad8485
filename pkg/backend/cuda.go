//go:build linux && amd64

package backend

import (
	"fmt"
	"path/filepath"

	"github.com/gomlx/go-xla/installer"
)

// installCUDA lets go-xla install the plugin and NVIDIA's libraries, several GB, under its own folder.
func installCUDA() (string, error) {
	dir, err := installer.DefaultHomeLibPath()
	if err != nil {
		return "", fmt.Errorf("install xla:cuda: %s", firstLine(err))
	}
	if err := installer.CudaInstall("cuda13", "latest", filepath.Join(dir, "go-xla"), true, installer.Normal); err != nil {
		return "", fmt.Errorf("install xla:cuda: %s", firstLine(err))
	}
	path, err := findPlugin(CUDA)
	if err != nil {
		return "", err
	}
	_, err = verify(path)
	return path, err
}
