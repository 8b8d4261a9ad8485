package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// child is a process to run.
type child struct {
	label   string   // before each of its lines in the log
	command []string // a program, by its whole path, and its arguments
	dir     string   // "" for the archive's
	env     []string // beside the kit's own
	// output takes what it says on both streams; without it, the standard output is what execute returns.
	output io.Writer
	// errors takes a copy of what it says on its standard error.
	errors io.Writer
	// signal is what it gets when its time is over; SIGINT by default. What is left a little later is killed.
	signal syscall.Signal
}

// childError says how a child ended that did not end well.
type childError struct {
	label, program string
	err            error
	output         string // the end of what it said
}

// Error ends with the line that says why, where the child ended by itself.
func (e *childError) Error() string {
	if exit := (*exec.ExitError)(nil); errors.As(e.err, &exit) {
		if why := e.why(); why != "" {
			return fmt.Sprintf("%s: %v: %s", e.label, e.err, why)
		}
	}
	return fmt.Sprintf("%s: %v", e.label, e.err)
}

// why is the last line of the output that begins with the program's name, as an error does, or else the last.
func (e *childError) why() string {
	lines := strings.Split(e.output, "\n")
	for _, line := range slices.Backward(lines) {
		if strings.HasPrefix(line, e.program+": ") {
			return line
		}
	}
	return lines[len(lines)-1]
}

func (e *childError) Unwrap() error { return e.err }

// execute runs a child to its end, and returns what it wrote to its standard output. The child has a process group of its own,
// of which nothing is left when execute returns, whether ctx ended it or it left something behind.
func (k *kit) execute(ctx context.Context, c child) ([]byte, error) {
	program := filepath.Base(c.command[0])
	said := &tail{}
	lines := &prefixed{to: k.log, prefix: c.label + ": "}
	defer lines.flush()
	everything := io.MultiWriter(lines, said)
	if c.errors != nil {
		everything = io.MultiWriter(lines, said, c.errors)
	}
	var stdout bytes.Buffer

	cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	cmd.Dir, cmd.Env = c.dir, append(k.environment(), c.env...)
	if cmd.Dir == "" {
		cmd.Dir = k.root
	}
	cmd.Stdout, cmd.Stderr = &stdout, everything
	if c.output != nil {
		everything = io.MultiWriter(c.output, lines, said)
		cmd.Stdout, cmd.Stderr = everything, everything // the same for both keeps the order of lines
	}
	signal := c.signal
	if signal == 0 {
		signal = syscall.SIGINT
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, signal) }
	cmd.WaitDelay = k.grace
	fmt.Fprintf(lines, "$ %s\n", strings.Join(c.command, " "))
	if err := cmd.Start(); err != nil {
		return nil, &childError{label: c.label, program: program, err: err}
	}
	err := cmd.Wait()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if err == nil {
		return stdout.Bytes(), nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return stdout.Bytes(), &childError{label: c.label, program: program, err: err, output: said.String()}
}

// environment is this process's, without what would choose another backend, and with what children look for.
func (k *kit) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "GOMLX_BACKEND=") })
	env = append(env, "LATENT_DATA_DIR="+filepath.Join(k.root, "data"), "TMPDIR="+k.temp)
	if k.python != "" {
		// What looks for python3 by its name finds the one that was asked for too, where it has that name.
		env = append(env, "LATENT_PYTHON="+k.python, "PATH="+filepath.Dir(k.python)+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	// Latent keeps the checksum of a plugin that it has used.
	cache, err := os.UserCacheDir()
	if err == nil {
		err = os.MkdirAll(filepath.Join(cache, "latent", "xla"), 0o755)
	}
	if err != nil { // there is no home, or it is not this user's
		env = append(env, "XDG_CACHE_HOME="+filepath.Join(k.temp, "cache"))
	}
	return env
}

// latent is a child that runs the command latent.
func (k *kit) latent(label string, arguments ...string) child {
	return child{label: label, command: append([]string{filepath.Join(k.root, "latent")}, arguments...)}
}
