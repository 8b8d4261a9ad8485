// Package venv makes the virtual environments of Python in which the programs of other projects run that Latent is compared with.
//
//	python, err := venv.Environment{Name: "optuna", Requirements: requirements, Log: os.Stderr}.Make(ctx)
//	text, err := exec.CommandContext(ctx, python, "-c", script).Output()
package venv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Environment is a virtual environment.
type Environment struct {
	// Name is that of its folder in the user's cache, but for -venv behind it; Folder is another, where it is not "".
	Name, Folder string
	// Requirements are those of pip, a line each.
	Requirements string
	// Note is what is said when it is made for the first time; %s is the folder. "" says nothing.
	Note string
	// Log is where that goes, and what Python and pip say.
	Log io.Writer
}

// Make makes the environment, or brings the one that is there to its requirements, and returns its interpreter. Where it has them, pip
// needs a second and no network.
func (e Environment) Make(ctx context.Context) (python string, err error) {
	if e.Folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		e.Folder = filepath.Join(cache, "latent", e.Name+"-venv")
	}
	python = filepath.Join(e.Folder, "bin", "python")
	if _, err := os.Stat(python); errors.Is(err, fs.ErrNotExist) {
		if e.Note != "" {
			fmt.Fprintf(e.Log, e.Note+"\n", e.Folder)
		}
		if err := e.execute(ctx, "python3", "-m", "venv", e.Folder); err != nil {
			return "", err
		}
	}
	list := filepath.Join(e.Folder, "requirements.txt")
	if err := os.WriteFile(list, []byte(e.Requirements), 0o600); err != nil {
		return "", err
	}
	return python, e.execute(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", list)
}

// execute runs a command to its end; what it says is for the person.
func (e Environment) execute(ctx context.Context, name string, arguments ...string) error {
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Stdout, cmd.Stderr = e.Log, e.Log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(arguments, " "), err)
	}
	return nil
}
