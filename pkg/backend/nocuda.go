//go:build !(linux && amd64)

package backend

import "errors"

func downloadCUDA() (string, error) {
	return "", errors.New("install xla:cuda: it is downloaded for linux on amd64 only; elsewhere install JAX's plugin with pip")
}
