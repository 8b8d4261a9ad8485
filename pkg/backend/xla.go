//go:build cgo && !noxla && ((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// xlaUsable says whether this build can load XLA plugins.
func xlaUsable() error { return nil }

// openXLA loads a plugin that was verified. The CPU's client is one device, whose threads share all cores; its default of
// several devices would leave cores idle.
func openXLA(path string, cuda bool) (compute.Backend, error) {
	xla.EnableAutoInstall(false)
	options := pjrt.NamedValuesMap{}
	if !cuda {
		options["cpu_device_count"] = int64(1)
	}
	return xla.NewWithOptions(path, options)
}
