//go:build !cgo || noxla || !linux || !(amd64 || arm64)

package backend

import "errors"

func loadLibrary(string) (string, error) {
	return "", errors.New("CUDA is for linux, in a build with a C compiler")
}

func askDriver(bool) driver {
	return driver{failed: "dlopen", message: "CUDA is for linux, in a build with a C compiler"}
}
