//go:build cgo && !noxla && ((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// xlaUsable says whether this build can load XLA plugins.
func xlaUsable() error { return nil }

// load loads the plugin, which was verified, and makes a client of it. The CPU's client has as many devices as asked for, whose
// threads share all cores; its own default of several devices would leave cores idle where a program uses one. A GPU's memory is
// taken as it is needed and not three quarters of it at once: go-xla asks for that where the plugin's path says CUDA.
func (b *Backend) load(cuda bool, options Options) error {
	if strings.Contains(b.Plugin, ",") {
		return errors.New("go-xla takes what follows a comma for options; move the plugin to a path without one")
	}
	xla.EnableAutoInstall(false)
	config, values := b.Plugin, pjrt.NamedValuesMap{}
	if cuda {
		// go-xla takes a plugin for the CPU's, whose memory can be written to directly, where "cpu" is anywhere in its path.
		config += ",noshared_buffers"
		// Its check warns of NVIDIA's libraries where they are not missed, and sets XLA's flags to a folder without an assembler.
		if _, set := os.LookupEnv(checksVariable); !set {
			defer setenv(checksVariable, "0")()
		}
	} else {
		values["cpu_device_count"] = int64(max(1, options.Devices))
	}
	compute, err := xla.NewWithOptions(config, values)
	if err != nil {
		return err
	}
	compute.DotGeneralUseTF32 = cuda && options.TF32
	b.Compute, b.Device = compute, compute.DeviceDescription(0)
	if plugin, err := pjrt.GetPlugin(b.Plugin); err == nil { // that which was just loaded
		major, minor := plugin.Version()
		b.PJRT = fmt.Sprintf("%d.%d", major, minor)
	}
	return nil
}

// checksVariable turns off what go-xla does about NVIDIA's libraries.
const checksVariable = "GOPJRT_CUDA_CHECKS"
