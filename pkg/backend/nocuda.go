//go:build !(linux && amd64)

package backend

import "errors"

func installCUDA() (string, error) {
	return "", errors.New("install xla:cuda: there is a plugin for linux on amd64 only")
}
