//go:build linux && amd64

package backend

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomlx/go-xla/installer"
)

// downloadCUDA lets go-xla install the plugin and NVIDIA's libraries, several GB, under its own folder. It says so on the
// standard output, which is for what programs read.
func downloadCUDA() (string, error) {
	dir, err := installer.DefaultHomeLibPath()
	if err != nil {
		return "", fmt.Errorf("install xla:cuda: %s", firstLine(err))
	}
	out := os.Stdout
	os.Stdout = os.Stderr
	err = installer.CudaInstall("cuda13", "latest", filepath.Join(dir, "go-xla"), true, installer.Normal)
	os.Stdout = out
	if err != nil {
		return "", fmt.Errorf("install xla:cuda: %s", firstLine(err))
	}
	return accept(filepath.Join(dir, "go-xla", "nvidia", installer.NVIDIAPJRTPluginFileName))
}
