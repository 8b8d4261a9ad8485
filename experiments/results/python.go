package main

import (
	"context"
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

// verdict says whether a bar is met.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**MISSED**"
}
