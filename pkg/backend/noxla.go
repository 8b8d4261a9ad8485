//go:build !cgo || noxla || !((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import "errors"

// xlaUsable says whether this build can load XLA plugins.
func xlaUsable() error {
	return errors.New("this build has no XLA: on linux, macOS (arm64) and windows (amd64) it needs a C compiler when Latent is built; install gcc or clang")
}

func (b *Backend) load(bool, Options) error { return xlaUsable() }
