package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"latent/experiments/venv"
)

// askPython runs a script in the environment of a name, which is made where it is not there, and returns what it printed.
func askPython(ctx context.Context, name, requirements, script string, arguments ...string) ([]byte, error) {
	python, err := venv.Environment{Name: name, Requirements: requirements, Log: os.Stderr}.Make(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, python, append([]string{"-"}, arguments...)...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(script), os.Stderr
	return cmd.Output()
}

// kept reads what was measured before from a file or, where that is not there, asks for it and keeps it. It is JSON, in the last line of a text.
func kept(path string, into any, ask func() ([]byte, error)) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = ask(); err == nil {
			err = os.WriteFile(path, text, 0o644)
		}
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text[bytes.LastIndexByte(bytes.TrimSpace(text), '\n')+1:], into)
}

// verdict says whether a bar is met.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**MISSED**"
}
