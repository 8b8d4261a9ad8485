package network

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// File is an ONNX file.
type File struct {
	Path string
	// SHA256 is that of the file, in hexadecimal digits; where weights lie in files beside it, one over the sums of all.
	SHA256 string

	data     []byte
	external []string // names of the files beside it
}

// Bounds of what is read: ONNX files end at 2 GiB, for protobuf does.
const (
	mostBytes    = 2<<30 - 1
	mostExternal = 1000
	mostBeside   = 64 << 30 // of a file beside it, which is hashed and not held
)

// Read reads a file, and the checksums of those beside it that have its weights.
func Read(path string) (*File, error) {
	f := &File{Path: path}
	if err := f.read(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) read() error {
	opened, _, err := openRegular(f.Path, mostBytes)
	if err != nil {
		return err
	}
	defer opened.Close()
	if f.data, err = io.ReadAll(io.LimitReader(opened, mostBytes)); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	digest := sha256.Sum256(f.data)
	f.SHA256 = hex.EncodeToString(digest[:])
	names := map[string]bool{}
	if err := externals(f.data, "model", 0, names); err != nil {
		return fmt.Errorf("%s: not an ONNX file: %w", f.Path, err)
	}
	if len(names) == 0 {
		return nil
	}
	for name := range names {
		f.external = append(f.external, name)
	}
	slices.Sort(f.external)
	all := sha256.New()
	fmt.Fprintf(all, "%s\n", f.SHA256)
	for _, name := range f.external {
		sum, err := f.beside(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(all, "%q %s\n", name, sum)
	}
	f.SHA256 = hex.EncodeToString(all.Sum(nil))
	return nil
}

// beside is the SHA-256 of a file with weights.
func (f *File) beside(name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%s: its weights are in %q, which is not in the same folder; export it again", f.Path, name)
	}
	opened, size, err := openRegular(filepath.Join(filepath.Dir(f.Path), name), mostBeside)
	if err != nil {
		return "", fmt.Errorf("weights of %s: %w", f.Path, err)
	}
	defer opened.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, io.LimitReader(opened, size)); err != nil {
		return "", fmt.Errorf("%s: %w", opened.Name(), err)
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// openRegular opens a file of at most so many bytes.
func openRegular(path string, most int64) (*os.File, int64, error) {
	info, err := os.Stat(path) // before it is opened: a pipe would wait
	if err != nil {
		return nil, 0, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, 0, fmt.Errorf("%s: not a regular file", path)
	case info.Size() > most:
		return nil, 0, fmt.Errorf("%s: %d bytes; the limit is %d", path, info.Size(), most)
	}
	opened, err := os.Open(path)
	return opened, info.Size(), err
}

// inside are the fields of ONNX's messages through which tensors are reached, and the messages that they hold.
//
// Source: onnx.proto3 of the ONNX project, IR version 10.
var inside = map[string]map[protowire.Number]string{
	"model":     {7: "graph", 25: "function"},
	"function":  {7: "node"},
	"graph":     {1: "node", 5: "tensor"},
	"node":      {5: "attribute"},
	"attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
	"tensor":    {13: "entry"},
}

// mostDepth is how deep messages lie in one another at most: graphs in attributes of nodes, such as the branches of an If.
const mostDepth = 64

// externals collects the names of files that tensors in a message lie in.
func externals(message []byte, kind string, depth int, names map[string]bool) error {
	if depth > mostDepth {
		return errors.New("subgraphs are nested too deeply")
	}
	return each(message, func(number protowire.Number, value []byte) error {
		below := inside[kind][number]
		if below != "entry" {
			if below == "" {
				return nil
			}
			return externals(value, below, depth+1, names)
		}
		var key, name string
		err := each(value, func(number protowire.Number, text []byte) error {
			switch number {
			case 1:
				key = string(text)
			case 2:
				name = string(text)
			}
			return nil
		})
		if err != nil || key != "location" {
			return err
		}
		if names[name] = true; len(names) > mostExternal {
			return fmt.Errorf("weights in more than %d files", mostExternal)
		}
		return nil
	})
}

// each calls do with the fields of a message that have a length: bytes, text and messages.
func each(message []byte, do func(number protowire.Number, value []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
				return protowire.ParseError(n)
			}
			message = message[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := do(number, value); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
