//go:build !cgo

package network

import (
	"context"
	"fmt"
)

var errNoCgo = fmt.Errorf("%w: this program was built without cgo and cannot load it; build with CGO_ENABLED=1 and a C compiler", ErrNoRuntime)

func (f *File) values(context.Context) (inputs, outputs []tensor, err error) {
	return nil, nil, errNoCgo
}

func (f *File) session(input, output string) (session, error) { return nil, errNoCgo }
