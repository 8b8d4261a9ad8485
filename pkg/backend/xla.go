//go:build cgo && !noxla && ((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// xlaUsable says whether this build can load XLA plugins.
func xlaUsable() error { return nil }

// openXLA loads a plugin that was verified. The CPU's client has as many devices as asked for, whose threads share all
// cores; its own default of several devices would leave cores idle where a program uses one.
func openXLA(path string, cuda bool, devices int) (compute.Backend, error) {
	xla.EnableAutoInstall(false)
	options := pjrt.NamedValuesMap{}
	if !cuda {
		options["cpu_device_count"] = int64(devices)
	}
	return xla.NewWithOptions(path, options)
}
