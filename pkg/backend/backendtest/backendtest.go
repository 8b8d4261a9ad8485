// Package backendtest runs a test on every backend that is at hand.
//
// XLA is on the CPU. With LATENT_TEST_BACKEND=xla:cuda in the environment it is on a CUDA GPU, opened as a run opens it, and
// tests fail where there is none:
//
//	LATENT_TEST_BACKEND=xla:cuda go test ./...
//
// What only a CPU can show, its threads and several devices on one machine, is skipped where its plugin is not installed.
package backendtest

import (
	"cmp"
	"os"
	"sync"
	"testing"

	"latent/pkg/backend"
)

var (
	openGo  = sync.OnceValues(func() (*backend.Backend, error) { return backend.OpenInstalled("go", backend.Options{}) })
	openXLA = sync.OnceValues(func() (*backend.Backend, error) {
		return backend.OpenInstalled(cmp.Or(os.Getenv(variable), "xla:cpu"), backend.Options{})
	})
)

// variable names the backend of the tests on XLA.
const variable = "LATENT_TEST_BACKEND"

// Each runs the test on pure Go, and on XLA where its plugin is installed. It installs nothing. The backends
// stay open for the tests to come.
func Each(t *testing.T, test func(t *testing.T, b *backend.Backend)) {
	t.Run("go", func(t *testing.T) {
		b, err := openGo()
		if err != nil {
			t.Fatal(err)
		}
		test(t, b)
	})
	t.Run("xla", func(t *testing.T) { test(t, XLA(t)) })
}

// XLA returns the XLA backend, and skips the test where its plugin is not installed.
func XLA(t testing.TB) *backend.Backend {
	t.Helper()
	b, err := openXLA()
	if err != nil && os.Getenv(variable) != "" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skipf("SKIPPED ON XLA: %v", err)
	}
	return b
}

// Devices returns an XLA backend on the CPU that counts as so many devices, and skips the test where the plugin is not
// installed. The caller closes it.
func Devices(t testing.TB, n int) *backend.Backend {
	t.Helper()
	b, err := backend.OpenInstalled("xla:cpu", backend.Options{Devices: n})
	if err != nil {
		t.Skipf("SKIPPED ON XLA: %v", err)
	}
	return b
}
